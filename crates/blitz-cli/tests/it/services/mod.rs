//! The examples that talk: `chat`, `chat_rooms`, `tunnel`, `message_queue`, `pool_postgres` and `pty`, each run for real on every back end.

mod chat;
#[cfg(unix)]
mod chat_rooms;
#[cfg(unix)]
mod databases;
#[cfg(unix)]
mod terminal;
mod tunnel;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use blitz_io::runtime::Backend;

use crate::examples::example;

/// How long anything may take that should take no time.
const GUARD: Duration = Duration::from_secs(60);

/// The back ends to test: the one that the environment names, else both, the first of which may be refused here.
fn backends() -> Vec<&'static str> {
    let both = ["io_uring", "epoll"];
    let chosen = Backend::from_env().expect("one that is known");
    let wanted = both.into_iter().filter(|name| match chosen {
        Some(backend) => backend.to_string() == *name,
        None => works(name),
    });
    let wanted: Vec<_> = wanted.collect();
    assert!(!wanted.is_empty(), "one of them works everywhere");
    wanted
}

fn works(backend: &str) -> bool {
    let output = Command::new(example("message_queue"))
        .args(["--messages", "1"])
        .env("BLITZ_IO_DRIVER", backend)
        .output()
        .expect("it starts");
    if !output.status.success() {
        eprintln!(
            "{backend} is not tested: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    output.status.success()
}

fn command(backend: &str, name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(example(name));
    command.args(words).env("BLITZ_IO_DRIVER", backend);
    command
}

/// A service that says where it listens; ended when the test is over.
struct Service {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Service {
    fn start(backend: &str, name: &str, words: &[&str]) -> Self {
        let mut child = command(backend, name, words)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it says a line");
        let address = line.trim().strip_prefix("listening on ");
        let address = address.expect("where it listens").to_owned();
        Self {
            child,
            stdout,
            address,
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn message_queue_accounts_for_every_message() {
    for backend in backends() {
        let run = |words: &[&str]| {
            let output = command(backend, "message_queue", words)
                .output()
                .expect("it starts");
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{error}");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let numbers = text
                .split(|c: char| !c.is_ascii_digit())
                .filter(|word| !word.is_empty());
            let numbers: Vec<u64> = numbers
                .map(|word| word.parse().expect("a number"))
                .collect();
            assert_eq!(numbers.len(), 5, "{text}");
            numbers
        };
        for (workers, room) in [("1", "1"), ("4", "32"), ("8", "3")] {
            let words = [
                "--messages",
                "2000",
                "--workers",
                workers,
                "--room",
                room,
                "--fail",
                "40",
            ];
            let said = run(&words);
            let [all, at_once, later, dead, waits] = said[..] else {
                unreachable!("there are five");
            };
            assert_eq!((all, at_once + later + dead), (2000, 2000), "{said:?}");
            assert!(at_once > 1000 && later > 300 && dead > 10, "{said:?}");
            assert!(waits > 0, "the producer is slowed down: {said:?}");
        }
        assert_eq!(run(&["--messages", "50", "--fail", "0"])[1..4], [50, 0, 0]);
        assert_eq!(
            run(&["--messages", "50", "--fail", "100"])[1..4],
            [0, 0, 50]
        );
        assert_eq!(run(&["--messages", "0"])[0], 0);
    }
}

#[test]
fn every_one_says_how_it_is_used() {
    for name in ["chat", "tunnel", "message_queue", "pty"] {
        if cfg!(not(unix)) && name == "pty" {
            continue;
        }
        let output = Command::new(example(name))
            .arg("--help")
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{name}");
        assert!(String::from_utf8_lossy(&output.stdout).starts_with(name));
        let output = Command::new(example(name))
            .args(["--no-such", "x"])
            .output()
            .expect("it starts");
        assert!(!output.status.success(), "{name}");
        // In words, on lines of their own. (A terminal has one output.)
        let error = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
        let is_plain = error.starts_with(&format!("{name}: ")) && !error.contains("\\n");
        assert!(
            is_plain && error.contains("--no-such") && error.contains(&format!("\n{name} ")),
            "{error}"
        );
    }
    for (name, words) in [
        ("chat", &["--backlog", "many"][..]),
        ("message_queue", &["--room", "-1"]),
        ("tunnel", &["enter", "--idle", "long"]),
    ] {
        let output = Command::new(example(name))
            .args(words)
            .output()
            .expect("it starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let option = words[words.len() - 2];
        assert!(
            !output.status.success() && error.contains(&format!("{option} wants a number")),
            "{error}"
        );
    }
}
