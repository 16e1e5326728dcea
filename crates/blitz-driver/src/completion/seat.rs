//! Where a stream of answers stands, and when it moves to another ring.
//!
//! A stream stays on the ring where its reader polled it first. When the reader was polled on another ring of the same
//! runtime time and again, the stream moves there, as a registration does: the armed entry is cancelled, the reader takes
//! what the old ring still answers, and only after the last answer was taken is an entry queued on the new one. So nothing
//! is lost, and received bytes keep their order.

use blitz_core::slab::Key;

use crate::current;
use crate::flight::Delivery;
use crate::registration::FOREIGN_POLLS_MAX;
use crate::shared::Handle;

/// A stream's seat in a driver's table of operations. Under the stream's own lock.
pub(super) struct Seat {
    handle: Handle,
    key: Key,
    foreign_polls: u8,
}

/// What a poll finds: where the stream stands, and whether it is to leave.
pub(super) struct Found {
    pub(super) handle: Handle,
    pub(super) key: Key,
    pub(super) is_leaving: bool,
}

impl Seat {
    pub(super) fn new((handle, key): (Handle, Key)) -> Self {
        Self {
            handle,
            key,
            foreign_polls: 0,
        }
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    /// Where the stream stands, for one who does not make it move.
    pub(super) fn look(&self) -> Found {
        Found {
            handle: self.handle.clone(),
            key: self.key,
            is_leaving: false,
        }
    }

    /// Notes on which thread the reader is polled.
    pub(super) fn find(&mut self) -> Found {
        let home = &self.handle;
        let is_foreign = current::with(|here| !here.same_as(home) && here.is_sibling(home));
        self.foreign_polls = match is_foreign {
            Some(true) => self.foreign_polls.saturating_add(1),
            // On its own ring; or on a thread without one, which says nothing.
            Some(false) if home.is_current() => 0,
            _ => self.foreign_polls,
        };
        Found {
            handle: home.clone(),
            key: self.key,
            is_leaving: is_foreign == Some(true) && self.foreign_polls >= FOREIGN_POLLS_MAX,
        }
    }

    /// Gives up the seat that was `found`, if the stream still has that one, and if the old ring has nothing more for it.
    ///
    /// `remains` is to be finished after the stream's lock.
    pub(super) fn leave(seat: &mut Option<Self>, found: &Found, remains: &mut Delivery) {
        let is_same = |seat: &mut Seat| seat.handle.same_as(&found.handle) && seat.key == found.key;
        if seat.as_mut().is_some_and(is_same) {
            let mut submission = found.handle.submission();
            if submission.ops.is_many_over(found.key) {
                submission.ops.abandon_many(found.key, remains);
                *seat = None;
            }
        }
    }
}
