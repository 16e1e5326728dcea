//! What changes a process for good (a seccomp filter, a limit, a fork) happens in a child: this test binary again,
//! with one ignored test picked by name.

use std::process::Command;

/// This test program, started by what `BLITZ_TEST_RUNNER` names where the machine cannot start it by itself.
pub(crate) fn own_program() -> Command {
    let own = std::env::current_exe().unwrap();
    let runner = std::env::var("BLITZ_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    match words.next() {
        Some(first) => {
            let mut command = Command::new(first);
            command.args(words).arg(own);
            command
        }
        None => Command::new(own),
    }
}

/// Runs the ignored test `name` alone in a process of its own.
#[track_caller]
pub(crate) fn run(name: &str, environment: &[(&str, &str)]) {
    let output = own_program()
        .args([
            "--exact",
            name,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{name} in a child: {}\n{text}\n{errors}",
        output.status
    );
}
