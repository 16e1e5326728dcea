//! Waiting for readiness and trying a call, the same on everything in this folder that has a descriptor.

/// The methods that wait until `$type` is ready, and those that try. `$type` has an `io`, which answers `ready`, `poll_ready`,
/// `try_io` and `async_io`.
///
/// `$poll_read` and `$poll_write` are the names under which tokio polls the two directions.
macro_rules! waits {
    (
        $type:ident, $poll_read:ident, $poll_write:ident;
        $(#[$example:meta])*
    ) => {
        impl $type {
            /// Waits until it is ready in one of the ways that `interest` names, and says which.
            ///
            /// Readiness may be stale: a call that then answers `WouldBlock` clears it.
            ///
            /// # Cancel safety
            /// Safe: once ready, it stays so until a call has found otherwise.
            ///
            /// # Errors
            /// When the runtime is shutting down.
            #[track_caller]
            pub fn ready(
                &self,
                interest: $crate::io::Interest,
            ) -> impl Future<Output = std::io::Result<$crate::io::Ready>> {
                static CALL: blitz_core::waiting::Site = blitz_core::waiting::Site::new(
                    concat!(stringify!($type), "::ready"),
                    blitz_core::waiting::Resource::Descriptor,
                );
                $crate::context::call(&CALL, self.number(), async move {
                    Ok(self.io.ready(interest).await?.into())
                })
            }

            /// Waits until it is worth trying to read.
            ///
            /// # Cancel safety
            #[doc = concat!("Safe, as [`ready`](", stringify!($type), "::ready).")]
            ///
            /// # Errors
            /// When the runtime is shutting down.
            $(#[$example])*
            #[track_caller]
            pub fn readable(&self) -> impl Future<Output = std::io::Result<()>> {
                static CALL: blitz_core::waiting::Site = blitz_core::waiting::Site::new(
                    concat!(stringify!($type), "::readable"),
                    blitz_core::waiting::Resource::Descriptor,
                );
                $crate::context::call(&CALL, self.number(), async move {
                    self.io.ready($crate::io::Interest::READABLE).await.map(drop)
                })
            }

            /// Waits until it is worth trying to write.
            ///
            /// # Cancel safety
            #[doc = concat!("Safe, as [`ready`](", stringify!($type), "::ready).")]
            ///
            /// # Errors
            /// When the runtime is shutting down.
            #[track_caller]
            pub fn writable(&self) -> impl Future<Output = std::io::Result<()>> {
                static CALL: blitz_core::waiting::Site = blitz_core::waiting::Site::new(
                    concat!(stringify!($type), "::writable"),
                    blitz_core::waiting::Resource::Descriptor,
                );
                $crate::context::call(&CALL, self.number(), async move {
                    self.io.ready($crate::io::Interest::WRITABLE).await.map(drop)
                })
            }

            /// Polls for readability. One task at a time: only the last caller's waker is kept.
            ///
            /// # Errors
            /// When the runtime is shutting down.
            pub fn $poll_read(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.io.poll_ready(cx, blitz_driver::Direction::Read).map_ok(drop)
            }

            /// Polls for writability. One task at a time: only the last caller's waker is kept.
            ///
            /// # Errors
            /// When the runtime is shutting down.
            pub fn $poll_write(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.io.poll_ready(cx, blitz_driver::Direction::Write).map_ok(drop)
            }

            /// Tries a call of the user's on the descriptor, and clears the readiness when it answers `WouldBlock`.
            ///
            /// `f` is called once if it is ready as `interest` says, else not at all. It must only answer
            /// `WouldBlock` when the descriptor did: otherwise the next wait may miss an event.
            ///
            /// # Errors
            /// `WouldBlock` when it is not ready; else what `f` answers.
            pub fn try_io<R>(
                &self,
                interest: $crate::io::Interest,
                f: impl FnOnce() -> std::io::Result<R>,
            ) -> std::io::Result<R> {
                self.io.try_io(interest, f)
            }

            /// Waits for readiness and tries `f`, until it answers something else than `WouldBlock`.
            ///
            /// # Cancel safety
            /// Safe if `f` is: between its calls nothing is held.
            ///
            /// # Errors
            /// What `f` answers, and when the runtime is shutting down.
            #[track_caller]
            pub fn async_io<R>(
                &self,
                interest: $crate::io::Interest,
                f: impl FnMut() -> std::io::Result<R>,
            ) -> impl Future<Output = std::io::Result<R>> {
                static CALL: blitz_core::waiting::Site = blitz_core::waiting::Site::new(
                    concat!(stringify!($type), "::async_io"),
                    blitz_core::waiting::Resource::Descriptor,
                );
                $crate::context::call(&CALL, self.number(), async move {
                    self.io.async_io(interest, f).await
                })
            }
        }

        $crate::net::waits::has_descriptor!($type);
    };
}
pub(super) use waits;

/// `AsFd` and `AsRawFd` of what has an `io` that answers `fd`.
macro_rules! has_descriptor {
    ($type:ident) => {
        impl $type {
            /// The descriptor's number, for whoever shows what a task waits for.
            #[inline]
            fn number(&self) -> u64 {
                blitz_sys::descriptor::AsRawFd::as_raw_fd(&**self.io.fd()) as u64
            }
        }

        impl blitz_sys::descriptor::AsFd for $type {
            #[inline]
            fn as_fd(&self) -> blitz_sys::descriptor::BorrowedFd<'_> {
                blitz_sys::descriptor::AsFd::as_fd(&**self.io.fd())
            }
        }

        impl blitz_sys::descriptor::AsRawFd for $type {
            fn as_raw_fd(&self) -> blitz_sys::descriptor::RawFd {
                blitz_sys::descriptor::AsRawFd::as_raw_fd(&**self.io.fd())
            }
        }
    };
}
pub(super) use has_descriptor;
