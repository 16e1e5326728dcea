//! Who has permits, as others see it: so that who waits in vain can be told whom for.
//!
//! Whoever has all that is out is remembered beside the permits, which costs some plain stores. Where several have some, each has a
//! record in the [register]. Nobody is remembered outside of tasks; nor for guards that keep their lock alive, which are made to be
//! given to other tasks: nobody knows who has those.

use std::panic::Location;
use std::ptr::null_mut;
// Plain std for what orders nothing: loom need not explore who is said to hold a lock.
use std::sync::atomic::{AtomicPtr as Pointer, AtomicU32 as Small, AtomicU64 as Figure};

use blitz_core::primitive::sync::atomic::Ordering::Relaxed;
use blitz_core::register::{self, Call, Holder, Record, Share};
use blitz_core::waiting::Site;

use crate::called;

/// Where a guard is remembered, if it is: to be said when it goes.
pub(crate) type Noted = Option<&'static Record>;

/// What the records of guards are called.
static GUARD: Site = called::site("a guard");

/// How many permits there are in all, and who has all that are out, if that is one.
pub(crate) struct Holders {
    task: Figure,
    /// Null: nobody, or not known.
    at: Pointer<Location<'static>>,
    count: Small,
    /// 0: not known, or of no use to who wants to know whether some will come back.
    all: Small,
}

impl Holders {
    /// Of so many permits that go out and come back by guards; `None` if they come and go otherwise.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "`const`, and compared before"
    )]
    pub(crate) const fn of(all: Option<usize>) -> Self {
        let all = match all {
            Some(all) if all <= u32::MAX as usize => all as u32,
            _ => 0,
        };
        Self {
            task: Figure::new(0),
            at: Pointer::new(null_mut()),
            count: Small::new(0),
            all: Small::new(all),
        }
    }

    /// How many there are in all, and 0 if that is not known.
    #[inline]
    pub(crate) fn all(&self) -> usize {
        // ORDERING: Relaxed, here and below: figures; between two holders is the order of the permits' word.
        self.all.load(Relaxed) as usize
    }

    /// From now on permits come and go otherwise too.
    pub(crate) fn open(&self) {
        // ORDERING: as above.
        self.all.store(0, Relaxed);
    }

    /// `task` has got `count`, and all others are free.
    #[inline]
    pub(crate) fn set(&self, task: u64, count: usize, at: &'static Location<'static>) -> Noted {
        // ORDERING: as above.
        self.task.store(task, Relaxed);
        self.recount(count);
        // ORDERING: as above.
        self.at.store(std::ptr::from_ref(at).cast_mut(), Relaxed);
        register::remembered()
    }

    #[inline]
    fn recount(&self, count: usize) {
        // ORDERING: as above.
        self.count.store(u32::try_from(count).unwrap_or(0), Relaxed);
    }

    /// Who has all that are out.
    pub(crate) fn get(&self) -> Option<Holder> {
        // ORDERING: as above.
        let at = self.at.load(Relaxed).cast_const();
        // SAFETY: null, or a `&'static Location`: nothing else is stored.
        let at = unsafe { at.as_ref() }?;
        Some(Holder {
            // ORDERING: as above.
            task: self.task.load(Relaxed),
            at,
            // ORDERING: as above.
            count: self.count.load(Relaxed) as usize,
        })
    }

    /// This thread's task has got `count` of the permits at `object`, as others have some.
    #[cold]
    pub(crate) fn add(&self, object: usize, count: usize, at: &'static Location<'static>) -> Noted {
        let share = Share {
            object,
            count,
            of: self.all(),
        };
        register::hold(Call { site: &GUARD, at }, share)
    }

    /// The guard that was noted so is about to give its permits back.
    #[inline]
    pub(crate) fn remove(&self, noted: Noted) {
        let Some(record) = noted else { return };
        if is_here(record) {
            // ORDERING: as above.
            self.at.store(null_mut(), Relaxed);
        } else {
            record.leave();
        }
    }

    /// The guard that was noted so has `kept` from now on.
    pub(crate) fn keep(&self, noted: Noted, kept: usize) {
        let Some(record) = noted else { return };
        if is_here(record) {
            self.recount(kept);
        } else {
            record.recount(kept);
        }
    }

    /// Where the guard that was noted so was got.
    pub(crate) fn place(&self, noted: Noted) -> Option<&'static Location<'static>> {
        let record = noted?;
        if is_here(record) {
            Some(self.get()?.at)
        } else {
            Some(record.call()?.at)
        }
    }
}

#[inline]
fn is_here(record: &'static Record) -> bool {
    register::remembered().is_some_and(|here| std::ptr::eq(here, record))
}
