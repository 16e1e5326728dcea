//! The load: a raw epoll loop, the same for every server, with one message in flight on each connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

struct Connection {
    socket: TcpStream,
    /// Bytes of the present echo that have come back.
    got: usize,
    /// Bytes of the present message that are not sent yet.
    unsent: usize,
}

/// All connections of one cell.
pub struct Client {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    message: Vec<u8>,
    scratch: Vec<u8>,
    events: Vec<libc::epoll_event>,
    begun: bool,
}

impl Client {
    pub fn connect(address: SocketAddr, count: usize, size: usize) -> Self {
        // SAFETY: plain system call.
        let raw = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        assert!(raw >= 0, "epoll_create1");
        // SAFETY: the descriptor was just made and is ours.
        let epoll = unsafe { OwnedFd::from_raw_fd(raw) };
        let connections = (0..count)
            .map(|i| {
                let socket = connect_patiently(address);
                socket.set_nodelay(true).expect("nodelay");
                socket.set_nonblocking(true).expect("nonblocking");
                let mut event = libc::epoll_event {
                    events: (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET) as u32,
                    u64: i as u64,
                };
                // SAFETY: both descriptors are open and the event lives through the call.
                let result = unsafe {
                    libc::epoll_ctl(
                        epoll.as_raw_fd(),
                        libc::EPOLL_CTL_ADD,
                        socket.as_raw_fd(),
                        &mut event,
                    )
                };
                assert_eq!(result, 0, "epoll_ctl");
                Connection {
                    socket,
                    got: 0,
                    unsent: 0,
                }
            })
            .collect();
        Self {
            epoll,
            connections,
            message: (0..size).map(|i| i as u8).collect(),
            scratch: vec![0; size.max(65_536)],
            events: vec![libc::epoll_event { events: 0, u64: 0 }; 1024],
            begun: false,
        }
    }

    /// Echoes for `time`; returns how many came back and how long that took in truth.
    pub fn run(&mut self, time: Duration) -> (u64, Duration) {
        let started = Instant::now();
        if !std::mem::replace(&mut self.begun, true) {
            for i in 0..self.connections.len() {
                self.send_next(i);
            }
        }
        let mut echoes = 0;
        while started.elapsed() < time {
            for i in self.wait(100) {
                if self.advance(i) {
                    echoes += 1;
                    self.send_next(i);
                }
            }
        }
        (echoes, started.elapsed())
    }

    /// One echo on each connection, then silence.
    pub fn once_each(&mut self) {
        for i in 0..self.connections.len() {
            self.send_next(i);
        }
        let mut left = self.connections.len();
        let started = Instant::now();
        while left > 0 {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "{left} connections got no answer in 30 s"
            );
            for i in self.wait(1000) {
                left -= usize::from(self.advance(i));
            }
        }
    }

    fn wait(&mut self, timeout_ms: i32) -> Vec<usize> {
        // SAFETY: the events' memory lives through the call and is as long as said.
        let n = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                self.events.len() as i32,
                timeout_ms,
            )
        };
        self.events[..n.max(0) as usize]
            .iter()
            .map(|event| event.u64 as usize)
            .collect()
    }

    fn send_next(&mut self, i: usize) {
        let connection = &mut self.connections[i];
        connection.got = 0;
        connection.unsent = self.message.len();
        self.push(i);
    }

    fn push(&mut self, i: usize) {
        let connection = &mut self.connections[i];
        while connection.unsent > 0 {
            match connection
                .socket
                .write(&self.message[self.message.len() - connection.unsent..])
            {
                Ok(n) => connection.unsent -= n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) => panic!("send: {e}"),
            }
        }
    }

    /// Takes in what has come; true when the echo is whole.
    fn advance(&mut self, i: usize) -> bool {
        self.push(i);
        let size = self.message.len();
        let connection = &mut self.connections[i];
        while connection.got < size {
            match connection.socket.read(&mut self.scratch) {
                Ok(0) => panic!("the server closed a connection"),
                Ok(n) => {
                    let start = connection.got;
                    assert_eq!(
                        self.scratch[..n],
                        self.message[start..start + n],
                        "the echo differs"
                    );
                    connection.got += n;
                    if connection.got == size {
                        return true;
                    }
                    if n < self.scratch.len() && n < size - start {
                        return false;
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return false,
                Err(e) => panic!("receive: {e}"),
            }
        }
        false
    }
}

/// Connects, waiting a little where the server's backlog is short.
fn connect_patiently(address: SocketAddr) -> TcpStream {
    let started = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(socket) => return socket,
            Err(e) => assert!(started.elapsed() < Duration::from_secs(20), "connect: {e}"),
        }
    }
}

/// One connection that reads whatever comes.
pub struct Drain(TcpStream);

impl Drain {
    pub fn connect(address: SocketAddr) -> Self {
        Self(connect_patiently(address))
    }

    pub fn run(&mut self, time: Duration) -> (u64, Duration) {
        let (started, mut bytes, mut scratch) = (Instant::now(), 0, vec![0; 1 << 20]);
        while started.elapsed() < time {
            let n = self.0.read(&mut scratch).expect("receive");
            assert!(n > 0, "the server closed the connection");
            bytes += n as u64;
        }
        (bytes, started.elapsed())
    }
}
