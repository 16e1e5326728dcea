//! What users see of a socket for datagrams, given to each kind: UDP's and Unix's.

/// Sends, receives and tries of `$type`, which has an `io` ([`Registration`](blitz_driver::Registration)).
///
/// `$addr` is the type of its addresses, and `$of` makes one of the kernel's.
macro_rules! datagrams {
    (
        $type:ident, $addr:ty, $of:path;
        $(#[$example:meta])*
    ) => {
        impl $type {
            /// Sends a datagram to the peer that the socket is connected to; returns how many bytes went, which is all of them.
            ///
            /// # Cancel safety
            /// Safe: a dropped `send` has sent nothing.
            ///
            /// # Errors
            /// Those of `send(2)`: `ConnectionRefused` if an earlier datagram found nobody there, which this call then has not
            /// sent; `EMSGSIZE` if it is longer than the socket takes. When the runtime is shutting down.
            $(#[$example])*
            #[track_caller]
            pub fn send(&self, buf: &[u8]) -> impl Future<Output = std::io::Result<usize>> {
                static CALL: blitz_core::waiting::Site = blitz_core::waiting::Site::new(
                    concat!(stringify!($type), "::send"),
                    blitz_core::waiting::Resource::Descriptor,
                );
                $crate::context::call(&CALL, self.number(), async move {
                    let call = || blitz_sys::socket::send(self.lent(), buf);
                    self.io.async_io($crate::io::Interest::WRITABLE, call).await
                })
            }

            #[doc = concat!(
                "Polls to [`send`](", stringify!($type), "::send). One task at a time: only the last caller's waker is kept."
            )]
            ///
            /// # Errors
            /// As there.
            pub fn poll_send(
                &self,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let call = || blitz_sys::socket::send(self.lent(), buf);
                self.io.poll_io(cx, blitz_driver::Direction::Write, call)
            }

            #[doc = concat!("As [`send`](", stringify!($type), "::send), without waiting.")]
            ///
            /// # Errors
            /// `WouldBlock` when the socket takes nothing now; else as there.
            pub fn try_send(&self, buf: &[u8]) -> std::io::Result<usize> {
                let call = || blitz_sys::socket::send(self.lent(), buf);
                self.io.try_io($crate::io::Interest::WRITABLE, call)
            }

            /// Receives a datagram from the peer that the socket is connected to, or from anyone if it is not; returns how many
            /// bytes were stored.
            ///
            /// **What does not fit into `buf` is lost**, and the call says nothing of it: give room for the longest datagram.
            ///
            /// # Cancel safety
            /// Safe: a dropped `recv` has received nothing.
            ///
            /// # Errors
            /// Those of `recv(2)`: `ConnectionRefused` if an earlier datagram found nobody there. When the runtime is shutting
            /// down.
            #[track_caller]
            pub fn recv(&self, buf: &mut [u8]) -> impl Future<Output = std::io::Result<usize>> {
                static CALL: blitz_core::waiting::Site = blitz_core::waiting::Site::new(
                    concat!(stringify!($type), "::recv"),
                    blitz_core::waiting::Resource::Descriptor,
                );
                $crate::context::call(&CALL, self.number(), async move {
                    let call = || blitz_sys::socket::read(self.lent(), buf);
                    self.io.async_io($crate::io::Interest::READABLE, call).await
                })
            }

            #[doc = concat!(
                "Polls to [`recv`](", stringify!($type), "::recv). One task at a time: only the last caller's waker is kept."
            )]
            ///
            /// # Errors
            /// As there.
            pub fn poll_recv(
                &self,
                cx: &mut std::task::Context<'_>,
                buf: &mut blitz_io_traits::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                let call = || blitz_sys::socket::recv_buf(self.lent(), buf);
                let received = self.io.poll_io(cx, blitz_driver::Direction::Read, call);
                received.map_ok(drop)
            }

            #[doc = concat!("As [`recv`](", stringify!($type), "::recv), without waiting.")]
            ///
            /// # Errors
            /// `WouldBlock` when there is no datagram; else as there.
            pub fn try_recv(&self, buf: &mut [u8]) -> std::io::Result<usize> {
                let call = || blitz_sys::socket::read(self.lent(), buf);
                self.io.try_io($crate::io::Interest::READABLE, call)
            }

            #[doc = concat!(
                "As [`recv`](", stringify!($type), "::recv), into the buffer's free space, which it advances."
            )]
            ///
            /// A `Vec` has at least 64 bytes of free space, and what is longer than its free space is lost: reserve first.
            ///
            /// # Cancel safety
            /// Safe: a dropped call has received nothing.
            ///
            /// # Errors
            /// As there.
            #[track_caller]
            pub fn recv_buf<B: bytes::BufMut>(
                &self,
                buf: &mut B,
            ) -> impl Future<Output = std::io::Result<usize>> {
                static CALL: blitz_core::waiting::Site = blitz_core::waiting::Site::new(
                    concat!(stringify!($type), "::recv_buf"),
                    blitz_core::waiting::Resource::Descriptor,
                );
                $crate::context::call(&CALL, self.number(), async move {
                    let call = || blitz_sys::socket::recv_buf(self.lent(), buf);
                    self.io.async_io($crate::io::Interest::READABLE, call).await
                })
            }

            #[doc = concat!("As [`recv_buf`](", stringify!($type), "::recv_buf), without waiting.")]
            ///
            /// # Errors
            /// `WouldBlock` when there is no datagram; else as there.
            pub fn try_recv_buf<B: bytes::BufMut>(&self, buf: &mut B) -> std::io::Result<usize> {
                let call = || blitz_sys::socket::recv_buf(self.lent(), buf);
                self.io.try_io($crate::io::Interest::READABLE, call)
            }

            #[doc = concat!("As [`recv`](", stringify!($type), "::recv), and says who sent it.")]
            ///
            /// # Cancel safety
            /// Safe: a dropped call has received nothing.
            ///
            /// # Errors
            /// As there.
            #[track_caller]
            pub fn recv_from(
                &self,
                buf: &mut [u8],
            ) -> impl Future<Output = std::io::Result<(usize, $addr)>> {
                static CALL: blitz_core::waiting::Site = blitz_core::waiting::Site::new(
                    concat!(stringify!($type), "::recv_from"),
                    blitz_core::waiting::Resource::Descriptor,
                );
                $crate::context::call(&CALL, self.number(), async move {
                    let call = || blitz_sys::socket::read_from(self.lent(), buf);
                    let (len, from) =
                        self.io.async_io($crate::io::Interest::READABLE, call).await?;
                    Ok((len, $of(&from)?))
                })
            }

            #[doc = concat!(
                "Polls to [`recv_from`](", stringify!($type), "::recv_from). One task at a time: only the last caller's waker \
                 is kept."
            )]
            ///
            /// # Errors
            /// As there.
            pub fn poll_recv_from(
                &self,
                cx: &mut std::task::Context<'_>,
                buf: &mut blitz_io_traits::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<$addr>> {
                let call = || blitz_sys::socket::recv_buf_from(self.lent(), buf);
                let received = self.io.poll_io(cx, blitz_driver::Direction::Read, call);
                received.map(|received| $of(&received?.1))
            }

            #[doc = concat!("As [`recv_from`](", stringify!($type), "::recv_from), without waiting.")]
            ///
            /// # Errors
            /// `WouldBlock` when there is no datagram; else as there.
            pub fn try_recv_from(&self, buf: &mut [u8]) -> std::io::Result<(usize, $addr)> {
                let call = || blitz_sys::socket::read_from(self.lent(), buf);
                let (len, from) = self.io.try_io($crate::io::Interest::READABLE, call)?;
                Ok((len, $of(&from)?))
            }

            #[doc = concat!(
                "As [`recv_buf`](", stringify!($type), "::recv_buf), and says who sent it."
            )]
            ///
            /// # Cancel safety
            /// Safe: a dropped call has received nothing.
            ///
            /// # Errors
            /// As there.
            #[track_caller]
            pub fn recv_buf_from<B: bytes::BufMut>(
                &self,
                buf: &mut B,
            ) -> impl Future<Output = std::io::Result<(usize, $addr)>> {
                static CALL: blitz_core::waiting::Site = blitz_core::waiting::Site::new(
                    concat!(stringify!($type), "::recv_buf_from"),
                    blitz_core::waiting::Resource::Descriptor,
                );
                $crate::context::call(&CALL, self.number(), async move {
                    let call = || blitz_sys::socket::recv_buf_from(self.lent(), buf);
                    let (len, from) =
                        self.io.async_io($crate::io::Interest::READABLE, call).await?;
                    Ok((len, $of(&from)?))
                })
            }

            #[doc = concat!("As [`recv_buf_from`](", stringify!($type), "::recv_buf_from), without waiting.")]
            ///
            /// # Errors
            /// `WouldBlock` when there is no datagram; else as there.
            pub fn try_recv_buf_from<B: bytes::BufMut>(
                &self,
                buf: &mut B,
            ) -> std::io::Result<(usize, $addr)> {
                let call = || blitz_sys::socket::recv_buf_from(self.lent(), buf);
                let (len, from) = self.io.try_io($crate::io::Interest::READABLE, call)?;
                Ok((len, $of(&from)?))
            }

            /// The error that the kernel keeps for this socket (`SO_ERROR`), which asking clears.
            ///
            /// # Errors
            /// Those of `getsockopt(2)`.
            pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
                blitz_sys::socket::take_error(self.lent())
            }

            #[inline]
            fn lent(&self) -> blitz_sys::descriptor::BorrowedFd<'_> {
                blitz_sys::descriptor::AsFd::as_fd(self)
            }
        }
    };
}
pub(super) use datagrams;
