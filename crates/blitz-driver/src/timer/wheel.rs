//! Deadlines in order: a hierarchical wheel that knows no clock; the present is an argument.
//!
//! Six levels of 64 slots, the lowest 1 ms wide, each level 64 times the one below: 2.2 years. What lies
//! beyond waits in one more slot, `far`. The wheel only sorts: entries keep their deadlines to the
//! nanosecond, and nothing fires before its own.
//!
//! - An entry's level is the highest base-64 digit in which its millisecond differs from the present one. So all of
//!   level 0 comes before all of level 1, and so on: the earliest slot is found by one bit scan.
//! - A slot above the lowest level that holds many entries is a wheel of its own: 64 slots by the next digit, which again may
//!   be such. When the present enters it, those slots take the place of the level below as they are. So entering a slot
//!   moves few entries one by one, however many there are: a million that end in the same four seconds cost no turn dearly.
//! - When the present enters a slot with few, its entries move to lower levels, or to `due`, a heap ordered by deadline
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
/// So many entries a slot above the lowest level keeps in one list; with one more they are spread over finer slots.
const LIST_MAX: u32 = 256;

/// So many entries of a slot are looked at for its exact minimum at any time,
/// and so many more per entry that left the slot.
const SCAN_FREE: u32 = 32;
const SCAN_PER_REMOVAL: u32 = 2;

/// Links end here: no slab gives this key.
const NIL: Key = Key::from_raw(u64::MAX);

/// Where an entry or a slot stands: the number of its node, and in the lowest six bits that of the slot in it.
type At = u32;
/// Among those beyond the highest level.
const FAR: At = u32::MAX;
/// In the heap.
const DUE: At = u32::MAX - 1;
/// Of a slot without finer ones, and of a level, which stands in no slot.
const NOWHERE: At = u32::MAX - 2;

/// Timers with a payload each: the waker to call.
pub(super) struct Wheel<W> {
    entries: Slab<Entry<W>>,
    /// The latest `now` that it was told.
    now: u64,
    /// The same in milliseconds, which is where every slot counts from.
    tick: u64,
    /// Counts registrations.
    seq: u64,
    /// 64 for each node, which is a level or what a slot with many entries is made of.
    slots: Vec<Slot>,
    nodes: Vec<Node>,
    free_nodes: Vec<u32>,
    /// The first slot of each level.
    levels: [At; LEVELS],
    far: Slot,
    due: BinaryHeap<Reverse<Due>>,
    /// Heap entries whose timer is gone or was reset.
    stale_dues: usize,
    /// How many entries were linked or looked at, one by one.
    #[cfg(test)]
    work: usize,
}

struct Entry<W> {
    deadline: u64,
    seq: u64,
    prev: Key,
    next: Key,
    at: At,
    /// None once it fired.
    payload: Option<W>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    deadline: u64,
    seq: u64,
    key: Key,
}

/// 64 slots by one digit.
#[derive(Clone, Copy)]
struct Node {
    /// A bit per slot that has entries.
    occupied: u64,
    /// The slot that these slots stand in.
    parent: At,
}

/// A list of entries, or a node with finer slots.
#[derive(Clone, Copy)]
struct Slot {
    head: Key,
    tail: Key,
    len: u32,
    /// How many left since `min` was last made exact.
    removed: u32,
    /// Never later than the earliest deadline inside.
    min: u64,
    /// The first of the finer slots that it is made of: then the list is empty.
    finer: At,
    exact: bool,
}

impl Slot {
    const EMPTY: Self = Self {
        head: NIL,
        tail: NIL,
        len: 0,
        removed: 0,
        min: u64::MAX,
        finer: NOWHERE,
        exact: true,
    };
}

impl<W> Wheel<W> {
    pub(super) fn new() -> Self {
        let node = Node {
            occupied: 0,
            parent: NOWHERE,
        };
        Self {
            entries: Slab::new(),
            now: 0,
            tick: 0,
            seq: 0,
            slots: vec![Slot::EMPTY; LEVELS * SLOTS],
            nodes: vec![node; LEVELS],
            free_nodes: Vec::new(),
            levels: std::array::from_fn(|level| (level << SLOT_BITS) as At),
            far: Slot::EMPTY,
            due: BinaryHeap::new(),
            stale_dues: 0,
            #[cfg(test)]
            work: 0,
        }
    }

    /// How many entries there are, fired ones not yet removed included.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of the slots, the entries and the heap.
    pub(super) fn bytes(&self) -> usize {
        self.entries.bytes()
            + self.slots.capacity() * size_of::<Slot>()
            + self.nodes.capacity() * size_of::<Node>()
            + self.free_nodes.capacity() * size_of::<u32>()
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
            at: DUE,
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
        let occupied = |first: &&At| self.nodes[node_of(**first)].occupied != 0;
        let slot = match self.levels.iter().find(occupied) {
            Some(&first) => {
                let at = self.first_list(first);
                &mut self.slots[at as usize]
            }
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
                #[cfg(test)]
                {
                    self.work += 1;
                }
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

    /// The list with the earliest entries of a node that has some.
    #[inline]
    fn first_list(&self, mut first: At) -> At {
        loop {
            let at = first + self.nodes[node_of(first)].occupied.trailing_zeros();
            match self.slots[at as usize].finer {
                NOWHERE => return at,
                finer => first = finer,
            }
        }
    }

    /// Where a deadline belongs, counted from the present, and the level of that slot.
    #[inline]
    fn place(&self, deadline: u64) -> (At, usize) {
        let tick = deadline / TICK_NS;
        if tick <= self.tick {
            return (DUE, 0);
        }
        let mut level = level_of(tick ^ self.tick);
        if level >= LEVELS {
            return (FAR, 0);
        }
        let mut first = self.levels[level];
        loop {
            let at = first | digit_of(tick, level);
            match self.slots[at as usize].finer {
                NOWHERE => return (at, level),
                finer => first = finer,
            }
            level -= 1;
        }
    }

    /// Puts an entry that is in no list where it belongs.
    #[inline]
    fn link(&mut self, key: Key) {
        #[cfg(test)]
        {
            self.work += 1;
        }
        let Some(entry) = self.entries.get(key) else {
            return;
        };
        let (deadline, seq) = (entry.deadline, entry.seq);
        let (at, level) = self.place(deadline);
        let slot = match at {
            DUE => {
                self.due.push(Reverse(Due { deadline, seq, key }));
                if let Some(entry) = self.entries.get_mut(key) {
                    entry.at = DUE;
                }
                return;
            }
            FAR => &mut self.far,
            at => {
                self.nodes[node_of(at)].occupied |= bit_of(at);
                &mut self.slots[at as usize]
            }
        };
        if slot.len == 0 || deadline < slot.min {
            slot.min = deadline;
            slot.exact = true;
        }
        slot.len += 1;
        let is_long = slot.len > LIST_MAX && level > 0;
        let tail = std::mem::replace(&mut slot.tail, key);
        if tail == NIL {
            slot.head = key;
        }
        if let Some(entry) = self.entries.get_mut(key) {
            entry.at = at;
            entry.prev = tail;
            entry.next = NIL;
        }
        if let Some(tail) = self.entries.get_mut(tail) {
            tail.next = key;
        }
        if is_long {
            self.refine(at);
        }
    }

    /// Spreads a slot's entries over finer slots, which come to stand in it.
    #[cold]
    fn refine(&mut self, at: At) {
        let node = match self.free_nodes.pop() {
            Some(node) => node,
            None => {
                self.slots.resize(self.slots.len() + SLOTS, Slot::EMPTY);
                self.nodes.push(Node {
                    occupied: 0,
                    parent: NOWHERE,
                });
                self.nodes.len() as u32 - 1
            }
        };
        self.nodes[node as usize].parent = at;
        let refined = Slot {
            finer: node << SLOT_BITS,
            ..Slot::EMPTY
        };
        let list = std::mem::replace(&mut self.slots[at as usize], refined);
        self.spread(list.head);
    }

    /// A slot has become empty; so may have the node that it is in, and the slot that this stands in.
    #[inline]
    fn vacate(&mut self, mut at: At) {
        loop {
            self.slots[at as usize] = Slot::EMPTY;
            let node = &mut self.nodes[node_of(at)];
            node.occupied &= !bit_of(at);
            if node.occupied != 0 || node.parent == NOWHERE {
                return;
            }
            let parent = std::mem::replace(&mut node.parent, NOWHERE);
            self.free_nodes.push(at >> SLOT_BITS);
            at = parent;
        }
    }

    /// Takes a pending entry out of its list.
    #[inline]
    fn unlink(&mut self, key: Key) {
        let Some(entry) = self.entries.get(key) else {
            return;
        };
        let (prev, next, deadline) = (entry.prev, entry.next, entry.deadline);
        let slot = match entry.at {
            DUE => return self.forget_due(),
            FAR => &mut self.far,
            at => {
                let slot = &mut self.slots[at as usize];
                if slot.len == 1 {
                    return self.vacate(at);
                }
                slot
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
            self.pass(self.levels[level], u64::MAX);
        }
        if top >= LEVELS {
            let far = std::mem::replace(&mut self.far, Slot::EMPTY);
            return self.spread(far.head);
        }
        for level in (0..=top).rev() {
            // In the digit's own level: the slots before it have passed, and its own is entered.
            let (first, digit) = (self.levels[level], digit_of(target, level));
            self.pass(first, !(u64::MAX << digit));
            let at = first | digit;
            self.nodes[node_of(at)].occupied &= !bit_of(at);
            let entered = std::mem::replace(&mut self.slots[at as usize], Slot::EMPTY);
            if entered.finer == NOWHERE {
                return self.spread(entered.head);
            }
            // Its finer slots are the level below from now on; those that were it are empty, as they have passed.
            self.nodes[node_of(entered.finer)].parent = NOWHERE;
            let passed = std::mem::replace(&mut self.levels[level - 1], entered.finer);
            self.free_nodes.push(passed >> SLOT_BITS);
        }
    }

    /// Moves the entries of all slots of a node that are in `mask`, and that have passed, to those that are due.
    fn pass(&mut self, first: At, mask: u64) {
        loop {
            let occupied = &mut self.nodes[node_of(first)].occupied;
            let passed = *occupied & mask;
            if passed == 0 {
                return;
            }
            let at = first | passed.trailing_zeros();
            *occupied &= !bit_of(at);
            let slot = std::mem::replace(&mut self.slots[at as usize], Slot::EMPTY);
            if slot.finer == NOWHERE {
                self.spread(slot.head);
            } else {
                self.pass(slot.finer, u64::MAX);
                self.nodes[node_of(slot.finer)].parent = NOWHERE;
                self.free_nodes.push(slot.finer >> SLOT_BITS);
            }
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

/// The digit of a millisecond that says its slot in `level`.
#[inline]
fn digit_of(tick: u64, level: usize) -> At {
    ((tick >> (SLOT_BITS * level as u32)) & SLOT_MASK) as At
}

/// The place of a slot's node.
#[inline]
fn node_of(at: At) -> usize {
    (at >> SLOT_BITS) as usize
}

/// The bit of a slot in its node.
#[inline]
fn bit_of(at: At) -> u64 {
    1 << (u64::from(at) & SLOT_MASK)
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
