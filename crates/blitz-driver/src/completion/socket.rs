//! Operations on sockets.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use blitz_core::budget;
use blitz_io_traits::{IoBuf, IoBufMut};
use blitz_sys::completion::{Opcode, Sqe};
use blitz_sys::descriptor::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use blitz_sys::errno;
use blitz_sys::file::{self, message_flags, socket_flags};
use blitz_sys::readiness::{bits, mask_for};
use blitz_sys::socket::SockAddr;

use super::file::{Descriptor, entry_len};
use super::op::{Op, Request};
use crate::current;
use crate::flight::Outcome;
use crate::interest::Interest;
use crate::registration::Registration;
use crate::shared::Handle;

/// The driver to submit to: this thread's, if it is of the same runtime.
pub(super) fn near(registration: &Registration) -> Handle {
    let home = registration.home();
    let here = current::with(|here| here.is_sibling(home).then(|| here.clone()));
    here.flatten().unwrap_or_else(|| home.clone())
}

/// Receives into `buffer`; zero bytes are the end of the stream.
///
/// With `poll_first` the kernel waits for readiness before its first try: for a socket just found empty.
pub fn receive<F: Descriptor, B: IoBufMut>(
    handle: &Handle,
    socket: Arc<F>,
    buffer: B,
    poll_first: bool,
) -> Op<Receive<F, B>> {
    Op::new(
        handle,
        Receive {
            socket,
            buffer,
            // Older kernels refuse the flag: they try once in vain, and wait then.
            poll_first: poll_first && handle.features().is_some_and(|found| found.poll_first),
        },
    )
}

/// What [`receive`] owns.
pub struct Receive<F, B> {
    socket: Arc<F>,
    buffer: B,
    poll_first: bool,
}

// SAFETY: the entry names the buffer's bytes, which `IoBufMut` keeps in place and to itself, and the socket, which
// stays open with our `Arc`.
unsafe impl<F: Descriptor, B: IoBufMut> Request for Receive<F, B> {
    type Output = (io::Result<usize>, B);
    const OPCODE: Opcode = Opcode::RECV;

    fn entry(&mut self) -> Sqe {
        let len = entry_len(self.buffer.bytes_total());
        let sqe = Sqe::recv(
            self.socket.as_raw_fd(),
            self.buffer.stable_mut_ptr(),
            len,
            0,
        );
        if self.poll_first {
            sqe.poll_first()
        } else {
            sqe
        }
    }

    fn call(&mut self) -> i32 {
        let (ptr, len) = (self.buffer.stable_mut_ptr(), self.buffer.bytes_total());
        // SAFETY: the bytes are the buffer's own, which we hold alone.
        unsafe { file::receive(self.socket.as_raw_fd(), ptr, len) }
    }

    fn finish(mut self, outcome: io::Result<Outcome>) -> Self::Output {
        let result = outcome.and_then(Outcome::check).map(|n| n as usize);
        if let Ok(n) = result {
            // SAFETY: the kernel has written so many bytes.
            unsafe { self.buffer.set_init(n) };
        }
        (result, self.buffer)
    }
}

/// Sends `buffer`'s bytes, as many as the socket takes.
pub fn send<F: Descriptor, B: IoBuf>(handle: &Handle, socket: Arc<F>, buffer: B) -> Op<Send<F, B>> {
    Op::new(handle, Send { socket, buffer })
}

/// What [`send`] owns.
pub struct Send<F, B> {
    socket: Arc<F>,
    buffer: B,
}

// SAFETY: as for `Receive`, and the kernel only reads.
unsafe impl<F: Descriptor, B: IoBuf> Request for Send<F, B> {
    type Output = (io::Result<usize>, B);
    const OPCODE: Opcode = Opcode::SEND;

    fn entry(&mut self) -> Sqe {
        let len = entry_len(self.buffer.bytes_init());
        Sqe::send(
            self.socket.as_raw_fd(),
            self.buffer.stable_ptr(),
            len,
            message_flags::NOSIGNAL,
        )
    }

    fn call(&mut self) -> i32 {
        let (ptr, len) = (self.buffer.stable_ptr(), self.buffer.bytes_init());
        // SAFETY: the bytes are the buffer's own and initialised.
        unsafe { file::send(self.socket.as_raw_fd(), ptr, len) }
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        (
            outcome.and_then(Outcome::check).map(|n| n as usize),
            self.buffer,
        )
    }
}

/// Accepts one connection: a non-blocking socket, closed on exec.
///
/// A socket that was accepted for a dropped future is closed. For many see [`Accepts`](super::Accepts).
pub fn accept<F: Descriptor>(handle: &Handle, listener: Arc<F>) -> Op<Accept<F>> {
    Op::new(handle, Accept { listener })
}

/// What [`accept`] owns.
pub struct Accept<F> {
    listener: Arc<F>,
}

// SAFETY: the entry names no memory, and the listener stays open with our `Arc`.
unsafe impl<F: Descriptor> Request for Accept<F> {
    type Output = io::Result<OwnedFd>;
    const OPCODE: Opcode = Opcode::ACCEPT;

    fn entry(&mut self) -> Sqe {
        Sqe::accept(self.listener.as_raw_fd(), socket_flags::NEW)
    }

    fn call(&mut self) -> i32 {
        -errno::ENOSYS
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        let number = outcome.and_then(Outcome::check)?;
        // SAFETY: the kernel made the descriptor for this operation, and nobody else has seen it.
        Ok(unsafe { OwnedFd::from_raw_fd(number as i32) })
    }

    fn orphan(self, outcome: Outcome) {
        drop(self.finish(Ok(outcome)));
    }
}

/// Connects `socket` to `address`.
///
/// A connect that was begun goes on in the kernel even if its operation was interrupted, or ended with the thread that submitted
/// it. Then the end of that one is waited for.
pub fn connect<F: Descriptor + AsFd>(
    handle: &Handle,
    socket: Arc<F>,
    address: SockAddr,
) -> Op<Connect<F>> {
    Op::new(
        handle,
        Connect {
            socket,
            address: Box::new(address),
            asks: Asks::First,
        },
    )
}

/// What [`connect`] owns.
pub struct Connect<F> {
    socket: Arc<F>,
    address: Box<SockAddr>,
    asks: Asks,
}

/// What a connect asks the kernel for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    /// To connect.
    First,
    /// The same once more: whether the first time began anything is not known.
    Again,
    /// It did: to be told when the socket is connected or has failed.
    Writable,
}

// SAFETY: the entry names the boxed address, which stands on the heap and is ours.
unsafe impl<F: Descriptor + AsFd> Request for Connect<F> {
    type Output = io::Result<()>;
    const OPCODE: Opcode = Opcode::CONNECT;

    fn entry(&mut self) -> Sqe {
        let socket = self.socket.as_raw_fd();
        if self.asks == Asks::Writable {
            return Sqe::poll(socket, mask_for(bits::WRITABLE));
        }
        let address = &self.address;
        Sqe::connect(socket, address.as_ptr().cast(), address.len() as usize)
    }

    fn is_undone(&mut self, result: i32) -> bool {
        if errno::is_undone(result) {
            if self.asks == Asks::First {
                self.asks = Asks::Again;
            }
            return true;
        }
        let is_under_way = self.asks == Asks::Again && result == -errno::EALREADY;
        if is_under_way {
            self.asks = Asks::Writable;
        }
        is_under_way
    }

    fn call(&mut self) -> i32 {
        -errno::ENOSYS
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        let answer = outcome.and_then(Outcome::check);
        match (self.asks, answer) {
            (Asks::Again, Err(error)) if error.raw_os_error() == Some(errno::EISCONN) => Ok(()),
            (Asks::Writable, Ok(_)) => {
                let failed = blitz_sys::socket::take_error(self.socket.as_fd())?;
                failed.map_or(Ok(()), Err)
            }
            (_, answer) => answer.map(drop),
        }
    }
}

/// Ends one direction of a connection, or both, as `how` of `shutdown(2)` says.
pub fn shut_down<F: Descriptor>(handle: &Handle, socket: Arc<F>, how: i32) -> Op<ShutDown<F>> {
    Op::new(handle, ShutDown { socket, how })
}

/// What [`shut_down`] owns.
pub struct ShutDown<F> {
    socket: Arc<F>,
    how: i32,
}

// SAFETY: the entry names no memory, and the socket stays open with our `Arc`.
unsafe impl<F: Descriptor> Request for ShutDown<F> {
    type Output = io::Result<()>;
    const OPCODE: Opcode = Opcode::SHUTDOWN;

    fn entry(&mut self) -> Sqe {
        Sqe::shutdown(self.socket.as_raw_fd(), self.how)
    }

    fn call(&mut self) -> i32 {
        file::shutdown(self.socket.as_raw_fd(), self.how)
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        outcome.and_then(Outcome::check).map(drop)
    }
}

/// Waits once until one of the `events` of `poll(2)` holds; resolves to those that do.
pub fn poll<F: Descriptor>(handle: &Handle, source: Arc<F>, events: u32) -> Op<Poll<F>> {
    Op::new(handle, Poll { source, events })
}

/// What [`poll`] owns.
pub struct Poll<F> {
    source: Arc<F>,
    events: u32,
}

// SAFETY: the entry names no memory, and the source stays open with our `Arc`.
unsafe impl<F: Descriptor> Request for Poll<F> {
    type Output = io::Result<u32>;
    const OPCODE: Opcode = Opcode::POLL_ADD;

    fn entry(&mut self) -> Sqe {
        Sqe::poll(self.source.as_raw_fd(), self.events)
    }

    fn call(&mut self) -> i32 {
        -errno::ENOSYS
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        outcome.and_then(Outcome::check)
    }
}

/// Moves up to `len` bytes between a pipe and something else, within the kernel.
///
/// The kernel gives every such entry to a thread of its own, whatever it moves: for sockets the readiness face and
/// `splice(2)` on the spot are the better way, and this one is for what may block, such as files.
pub fn splice<F: Descriptor, G: Descriptor>(
    handle: &Handle,
    from: (Arc<F>, Option<u64>),
    to: (Arc<G>, Option<u64>),
    len: usize,
) -> Op<Splice<F, G>> {
    Op::new(handle, Splice { from, to, len })
}

/// What [`splice`] owns.
pub struct Splice<F, G> {
    from: (Arc<F>, Option<u64>),
    to: (Arc<G>, Option<u64>),
    len: usize,
}

// SAFETY: the entry names no memory, and both ends stay open with our `Arc`s.
unsafe impl<F: Descriptor, G: Descriptor> Request for Splice<F, G> {
    type Output = io::Result<usize>;
    const OPCODE: Opcode = Opcode::SPLICE;

    fn entry(&mut self) -> Sqe {
        let (from, to) = (self.from.0.as_raw_fd(), self.to.0.as_raw_fd());
        let offset = |offset: Option<u64>| offset.unwrap_or(u64::MAX);
        Sqe::splice(
            from,
            offset(self.from.1),
            to,
            offset(self.to.1),
            entry_len(self.len),
            0,
        )
    }

    fn call(&mut self) -> i32 {
        file::splice(
            self.from.0.as_raw_fd(),
            self.from.1,
            self.to.0.as_raw_fd(),
            self.to.1,
            self.len,
        )
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        outcome.and_then(Outcome::check).map(|n| n as usize)
    }
}

/// Receives into `buffer`, on whatever the driver has: what is there is taken on the spot, else the ring waits for
/// it, else readiness.
///
/// Takes one unit of the task's budget if it does not wait.
///
/// # Cancel safety
/// Not safe: bytes that came while the future was dropped are lost with the buffer.
pub async fn receive_owned<B: IoBufMut>(
    registration: &Registration,
    mut buffer: B,
) -> (io::Result<usize>, B) {
    let now = |buffer: &mut B| {
        let (ptr, len) = (buffer.stable_mut_ptr(), buffer.bytes_total());
        // SAFETY: the bytes are the buffer's own, which we hold alone.
        errno::check(unsafe { file::receive(registration.fd().as_raw_fd(), ptr, len) })
    };
    let received = match on_the_spot(|| now(&mut buffer)).await {
        Some(received) => received,
        None => {
            let handle = near(registration);
            if handle.supports(Opcode::RECV) {
                let fd = registration.fd().clone();
                let (received, back) = receive(&handle, fd, buffer, true).await;
                if !matches!(&received, Err(error) if is_not_ready(error)) {
                    return (received, back);
                }
                buffer = back;
            }
            registration
                .async_io(Interest::READABLE, || now(&mut buffer))
                .await
        }
    };
    let result = received.map(|n| n as usize);
    if let Ok(n) = result {
        // SAFETY: the kernel has written so many bytes.
        unsafe { buffer.set_init(n) };
    }
    (result, buffer)
}

/// The ring would not wait: readiness is to. Seen of sockets that do not block, on some kernels.
pub(super) fn is_not_ready(error: &io::Error) -> bool {
    errno::Class::of(error) == errno::Class::RetryWhenReady
}

/// Tries `call` within the task's budget, so that a socket which never blocks does not keep its task running for ever.
pub(super) async fn on_the_spot<R>(call: impl FnOnce() -> io::Result<R>) -> Option<io::Result<R>> {
    let coop = poll_fn(budget::poll_proceed).await;
    match call() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        done => {
            coop.made_progress();
            Some(done)
        }
    }
}
