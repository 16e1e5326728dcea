//! A queue with bounds: a ring of slots, each with a ticket that says whose turn it is.
//!
//! A sender or receiver claims the next ticket in one exchange, and then has the ticket's slot to itself: those on one side meet
//! in that exchange alone, and the two sides do not meet but in the slots. The scheme is Dmitry Vyukov's bounded queue.

use std::mem::MaybeUninit;

use blitz_core::pad::CachePadded;
use blitz_core::primitive::cell::UnsafeCell;
use blitz_core::primitive::sync::atomic::AtomicUsize;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use super::pause::Pause;
use super::queue::{Found, Refused};
use crate::races;

/// In the tail: no value is taken any more. Tickets are words with this bit clear.
const CLOSED: usize = 1;
/// In a slot: the value of its ticket is there.
const FULL: usize = 1;
/// From one ticket to the next in one lap.
const ONE: usize = 2;

/// The ring. Tickets count up; each lap around the ring begins at a multiple of `lap`.
///
/// ```text
///  tail    bit 0 CLOSED; the next ticket to send with
///  head    the next ticket to receive with
///  slot    bit 0 FULL; the ticket whose value is there (FULL), or may be written
///
///  slot       move     to            who, and what it does then
///  t          claim    t (tail moves)    sender: writes the value
///  t          fill     t, FULL           sender
///  t, FULL    claim    t (head moves)    receiver: reads the value
///  t, FULL    empty    t + lap           receiver
///  t - lap, FULL  displace  t, FULL      sender, head and tail move: changes the values
/// ```
pub(super) struct Ring<T> {
    tail: CachePadded<AtomicUsize>,
    head: CachePadded<AtomicUsize>,
    slots: Box<[Slot<T>]>,
    lap: usize,
}

struct Slot<T> {
    stamp: AtomicUsize,
    value: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Slot<T> {
    /// # Safety
    /// The caller has claimed `ticket` for sending, and fills its slot, which this is, once.
    #[inline]
    unsafe fn fill(&self, ticket: usize, value: T) {
        // SAFETY: as the caller says.
        self.value
            .with_mut(|cell| unsafe { cell.cast::<T>().write(value) });
        // ORDERING: Release pairs with the Acquire in `slot_if_full`: whoever receives then reads the value.
        self.stamp.store(ticket | FULL, Release);
    }

    /// # Safety
    /// The caller has claimed the ticket for receiving, and empties its slot, which this is, once; `next` is the slot's next ticket.
    #[inline]
    unsafe fn empty(&self, next: usize) -> T {
        // SAFETY: as the caller says.
        let value = self.value.with(|cell| unsafe { cell.cast::<T>().read() });
        // ORDERING: Release pairs with the Acquire in `slot_if_free`: the value was read before another is written.
        self.stamp.store(next, Release);
        value
    }
}

// SAFETY: values are handed from thread to thread.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as above; a value is touched by whoever claimed its slot.
unsafe impl<T: Send> Sync for Ring<T> {}

/// The most values that a ring may hold.
pub(super) const MAX: usize = usize::MAX >> 3;

impl<T> Ring<T> {
    /// An empty ring for `bound` values, which is neither 0 nor above [`MAX`].
    pub(super) fn new(bound: usize) -> Self {
        let slots = (0..bound).map(|index| Slot {
            stamp: AtomicUsize::new(index * ONE),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        });
        Self {
            tail: CachePadded::new(AtomicUsize::new(0)),
            head: CachePadded::new(AtomicUsize::new(0)),
            slots: slots.collect(),
            lap: bound.next_power_of_two() * ONE,
        }
    }

    #[inline]
    fn index(&self, ticket: usize) -> usize {
        (ticket & (self.lap - 1)) / ONE
    }

    /// The ticket after `ticket`.
    #[inline]
    fn after(&self, ticket: usize) -> usize {
        if self.index(ticket) + 1 < self.slots.len() {
            ticket + ONE
        } else {
            self.next_lap(ticket)
        }
    }

    /// The first ticket of the lap after that of `ticket`. Once a lap: a guess that it is not now is worth more than an answer.
    #[cold]
    fn next_lap(&self, ticket: usize) -> usize {
        (ticket & !(self.lap - 1)).wrapping_add(self.lap)
    }

    /// Puts a value in if that takes one exchange; else it comes back, and [`push`](Self::push) says why.
    #[inline]
    pub(super) fn push_at_once(&self, value: T) -> Result<(), T> {
        // ORDERING: Relaxed: as in `push`.
        let tail = self.tail.load(Relaxed);
        if tail & CLOSED != 0 {
            return Err(value);
        }
        match self
            .slot_if_free(tail)
            .and_then(|slot| self.claim(tail).ok().map(|()| slot))
        {
            Some(slot) => {
                // SAFETY: the ticket is ours, and the slot was free for it.
                unsafe { slot.fill(tail, value) };
                Ok(())
            }
            None => Err(value),
        }
    }

    /// Puts a value in if there is room.
    pub(super) fn push(&self, value: T) -> Result<(), Refused<T>> {
        // ORDERING: Relaxed: a guess for the exchange below.
        let mut tail = self.tail.load(Relaxed);
        let mut pause = Pause::new();
        loop {
            if tail & CLOSED != 0 {
                return Err(Refused::Closed(value));
            }
            if let Some(slot) = self.slot_if_free(tail) {
                match self.claim(tail) {
                    Ok(()) => {
                        // SAFETY: the ticket is ours, and the slot was free for it.
                        unsafe { slot.fill(tail, value) };
                        return Ok(());
                    }
                    Err(_) => {
                        races::stay_away(races::NO_END, || self.sent());
                        // ORDERING: Relaxed: as above.
                        tail = self.tail.load(Relaxed);
                    }
                }
            } else {
                if self.is_one_lap_behind(tail) {
                    return Err(Refused::Full(value));
                }
                // Another was faster with this ticket, or a receiver is about to be done with the slot.
                pause.for_another();
                // ORDERING: Relaxed: as above.
                tail = self.tail.load(Relaxed);
            }
        }
    }

    /// The slot of ticket `tail`, if it is free for it.
    #[inline]
    fn slot_if_free(&self, tail: usize) -> Option<&Slot<T>> {
        let slot = &self.slots[self.index(tail)];
        // ORDERING: Acquire pairs with the Release in `empty`: the value before was read.
        (slot.stamp.load(Acquire) == tail).then_some(slot)
    }

    /// Takes ticket `tail` to send with, or answers what the tail is.
    #[inline]
    fn claim(&self, tail: usize) -> Result<(), usize> {
        // ORDERING: SeqCst, mine before yours: the ring is not empty from here on, and then the caller looks who waits
        // for that (`WaiterQueue::wake_one_after_change`). Relaxed if it fails: a guess again.
        self.tail
            .compare_exchange_weak(tail, self.after(tail), SeqCst, Relaxed)
            .map(drop)
    }

    /// Puts a value in; if there is no room, in place of the oldest, which it returns.
    pub(super) fn displace(&self, mut value: T) -> Result<Option<T>, T> {
        let mut pause = Pause::new();
        loop {
            value = match self.push(value) {
                Ok(()) => return Ok(None),
                Err(Refused::Closed(value)) => return Err(value),
                Err(Refused::Full(value)) => value,
            };
            // ORDERING: Relaxed: a guess for the exchange below.
            let head = self.head.load(Relaxed);
            let slot = &self.slots[self.index(head)];
            // ORDERING: Acquire pairs with the Release in `fill`: the oldest value was written. Relaxed: while that slot is FULL
            // for `head`, and `head` has not moved, no sender moves a tail that is one lap ahead; see the exchange.
            let is_full = slot.stamp.load(Acquire) == head | FULL
                && self.tail.load(Relaxed) == head.wrapping_add(self.lap);
            // ORDERING: SeqCst as in `claim_full`: whoever takes a value out makes the claim by this exchange.
            if is_full
                && self
                    .head
                    .compare_exchange(head, self.after(head), SeqCst, Relaxed)
                    .is_ok()
            {
                let tail = head.wrapping_add(self.lap);
                // An addition: `close` may set its bit at this moment. Nobody else moves the tail: its slot has not been emptied.
                // ORDERING: SeqCst as in `claim`.
                self.tail
                    .fetch_add(self.after(tail).wrapping_sub(tail), SeqCst);
                // SAFETY: the head's ticket is ours by the exchange, and the tail's since its slot is the same.
                let oldest = slot
                    .value
                    .with_mut(|cell| unsafe { cell.cast::<T>().replace(value) });
                // ORDERING: Release as in `fill`.
                slot.stamp.store(tail | FULL, Release);
                return Ok(Some(oldest));
            }
            if is_full {
                races::stay_away(races::NO_END, || self.received());
            } else {
                // The oldest may be a value that its sender is about to write.
                pause.for_another();
            }
        }
    }

    /// The oldest value, if that takes one exchange; [`pop`](Self::pop) says whether there is one else.
    #[inline]
    pub(super) fn pop_at_once(&self) -> Option<T> {
        // ORDERING: Relaxed: as in `pop`.
        let head = self.head.load(Relaxed);
        let slot = self.slot_if_full(head)?;
        self.claim_full(head).ok()?;
        // SAFETY: the ticket is ours, and its value was written.
        Some(unsafe { slot.empty(head.wrapping_add(self.lap)) })
    }

    /// The oldest value. One that is being written is waited for: that takes its sender a moment.
    pub(super) fn pop(&self) -> Found<T> {
        // ORDERING: Relaxed: a guess for the exchange below.
        let mut head = self.head.load(Relaxed);
        let mut pause = Pause::new();
        loop {
            if let Some(slot) = self.slot_if_full(head) {
                match self.claim_full(head) {
                    Ok(()) => {
                        // SAFETY: the ticket is ours, and its value was written.
                        return Found::Value(unsafe { slot.empty(head.wrapping_add(self.lap)) });
                    }
                    Err(_) => {
                        races::stay_away(races::NO_END, || self.received());
                        // ORDERING: Relaxed: as above.
                        head = self.head.load(Relaxed);
                    }
                }
            } else {
                // ORDERING: SeqCst: see `is_empty`. Acquire is in it: whoever sees CLOSED sees what was done before.
                let tail = self.tail.load(SeqCst);
                if tail & !CLOSED == head {
                    if tail & CLOSED == 0 {
                        return Found::Nothing;
                    }
                    // A ring of one looks empty, too, while a value takes another's place: its slot is not free then.
                    if self.slot_if_free(head).is_some() {
                        return Found::End;
                    }
                }
                // Another was faster with this ticket, or a sender is about to be done with the slot.
                pause.for_another();
                // ORDERING: Relaxed: as above.
                head = self.head.load(Relaxed);
            }
        }
    }

    /// The slot of ticket `head`, if its value is there.
    #[inline]
    fn slot_if_full(&self, head: usize) -> Option<&Slot<T>> {
        let slot = &self.slots[self.index(head)];
        // ORDERING: Acquire pairs with the Release in `fill`: the value was written.
        (slot.stamp.load(Acquire) == head | FULL).then_some(slot)
    }

    /// Takes ticket `head` to receive with, or answers what the head is.
    #[inline]
    fn claim_full(&self, head: usize) -> Result<(), usize> {
        // ORDERING: SeqCst, mine before yours: the ring is not full from here on, and then the caller looks who waits for
        // that, as in `claim`.
        self.head
            .compare_exchange_weak(head, self.after(head), SeqCst, Relaxed)
            .map(drop)
    }

    /// Takes no values any more; answers whether it did before.
    pub(super) fn close(&self) -> bool {
        // ORDERING: SeqCst, mine before yours: the ring is closed from here on, and then the caller looks who waits.
        self.tail.fetch_or(CLOSED, SeqCst) & CLOSED == 0
    }

    pub(super) fn is_closed(&self) -> bool {
        // ORDERING: SeqCst: the look of one who waits; see `close`.
        self.tail.load(SeqCst) & CLOSED != 0
    }

    /// Whether every ticket that was sent with has been claimed by a receiver.
    pub(super) fn is_empty(&self) -> bool {
        // ORDERING: SeqCst: the look of one who waits; see `claim`.
        let head = self.head.load(SeqCst);
        // ORDERING: SeqCst: as above.
        self.tail.load(SeqCst) & !CLOSED == head
    }

    /// Whether there is no ticket to send with.
    pub(super) fn is_full(&self) -> bool {
        // ORDERING: SeqCst: the look of one who waits; see `claim_full`.
        self.is_one_lap_behind(self.tail.load(SeqCst) & !CLOSED)
    }

    fn is_one_lap_behind(&self, tail: usize) -> bool {
        // ORDERING: SeqCst: the look of one who waits; see `claim_full`.
        self.head.load(SeqCst).wrapping_add(self.lap) == tail
    }

    /// A figure that grows by one, but for once a lap, with each value that is sent.
    pub(super) fn sent(&self) -> usize {
        // ORDERING: Relaxed: it is compared with another, and nothing else.
        self.tail.load(Relaxed) / ONE
    }

    /// A figure that grows by one, but for once a lap, with each value that is received.
    pub(super) fn received(&self) -> usize {
        // ORDERING: as in `sent`.
        self.head.load(Relaxed) / ONE
    }

    pub(super) fn bound(&self) -> usize {
        self.slots.len()
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        loop {
            // ORDERING: SeqCst, thrice: the head belongs to a tail that stood still meanwhile.
            let tail = self.tail.load(SeqCst);
            // ORDERING: as above.
            let head = self.head.load(SeqCst);
            // ORDERING: as above.
            if self.tail.load(SeqCst) == tail {
                let tail = tail & !CLOSED;
                let (first, end) = (self.index(head), self.index(tail));
                return match (end + self.bound() - first) % self.bound() {
                    0 if head == tail => 0,
                    0 => self.bound(),
                    len => len,
                };
            }
        }
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        while let Found::Value(value) = self.pop() {
            drop(value);
        }
    }
}
