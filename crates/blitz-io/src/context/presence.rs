//! How a thread holds paused time: by a wait of its own in `block_on`, by a call that blocks in place, or by one inside the
//! other.
//!
//! Time must not jump while the thread works. A thread in `block_on` within `block_in_place` within `block_on` is one thread
//! all the same: when the innermost wait sleeps, the thread does, and the outer ones must not hold time still.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::sync::Arc;

use blitz_driver::Clock;
use blitz_driver::clock::{Inhibit, Member, Visit};

thread_local! {
    /// The innermost last. Without a destructor: guards take back what they put, and the last one frees the memory.
    static PLACES: RefCell<ManuallyDrop<Vec<Place>>> = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

struct Place {
    clock: Clock,
    /// Whose sleep counts; for a call in place nobody's, since it does not end by a wake.
    member: Option<Arc<dyn Member>>,
    hold: Hold,
}

#[expect(dead_code, reason = "held for their drops")]
enum Hold {
    Visit(Visit),
    Inhibit(Inhibit),
    /// Another place of this thread and clock stands further in.
    Outer,
}

fn hold(clock: &Clock, member: Option<&Arc<dyn Member>>) -> Hold {
    match member {
        Some(member) => Hold::Visit(clock.visit(Arc::clone(member))),
        None => Hold::Inhibit(clock.inhibit()),
    }
}

/// This thread is in a wait, or in a call that blocks, until it is dropped, in the reverse order of the making.
pub(crate) struct Presence {
    _not_send: PhantomData<*const ()>,
}

impl Presence {
    /// In a wait that counts as asleep when `member` is.
    pub(crate) fn waiting(clock: &Clock, member: Arc<dyn Member>) -> Self {
        Self::new(clock, Some(member))
    }

    /// In a call that blocks: time stands still.
    pub(crate) fn blocking(clock: &Clock) -> Self {
        Self::new(clock, None)
    }

    fn new(clock: &Clock, member: Option<Arc<dyn Member>>) -> Self {
        let place = Place {
            clock: clock.clone(),
            hold: hold(clock, member.as_ref()),
            member,
        };
        // Ours holds first, so that time cannot jump in between.
        let outer = PLACES.with_borrow_mut(|places| {
            let outer =
                innermost(places, clock).map(|outer| mem::replace(&mut outer.hold, Hold::Outer));
            places.push(place);
            outer
        });
        // Not under the borrow: time may move, and wakers be called.
        drop(outer);
        Self {
            _not_send: PhantomData,
        }
    }
}

/// The last of the thread's places in the eyes of `clock`.
fn innermost<'a>(places: &'a mut [Place], clock: &Clock) -> Option<&'a mut Place> {
    places
        .iter_mut()
        .rev()
        .find(|place| place.clock.same_as(clock))
}

impl Drop for Presence {
    fn drop(&mut self) {
        let gone = PLACES.with_borrow_mut(|places| {
            let gone = places.pop()?;
            if let Some(outer) = innermost(places, &gone.clock) {
                outer.hold = hold(&outer.clock, outer.member.as_ref());
            }
            if places.is_empty() {
                drop(mem::take(&mut **places));
            }
            Some(gone)
        });
        // Not under the borrow: as above.
        drop(gone);
    }
}
