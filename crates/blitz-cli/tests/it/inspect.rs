//! `blitz top` and `blitz dump` against a running server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::examples::example;

/// The echo server, with a socket to read it from, and a connection that waits.
struct Server {
    child: Child,
    folder: tempfile::TempDir,
    _connection: TcpStream,
}

impl Server {
    fn start(driver: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder of our own");
        let mut child = Command::new(example("echo_server"))
            .args(["--addr", "127.0.0.1:0", "--workers", "2"])
            .env("BLITZ_IO_INSPECT", folder.path().join("socket"))
            .env("BLITZ_IO_DRIVER", driver)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("it is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says a line");
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .expect("where it listens");
        let mut connection = TcpStream::connect(address).expect("it accepts");
        connection.write_all(b"hello").expect("it reads");
        connection.read_exact(&mut [0; 5]).expect("it echoes");
        Self {
            child,
            folder,
            _connection: connection,
        }
    }

    fn path(&self) -> String {
        let path: PathBuf = self.folder.path().join("socket");
        path.to_str().expect("it is text").to_owned()
    }

    fn blitz(&self, words: &[&str]) -> Output {
        let path = self.path();
        let words: Vec<&str> = words
            .iter()
            .map(|word| if *word == "SOCKET" { &path } else { *word })
            .collect();
        blitz(&words)
    }

    /// What the command prints; it succeeds.
    #[track_caller]
    fn says(&self, words: &[&str]) -> String {
        let output = self.blitz(words);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {error}");
        String::from_utf8(output.stdout).expect("it prints text")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn blitz(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_blitz"))
        .args(words)
        .stdin(Stdio::null())
        .output()
        .expect("the command starts")
}

#[track_caller]
fn refuses(words: &[&str], because: &str) {
    let output = blitz(words);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words:?}: {error}");
    assert!(error.contains(because), "`{because}` in {error}");
}

/// The back ends that this machine allows.
fn drivers() -> Vec<&'static str> {
    let mut drivers = vec!["epoll"];
    let output = Command::new(env!("CARGO_BIN_EXE_blitz"))
        .arg("capabilities")
        .env("BLITZ_IO_DRIVER", "io_uring")
        .output();
    if output.is_ok_and(|output| output.status.success()) {
        drivers.push("io_uring");
    }
    drivers
}

#[test]
fn one_view_shows_workers_rings_and_tasks() {
    for driver in drivers() {
        let server = Server::start(driver);
        let text = server.says(&["top", "SOCKET", "--once", "--interval", "0.1"]);
        for word in [
            "echo_server",
            "multi_thread",
            driver,
            "worker",
            "busy",
            "ring",
            "turns/s",
            "spawned at",
            "echo_server.rs",
        ] {
            assert!(text.contains(word), "`{word}` in\n{text}");
        }
    }
}

#[test]
fn the_figures_of_one_view_are_json() {
    for driver in drivers() {
        let server = Server::start(driver);
        let text = server.says(&["top", "SOCKET", "--once", "--json", "--interval", "0.1"]);
        let figures: Value = serde_json::from_str(&text).expect("one object");
        assert!(
            figures["seconds"]
                .as_f64()
                .is_some_and(|seconds| seconds >= 0.1)
        );
        assert_eq!(figures["runtime"]["process"], server.child.id());
        assert_eq!(figures["workers"].as_array().map(Vec::len), Some(2));
        assert_eq!(figures["rings"][1]["backend"], driver);
        assert!(figures["rings"][0]["per_second"].is_object());
        // The task that accepts, and the connection's.
        let tasks = figures["sites"].as_array().expect("a list").iter();
        assert_eq!(
            tasks.filter_map(|site| site["tasks"].as_u64()).sum::<u64>(),
            2,
            "{text}"
        );
    }
}

#[test]
fn a_dump_names_what_each_task_waits_for() {
    for driver in drivers() {
        let server = Server::start(driver);
        let text = server.says(&["dump", "SOCKET"]);
        assert!(text.contains(": 2 tasks"), "{text}");
        assert_eq!(
            text.lines()
                .filter(|line| line.starts_with("task "))
                .count(),
            2,
            "{text}"
        );
        assert!(text.contains("examples/echo_server.rs:"), "{text}");
        let json = server.says(&["dump", "SOCKET", "--json"]);
        let lines: Vec<Value> = json
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert!(lines[0]["runtime"].is_object());
        assert_eq!(
            lines
                .iter()
                .filter(|line| line["task"]["state"].is_string())
                .count(),
            2,
            "{json}"
        );
    }
}

#[test]
fn traces_show_the_stacks_of_each_task() {
    for driver in drivers() {
        let server = Server::start(driver);
        let text = server.says(&["dump", "SOCKET", "--traces", "--within", "10000"]);
        let below = text
            .split_once("\ntask ")
            .map_or("", |(_, below)| below)
            .lines()
            .filter(|line| line.starts_with("      "));
        assert!(
            below
                .filter(|frame| frame.contains("examples/echo_server.rs:"))
                .count()
                >= 2,
            "{text}"
        );
        let json = server.says(&["dump", "SOCKET", "--traces", "--limit=1", "--json"]);
        assert_eq!(json.matches("\"stacks\":").count(), 1, "{json}");
    }
}

#[test]
fn what_is_no_socket_of_ours_is_told_plainly() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let path = |name: &str| {
        folder
            .path()
            .join(name)
            .to_str()
            .expect("it is text")
            .to_owned()
    };
    for command in ["top", "dump"] {
        refuses(&[command, &path("missing")], "BLITZ_IO_INSPECT");
        refuses(&[command], "a socket's path");
        refuses(&[command, "x", "--frobnicate"], "--frobnicate");
        drop(UnixListener::bind(path(command)).expect("a socket"));
        refuses(&[command, &path(command)], "has ended");
    }
    let foreign = UnixListener::bind(path("foreign")).expect("a socket");
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = foreign.accept().expect("the command connects");
        stream
            .write_all(b"220 hello from mail\r\n")
            .expect("it reads");
        // Until the command has gone.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    refuses(&["dump", &path("foreign")], "no blitz-io runtime");
    answers.join().expect("it ends");
}

#[test]
fn a_live_view_needs_a_terminal() {
    let server = Server::start("epoll");
    let output = server.blitz(&["top", "SOCKET"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("--once"), "{error}");
    let error = server.blitz(&["top", "SOCKET", "--json"]);
    assert!(String::from_utf8_lossy(&error.stderr).contains("--once"));
}

#[test]
fn help_is_there() {
    for command in ["top", "dump", "doctor"] {
        let output = blitz(&[command, "--help"]);
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("usage: blitz"));
    }
}
