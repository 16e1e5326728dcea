//! What the keeper does with the state when it looks: what is idle for too long, too old or due for a check goes; who has had a
//! connection for too long is told. And what a change of limits, a retirement and the end do at once.

use std::hash::Hash;
use std::sync::Arc;

use super::{Phase, State, Trash, Work};
use crate::pool::config::Limits;
use crate::pool::error::AcquireError;
use crate::pool::metrics::CloseReason;
use crate::time::Instant;

impl<K: Eq + Hash, C, E> State<K, C, E> {
    /// Looks after everything, and says when to look again; `None` while there is nothing to come.
    pub(in crate::pool) fn look_after(
        &mut self,
        now: Instant,
        work: &mut Work<K, C, E>,
    ) -> Option<Instant> {
        let keys: Vec<_> = self.shelves.keys().cloned().collect();
        let mut next = self.look_for_leaks(now, work);
        for key in &keys {
            let due = self.look_at(key, now, work);
            next = earlier(next, due);
        }
        // The whole is coarse, so that many dues that lie close together are one look.
        self.tick = next.map(|next| next.max(now + self.limits.grain()));
        work.trash.extend(keys.into_iter().map(Trash::Key));
        self.tick
    }

    /// The idle ones of one key; says when the next of them is due.
    fn look_at(&mut self, key: &Arc<K>, now: Instant, work: &mut Work<K, C, E>) -> Option<Instant> {
        let mut next = None;
        let (is_open, limits) = (self.phase != Phase::Closed, self.limits.clone());
        let shelf = self.shelves.get_mut(&**key)?;
        let mut surplus = shelf.idle.len().saturating_sub(limits.min_idle);
        let over_key = shelf.size.saturating_sub(limits.max_per_key);
        let over_total = self.total.saturating_sub(limits.max_total);
        let over_idle = shelf.idle.len().saturating_sub(limits.max_idle_per_key);
        let mut over = over_key.max(over_total).max(over_idle);
        let generation = shelf.generation;
        let mut kept = std::collections::VecDeque::with_capacity(shelf.idle.len());
        let mut closed = Vec::new();
        for member in std::mem::take(&mut shelf.idle) {
            let reason = if !is_open {
                Some(CloseReason::Shutdown)
            } else if member.generation != generation {
                Some(CloseReason::Retired)
            } else if member.dies.is_some_and(|dies| dies <= now) {
                Some(CloseReason::MaxAge)
            } else if over > 0 {
                over -= 1;
                Some(CloseReason::Surplus)
            } else if surplus > 0 && limits.is_idle_for_too_long(&member, now) {
                Some(CloseReason::IdleTimeout)
            } else {
                None
            };
            if let Some(reason) = reason {
                surplus = surplus.saturating_sub(1);
                self.idle_order.remove(&member.stamp);
                closed.push((member, reason));
            } else if limits.check_due(&member).is_some_and(|due| due <= now) {
                surplus = surplus.saturating_sub(1);
                self.idle_order.remove(&member.stamp);
                shelf.checks += 1;
                work.checks.push((Arc::clone(key), member));
            } else {
                let due = if surplus > 0 {
                    limits.due(&member)
                } else {
                    limits.due_of_kept(&member)
                };
                next = earlier(next, due);
                kept.push_back(member);
            }
        }
        shelf.idle = kept;
        for (member, reason) in closed {
            self.close(key, member.connection, reason, work);
        }
        self.settle(key, work);
        next
    }

    /// Who has had a connection for too long, once each.
    fn look_for_leaks(&mut self, now: Instant, work: &mut Work<K, C, E>) -> Option<Instant> {
        let after = self.limits.leak_after?;
        for holder in self.holders.values_mut() {
            let due = holder.since + after;
            if due > now {
                // They are in the order in which they began.
                return Some(due);
            }
            if !holder.told {
                holder.told = true;
                self.counters.leaks += 1;
                work.leaks
                    .push((now.duration_since(holder.since), holder.place, holder.task));
            }
        }
        None
    }

    /// New limits: what is too much of what is idle goes now, the rest when it comes back; who may go on waits no longer.
    pub(in crate::pool) fn set_limits(
        &mut self,
        limits: Limits,
        now: Instant,
        work: &mut Work<K, C, E>,
    ) {
        self.limits = limits;
        self.look_after(now, work);
        work.tick = self.tick.is_some();
    }

    /// What lives now is closed when it comes back; the idle ones at once. Of one key, or of all.
    pub(in crate::pool) fn retire(
        &mut self,
        key: Option<&K>,
        now: Instant,
        work: &mut Work<K, C, E>,
    ) {
        match key {
            Some(key) => {
                if let Some(shelf) = self.shelves.get_mut(key) {
                    shelf.generation += 1;
                }
            }
            None => {
                let shelves = self.shelves.values_mut();
                shelves.for_each(|shelf| shelf.generation += 1);
            }
        }
        self.look_after(now, work);
        work.tick = self.tick.is_some();
    }

    /// What is idle goes now.
    pub(in crate::pool) fn drop_idle(&mut self, now: Instant, work: &mut Work<K, C, E>) {
        while self.evict(work) {}
        self.look_after(now, work);
        // The keeper may have nothing left to wait for.
        work.tick = self.is_kept || self.tick.is_some();
    }

    /// Nobody gets a connection until it is resumed.
    pub(in crate::pool) fn suspend(&mut self, work: &mut Work<K, C, E>) {
        if self.phase != Phase::Open {
            return;
        }
        self.phase = Phase::Suspended;
        let keys: Vec<_> = self.shelves.keys().cloned().collect();
        for key in &keys {
            // Nobody is dialled for.
            self.update_short(key);
        }
        work.trash.extend(keys.into_iter().map(Trash::Key));
    }

    /// It goes on: what lies there goes to who waits, and the others are dialled for in the order in which they came, whatever their keys.
    pub(in crate::pool) fn resume(&mut self, now: Instant, work: &mut Work<K, C, E>) {
        if self.phase != Phase::Suspended {
            return;
        }
        self.phase = Phase::Open;
        let keys: Vec<_> = self.shelves.keys().cloned().collect();
        for key in &keys {
            while self.waits_beside_idle(key)
                && let Some((_, member)) = self.take_idle(key, now, |_| true, work)
            {
                self.put(key, member, now, work);
            }
        }
        for key in &keys {
            self.update_short(key);
        }
        for key in &keys {
            self.settle(key, work);
        }
        work.trash.extend(keys.into_iter().map(Trash::Key));
    }

    fn waits_beside_idle(&self, key: &K) -> bool {
        let shelf = self.shelves.get(key);
        shelf.is_some_and(|shelf| !shelf.line.is_empty() && !shelf.idle.is_empty())
    }

    /// Nobody gets a connection any more; who waits is told.
    pub(in crate::pool) fn close_all(&mut self, now: Instant, work: &mut Work<K, C, E>) {
        self.phase = Phase::Closed;
        let keys: Vec<_> = self.shelves.keys().cloned().collect();
        for key in &keys {
            while let Some((number, waker)) = self.shelf(key).line.pop_first() {
                self.waiting -= 1;
                self.serve(number, waker, Err(AcquireError::Closed), work);
            }
        }
        self.look_after(now, work);
        work.trash.extend(keys.into_iter().map(Trash::Key));
        work.changed = true;
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
