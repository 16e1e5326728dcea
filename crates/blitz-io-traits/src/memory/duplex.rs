//! Two connected streams in memory.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::pipe::{Input, Leftover, Pipe};
use crate::coop::charge;
use crate::{AsyncRead, AsyncWrite, ReadBuf};

/// Makes two streams that are connected like two sockets; each holds up to `max_buf_size` bytes that the other has not read.
///
/// # Panics
/// If `max_buf_size` is zero.
///
/// # Examples
/// ```
/// use blitz_io_traits::{AsyncReadExt, AsyncWriteExt, ErrorKind, duplex};
/// # futures::executor::block_on(async {
/// let (mut client, mut server) = duplex(64);
/// client.write_all(b"ping").await?;
/// let mut word = [0; 4];
/// server.read_exact(&mut word).await?;
/// assert_eq!(&word, b"ping");
///
/// drop(client);
/// assert_eq!(server.read(&mut word).await?, 0);
/// let refused = server.write_all(b"pong").await;
/// assert_eq!(refused.unwrap_err().kind(), ErrorKind::BrokenPipe);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[track_caller]
pub fn duplex(max_buf_size: usize) -> (DuplexStream, DuplexStream) {
    let there = Arc::new(Mutex::new(Pipe::new(max_buf_size)));
    let back = Arc::new(Mutex::new(Pipe::new(max_buf_size)));
    let one = DuplexStream {
        from: Arc::clone(&back),
        to: Arc::clone(&there),
    };
    (
        one,
        DuplexStream {
            from: there,
            to: back,
        },
    )
}

/// One of two connected streams in memory; made by [`duplex`].
///
/// When it is dropped, the other one reads what was written and then the end, and its writes fail with
/// `BrokenPipe`, those that wait included.
#[derive(Debug)]
pub struct DuplexStream {
    from: Arc<Mutex<Pipe>>,
    to: Arc<Mutex<Pipe>>,
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    // No foreign code runs under this lock, so no panic can leave the pipe half done.
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tries `act` until it is ready or the task's waker is in its place, and runs no foreign code under the lock.
fn poll_pipe<T>(
    pipe: &Mutex<Pipe>,
    cx: &mut Context<'_>,
    mut act: impl FnMut(&mut Pipe) -> (Poll<T>, Leftover),
    waits: fn(&Pipe, &std::task::Waker) -> bool,
    wait: fn(&mut Pipe, std::task::Waker) -> Leftover,
) -> Poll<T> {
    let (answer, leftover, waiting) = {
        let mut pipe = lock(pipe);
        let (answer, leftover) = act(&mut pipe);
        let waiting = waits(&pipe, cx.waker());
        (answer, leftover, waiting)
    };
    leftover.settle();
    if answer.is_ready() || waiting {
        return answer;
    }
    // A clone is foreign code, so it is made outside; what came meanwhile is seen by the second try.
    let mut waker = Some(cx.waker().clone());
    let (answer, leftover) = {
        let mut pipe = lock(pipe);
        let (answer, mut leftover) = act(&mut pipe);
        if answer.is_pending()
            && let Some(waker) = waker.take()
        {
            // A move that is `Pending` leaves nothing over.
            leftover = wait(&mut pipe, waker);
        }
        (answer, leftover)
    };
    leftover.settle();
    answer
}

impl DuplexStream {
    fn poll_input(&self, cx: &mut Context<'_>, input: Input<'_>) -> Poll<io::Result<usize>> {
        charge(cx, |cx| {
            poll_pipe(
                &self.to,
                cx,
                |pipe| pipe.write(input),
                Pipe::writer_waits,
                Pipe::wait_to_write,
            )
        })
    }
}

impl AsyncRead for DuplexStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        charge(cx, |cx| {
            poll_pipe(
                &self.from,
                cx,
                |pipe| pipe.read(buf),
                Pipe::reader_waits,
                Pipe::wait_to_read,
            )
        })
    }
}

impl AsyncWrite for DuplexStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_input(cx, Input::One(buf))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let leftover = lock(&self.to).close_write();
        leftover.settle();
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_input(cx, Input::Many(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

impl Drop for DuplexStream {
    fn drop(&mut self) {
        let leftover = lock(&self.to).close_write();
        leftover.settle();
        let leftover = lock(&self.from).close_read();
        leftover.settle();
    }
}
