//! `xtask sanitize`: the test suites under a sanitizer.
//!
//! `address` and `leak` take std as it came: their runtime sees every allocation anyway. `thread` needs a std that was
//! built with it, or it takes std's own locks and counters for races; so std is built from its sources.
//!
//! No sanitizer sees what the kernel writes: a ring that fills a freed buffer goes unnoticed. That the driver never
//! frees one is shown by its own tests, with a ring that lies and with guard pages.

use crate::Outcome;
use crate::loom::target;
use crate::programs::{self, Setting};
use crate::run;
use crate::toolchain::{self, Std, Toolchain};
use std::path::Path;
use std::time::Duration;

/// The crates whose tests run, and those of each crate that cannot.
const CRATES: [&str; 10] = [
    "blitz-core",
    "blitz-sys",
    "blitz-driver",
    "blitz-exec",
    "blitz-io-traits",
    "blitz-sync",
    "blitz-io",
    "blitz-http-proto",
    "blitz-http",
    "blitz-tls",
];
const LIMIT: Duration = Duration::from_secs(1500);

/// One sanitizer.
struct Sanitizer {
    name: &'static str,
    /// As its library is called.
    short: &'static str,
    /// `(variable, options, file)`: its options, and where what is known to be no fault stands with its reason.
    options: &'static [(&'static str, &'static str, &'static str)],
    /// Whether std has to be built with it.
    builds_std: bool,
    /// Tests that cannot work under it, each with the reason.
    without: &'static [(&'static str, &'static str, &'static str)],
}

const LEAKS: (&str, &str, &str) = ("LSAN_OPTIONS", "print_suppressions=0", "xtask/lsan.txt");

const NO_SPACE: (&str, &str, &str) = (
    "blitz-io/it",
    "hooks::a_runtime_that_gets_no_thread",
    "the sanitizer does not start with little address space",
);

const SANITIZERS: [Sanitizer; 3] = [
    Sanitizer {
        name: "address",
        short: "asan",
        options: &[
            (
                "ASAN_OPTIONS",
                "detect_stack_use_after_return=1:strict_init_order=1",
                "",
            ),
            LEAKS,
        ],
        builds_std: false,
        without: &[
            (
                "blitz-sys/lib",
                "stack::tests::of_a_deep_stack",
                "the sanitizer keeps large variables elsewhere, so that no stack is deep",
            ),
            NO_SPACE,
        ],
    },
    Sanitizer {
        name: "leak",
        short: "lsan",
        options: &[LEAKS],
        builds_std: false,
        without: &[],
    },
    Sanitizer {
        name: "thread",
        short: "tsan",
        options: &[(
            "TSAN_OPTIONS",
            "halt_on_error=0:exitcode=66:second_deadlock_stack=1:history_size=4",
            "xtask/tsan.txt",
        )],
        builds_std: true,
        without: &[
            (
                "blitz-io/it",
                "signals::",
                "a signal is held back until its thread makes a call that the sanitizer knows, and io_uring_enter is none",
            ),
            (
                "blitz-io/it",
                "cancel_waits::a_dropped_wait_for_a_signal",
                "the same",
            ),
            (
                "blitz-io/it",
                "stream::wrappers::signals_come_as_items",
                "the same",
            ),
            (
                "blitz-io/it",
                "stuck::stacks::a_report_names_the_function",
                "what spins is mostly in a function of the sanitizer, which keeps no frame pointer: the walk ends there",
            ),
            (
                "blitz-io/it",
                "stuck::stacks::each_of_all_workers",
                "the same",
            ),
            (
                "blitz-io/it",
                "stuck::stacks::the_other_flavors",
                "the same",
            ),
            (
                "blitz-io/it",
                "stuck::stacks::a_waker_that_spins",
                "the same",
            ),
            (
                "blitz-io/it",
                "fs_mapped::who_touches_what_was_cut_off",
                "the sanitizer reports SIGBUS and exits, where the process is to be ended by it",
            ),
            (
                "blitz-sys/lib",
                "stack::tests::a_thread_that_spins_is_named",
                "a signal is held back until a call of the sanitizer, which is innermost then",
            ),
            NO_SPACE,
        ],
    },
];

pub(crate) fn main(root: &Path, args: &[String]) -> Outcome {
    let (args, filters) = programs::split(args);
    let (name, wanted) = args
        .split_first()
        .ok_or_else(|| format!("which sanitizer? {}", names()))?;
    let sanitizer = SANITIZERS
        .iter()
        .find(|sanitizer| sanitizer.name == name)
        .ok_or_else(|| format!("no sanitizer is called `{name}`: {}", names()))?;
    if let Some(unknown) = wanted.iter().find(|name| !CRATES.contains(&name.as_str())) {
        return Err(format!(
            "`{unknown}` is not among the crates that are tested so: {}",
            CRATES.join(" ")
        ));
    }
    let host = host()?;
    let (std, flags) = flags(sanitizer, &host)?;
    println!("sanitize: {name}, {std}");
    let folder = target(root).join("sanitize").join(name);
    let mut cargo = std.cargo("test", "std,test");
    cargo
        .args(["--no-run", "--lib", "--tests", "--message-format=json"])
        .args(["--target", &host])
        .current_dir(root)
        .env("CARGO_TARGET_DIR", &folder)
        .env("RUSTC_BOOTSTRAP", "1")
        // Tests of stacks look for lines, and so does who reads a report: whatever is set for other builds.
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .env("RUSTFLAGS", flags);
    for name in CRATES {
        if wanted.is_empty() || wanted.iter().any(|one| one == name) {
            cargo.args(["-p", name]);
        }
    }
    let programs = programs::build(cargo)?;
    let mut env = vec![("BLITZ_TEST_PATIENCE", "10".to_owned())];
    for (variable, options, known) in sanitizer.options {
        let mut options = (*options).to_owned();
        if !known.is_empty() {
            options = format!("{options}:suppressions={}", root.join(known).display());
        }
        env.push((variable, options));
    }
    let setting = Setting {
        env,
        without: sanitizer.without,
        filters: filters.to_vec(),
        limit: LIMIT,
        logs: folder.join("logs"),
        ..Setting::default()
    };
    for (program, filter, reason) in sanitizer.without {
        println!("  without {program} {filter}: {reason}");
    }
    let rows = programs::run(&programs, &setting)?;
    match rows.iter().filter(|row| !row.is_good()).count() {
        0 => Ok(()),
        bad => Err(format!(
            "{bad} of {} test programs are not clean",
            rows.len()
        )),
    }
}

fn names() -> String {
    SANITIZERS.map(|sanitizer| sanitizer.name).join(", ")
}

fn host() -> Result<String, String> {
    let words = Toolchain::CURRENT.rustc(&["-vV"])?;
    let host = words.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc -vV names no host".to_owned())
}

/// Where std comes from, and the compiler's flags.
fn flags(sanitizer: &Sanitizer, host: &str) -> Result<(Std, String), String> {
    let mut flags = format!("-Zsanitizer={}", sanitizer.name);
    let std = if sanitizer.builds_std {
        Std::Sources(toolchain::with_sources()?)
    } else {
        Std::Ready(Toolchain::CURRENT)
    };
    let (Std::Ready(toolchain) | Std::Sources(toolchain)) = &std;
    if !toolchain.has_sanitizer(host, sanitizer.short) {
        // A distribution's compiler comes without the runtime libraries; clang of the same LLVM has them.
        let clang = clang(toolchain)?;
        flags.push_str(&format!(
            " -Zexternal-clangrt -Clinker={clang} -Clink-arg=-fsanitize={}",
            sanitizer.name
        ));
    }
    Ok((std, flags))
}

/// The clang whose runtime libraries fit the compiler's LLVM.
fn clang(toolchain: &Toolchain) -> Result<String, String> {
    let words = toolchain.rustc(&["-vV"])?;
    let major = words
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))
        .and_then(|version| version.split('.').next())
        .unwrap_or_default();
    let name = format!("clang-{major}");
    if run::is_there(&name) {
        return Ok(name);
    }
    Err(format!(
        "{toolchain} has no sanitizer runtime, and {name} is missing: apt-get install {name} libclang-rt-{major}-dev"
    ))
}
