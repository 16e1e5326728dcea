//! The driver: one wait in the kernel, then everything that happened is delivered.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blitz_core::pad::CachePadded;
use blitz_core::primitive::sync::Mutex;
use blitz_core::slab::Key;
use blitz_sys::completion::{self, Completions, Cqe, Entered, Features, Mode, Setup, Sqe};
use blitz_sys::errno;
use blitz_sys::readiness::{Selector, mask_for};
use blitz_sys::wakeup::{EventFd, ForkMark};

use crate::backend::Backend;
use crate::capabilities::Capabilities;
use crate::clock::Sleeper;
use crate::config::{Config, RingUse};
use crate::counters::TurnCounters;
use crate::current;
use crate::flight::Operations;
use crate::shared::{Door, FORKED, Handle, Shared};
use crate::submission::{Outbox, Submission};
use crate::tag;
use crate::timer::Timers;

/// How long one step of a shutdown waits for the kernel before it looks at the clock again.
const DRAIN_STEP: Duration = Duration::from_millis(50);

/// Turns outside events into wakes. It belongs to a worker's core: one thread at a time turns it.
pub struct Driver {
    handle: Handle,
    engine: Engine,
    outbox: Outbox,
    events_per_turn: usize,
    events_per_busy_turn: usize,
    /// This turn does not wait.
    busy: bool,
    drain_limit: Duration,
    /// What this thread's driver was before `bind`; `None` when not bound.
    before: Option<Option<Handle>>,
    is_down: bool,
    /// How many outside events were delivered since somebody began to count; wraps.
    found: usize,
    /// The last wait ended because paused time asked for a look, and for nothing else.
    asked: bool,
}

enum Engine {
    Ring {
        completions: Completions,
        batch: Vec<Cqe>,
        /// The wake-up's poll stands in the ring.
        wake_armed: bool,
        eventfd: EventFd,
    },
    Readiness(Selector),
}

/// What waits for the kernel before it is entered.
#[derive(Default)]
struct Queued {
    /// So many entries stand in the ring's queue.
    waiting: u32,
    /// None stands in the list behind it.
    all_fit: bool,
    /// The kernel keeps answers back until it is entered.
    wants_entering: bool,
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
        };
        let (submissions, completions, features) = completion::open(&setup)?;
        let eventfd = EventFd::new().map_err(|error| completion::Refusal {
            step: "making an eventfd".to_owned(),
            error,
        })?;
        let capabilities = Capabilities::new(Backend::IoUring, reason.to_owned(), Some(&features));
        let submission = Submission::new(Some(submissions), Operations::new(&config.buffers));
        let engine = Engine::Ring {
            completions,
            batch: Vec::new(),
            wake_armed: false,
            eventfd: eventfd.clone(),
        };
        let door = Door::Ring(eventfd);
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
        let (selector, registry, notifier) = Selector::new(config.events_per_turn)?;
        let capabilities = Capabilities::new(Backend::Epoll, reason, None);
        let submission = Submission::new(None, Operations::new(&config.buffers));
        let door = Door::Readiness(notifier, registry);
        let engine = Engine::Readiness(selector);
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
        let entries = ring.map_or((0, 0), |ring| {
            (ring.capacity() as u32, ring.answers() as u32)
        });
        let shared = Arc::new(Shared {
            submission: Mutex::new(submission),
            sleeper: Sleeper::new(),
            door,
            timers: Timers::new(),
            clock: config.clock.clone(),
            capabilities,
            features,
            process: ForkMark::new(),
            counters: CachePadded::new(TurnCounters::new(entries)),
        });
        let member: Arc<dyn crate::clock::Member> = shared.clone();
        config.clock.attach(Arc::downgrade(&member));
        Self {
            handle: Handle(shared),
            engine,
            outbox: Outbox::new(),
            events_per_turn: config.events_per_turn.max(1),
            events_per_busy_turn: config
                .events_per_busy_turn
                .unwrap_or(config.events_per_turn)
                .max(1),
            busy: false,
            drain_limit: config.drain_limit,
            before: None,
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
        if self.before.is_none() {
            self.enable();
            self.before = Some(current::replace(Some(self.handle.clone())));
        }
    }

    fn enable(&mut self) {
        let submission = self.handle.submission();
        let enabled = match &submission.ring {
            Some(ring) => completion::enable(ring),
            None => Ok(()),
        };
        drop(submission);
        if let Err(error) = enabled {
            panic!("a driver for a single thread was bound by another one: {error}");
        }
    }

    /// This thread gives the core up; what was its driver before `bind` is so again.
    pub fn unbind(&mut self) {
        if let Some(before) = self.before.take() {
            drop(current::replace(before));
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
        match &self.engine {
            _ if self.is_down => {}
            Engine::Ring { .. } => self.turn_ring(limit),
            Engine::Readiness(_) => self.turn_readiness(limit),
        }
    }

    /// A turn in paused time: what the kernel has ready, here and for every other driver, goes before a jump.
    #[cold]
    fn turn_paused(&mut self, limit: Option<Duration>) {
        let clock = self.handle.clock().clone();
        self.found = 0;
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
            self.turn_engine(limit);
            // Woken only to look, and no task can have run: look, and sleep on.
            if self.found != 0 || !self.asked {
                return;
            }
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

    fn turn_ring(&mut self, mut limit: Option<Duration>) {
        loop {
            let queued = self.queue();
            let Engine::Ring { completions, .. } = &mut self.engine else {
                return;
            };
            if !queued.all_fit || !completions.is_empty() {
                limit = Some(Duration::ZERO);
            }
            let shared = &*self.handle.0;
            let (asleep, wait) = Self::fall_asleep(shared, limit);
            let entered = if !queued.all_fit {
                Some(completions.make_room(queued.waiting))
            } else if queued.waiting != 0 || queued.wants_entering || asleep {
                Some(completions.enter(queued.waiting, wait))
            } else {
                None
            };
            if let Some(answer) = &entered {
                shared.counters.entered(answer);
            }
            let entered = entered.unwrap_or(Entered::Done);
            if asleep {
                self.asked = shared.sleeper.wake_up();
            }
            if let Entered::Failed(error) = &entered {
                panic!("the ring cannot be entered: {}", explained(error));
            }
            let taken = self.deliver();
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

    /// Brings everything that is to be submitted into the ring's queue, as far as it fits.
    fn queue(&mut self) -> Queued {
        let Engine::Ring {
            wake_armed,
            eventfd,
            ..
        } = &mut self.engine
        else {
            return Queued::default();
        };
        let mut submission = self.handle.submission();
        if !*wake_armed && !submission.closed {
            *wake_armed = true;
            let readable = mask_for(blitz_sys::readiness::bits::READABLE);
            let sqe = Sqe::poll_multishot(eventfd.as_raw_fd(), readable)
                .user_data(tag::with(tag::WAKE, 0));
            // SAFETY: it names no memory.
            unsafe { submission.push(sqe) };
        }
        submission.ops.collect_returns();
        while let Some(sqe) = submission.ops.pop_pending() {
            // SAFETY: the operations keep what their entries name until the last answer.
            unsafe { submission.push(sqe) };
        }
        let (waiting, all_fit) = submission.fill();
        let ring = submission.ring.as_mut();
        let wants_entering = ring.is_some_and(|ring| {
            let wants = ring.wants_entering();
            if wants && ring.has_overflowed() {
                self.handle.0.counters.overflowed();
            }
            wants
        });
        Queued {
            waiting,
            all_fit,
            wants_entering,
        }
    }

    /// Reads answers and delivers them: one lock for all, but for one more for each full batch of wakers.
    fn deliver(&mut self) -> usize {
        let Engine::Ring {
            completions,
            batch,
            wake_armed,
            ..
        } = &mut self.engine
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
                tag::WAKE if cqe.is_last() => *wake_armed = false,
                tag::NOBODY if cqe.result < 0 => submission.counted.cancels_late += 1,
                _ => {}
            }
        }
        drop(submission);
        handle.0.counters.took(taken, ready);
        outbox.finish();
        taken
    }

    fn turn_readiness(&mut self, limit: Option<Duration>) {
        let Engine::Readiness(selector) = &mut self.engine else {
            return;
        };
        let shared = &*self.handle.0;
        let (asleep, wait) = Self::fall_asleep(shared, limit);
        let waited = selector.wait(wait);
        shared.counters.waited();
        if asleep {
            self.asked = shared.sleeper.wake_up();
        }
        match waited {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
            Err(error) => panic!("the selector cannot wait: {}", explained(&error)),
        }
        let outbox = &mut self.outbox;
        let submission = shared.submission.lock();
        let found = &mut self.found;
        let mut events = 0;
        selector.for_each(|token, ready| {
            *found = found.wrapping_add(1);
            events += 1;
            submission.deliver_event(token, ready, outbox);
        });
        drop(submission);
        shared.counters.took(0, events);
        outbox.finish();
    }

    /// Tells everyone who waits that it is over, cancels what is in flight and waits until the kernel has let go of it.
    ///
    /// What the kernel does not let go of within the limit is leaked, with its buffers. Idempotent.
    pub fn shutdown(&mut self) {
        if std::mem::replace(&mut self.is_down, true) {
            return;
        }
        if self.handle.0.process.is_foreign() {
            // The parent's ring, and locks that some thread of the parent may hold: leave all of it alone.
            std::mem::forget(self.handle.clone());
            return;
        }
        self.close();
        if !self.drain() {
            self.handle.submission().leak();
            // The ring's memory must outlive what is in flight: one more owner that never goes.
            std::mem::forget(self.handle.clone());
        }
        let mut submission = self.handle.submission();
        let Submission { ring, ops, .. } = &mut *submission;
        if let Some(ring) = ring {
            ops.release(ring);
        }
        let ring = submission.ring.take();
        drop(submission);
        drop(ring);
        self.outbox.finish();
    }

    fn close(&mut self) {
        let shared = &*self.handle.0;
        let mut submission = shared.submission.lock();
        submission.closed = true;
        submission.ops.close();
        submission.close_sources(&mut self.outbox);
        let mut cancels = Vec::new();
        submission.ops.cancel_all(&mut cancels);
        for sqe in cancels {
            // SAFETY: a cancellation names no memory.
            unsafe { submission.push(sqe) };
        }
        let Engine::Ring { wake_armed, .. } = &self.engine else {
            drop(submission);
            self.outbox.finish();
            shared.timers.shutdown();
            return;
        };
        if *wake_armed {
            let sqe = Sqe::cancel(tag::with(tag::WAKE, 0)).user_data(tag::with(tag::NOBODY, 0));
            // SAFETY: it names no memory.
            unsafe { submission.push(sqe) };
        }
        drop(submission);
        self.outbox.finish();
        shared.timers.shutdown();
    }

    /// True once nothing is in flight any more.
    fn drain(&mut self) -> bool {
        let begun = Instant::now();
        let mut step = DRAIN_STEP;
        loop {
            let Engine::Ring {
                completions,
                wake_armed,
                ..
            } = &mut self.engine
            else {
                return true;
            };
            let mut submission = self.handle.submission();
            while let Some(sqe) = submission.ops.pop_pending() {
                // SAFETY: the operations keep what their entries name until the last answer.
                unsafe { submission.push(sqe) };
            }
            let (to_submit, all_fit) = submission.fill();
            let in_flight = submission.ops.in_flight() != 0
                || !submission.sources.is_empty()
                || *wake_armed
                || to_submit != 0;
            if let Some(ring) = &submission.ring
                && completion::enable(ring).is_err()
            {
                return false;
            }
            drop(submission);
            if !in_flight {
                return true;
            }
            if begun.elapsed() >= self.drain_limit {
                return false;
            }
            let limit = if all_fit { step } else { Duration::ZERO };
            step = match completions.enter(to_submit, Some(limit)) {
                Entered::Failed(_) => return false,
                Entered::Busy => Duration::ZERO,
                _ => DRAIN_STEP,
            };
            self.deliver();
        }
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
