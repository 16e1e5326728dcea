//! The floor on the ring: the answers of the epoll loop, with what came taken out of buffers that the kernel fills, and one system
//! call for all that a turn sends.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, cqueue, opcode, squeue, types};

#[path = "../../../src/echo/buffers.rs"]
mod buffers;
use buffers::{Buffers, GROUP};

const ACCEPT: u64 = u64::MAX;
/// User data of a send whose failure is told; its success is not.
const SEND: u64 = 1 << 63;
const LENGTH: usize = 4096;

#[derive(Default)]
struct Connection {
    /// What came and is not a whole request yet.
    input: Vec<u8>,
    /// What is on its way out. The kernel has read it once the turn's call is made.
    output: Vec<u8>,
    /// The turn that queued it.
    queued: u64,
}

pub fn serve(workers: usize, addr: SocketAddr) {
    assert_eq!(workers, 1, "one ring has one thread");
    let listener = super::listen(addr);
    let mut ring: IoUring = IoUring::builder()
        .setup_coop_taskrun()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(16_384)
        .build(4096)
        .expect("a ring");
    let mut buffers = Buffers::new(&ring, LENGTH);
    let mut connections: Vec<Connection> = Vec::new();
    let mut date = (0, String::new());
    let push = |ring: &mut IoUring, entry: &squeue::Entry| {
        // SAFETY: what an entry points to lives on: the buffers for ever, an answer until the next one of its connection.
        while unsafe { ring.submission().push(entry) }.is_err() {
            ring.submit().expect("enter");
        }
    };
    let receive = |fd: i32| {
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
    for turn in 1.. {
        ring.submit_and_wait(1).expect("enter");
        batch.extend(ring.completion());
        for cqe in batch.drain(..) {
            let (data, result) = (cqe.user_data(), cqe.result());
            if data == ACCEPT {
                let slot = usize::try_from(result).expect("a connection");
                if connections.len() <= slot {
                    connections.resize_with(slot + 1, Connection::default);
                }
                connections[slot] = Connection::default();
                super::set_nodelay(result);
                push(&mut ring, &receive(result));
            } else if data & SEND != 0 {
                // It has failed: its receive ends too.
            } else if result > 0 {
                let fd = data as i32;
                let id = cqueue::buffer_select(cqe.flags()).expect("a buffer");
                // SAFETY: the kernel has filled so many bytes of it, and it is ours until it is given back.
                let bytes = unsafe { std::slice::from_raw_parts(buffers.at(id), result as usize) };
                let connection = &mut connections[fd as usize];
                if connection.queued == turn {
                    ring.submit().expect("enter");
                }
                connection.queued = turn;
                connection.output.clear();
                if connection.input.is_empty() {
                    let used = super::floor::answer(bytes, &mut connection.output, &mut date);
                    connection.input.extend_from_slice(&bytes[used..]);
                } else {
                    connection.input.extend_from_slice(bytes);
                    let used =
                        super::floor::answer(&connection.input, &mut connection.output, &mut date);
                    connection.input.drain(..used);
                }
                buffers.give_back(id);
                if !connection.output.is_empty() {
                    let (bytes, len) = (connection.output.as_ptr(), connection.output.len());
                    let send = opcode::Send::new(types::Fd(fd), bytes, len as u32)
                        .flags(libc::MSG_WAITALL);
                    let send = send
                        .build()
                        .user_data(SEND)
                        .flags(squeue::Flags::SKIP_SUCCESS);
                    push(&mut ring, &send);
                }
                if !cqueue::more(cqe.flags()) {
                    push(&mut ring, &receive(fd));
                }
            } else if result == -libc::ENOBUFS {
                push(&mut ring, &receive(data as i32));
            } else {
                // SAFETY: the server owns this descriptor and forgets it here.
                unsafe { libc::close(data as i32) };
            }
        }
    }
}
