//! What users see of a stream, given to each kind of stream.

/// Reads, writes and tries of `$type`, whose `io` is a [`Stream`](super::Stream).
macro_rules! stream_face {
    ($type:ident) => {
        impl $type {
            /// Reads what is there; zero is the end of the stream, or an empty buffer.
            ///
            /// # Errors
            /// `WouldBlock` when nothing is there; else those of `recv(2)`.
            pub fn try_read(&self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.io.try_read(buf)
            }

            #[doc = concat!("As [`try_read`](", stringify!($type), "::try_read), into several buffers, the first filled first.")]
            ///
            /// # Errors
            /// As there.
            pub fn try_read_vectored(
                &self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                self.io.try_read_vectored(bufs)
            }

            #[doc = concat!(
                "As [`try_read`](", stringify!($type), "::try_read), into the buffer's free space, which it advances."
            )]
            ///
            /// # Errors
            /// As there.
            pub fn try_read_buf<B: bytes::BufMut>(&self, buf: &mut B) -> std::io::Result<usize> {
                self.io.try_read_buf(buf)
            }

            /// Writes what the socket takes at once.
            ///
            /// # Errors
            /// `WouldBlock` when it takes nothing; else those of `send(2)`.
            pub fn try_write(&self, buf: &[u8]) -> std::io::Result<usize> {
                self.io.try_write(buf)
            }

            #[doc = concat!("As [`try_write`](", stringify!($type), "::try_write), from several buffers.")]
            ///
            /// # Errors
            /// As there.
            pub fn try_write_vectored(
                &self,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                self.io.try_write_vectored(bufs)
            }

            /// The error that the kernel keeps for this socket (`SO_ERROR`), which asking clears.
            ///
            /// # Errors
            /// Those of `getsockopt(2)`.
            pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
                blitz_sys::socket::take_error(blitz_sys::descriptor::AsFd::as_fd(self))
            }

            /// Splits the stream into a half to read and a half to write, both borrowing it.
            ///
            #[doc = concat!("Use [`into_split`](", stringify!($type), "::into_split) when they go to two tasks.")]
            pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
                (ReadHalf(self), WriteHalf(self))
            }

            /// Splits the stream into two halves that own it together.
            ///
            /// Dropping the half that writes closes the sending side, as `shutdown` does.
            #[must_use]
            pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
                OwnedWriteHalf::of(self)
            }
        }

        impl blitz_io_traits::AsyncRead for $type {
            #[inline]
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &mut blitz_io_traits::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.io.poll_read(cx, buf)
            }
        }

        impl blitz_io_traits::AsyncWrite for $type {
            #[inline]
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.io.poll_write(cx, buf)
            }

            #[inline]
            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.io.poll_write_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                // What `send` has taken is the kernel's to send.
                std::task::Poll::Ready(Ok(()))
            }

            fn poll_shutdown(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(self.io.shutdown(std::net::Shutdown::Write))
            }
        }

        impl AsRef<$type> for $type {
            fn as_ref(&self) -> &$type {
                self
            }
        }
    };
}
pub(in crate::net) use stream_face;
