//! The end of every move: dials for who waits, room for them, and idle ones for later.

use std::hash::Hash;
use std::sync::Arc;

use super::{Phase, State, Trash, Work};
use crate::pool::metrics::CloseReason;

impl<K: Eq + Hash, C, E> State<K, C, E> {
    /// Brings the lines forward after a move that concerned `key`.
    pub(super) fn settle(&mut self, key: &Arc<K>, work: &mut Work<K, C, E>) {
        self.update_short(key);
        self.dial_short(work);
        self.fill_idle(key, work);
        self.forget_if_empty(key, work);
    }

    /// Whether the key wants a dial, and for whom.
    pub(super) fn update_short(&mut self, key: &Arc<K>) {
        let Some(shelf) = self.shelves.get_mut(&**key) else {
            return;
        };
        let may_dial = self.phase == Phase::Open && shelf.may_dial(&self.limits);
        let wants = if may_dial {
            shelf.line.uncovered()
        } else {
            None
        };
        if wants == shelf.short {
            return;
        }
        if let Some(before) = shelf.short {
            self.short.remove(&before);
        }
        if let Some(number) = wants {
            self.short.insert(number, Arc::clone(key));
        }
        shelf.short = wants;
    }

    /// Dials for those whom their keys' limits allow it, the longest waiting first, as far as the total allows.
    fn dial_short(&mut self, work: &mut Work<K, C, E>) {
        while let Some((number, key)) = self.short.first_key_value() {
            let (number, key) = (*number, Arc::clone(key));
            while self.total >= self.limits.max_total {
                if !self.evict(work) {
                    return;
                }
            }
            if self.shelf(&key).line.makes(number) {
                self.lend_place(&key, number, work);
            } else {
                self.dial(&key, work);
            }
            self.update_short(&key);
        }
    }

    fn dial(&mut self, key: &Arc<K>, work: &mut Work<K, C, E>) {
        self.total += 1;
        self.dials += 1;
        self.counters.connects += 1;
        let shelf = self.shelf(key);
        shelf.size += 1;
        shelf.line.dial_begins();
        work.dials.push((Arc::clone(key), shelf.generation));
    }

    /// Closes the connection that has been idle longest, of whichever key.
    pub(super) fn evict(&mut self, work: &mut Work<K, C, E>) -> bool {
        let Some((_, key)) = self.idle_order.pop_first() else {
            return false;
        };
        let oldest = self.shelf(&key).idle.pop_front();
        let member = oldest.expect("each shelf is in the order of the whole");
        self.close(&key, member.connection, CloseReason::Evicted, work);
        // Nobody waits for a key of which one is idle: nothing else is to be done for it.
        self.forget_if_empty(&key, work);
        true
    }

    /// Dials for nobody, so that as many are idle as there should be.
    fn fill_idle(&mut self, key: &Arc<K>, work: &mut Work<K, C, E>) {
        while self.phase == Phase::Open
            && self.connects
            && self.total < self.limits.max_total
            && self.short.is_empty()
        {
            let limits = &self.limits;
            let shelf = self.shelves.get(&**key);
            if !shelf.is_some_and(|shelf| shelf.may_dial(limits) && shelf.lacks_idle(limits)) {
                return;
            }
            self.dial(key, work);
        }
    }

    /// A key of which nothing is left costs nothing.
    fn forget_if_empty(&mut self, key: &Arc<K>, work: &mut Work<K, C, E>) {
        let is_kept = self.phase != Phase::Closed && self.limits.min_idle > 0;
        let Some(shelf) = self.shelves.get(&**key) else {
            return;
        };
        if is_kept || shelf.size > 0 || shelf.pausing || !shelf.line.is_empty() {
            return;
        }
        if let Some((key, shelf)) = self.shelves.remove_entry(&**key) {
            work.trash.push(Trash::Key(key));
            work.trash.push(Trash::Error(shelf.last));
        }
    }
}
