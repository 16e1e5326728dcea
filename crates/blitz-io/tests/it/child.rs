//! Tests that need a process of their own: its descriptors, its limits, its signals.

use std::process::{Command, Output, Stdio};

/// Runs the ignored test `name` alone in a child process, after the shell commands in `setup`; what it said.
///
/// `BLITZ_TEST_RUNNER` names what starts it where the machine cannot by itself.
pub(crate) fn run(setup: &str, name: &str) -> String {
    let output = command(setup, name).output().unwrap();
    check(name, &output);
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The same for a test that takes minutes where there has to be patience: there it says how far it is while it runs, so that its
/// words are there if it is ended from outside.
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    expect(dead_code, reason = "of `faults`, which is for systems with rings")
)]
pub(crate) fn run_long(name: &str) {
    let mut command = command("", name);
    if std::env::var_os("BLITZ_TEST_PATIENCE").is_some() {
        command.stderr(Stdio::inherit());
    }
    let output = command.output().unwrap();
    check(name, &output);
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
}

/// What starts it.
pub(crate) fn command(setup: &str, name: &str) -> Command {
    let exe = std::env::current_exe().unwrap();
    let script = format!(
        "{setup}\nexec $BLITZ_TEST_RUNNER \"$0\" --exact \"$1\" --ignored --nocapture --test-threads=1"
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(&exe).arg(name);
    command
}

fn check(name: &str, output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{name} in a child: {}\n{text}\n{errors}",
        output.status
    );
}

/// How many descriptors this process has open.
pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/dev/fd").unwrap().count()
}

/// What they are: `7 -> anon_inode:[eventpoll]`.
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    expect(dead_code, reason = "of `faults`, which is for systems with rings")
)]
pub(crate) fn names_of_descriptors() -> Vec<String> {
    let entries = std::fs::read_dir("/dev/fd").unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        let number = entry.file_name().into_string().unwrap();
        let of = std::fs::read_link(entry.path());
        of.map_or_else(
            |gone| format!("{number}: {gone}"),
            |of| format!("{number} -> {}", of.display()),
        )
    };
    entries.map(name).collect()
}
