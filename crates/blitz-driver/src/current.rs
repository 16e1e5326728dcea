//! Which driver belongs to the core that this thread holds.
//!
//! A thread that is stuck in a task loses its core to another one, and its driver with it, without doing anything. So what a
//! thread holds is not its own to say: each hold is a [`Grant`], which whoever seizes the driver marks.

use std::cell::RefCell;
use std::ptr;
use std::sync::Arc;

use crate::flight::Left;
use crate::grant::{self, Grant};
use crate::shared::Handle;

thread_local! {
    /// The drivers that this thread holds, the one it holds now last.
    static PLACES: RefCell<Places> = const { RefCell::new(Places(Vec::new())) };
}

thread_local! {
    /// What this thread has in flight in rings that it gave up.
    static LEFT: RefCell<Vec<Arc<Left>>> = const { RefCell::new(Vec::new()) };
}

/// Whether this thread has operations in flight on rings that it gave up. The kernel cancels those when it ends.
pub fn has_left_behind() -> bool {
    let has = LEFT.try_with(|left| {
        let mut left = left.borrow_mut();
        left.retain(|left| !left.is_none());
        !left.is_empty()
    });
    // At the thread's end there is nothing to be done about it.
    has.unwrap_or(false)
}

struct Place {
    handle: Handle,
    grant: Arc<Grant>,
}

struct Places(Vec<Place>);

impl Places {
    /// After each change.
    fn note_last(&self) {
        grant::set_here(
            self.0
                .last()
                .map_or(ptr::null(), |place| Arc::as_ptr(&place.grant)),
        );
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        // The thread ends.
        grant::set_here(ptr::null());
    }
}

/// The driver of the core that this thread holds, if it holds one.
pub fn current() -> Option<Handle> {
    with(Handle::clone)
}

/// Calls `f` with the driver of the core that this thread holds, without counting a reference.
#[inline]
pub fn with<R>(f: impl FnOnce(&Handle) -> R) -> Option<R> {
    PLACES
        .try_with(|places| {
            let places = places.borrow();
            let place = places.0.last().filter(|place| !place.grant.is_seized());
            place.map(|place| f(&place.handle))
        })
        .ok()
        .flatten()
}

/// This thread holds the driver of `handle` from now on.
pub(crate) fn enter(handle: &Handle, grant: &Arc<Grant>) {
    let place = Place {
        handle: handle.clone(),
        grant: Arc::clone(grant),
    };
    // At a thread's end there may be no list any more: such a thread holds no driver.
    let _ = PLACES.try_with(|places| {
        let mut places = places.borrow_mut();
        places.0.push(place);
        places.note_last();
    });
}

/// This thread gives the driver of `grant` up; what it held before is so again.
pub(crate) fn leave(grant: &Arc<Grant>) {
    leave_where(|place| Arc::ptr_eq(&place.grant, grant));
}

/// This thread was stuck, lost its core, and is back where it took it: it forgets what it held.
pub fn forget_seized() {
    leave_where(|place| place.grant.is_seized());
}

fn leave_where(is_gone: impl Fn(&Place) -> bool) {
    let gone = PLACES.try_with(|places| {
        let mut places = places.borrow_mut();
        let at = places.0.iter().rposition(is_gone);
        let gone = at.map(|at| places.0.remove(at));
        places.note_last();
        gone
    });
    if let Ok(Some(place)) = &gone
        && !place.grant.left.is_none()
    {
        // As in `has_left_behind`.
        let _ = LEFT.try_with(|left| left.borrow_mut().push(Arc::clone(&place.grant.left)));
    }
    // Not under the borrow: it may be the driver's last reference.
    drop(gone);
}
