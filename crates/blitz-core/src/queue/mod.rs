//! Queues of owned pointers, between workers and into them.
//!
//! - [`deque`]: one owner, many thieves; bounded.
//! - [`deque::LifoSlot`]: the one item that its owner means to take next, which a thief may take as well.
//! - [`injector`]: from anywhere to any worker; unbounded, behind a lock.
//! - [`lanes`]: several such, by urgency, behind one lock.
//! - [`mpsc`]: from anywhere to one worker; unbounded, one atomic exchange a push.
//!
//! All carry [`Entry`]s: things that are one pointer wide. Those that grow link their entries through the entries
//! themselves ([`Linked`]), so that no push allocates; a [`Chain`] is a batch on its way between two of them.

pub mod chain;
pub mod deque;
pub mod injector;
pub mod lanes;
pub mod mpsc;

pub use chain::{Chain, Link, Linked};

use std::ptr::NonNull;

/// An owned thing as wide as one pointer.
///
/// # Safety
/// `from_raw(into_raw(x))` is `x`, and the pointer in between may travel through memory and to other threads (if
/// `Self: Send`).
pub unsafe trait Entry: Sized {
    /// What the pointer points to.
    type Node;

    /// Gives the thing up for its pointer.
    fn into_raw(self) -> NonNull<Self::Node>;

    /// Takes the thing back.
    ///
    /// # Safety
    /// `node` came from `into_raw`, and this is its one way back.
    unsafe fn from_raw(node: NonNull<Self::Node>) -> Self;
}

// SAFETY: `Box::into_raw` and `from_raw` are inverse, and a box's pointer is not null.
unsafe impl<T> Entry for Box<T> {
    type Node = T;

    fn into_raw(self) -> NonNull<T> {
        NonNull::from(Box::leak(self))
    }

    unsafe fn from_raw(node: NonNull<T>) -> Self {
        // SAFETY: the caller says that it came from `into_raw`, once.
        unsafe { Box::from_raw(node.as_ptr()) }
    }
}

#[cfg(test)]
mod tests;
