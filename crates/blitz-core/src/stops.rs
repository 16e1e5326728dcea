//! A poll that stops at every leaf and shows it: how somebody who polls a future by hand learns where it stands.
//!
//! A leaf is what asks the [budget](crate::budget) whether it may go on. In such a poll it may not, so the budget leads here.

use std::cell::Cell;
use std::ptr::NonNull;
use std::task::Context;

/// Is shown each leaf, and the context that it was polled with.
pub type Look<'a> = dyn FnMut(&mut Context<'_>) + 'a;

crate::thread_local_const! {
    /// Who looks at the leaves of this thread's poll; nobody while a look is under way.
    static LOOK: Cell<Option<NonNull<Look<'static>>>> = Cell::new(None);
}

/// Puts back who looked before, by a panic too.
struct Restore(Option<NonNull<Look<'static>>>);

impl Drop for Restore {
    fn drop(&mut self) {
        // At a thread's end there may be no cell any more, and nobody who looks.
        let _ = LOOK.try_with(|place| place.set(self.0));
    }
}

/// Calls `f`, which is to be called with nothing left of the budget, while `look` is shown the leaves that it comes to.
pub(crate) fn with_look<R>(f: impl FnOnce() -> R, look: &mut Look<'_>) -> R {
    // SAFETY: only the lifetime changes; `Restore` takes the pointer out of the cell before this borrow of `look` ends, and
    // `show` gives it to nobody.
    let look =
        unsafe { std::mem::transmute::<NonNull<Look<'_>>, NonNull<Look<'static>>>(look.into()) };
    let _restore = Restore(
        LOOK.try_with(|place| place.replace(Some(look)))
            .unwrap_or_default(),
    );
    f()
}

/// Does somebody look at the leaves of what this thread polls?
#[cold]
pub(crate) fn is_watched() -> bool {
    LOOK.try_with(|place| place.get().is_some())
        .unwrap_or_default()
}

/// Shows a leaf to whoever looks; false if nobody does.
pub(crate) fn show(cx: &mut Context<'_>) -> bool {
    let Ok(Some(mut look)) = LOOK.try_with(Cell::take) else {
        return false;
    };
    let _restore = Restore(Some(look));
    // SAFETY: `with_look`, further up this thread's stack, has it borrowed for us, and the cell is empty until this call is over:
    // there is no other reference.
    let look = unsafe { look.as_mut() };
    look(cx);
    true
}
