//! One connection to a server: what lies between two exchanges, and nothing of either.

use crate::buffers;
use blitz_http_proto::{Limits, ResponseDecoder};
use blitz_io::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use blitz_io::runtime::{Handle, Id};
use blitz_io::time::{Instant, Sleep, sleep_until};
use bytes::BytesMut;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// A stream of bytes both ways: a socket, a TLS session over one, or a pipe in memory.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + ?Sized> Stream for T {}

/// A stream of any kind.
pub type BoxStream = Box<dyn Stream>;

/// A connection that may carry an exchange.
pub(super) struct Wire {
    pub(super) io: BoxStream,
    /// What has come and was not looked at. Between exchanges there is nothing.
    pub(super) input: BytesMut,
    /// It outlives the exchanges because it knows again what the server repeats.
    pub(super) decoder: ResponseDecoder,
    timer: Timer,
    /// Where it leads; none for what is no IP socket.
    pub(super) peer: Option<SocketAddr>,
    /// Exchanges before this one.
    pub(super) served: u32,
    /// The last exchange has left it fit for another: set at its end alone.
    pub(super) is_clean: bool,
}

impl Wire {
    pub(super) fn new(io: BoxStream, peer: Option<SocketAddr>) -> Wire {
        Wire {
            io,
            input: BytesMut::new(),
            decoder: ResponseDecoder::new(Limits::default()),
            timer: Timer::default(),
            peer,
            served: 0,
            is_clean: false,
        }
    }

    /// Whether it can carry another exchange: the server has neither closed it nor said anything.
    pub(super) fn poll_is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0; 1];
        let mut buf = ReadBuf::new(&mut byte);
        Pin::new(&mut self.io).poll_read(cx, &mut buf).is_pending()
    }

    /// Reads some, of so much that is expected. Zero is the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        expected: usize,
    ) -> Poll<io::Result<usize>> {
        if self.input.capacity() == 0 && expected <= buffers::SIZE {
            self.input = buffers::take();
        } else if !self.input.try_reclaim(expected)
            && self.input.capacity() - self.input.len() < expected / 4
        {
            self.input.reserve(expected);
        }
        pin!(self.io.read_buf(&mut self.input)).poll(cx)
    }

    /// Whether `until` has come. If not, the task is woken then.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> bool {
        until.is_some_and(|until| self.timer.poll(cx, until))
    }

    /// Gives the buffer back, if nothing is in it.
    pub(super) fn release(&mut self) {
        if self.input.is_empty() && self.input.capacity() > 0 {
            buffers::give(std::mem::take(&mut self.input));
        }
    }
}

/// The one timer of a connection. It is set only where it would fire too late, and stays set from one exchange to the next: one that fires
/// early costs a look, once a minute or so, and to set it anew for every wait would cost more than most waits last. On another runtime it
/// is another one: that of the last may stand still.
#[derive(Debug, Default)]
struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    runtime: Option<Id>,
}

impl Timer {
    fn poll(&mut self, cx: &mut Context<'_>, until: Instant) -> bool {
        let here = Handle::try_current().ok().map(|handle| handle.id());
        if self.runtime != here {
            self.sleep = None;
            self.runtime = here;
        }
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        if sleep.deadline() > until || sleep.is_elapsed() {
            sleep.as_mut().reset(until);
        }
        // Early: it is set anew, and then pending.
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= until {
                return true;
            }
            sleep.as_mut().reset(until);
        }
        false
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("peer", &self.peer)
            .field("served", &self.served)
            .finish_non_exhaustive()
    }
}
