//! A copy that uses the source's own buffer.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::coop::Rounds;
use crate::faults::{is_interrupted, write_zero};
use crate::waiting::{Call, Located};
use crate::{AsyncBufRead, AsyncWrite};

/// Copies all bytes from `reader` to `writer`, flushes, and returns how many bytes it was.
///
/// It writes straight from the reader's buffer. Otherwise it does what [`copy`](crate::copy()) does.
///
/// # Cancel safety
/// No byte is lost: each leaves the reader's buffer when it was written, and another copy goes on there. Only the count
/// starts anew.
///
/// # Errors
/// The first error of either side, `WriteZero` when the sink takes no more.
///
/// # Examples
/// ```
/// use blitz_io_traits::{BufReader, copy_buf};
/// # futures::executor::block_on(async {
/// let mut source = BufReader::new(&b"all of it"[..]);
/// let mut sink = Vec::new();
/// assert_eq!(copy_buf(&mut source, &mut sink).await?, 9);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[track_caller]
pub fn copy_buf<'a, R, W>(
    reader: &'a mut R,
    writer: &'a mut W,
) -> impl Future<Output = io::Result<u64>> + use<'a, R, W>
where
    R: AsyncBufRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    Located::new(Call::CopyBuf, async move {
        let mut progress = Progress::default();
        poll_fn(|cx| progress.poll_copy(cx, Pin::new(&mut *reader), Pin::new(&mut *writer))).await
    })
}

#[derive(Default)]
struct Progress {
    written: u64,
    /// The sink has taken bytes since it was flushed.
    unflushed: bool,
}

impl Progress {
    fn poll_copy<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<u64>>
    where
        R: AsyncBufRead + ?Sized,
        W: AsyncWrite + ?Sized,
    {
        let mut rounds = Rounds::new();
        loop {
            ready!(rounds.poll_next(cx));
            let bytes = match reader.as_mut().poll_fill_buf(cx) {
                Poll::Ready(Ok(bytes)) => bytes,
                Poll::Ready(Err(err)) if is_interrupted(&err) => continue,
                Poll::Ready(Err(err)) => return Poll::Ready(Err(err)),
                Poll::Pending => {
                    if self.unflushed {
                        ready!(writer.as_mut().poll_flush(cx))?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            };
            if bytes.is_empty() {
                ready!(writer.as_mut().poll_flush(cx))?;
                return Poll::Ready(Ok(self.written));
            }
            match ready!(writer.as_mut().poll_write(cx, bytes)) {
                Ok(0) => return Poll::Ready(Err(write_zero())),
                Ok(n) => {
                    reader.as_mut().consume(n);
                    self.written += n as u64;
                    self.unflushed = true;
                }
                Err(err) if is_interrupted(&err) => {}
                Err(err) => return Poll::Ready(Err(err)),
            }
        }
    }
}
