//! Sending a buffer that the send owns, on whatever the driver has.
//!
//! Nearly always the socket takes the bytes on the spot. So the futures here are written by hand and small, an idle task
//! holds no room for more, and what is needed when the socket is full is made then.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use blitz_core::budget;
use blitz_io_traits::IoBuf;
use blitz_sys::completion::Opcode;
use blitz_sys::descriptor::AsFd;

use super::socket::{is_not_ready, near, send};
use crate::interest::Interest;
use crate::registration::Registration;

/// Sends `buffer`'s bytes, as many as the socket takes, on whatever the driver has.
///
/// Takes one unit of the task's budget if it does not wait.
///
/// # Cancel safety
/// Not safe: what a dropped future has sent is not known.
pub fn send_owned<B: IoBuf>(registration: &Registration, buffer: B) -> SendOwned<'_, B> {
    SendOwned {
        registration,
        buffer: Some(buffer),
        sent: 0,
        slow: None,
    }
}

/// Sends all of `buffer`'s bytes: as [`send_owned`], time and again. `WriteZero` if the socket takes nothing more.
///
/// # Cancel safety
/// Not safe: what a dropped future has sent is not known.
pub fn send_all_owned<B: IoBuf>(registration: &Registration, buffer: B) -> SendAllOwned<'_, B> {
    SendAllOwned(send_owned(registration, buffer))
}

/// The future of [`send_owned`].
#[must_use = "futures do nothing unless awaited"]
pub struct SendOwned<'a, B> {
    registration: &'a Registration,
    /// With the slow send meanwhile.
    buffer: Option<B>,
    sent: usize,
    slow: Option<Slow<'a, B>>,
}

/// The future of [`send_all_owned`].
#[must_use = "futures do nothing unless awaited"]
pub struct SendAllOwned<'a, B>(SendOwned<'a, B>);

type Slow<'a, B> = Pin<Box<dyn Future<Output = (io::Result<usize>, B)> + Send + 'a>>;

impl<B: IoBuf> SendOwned<'_, B> {
    /// Sends once from where it stands.
    fn poll_once(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.slow.is_none() {
            let coop = ready!(budget::poll_proceed(cx));
            let buffer = self.buffer.take().expect("polled after it was ready");
            match self.send_now(&buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let slow = send_slowly(self.registration, buffer, self.sent);
                    self.slow = Some(Box::pin(slow));
                }
                done => {
                    coop.made_progress();
                    self.buffer = Some(buffer);
                    return Poll::Ready(done);
                }
            }
        }
        let slow = self.slow.as_mut().expect("made above, or before");
        let (sent, buffer) = ready!(slow.as_mut().poll(cx));
        self.slow = None;
        self.buffer = Some(buffer);
        Poll::Ready(sent)
    }

    fn send_now(&self, buffer: &B) -> io::Result<usize> {
        let rest = &buffer.init_bytes()[self.sent..];
        blitz_sys::socket::send(self.registration.fd().as_fd(), rest)
    }

    fn finish<R>(&mut self, result: R) -> Poll<(R, B)> {
        let buffer = self.buffer.take().expect("polled after it was ready");
        Poll::Ready((result, buffer))
    }
}

/// Waits for room: in the ring where it can send, else for readiness.
async fn send_slowly<B: IoBuf>(
    registration: &Registration,
    mut buffer: B,
    from: usize,
) -> (io::Result<usize>, B) {
    let handle = near(registration);
    if handle.supports(Opcode::SEND) {
        let end = buffer.bytes_init();
        let rest = buffer.slice(from..end);
        let (sent, rest) = send(&handle, registration.fd().clone(), rest).await;
        buffer = rest.into_inner();
        if !matches!(&sent, Err(error) if is_not_ready(error)) {
            return (sent, buffer);
        }
    }
    loop {
        if let Err(error) = registration.ready(Interest::WRITABLE).await {
            return (Err(error), buffer);
        }
        let coop = poll_fn(budget::poll_proceed).await;
        let sent = registration.try_io(Interest::WRITABLE, || {
            let rest = &buffer.init_bytes()[from..];
            blitz_sys::socket::send(registration.fd().as_fd(), rest)
        });
        coop.made_progress();
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return (sent, buffer),
        }
    }
}

impl<B: IoBuf> Future for SendOwned<'_, B> {
    type Output = (io::Result<usize>, B);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let sent = ready!(self.poll_once(cx));
        self.finish(sent)
    }
}

impl<B: IoBuf> Future for SendAllOwned<'_, B> {
    type Output = (io::Result<()>, B);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let send = &mut self.0;
        loop {
            let is_done = |buffer: &B| send.sent >= buffer.bytes_init();
            if send.buffer.as_ref().is_some_and(is_done) {
                return send.finish(Ok(()));
            }
            match ready!(send.poll_once(cx)) {
                Ok(0) => return send.finish(Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => send.sent += n,
                Err(error) => return send.finish(Err(error)),
            }
        }
    }
}

impl<B> fmt::Debug for SendOwned<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendOwned")
            .field("sent", &self.sent)
            .field("waits", &self.slow.is_some())
            .finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for SendAllOwned<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendAllOwned").field(&self.0).finish()
    }
}
