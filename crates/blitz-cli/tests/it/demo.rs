//! `blitz demo`: what it prints, what it refuses, and how it ends.

use std::process::{Command, Output};

fn blitz(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_blitz"))
        .args(words)
        .output()
        .expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The run succeeded and its output holds every one of `words`.
fn says(output: &Output, words: &[&str]) {
    let out = text(&output.stdout);
    assert!(
        output.status.success(),
        "{}\n{out}\n{}",
        output.status,
        text(&output.stderr)
    );
    for word in words {
        assert!(out.contains(word), "`{word}` in\n{out}");
    }
}

fn refuses(words: &[&str], because: &str) {
    let output = blitz(words);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words:?}: {error}");
    assert!(error.contains(because), "{words:?}: {error}");
}

#[test]
fn echo_reports_throughput_and_latency() {
    let output = blitz(&[
        "demo",
        "echo",
        "--connections",
        "50",
        "--seconds",
        "0.5",
        "--size",
        "100",
    ]);
    says(
        &output,
        &[
            "back end",
            "echoes/s",
            "p50",
            "p99",
            "p99.9",
            "lost        0",
        ],
    );
}

#[test]
fn echo_of_large_messages_comes_back_whole() {
    let output = blitz(&[
        "demo",
        "echo",
        "--connections",
        "4",
        "--seconds",
        "0.3",
        "--size",
        "1000000",
    ]);
    says(&output, &["lost        0"]);
}

#[test]
fn either_back_end_can_be_forced() {
    let output = Command::new(env!("CARGO_BIN_EXE_blitz"))
        .args(["demo", "echo", "--connections", "5", "--seconds", "0.2"])
        .env("BLITZ_IO_DRIVER", "epoll")
        .output()
        .expect("the command starts");
    says(&output, &["back end epoll"]);
}

#[test]
fn soak_with_chaos_ends_where_it_began() {
    let words = [
        "demo",
        "soak",
        "--connections",
        "100",
        "--minutes",
        "0.05",
        "--chaos",
        "--chaos-rate",
        "100",
    ];
    says(&blitz(&words), &["nothing lost, nothing grew"]);
}

#[test]
fn mistakes_say_what_to_do() {
    refuses(&["demo", "ecko"], "there are `echo` and `soak`");
    refuses(&["dance"], "blitz help");
    refuses(&["demo", "echo", "--conections", "5"], "--conections");
    refuses(&["demo", "echo", "--connections", "0"], "above 0");
    refuses(
        &["demo", "echo", "--seconds", "soon"],
        "a number of seconds",
    );
    refuses(&["demo", "echo", "--connections", "100000000"], "at most");
    // Nobody listens on the discard port of this machine.
    refuses(
        &[
            "demo",
            "echo",
            "--addr",
            "127.0.0.1:9",
            "--connections",
            "1",
        ],
        "127.0.0.1:9",
    );
}

#[test]
fn capabilities_say_which_back_end_and_why() {
    says(&blitz(&["capabilities"]), &["back end ", ": "]);
}

#[test]
fn help_lists_the_commands() {
    says(
        &blitz(&["--help"]),
        &["demo echo", "demo soak", "BLITZ_IO_DRIVER"],
    );
    says(
        &blitz(&["demo", "echo", "--help"]),
        &["--connections", "--size", "--seconds"],
    );
    says(
        &blitz(&["demo", "soak", "--help"]),
        &["--minutes", "--chaos"],
    );
}
