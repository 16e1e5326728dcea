//! Writing a number, whose bytes the future holds.

use std::future::Future;
use std::io;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::bytes::poll_write_rest;
use crate::AsyncWrite;

/// The widest number.
const WIDTH_MAX: usize = 16;

pin_project! {
    /// The future of [`AsyncWriteExt::write_u16`](crate::AsyncWriteExt::write_u16) and its siblings.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct WriteNumber<'a, W: ?Sized> {
        writer: &'a mut W,
        bytes: [u8; WIDTH_MAX],
        next: usize,
        end: usize,
        #[pin]
        _pin: PhantomPinned,
    }
}

impl<'a, W: ?Sized> WriteNumber<'a, W> {
    pub(super) fn new(writer: &'a mut W, encoded: &[u8]) -> Self {
        let mut bytes = [0; WIDTH_MAX];
        bytes[..encoded.len()].copy_from_slice(encoded);
        WriteNumber {
            writer,
            bytes,
            next: 0,
            end: encoded.len(),
            _pin: PhantomPinned,
        }
    }
}

impl<W: AsyncWrite + Unpin + ?Sized> Future for WriteNumber<'_, W> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.project();
        let mut rest = &me.bytes[*me.next..*me.end];
        let answer = poll_write_rest(Pin::new(&mut **me.writer), cx, &mut rest);
        *me.next = *me.end - rest.len();
        ready!(answer)?;
        Poll::Ready(Ok(()))
    }
}
