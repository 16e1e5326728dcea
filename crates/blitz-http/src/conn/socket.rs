//! What a connection does with its stream where that is a socket of TCP: an answer that is short goes to the kernel with other connections'
//! ([`BatchedStream`]), and what it does not take is known here.

use super::core::Core;
use blitz_io::io::{AsyncRead, AsyncWrite};
use blitz_io::net::{BatchedStream, TcpStream};
use std::any::Any;
use std::io;
use std::task::{Context, Waker};

/// The stream, if its short writes go with others'.
#[inline]
pub(super) fn batched<I: 'static>(io: &mut I) -> Option<&mut BatchedStream> {
    (io as &mut dyn Any).downcast_mut()
}

/// The stream, if it is a plain one of TCP.
pub(super) fn tcp<I: 'static>(io: &I) -> Option<&TcpStream> {
    let any: &dyn Any = io;
    any.downcast_ref::<BatchedStream>()
        .map(BatchedStream::get_ref)
        .or_else(|| any.downcast_ref())
}

impl<I: AsyncRead + AsyncWrite + Unpin + 'static> Core<I> {
    /// Whether the kernel has all that was written; if not, the client is waited for.
    pub(super) fn is_sent(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let Some(stream) = self.io.as_mut().and_then(batched) else {
            return Ok(true);
        };
        let is_sent = stream.poll_sent(cx)?.is_ready();
        self.blocked |= !is_sent;
        Ok(is_sent)
    }

    /// The connection is about to wait: sees whether it waits for the client to take what was written before.
    #[inline]
    pub(super) fn look_back(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(stream) = self.io.as_mut().and_then(batched) else {
            return Ok(());
        };
        if !self.blocked && stream.poll_stalled(cx)?.is_pending() {
            return Ok(());
        }
        self.holds_back(cx)
    }

    #[cold]
    fn holds_back(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        // A write that waits is woken by the same.
        self.is_sent(cx)?;
        if let Some(stream) = self.io.as_mut().and_then(batched) {
            self.waits.to_client.holds(stream.unsent()?);
        }
        Ok(())
    }
}

/// The stream is about to be another's: its driver holds no task any more.
pub(super) fn forget_task<I: 'static>(io: &mut I) {
    if let Some(stream) = batched(io) {
        // What it says is told by the next write, too.
        let _ = stream.poll_stalled(&mut Context::from_waker(Waker::noop()));
    }
}

#[cfg(test)]
mod tests {
    use super::{batched, tcp};
    use blitz_io::io::duplex;
    use blitz_io::net::{TcpListener, TcpStream};

    /// What hides the stream's type would have every file read, and every answer written alone: nobody would see it but by its speed.
    #[blitz_io::test]
    async fn a_tcp_stream_is_known_and_no_other() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut plain = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        assert!(tcp(&plain).is_some() && batched(&mut plain).is_none());
        let mut short = plain.into_batched();
        assert!(tcp(&short).is_some() && batched(&mut short).is_some());
        let mut other = duplex(1).0;
        assert!(tcp(&other).is_none() && batched(&mut other).is_none());
    }
}
