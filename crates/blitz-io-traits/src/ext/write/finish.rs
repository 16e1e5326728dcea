//! Flushing and shutting down.

use std::future::Future;
use std::io;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::AsyncWrite;

macro_rules! finishing_future {
    ($(#[$doc:meta])* $name:ident, $poll:ident) => {
        pin_project! {
            $(#[$doc])*
            #[derive(Debug)]
            #[must_use = "futures do nothing unless awaited"]
            pub struct $name<'a, W: ?Sized> {
                writer: &'a mut W,
                #[pin]
                _pin: PhantomPinned,
            }
        }

        impl<'a, W: ?Sized> $name<'a, W> {
            pub(super) fn new(writer: &'a mut W) -> Self {
                $name { writer, _pin: PhantomPinned }
            }
        }

        impl<W: AsyncWrite + Unpin + ?Sized> Future for $name<'_, W> {
            type Output = io::Result<()>;

            fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut **self.project().writer).$poll(cx)
            }
        }
    };
}

finishing_future!(
    /// The future of [`AsyncWriteExt::flush`](crate::AsyncWriteExt::flush).
    Flush,
    poll_flush
);
finishing_future!(
    /// The future of [`AsyncWriteExt::shutdown`](crate::AsyncWriteExt::shutdown).
    Shutdown,
    poll_shutdown
);
