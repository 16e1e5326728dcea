//! Which driver belongs to the core that this thread holds.

use std::cell::RefCell;

use crate::shared::{Handle, set_here};

thread_local! {
    static CURRENT: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

/// The driver of the core that this thread holds, if it holds one.
pub fn current() -> Option<Handle> {
    with(Handle::clone)
}

/// Calls `f` with the driver of the core that this thread holds, without counting a reference.
#[inline]
pub fn with<R>(f: impl FnOnce(&Handle) -> R) -> Option<R> {
    CURRENT
        .try_with(|current| current.borrow().as_ref().map(f))
        .ok()
        .flatten()
}

/// Makes `handle` this thread's driver; returns the one before.
pub(crate) fn replace(handle: Option<Handle>) -> Option<Handle> {
    set_here(handle.as_ref());
    CURRENT
        .try_with(|current| current.replace(handle))
        .ok()
        .flatten()
}
