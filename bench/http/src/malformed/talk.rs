//! One message, sent on a connection of its own, and what comes back.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What a server made of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The statuses of its answers, in order.
    pub statuses: Vec<u16>,
    /// Something came that is no answer.
    pub noise: bool,
    /// It closed the connection.
    pub closed: bool,
    /// Of a response that a client took: the bytes of its body.
    pub body: Option<usize>,
}

/// How long nothing may come before nothing is expected any more.
const SILENCE: Duration = Duration::from_millis(700);
/// Longer than any server here lingers.
const GUARD: Duration = Duration::from_secs(20);

impl Outcome {
    /// Requests that were taken; a refusal ends them.
    pub fn taken(&self) -> usize {
        self.statuses
            .iter()
            .take_while(|status| !is_refusal(**status))
            .count()
    }

    /// The status by which it was refused.
    pub fn refused(&self) -> Option<u16> {
        self.statuses
            .iter()
            .copied()
            .find(|status| is_refusal(*status))
    }

    /// Whether two servers read the same messages, and refused the same: by whatever status.
    pub fn means_the_same(&self, other: &Outcome) -> bool {
        self.taken() == other.taken()
            && self.ends_in_refusal() == other.ends_in_refusal()
            && self.body == other.body
    }

    /// Whether it would have nothing more: by a status, or by an end without one.
    fn ends_in_refusal(&self) -> bool {
        self.refused().is_some() || self.noise || (self.closed && self.statuses.is_empty())
    }
}

/// The judge answers 200, and 405 to CONNECT; all else is a server's own.
fn is_refusal(status: u16) -> bool {
    status >= 400 && status != 405
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(body) = self.body {
            return match self.statuses.first() {
                Some(status) => write!(f, "{status}, {body} bytes"),
                None => f.write_str("refused"),
            };
        }
        let mut parts: Vec<String> = self.statuses.iter().map(u16::to_string).collect();
        if self.noise {
            parts.push("no HTTP/1".to_owned());
        }
        match (self.closed, parts.is_empty()) {
            (true, true) => parts.push("closed".to_owned()),
            (false, true) => parts.push("waits".to_owned()),
            (true, false) => parts.push("closed".to_owned()),
            (false, false) => {}
        }
        f.write_str(&parts.join(" "))
    }
}

pub fn send(addr: SocketAddr, bytes: &[u8]) -> Outcome {
    let mut stream = TcpStream::connect(addr).expect("the server listens");
    stream.set_nodelay(true).expect("a fresh socket");
    // Reading while writing: a server that refuses may close before all has gone.
    let mut writer = stream.try_clone().expect("a descriptor");
    let owned = bytes.to_vec();
    // Whether all of it went is the server's affair.
    let writing = std::thread::spawn(move || drop(writer.write_all(&owned)));
    stream
        .set_read_timeout(Some(SILENCE))
        .expect("a fresh socket");
    let (mut came, mut memory, mut closed) = (Vec::new(), [0; 4096], false);
    let begun = Instant::now();
    while begun.elapsed() < GUARD {
        match stream.read(&mut memory) {
            Ok(0) => {
                closed = true;
                break;
            }
            Ok(n) => came.extend_from_slice(&memory[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => {
                closed = true;
                break;
            }
        }
    }
    // Ends a write that nobody reads.
    let _ = stream.shutdown(std::net::Shutdown::Both);
    writing.join().expect("no panic");
    let (statuses, noise) = answers(&came);
    Outcome {
        statuses,
        noise,
        closed,
        body: None,
    }
}

/// The statuses of the answers, and whether something else stands between them.
fn answers(mut bytes: &[u8]) -> (Vec<u16>, bool) {
    let mut statuses = Vec::new();
    while !bytes.is_empty() {
        let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
            return (statuses, true);
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let status = head
            .strip_prefix("http/1.1 ")
            .or_else(|| head.strip_prefix("http/1.0 "))
            .and_then(|text| text.get(..3)?.parse().ok());
        let Some(status) = status else {
            return (statuses, true);
        };
        statuses.push(status);
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length
            .and_then(|length| length.trim().parse().ok())
            .unwrap_or(0);
        bytes = bytes.get(end + 4 + length..).unwrap_or_default();
    }
    (statuses, false)
}
