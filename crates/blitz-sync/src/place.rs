//! A place in a line of those who wait. It lies in the future that waits, so no wait allocates.
//!
//! The lines of this crate (for [permits](crate::permits), for a [signal](crate::notify), for a [change](crate::waiters)) differ in
//! whom they serve, and when. What a place is, and who may touch its waker, is the same.

use std::marker::{PhantomData, PhantomPinned};
use std::ops::Deref;
use std::ptr::NonNull;
use std::task::Waker;

use blitz_core::list::{Links, List, Node};
use blitz_core::primitive::cell::UnsafeCell;
use blitz_core::primitive::sync::MutexGuard;

/// One who waits. Its waker belongs to whoever holds the line's lock, while it is in the line; to its owner else.
pub(crate) struct Place<N> {
    links: Links<Self>,
    waker: UnsafeCell<Option<Waker>>,
    /// What its line has to know of it. What is not atomic there is touched as the waker is.
    note: N,
    _pin: PhantomPinned,
}

// SAFETY: what is not atomic is touched under the lock of the line, or by the owner while the place is in no line.
unsafe impl<N: Send> Send for Place<N> {}
// SAFETY: as above.
unsafe impl<N: Send> Sync for Place<N> {}

impl<N> Place<N> {
    pub(crate) fn new(note: N) -> Self {
        Self {
            links: Links::new(),
            waker: UnsafeCell::new(None),
            note,
            _pin: PhantomPinned,
        }
    }

    /// # Safety
    /// The caller holds the line's lock and the place has no answer yet; or it is in no line, and the caller's.
    pub(crate) unsafe fn take_waker(&self) -> Option<Waker> {
        // SAFETY: as the caller says.
        self.waker.with_mut(|waker| unsafe { (*waker).take() })
    }

    /// Puts `waker` into a place that is about to stand in line.
    ///
    /// # Safety
    /// It is in no line, and the caller's.
    pub(crate) unsafe fn put_waker(&self, waker: Option<Waker>) {
        // SAFETY: as the caller says.
        let old = self
            .waker
            .with_mut(|slot| unsafe { std::mem::replace(&mut *slot, waker) });
        debug_assert!(old.is_none(), "a place's waker went with its wake");
    }

    /// Leaves `waker` in a place that stands in the line of which `line` is the lock, and calls `changed` with it if another was there.
    ///
    /// Answers whether that was done. If not, `new` holds it: it was cloned without the lock, and the caller has to look again.
    ///
    /// # Safety
    /// The place is in that line.
    pub(crate) unsafe fn leave_waker<L>(
        &self,
        line: MutexGuard<'_, L>,
        waker: &Waker,
        new: &mut Option<Waker>,
        changed: impl FnOnce(&Waker),
    ) -> bool {
        let same = self.waker.with(|slot| {
            // SAFETY: it is in the line, and the lock is held.
            let old = unsafe { (*slot).as_ref() };
            old.is_some_and(|old| old.will_wake(waker))
        });
        if same {
            return true;
        }
        let Some(new) = new.take() else {
            drop(line);
            // Foreign code, so without the lock.
            *new = Some(waker.clone());
            return false;
        };
        changed(&new);
        // SAFETY: as above.
        let old = self.waker.with_mut(|slot| unsafe { (*slot).replace(new) });
        drop(line);
        drop(old);
        true
    }
}

impl<N> Deref for Place<N> {
    type Target = N;

    #[inline]
    fn deref(&self) -> &N {
        &self.note
    }
}

/// The places of a line.
pub(crate) struct InLine<N>(PhantomData<N>);

/// Those who wait, the next to be served in front.
pub(crate) type Line<N> = List<InLine<N>>;

// SAFETY: a place is pinned in its future, which leaves the line before it goes; `links` is always the same field.
unsafe impl<N> Node for InLine<N> {
    type Handle = NonNull<Place<N>>;
    type Target = Place<N>;

    fn into_raw(handle: NonNull<Place<N>>) -> NonNull<Place<N>> {
        handle
    }

    unsafe fn from_raw(node: NonNull<Place<N>>) -> NonNull<Place<N>> {
        node
    }

    unsafe fn links(node: NonNull<Place<N>>) -> NonNull<Links<Place<N>>> {
        // SAFETY: the node is valid, as the caller says.
        let links = unsafe { &raw mut (*node.as_ptr()).links };
        // SAFETY: the address of a field of a valid node.
        unsafe { NonNull::new_unchecked(links) }
    }
}
