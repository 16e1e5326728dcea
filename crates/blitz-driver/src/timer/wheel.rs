//! Deadlines in order: a hierarchical wheel that knows no clock; the present is an argument.
//!
//! Six levels of 64 slots, the lowest 1 ms wide, each level 64 times the one below: 2.2 years. What lies
//! beyond waits in one more slot, `far`. The wheel only sorts: entries keep their deadlines to the
//! nanosecond, and nothing fires before its own.
//!
//! - An entry's level is the highest base-64 digit in which its millisecond differs from the present one. So all of
//!   level 0 comes before all of level 1, and so on: the earliest slot is found by one bit scan.
//! - When the present enters a slot, the slot's entries move to lower levels, or to `due`, a heap ordered by deadline
//!   and then by registration. A heap entry whose timer was cancelled or reset is dropped when it comes up, or when
//!   such entries become the majority.
//! - Each slot knows its earliest deadline, so a wait ends at a deadline and never just to move entries. Who cancels
//!   the earliest entry leaves its deadline behind as a lower bound; it is made exact by looking at all of the slot
//!   when that is paid for by the number of cancels, so that a million cancels stay linear. Otherwise the wait may end
//!   once at the bound; then the slot is spread over finer ones.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use blitz_core::slab::{Key, Slab};

const TICK_NS: u64 = 1_000_000;
const LEVELS: usize = 6;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_MASK: u64 = SLOTS as u64 - 1;

/// So many entries of a slot are looked at for its exact minimum at any time,
/// and so many more per entry that left the slot.
const SCAN_FREE: u32 = 32;
const SCAN_PER_REMOVAL: u32 = 2;

/// Links end here: no slab gives this key.
const NIL: Key = Key::from_raw(u64::MAX);

/// Timers with a payload each: the waker to call.
pub(super) struct Wheel<W> {
    entries: Slab<Entry<W>>,
    /// The latest `now` that it was told.
    now: u64,
    /// The same in milliseconds, which is where every slot counts from.
    tick: u64,
    /// Counts registrations.
    seq: u64,
    levels: Box<[Level]>,
    far: Slot,
    due: BinaryHeap<Reverse<Due>>,
    /// Heap entries whose timer is gone or was reset.
    stale_dues: usize,
}

struct Entry<W> {
    deadline: u64,
    seq: u64,
    prev: Key,
    next: Key,
    place: Place,
    /// None once it fired.
    payload: Option<W>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Slot { level: u8, slot: u8 },
    Far,
    Due,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    deadline: u64,
    seq: u64,
    key: Key,
}

struct Level {
    /// A bit per slot that has entries.
    occupied: u64,
    slots: [Slot; SLOTS],
}

/// A list of entries, in the order of their registration.
#[derive(Clone, Copy)]
struct Slot {
    head: Key,
    tail: Key,
    len: u32,
    /// How many left since `min` was last made exact.
    removed: u32,
    /// Never later than the earliest deadline inside.
    min: u64,
    exact: bool,
}

impl Slot {
    const EMPTY: Self = Self {
        head: NIL,
        tail: NIL,
        len: 0,
        removed: 0,
        min: u64::MAX,
        exact: true,
    };
}

impl<W> Wheel<W> {
    pub(super) fn new() -> Self {
        let level = || Level {
            occupied: 0,
            slots: [Slot::EMPTY; SLOTS],
        };
        Self {
            entries: Slab::new(),
            now: 0,
            tick: 0,
            seq: 0,
            levels: (0..LEVELS).map(|_| level()).collect(),
            far: Slot::EMPTY,
            due: BinaryHeap::new(),
            stale_dues: 0,
        }
    }

    /// How many entries there are, fired ones not yet removed included.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of the levels, the entries and the heap.
    pub(super) fn bytes(&self) -> usize {
        self.entries.bytes()
            + size_of_val(&*self.levels)
            + self.due.capacity() * size_of::<Reverse<Due>>()
    }

    /// Adds an entry. Gives the payload back if `deadline` is not after the present.
    #[inline]
    pub(super) fn insert(&mut self, deadline: u64, payload: W) -> Result<Key, W> {
        if deadline <= self.now {
            return Err(payload);
        }
        self.seq += 1;
        let entry = Entry {
            deadline,
            seq: self.seq,
            prev: NIL,
            next: NIL,
            place: Place::Due,
            payload: Some(payload),
        };
        let key = self.entries.insert(entry);
        self.link(key);
        Ok(key)
    }

    /// The payload, unless the entry fired or was removed.
    #[inline]
    pub(super) fn payload_mut(&mut self, key: Key) -> Option<&mut W> {
        self.entries.get_mut(key)?.payload.as_mut()
    }

    /// Moves a pending entry to `deadline`, as the latest registration.
    ///
    /// Returns the payload if it fires by that, `deadline` not being after the present.
    pub(super) fn reset(&mut self, key: Key, deadline: u64) -> Option<W> {
        self.payload_mut(key)?;
        self.unlink(key);
        self.seq += 1;
        let entry = self.entries.get_mut(key)?;
        entry.deadline = deadline;
        entry.seq = self.seq;
        if deadline <= self.now {
            return entry.payload.take();
        }
        self.link(key);
        None
    }

    /// Removes an entry, fired or not. Returns the payload if it had not fired.
    #[inline]
    pub(super) fn remove(&mut self, key: Key) -> Option<W> {
        if self.payload_mut(key).is_some() {
            self.unlink(key);
        }
        self.entries.remove(key)?.payload
    }

    /// Moves the present to `now`; a present that lies behind changes nothing. What is due then comes from [`pop_due`](Self::pop_due).
    #[inline]
    pub(super) fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
        let target = self.now / TICK_NS;
        if target != self.tick {
            self.turn_to(target);
        }
    }

    /// The next entry that is due: by deadline, then by registration.
    pub(super) fn pop_due(&mut self) -> Option<W> {
        let Due { deadline, key, .. } = self.earliest_due()?;
        if deadline > self.now {
            return None;
        }
        self.due.pop();
        if self.due.is_empty() && self.due.capacity() > 4096 {
            self.due.shrink_to(64);
        }
        self.entries.get_mut(key)?.payload.take()
    }

    /// The earliest deadline of all that have not fired. It may be too early in the one case that the file's head
    /// describes, never too late.
    #[inline]
    pub(super) fn next_deadline(&mut self) -> Option<u64> {
        if let Some(due) = self.earliest_due() {
            return Some(due.deadline);
        }
        let found = self.levels.iter_mut().find(|level| level.occupied != 0);
        let slot = match found {
            Some(level) => &mut level.slots[level.occupied.trailing_zeros() as usize],
            None if self.far.len != 0 => &mut self.far,
            None => return None,
        };
        let paid = SCAN_FREE.saturating_add(slot.removed.saturating_mul(SCAN_PER_REMOVAL));
        if !slot.exact && slot.len <= paid {
            let mut key = slot.head;
            slot.min = u64::MAX;
            while let Some(entry) = self.entries.get(key) {
                slot.min = slot.min.min(entry.deadline);
                key = entry.next;
            }
            slot.exact = true;
            slot.removed = 0;
        }
        Some(slot.min)
    }

    /// The top of the heap, rid of those whose timer is gone.
    #[inline]
    fn earliest_due(&mut self) -> Option<Due> {
        while let Some(Reverse(due)) = self.due.peek() {
            if is_current(&self.entries, due) {
                break;
            }
            self.due.pop();
            self.stale_dues = self.stale_dues.saturating_sub(1);
        }
        self.due.peek().map(|Reverse(due)| *due)
    }

    /// Where a deadline belongs, counted from the present.
    #[inline]
    fn place(&self, deadline: u64) -> Place {
        let tick = deadline / TICK_NS;
        if tick <= self.tick {
            return Place::Due;
        }
        let level = level_of(tick ^ self.tick);
        if level >= LEVELS {
            return Place::Far;
        }
        let slot = (tick >> (SLOT_BITS * level as u32)) & SLOT_MASK;
        Place::Slot {
            level: level as u8,
            slot: slot as u8,
        }
    }

    /// Puts an entry that is in no list where it belongs.
    #[inline]
    fn link(&mut self, key: Key) {
        let Some(entry) = self.entries.get(key) else {
            return;
        };
        let (deadline, seq) = (entry.deadline, entry.seq);
        let place = self.place(deadline);
        let slot = match place {
            Place::Due => {
                self.due.push(Reverse(Due { deadline, seq, key }));
                if let Some(entry) = self.entries.get_mut(key) {
                    entry.place = place;
                }
                return;
            }
            Place::Far => &mut self.far,
            Place::Slot { level, slot } => {
                let level = &mut self.levels[level as usize];
                level.occupied |= 1 << slot;
                &mut level.slots[slot as usize]
            }
        };
        if slot.len == 0 || deadline < slot.min {
            slot.min = deadline;
            slot.exact = true;
        }
        slot.len += 1;
        let tail = std::mem::replace(&mut slot.tail, key);
        if tail == NIL {
            slot.head = key;
        }
        if let Some(entry) = self.entries.get_mut(key) {
            entry.place = place;
            entry.prev = tail;
            entry.next = NIL;
        }
        if let Some(tail) = self.entries.get_mut(tail) {
            tail.next = key;
        }
    }

    /// Takes a pending entry out of its list.
    #[inline]
    fn unlink(&mut self, key: Key) {
        let Some(entry) = self.entries.get(key) else {
            return;
        };
        let (prev, next, deadline) = (entry.prev, entry.next, entry.deadline);
        let slot = match entry.place {
            Place::Due => return self.forget_due(),
            Place::Far => &mut self.far,
            Place::Slot { level, slot } => {
                let level = &mut self.levels[level as usize];
                if level.slots[slot as usize].len == 1 {
                    level.occupied &= !(1 << slot);
                }
                &mut level.slots[slot as usize]
            }
        };
        if slot.len == 1 {
            *slot = Slot::EMPTY;
            return;
        }
        slot.len -= 1;
        slot.removed = slot.removed.saturating_add(1);
        slot.exact &= deadline != slot.min;
        if slot.head == key {
            slot.head = next;
        }
        if slot.tail == key {
            slot.tail = prev;
        }
        if let Some(prev) = self.entries.get_mut(prev) {
            prev.next = next;
        }
        if let Some(next) = self.entries.get_mut(next) {
            next.prev = prev;
        }
    }

    /// An entry of the heap is about to leave or to be reset; its heap entry stays for now.
    fn forget_due(&mut self) {
        self.stale_dues += 1;
        // Half of them is the bound; the one that is about to leave still looks current and stays.
        if self.stale_dues > 64 && self.stale_dues * 2 > self.due.len() {
            let entries = &self.entries;
            self.due.retain(|Reverse(due)| is_current(entries, due));
            self.stale_dues = 1;
        }
    }

    /// Moves the present to `target`, a later millisecond, and all entries with it.
    #[cold]
    fn turn_to(&mut self, target: u64) {
        let top = level_of(target ^ self.tick);
        self.tick = target;
        // Everything below the digit that changed has passed.
        for level in 0..top.min(LEVELS) {
            self.drain(level, u64::MAX);
        }
        if top >= LEVELS {
            let far = std::mem::replace(&mut self.far, Slot::EMPTY);
            self.spread(far.head);
        } else {
            // In the digit's own level: the slots before it have passed, and its own is entered.
            let digit = (target >> (SLOT_BITS * top as u32)) & SLOT_MASK;
            self.drain(top, u64::MAX >> (SLOT_MASK - digit));
        }
    }

    /// Moves the entries of all slots of `level` that are in `mask` to where they belong now.
    fn drain(&mut self, level: usize, mask: u64) {
        loop {
            let Level { occupied, slots } = &mut self.levels[level];
            let pending = *occupied & mask;
            if pending == 0 {
                return;
            }
            let slot = pending.trailing_zeros();
            *occupied &= !(1 << slot);
            let list = std::mem::replace(&mut slots[slot as usize], Slot::EMPTY);
            self.spread(list.head);
        }
    }

    fn spread(&mut self, mut key: Key) {
        while let Some(entry) = self.entries.get(key) {
            let next = entry.next;
            self.link(key);
            key = next;
        }
    }
}

/// The highest base-64 digit that is not zero; of 0 the lowest.
#[inline]
fn level_of(difference: u64) -> usize {
    ((difference | 1).ilog2() / SLOT_BITS) as usize
}

/// True if this heap entry speaks of a timer's latest registration, which has not fired.
#[inline]
fn is_current<W>(entries: &Slab<Entry<W>>, due: &Due) -> bool {
    entries
        .get(due.key)
        .is_some_and(|entry| entry.seq == due.seq && entry.payload.is_some())
}

#[cfg(all(test, not(loom)))]
#[path = "tests/wheel.rs"]
mod tests;
