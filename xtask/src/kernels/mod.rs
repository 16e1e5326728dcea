//! `xtask kernels`: the tests of the floors that meet the kernel, on other kernels than this machine's.
//!
//! The test programs are linked statically and put into one initramfs beside busybox; qemu starts a kernel with it, the
//! guest's init runs one program after the other and prints how each ended, and this side reads that off the serial
//! line. Without hardware acceleration, since a machine of a cloud rarely has it: a boot costs three seconds.

pub(crate) mod fetch;
pub(crate) mod initramfs;

use crate::Outcome;
use crate::loom::target;
use crate::programs::{self, Chosen, Counts, Group, Program, Row};
use crate::run::{self, End};
use fetch::{KERNELS, Kernel};
use initramfs::Archive;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The crates whose tests meet the kernel; those of `blitz-sync` sleep in it, under executors of others too.
const CRATES: [&str; 5] = [
    "blitz-sys",
    "blitz-driver",
    "blitz-sync",
    "blitz-http",
    "blitz-io",
];
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// How long the tests of one module may take in the guest; they are ended there.
const GROUP_SECONDS: u64 = 1800;
/// How long a guest may take in all.
const GUEST_LIMIT: Duration = Duration::from_secs(90 * 60);
/// Variables of this side that the tests see in the guest, too.
const PASSED_ON: [&str; 3] = ["BLITZ_IO_DRIVER", "BLITZ_FAULT_SEED", "BLITZ_FAULT_SEEDS"];
/// Words that begin a line of the guest's init.
const BEGIN: &str = "@@begin ";
const END: &str = "@@end ";
const ALL_DONE: &str = "@@done";
/// How a test says that it could test nothing here, and why.
const SKIPPED: &str = "skipped: ";

pub(crate) fn main(root: &Path, args: &[String]) -> Outcome {
    let (names, filters) = programs::split(args);
    let kernels = chosen(names)?;
    let busybox = needs()?;
    let folder = target(root).join("kernels");
    let cannot = |error| format!("{} cannot be written: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(cannot)?;
    let images = kernels
        .iter()
        .map(|kernel| fetch::image(*kernel, &folder))
        .collect::<Result<Vec<_>, _>>()?;
    let mut suites = Vec::new();
    let crates = programs::crates(&CRATES, filters);
    for program in build(root, &folder, &crates)? {
        let wants = |test: &str| programs::passes(filters, &program.name, test);
        let chosen = program.chosen(&[], wants)?;
        if !chosen.groups.is_empty() {
            suites.push((program, chosen));
        }
    }
    let archive = folder.join("initramfs");
    fs::write(&archive, file_system(&busybox, &suites)?).map_err(cannot)?;
    let mut bad = 0;
    for (kernel, image) in kernels.iter().zip(images) {
        let log = folder.join(format!("{}.log", kernel.name));
        let mut qemu = guest(&image, &archive, &log);
        let (end, words) = run::limited(&mut qemu, GUEST_LIMIT)?;
        let guest = read(&words);
        let release = guest.release.as_deref().unwrap_or("it did not start");
        println!("\nLinux {}: {release}", kernel.name);
        for row in guest.sums(&suites) {
            println!("  {row}");
        }
        for (_, row, words) in guest.rows.iter().filter(|(_, row, _)| !row.is_good()) {
            println!("{}\n{}", row.name, failures(words));
            println!("    all of it: {}", log.display());
        }
        for (reason, count) in &guest.skipped {
            println!("  skipped in {count} places: {reason}");
        }
        let groups: usize = suites.iter().map(|(_, chosen)| chosen.groups.len()).sum();
        let whole = guest.is_done && end == End::Passed && guest.rows.len() == groups;
        if !whole {
            println!("  the guest ended before its tests:");
            println!("{}", run::tail(&words, 60));
        }
        if !whole || guest.rows.iter().any(|(_, row, _)| !row.is_good()) {
            bad += 1;
        }
    }
    match bad {
        0 => Ok(()),
        _ => Err(format!("{bad} of {} kernels have failures", kernels.len())),
    }
}

fn chosen(names: &[String]) -> Result<Vec<Kernel>, String> {
    if names.is_empty() || names == ["all"] {
        return Ok(KERNELS.to_vec());
    }
    names
        .iter()
        .map(|name| {
            KERNELS
                .into_iter()
                .find(|kernel| kernel.name == name)
                .ok_or_else(|| {
                    let known = KERNELS.map(|kernel| kernel.name).join(" ");
                    format!("no kernel is called `{name}`; these are known: {known} all")
                })
        })
        .collect()
}

/// The shell of the guest; what is missing on this machine is said with the package that brings it.
pub(crate) fn needs() -> Result<Vec<u8>, String> {
    if std::env::consts::ARCH != "x86_64" {
        return Err("the guests run x86_64 programs, and this machine builds others".to_owned());
    }
    if !run::is_there("qemu-system-x86_64") {
        return Err("qemu-system-x86_64 is missing: apt-get install qemu-system-x86".to_owned());
    }
    let places = ["/bin/busybox", "/usr/bin/busybox"];
    places
        .iter()
        .find_map(|place| fs::read(place).ok())
        .filter(|bytes| is_static(bytes))
        .ok_or_else(|| "a static busybox is missing: apt-get install busybox-static".to_owned())
}

/// A dynamic program names its loader.
fn is_static(program: &[u8]) -> bool {
    !program
        .windows(b"/ld-linux".len())
        .take(4096)
        .any(|part| part == b"/ld-linux")
}

fn build(root: &Path, folder: &Path, crates: &[&str]) -> Result<Vec<Program>, String> {
    println!("kernels: building the tests of {}", crates.join(" "));
    let mut cargo = Command::new("cargo");
    // With a target named, build scripts and macros are not linked statically too, which they must not be.
    cargo
        .args(["test", "--no-run", "--lib", "--tests"])
        .args(["--message-format=json", "--target", TARGET])
        .current_dir(root)
        .env("CARGO_TARGET_DIR", folder)
        // Lines, for the tests that name code by them, whatever is set for other builds; no more, since all of it
        // goes into the guest's memory.
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    for name in crates {
        cargo.args(["-p", name]);
    }
    programs::build(cargo)
}

/// A program with what is run of it.
type Suite = (Program, Chosen);

fn file_system(busybox: &[u8], suites: &[Suite]) -> Result<Vec<u8>, String> {
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "etc", "proc", "sys", "tmp", "tests"] {
        archive.folder(folder);
    }
    archive.program("bin/busybox", busybox);
    archive.text("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
    archive.text(
        "etc/passwd",
        "root:x:0:0:root:/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
    );
    archive.text("etc/group", "root:x:0:\nnogroup:x:65534:\n");
    for (program, chosen) in suites {
        let bytes = fs::read(&program.path)
            .map_err(|error| format!("{} cannot be read: {error}", program.path.display()))?;
        archive.program(&place(program), &bytes);
        for group in &chosen.groups {
            archive.text(&names(program, group), &group.tests.join("\n"));
        }
    }
    archive.program("init", init(suites).as_bytes());
    Ok(archive.end())
}

/// Where a program stands in the guest.
fn place(program: &Program) -> String {
    format!("tests/{}", program.name.replace('/', "-"))
}

/// Where the names of a group's tests stand there.
fn names(program: &Program, group: &Group) -> String {
    format!("{}.{}", place(program), group.name)
}

/// The guest's first process.
fn init(suites: &[Suite]) -> String {
    let mut script = String::from(
        "#!/bin/busybox sh\n\
         /bin/busybox --install -s /bin\n\
         export PATH=/bin HOME=/tmp TMPDIR=/tmp RUST_BACKTRACE=1 BLITZ_TEST_PATIENCE=10\n\
         mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev\n\
         mount -t tmpfs -o size=600m tmp /tmp\n\
         ln -s /proc/self/fd /dev/fd; ip link set lo up; ulimit -n 16384; cd /tmp\n\
         echo \"@@release $(uname -r)\"\n",
    );
    for name in PASSED_ON {
        if let Ok(value) = std::env::var(name) {
            script.push_str(&format!("export {name}='{}'\n", value.replace('\'', "")));
        }
    }
    for (program, chosen) in suites {
        let place = place(program);
        for group in &chosen.groups {
            let names = names(program, group);
            script.push_str(&format!(
                "echo '{BEGIN}{} {}'; begun=$(date +%s)\n\
                 timeout -s KILL {GROUP_SECONDS} /{place} --show-output --exact $(cat /{names}) 2>&1\n\
                 code=$?; echo; echo \"{END}$code $(( $(date +%s) - begun ))\"\n",
                program.name, group.name
            ));
        }
    }
    // Power off by force: there is no other init to ask.
    script.push_str(&format!("echo {ALL_DONE}\nsync\npoweroff -f\n"));
    script
}

/// Its serial line comes to this side, and into `log` as it is written: so that who waits sees how far the guest is.
fn guest(image: &Path, archive: &Path, log: &Path) -> Command {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-M", "pc", "-accel", "tcg", "-cpu", "max", "-smp", "2"])
        .args(["-m", "2G", "-nodefaults", "-display", "none"])
        .arg("-chardev")
        // A comma ends an option, and two stand for one.
        .arg(format!(
            "stdio,id=line,logfile={}",
            log.display().to_string().replace(',', ",,")
        ))
        .args(["-serial", "chardev:line", "-no-reboot"])
        .args([
            "-append",
            "console=ttyS0 quiet loglevel=3 panic=-1 no_timer_check",
        ])
        .arg("-kernel")
        .arg(image)
        .arg("-initrd")
        .arg(archive);
    qemu
}

/// What a guest printed, taken apart.
#[derive(Debug, Default)]
struct Guest {
    release: Option<String>,
    /// The program, what a group of its tests came to, and its words.
    rows: Vec<(String, Row, String)>,
    /// Why tests tested nothing, and how often each reason was given.
    skipped: Vec<(String, usize)>,
    is_done: bool,
}

fn read(words: &str) -> Guest {
    let mut guest = Guest::default();
    let mut open: Option<(String, String)> = None;
    for line in words.lines().map(|line| line.trim_end_matches('\r')) {
        if let Some(release) = line.strip_prefix("@@release ") {
            guest.release = Some(release.to_owned());
        } else if let Some(name) = line.strip_prefix(BEGIN) {
            open = Some((name.to_owned(), String::new()));
        } else if line == ALL_DONE {
            guest.is_done = true;
        } else if let (Some(end), Some((name, words))) = (line.strip_prefix(END), &open) {
            let program = name.split(' ').next().unwrap_or(name).to_owned();
            guest
                .rows
                .push((program, row(name, words, end), words.clone()));
            open = None;
        } else if let Some((_, words)) = &mut open {
            words.push_str(line);
            words.push('\n');
            if let Some((_, reason)) = line.split_once(SKIPPED) {
                guest.skip(reason);
            }
        }
    }
    guest
}

impl Guest {
    /// A row for each program.
    fn sums(&self, suites: &[Suite]) -> Vec<Row> {
        let sum = |(program, chosen): &Suite| {
            let mut sum = Row {
                name: program.name.clone(),
                counts: Counts {
                    left_out: chosen.left_out,
                    ..Counts::default()
                },
                seconds: 0,
                failure: String::new(),
            };
            let rows = self.rows.iter().filter(|(name, ..)| *name == program.name);
            let mut failures = Vec::new();
            for (_, row, _) in rows {
                sum.counts.join(row.counts);
                sum.seconds += row.seconds;
                if let Some((_, group)) = row.name.split_once(' ').filter(|_| !row.is_good()) {
                    failures.push(format!("{group} {}", row.failure));
                }
            }
            sum.failure = failures.join(", ");
            sum
        };
        suites.iter().map(sum).collect()
    }

    fn skip(&mut self, reason: &str) {
        match self.skipped.iter_mut().find(|(known, _)| known == reason) {
            Some((_, count)) => *count += 1,
            None => self.skipped.push((reason.to_owned(), 1)),
        }
    }
}

/// What libtest prints of the tests that failed, which it repeats at the end.
fn failures(words: &str) -> String {
    let from = words.find("\nfailures:\n").unwrap_or(0);
    run::tail(&words[from..], 120)
}

fn row(name: &str, words: &str, end: &str) -> Row {
    let mut counts = Counts::default();
    counts.add(words);
    let (code, seconds) = end.split_once(' ').unwrap_or((end, ""));
    Row {
        name: name.to_owned(),
        counts,
        seconds: seconds.parse().unwrap_or(0),
        failure: match code {
            "0" if counts.results > 0 => String::new(),
            "0" => "says nothing of tests".to_owned(),
            "137" => format!("was not done within {GROUP_SECONDS} s, or killed"),
            code => format!("failed with {code}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "noise\r\n@@release 6.1.0\r\n@@begin blitz-sys/lib errno\r\nrunning 2 tests\r\nskipped: no futex operations\r\n\
        test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\r\n\r\n@@end 0 3\r\n\
        @@begin blitz-io/it net\r\ntest result: FAILED. 1 passed; 1 failed; 0 ignored\r\n@@end 101 7\r\n";

    #[test]
    fn a_guests_words_become_rows() {
        let guest = read(&format!("{WORDS}@@done\r\n"));
        assert_eq!(guest.release.as_deref(), Some("6.1.0"));
        assert!(guest.is_done);
        let rows: Vec<_> = guest.rows.iter().map(|(_, row, _)| row).collect();
        assert_eq!(rows[0].counts.passed, 2);
        assert_eq!(rows[0].seconds, 3);
        assert!(rows[0].is_good());
        assert_eq!(rows[1].failure, "failed with 101");
        assert_eq!(guest.skipped, [("no futex operations".to_owned(), 1)]);
        let sums = guest.sums(&[suite("blitz-io/it", "net"), suite("blitz-sys/lib", "errno")]);
        assert_eq!(sums[0].failure, "net failed with 101");
        assert_eq!((sums[0].counts.failed, sums[0].seconds), (1, 7));
        assert_eq!((sums[1].counts.passed, sums[1].is_good()), (2, true));
    }

    fn suite(program: &str, group: &str) -> Suite {
        let program = Program {
            name: program.to_owned(),
            path: "/a".into(),
            folder: "/".into(),
        };
        let group = Group {
            name: group.to_owned(),
            tests: vec![format!("{group}::a")],
        };
        let chosen = Chosen {
            groups: vec![group],
            left_out: 0,
        };
        (program, chosen)
    }

    #[test]
    fn a_guest_that_dies_is_not_done() {
        let cut = WORDS.split("@@end 101").next().expect("a first part");
        let guest = read(cut);
        assert!(!guest.is_done);
        assert_eq!(guest.rows.len(), 1);
    }

    #[test]
    fn unknown_kernels_are_named_back() {
        assert!(chosen(&["7.0".to_owned()]).is_err());
        assert_eq!(chosen(&["all".to_owned()]), Ok(KERNELS.to_vec()));
        assert_eq!(chosen(&["6.1".to_owned()]), Ok(vec![KERNELS[1]]));
    }

    #[test]
    fn the_guests_init_keeps_the_exit_code_of_each_group() {
        let script = init(&[suite("a/it", "net")]);
        assert!(
            script.contains(
                "/tests/a-it --show-output --exact $(cat /tests/a-it.net) 2>&1\ncode=$?;"
            )
        );
        assert!(script.contains("@@end $code "));
    }
}
