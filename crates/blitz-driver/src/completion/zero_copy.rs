//! Sends that copy nothing: the buffer comes back with the second answer, the notification.

use std::io::{self, IoSlice};
use std::sync::Arc;

use blitz_io_traits::IoBuf;
use blitz_sys::completion::{Opcode, Sqe, ZC_COPIED};
use blitz_sys::descriptor::AsFd;
use blitz_sys::errno;
use blitz_sys::file::{self, Message, message_flags};

use super::file::{Descriptor, entry_len};
use super::op::{Op, Request};
use super::send_owned::send_owned;
use super::socket::{near, on_the_spot};
use crate::flight::Outcome;
use crate::interest::Interest;
use crate::registration::Registration;
use crate::shared::Handle;

/// Below this a copy costs less than what zero copy needs besides: pages pinned, a second answer.
const ZERO_COPY_MIN: usize = 16 * 1024;

/// What a zero-copy send did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// So many bytes were taken.
    pub len: usize,
    /// The kernel (or the fallback) copied them after all.
    pub is_copied: bool,
}

impl Sent {
    /// What the kernel's answer and its notification say.
    fn of(outcome: Outcome) -> io::Result<Self> {
        let len = outcome.check()? as usize;
        Ok(Self {
            len,
            is_copied: outcome.notice & ZC_COPIED != 0,
        })
    }

    fn copied(len: usize) -> Self {
        Self {
            len,
            is_copied: true,
        }
    }
}

/// Sends `buffer`'s bytes without copying them; the buffer comes back when the network has let go of it.
///
/// For a stream that means when the peer has acknowledged them: worth it for large buffers, several in flight.
pub fn send_zc<F: Descriptor, B: IoBuf>(
    handle: &Handle,
    socket: Arc<F>,
    buffer: B,
) -> Op<SendZc<F, B>> {
    Op::new(handle, SendZc { socket, buffer })
}

/// What [`send_zc`] owns.
pub struct SendZc<F, B> {
    socket: Arc<F>,
    buffer: B,
}

// SAFETY: as for `Send`; the last answer is the notification, until which the table keeps the operation.
unsafe impl<F: Descriptor, B: IoBuf> Request for SendZc<F, B> {
    type Output = (io::Result<Sent>, B);
    const OPCODE: Opcode = Opcode::SEND_ZC;

    fn entry(&mut self) -> Sqe {
        let len = entry_len(self.buffer.bytes_init());
        Sqe::send_zc(
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
        (outcome.and_then(Sent::of), self.buffer)
    }
}

/// Sends the buffers' bytes, one after the other as one message, without copying them; they come back when the network
/// has let go of them.
///
/// More than 1,024 buffers are not taken at once: the result counts the bytes.
pub fn send_zc_vectored<F: Descriptor, B: IoBuf>(
    handle: &Handle,
    socket: Arc<F>,
    buffers: Vec<B>,
) -> Op<SendZcVectored<F, B>> {
    let parts = buffers
        .iter()
        .map(|buffer| (buffer.stable_ptr(), buffer.bytes_init()));
    let message = Message::new(parts);
    Op::new(
        handle,
        SendZcVectored {
            socket,
            buffers,
            message,
        },
    )
}

/// What [`send_zc_vectored`] owns.
pub struct SendZcVectored<F, B> {
    socket: Arc<F>,
    buffers: Vec<B>,
    message: Message,
}

// SAFETY: as for `SendZc`, for each of the buffers; where they lie stands in the message, which is on the heap and ours.
unsafe impl<F: Descriptor, B: IoBuf> Request for SendZcVectored<F, B> {
    type Output = (io::Result<Sent>, Vec<B>);
    const OPCODE: Opcode = Opcode::SENDMSG_ZC;

    fn entry(&mut self) -> Sqe {
        Sqe::sendmsg_zc(
            self.socket.as_raw_fd(),
            self.message.as_ptr(),
            message_flags::NOSIGNAL,
        )
    }

    fn call(&mut self) -> i32 {
        // SAFETY: the message names the buffers' own bytes, which are initialised.
        unsafe { file::send_message(self.socket.as_raw_fd(), &self.message) }
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        (outcome.and_then(Sent::of), self.buffers)
    }
}

/// Sends `buffer`'s bytes without copying them where the kernel can and it pays, else as [`send_owned`].
///
/// # Cancel safety
/// Not safe: what a dropped future has sent is not known.
pub async fn send_zc_owned<B: IoBuf>(
    registration: &Registration,
    mut buffer: B,
) -> (io::Result<Sent>, B) {
    let handle = near(registration);
    let can = handle.features().is_some_and(|features| features.send_zc);
    if can && buffer.bytes_init() >= ZERO_COPY_MIN {
        let (sent, back) = send_zc(&handle, registration.fd().clone(), buffer).await;
        match sent {
            Err(error) if must_be_copied(&error) => buffer = back,
            sent => return (sent, back),
        }
    }
    let (sent, buffer) = send_owned(registration, buffer).await;
    (sent.map(Sent::copied), buffer)
}

/// Sends the buffers' bytes, one after the other as one message, without copying them where the kernel can and it pays,
/// else as `writev` would.
///
/// # Cancel safety
/// Not safe: what a dropped future has sent is not known.
pub async fn send_zc_vectored_owned<B: IoBuf>(
    registration: &Registration,
    mut buffers: Vec<B>,
) -> (io::Result<Sent>, Vec<B>) {
    let handle = near(registration);
    let len = buffers.iter().fold(0_usize, |sum, buffer| {
        sum.saturating_add(buffer.bytes_init())
    });
    if handle.supports(Opcode::SENDMSG_ZC) && len >= ZERO_COPY_MIN {
        let (sent, back) = send_zc_vectored(&handle, registration.fd().clone(), buffers).await;
        match sent {
            Err(error) if must_be_copied(&error) => buffers = back,
            sent => return (sent, back),
        }
    }
    let now = || {
        let parts: Vec<IoSlice<'_>> = buffers
            .iter()
            .map(|buffer| IoSlice::new(buffer.init_bytes()))
            .collect();
        blitz_sys::socket::send_vectored(registration.fd().as_fd(), &parts)
    };
    let sent = match on_the_spot(now).await {
        Some(sent) => sent,
        None => registration.async_io(Interest::WRITABLE, now).await,
    };
    (sent.map(Sent::copied), buffers)
}

/// This kind of socket, or its route, cannot; or so much locked memory is not allowed; or the ring would not wait.
fn must_be_copied(error: &io::Error) -> bool {
    let class = errno::Class::of(error);
    errno::is_unsupported(error)
        || class == errno::Class::RetryWhenReady
        || class == errno::Class::RetryWhenFreed
}
