//! The project's own commands: `cargo run -p xtask -- tidy`, `loom`, `weaken`,
//! `kernels`, `cross`, `sanitize`, `fuzz`, `autobahn`, `bench`, `cost`, `conformance`.
//!
//! Each command stands in a module of its own; what they share is [`source`], which splits a Rust
//! file into code and comments, and [`run`], which starts child processes.
#![forbid(unsafe_code)]

mod autobahn;
mod bench;
mod conformance;
mod cost;
mod cross;
mod fuzz;
mod kernels;
mod loom;
mod patched;
mod programs;
mod run;
mod sanitize;
mod source;
mod tidy;
mod toolchain;
mod weaken;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
The project's own commands.

usage: cargo run -p xtask -- COMMAND [OPTIONS]

  tidy                     checks the tree against the rules of ARCHITECTURE.md and STYLE.md
  loom [CRATE…]            runs the loom models (default: every crate that has some)
  weaken [OPTIONS]         weakens each atomic ordering one step; a model has to fail
      --minutes N          stop after N minutes and keep what was found (default 60)
      --only TEXT,…        only orderings whose file path, or path:line, contains one of these
      --fresh              ask again, whatever is kept
      --report             write docs/weaken.md from the kept results, run nothing
  patched                  a program with the README's patch line runs hyper on what was committed last
  kernels [NAME…] [-- FILTER…]
                           runs the tests of blitz-sys, -driver, -sync, -http and -io on other Linux kernels, under
                           qemu: 5.10, 6.1, 6.12, newest or all (default: all); a filter is part of a test's name,
                           or of blitz-io/it::net_udp::its_name; cross and sanitize take filters too
  cross [NAME…]            tests on other machines (aarch64 i686 s390x musl), type checks for other systems
                           (windows mac-x86_64 mac-aarch64 freebsd); default: all
      --quick              type checks alone, for the targets whose std is installed
  sanitize NAME [CRATE…]   runs the tests of the runtime crates under a sanitizer: address, leak or thread
  fuzz [TARGET…]           runs the fuzz targets: requests, chunks, responses, events, proxies, json,
                           websocket, websocket_handshake, websocket_deflate (default: all)
      --seconds N          each for N seconds (default 30)
  autobahn                 has both ends of the WebSocket judged by Autobahn's test suite; skipped without Python 2.7
      --cases PATTERN,…    these alone, such as 12.*
      --python PATH        a Python 2.7; else PYTHON27, the path and pyenv are looked at
      --programs DIR       where both programs are; else they are built
      --report             writes the summary into docs/websocket.md
  elsewhere                kernels, cross and each sanitizer, one after the other, whatever fails
  bench [client|http|web|ws] [ARGS]  runs bench/ or one of the folders in it, and prints one table; the arguments are passed on
      --check              compares the ratios of this run with the kept ones
  cost [ROW…]              counts what is always on, in instructions, with it and without it (needs valgrind)
                           --with-kernel: the kernel's too, in a guest (needs qemu-system-x86 and busybox-static)
      --parts              and part by part
  conformance [ARGS]       runs tokio's own tests on blitz-io and on tokio, and writes docs/conformance.md
      --tenth              a fixed tenth of them, on blitz-io alone; --help has the rest
  conformance programs [PACKAGE…]
                           tests the programs of the ecosystem on both back ends
";

/// What a command ends with: an error is printed, and the exit code is 1.
pub(crate) type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest = args.get(1..).unwrap_or_default();
    let outcome = match args.first().map(String::as_str) {
        Some("tidy") => tidy::main(&root()),
        Some("loom") => loom::main(&root(), rest),
        Some("weaken") => weaken::main(&root(), rest),
        Some("kernels") => kernels::main(&root(), rest),
        Some("cross") => cross::main(&root(), rest),
        Some("sanitize") => sanitize::main(&root(), rest),
        Some("patched") => patched::main(&root()),
        Some("fuzz") => fuzz::main(&root(), rest),
        Some("autobahn") => autobahn::main(&root(), rest),
        Some("elsewhere") => elsewhere(&root()),
        Some("bench") => bench::main(&root(), rest),
        Some("cost") => cost::main(&root(), rest),
        Some("conformance") => conformance::main(&root(), rest),
        Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => Err(format!("no command is called `{other}`\n\n{HELP}")),
        None => Err(format!("which command?\n\n{HELP}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that proves the runtime elsewhere than on this machine as it is.
fn elsewhere(root: &Path) -> Outcome {
    let runs: [(&str, Outcome); 5] = [
        ("kernels", kernels::main(root, &[])),
        ("cross", cross::main(root, &[])),
        (
            "sanitize address",
            sanitize::main(root, &["address".to_owned()]),
        ),
        ("sanitize leak", sanitize::main(root, &["leak".to_owned()])),
        (
            "sanitize thread",
            sanitize::main(root, &["thread".to_owned()]),
        ),
    ];
    println!();
    for (name, outcome) in &runs {
        match outcome {
            Ok(()) => println!("{name}: passed"),
            Err(why) => println!("{name}: {why}"),
        }
    }
    match runs.iter().filter(|(_, outcome)| outcome.is_err()).count() {
        0 => Ok(()),
        bad => Err(format!("{bad} of {} did not pass", runs.len())),
    }
}

/// The root of the repository: the folder above this crate.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).unwrap_or(here)
}
