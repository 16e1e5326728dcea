//! The time that one runtime lives in: real, or paused and moved by hand.
//!
//! Every driver of a runtime and its timers share one [`Clock`]. Real time costs nothing beyond std's
//! own clock. Paused time stands still until [`advance`](Clock::advance) is called, or until everyone
//! has nothing left to do but wait: then it jumps to the earliest deadline among all drivers.
//!
//! Who "everyone" is: each driver and each thread in `block_on` is a [`Member`] with a [`Sleeper`]; blocking
//! calls and whatever else must hold time still take an [`Inhibit`]. A wake under way shows in the sleeper
//! (it is notified before the thread returns from the kernel), so time never jumps over a task that could run.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use blitz_core::primitive::sync::Mutex;
use blitz_core::primitive::sync::atomic::AtomicU64;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

pub use crate::sleeper::Sleeper;

/// `frozen_at` of a clock that runs.
const RUNNING: u64 = u64::MAX;

/// The latest moment to which paused time moves, in nanoseconds: 292 years, and it can run on from there as long again.
const LATEST: u64 = u64::MAX >> 1;

/// Set for good by the first clock that is paused, so that `Instant::now()` need not look for a runtime before.
#[cfg(not(loom))]
static ANY_PAUSED: AtomicU64 = AtomicU64::new(0);

/// The zero of every clock in this process: the first moment anyone asked.
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

/// `instant` in nanoseconds since the process's origin: 0 if it lies before, `u64::MAX` if it lies beyond 584 years.
#[inline]
pub fn to_ns(instant: Instant) -> u64 {
    let since = instant.saturating_duration_since(origin());
    since
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(since.subsec_nanos()))
}

/// The instant that lies `ns` nanoseconds after the process's origin.
#[inline]
pub fn from_ns(ns: u64) -> Instant {
    let origin = origin();
    origin
        .checked_add(Duration::from_nanos(ns))
        .unwrap_or_else(|| origin + Duration::from_secs(30 * 365 * 24 * 3600))
}

/// One who can be asleep while paused time jumps: a driver, or a thread in `block_on`.
pub trait Member: Send + Sync {
    /// Whether it sleeps.
    fn sleeper(&self) -> &Sleeper;
    /// Ends its sleep, or forestalls the next one.
    fn unpark(&self);
    /// The earliest deadline among the timers that it keeps, if it keeps any.
    fn next_deadline(&self) -> Option<u64> {
        None
    }
    /// Fires those of its timers that are due at `now`.
    fn fire(&self, now: u64) {
        let _ = now;
    }
    /// True if it waits for something that ends without the outside, such as an operation on a file.
    fn is_busy(&self) -> bool {
        false
    }
    /// True if nothing that was done before `epoch` can be on its way to it through the kernel. Otherwise it is asked to
    /// look, and then falls asleep again.
    fn has_looked(&self, epoch: u64) -> bool {
        let _ = epoch;
        true
    }
}

/// The clock was not in the state that a move asks for: paused twice, or resumed or advanced while it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongMode;

impl fmt::Display for WrongMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the clock is not in the mode that this needs")
    }
}

impl std::error::Error for WrongMode {}

/// The time of one runtime. Clones show the same time.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    /// What stands in `Members::frozen_at`, for those without the lock; `RUNNING` while time runs.
    frozen_at: AtomicU64,
    /// What a running clock adds to real time, as a wrapping difference: not 0 once it was paused.
    offset: AtomicU64,
    /// Lower half: how many hold time still. Upper half: how often anyone began to.
    inhibitors: AtomicU64,
    /// The drivers have threads of their own: paused time then moves only while a thread is in `block_on`.
    workers: bool,
    /// Counts how often anyone may have done something that others learn of through the kernel.
    epoch: AtomicU64,
    /// Held while time moves, never while wakers run.
    members: Mutex<Members>,
}

/// Who must sleep before paused time jumps, and where it stands.
struct Members {
    /// The moment that a paused clock shows.
    frozen_at: Option<u64>,
    all: Vec<Weak<dyn Member>>,
    /// How many of them are threads in `block_on`.
    visitors: usize,
}

impl Members {
    /// Everyone who is still there; to be dropped outside of the lock.
    fn upgrade(&self) -> Vec<Arc<dyn Member>> {
        self.all.iter().filter_map(Weak::upgrade).collect()
    }

    fn add(&mut self, member: Weak<dyn Member>) {
        self.all.retain(|member| member.strong_count() != 0);
        self.all.push(member);
    }
}

const INHIBITED: u64 = u32::MAX as u64;
const INHIBIT: u64 = (1 << 32) + 1;

impl Clock {
    /// A clock that shows real time, for a runtime whose driver runs inside of `block_on`.
    pub fn new() -> Self {
        Self::with_workers(false)
    }

    /// The same for a runtime whose drivers have threads of their own.
    ///
    /// Once paused, its time moves by itself only while a thread is in `block_on` ([`visit`](Self::visit)).
    pub fn for_workers() -> Self {
        Self::with_workers(true)
    }

    fn with_workers(workers: bool) -> Self {
        Self(Arc::new(Inner {
            frozen_at: AtomicU64::new(RUNNING),
            offset: AtomicU64::new(0),
            inhibitors: AtomicU64::new(0),
            workers,
            epoch: AtomicU64::new(1),
            members: Mutex::new(Members {
                frozen_at: None,
                all: Vec::new(),
                visitors: 0,
            }),
        }))
    }

    /// True once any clock of this process was paused: until then all show real time.
    #[inline]
    pub fn any_ever_paused() -> bool {
        // ORDERING: Relaxed: whoever paused a clock sees it, and others see it through whatever told them of the pause.
        #[cfg(not(loom))]
        return ANY_PAUSED.load(Relaxed) != 0;
        #[cfg(loom)]
        true
    }

    /// The present, in nanoseconds since the process's origin.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        // ORDERING: Acquire pairs with the Release in `resume`: who sees the clock run sees its offset too.
        match self.0.frozen_at.load(Acquire) {
            RUNNING => {
                let offset = self.0.offset.load(Relaxed);
                to_ns(Instant::now()).wrapping_add(offset)
            }
            frozen => frozen,
        }
    }

    /// The present.
    #[inline]
    pub fn now(&self) -> Instant {
        from_ns(self.now_ns())
    }

    /// True while time stands still.
    #[inline]
    pub fn is_paused(&self) -> bool {
        // ORDERING: SeqCst with `pause` and `let_go`.
        self.0.frozen_at.load(SeqCst) != RUNNING
    }

    /// True if both are clones of one clock: of one runtime.
    #[inline]
    pub fn same_as(&self, other: &Clock) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Stops time where it is.
    ///
    /// # Errors
    /// If it stands still already.
    pub fn pause(&self) -> Result<(), WrongMode> {
        let mut list = self.0.members.lock();
        if list.frozen_at.is_some() {
            return Err(WrongMode);
        }
        // ORDERING: Relaxed: as in `any_ever_paused`.
        #[cfg(not(loom))]
        ANY_PAUSED.store(1, Relaxed);
        let now = self.now_ns();
        list.frozen_at = Some(now);
        // ORDERING: SeqCst: this store and then, by whoever falls asleep, a look at the inhibitors; `let_go` lowers
        // those and then looks here. One of the two sees the other.
        self.0.frozen_at.store(now, SeqCst);
        Ok(())
    }

    /// Lets time run again from the moment it shows.
    ///
    /// # Errors
    /// If it runs already.
    pub fn resume(&self) -> Result<(), WrongMode> {
        let mut list = self.0.members.lock();
        let frozen = list.frozen_at.take().ok_or(WrongMode)?;
        let offset = frozen.wrapping_sub(to_ns(Instant::now()));
        self.0.offset.store(offset, Relaxed);
        // ORDERING: Release publishes the offset above to `now_ns`.
        self.0.frozen_at.store(RUNNING, Release);
        let members = list.upgrade();
        drop(list);
        // Those who sleep without a limit have deadlines again.
        for member in &members {
            member.unpark();
        }
        Ok(())
    }

    /// Moves paused time on by `duration` and fires every timer that is due then, on all drivers.
    ///
    /// # Errors
    /// If time runs.
    pub fn advance(&self, duration: Duration) -> Result<(), WrongMode> {
        let mut list = self.0.members.lock();
        let frozen = list.frozen_at.ok_or(WrongMode)?;
        let by = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let now = frozen.saturating_add(by).min(LATEST);
        self.move_to(&mut list, now);
        let members = list.upgrade();
        drop(list);
        fire(&members, now);
        Ok(())
    }

    /// From now on paused time waits for `member` to sleep too, as long as it lives. For drivers.
    pub fn attach(&self, member: Weak<dyn Member>) {
        self.0.members.lock().add(member);
    }

    /// The same for a thread in `block_on`, until the guard is dropped.
    pub fn visit(&self, member: Arc<dyn Member>) -> Visit {
        let mut list = self.0.members.lock();
        list.add(Arc::downgrade(&member));
        list.visitors += 1;
        drop(list);
        Visit {
            clock: self.clone(),
            member: Some(member),
        }
    }

    /// Holds paused time still while the guard lives: for a blocking call, or for work outside of every member.
    #[inline]
    pub fn inhibit(&self) -> Inhibit {
        self.hold();
        Inhibit(self.clone())
    }

    /// Holds paused time still until [`let_go`](Self::let_go): `inhibit` for those who cannot keep a guard.
    #[inline]
    pub fn hold(&self) {
        // ORDERING: Relaxed: who holds is awake; `everyone_sleeps` sees this with the word of its falling asleep.
        self.0.inhibitors.fetch_add(INHIBIT, Relaxed);
    }

    /// Ends one [`hold`](Self::hold).
    pub fn let_go(&self) {
        if self.is_paused() {
            self.touch();
        }
        // ORDERING: SeqCst: it releases the wakes that came before to `everyone_sleeps`; and as in `pause`, we lower this
        // and then look whether time is paused.
        self.0.inhibitors.fetch_sub(1, SeqCst);
        // Everyone else may have fallen asleep meanwhile, so nobody else would look.
        while self.is_paused() && self.jump(|| ()) {}
    }

    /// On a paused clock: what this thread did since its last wait may be on its way to others through the kernel.
    ///
    /// Comes before a wait; they will look at the kernel before time jumps.
    pub fn touch(&self) {
        // ORDERING: Release pairs with the Acquire in `epoch`: a look in the new epoch comes after what we did.
        self.0.epoch.fetch_add(1, Release);
    }

    /// The number of the last [`touch`](Self::touch).
    pub fn epoch(&self) -> u64 {
        // ORDERING: Acquire pairs with the Release in `touch`.
        self.0.epoch.load(Acquire)
    }

    /// [`Sleeper::fall_asleep`] for a thread without a driver.
    #[inline]
    pub fn fall_asleep(&self, sleeper: &Sleeper) -> bool {
        if self.is_paused() {
            self.touch();
        }
        sleeper.fall_asleep()
    }

    /// Jumps to the earliest deadline and fires what is due, if time is paused, everyone sleeps, and nothing is on its way
    /// to them through the kernel; drivers that might not know that yet are asked to look.
    ///
    /// Call it after `fall_asleep` and before the wait. True: time moved, the caller is awake again and must not wait.
    pub fn try_auto_advance(&self, sleeper: &Sleeper) -> bool {
        self.is_paused() && self.jump(|| _ = sleeper.wake_up())
    }

    /// Paused time stands at `now` from here on.
    fn move_to(&self, list: &mut Members, now: u64) {
        list.frozen_at = Some(now);
        // ORDERING: Relaxed: whoever must see the new moment learns of it through a waker that is called after this.
        self.0.frozen_at.store(now, Relaxed);
    }

    /// `arrive` runs when the timers have fired and before anyone else may jump.
    fn jump(&self, arrive: impl FnOnce()) -> bool {
        let mut list = self.0.members.lock();
        let members = list.upgrade();
        let earliest = match list.frozen_at {
            Some(now) if self.everyone_sleeps(&list, &members) => {
                earliest(&members).map(|ns| ns.max(now))
            }
            _ => None,
        };
        // Nobody moves now but those whom the kernel wakes, and they come here again.
        let epoch = self.epoch();
        let earliest = earliest.filter(|_| {
            !members.iter().any(|member| member.is_busy())
                && members.iter().filter(|m| !m.has_looked(epoch)).count() == 0
        });
        if let Some(now) = earliest {
            // Nobody else jumps until those who are woken here can be seen awake.
            // ORDERING: Relaxed under the lock.
            self.0.inhibitors.fetch_add(INHIBIT, Relaxed);
            self.move_to(&mut list, now);
        }
        drop(list);
        if let Some(now) = earliest {
            fire(&members, now);
            arrive();
            // ORDERING: Release: whoever sees it lowered sees those awake whom we woke.
            self.0.inhibitors.fetch_sub(1, Release);
        }
        earliest.is_some()
    }

    /// True if there was one instant at which every member slept and nobody held time still.
    ///
    /// The words are read twice: they only count up, so if none moved in between they all held at once. Whoever falls asleep
    /// calls this afterwards, under the lock: the last of them sees all the others.
    fn everyone_sleeps(&self, list: &Members, members: &[Arc<dyn Member>]) -> bool {
        // ORDERING: SeqCst pairs with `let_go`, and acquires the wakes that came before it or before the end of a jump.
        let inhibitors = self.0.inhibitors.load(SeqCst);
        if inhibitors & INHIBITED != 0 || (self.0.workers && list.visitors == 0) {
            return false;
        }
        let word = |member: &Arc<dyn Member>| member.sleeper().word();
        let moves = |sum: u64, member| sum.wrapping_add(word(member).moves());
        let before = members.iter().fold(0, moves);
        members.iter().all(|member| word(member).is_asleep())
            && members.iter().fold(0, moves) == before
            // ORDERING: Relaxed: the words, read with Acquire, bring each `hold` that came before them.
            && self.0.inhibitors.load(Relaxed) == inhibitors
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("paused", &self.is_paused())
            .finish_non_exhaustive()
    }
}

/// Holds paused time still; see [`Clock::inhibit`].
#[derive(Debug)]
pub struct Inhibit(Clock);

impl Drop for Inhibit {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

/// A thread in `block_on` counts as one who must sleep; see [`Clock::visit`].
pub struct Visit {
    clock: Clock,
    member: Option<Arc<dyn Member>>,
}

impl Drop for Visit {
    fn drop(&mut self) {
        let Some(member) = self.member.take() else {
            return;
        };
        let gone = Arc::downgrade(&member);
        let mut list = self.clock.0.members.lock();
        list.all.retain(|member| !member.ptr_eq(&gone));
        list.visitors -= 1;
        drop(list);
        drop(member);
        self.clock.touch();
        while self.clock.is_paused() && self.clock.jump(|| ()) {}
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Visit")
    }
}

/// The earliest deadline of all, unless it lies beyond what a clock can show.
fn earliest(members: &[Arc<dyn Member>]) -> Option<u64> {
    let deadlines = members.iter().filter_map(|member| member.next_deadline());
    deadlines.min().filter(|&ns| ns <= LATEST)
}

/// Fires what is due at `now`, driver after driver.
fn fire(members: &[Arc<dyn Member>], now: u64) {
    for member in members {
        member.fire(now);
    }
}

#[cfg(test)]
#[path = "tests/clock.rs"]
mod tests;
