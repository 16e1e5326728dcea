//! Network devices that a program stands behind (`tun(4)`): packets that the system sends there are read, and packets that are
//! written come in by it.

#[cfg(not(linux))]
#[path = "disabled.rs"]
mod imp;
#[cfg(linux)]
#[path = "linux.rs"]
mod imp;

pub use imp::open;
