//! The floor: the same echo without any runtime, on epoll and on the ring with leased buffers.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use super::buffers::{Buffers, GROUP};

fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    // std's backlog is short for thousands of connections at once; listening again only lengthens it.
    // SAFETY: plain system call on a listening socket.
    unsafe { libc::listen(listener.as_raw_fd(), 4096) };
    listener
}

/// Edge-triggered epoll, `recv` and `send`, one buffer for all.
pub fn epoll(size: usize, ready: impl FnOnce(SocketAddr)) {
    let listener = listen();
    listener.set_nonblocking(true).expect("nonblocking");
    ready(listener.local_addr().expect("bound"));
    // SAFETY: plain system call.
    let raw = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    // SAFETY: the descriptor was just made and is ours.
    let epoll = unsafe { OwnedFd::from_raw_fd(raw) };
    let add = |fd: RawFd, flags: i32| {
        let mut event = libc::epoll_event {
            events: flags as u32,
            u64: fd as u64,
        };
        // SAFETY: both descriptors are open and the event lives through the call.
        assert_eq!(
            unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) },
            0
        );
    };
    add(listener.as_raw_fd(), libc::EPOLLIN);
    let mut sockets: HashMap<RawFd, TcpStream> = HashMap::new();
    let mut memory = vec![0; (2 * size).max(1024)];
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 1024];
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
            let fd = event.u64 as RawFd;
            if fd == listener.as_raw_fd() {
                while let Ok((socket, _)) = listener.accept() {
                    socket.set_nonblocking(true).expect("nonblocking");
                    socket.set_nodelay(true).expect("nodelay");
                    add(
                        socket.as_raw_fd(),
                        libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET,
                    );
                    sockets.insert(socket.as_raw_fd(), socket);
                }
            } else if let Some(socket) = sockets.get_mut(&fd)
                && !echo(socket, &mut memory)
            {
                sockets.remove(&fd);
            }
        }
    }
}

/// Echoes until the socket is empty; false when the connection is over.
fn echo(socket: &mut TcpStream, memory: &mut [u8]) -> bool {
    loop {
        match socket.read(memory) {
            Ok(0) => return false,
            Ok(n) => {
                let mut rest = &memory[..n];
                while !rest.is_empty() {
                    match socket.write(rest) {
                        Ok(sent) => rest = &rest[sent..],
                        Err(e) if e.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                        Err(_) => return false,
                    }
                }
                if n < memory.len() {
                    return true;
                }
            }
            Err(e) => return e.kind() == ErrorKind::WouldBlock,
        }
    }
}

const ACCEPT: u64 = u64::MAX;
/// User data of a send: the buffer it borrows in the upper half, the socket in the lower.
const SEND: u64 = 1 << 63;

/// Multishot receive into a buffer ring, send from there, one enter a turn.
pub fn ring(size: usize, ready: impl FnOnce(SocketAddr)) {
    let listener = listen();
    ready(listener.local_addr().expect("bound"));
    let mut ring: IoUring = IoUring::builder()
        .setup_coop_taskrun()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(16_384)
        .build(4096)
        .expect("a ring");
    let length = size.max(1024);
    let mut buffers = Buffers::new(&ring, length);
    let push = |ring: &mut IoUring, entry: &squeue::Entry| {
        // SAFETY: what an entry points to (the buffer ring's memory) lives as long as the process serves.
        while unsafe { ring.submission().push(entry) }.is_err() {
            ring.submit().expect("enter");
        }
    };
    let receive = |fd: RawFd| {
        opcode::RecvMulti::new(types::Fd(fd), GROUP)
            .build()
            .user_data(fd as u64)
    };
    push(
        &mut ring,
        &opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd()))
            .build()
            .user_data(ACCEPT),
    );
    let mut batch: Vec<cqueue::Entry> = Vec::with_capacity(16_384);
    loop {
        ring.submit_and_wait(1).expect("enter");
        batch.extend(ring.completion());
        for cqe in batch.drain(..) {
            let (data, result) = (cqe.user_data(), cqe.result());
            if data == ACCEPT {
                if result >= 0 {
                    set_nodelay(result);
                    push(&mut ring, &receive(result));
                }
            } else if data & SEND != 0 {
                buffers.give_back((data >> 32 & 0xffff) as u16);
            } else {
                let fd = data as RawFd;
                if result > 0 {
                    let id = cqueue::buffer_select(cqe.flags()).expect("a buffer");
                    let data = SEND | u64::from(id) << 32 | fd as u64;
                    push(
                        &mut ring,
                        &opcode::Send::new(types::Fd(fd), buffers.at(id), result as u32)
                            .build()
                            .user_data(data),
                    );
                    if !cqueue::more(cqe.flags()) {
                        push(&mut ring, &receive(fd));
                    }
                } else if result == -libc::ENOBUFS {
                    push(&mut ring, &receive(fd));
                } else {
                    // SAFETY: the server owns this descriptor and forgets it here.
                    unsafe { libc::close(fd) };
                }
            }
        }
    }
}

fn set_nodelay(fd: RawFd) {
    let on: libc::c_int = 1;
    // SAFETY: the option's value lives through the call.
    unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_NODELAY,
            (&raw const on).cast(),
            size_of_val(&on) as u32,
        )
    };
}
