//! The driver: one wait in the kernel, then everything that happened is delivered.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use blitz_core::pad::CachePadded;
use blitz_core::primitive::sync::Mutex;
use blitz_core::slab::Key;
use blitz_sys::completion::{self, Entered, Features, Mode, Opcode, Setup};
use blitz_sys::errno;
use blitz_sys::fork::ForkMark;
use blitz_sys::wakeup::{EventFd, FutexWord};

use crate::backend::Backend;
use crate::capabilities::Capabilities;
use crate::clock::Sleeper;
use crate::config::{Config, RingUse, RingWakeup};
use crate::counters::TurnCounters;
use crate::current;
use crate::engine::{self, Bell, Beside, Engine, Ring, Watched};
use crate::flight::Operations;
use crate::grant::Grant;
use crate::shared::{Door, FORKED, Handle, Knocker, Shared};
use crate::submission::{Outbox, Submission};
use crate::tag;
use crate::timer::Timers;

/// Turns outside events into wakes. It belongs to a worker's core: one thread at a time turns it.
pub struct Driver {
    pub(crate) handle: Handle,
    pub(crate) engine: Engine,
    pub(crate) outbox: Outbox,
    events_per_turn: usize,
    events_per_busy_turn: usize,
    /// This turn does not wait.
    busy: bool,
    pub(crate) drain_limit: Duration,
    /// The holder's, whether there is one now or not.
    grant: Arc<Grant>,
    is_bound: bool,
    /// The ring's operations are tied to threads that may not be those that see their end.
    changes_threads: bool,
    pub(crate) is_down: bool,
    /// How many outside events were delivered since somebody began to count; wraps.
    found: usize,
    /// The last wait ended because paused time asked for a look, and for nothing else.
    asked: bool,
}

impl Driver {
    /// A driver as `config` asks.
    ///
    /// # Errors
    /// If a back end was forced, by the configuration or the environment, and is refused; if the environment names
    /// one that does not exist; if the process has no descriptors left.
    pub fn new(config: Config) -> io::Result<Self> {
        let forced = match config.backend {
            Some(backend) => Some((backend, "the builder asked for it")),
            None => Backend::from_env()?.map(|backend| {
                (
                    backend,
                    "the environment variable BLITZ_IO_DRIVER asks for it",
                )
            }),
        };
        match forced {
            Some((Backend::Epoll, reason)) => Self::readiness(config, reason.to_owned()),
            Some((Backend::IoUring, reason)) => Self::ring(&config, reason).map_err(|refusal| {
                let error = io::Error::from(refusal);
                io::Error::new(
                    error.kind(),
                    format!("io_uring was asked for ({reason}), but {error}"),
                )
            }),
            None => match Self::ring(&config, "the kernel allows it") {
                Ok(driver) => Ok(driver),
                Err(refusal) => Self::readiness(config, format!("io_uring is not used: {refusal}")),
            },
        }
    }

    fn ring(config: &Config, reason: &str) -> Result<Self, completion::Refusal> {
        let setup = Setup {
            sq_entries: config.sq_entries,
            cq_entries: config.cq_entries,
            mode: match config.ring {
                RingUse::Shared => Mode::Shared,
                RingUse::SingleThread => Mode::SingleThread,
            },
            sqpoll: config.sqpoll,
            faults: config.faults.clone(),
        };
        let (submissions, completions, features) = completion::open(&setup)?;
        let refused = |step: &str| {
            let step = step.to_owned();
            move |error| completion::Refusal { step, error }
        };
        // A ring that changes threads leaves the sockets to a selector: the kernel would do a piece of work in the name of the
        // thread that polled for each event, and cannot while that thread is stuck.
        let beside = match config.ring {
            RingUse::Shared => Beside::new(config).map_err(refused("making a selector"))?,
            RingUse::SingleThread => None,
        };
        let (engine, door) = match beside {
            Some(beside) => beside.join(completions),
            None => {
                let has_futex = features.has_opcode(Opcode::FUTEX_WAIT.0);
                let (watched, knocker) = if config.wakeup == RingWakeup::Futex && has_futex {
                    let word = FutexWord::new();
                    (Watched::word(word.clone()), Knocker::Word(word))
                } else {
                    let eventfd = EventFd::new().map_err(refused("making an eventfd"))?;
                    let fd = eventfd.as_raw_fd();
                    (Watched::Counter(fd), Knocker::Counter(eventfd))
                };
                let engine = Engine::of_ring(completions, Bell::new(watched), None);
                (engine, Door::Ring(knocker))
            }
        };
        let capabilities = Capabilities::new(Backend::IoUring, reason.to_owned(), Some(&features));
        let submission = Submission::new(Some(submissions), Operations::new(&config.buffers));
        Ok(Self::build(
            config,
            submission,
            door,
            engine,
            capabilities,
            Some(features),
        ))
    }

    fn readiness(config: Config, reason: String) -> io::Result<Self> {
        let (selector, registry, notifier) = engine::selector(&config)?;
        let capabilities = Capabilities::new(Backend::Epoll, reason, None);
        let submission = Submission::new(None, Operations::new(&config.buffers));
        let door = Door::Readiness(notifier, registry);
        let engine = Engine::of_selector(selector);
        Ok(Self::build(
            &config,
            submission,
            door,
            engine,
            capabilities,
            None,
        ))
    }

    fn build(
        config: &Config,
        submission: Submission,
        door: Door,
        engine: Engine,
        capabilities: Capabilities,
        features: Option<Features>,
    ) -> Self {
        let ring = submission.ring.as_ref();
        let changes_threads = config.ring == RingUse::Shared && ring.is_some();
        let entries = ring.map_or((0, 0), |ring| {
            (ring.capacity() as u32, ring.answers() as u32)
        });
        // A thread of the kernel that submits does so in its own time: a turn's end says nothing of it.
        let batches_writes = config.batched_writes
            && config.sqpoll.is_none()
            && features.as_ref().is_some_and(|found| found.skip_success);
        let shared = Arc::new(Shared {
            submission: Mutex::new(submission),
            sleeper: Sleeper::new(),
            door,
            timers: Timers::new(),
            clock: config.clock.clone(),
            capabilities,
            features,
            batches_writes,
            process: ForkMark::new(),
            counters: CachePadded::new(TurnCounters::new(entries)),
        });
        let member: Arc<dyn crate::clock::Member> = shared.clone();
        config.clock.attach(Arc::downgrade(&member));
        let handle = Handle(shared);
        Self {
            grant: Grant::of(handle.number()),
            is_bound: false,
            changes_threads,
            handle,
            engine,
            outbox: Outbox::new(),
            events_per_turn: config.events_per_turn.max(1),
            events_per_busy_turn: config.events_per_busy().max(1),
            busy: false,
            drain_limit: config.drain_limit,
            is_down: false,
            found: 0,
            asked: false,
        }
    }

    /// What others hold of this driver.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// This thread holds the core now: resources that it polls are armed here.
    ///
    /// # Panics
    /// If the ring is for one thread, and another one has bound it before.
    pub fn bind(&mut self) {
        if !std::mem::replace(&mut self.is_bound, true) {
            self.enable();
            current::enter(&self.handle, &self.grant);
        }
    }

    fn enable(&mut self) {
        let mut submission = self.handle.submission();
        let enabled = match &submission.ring {
            Some(ring) => completion::enable(ring),
            None => Ok(()),
        };
        if let Some(ring) = &mut self.engine.ring {
            ring.bell.change_hands(&mut submission);
        }
        drop(submission);
        if let Err(error) = enabled {
            panic!("a driver for a single thread was bound by another one: {error}");
        }
    }

    /// This thread gives the core up; what was its driver before `bind` is so again.
    pub fn unbind(&mut self) {
        if std::mem::take(&mut self.is_bound) {
            self.submit_sends();
            self.hand_over();
            current::leave(&self.grant);
            if self.changes_threads {
                // What the thread leaves is counted in this one.
                self.grant = Grant::of(self.handle.number());
            }
        }
    }

    /// Sends do not wait until somebody turns this again.
    fn submit_sends(&self) {
        if !self.is_down && !self.handle.0.process.is_foreign() {
            let mut submission = self.handle.submission();
            if submission.ops.has_sends() {
                submission.push_pending();
                // What cannot be submitted now is, in the next turn.
                submission.flush();
            }
        }
    }

    /// Tells the thread whose hold this was what it leaves in flight.
    fn hand_over(&self) {
        if self.changes_threads {
            self.handle.submission().ops.hand_over(&self.grant.left);
        }
    }

    /// Takes the driver from the thread that has bound it, which is stuck somewhere and not in a turn. Another one may bind it
    /// then, if its ring is for many threads.
    ///
    /// Whatever the stuck thread still does is right: it counts as a thread that holds no driver. When it is back it calls
    /// [`forget_seized`](crate::forget_seized).
    pub fn seize(&mut self) {
        if std::mem::take(&mut self.is_bound) {
            self.hand_over();
            let seized = std::mem::replace(&mut self.grant, Grant::of(self.handle.number()));
            seized.seize();
        }
    }

    /// Submits what is queued, waits for something to happen, and delivers it: I/O, timers, wake-ups.
    ///
    /// `None` waits without a limit of its own, zero does not wait. The wait also ends at the next deadline of a timer,
    /// by an [`unpark`](Handle::unpark), and by a signal. An unpark that came before makes it return at once; a turn
    /// of zero leaves such an unpark for the next.
    ///
    /// # Panics
    /// In a process that was forked from the driver's; if the ring is for one thread, on any other.
    pub fn turn(&mut self, limit: Option<Duration>) {
        assert!(!self.handle.0.process.is_foreign(), "{FORKED}");
        self.busy = limit == Some(Duration::ZERO);
        self.handle.0.counters.turned();
        if !self.busy && self.handle.clock().is_paused() {
            self.turn_paused(limit);
        } else {
            self.turn_engine(limit);
        }
        let shared = &*self.handle.0;
        shared.timers.end_wait(&shared.clock);
    }

    #[inline]
    fn turn_engine(&mut self, limit: Option<Duration>) {
        if self.is_down {
            // Nothing is served any more.
        } else if self.engine.ring.is_some() {
            self.turn_ring(limit);
        } else {
            self.turn_selector(limit);
        }
    }

    /// A turn in paused time: what the kernel has ready, here and for every other driver, goes before a jump.
    #[cold]
    fn turn_paused(&mut self, limit: Option<Duration>) {
        let clock = self.handle.clock().clone();
        self.found = 0;
        if self.handle.submission().ops.has_sends() {
            self.turn_engine(Some(Duration::ZERO));
        }
        // What this thread did since its last turn may be on its way to other drivers.
        clock.touch();
        loop {
            let epoch = clock.epoch();
            self.turn_engine(Some(Duration::ZERO));
            if self.found != 0 {
                return;
            }
            self.handle.0.sleeper.set_looked(epoch);
            self.asked = false;
            self.count_another_wait();
            self.turn_engine(limit);
            // Woken only to look, and no task can have run: look, and sleep on.
            if self.found != 0 || !self.asked {
                return;
            }
            self.count_another_wait();
        }
    }

    /// Of a selector alone, in a turn that has had one.
    fn count_another_wait(&self) {
        if self.engine.ring.is_none() {
            self.handle.0.counters.waited();
        }
    }

    /// Before a wait: how long it may last. Zero, without having fallen asleep, if there is no time for it.
    fn fall_asleep(shared: &Shared, limit: Option<Duration>) -> (bool, Option<Duration>) {
        if limit == Some(Duration::ZERO) || !shared.sleeper.fall_asleep() {
            return (false, Some(Duration::ZERO));
        }
        let limit = shared
            .timers
            .begin_wait(&shared.clock, &shared.sleeper, limit);
        (true, limit)
    }

    /// A turn of a ring, and of the selector beside it if there is one.
    fn turn_ring(&mut self, mut limit: Option<Duration>) {
        loop {
            let Engine { ring, selector } = &mut self.engine;
            let Some(ring) = ring else { return };
            let shared = &*self.handle.0;
            let mut submission = shared.submission.lock();
            if submission.ops.take_awaits_sends() {
                limit = Some(Duration::ZERO);
            }
            let may_wait = limit != Some(Duration::ZERO);
            let queued = ring.queue(&mut submission, may_wait, selector.is_some());
            drop(submission);
            if !queued.all_fit || queued.is_answered {
                limit = Some(Duration::ZERO);
            }
            let (asleep, wait) = Self::fall_asleep(shared, limit);
            let ring_sleeps = asleep && queued.ring_waits;
            let completions = &mut ring.completions;
            let entered = if !queued.all_fit {
                Some(completions.make_room(queued.waiting))
            } else if queued.waiting != 0 || queued.wants_entering || ring_sleeps {
                let wait = if ring_sleeps {
                    wait
                } else {
                    Some(Duration::ZERO)
                };
                Some(completions.enter(queued.waiting, wait))
            } else {
                None
            };
            if let Some(answer) = &entered {
                shared.counters.entered(answer);
            }
            if queued.has_overflowed {
                shared.counters.overflowed();
            }
            let entered = entered.unwrap_or(Entered::Done);
            let waited = match selector {
                Some(selector) if asleep && !ring_sleeps => {
                    shared.counters.waited();
                    // A send that failed has said so, and is to be seen to.
                    let is_answered = queued.has_sends && !completions.is_empty();
                    let wait = if is_answered {
                        Some(Duration::ZERO)
                    } else {
                        wait
                    };
                    Some(selector.wait(wait))
                }
                _ => None,
            };
            if asleep {
                self.asked = shared.sleeper.wake_up();
            }
            if let Entered::Failed(error) = &entered {
                panic!("the ring cannot be entered: {}", explained(error));
            }
            let taken = self.deliver();
            if queued.has_sends {
                self.settle_sends(taken);
            }
            let looks = !asleep && queued.has_sources;
            self.collect(waited, looks);
            match entered {
                // Answers stood in the way of submissions, or the kernel is short of memory: take them, ask once more
                // without waiting, and leave what is queued still to the next turn.
                Entered::Busy if taken != 0 || limit != Some(Duration::ZERO) => {
                    limit = Some(Duration::ZERO);
                }
                Entered::Busy => return,
                // The queue is too small for what waits behind it: go on with the rest.
                _ if !queued.all_fit => limit = Some(Duration::ZERO),
                _ => return,
            }
        }
    }

    /// Reads answers and delivers them: one lock for all, but for one more for each full batch of wakers.
    pub(crate) fn deliver(&mut self) -> usize {
        let Some(Ring {
            completions,
            batch,
            bell,
        }) = &mut self.engine.ring
        else {
            return 0;
        };
        let (handle, outbox) = (&self.handle, &mut self.outbox);
        completions.reap(
            batch,
            if self.busy {
                self.events_per_busy_turn
            } else {
                self.events_per_turn
            },
        );
        if batch.is_empty() {
            return 0;
        }
        let taken = batch.len();
        let mut ready = 0;
        let mut submission = handle.submission();
        for cqe in batch.drain(..) {
            let rest = tag::rest(cqe.user_data);
            match tag::of(cqe.user_data) {
                tag::SOURCE => {
                    self.found = self.found.wrapping_add(1);
                    ready += 1;
                    submission.deliver_poll(Key::from_raw(rest), cqe.result, cqe.is_last(), outbox)
                }
                tag::OPERATION => {
                    self.found = self.found.wrapping_add(1);
                    if outbox.delivery.is_full() {
                        drop(submission);
                        outbox.finish();
                        submission = handle.submission();
                    }
                    let key = Key::from_raw(rest);
                    submission
                        .ops
                        .deliver(key, cqe.result, cqe.flags, &mut outbox.delivery);
                }
                tag::BELL => bell.answered(rest, cqe.is_last()),
                tag::NOBODY if cqe.result < 0 => submission.counted.cancels_late += 1,
                _ => {}
            }
        }
        drop(submission);
        handle.0.counters.took(taken);
        handle.0.counters.delivered(ready);
        outbox.finish();
        taken
    }

    /// After all answers were taken: sends that the kernel has seen and not answered have succeeded.
    pub(crate) fn settle_sends(&mut self, taken: usize) {
        // As many as may be taken at once may not be all.
        let is_all = taken < self.events_per_turn.min(self.events_per_busy_turn);
        loop {
            let mut submission = self.handle.submission();
            let is_over = if is_all && submission.has_submitted_all() {
                submission.ops.settle_sends(&mut self.outbox.delivery)
            } else {
                submission.ops.await_sends();
                true
            };
            drop(submission);
            self.outbox.finish();
            if is_over {
                return;
            }
        }
    }

    fn turn_selector(&mut self, limit: Option<Duration>) {
        let Some(selector) = &mut self.engine.selector else {
            return;
        };
        let shared = &*self.handle.0;
        let (asleep, wait) = Self::fall_asleep(shared, limit);
        let waited = selector.wait(wait);
        if asleep {
            self.asked = shared.sleeper.wake_up();
        }
        self.collect(Some(waited), false);
    }

    /// Takes what the selector has, after it `waited`, after the bell rang, or because the turn `looks`.
    fn collect(&mut self, waited: Option<io::Result<()>>, looks: bool) {
        let Engine { ring, selector } = &mut self.engine;
        let Some(selector) = selector else { return };
        let rang = ring.as_mut().is_some_and(|ring| ring.bell.take_rang());
        let waited = match waited {
            Some(waited) => waited,
            None if rang || looks => {
                self.handle.0.counters.waited();
                selector.wait(Some(Duration::ZERO))
            }
            None => return,
        };
        match waited {
            Ok(()) if selector.is_empty() => return,
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
            Err(error) => panic!("the selector cannot wait: {}", explained(&error)),
        }
        let outbox = &mut self.outbox;
        let submission = self.handle.submission();
        let found = &mut self.found;
        let mut events = 0;
        selector.for_each(|token, ready| {
            *found = found.wrapping_add(1);
            events += 1;
            submission.deliver_event(token, ready, outbox);
        });
        drop(submission);
        self.handle.0.counters.delivered(events);
        outbox.finish();
    }
}

/// An error after which there is no driver any more, with what the table says of it.
#[cold]
fn explained(error: &io::Error) -> String {
    match errno::says(error) {
        Some(says) => format!("{error}: {says}"),
        None => error.to_string(),
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shutdown();
        self.unbind();
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("backend", &self.handle.backend())
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn sent<T: Send>() {}
    sent::<Driver>();
};

#[cfg(all(test, not(loom)))]
#[path = "tests/wakeup.rs"]
mod tests;
