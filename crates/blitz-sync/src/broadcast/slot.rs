//! One place of the ring: a value, who has had it, and who is cloning it.

use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{RefUnwindSafe, UnwindSafe};

use blitz_core::primitive::cell::UnsafeCell;
use blitz_core::primitive::hint;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use blitz_core::primitive::sync::atomic::{AtomicU64, AtomicUsize};
use blitz_core::primitive::sync::{Condvar, Mutex};

/// Who may touch the value of a slot, and how many receivers have not had it.
///
/// ```text
///  bit 0    CLONING    a receiver clones the value; everybody else only looks on
///  bit 1    WAITED     beside CLONING: others sleep until it is done
///  bit 2    OVERTAKEN  beside CLONING: a later value went elsewhere, this one is nobody's any more; alone: TAKEN
///  bits 3…  LEFT       how many receivers have not claimed their share; there is a value if it is not 0
///
///  from                move      to              who, and what it does then
///  LEFT = 0            fill      LEFT = n        sender, under the tail's lock: writes first
///  LEFT                seize     TAKEN           sender, under the tail's lock: puts a value in place of the old one, then LEFT = n
///  CLONING             overtake  + OVERTAKEN     sender, under the tail's lock: puts its value elsewhere; no WAITED, no LEFT
///  TAKEN               overtake  + WAITED        sender: the same; for one who gives back
///  LEFT > 1            claim     LEFT - 1, CLONING   receiver: clones, then release
///  LEFT = 1            claim     TAKEN           the last receiver: takes the value, then 0
///  TAKEN               give_back LEFT = 1        who claimed it in error; if it was overtaken: takes the value, then 0
///  CLONING             wait      + WAITED        receiver, under the lock of `Clones`: sleeps
///  CLONING, LEFT       release   LEFT            wakes those who wait
///  CLONING, LEFT = 0   release   TAKEN           nobody is left who wants it: takes the value, then 0; also if OVERTAKEN
///  LEFT > 1 or CLONING waive     LEFT - 1        a receiver that goes, under the tail's lock
///  LEFT = 1            waive     TAKEN           as above: takes the value, then 0
/// ```
struct Word(AtomicUsize);

const EMPTY: usize = 0;
const CLONING: usize = 1;
const WAITED: usize = 2;
const OVERTAKEN: usize = 4;
const TAKEN: usize = OVERTAKEN;
const ONE: usize = 8;
const FLAGS: usize = ONE - 1;

enum Claimed {
    /// To be cloned; the word as it is now.
    Cloning(usize),
    /// The last share, and with it the value.
    Taken,
    /// There is a value, and another receiver clones it just now.
    Busy,
    /// There is none, or it is on its way in or out.
    Nothing,
}

struct Released {
    /// Nobody is left who wants the value: it is in the caller's hands.
    is_taken: bool,
    /// Others wait for the clone.
    is_waited: bool,
}

enum Seized {
    /// The slot is the sender's, with the old value in it, if there was one.
    Own { is_full: bool },
    /// A receiver has it in hand.
    Busy { is_waited: bool },
}

impl Word {
    #[inline]
    fn claim(&self) -> Claimed {
        // ORDERING: Relaxed: a guess for the exchange below.
        let mut word = self.0.load(Relaxed);
        loop {
            if word & FLAGS != 0 {
                return if word & OVERTAKEN == 0 {
                    Claimed::Busy
                } else {
                    Claimed::Nothing
                };
            }
            let to = match word {
                EMPTY => return Claimed::Nothing,
                ONE => TAKEN,
                _ => word - ONE + CLONING,
            };
            // ORDERING: Acquire pairs with the Release in `full`, which wrote the value, and in `release`: clones are made one
            // after the other.
            match self.0.compare_exchange_weak(word, to, Acquire, Relaxed) {
                Ok(ONE) => return Claimed::Taken,
                Ok(_) => return Claimed::Cloning(to),
                Err(seen) => word = seen,
            }
        }
    }

    /// The release of a claim that has to be cloned, and that left `word`. Answers false if something has changed since.
    #[inline]
    fn release_unchanged(&self, word: usize) -> bool {
        // ORDERING: Release as in `release`.
        self.0
            .compare_exchange(word, word - CLONING, Release, Relaxed)
            .is_ok()
    }

    /// The release of one; `back` is the share, if it was claimed in error.
    fn release(&self, back: usize) -> Released {
        // ORDERING: Relaxed: a guess for the exchange below.
        let mut word = self.0.load(Relaxed);
        loop {
            let left = (word & !FLAGS) + back;
            let is_taken = word & OVERTAKEN != 0 || left == 0;
            let to = if is_taken { TAKEN } else { left };
            // ORDERING: Release pairs with the Acquire in `claim`, `waive` and `seize`: the clone is made before.
            match self.0.compare_exchange_weak(word, to, Release, Relaxed) {
                Ok(_) => {
                    return Released {
                        is_taken,
                        is_waited: word & WAITED != 0,
                    };
                }
                Err(seen) => word = seen,
            }
        }
    }

    /// By who has it TAKEN: the value was taken out.
    #[inline]
    fn empty(&self) {
        // ORDERING: Release pairs with the Acquire in `seize`: the old value is out before the new one comes.
        self.0.store(EMPTY, Release);
    }

    /// By who fills it: a value for so many is there.
    #[inline]
    fn full(&self, receivers: usize) {
        // ORDERING: Release pairs with the Acquire in `claim` and `waive`: the value and its position were written before.
        self.0.store(receivers * ONE, Release);
    }

    /// By who has claimed the last share in error. Answers false if the value has been overtaken since: then it is in the caller's hands.
    fn give_back(&self) -> bool {
        // ORDERING: Relaxed: the value was not touched, and as an exchange it goes on with the Release in `full`.
        self.0
            .compare_exchange(TAKEN, ONE, Relaxed, Relaxed)
            .is_ok()
    }

    #[inline]
    fn is_empty(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `empty`.
        self.0.load(Acquire) == EMPTY
    }

    /// Under the tail's lock.
    fn seize(&self) -> Seized {
        // ORDERING: Acquire pairs with the Release in `empty` and `release`.
        let mut word = self.0.load(Acquire);
        loop {
            let to = match word & FLAGS {
                // Nobody claims what is not there.
                0 if word == EMPTY => return Seized::Own { is_full: false },
                0 => TAKEN,
                TAKEN => TAKEN | WAITED,
                _ if word & OVERTAKEN != 0 => return Seized::Busy { is_waited: false },
                _ => CLONING | OVERTAKEN,
            };
            // ORDERING: Relaxed if it is as it was seen, by an Acquire, here or above, which pairs with the Release in `release`: the
            // clones are made.
            match self.0.compare_exchange_weak(word, to, Relaxed, Acquire) {
                Ok(_) if to == TAKEN => return Seized::Own { is_full: true },
                Ok(_) => {
                    return Seized::Busy {
                        is_waited: word & WAITED != 0,
                    };
                }
                Err(seen) => word = seen,
            }
        }
    }

    /// A receiver that has a share here goes. Answers true if it was the last: then the value is in the caller's hands.
    fn waive(&self) -> bool {
        // ORDERING: Relaxed: a guess for the exchange below.
        let mut word = self.0.load(Relaxed);
        loop {
            // What others claim in error is their own share.
            debug_assert!(word >= ONE, "who has a share finds it ({word:#b})");
            let to = if word == ONE { TAKEN } else { word - ONE };
            // ORDERING: Acquire pairs with the Release in `full` and `release`.
            match self.0.compare_exchange_weak(word, to, Acquire, Relaxed) {
                Ok(_) => return to == TAKEN,
                Err(seen) => word = seen,
            }
        }
    }

    /// Whether somebody clones; if so, whoever does will know that others wait. Under the lock of `Clones`.
    fn wait(&self) -> bool {
        // ORDERING: Relaxed: a guess for the exchange below.
        let mut word = self.0.load(Relaxed);
        while word & CLONING != 0 && word & OVERTAKEN == 0 {
            // ORDERING: Relaxed: who clones takes the lock of `Clones` if it finds the mark, and we have that.
            match self
                .0
                .compare_exchange_weak(word, word | WAITED, Relaxed, Relaxed)
            {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
        false
    }

    fn is_cloning(&self) -> bool {
        // ORDERING: Relaxed: a glance.
        self.0.load(Relaxed) & (CLONING | OVERTAKEN) == CLONING
    }

    /// How many have not claimed their share.
    fn left(&self) -> usize {
        // ORDERING: Relaxed: a figure; senders are kept out by the tail's lock.
        self.0.load(Relaxed) / ONE
    }
}

/// A place of the ring.
pub(super) struct Slot<T> {
    /// Which value is here; one that is to come if it was never filled. Changes under the tail's lock, in the hands of who fills.
    position: AtomicU64,
    word: Word,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value goes from thread to thread, and is reached by one at a time: see `Word`.
unsafe impl<T: Send> Sync for Slot<T> {}

/// What a receiver finds in the slot of its next value.
pub(super) enum Claim<'a, T> {
    /// It was the last: the value itself.
    Last(T),
    /// To be cloned, without a lock.
    Clone(Cloning<'a, T>),
    /// Another receiver clones it just now.
    Busy,
    /// It is not here.
    Missing,
}

/// Why a value could not be put into a slot: a receiver has hold of the one that is there.
pub(super) struct Busy<T> {
    pub(super) value: T,
    /// Whether others wait for it, who are to be told.
    pub(super) is_waited: bool,
}

impl<T> Slot<T> {
    pub(super) fn new(position: u64) -> Self {
        Self {
            position: AtomicU64::new(position),
            word: Word(AtomicUsize::new(EMPTY)),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    #[inline]
    fn position(&self) -> u64 {
        // ORDERING: Relaxed: before a claim a guess; after it, what was written before the Release in `Word::full`.
        self.position.load(Relaxed)
    }

    /// Claims a receiver's share of the value at `position`.
    #[inline]
    pub(super) fn claim<'a>(&'a self, position: u64, clones: &'a Clones) -> Claim<'a, T> {
        if self.position() != position {
            return Claim::Missing;
        }
        match self.word.claim() {
            Claimed::Cloning(word) => {
                let cloning = Cloning {
                    slot: self,
                    clones,
                    word,
                };
                if self.position() != position {
                    cloning.give_back();
                    return Claim::Missing;
                }
                Claim::Clone(cloning)
            }
            Claimed::Taken => {
                if self.position() != position {
                    self.give_back();
                    return Claim::Missing;
                }
                // SAFETY: the claim took the last share.
                let value = unsafe { self.take() };
                self.word.empty();
                Claim::Last(value)
            }
            Claimed::Busy => Claim::Busy,
            Claimed::Nothing => Claim::Missing,
        }
    }

    /// The last share was claimed in error: another value came between the look and the claim.
    #[cold]
    #[inline(never)]
    fn give_back(&self) {
        if !self.word.give_back() {
            // SAFETY: it is TAKEN by us, and the word says that nobody else wants it any more.
            let value = unsafe { self.take() };
            self.word.empty();
            drop(value);
        }
    }

    /// # Safety
    /// The caller has the slot TAKEN, with a value in it, which is gone then.
    #[inline]
    unsafe fn take(&self) -> T {
        self.value.with_mut(|value| {
            // SAFETY: nobody else reaches it, as the caller says.
            let value = unsafe { &mut *value };
            // SAFETY: there is a value, as the caller says.
            unsafe { value.assume_init_read() }
        })
    }

    /// Whether all have had what was here, and nobody touches it any more. Under the tail's lock.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.word.is_empty()
    }

    /// Puts a value for so many receivers here. Under the tail's lock, in which it was found [empty](Self::is_empty).
    #[inline]
    pub(super) fn fill(&self, position: u64, receivers: usize, value: T) {
        // ORDERING: Relaxed: published with the value.
        self.position.store(position, Relaxed);
        self.value.with_mut(|place| {
            // SAFETY: there is no value that others may reach, and nobody else fills, since the tail is locked.
            unsafe { &mut *place }.write(value);
        });
        self.word.full(receivers);
    }

    /// The same, in place of a value that some have not had, which is returned.
    pub(super) fn displace(
        &self,
        position: u64,
        receivers: usize,
        value: T,
    ) -> Result<Option<T>, Busy<T>> {
        match self.word.seize() {
            Seized::Own { is_full } => {
                // SAFETY: the word is TAKEN by us, with a value.
                let old = is_full.then(|| unsafe { self.take() });
                self.fill(position, receivers, value);
                Ok(old)
            }
            Seized::Busy { is_waited } => Err(Busy { value, is_waited }),
        }
    }

    /// Gives up a receiver's share of the value at `position`: the value, if it was the last one. `None` if it is not here. Under the
    /// tail's lock.
    pub(super) fn waive(&self, position: u64) -> Option<Option<T>> {
        if !self.has(position) {
            return None;
        }
        Some(self.word.waive().then(|| {
            // SAFETY: it was the last share.
            let value = unsafe { self.take() };
            self.word.empty();
            value
        }))
    }

    /// Whether the value at `position` is, or was, here, and not beside it. Under the tail's lock.
    fn has(&self, position: u64) -> bool {
        self.position() == position
    }

    /// How many have not had the value at `position`; `None` if it is not here. Under the tail's lock.
    pub(super) fn left(&self, position: u64) -> Option<usize> {
        self.has(position).then(|| self.word.left())
    }

    /// Ends a clone that others wait for, or that was of a value that nobody wants any more; or one that was begun in error.
    #[cold]
    #[inline(never)]
    fn release(&self, back: usize, clones: &Clones) {
        let released = self.word.release(back);
        let value = released.is_taken.then(|| {
            // SAFETY: the word says that it is nobody's but ours.
            let value = unsafe { self.take() };
            self.word.empty();
            value
        });
        if released.is_waited {
            clones.tell();
        }
        drop(value);
    }
}

impl<T> UnwindSafe for Slot<T> {}
impl<T> RefUnwindSafe for Slot<T> {}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        if self.word.left() != 0 {
            // SAFETY: there is a value for so many, and nobody else is here.
            drop(unsafe { self.take() });
        }
    }
}

/// The right to clone the value of a slot.
pub(super) struct Cloning<'a, T> {
    slot: &'a Slot<T>,
    clones: &'a Clones,
    /// The slot's word as the claim left it.
    word: usize,
}

impl<T> Cloning<'_, T> {
    #[inline]
    pub(super) fn cloned(self) -> T
    where
        T: Clone,
    {
        self.slot.value.with(|value| {
            // SAFETY: until we release it nobody else reaches it, or changes it.
            let value = unsafe { &*value };
            // SAFETY: a claim finds a value.
            unsafe { value.assume_init_ref() }.clone()
        })
    }

    /// It was claimed in error: another value came between the look and the claim.
    #[cold]
    fn give_back(self) {
        let this = ManuallyDrop::new(self);
        this.slot.release(ONE, this.clones);
    }
}

impl<T> Drop for Cloning<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if !self.slot.word.release_unchanged(self.word) {
            self.slot.release(0, self.clones);
        }
    }
}

/// Where receivers sleep that wait for another's clone, whichever value it is of.
pub(super) struct Clones {
    lock: Mutex<()>,
    done: Condvar,
}

/// So many looks at a clone that is being made before one sleeps.
const LOOKS: usize = 64;

impl Clones {
    pub(super) fn new() -> Self {
        Self {
            lock: Mutex::new(()),
            done: Condvar::new(),
        }
    }

    /// Waits until nobody clones the value of `slot`; it may have become another meanwhile.
    #[cold]
    #[inline(never)]
    pub(super) fn wait<T>(&self, slot: &Slot<T>) {
        if !cfg!(loom) {
            for _ in 0..LOOKS {
                if !slot.word.is_cloning() {
                    return;
                }
                hint::spin_loop();
            }
        }
        let lock = self.lock.lock();
        if slot.word.wait() {
            // Whoever releases it takes the lock and tells all; who is woken looks again.
            drop(self.done.wait(lock));
        }
    }

    /// Wakes those who wait.
    #[cold]
    #[inline(never)]
    pub(super) fn tell(&self) {
        // Who has left its mark sleeps by now.
        drop(self.lock.lock());
        self.done.notify_all();
    }
}
