//! Interrupts a thread that waits in a ring. (The readiness back ends bring their own: [`readiness::Notifier`](crate::readiness::Notifier).)

#[cfg(eventfd)]
mod eventfd;
#[cfg(eventfd)]
pub use eventfd::EventFd;

#[cfg(not(eventfd))]
mod disabled;
#[cfg(not(eventfd))]
pub use disabled::EventFd;
