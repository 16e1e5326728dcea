//! One direction of a copy, through a buffer of its own.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::coop::Rounds;
use crate::faults::{is_interrupted, write_zero};
use crate::{AsyncRead, AsyncWrite, ReadBuf};

/// The buffer, and how far the copy has come.
#[derive(Debug)]
pub(super) struct CopyBuffer {
    buf: Box<[u8]>,
    /// `buf[pos..end]` was read and is not written.
    pos: usize,
    end: usize,
    written: u64,
    /// The source has ended, well or with an error that waits until all before it is written.
    ended: Option<io::Result<()>>,
    /// The sink has taken bytes since it was flushed.
    unflushed: bool,
}

impl CopyBuffer {
    pub(super) fn new(size: usize) -> Self {
        CopyBuffer {
            buf: vec![0; size].into_boxed_slice(),
            pos: 0,
            end: 0,
            written: 0,
            ended: None,
            unflushed: false,
        }
    }

    /// Copies to the end and flushes; returns how many bytes were written.
    pub(super) fn poll_copy<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<u64>>
    where
        R: AsyncRead + ?Sized,
        W: AsyncWrite + ?Sized,
    {
        let mut rounds = Rounds::new();
        loop {
            ready!(rounds.poll_next(cx));
            let silent = self.poll_fill(cx, reader.as_mut()).is_pending();
            if self.pos < self.end {
                let busy = self.poll_drain(cx, writer.as_mut())?.is_pending();
                // While the sink is busy we read on, as far as there is room.
                if busy && (silent || self.ended.is_some() || self.end == self.buf.len()) {
                    return Poll::Pending;
                }
            } else if silent {
                if self.unflushed {
                    ready!(writer.as_mut().poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            } else if let Some(Err(_)) = self.ended {
                let err = self
                    .ended
                    .take()
                    .expect("it was there")
                    .expect_err("it was one");
                return Poll::Ready(Err(err));
            } else if let Some(Ok(())) = self.ended {
                ready!(writer.as_mut().poll_flush(cx))?;
                return Poll::Ready(Ok(self.written));
            }
        }
    }

    /// Reads once into the room behind `end`; `Pending` when the source is silent.
    fn poll_fill<R>(&mut self, cx: &mut Context<'_>, mut reader: Pin<&mut R>) -> Poll<()>
    where
        R: AsyncRead + ?Sized,
    {
        while self.ended.is_none() && self.end < self.buf.len() {
            let mut buf = ReadBuf::new(&mut self.buf[self.end..]);
            match ready!(reader.as_mut().poll_read(cx, &mut buf)) {
                Ok(()) if buf.filled().is_empty() => self.ended = Some(Ok(())),
                Ok(()) => {
                    self.end += buf.filled().len();
                    return Poll::Ready(());
                }
                Err(err) if is_interrupted(&err) => {}
                Err(err) => self.ended = Some(Err(err)),
            }
        }
        Poll::Ready(())
    }

    /// Writes all that was read.
    fn poll_drain<W>(
        &mut self,
        cx: &mut Context<'_>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + ?Sized,
    {
        while self.pos < self.end {
            match ready!(
                writer
                    .as_mut()
                    .poll_write(cx, &self.buf[self.pos..self.end])
            ) {
                Ok(0) => return Poll::Ready(Err(write_zero())),
                Ok(n) => {
                    self.pos += n;
                    self.written += n as u64;
                    self.unflushed = true;
                }
                Err(err) if is_interrupted(&err) => {}
                Err(err) => return Poll::Ready(Err(err)),
            }
        }
        self.pos = 0;
        self.end = 0;
        Poll::Ready(Ok(()))
    }
}
