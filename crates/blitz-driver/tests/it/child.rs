//! What changes a process for good (a seccomp filter, a limit, a fork) happens in a child: this test binary again,
//! with one ignored test picked by name.

use std::process::Command;

/// Runs the ignored test `name` alone in a process of its own.
#[track_caller]
pub(crate) fn run(name: &str, environment: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
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
