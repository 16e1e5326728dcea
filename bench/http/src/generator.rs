//! The load of `bench/web`, and here where wrk is missing: an epoll loop that keeps one batch of requests in flight on each connection.
//!
//! All answers of a server to one request are equally long, so the first one is read with care and the others are counted.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::ask::{Done, Load};

struct Connection {
    stream: TcpStream,
    /// Bytes of the batch that have not gone.
    unsent: usize,
    /// Bytes of its answers that have not come.
    uncome: usize,
}

/// Connections that ask. They stay open between two runs, so that a second one measures no beginning.
pub struct Generator {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// What is sent at once, and how many requests that is.
    batch: Vec<u8>,
    depth: usize,
    /// How long the answers to a batch are.
    answers: usize,
}

impl Generator {
    /// Connects; the first requests go when it runs.
    pub fn connect(load: &Load, addr: SocketAddr) -> Result<Generator, String> {
        let one = load.request(addr);
        let answers = answer_length(&one, addr)? * load.depth;
        let batch = one.repeat(load.depth);
        let told = |error: std::io::Error| error.to_string();
        // SAFETY: a plain system call.
        let raw = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        assert!(raw >= 0, "epoll_create1");
        // SAFETY: the descriptor was just made and is ours.
        let epoll = unsafe { OwnedFd::from_raw_fd(raw) };
        let mut connections = Vec::with_capacity(load.connections);
        for index in 0..load.connections {
            let stream = TcpStream::connect(addr).map_err(told)?;
            stream.set_nodelay(true).map_err(told)?;
            stream.set_nonblocking(true).map_err(told)?;
            let mut event = libc::epoll_event {
                events: (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET) as u32,
                u64: index as u64,
            };
            let (epoll, fd) = (epoll.as_raw_fd(), stream.as_raw_fd());
            // SAFETY: both descriptors are open and the event lives through the call.
            let added = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) };
            assert_eq!(added, 0, "epoll_ctl");
            connections.push(Connection {
                stream,
                unsent: batch.len(),
                uncome: answers,
            });
        }
        Ok(Generator {
            epoll,
            connections,
            batch,
            depth: load.depth,
            answers,
        })
    }

    /// Asks for so long. What is under way at the end comes to the next run.
    pub fn run(&mut self, time: Duration) -> Result<Done, String> {
        let told = |error: std::io::Error| error.to_string();
        let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 1024];
        let mut memory = vec![0; 256 * 1024];
        let (begun, mut requests) = (Instant::now(), 0);
        while begun.elapsed() < time {
            // SAFETY: the events' memory lives through the call and is as long as said.
            let n = unsafe {
                libc::epoll_wait(
                    self.epoll.as_raw_fd(),
                    events.as_mut_ptr(),
                    events.len() as i32,
                    100,
                )
            };
            for event in &events[..n.max(0) as usize] {
                let connection = &mut self.connections[event.u64 as usize];
                loop {
                    send(connection, &self.batch).map_err(told)?;
                    if !receive(connection, &mut memory).map_err(told)? {
                        break;
                    }
                    requests += self.depth;
                    connection.unsent = self.batch.len();
                    connection.uncome = self.answers;
                }
            }
        }
        Ok(Done {
            requests: requests as f64,
            seconds: begun.elapsed().as_secs_f64(),
        })
    }
}

fn send(connection: &mut Connection, batch: &[u8]) -> std::io::Result<()> {
    while connection.unsent > 0 {
        match connection
            .stream
            .write(&batch[batch.len() - connection.unsent..])
        {
            Ok(n) => connection.unsent -= n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// `true` when all answers of the batch are here.
fn receive(connection: &mut Connection, memory: &mut [u8]) -> std::io::Result<bool> {
    loop {
        match connection.stream.read(memory) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) if n > connection.uncome => return Err(ErrorKind::InvalidData.into()),
            Ok(n) => {
                connection.uncome -= n;
                if connection.uncome == 0 {
                    return Ok(true);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// Asks once; returns how long the answer is, head and body.
pub fn answer_length(request: &[u8], addr: SocketAddr) -> Result<usize, String> {
    let told = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(addr).map_err(told)?;
    let guard = Some(Duration::from_secs(20));
    stream.set_read_timeout(guard).map_err(told)?;
    stream.write_all(request).map_err(told)?;
    let (mut bytes, mut memory) = (Vec::new(), [0; 4096]);
    loop {
        let n = stream.read(&mut memory).map_err(told)?;
        if n == 0 {
            return Err("the connection ended".to_owned());
        }
        bytes.extend_from_slice(&memory[..n]);
        if let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            if !head.starts_with("http/1.1 200") {
                return Err(head.lines().next().unwrap_or_default().to_owned());
            }
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"));
            let length: Option<usize> = length.and_then(|length| length.trim().parse().ok());
            let length = length.ok_or("an answer without its length")?;
            return Ok(end + 4 + length);
        }
    }
}
