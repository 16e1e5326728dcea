//! The examples: each does what its first lines say.
//!
//! `cargo test` builds the examples beside this test, so they are found next to the command.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

fn example(name: &str) -> PathBuf {
    let command = PathBuf::from(env!("CARGO_BIN_EXE_blitz"));
    let folder = command.parent().expect("the command stands in a folder");
    let path = folder
        .join("examples")
        .join(name)
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "{} is not built: `cargo test -p blitz-cli` builds it",
        path.display()
    );
    path
}

/// A running example; it is ended when the test is over, however that ends.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(name: &str, words: &[&str]) -> Self {
        let mut child = Command::new(example(name))
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("its output is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says a line");
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .expect("where it listens")
            .to_owned();
        Running { child, address }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends `bytes`, closes, and gives what came back.
fn exchange(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    let mut reader = stream.try_clone().expect("a second handle");
    let receiving = std::thread::spawn(move || {
        let mut back = Vec::new();
        reader.read_to_end(&mut back).expect("the answer comes");
        back
    });
    stream.write_all(bytes).expect("the server reads");
    stream
        .shutdown(Shutdown::Write)
        .expect("the connection is open");
    receiving.join().expect("the receiving thread ends")
}

#[test]
fn echo_server_sends_back_what_comes_on_every_flavor() {
    for flavor in ["multi", "current", "per-core"] {
        let server = Running::start(
            "echo_server",
            &["--addr", "127.0.0.1:0", "--flavor", flavor],
        );
        let bytes: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        assert!(exchange(&server.address, &bytes) == bytes, "{flavor}");
    }
}

#[cfg(unix)]
#[test]
fn echo_server_ends_well_on_sigterm_and_ctrl_c() {
    for signal in ["TERM", "INT"] {
        let mut server = Running::start("echo_server", &["--addr", "127.0.0.1:0"]);
        let id = server.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .expect("kill starts");
        assert!(sent.success());
        let status = server.child.wait().expect("it ends");
        assert!(status.success(), "{signal}: {status}");
    }
}

#[test]
fn echo_server_names_a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it has an address").to_string();
    let output = Command::new(example("echo_server"))
        .args(["--addr", &address])
        .output()
        .expect("it starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(error.contains(&address), "{error}");
}

#[test]
fn proxy_joins_both_ways() {
    let server = Running::start("echo_server", &["--addr", "127.0.0.1:0"]);
    let proxy = Running::start(
        "proxy",
        &["--listen", "127.0.0.1:0", "--to", &server.address],
    );
    let bytes: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    assert!(exchange(&proxy.address, &bytes) == bytes);
}

#[test]
fn file_copy_copies_every_byte_and_names_a_missing_file() {
    let folder = std::env::temp_dir().join(format!("blitz-file-copy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder of our own");
    let (from, to) = (folder.join("from"), folder.join("to"));
    let bytes: Vec<u8> = (0..700_001u32).map(|k| (k % 251) as u8).collect();
    std::fs::write(&from, &bytes).expect("the source is written");
    let output = Command::new(example("file_copy"))
        .args([&from, &to])
        .output()
        .expect("it starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(std::fs::read(&to).expect("the copy is there") == bytes);

    let missing = folder.join("missing");
    let output = Command::new(example("file_copy"))
        .args([&missing, &to])
        .output()
        .expect("it starts");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("missing"));
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}

#[test]
fn timers_prints_what_it_measured() {
    let output = Command::new(example("timers")).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("none early"),
        "{text}"
    );
}
