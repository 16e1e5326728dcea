//! Places for connections that are not made by the pool's tasks but by who asked. A place counts as a connection that is being made.

use std::hash::Hash;
use std::panic::Location;
use std::sync::Arc;

use super::{Given, State, Trash, Work};
use crate::pool::metrics::CloseReason;
use crate::time::Instant;

impl<K: Eq + Hash, C, E> State<K, C, E> {
    /// Who wants none that there is does not wait for idle ones of its own key to go.
    pub(super) fn make_room(&mut self, key: &K, work: &mut Work<K, C, E>) {
        let max = self.limits.max_per_key;
        let Some((key, shelf)) = self.shelves.get_key_value(key) else {
            return;
        };
        let key = Arc::clone(key);
        if shelf.size < max {
            return;
        }
        if let Some(member) = self.shelf(&key).idle.pop_front() {
            self.idle_order.remove(&member.stamp);
            self.close(&key, member.connection, CloseReason::Evicted, work);
        }
    }

    /// Gives a waiter a place for the connection that it makes itself.
    pub(super) fn lend_place(&mut self, key: &Arc<K>, number: u64, work: &mut Work<K, C, E>) {
        self.total += 1;
        self.dials += 1;
        self.waiting -= 1;
        self.counters.connects += 1;
        let shelf = self.shelf(key);
        shelf.size += 1;
        shelf.places += 1;
        let place = Given::Place(shelf.generation);
        let waker = shelf.line.remove(number).flatten();
        self.serve(number, waker, Ok(place), work);
    }

    /// Who had a place has made a connection, and has it. Gives the holder's number.
    pub(in crate::pool) fn place_filled(
        &mut self,
        key: &Arc<K>,
        holder: (Instant, &'static Location<'static>, u64),
        work: &mut Work<K, C, E>,
    ) -> u64 {
        self.dials -= 1;
        self.counters.created += 1;
        self.counters.waited += 1;
        let shelf = self.shelf(key);
        shelf.places -= 1;
        shelf.failures = 0;
        work.trash.push(Trash::Error(shelf.last.take()));
        work.changed = true;
        let holder = self.hold(holder, work);
        // While dials failed there was one at a time.
        self.settle(key, work);
        holder
    }

    /// Who had a place has made no connection.
    pub(in crate::pool) fn place_left(&mut self, key: &Arc<K>, work: &mut Work<K, C, E>) {
        self.counters.connect_failures += 1;
        self.free_place(key, work);
        self.settle(key, work);
    }

    pub(super) fn free_place(&mut self, key: &Arc<K>, work: &mut Work<K, C, E>) {
        self.dials -= 1;
        self.total -= 1;
        let shelf = self.shelf(key);
        shelf.size -= 1;
        shelf.places -= 1;
        work.changed = true;
    }
}
