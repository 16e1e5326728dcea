//! A queue without bounds: a list of blocks of slots.
//!
//! As in the ring, a sender or receiver claims the next index in one exchange, and then has the slot to itself. An index
//! says in which slot of its block it is; whoever claims the last of a block moves its end on to the next block, and an end that
//! is being moved is waited for. A block whose slots have all been emptied is kept for the next that is needed.

use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use blitz_core::pad::CachePadded;
use blitz_core::primitive::cell::UnsafeCell;
use blitz_core::primitive::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use blitz_core::primitive::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize};

use super::pause::Pause;
use super::queue::Found;
use crate::races;

/// How many indices a block has: one for each slot, and one while its end is being moved. Few under loom.
#[cfg(not(loom))]
const INDICES: usize = 32;
#[cfg(loom)]
const INDICES: usize = 4;

/// How many values a block holds.
const SLOTS: usize = INDICES - 1;

/// In the tail: no value is taken any more.
const CLOSED: usize = 1;
/// In the head: the tail is in a later block, so the head's has a value for each slot.
const PASSED: usize = 1;
/// From one index to the next.
const ONE: usize = 2;

/// Where in its block an end is.
fn slot_of(word: usize) -> usize {
    word / ONE % INDICES
}

/// Which block an end is in.
fn block_of(word: usize) -> usize {
    word / ONE / INDICES
}

/// How many values the slots before an end have held.
fn values_before(word: usize) -> usize {
    block_of(word)
        .wrapping_mul(SLOTS)
        .wrapping_add(slot_of(word))
}

struct Slot<T> {
    is_full: AtomicBool,
    value: UnsafeCell<MaybeUninit<T>>,
}

struct Block<T> {
    /// The block behind this one. Written by the sender that claims the last slot, before it fills it.
    next: AtomicPtr<Block<T>>,
    /// How many receivers are done with a slot; the last of them has the block.
    emptied: AtomicUsize,
    slots: [Slot<T>; SLOTS],
}

impl<T> Block<T> {
    fn new() -> NonNull<Self> {
        let block = Box::new(Self {
            next: AtomicPtr::new(ptr::null_mut()),
            emptied: AtomicUsize::new(0),
            slots: std::array::from_fn(|_| Slot {
                is_full: AtomicBool::new(false),
                value: UnsafeCell::new(MaybeUninit::uninit()),
            }),
        });
        NonNull::from(Box::leak(block))
    }

    /// Makes the block as a new one. The caller alone has it.
    fn clear(&self) {
        // ORDERING: Relaxed, thrice: one alone has it, and the move of the tail publishes it.
        self.next.store(ptr::null_mut(), Relaxed);
        // ORDERING: as above.
        self.emptied.store(0, Relaxed);
        for slot in &self.slots {
            // ORDERING: as above.
            slot.is_full.store(false, Relaxed);
            // Loom does not know that it will be written.
            #[cfg(loom)]
            slot.value.with_mut(|_| ());
        }
    }

    /// The block behind this one, whose maker has claimed the last slot of this.
    fn wait_for_next(&self) -> NonNull<Self> {
        let mut pause = Pause::new();
        loop {
            // ORDERING: Acquire pairs with the Release in `push`: the next block is seen as it was made.
            if let Some(next) = NonNull::new(self.next.load(Acquire)) {
                return next;
            }
            pause.for_another();
        }
    }

    /// # Safety
    /// It came from `new`, and nobody else has it.
    unsafe fn free(block: NonNull<Self>) {
        // SAFETY: as the caller says.
        let block = unsafe { Box::from_raw(block.as_ptr()) };
        // Loom does not know that to free is to write.
        #[cfg(loom)]
        block
            .slots
            .iter()
            .for_each(|slot| slot.value.with_mut(|_| ()));
        drop(block);
    }
}

impl<T> Slot<T> {
    /// # Safety
    /// The caller has claimed the slot for sending, and fills it once.
    unsafe fn fill(&self, value: T) {
        // SAFETY: as the caller says.
        self.value
            .with_mut(|cell| unsafe { cell.cast::<T>().write(value) });
        // ORDERING: Release pairs with the Acquire in `empty`.
        self.is_full.store(true, Release);
    }

    /// # Safety
    /// The caller has claimed the slot for receiving, and empties it once.
    unsafe fn empty(&self) -> T {
        let mut pause = Pause::new();
        // ORDERING: Acquire pairs with the Release in `fill`: the value was written.
        while !self.is_full.load(Acquire) {
            pause.for_another();
        }
        // SAFETY: it is full, and as the caller says.
        self.value.with(|cell| unsafe { cell.cast::<T>().read() })
    }
}

/// One end of the list.
struct End<T> {
    /// The next index to claim, and a bit.
    word: AtomicUsize,
    /// The block that it is in.
    block: AtomicPtr<Block<T>>,
}

/// The list.
///
/// ```text
///  tail    bit 0 CLOSED; bits 1… the next index to send with
///  head    bit 0 PASSED; bits 1… the next index to receive with
///
///  an index whose slot is      move     to          who, and what it does then
///  neither last nor none       claim    + 1         has the slot
///  the last                    claim    + 1         has the slot, and moves the end first
///  none                        go on    + 1         who claimed the last: has put the next block in place
/// ```
pub(super) struct List<T> {
    tail: CachePadded<End<T>>,
    head: CachePadded<End<T>>,
    /// A block that was emptied, for the next that is needed.
    spare: AtomicPtr<Block<T>>,
}

// SAFETY: values are handed from thread to thread.
unsafe impl<T: Send> Send for List<T> {}
// SAFETY: as above; a value is touched by whoever claimed its slot.
unsafe impl<T: Send> Sync for List<T> {}

impl<T> List<T> {
    pub(super) fn new() -> Self {
        let block = Block::new();
        let end = || {
            CachePadded::new(End {
                word: AtomicUsize::new(0),
                block: AtomicPtr::new(block.as_ptr()),
            })
        };
        Self {
            tail: end(),
            head: end(),
            spare: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Puts a value in if that takes one exchange; else it comes back, and [`push`](Self::push) says why.
    #[inline]
    pub(super) fn push_at_once(&self, value: T) -> Result<(), T> {
        // ORDERING: Acquire: as in `push`.
        let tail = self.tail.word.load(Acquire);
        // ORDERING: Relaxed: as in `push`, the index has brought the block.
        let block = self.tail.block.load(Relaxed);
        let slot = slot_of(tail);
        // The last one is for `push`, which makes the next block.
        if tail & CLOSED != 0 || slot + 1 >= SLOTS || !self.claim(tail) {
            return Err(value);
        }
        // SAFETY: the block is that of the index, and lives until the slot that is ours now was emptied.
        let block = unsafe { &*block };
        // SAFETY: claimed above.
        unsafe { block.slots[slot].fill(value) };
        Ok(())
    }

    /// Takes the index `tail` to send with, if nobody was faster.
    #[inline]
    fn claim(&self, tail: usize) -> bool {
        // ORDERING: SeqCst, mine before yours: the list is not empty from here on, and then the caller looks who waits for
        // that (`WaiterQueue::wake_one_after_change`). Relaxed if it fails: we look again.
        self.tail
            .word
            .compare_exchange_weak(tail, tail.wrapping_add(ONE), SeqCst, Relaxed)
            .is_ok()
    }

    /// Puts a value in. It comes back if the list is closed.
    pub(super) fn push(&self, value: T) -> Result<(), T> {
        // Made before the last slot is claimed: while an end is being moved, others wait.
        let mut next = None;
        let mut pause = Pause::new();
        let result = loop {
            // ORDERING: Acquire pairs with the Release by which the tail was moved here: the block below is this index's, or a
            // later one, and then the exchange fails.
            let tail = self.tail.word.load(Acquire);
            // ORDERING: Relaxed: the index has brought the block and what is in it. A later one would be stored by a sender that has
            // claimed after us, which our exchange, a release, is before.
            let block = self.tail.block.load(Relaxed);
            if tail & CLOSED != 0 {
                break Err(value);
            }
            let slot = slot_of(tail);
            if slot == SLOTS {
                pause.for_another();
                continue;
            }
            let is_last = slot + 1 == SLOTS;
            if is_last && next.is_none() {
                next = Some(self.block());
            }
            if !self.claim(tail) {
                races::stay_away(races::NO_END, || self.sent());
                continue;
            }
            // SAFETY: the block is that of the index, and lives until the slot that is ours now was emptied.
            let block = unsafe { &*block };
            if is_last {
                let next = next.take().expect("made above").as_ptr();
                // ORDERING: Relaxed: who sees the index that is added below sees it.
                self.tail.block.store(next, Relaxed);
                // An addition: `close` may set its bit at this moment.
                // ORDERING: Release, twice: who finds the block, by the index or from the one before, sees it as it was made.
                self.tail.word.fetch_add(ONE, Release);
                // ORDERING: as above.
                block.next.store(next, Release);
            }
            // SAFETY: claimed above.
            unsafe { block.slots[slot].fill(value) };
            break Ok(());
        };
        if let Some(unused) = next {
            self.give_back(unused);
        }
        result
    }

    /// The oldest value, if that takes one exchange; [`pop`](Self::pop) says whether there is one else.
    #[inline]
    pub(super) fn pop_at_once(&self) -> Option<T> {
        // ORDERING: Acquire, twice: as in `push`.
        let head = self.head.word.load(Acquire);
        // ORDERING: as above.
        let block = self.head.block.load(Acquire);
        let slot = slot_of(head);
        // The last one, with which the head moves on to the next block, is for `pop`.
        if slot + 1 >= SLOTS {
            return None;
        }
        let mut passed = head & PASSED;
        if passed == 0 {
            // ORDERING: Relaxed: wherever it is now, it was there; if there is nothing, `pop` looks again.
            let tail = self.tail.word.load(Relaxed);
            if tail & !CLOSED == head {
                return None;
            }
            passed = usize::from(block_of(tail) != block_of(head)) * PASSED;
        }
        let next = (head & !PASSED).wrapping_add(ONE) | passed;
        // ORDERING: Relaxed: as in `pop`.
        self.head
            .word
            .compare_exchange_weak(head, next, Relaxed, Relaxed)
            .ok()?;
        let block = NonNull::new(block)?;
        // SAFETY: the block is that of the index, and lives until we say that its slot was emptied.
        Some(unsafe { self.take(block, slot, next) })
    }

    /// The oldest value. One that is being written is waited for: that takes its sender a moment.
    pub(super) fn pop(&self) -> Found<T> {
        let mut pause = Pause::new();
        loop {
            // ORDERING: Acquire, twice: as in `push`.
            let head = self.head.word.load(Acquire);
            // ORDERING: as above.
            let block = self.head.block.load(Acquire);
            let slot = slot_of(head);
            if slot == SLOTS {
                pause.for_another();
                continue;
            }
            let mut passed = head & PASSED;
            if passed == 0 {
                // ORDERING: SeqCst: see `is_empty`. Acquire is in it: whoever sees CLOSED sees what was done before.
                let tail = self.tail.word.load(SeqCst);
                if tail & !CLOSED == head {
                    return if tail & CLOSED != 0 {
                        Found::End
                    } else {
                        Found::Nothing
                    };
                }
                if block_of(tail) != block_of(head) {
                    passed = PASSED;
                }
            }
            let next = (head & !PASSED).wrapping_add(ONE) | passed;
            // ORDERING: Relaxed: the load above has acquired, and nobody waits for room.
            if self
                .head
                .word
                .compare_exchange_weak(head, next, Relaxed, Relaxed)
                .is_err()
            {
                // ORDERING: Relaxed: it is compared with another, and nothing else.
                races::stay_away(races::NO_END, || self.head.word.load(Relaxed) / ONE);
                continue;
            }
            let block = NonNull::new(block).expect("an end is always in a block");
            // SAFETY: the block is that of the index, and lives until we say that its slot was emptied.
            return Found::Value(unsafe { self.take(block, slot, next) });
        }
    }

    /// Empties a slot, and moves the head on if it is the last of its block.
    ///
    /// # Safety
    /// The caller has claimed it by moving the head to `word`.
    #[inline]
    unsafe fn take(&self, at: NonNull<Block<T>>, slot: usize, word: usize) -> T {
        // SAFETY: the block lives until the addition below, since the caller has claimed one of its slots.
        let block = unsafe { at.as_ref() };
        if slot + 1 == SLOTS {
            let next = block.wait_for_next();
            // ORDERING: Release, twice: pairs with the Acquire in `pop`.
            self.head.block.store(next.as_ptr(), Release);
            // The tail may be in that block: whoever claims there looks.
            // ORDERING: as above.
            self.head
                .word
                .store((word & !PASSED).wrapping_add(ONE), Release);
        }
        // SAFETY: claimed by the caller.
        let value = unsafe { block.slots[slot].empty() };
        // ORDERING: AcqRel: the last to be done has the block after all others; they are done with theirs before.
        if block.emptied.fetch_add(1, AcqRel) + 1 == SLOTS {
            self.give_back(at);
        }
        value
    }

    /// An empty block, which the caller alone has.
    #[cold]
    fn block(&self) -> NonNull<Block<T>> {
        // ORDERING: Acquire pairs with the Release in `give_back`.
        match NonNull::new(self.spare.swap(ptr::null_mut(), Acquire)) {
            Some(block) => {
                // SAFETY: the swap lets one have it.
                unsafe { block.as_ref() }.clear();
                block
            }
            None => Block::new(),
        }
    }

    /// Takes a block that the caller alone has, in place of the one that was kept before.
    #[cold]
    fn give_back(&self, block: NonNull<Block<T>>) {
        // ORDERING: AcqRel: Release pairs with the Acquire in `block`, Acquire with this Release.
        if let Some(before) = NonNull::new(self.spare.swap(block.as_ptr(), AcqRel)) {
            // SAFETY: the swap lets one have it.
            unsafe { Block::free(before) };
        }
    }

    /// Takes no values any more; answers whether it did before.
    pub(super) fn close(&self) -> bool {
        // ORDERING: SeqCst, mine before yours: the list is closed from here on, and then the caller looks who waits.
        self.tail.word.fetch_or(CLOSED, SeqCst) & CLOSED == 0
    }

    pub(super) fn is_closed(&self) -> bool {
        // ORDERING: SeqCst: the look of one who waits; see `close`.
        self.tail.word.load(SeqCst) & CLOSED != 0
    }

    /// Whether every index that was sent with has been claimed by a receiver.
    pub(super) fn is_empty(&self) -> bool {
        // ORDERING: SeqCst, twice: the look of one who waits; see `push`.
        let head = self.head.word.load(SeqCst);
        // ORDERING: as above.
        self.tail.word.load(SeqCst) & !CLOSED == head & !PASSED
    }

    /// A figure that grows by one, or two, with each value that is sent.
    pub(super) fn sent(&self) -> usize {
        // ORDERING: Relaxed: it is compared with another, and nothing else.
        self.tail.word.load(Relaxed) / ONE
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        loop {
            // ORDERING: SeqCst, thrice: the head belongs to a tail that stood still meanwhile.
            let tail = self.tail.word.load(SeqCst);
            // ORDERING: as above.
            let head = self.head.word.load(SeqCst);
            // ORDERING: as above.
            if self.tail.word.load(SeqCst) == tail {
                // An end that is being moved stands where its next block begins.
                return values_before(tail).wrapping_sub(values_before(head));
            }
        }
    }
}

impl<T> Drop for List<T> {
    fn drop(&mut self) {
        while let Found::Value(value) = self.pop() {
            drop(value);
        }
        // ORDERING: Relaxed, twice: nobody else is here any more.
        let last = self.head.block.load(Relaxed);
        // ORDERING: as above.
        let spare = self.spare.load(Relaxed);
        for block in [last, spare].into_iter().filter_map(NonNull::new) {
            // SAFETY: everything was taken, so the ends are in one block; the spare one is in no list.
            unsafe { Block::free(block) };
        }
    }
}
