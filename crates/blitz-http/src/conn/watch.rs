//! Whether a client is still there while its answer is being made: looked at without taking anything from the stream.

use blitz_io::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use blitz_io::net::BatchedStream;
use blitz_tls::TlsStream;
use std::io;
use std::pin::Pin;
#[cfg(unix)]
use std::task::ready;
use std::task::{Context, Poll};

/// What is to be seen of a client that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It has sent more.
    Data,
    /// It sends no more. Whether it still reads cannot be known.
    End,
    /// It is not there any more.
    Gone,
}

/// Looks at a stream, and has the task woken when there is something to see.
pub(crate) type Watch<I> = fn(&mut I, &mut Context<'_>) -> Poll<Seen>;

/// A TCP stream.
pub(crate) fn tcp(stream: &mut BatchedStream, cx: &mut Context<'_>) -> Poll<Seen> {
    let mut byte = [0];
    stream
        .get_ref()
        .poll_peek(cx, &mut ReadBuf::new(&mut byte))
        .map(|peeked| seen(&peeked))
}

/// A Unix socket. One that only sends no more has its end read and goes on taking; one that is gone is hung up besides.
#[cfg(unix)]
pub(crate) fn unix(stream: &mut blitz_io::net::UnixStream, cx: &mut Context<'_>) -> Poll<Seen> {
    use blitz_io::io::Interest;
    use blitz_sys::descriptor::AsFd;
    use std::future::Future;
    use std::pin::pin;

    let peeked = loop {
        if let Err(error) = ready!(stream.poll_read_ready(cx)) {
            break Err(error);
        }
        let call = || blitz_sys::socket::peek_bytes(stream.as_fd(), &mut [0]);
        match stream.try_io(Interest::READABLE, call) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            peeked => break peeked,
        }
    };
    if let (Ok(0), Poll::Ready(Ok(ready))) =
        (&peeked, pin!(stream.ready(Interest::WRITABLE)).poll(cx))
        && ready.is_write_closed()
    {
        return Poll::Ready(Seen::Gone);
    }
    Poll::Ready(seen(&peeked))
}

/// A session of TLS: what has come is decrypted, and stays for the next read.
pub(crate) fn tls<I: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut TlsStream<I>,
    cx: &mut Context<'_>,
) -> Poll<Seen> {
    Pin::new(stream)
        .poll_fill_buf(cx)
        .map(|filled| seen(&filled.map(<[u8]>::len)))
}

fn seen(read: &io::Result<usize>) -> Seen {
    match read {
        Ok(0) => Seen::End,
        Ok(_) => Seen::Data,
        // A session that was cut: its client may be as alive as one that shut its sending side.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Seen::End,
        Err(_) => Seen::Gone,
    }
}
