//! Foreign code whose panic nobody is there to hear: wakers, drops and hooks that are called beside somebody else's work.
//!
//! The panic hook has told of the panic already. What must not happen is that it takes along what is not its own: the other
//! wakers of a batch, a worker's core, a driver in the middle of a turn.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls foreign code; a panic ends the call, and no more. Returns false if there was one.
///
/// # Examples
/// ```
/// use blitz_core::quiet::quietly;
///
/// assert!(quietly(|| ()));
/// assert!(!quietly(|| std::panic::resume_unwind(Box::new("its own affair"))));
/// ```
#[inline]
pub fn quietly(f: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(()) => true,
        Err(payload) => {
            forget_panic(payload);
            false
        }
    }
}

/// Drops what a panic carried; if that panics in turn, what that one carried is leaked.
#[cold]
pub fn forget_panic(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(another);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct PanicsInDrop;

    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("the payload's own panic");
        }
    }

    #[test]
    fn a_panic_whose_payload_panics_ends_here() {
        assert!(!quietly(|| std::panic::panic_any(PanicsInDrop)));
    }
}
