//! A thread's grip on a core, and how another one takes the core while the first is stuck.

use std::ops::DerefMut;

use blitz_core::barrier::Asymmetric;
use blitz_core::primitive::cell::UnsafeCell;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use blitz_core::primitive::sync::atomic::{AtomicBool, AtomicU8};
use blitz_core::primitive::thread;

const HELD: u8 = 0;
const ASKED: u8 = 1;
const SEIZED: u8 = 2;
const LENT: u8 = 3;

/// So often a rescuer looks whether the owner has come out, before it lets it go on.
const LOOKS_MAX: u32 = if cfg!(loom) { 1 } else { 200 };

/// What one thread, the owner, holds until it is done, and one rescuer at a time may take from it.
///
/// ```text
///  from    move      to       who moved, and what it does then
///  HELD    ask       ASKED    rescuer: passes the heavy barrier, then looks whether the owner is inside
///  ASKED   go_on     HELD     owner, back in its loop: it is not stuck, and goes on as before
///  ASKED   let_go    HELD     rescuer: the owner is inside, or there is no barrier
///  ASKED   seize     SEIZED   rescuer: takes the core out; the owner never touches it again
///  HELD    lend      LENT     owner, inside: takes the core out itself
///  LENT    put       HELD     owner: has it back
/// ```
///
/// The owner is *inside* while it may touch the core: in its loop, a turn of the driver included, which cannot change hands
/// half-way, and for each wake in a task's poll. For the poll itself it comes out. Coming in, it marks itself inside and then
/// looks at the word; the rescuer moves the word and then looks at the mark, with a barrier between the two on either side: one
/// of them sees the other. The owner's barrier is for the compiler alone where the rescuer's reaches all threads, so a poll and a
/// wake pay two plain stores and a load each for this.
///
/// From ASKED on the owner's tasks are turned away: one that wakes without end must not keep its rescuer off. Only the owner's
/// loop, which is there when no task is stuck, takes the core back.
pub(in crate::scheduler) struct Grip<C> {
    core: UnsafeCell<Option<C>>,
    word: AtomicU8,
    /// Written by the owner alone.
    inside: AtomicBool,
    /// The owner's own note of what it found when it came in: the core is in its place.
    mine: AtomicBool,
    barrier: Asymmetric,
}

// SAFETY: the cell is touched by the owner, inside and in HELD, and by the rescuer that made SEIZED of ASKED while the owner
// was not inside; all else is atomic. Only what may be sent goes from one to the other.
unsafe impl<C: Send> Sync for Grip<C> {}

/// Why a core stays with its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scheduler) enum NotSeized {
    /// The owner goes on, or has no core.
    CameBack,
    /// The owner is inside.
    Inside,
    /// The system has no barrier for it.
    NoBarrier,
}

impl<C: DerefMut> Grip<C> {
    /// The calling thread is the owner.
    pub(in crate::scheduler) fn new(core: C, barrier: Asymmetric) -> Self {
        Self {
            core: UnsafeCell::new(Some(core)),
            word: AtomicU8::new(HELD),
            inside: AtomicBool::new(false),
            mine: AtomicBool::new(true),
            barrier,
        }
    }

    /// Marks the owner inside, and looks at the word.
    #[inline(always)]
    fn enter(&self) -> u8 {
        // ORDERING: Relaxed: the barrier keeps it before the look at the word.
        self.inside.store(true, Relaxed);
        self.barrier.light();
        // ORDERING: Relaxed: the word says whose the core is, and publishes nothing to its owner.
        self.word.load(Relaxed)
    }

    /// Whether the owner is inside: for itself, and for others at a glance.
    #[inline(always)]
    pub(in crate::scheduler) fn is_inside(&self) -> bool {
        // ORDERING: Relaxed: the owner's own word; who else looks here learns nothing by it.
        self.inside.load(Relaxed)
    }

    /// The owner's loop comes inside: from here on nobody takes the core, if it is still there.
    ///
    /// # Safety
    /// The caller is the owner, and outside.
    #[inline(always)]
    pub(in crate::scheduler) unsafe fn come_in(&self) {
        if self.enter() != HELD {
            self.find_out();
        }
    }

    /// Somebody has asked for the core, or it is gone.
    #[cold]
    fn find_out(&self) {
        // ORDERING: Relaxed: as in `enter`. It fails if the other side let go first, or has the core, or has lent it.
        let mine = match self.word.compare_exchange(ASKED, HELD, Relaxed, Relaxed) {
            Ok(_) => true,
            Err(word) => word == HELD,
        };
        // ORDERING: Relaxed: the owner's own word.
        self.mine.store(mine, Relaxed);
    }

    /// The owner's loop comes out, for a task's poll or other foreign code.
    ///
    /// # Safety
    /// The caller is the owner.
    #[inline(always)]
    pub(in crate::scheduler) unsafe fn come_out(&self) {
        // ORDERING: Release pairs with the Acquire in `seize`: what was done to the core is seen by who takes it.
        self.inside.store(false, Release);
    }

    /// Calls `f` with the core.
    ///
    /// # Safety
    /// The caller is the owner, inside, and has found the core its own. `f` comes to no other method here.
    #[inline(always)]
    unsafe fn touch<R>(&self, f: impl FnOnce(&mut C::Target) -> R) -> R {
        self.core.with_mut(|core| {
            // SAFETY: as the caller says: no rescuer takes the core before the owner is out, and no second borrow is alive.
            let core = unsafe { &mut *core };
            // SAFETY: it is out of its place only from SEIZED or LENT on.
            f(unsafe { core.as_deref_mut().unwrap_unchecked() })
        })
    }

    /// For the owner inside: calls `f` with the core, if this thread still has it.
    ///
    /// # Safety
    /// The caller is the owner, and inside. `f` runs no foreign code and comes to no other method here.
    #[inline(always)]
    pub(in crate::scheduler) unsafe fn own<R>(
        &self,
        f: impl FnOnce(&mut C::Target) -> R,
    ) -> Option<R> {
        debug_assert!(self.is_inside(), "the owner touches its core from inside");
        // ORDERING: Relaxed: the owner's own word. While it is inside nobody makes SEIZED of what it found.
        if !self.mine.load(Relaxed) {
            return None;
        }
        // SAFETY: as the caller says, and just found.
        Some(unsafe { self.touch(f) })
    }

    /// For what a task, or a waker in the driver's turn, does: calls `f` with the core, if this thread still has it and, in a task,
    /// nobody asks for it.
    ///
    /// # Safety
    /// The caller is the owner. `f` runs no foreign code and comes to no other method here.
    #[inline(always)]
    pub(in crate::scheduler) unsafe fn with<R>(
        &self,
        f: impl FnOnce(&mut C::Target) -> R,
    ) -> Option<R> {
        let was_inside = self.is_inside();
        let is_mine = if was_inside {
            // ORDERING: Relaxed: as in `own`.
            self.mine.load(Relaxed)
        } else {
            self.enter() == HELD
        };
        let answer = if is_mine {
            // SAFETY: as the caller says, and just found.
            Some(unsafe { self.touch(f) })
        } else {
            None
        };
        if !was_inside {
            // SAFETY: as the caller says.
            unsafe { self.come_out() };
        }
        answer
    }

    /// The owner takes its core out, if it has it and `may` agrees.
    ///
    /// # Safety
    /// As for [`with`](Self::with).
    pub(in crate::scheduler) unsafe fn lend(
        &self,
        may: impl FnOnce(&C::Target) -> bool,
    ) -> Option<C> {
        let was_inside = self.is_inside();
        if !was_inside {
            // SAFETY: as the caller says.
            unsafe { self.come_in() };
        }
        // SAFETY: as the caller says.
        let agreed = unsafe { self.own(|core| may(core)) };
        let core = if agreed == Some(true) {
            // ORDERING: Relaxed: as in `enter`. From HELD, or from ASKED: that rescuer, who waits, finds its word gone.
            self.word.swap(LENT, Relaxed);
            // ORDERING: Relaxed: the owner's own word.
            self.mine.store(false, Relaxed);
            // SAFETY: LENT: nobody but the owner comes to it.
            self.core.with_mut(|core| unsafe { (*core).take() })
        } else {
            None
        };
        if !was_inside {
            // SAFETY: as the caller says.
            unsafe { self.come_out() };
        }
        core
    }

    /// The owner has its core back.
    ///
    /// # Safety
    /// The caller is the owner, and has lent its core.
    pub(in crate::scheduler) unsafe fn put(&self, core: C) {
        self.core.with_mut(|place| {
            // SAFETY: LENT: no rescuer comes.
            let place = unsafe { &mut *place };
            debug_assert!(place.is_none(), "a thread holds one core");
            *place = Some(core);
        });
        // ORDERING: Relaxed: the owner's own word.
        self.mine.store(true, Relaxed);
        // ORDERING: Release pairs with the Acquire of `seize`'s first move: who takes the core sees it in its place.
        self.word.store(HELD, Release);
    }

    /// Whether the core was taken from its owner.
    pub(in crate::scheduler) fn is_seized(&self) -> bool {
        // ORDERING: Relaxed: for the owner, who learns no more by it.
        self.word.load(Relaxed) == SEIZED
    }

    /// Whether the owner has the core and nobody asks for it, at a glance.
    pub(in crate::scheduler) fn is_held(&self) -> bool {
        // ORDERING: Relaxed: a glance.
        self.word.load(Relaxed) == HELD
    }

    fn let_go(&self) {
        // ORDERING: Relaxed: as in `enter`. It fails if the owner goes on, or lends the core: then there is nothing to let go.
        let _ = self.word.compare_exchange(ASKED, HELD, Relaxed, Relaxed);
    }

    /// Takes the core from its owner, which is stuck outside. One rescuer at a time.
    pub(in crate::scheduler) fn seize(&self) -> Result<C, NotSeized> {
        // ORDERING: Acquire pairs with the Release in `put`. Relaxed if it fails: nothing is touched.
        if self
            .word
            .compare_exchange(HELD, ASKED, Acquire, Relaxed)
            .is_err()
        {
            return Err(NotSeized::CameBack);
        }
        if !self.barrier.heavy() {
            self.let_go();
            return Err(NotSeized::NoBarrier);
        }
        let mut looks = 0;
        // ORDERING: Acquire pairs with the Release in `come_out`.
        while self.inside.load(Acquire) {
            if looks == LOOKS_MAX {
                self.let_go();
                return Err(NotSeized::Inside);
            }
            looks += 1;
            thread::yield_now();
        }
        // ORDERING: Relaxed: what the owner did to the core came with the mark.
        if self
            .word
            .compare_exchange(ASKED, SEIZED, Relaxed, Relaxed)
            .is_err()
        {
            return Err(NotSeized::CameBack);
        }
        let core = self.core.with_mut(|core| {
            // SAFETY: SEIZED, made of ASKED with the owner outside: it does not touch the core any more.
            unsafe { (*core).take() }
        });
        core.ok_or(NotSeized::CameBack)
    }
}
