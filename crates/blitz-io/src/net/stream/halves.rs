//! The two directions of a stream, as types: borrowed, and each owning it with the other.

/// The four halves of `$type`, whose addresses are `$addr`, and the error of two that do not belong together.
macro_rules! halves {
    (
        $type:ident, $addr:ty;
        $(#[$example:meta])*
    ) => {
        #[doc = concat!("The half of a [`", stringify!($type), "`] that reads: see [`", stringify!($type), "::split`].")]
        #[derive(Debug)]
        pub struct ReadHalf<'a>(&'a $type);

        #[doc = concat!("The half of a [`", stringify!($type), "`] that writes: see [`", stringify!($type), "::split`].")]
        ///
        /// Its `shutdown` closes the sending side; dropping it does not.
        #[derive(Debug)]
        pub struct WriteHalf<'a>(&'a $type);

        #[doc = concat!("The half of a [`", stringify!($type), "`] that reads: see [`", stringify!($type), "::into_split`].")]
        #[derive(Debug)]
        pub struct OwnedReadHalf {
            inner: std::sync::Arc<$type>,
        }

        #[doc = concat!("The half of a [`", stringify!($type), "`] that writes: see [`", stringify!($type), "::into_split`].")]
        ///
        /// Dropping it closes the sending side, unless it was [forgotten](OwnedWriteHalf::forget).
        #[derive(Debug)]
        pub struct OwnedWriteHalf {
            inner: std::sync::Arc<$type>,
            shutdown_on_drop: bool,
        }

        /// The halves were not of one stream; they come back.
        #[derive(Debug)]
        pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

        impl std::fmt::Display for ReuniteError {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("tried to reunite halves that are not from the same stream")
            }
        }

        impl std::error::Error for ReuniteError {}

        impl ReadHalf<'_> {
            fn stream(&self) -> &$type {
                self.0
            }
        }

        impl WriteHalf<'_> {
            fn stream(&self) -> &$type {
                self.0
            }

            fn close(&mut self) -> std::io::Result<()> {
                self.0.io.shutdown(std::net::Shutdown::Write)
            }
        }

        impl OwnedReadHalf {
            /// Puts the two halves of one stream together again.
            ///
            /// # Errors
            /// When they are of different streams; both come back.
            $(#[$example])*
            pub fn reunite(self, other: OwnedWriteHalf) -> Result<$type, ReuniteError> {
                if !std::sync::Arc::ptr_eq(&self.inner, &other.inner) {
                    return Err(ReuniteError(self, other));
                }
                other.forget();
                Ok(std::sync::Arc::into_inner(self.inner)
                    .expect("two halves share a stream, and one of them is gone"))
            }

            fn stream(&self) -> &$type {
                &self.inner
            }
        }

        impl OwnedWriteHalf {
            fn of(stream: $type) -> (OwnedReadHalf, OwnedWriteHalf) {
                let inner = std::sync::Arc::new(stream);
                let read = OwnedReadHalf {
                    inner: std::sync::Arc::clone(&inner),
                };
                let write = OwnedWriteHalf {
                    inner,
                    shutdown_on_drop: true,
                };
                (read, write)
            }

            /// Puts the two halves of one stream together again.
            ///
            /// # Errors
            /// When they are of different streams; both come back.
            pub fn reunite(self, other: OwnedReadHalf) -> Result<$type, ReuniteError> {
                other.reunite(self)
            }

            /// Drops the half and leaves the sending side open, until the other half is gone too.
            pub fn forget(mut self) {
                self.shutdown_on_drop = false;
            }

            fn stream(&self) -> &$type {
                &self.inner
            }

            fn close(&mut self) -> std::io::Result<()> {
                let done = self.inner.io.shutdown(std::net::Shutdown::Write);
                if done.is_ok() {
                    self.shutdown_on_drop = false;
                }
                done
            }
        }

        impl Drop for OwnedWriteHalf {
            fn drop(&mut self) {
                if self.shutdown_on_drop {
                    // A connection that is gone already has nothing to close.
                    let _ = self.inner.io.shutdown(std::net::Shutdown::Write);
                }
            }
        }

        $crate::net::stream::halves::read_half!(ReadHalf<'_>, $type, $addr);
        $crate::net::stream::halves::read_half!(OwnedReadHalf, $type, $addr);
        $crate::net::stream::halves::write_half!(WriteHalf<'_>, $type, $addr);
        $crate::net::stream::halves::write_half!(OwnedWriteHalf, $type, $addr);
    };
}
pub(in crate::net) use halves;

/// What the reading halves, borrowed and owning, hand on to the stream.
macro_rules! read_half {
    ($half:ty, $type:ident, $addr:ty) => {
        impl $half {
            #[doc = concat!("As [`", stringify!($type), "::ready`].")]
            ///
            /// # Cancel safety
            /// Safe.
            ///
            /// # Errors
            /// As there.
            #[track_caller]
            pub fn ready(
                &self,
                interest: $crate::io::Interest,
            ) -> impl Future<Output = std::io::Result<$crate::io::Ready>> {
                self.stream().ready(interest)
            }

            #[doc = concat!("As [`", stringify!($type), "::readable`].")]
            ///
            /// # Cancel safety
            /// Safe.
            ///
            /// # Errors
            /// As there.
            #[track_caller]
            pub fn readable(&self) -> impl Future<Output = std::io::Result<()>> {
                self.stream().readable()
            }

            #[doc = concat!("As [`", stringify!($type), "::try_read`].")]
            ///
            /// # Errors
            /// As there.
            pub fn try_read(&self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.stream().try_read(buf)
            }

            #[doc = concat!("As [`", stringify!($type), "::try_read_vectored`].")]
            ///
            /// # Errors
            /// As there.
            pub fn try_read_vectored(
                &self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                self.stream().try_read_vectored(bufs)
            }

            #[doc = concat!("As [`", stringify!($type), "::try_read_buf`].")]
            ///
            /// # Errors
            /// As there.
            pub fn try_read_buf<B: bytes::BufMut>(&self, buf: &mut B) -> std::io::Result<usize> {
                self.stream().try_read_buf(buf)
            }

            #[doc = concat!("As [`", stringify!($type), "::peer_addr`].")]
            ///
            /// # Errors
            /// As there.
            pub fn peer_addr(&self) -> std::io::Result<$addr> {
                self.stream().peer_addr()
            }

            #[doc = concat!("As [`", stringify!($type), "::local_addr`].")]
            ///
            /// # Errors
            /// As there.
            pub fn local_addr(&self) -> std::io::Result<$addr> {
                self.stream().local_addr()
            }
        }

        impl blitz_io_traits::AsyncRead for $half {
            #[inline]
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &mut blitz_io_traits::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.stream().io.poll_read(cx, buf)
            }
        }

        impl AsRef<$type> for $half {
            fn as_ref(&self) -> &$type {
                self.stream()
            }
        }
    };
}
pub(in crate::net) use read_half;

/// What the writing halves hand on; their `close` closes the sending side.
macro_rules! write_half {
    ($half:ty, $type:ident, $addr:ty) => {
        impl $half {
            #[doc = concat!("As [`", stringify!($type), "::ready`].")]
            ///
            /// # Cancel safety
            /// Safe.
            ///
            /// # Errors
            /// As there.
            #[track_caller]
            pub fn ready(
                &self,
                interest: $crate::io::Interest,
            ) -> impl Future<Output = std::io::Result<$crate::io::Ready>> {
                self.stream().ready(interest)
            }

            #[doc = concat!("As [`", stringify!($type), "::writable`].")]
            ///
            /// # Cancel safety
            /// Safe.
            ///
            /// # Errors
            /// As there.
            #[track_caller]
            pub fn writable(&self) -> impl Future<Output = std::io::Result<()>> {
                self.stream().writable()
            }

            #[doc = concat!("As [`", stringify!($type), "::try_write`].")]
            ///
            /// # Errors
            /// As there.
            pub fn try_write(&self, buf: &[u8]) -> std::io::Result<usize> {
                self.stream().try_write(buf)
            }

            #[doc = concat!("As [`", stringify!($type), "::try_write_vectored`].")]
            ///
            /// # Errors
            /// As there.
            pub fn try_write_vectored(
                &self,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                self.stream().try_write_vectored(bufs)
            }

            #[doc = concat!("As [`", stringify!($type), "::peer_addr`].")]
            ///
            /// # Errors
            /// As there.
            pub fn peer_addr(&self) -> std::io::Result<$addr> {
                self.stream().peer_addr()
            }

            #[doc = concat!("As [`", stringify!($type), "::local_addr`].")]
            ///
            /// # Errors
            /// As there.
            pub fn local_addr(&self) -> std::io::Result<$addr> {
                self.stream().local_addr()
            }
        }

        impl blitz_io_traits::AsyncWrite for $half {
            #[inline]
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.stream().io.poll_write(cx, buf)
            }

            #[inline]
            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.stream().io.poll_write_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn poll_shutdown(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(self.get_mut().close())
            }
        }

        impl AsRef<$type> for $half {
            fn as_ref(&self) -> &$type {
                self.stream()
            }
        }
    };
}
pub(in crate::net) use write_half;
