//! Looking into a reader's buffer.

use std::future::Future;
use std::io;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::AsyncBufRead;

pin_project! {
    /// The future of [`AsyncBufReadExt::fill_buf`](crate::AsyncBufReadExt::fill_buf).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct FillBuf<'a, R: ?Sized> {
        // Taken by the poll that answers, since the answer borrows for 'a.
        reader: Option<&'a mut R>,
        #[pin]
        _pin: PhantomPinned,
    }
}

impl<'a, R: ?Sized> FillBuf<'a, R> {
    pub(super) fn new(reader: &'a mut R) -> Self {
        FillBuf {
            reader: Some(reader),
            _pin: PhantomPinned,
        }
    }
}

impl<'a, R: AsyncBufRead + Unpin + ?Sized> Future for FillBuf<'a, R> {
    type Output = io::Result<&'a [u8]>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let me = self.project();
        let reader: *mut R = me.reader.take().expect("FillBuf polled after it was done");
        // A detour for the borrow checker: it does not let a reader go back into its place on one path while
        // the answer of the other borrows from it for 'a.
        // SAFETY: it was a `&'a mut R` a line ago, which nobody else holds.
        let asked = unsafe { &mut *reader };
        match Pin::new(asked).poll_fill_buf(cx) {
            Poll::Ready(answer) => Poll::Ready(answer),
            Poll::Pending => {
                // SAFETY: as above, and the borrow that `Pending` does not carry has ended.
                *me.reader = Some(unsafe { &mut *reader });
                Poll::Pending
            }
        }
    }
}
