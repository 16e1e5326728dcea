//! A block of the list: room for some values, and how far each has come.

use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use blitz_core::primitive::cell::UnsafeCell;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use blitz_core::primitive::sync::atomic::{AtomicBool, AtomicPtr};

/// How many values a block holds. Few under loom, so that models cross from block to block.
#[cfg(not(loom))]
pub(super) const SLOTS: usize = 32;
#[cfg(loom)]
pub(super) const SLOTS: usize = 2;

/// Where a value's slot is in its block.
const MASK: usize = SLOTS - 1;
/// So many bits of the tail's word are not the index: two flags and, where a word has place for it, room.
#[cfg(target_pointer_width = "64")]
pub(super) const NOT_INDEX: u32 = 22;
#[cfg(not(target_pointer_width = "64"))]
pub(super) const NOT_INDEX: u32 = 2;

/// Indices wrap within this mask.
pub(super) const INDICES: usize = usize::MAX >> NOT_INDEX;

/// The index of the first value in the block that holds value `index`.
#[inline]
pub(super) fn start_of(index: usize) -> usize {
    index & !MASK
}

/// Whether value `index` is the first of its block.
#[inline]
pub(super) fn is_first(index: usize) -> bool {
    index & MASK == 0
}

/// Room for [`SLOTS`] values.
pub(super) struct Block<T> {
    /// The index of the first value. Written while one alone has the block.
    start: UnsafeCell<usize>,
    next: AtomicPtr<Block<T>>,
    /// The senders' end is in a later block, and `tail_when_left` was written.
    was_left: AtomicBool,
    /// How many values had been claimed when the senders' end left this block.
    tail_when_left: UnsafeCell<usize>,
    /// Which values were written: those are the receiver's. A word for each, so that senders side by side only store.
    written: [AtomicBool; SLOTS],
    values: [UnsafeCell<MaybeUninit<T>>; SLOTS],
}

impl<T> Block<T> {
    /// An empty block on the heap.
    pub(super) fn new(start: usize) -> NonNull<Self> {
        let block = Box::new(Self {
            start: UnsafeCell::new(start),
            next: AtomicPtr::new(ptr::null_mut()),
            was_left: AtomicBool::new(false),
            tail_when_left: UnsafeCell::new(0),
            written: std::array::from_fn(|_| AtomicBool::new(false)),
            values: std::array::from_fn(|_| UnsafeCell::new(MaybeUninit::uninit())),
        });
        NonNull::from(Box::leak(block))
    }

    /// Frees a block. Values that are in it are leaked.
    ///
    /// # Safety
    /// It came from [`new`](Self::new), and nobody else has it any more.
    pub(super) unsafe fn free(block: NonNull<Self>) {
        // SAFETY: as the caller says.
        let block = unsafe { Box::from_raw(block.as_ptr()) };
        // Loom does not know that to free is to write.
        #[cfg(loom)]
        {
            block.start.with_mut(|_| ());
            block.values.iter().for_each(|value| value.with_mut(|_| ()));
        }
        drop(block);
    }

    #[inline]
    pub(super) fn start(&self) -> usize {
        // SAFETY: it is not written once others have the block.
        self.start.with(|start| unsafe { *start })
    }

    /// The block behind this one, if there is one yet.
    #[inline]
    pub(super) fn next(&self) -> Option<NonNull<Self>> {
        // ORDERING: Acquire pairs with the Release in `append`: the next block is seen as its maker left it.
        NonNull::new(self.next.load(Acquire))
    }

    /// Puts `block`, which only the caller has, behind this one; or answers the block that is there already.
    ///
    /// # Safety
    /// `block` is valid, and nobody else has it.
    pub(super) unsafe fn append(&self, block: NonNull<Self>) -> Result<(), NonNull<Self>> {
        let start = (self.start() + SLOTS) & INDICES;
        // SAFETY: it is valid, as the caller says.
        let new = unsafe { block.as_ref() };
        // SAFETY: nobody else has it, as the caller says.
        new.start.with_mut(|cell| unsafe { *cell = start });
        // ORDERING: Release publishes the new block, Acquire shows the one that is there.
        match self
            .next
            .compare_exchange(ptr::null_mut(), block.as_ptr(), Release, Acquire)
        {
            Ok(_) => Ok(()),
            // SAFETY: what failed the exchange is not null.
            Err(there) => Err(unsafe { NonNull::new_unchecked(there) }),
        }
    }

    /// The block behind this one; made now if there is none.
    #[cold]
    pub(super) fn next_or_new(&self) -> NonNull<Self> {
        let new = Self::new(0);
        // SAFETY: it was made here.
        let Err(next) = (unsafe { self.append(new) }) else {
            return new;
        };
        // Another sender was first. What was made is put behind, where it will be wanted soon.
        let mut last = next;
        loop {
            // SAFETY: blocks behind this one live at least as long as it does, and the caller is in this one.
            let block = unsafe { last.as_ref() };
            // SAFETY: still nobody else has it.
            match unsafe { block.append(new) } {
                Ok(()) => return next,
                Err(further) => last = further,
            }
        }
    }

    /// Writes value `index`.
    ///
    /// # Safety
    /// The caller has claimed `index`, which is in this block, and writes it once.
    #[inline]
    pub(super) unsafe fn write(&self, index: usize, value: T) {
        let slot = index & MASK;
        // SAFETY: a claimed slot is its claimer's until the bit below.
        self.values[slot].with_mut(|cell| unsafe { cell.cast::<T>().write(value) });
        // ORDERING: Release pairs with the Acquire in `is_written`.
        self.written[slot].store(true, Release);
    }

    /// Whether value `index`, which is in this block, was written.
    #[inline]
    pub(super) fn is_written(&self, index: usize) -> bool {
        // ORDERING: Acquire pairs with the Release in `write`.
        self.written[index & MASK].load(Acquire)
    }

    /// Takes value `index`.
    ///
    /// # Safety
    /// It was written, and is taken once, by the receiver.
    #[inline]
    pub(super) unsafe fn take(&self, index: usize) -> T {
        self.values[index & MASK].with(|cell| {
            // SAFETY: a written slot is the receiver's.
            unsafe { cell.cast::<T>().read() }
        })
    }

    /// Whether every value was written, so that no sender needs the block any more to write to.
    pub(super) fn is_full(&self) -> bool {
        // ORDERING: Relaxed: only whether; the receiver, who frees the block, has seen each write by itself.
        self.written.iter().all(|written| written.load(Relaxed))
    }

    /// The senders' end has left the block; `tail` values had been claimed by then.
    ///
    /// # Safety
    /// Once for each time that the end is here, by who moved it.
    pub(super) unsafe fn leave(&self, tail: usize) {
        // SAFETY: `was_left` is not set, so nobody reads, and one alone moves the end.
        self.tail_when_left.with_mut(|cell| unsafe { *cell = tail });
        // ORDERING: Release pairs with the Acquire in `tail_when_left`.
        self.was_left.store(true, Release);
    }

    /// How many values had been claimed when the senders' end left, if it has.
    pub(super) fn tail_when_left(&self) -> Option<usize> {
        // ORDERING: Acquire pairs with the Release in `leave`.
        if !self.was_left.load(Acquire) {
            return None;
        }
        // SAFETY: `was_left` is set: it is not written any more.
        Some(self.tail_when_left.with(|cell| unsafe { *cell }))
    }

    /// Makes the block as a new one.
    ///
    /// # Safety
    /// Nobody else has it, and no value is in it.
    pub(super) unsafe fn clear(block: NonNull<Self>) {
        // SAFETY: as the caller says.
        let block = unsafe { block.as_ref() };
        // ORDERING: Relaxed: one alone has it; `append` publishes it.
        block.next.store(ptr::null_mut(), Relaxed);
        block.was_left.store(false, Relaxed);
        for written in &block.written {
            // ORDERING: as above.
            written.store(false, Relaxed);
        }
    }
}
