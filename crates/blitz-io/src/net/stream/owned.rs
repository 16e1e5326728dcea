//! Reads and writes with buffers that the operation owns, and with buffers on loan.

use std::future::poll_fn;
use std::io;

use blitz_driver::completion::receive_owned;
use blitz_io_traits::IoBufMut;

use super::{Stream, copy_to};

impl Stream {
    pub(in crate::net) async fn read_owned<B: IoBufMut>(
        &self,
        mut buf: B,
    ) -> (io::Result<usize>, B) {
        if let Some(leases) = self.leased.get() {
            let received = poll_fn(|cx| {
                self.poll_leased(leases, cx, false, |bytes| {
                    buf.fill(|space| copy_to(bytes, space))
                })
            });
            return (received.await, buf);
        }
        receive_owned(&self.source, buf).await
    }
}

/// The methods of `$type`, whose `io` is a [`Stream`](super::Stream), with buffers that are not the caller's meanwhile.
///
/// `$owned` is an example of `read_owned`, `$lease` one of `recv_lease`.
macro_rules! owned_face {
    (
        $type:ident;
        $(#[$owned:meta])*;
        $(#[$lease:meta])*
    ) => {
        impl $type {
            /// Reads into a buffer that belongs to the kernel meanwhile; returns how many bytes came, and the buffer.
            ///
            /// The bytes stand at the buffer's front; a `Vec` is at least so long afterwards, and is filled up to its capacity.
            /// Zero is the end of the stream.
            ///
            /// # Cancel safety
            /// **Not safe**: bytes that came while the future was dropped are lost with the buffer. Nothing else is: the kernel
            /// keeps the buffer for as long as it needs it.
            ///
            /// # Errors
            /// Those of `recv(2)`, and when the runtime is shutting down; the buffer comes back then, too.
            $(#[$owned])*
            #[track_caller]
            pub fn read_owned<B: blitz_io_traits::IoBufMut>(
                &self,
                buf: B,
            ) -> impl Future<Output = (std::io::Result<usize>, B)> {
                static CALL: blitz_core::waiting::Site = blitz_core::waiting::Site::new(
                    concat!(stringify!($type), "::read_owned"),
                    blitz_core::waiting::Resource::Descriptor,
                );
                $crate::context::call(&CALL, self.number(), self.io.read_owned(buf))
            }

            /// Writes from a buffer that belongs to the kernel meanwhile; returns how many bytes it took, and the buffer.
            ///
            /// # Cancel safety
            /// **Not safe**: what a dropped write has sent is not known.
            ///
            /// # Errors
            /// Those of `send(2)`, and when the runtime is shutting down; the buffer comes back then, too.
            #[track_caller]
            pub fn write_owned<B: blitz_io_traits::IoBuf>(
                &self,
                buf: B,
            ) -> impl Future<Output = (std::io::Result<usize>, B)> + Send {
                static CALL: blitz_core::waiting::Site = blitz_core::waiting::Site::new(
                    concat!(stringify!($type), "::write_owned"),
                    blitz_core::waiting::Resource::Descriptor,
                );
                $crate::context::call(
                    &CALL,
                    self.number(),
                    blitz_driver::completion::send_owned(&self.io.source, buf),
                )
            }

            /// Writes all of a buffer that belongs to the kernel meanwhile.
            ///
            /// # Cancel safety
            /// **Not safe**: what a dropped write has sent is not known.
            ///
            /// # Errors
            #[doc = concat!(
                "As for [`write_owned`](", stringify!($type), "::write_owned); `WriteZero` when the socket takes nothing more."
            )]
            #[track_caller]
            pub fn write_all_owned<B: blitz_io_traits::IoBuf>(
                &self,
                buf: B,
            ) -> impl Future<Output = (std::io::Result<()>, B)> + Send {
                static CALL: blitz_core::waiting::Site = blitz_core::waiting::Site::new(
                    concat!(stringify!($type), "::write_all_owned"),
                    blitz_core::waiting::Resource::Descriptor,
                );
                $crate::context::call(
                    &CALL,
                    self.number(),
                    blitz_driver::completion::send_all_owned(&self.io.source, buf),
                )
            }

            /// Receives what comes next in a buffer on loan; an empty one is the end of the stream.
            ///
            /// A connection that waits holds no buffer: the driver's buffers serve all its connections, and one goes home
            /// when the last [`BufferView`](crate::net::BufferView) of it is dropped, on any thread. When all are on loan the wait is
            /// for one to come home, after those who waited before; it never fails for that.
            ///
            /// Where the kernel can, it receives ahead of the reader, some buffers a connection at most. Reads of every other kind
            /// on this stream then take those bytes first, by a copy; to mix them costs speed, not bytes.
            ///
            /// One task at a time may wait here.
            ///
            /// # Cancel safety
            /// Safe: bytes leave the stream in the poll that returns them.
            ///
            /// # Errors
            /// Those of `recv(2)`, and when the runtime is shutting down.
            $(#[$lease])*
            #[track_caller]
            pub fn recv_lease(
                &self,
            ) -> impl Future<Output = std::io::Result<$crate::net::BufferView>> {
                static CALL: blitz_core::waiting::Site = blitz_core::waiting::Site::new(
                    concat!(stringify!($type), "::recv_lease"),
                    blitz_core::waiting::Resource::Descriptor,
                );
                $crate::context::call(
                    &CALL,
                    self.number(),
                    std::future::poll_fn(|cx| self.io.poll_recv_lease(cx)),
                )
            }

            #[doc = concat!(
                "Polls to [`recv_lease`](", stringify!($type), "::recv_lease). Only the last caller's waker is kept."
            )]
            ///
            /// # Errors
            /// As there.
            pub fn poll_recv_lease(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<$crate::net::BufferView>> {
                self.io.poll_recv_lease(cx)
            }
        }
    };
}
pub(in crate::net) use owned_face;
