//! Foreign code whose panic nobody is there to hear: wakers, drops and hooks that are called beside somebody else's work.
//!
//! The panic hook has told of the panic already. What must not happen is that it takes along what is not its own: the other
//! wakers of a batch, a worker's core, a driver in the middle of a turn.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What a panic carries.
type Payload = Box<dyn Any + Send>;

thread_local! {
    /// Somebody on this thread wants to have the first panic that is kept quiet.
    static LISTENS: Cell<bool> = const { Cell::new(false) };
    static HEARD: RefCell<Option<Payload>> = const { RefCell::new(None) };
}

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
            end_panic(payload);
            false
        }
    }
}

/// Calls `f`, in which foreign code is called [`quietly`], and goes on with the first panic of that when `f` has done all of its work.
///
/// # Panics
/// If `f` does, or foreign code did in it.
///
/// # Examples
/// ```
/// use blitz_core::quiet::{loudly, quietly};
///
/// let mut was_done = false;
/// let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
///     loudly(|| {
///         quietly(|| std::panic::resume_unwind(Box::new("its own affair")));
///         was_done = true;
///     });
/// }));
/// assert!(unwound.is_err() && was_done);
/// ```
pub fn loudly(f: impl FnOnce()) {
    struct Listening {
        before: bool,
    }
    impl Drop for Listening {
        fn drop(&mut self) {
            LISTENS.set(self.before);
        }
    }
    let listening = Listening {
        before: LISTENS.replace(true),
    };
    f();
    drop(listening);
    if let Some(payload) = HEARD.take() {
        resume_unwind(payload);
    }
}

/// Keeps what a panic carried for whoever listens; else it is dropped.
#[cold]
fn end_panic(payload: Payload) {
    let mut rest = Some(payload);
    // Where the thread ends, and has these no more, nobody listens.
    let _ = HEARD.try_with(|heard| {
        let mut heard = heard.borrow_mut();
        if heard.is_none() && LISTENS.get() {
            *heard = rest.take();
        }
    });
    if let Some(payload) = rest {
        forget_panic(payload);
    }
}

/// Drops what a panic carried; if that panics in turn, what that one carried is leaked.
#[cold]
pub fn forget_panic(payload: Payload) {
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

    #[test]
    fn the_first_panic_is_loud_when_the_work_is_done() {
        let unwound = catch_unwind(|| {
            loudly(|| {
                for number in 1..=3 {
                    assert!(!quietly(|| std::panic::panic_any(number)));
                }
                assert!(!quietly(|| std::panic::panic_any(PanicsInDrop)));
            });
        });
        assert_eq!(unwound.unwrap_err().downcast_ref(), Some(&1));
        // Nobody listens any more, and nothing is left.
        assert!(!quietly(|| std::panic::panic_any(4)));
        loudly(|| assert!(quietly(|| ())));
    }

    #[test]
    fn who_listens_and_panics_itself_listens_no_more() {
        let own = catch_unwind(|| loudly(|| std::panic::panic_any("its own")));
        assert_eq!(own.unwrap_err().downcast_ref(), Some(&"its own"));
        assert!(!quietly(|| std::panic::panic_any("nobody's")));
        loudly(|| ());
    }
}
