//! A queue without bounds: many senders, one receiver, in a list of blocks.
//!
//! A sender claims an index by adding to the tail, and finds the block that holds it; so senders meet in one addition and
//! then write side by side. The receiver takes values in the order of their indices. Blocks that it has emptied go back
//! to the senders' end: in steady state nothing is allocated.
//!
//! The scheme, an index first and a block after, and blocks that are freed once the receiver has passed the tail that was
//! seen when the senders' end left them, is the one of tokio's channels; see also Michael and Scott's queue (PODC 1996).

use std::ptr::NonNull;

use blitz_core::primitive::hint;
use blitz_core::primitive::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use blitz_core::primitive::sync::atomic::{AtomicPtr, AtomicUsize};
use blitz_core::primitive::thread;

use super::block::{Block, INDICES, NOT_INDEX, is_first, start_of};

/// So often an emptied block is offered to the senders' end before it is freed.
const OFFERS: usize = 3;

/// So often the receiver looks for a value that is being written before it lets another thread run.
const SPINS: usize = 64;

/// Whether the queue takes values, how many it has taken, and how many it takes without asking.
///
/// ```text
///  bit 0       CLOSED   indices claimed from here on are void
///  bit 1       SHUT     no room is taken from here, nor put here, any more
///  bits 2…21   room: so many indices may be claimed by `claim_in_room`; not where a word has 32 bits
///  bits 22…    how many indices were claimed; wraps
///
///  from          move            to                 who, and what it does then
///  n             claim           n + 1              sender, who has room: writes value n, unless CLOSED
///  n, room r     claim_in_room   n + 1, room r - 1  any sender, unless SHUT or r = 0: writes value n
///  room r        add_room        room r + k         sender, who has k in hand, unless SHUT
///  room r        take_room       room 0             sender: has r in hand
///  any           shut            SHUT               receiver
///  n             close           n, CLOSED          receiver: n is the last that will come
/// ```
pub(super) struct Word(AtomicUsize);

const CLOSED: usize = 1;
const SHUT: usize = 2;
const ROOM_ONE: usize = 4;
const ONE: usize = 1 << NOT_INDEX;
const ROOM: usize = ONE - ROOM_ONE;

/// The most room that may lie in a tail's word; zero if none may.
pub(super) const ROOM_MAX: usize = ROOM / ROOM_ONE;

/// An index that was claimed, as the word was then.
#[must_use = "the receiver waits for its value"]
pub(super) struct Claim(usize);

/// Why no index was claimed.
pub(super) enum Missed {
    /// There is no room, or it is SHUT.
    NoRoom,
    /// Another was faster.
    ByARace,
}

impl Word {
    /// Claims an index.
    #[inline]
    fn claim(&self) -> Claim {
        // ORDERING: Acquire pairs with the Release in `advance`: one who claims after the tail was noted there finds the
        // end moved, and does not begin in the block that was left. Only what it claimed before may still be written there.
        // SeqCst, mine before yours: the queue is not empty from here on; see `Channel::tell_receiver`.
        Claim(self.0.fetch_add(ONE, SeqCst))
    }

    /// The same, if there is room here and no other moves the word meanwhile.
    #[inline]
    pub(super) fn claim_in_room(&self) -> Result<Claim, Missed> {
        // ORDERING: Acquire pairs with the Release in `take_room`: who finds all of it gone sees that somebody has it in hand.
        let word = self.0.load(Acquire);
        if word & ROOM == 0 || word & SHUT != 0 {
            return Err(Missed::NoRoom);
        }
        let next = word.wrapping_sub(ROOM_ONE).wrapping_add(ONE);
        // ORDERING: SeqCst as in `claim`. The Acquire in it pairs with the Release in `add_room` too: what was done before the
        // room was made is seen by who takes it. Relaxed if it fails: a try begins anew.
        match self.0.compare_exchange_weak(word, next, SeqCst, Relaxed) {
            Ok(word) => Ok(Claim(word)),
            Err(_) => Err(Missed::ByARace),
        }
    }

    /// How much room there is, though it may be SHUT.
    #[inline]
    pub(super) fn room(&self) -> usize {
        // ORDERING: Acquire pairs with the Release in `take_room`: who finds all of it gone sees that somebody has it in hand; and in
        // `add_room`, so that a number that was seen can be reasoned with.
        (self.0.load(Acquire) & ROOM) / ROOM_ONE
    }

    /// Whether [`claim_in_room`](Self::claim_in_room) would claim. A guess.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        // ORDERING: Relaxed: a guess.
        let word = self.0.load(Relaxed);
        word & ROOM != 0 && word & SHUT == 0
    }

    /// Puts room here, of which there is never more than [`ROOM_MAX`]. False if it is SHUT.
    pub(super) fn add_room(&self, count: usize) -> bool {
        // ORDERING: Relaxed: a guess for the exchange below.
        let mut word = self.0.load(Relaxed);
        while word & SHUT == 0 {
            // ORDERING: Release pairs with the Acquire in `claim_in_room`.
            match self
                .0
                .compare_exchange_weak(word, word + count * ROOM_ONE, Release, Relaxed)
            {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
        false
    }

    /// Takes all the room away from here.
    pub(super) fn take_room(&self) -> usize {
        // ORDERING: Acquire as in `claim_in_room`; Release pairs with the Acquire in `room`.
        (self.0.fetch_and(!ROOM, AcqRel) & ROOM) / ROOM_ONE
    }

    /// From here on the room is only taken away.
    pub(super) fn shut(&self) {
        // ORDERING: Relaxed: it draws a line among the claims; the permits' close, which comes after, publishes it.
        self.0.fetch_or(SHUT, Relaxed);
    }
}

/// The senders' end.
pub(super) struct Tail<T> {
    word: Word,
    /// The block in which the search for an index begins. It moves on when it is full.
    block: AtomicPtr<Block<T>>,
}

// SAFETY: values are handed from thread to thread.
unsafe impl<T: Send> Send for Tail<T> {}
// SAFETY: as above; a value is touched by its claimer, and then by the receiver.
unsafe impl<T: Send> Sync for Tail<T> {}

/// The receiver's end.
pub(super) struct Head<T> {
    /// The next index to take.
    index: usize,
    /// The block that it is in, or the one before that.
    block: NonNull<Block<T>>,
    /// The first block that was not freed.
    first: NonNull<Block<T>>,
    /// The index at which a closed queue ends.
    end: Option<usize>,
}

// SAFETY: it leads to values, which may be received on any thread.
unsafe impl<T: Send> Send for Head<T> {}

/// What the receiver found.
pub(super) enum Found<T> {
    Value(T),
    /// Nothing was claimed, or it is still being written.
    Nothing,
    /// The queue is closed, and everything was taken.
    End,
}

/// A queue's two ends, with so much room in the tail's word.
pub(super) fn queue<T>(room: usize) -> (Tail<T>, Head<T>) {
    debug_assert!(room <= ROOM_MAX, "there is no place for so much");
    let block = Block::new(0);
    let tail = Tail {
        word: Word(AtomicUsize::new(room * ROOM_ONE)),
        block: AtomicPtr::new(block.as_ptr()),
    };
    let head = Head {
        index: 0,
        block,
        first: block,
        end: None,
    };
    (tail, head)
}

impl<T> Tail<T> {
    /// Puts a value in. It comes back if the queue is closed.
    #[inline]
    pub(super) fn push(&self, value: T) -> Result<(), T> {
        let claim = self.word.claim();
        if claim.0 & CLOSED != 0 {
            return Err(value);
        }
        // SAFETY: claimed here.
        unsafe { self.write(claim, value) };
        Ok(())
    }

    /// Writes the value of a claim.
    ///
    /// # Safety
    /// It was claimed here.
    #[inline]
    pub(super) unsafe fn write(&self, claim: Claim, value: T) {
        let index = claim.0 / ONE;
        let block = self.find(index);
        // SAFETY: the block holds an index that was claimed and not yet taken, so it is not freed.
        let block = unsafe { block.as_ref() };
        // SAFETY: the claim says so, and there is one of it.
        unsafe { block.write(index, value) };
    }

    /// Where room may lie.
    #[inline]
    pub(super) fn word(&self) -> &Word {
        &self.word
    }

    /// A figure that grows by one with each value that is sent.
    pub(super) fn claimed(&self) -> usize {
        // ORDERING: Relaxed: it is compared with another, and nothing else.
        self.word.0.load(Relaxed) / ONE
    }

    /// Whether the queue takes no values any more.
    pub(super) fn is_closed(&self) -> bool {
        // ORDERING: Relaxed: a glance; a push asks again.
        self.word.0.load(Relaxed) & CLOSED != 0
    }

    /// The block that holds a claimed index.
    #[inline]
    fn find(&self, index: usize) -> NonNull<Block<T>> {
        // ORDERING: Acquire pairs with the Release in `advance`: the block is seen as it was made.
        let at = self.block.load(Acquire);
        // SAFETY: the end's block is not freed while one that claimed before it was left has not written: see `reclaim`.
        let block = unsafe { &*at };
        if block.start() == start_of(index) {
            return NonNull::from(block);
        }
        self.find_from(at, index)
    }

    /// The same, from a block at or behind the end.
    #[cold]
    #[inline(never)]
    fn find_from(&self, mut at: *mut Block<T>, index: usize) -> NonNull<Block<T>> {
        let start = start_of(index);
        loop {
            // SAFETY: as in `find`, and no block behind is freed before.
            let block = unsafe { &*at };
            if block.start() == start {
                return NonNull::from(block);
            }
            let next = block.next().unwrap_or_else(|| block.next_or_new());
            if block.is_full() {
                self.advance(block, next);
            }
            at = next.as_ptr();
        }
    }

    /// Moves the senders' end on from a block that is full, if it is there.
    fn advance(&self, from: &Block<T>, to: NonNull<Block<T>>) {
        let old = std::ptr::from_ref(from).cast_mut();
        // ORDERING: Release publishes what is known of the next block, to who begins there.
        if self
            .block
            .compare_exchange(old, to.as_ptr(), Release, Relaxed)
            .is_ok()
        {
            // An addition, not a load: it has its place among the claims. A claim before it is counted in what it answers; one
            // after it sees the move above.
            // ORDERING: Release pairs with the Acquire in `claim`.
            let tail = self.word.0.fetch_add(0, Release) / ONE;
            // SAFETY: the exchange lets one through for each time that the end is in a block.
            unsafe { from.leave(tail) };
        }
    }

    /// A block that the receiver has emptied: put behind the last one, or freed.
    ///
    /// # Safety
    /// Nobody else has it.
    unsafe fn take_back(&self, block: NonNull<Block<T>>) {
        // SAFETY: as the caller says.
        unsafe { Block::clear(block) };
        // ORDERING: Acquire: the block there is seen as it was made.
        let at = self.block.load(Acquire);
        // SAFETY: the end's block is freed by the receiver alone, which is here.
        let mut at = unsafe { &*at };
        for _ in 0..OFFERS {
            // SAFETY: as the caller says.
            match unsafe { at.append(block) } {
                Ok(()) => return,
                // SAFETY: blocks behind the end's are not freed either.
                Err(next) => at = unsafe { next.as_ref() },
            }
        }
        // SAFETY: as the caller says.
        unsafe { Block::free(block) };
    }
}

impl<T> Head<T> {
    /// The next value, if it is written, and no more has to be asked for it than that.
    #[inline]
    pub(super) fn pop_written(&mut self) -> Option<T> {
        // The receiver is in the block of its index, but for the first of a block. Of a closed queue no value behind the end is written.
        if is_first(self.index) {
            return None;
        }
        // SAFETY: the receiver's block is not freed before it has left it.
        let block = unsafe { self.block.as_ref() };
        if !block.is_written(self.index) {
            return None;
        }
        // SAFETY: it was written.
        Some(unsafe { self.take(block) })
    }

    /// The next value. One that is claimed and not written yet counts as nothing.
    #[inline]
    pub(super) fn pop(&mut self, tail: &Tail<T>) -> Found<T> {
        if self.end == Some(self.index) {
            return Found::End;
        }
        if !self.advance(tail) {
            return Found::Nothing;
        }
        // SAFETY: the receiver's block is not freed before it has left it.
        let block = unsafe { self.block.as_ref() };
        if !block.is_written(self.index) {
            return Found::Nothing;
        }
        // SAFETY: it was written.
        Found::Value(unsafe { self.take(block) })
    }

    /// Takes the value of the index, which moves on.
    ///
    /// # Safety
    /// It is in this block, and was written.
    #[inline]
    unsafe fn take(&mut self, block: &Block<T>) -> T {
        // SAFETY: as the caller says, and the index moves on.
        let value = unsafe { block.take(self.index) };
        self.index = self.index.wrapping_add(1) & INDICES;
        value
    }

    /// The next value; waits for one that is being written, which takes its sender a moment.
    pub(super) fn pop_claimed(&mut self, tail: &Tail<T>) -> Found<T> {
        let mut spins = 0;
        loop {
            match self.pop(tail) {
                Found::Nothing if self.len(tail) != 0 => {}
                found => return found,
            }
            spins += 1;
            if spins < SPINS && cfg!(not(loom)) {
                hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
    }

    /// How many values were claimed and not taken.
    pub(super) fn len(&self, tail: &Tail<T>) -> usize {
        let end = self.end.unwrap_or_else(|| {
            // ORDERING: SeqCst: see `Channel::tell_receiver`: the receiver says that it sleeps before this look. As a figure it
            // would be Relaxed: what was sent before counts if this thread knows of it.
            tail.word.0.load(SeqCst) / ONE
        });
        end.wrapping_sub(self.index) & INDICES
    }

    /// The queue takes no more values from here on; those that were claimed will come.
    pub(super) fn close(&mut self, tail: &Tail<T>) {
        if self.end.is_none() {
            // ORDERING: Relaxed: it only draws a line among the claims; values are published by their blocks.
            let word = tail.word.0.fetch_or(CLOSED, Relaxed);
            self.end = Some(word / ONE);
        }
    }

    /// Goes to the block that holds the next index; false if there is none yet.
    #[inline]
    fn advance(&mut self, tail: &Tail<T>) -> bool {
        let start = start_of(self.index);
        // SAFETY: the receiver's block is not freed before it has left it.
        let mut block = unsafe { self.block.as_ref() };
        if block.start() == start {
            return true;
        }
        while block.start() != start {
            let Some(next) = block.next() else {
                return false;
            };
            self.block = next;
            // SAFETY: as above.
            block = unsafe { next.as_ref() };
        }
        self.reclaim(tail);
        true
    }

    /// Gives back the blocks that nobody needs any more: the receiver has left them, the senders' end too, and every sender
    /// that may have begun its search in one has written.
    #[cold]
    fn reclaim(&mut self, tail: &Tail<T>) {
        while self.first != self.block {
            // SAFETY: it was not freed.
            let block = unsafe { self.first.as_ref() };
            let Some(claimed) = block.tail_when_left() else {
                return;
            };
            // Those who began here claimed an index below that; all below our index have been written, since they were taken.
            if self.index.wrapping_sub(claimed) & INDICES > INDICES / 2 {
                return;
            }
            let Some(next) = block.next() else { return };
            let emptied = std::mem::replace(&mut self.first, next);
            // SAFETY: as above: nobody has it any more.
            unsafe { tail.take_back(emptied) };
        }
    }

    /// Frees all blocks.
    ///
    /// # Safety
    /// Nobody uses the tail any more, and every value was taken.
    pub(super) unsafe fn free(&mut self) {
        let mut at = Some(self.first);
        while let Some(block) = at {
            // SAFETY: it was not freed.
            at = unsafe { block.as_ref() }.next();
            // SAFETY: as the caller says.
            unsafe { Block::free(block) };
        }
    }
}
