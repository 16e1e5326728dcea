//! The floor: an epoll loop that finds the ends of heads, looks at nothing else, and answers what it was asked with one write.
//!
//! It has no limits, no timeouts, no fields and no errors: what a server costs above it is what a server does.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{SystemTime, UNIX_EPOCH};

struct Connection {
    stream: TcpStream,
    /// What came and is not a whole request yet.
    input: Vec<u8>,
}

pub fn serve(workers: usize, addr: SocketAddr) {
    let listener = super::listen(addr);
    listener.set_nonblocking(true).expect("nonblocking");
    let others: Vec<_> = (1..workers)
        .map(|_| {
            let listener = listener.try_clone().expect("a descriptor");
            std::thread::spawn(move || run(&listener))
        })
        .collect();
    run(&listener);
    drop(others);
}

fn add(epoll: &OwnedFd, fd: i32, flags: i32) {
    let mut event = libc::epoll_event {
        events: flags as u32,
        u64: fd as u64,
    };
    // SAFETY: both descriptors are open and the event lives through the call.
    let added = unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) };
    assert_eq!(added, 0, "epoll_ctl");
}

fn run(listener: &TcpListener) {
    // SAFETY: a plain system call.
    let raw = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    assert!(raw >= 0, "epoll_create1");
    // SAFETY: the descriptor was just made and is ours.
    let epoll = unsafe { OwnedFd::from_raw_fd(raw) };
    add(
        &epoll,
        listener.as_raw_fd(),
        libc::EPOLLIN | libc::EPOLLEXCLUSIVE,
    );
    let mut connections: HashMap<i32, Connection> = HashMap::new();
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 1024];
    let mut memory = vec![0; 64 * 1024];
    let mut out = Vec::with_capacity(64 * 1024);
    let mut date = (0, String::new());
    loop {
        // SAFETY: the events' memory lives through the call and is as long as said.
        let n = unsafe {
            libc::epoll_wait(
                epoll.as_raw_fd(),
                events.as_mut_ptr(),
                events.len() as i32,
                -1,
            )
        };
        for event in &events[..n.max(0) as usize] {
            let fd = event.u64 as i32;
            if fd == listener.as_raw_fd() {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true).expect("nonblocking");
                    stream.set_nodelay(true).expect("nodelay");
                    let flags = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET;
                    add(&epoll, stream.as_raw_fd(), flags);
                    let input = Vec::new();
                    connections.insert(stream.as_raw_fd(), Connection { stream, input });
                }
            } else if let Some(connection) = connections.get_mut(&fd)
                && !turn(connection, &mut memory, &mut out, &mut date)
            {
                connections.remove(&fd);
            }
        }
    }
}

/// Reads until there is no more, and answers; false when the connection is over.
fn turn(
    connection: &mut Connection,
    memory: &mut [u8],
    out: &mut Vec<u8>,
    date: &mut (u64, String),
) -> bool {
    loop {
        let n = match connection.stream.read(memory) {
            Ok(0) => return false,
            Ok(n) => n,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        out.clear();
        if connection.input.is_empty() {
            let used = answer(&memory[..n], out, date);
            connection.input.extend_from_slice(&memory[used..n]);
        } else {
            connection.input.extend_from_slice(&memory[..n]);
            let used = answer(&connection.input, out, date);
            connection.input.drain(..used);
        }
        let mut rest = &out[..];
        while !rest.is_empty() {
            match connection.stream.write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                Err(_) => return false,
            }
        }
        if n < memory.len() {
            return true;
        }
    }
}

/// Answers all whole requests; returns how many bytes they were.
pub(super) fn answer(input: &[u8], out: &mut Vec<u8>, date: &mut (u64, String)) -> usize {
    let mut used = 0;
    loop {
        let rest = &input[used..];
        let Some(head) = memchr::memmem::find(rest, b"\r\n\r\n") else {
            return used;
        };
        let end = head + 4;
        if rest.starts_with(b"POST") {
            let length = length(&rest[..end]);
            let Some(body) = rest.get(end..end + length) else {
                return used;
            };
            begin(out, "application/octet-stream", length, date);
            out.extend_from_slice(body);
            used += end + length;
        } else if rest.starts_with(b"GET /json") {
            let body = super::json();
            begin(out, "application/json", body.len(), date);
            out.extend_from_slice(&body);
            used += end;
        } else {
            begin(out, "text/plain", super::HELLO.len(), date);
            out.extend_from_slice(super::HELLO.as_bytes());
            used += end;
        }
    }
}

fn begin(out: &mut Vec<u8>, kind: &str, length: usize, date: &mut (u64, String)) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    if date.0 != now {
        *date = (now, blitz_http_proto::HttpDate::from_unix(now).to_string());
    }
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-type: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\r\ncontent-length: ");
    if length < 100 {
        out.extend_from_slice(&[b'0' + (length / 10) as u8, b'0' + (length % 10) as u8]);
    } else {
        write!(out, "{length}").expect("a vector grows");
    }
    out.extend_from_slice(b"\r\ndate: ");
    out.extend_from_slice(date.1.as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
}

fn length(head: &[u8]) -> usize {
    let text = std::str::from_utf8(head).unwrap_or_default();
    let field = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    field
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}
