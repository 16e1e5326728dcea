//! Files: what of them is sent, to whom, and what never is.

#[cfg(feature = "compression")]
mod choices;
mod parts;
mod paths;
mod sockets;

use crate::harness::{connect, without_date};
use blitz_http::files::Files;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `Sun, 06 Nov 1994 08:49:37 GMT`, when all files of a [`Tree`] were changed.
const AT: u64 = 784_111_777;
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// A directory `tree` beside which there are things that are not to be served.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Tree {
        let tree = Tree(tempfile::tempdir().expect("a folder"));
        tree.write("a.txt", b"0123456789abcdef");
        std::fs::write(tree.0.path().join("secret"), "secret").unwrap();
        tree
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("tree")
    }

    /// Writes a file whose last change was long ago.
    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it is below")).unwrap();
        std::fs::write(&path, bytes).unwrap();
        set_time(&path, UNIX_EPOCH + Duration::from_secs(AT));
    }

    fn files(&self) -> Files {
        Files::new(self.path()).expect("a directory")
    }
}

fn set_time(path: &Path, at: SystemTime) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(at).unwrap();
}

/// The tag of a file of that time, with so many bytes.
fn tag(len: u64) -> String {
    format!("\"{AT:x}.0-{len:x}\"")
}

/// An answer, taken apart.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn of(bytes: &[u8]) -> Answer {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head: {}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..end + 2].to_vec()).expect("a head is ASCII");
        let body = &bytes[end + 4..];
        let chunked = head.contains("\r\ntransfer-encoding: chunked\r\n");
        Answer {
            status: head[9..12].parse().expect("a status"),
            body: if chunked { joined(body) } else { body.to_vec() },
            head,
        }
    }

    fn field(&self, name: &str) -> Option<&str> {
        let line = self
            .head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::trim)
    }

    #[track_caller]
    fn has(&self, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            assert_eq!(self.field(name), Some(*value), "{name} in {}", self.head);
        }
    }

    #[track_caller]
    fn has_not(&self, names: &[&str]) {
        for name in names {
            assert_eq!(self.field(name), None, "{}", self.head);
        }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("it is text")
    }
}

/// Chunks as one.
fn joined(mut body: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let end = body
            .windows(2)
            .position(|two| two == b"\r\n")
            .expect("a chunk's size");
        let size = std::str::from_utf8(&body[..end]).expect("digits");
        let size = usize::from_str_radix(size, 16).expect("digits");
        body = &body[end + 2..];
        if size == 0 {
            return all;
        }
        all.extend_from_slice(&body[..size]);
        body = &body[size + 2..];
    }
}

/// Asks over a pipe in memory, where files are read.
async fn ask(files: &Files, line: &str, fields: &[(&str, &str)]) -> Answer {
    let mut request = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
    for (name, value) in fields {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut client = connect(files.clone());
    client.send(format!("{request}\r\n")).await;
    let mut bytes = Vec::new();
    blitz_io::io::AsyncReadExt::read_to_end(&mut client.io, &mut bytes)
        .await
        .expect("an answer");
    Answer::of(&bytes)
}
