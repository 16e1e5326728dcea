//! Interrupts a thread that waits in a ring: a counter that it polls ([`EventFd`]), or a word that it waits on ([`FutexWord`]). (The
//! readiness back ends bring their own: [`readiness::Notifier`](crate::readiness::Notifier).)

#[cfg(eventfd)]
mod eventfd;
#[cfg(eventfd)]
pub use eventfd::EventFd;

#[cfg(not(eventfd))]
mod disabled;
#[cfg(not(eventfd))]
pub use disabled::EventFd;

#[cfg(uring)]
mod futex;
#[cfg(uring)]
pub use futex::FutexWord;

#[cfg(not(uring))]
mod no_futex;
#[cfg(not(uring))]
pub use no_futex::FutexWord;
