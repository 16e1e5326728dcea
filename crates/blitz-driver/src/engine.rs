//! What a driver waits in: a ring, a selector, or both side by side.
//!
//! | driver | sockets are watched by | operations | who waits |
//! |---|---|---|---|
//! | ring for one thread | polls in the ring | the ring | the ring |
//! | ring that changes threads | the selector | the ring | the selector; the ring while it has operations in flight |
//! | readiness back end | the selector | calls on the spot | the selector |
//!
//! Where a ring waits it must hear of what happens outside it: that is the [`Bell`]'s part. A selector needs none, since it
//! waits only while the ring has nothing to say.

use std::io;
use std::thread::{self, ThreadId};

use blitz_sys::completion::{Completions, Cqe, Sqe};
use blitz_sys::readiness::{Notifier, Registry, Selector, bits, mask_for};
use blitz_sys::wakeup::FutexWord;

use crate::config::Config;
use crate::shared::Door;
use crate::submission::Submission;
use crate::tag;

/// What a driver waits in. At least one of the two is there.
pub(crate) struct Engine {
    pub(crate) ring: Option<Ring>,
    pub(crate) selector: Option<Selector>,
}

/// The ring's answers.
pub(crate) struct Ring {
    pub(crate) completions: Completions,
    pub(crate) batch: Vec<Cqe>,
    pub(crate) bell: Bell,
}

/// The poll or wait that stands in the ring for what happens outside it.
///
/// Where sockets are polled in the ring itself it watches the wake-up's counter or word, and stands for good. Beside a selector it
/// watches that, and is set before each wait of the ring and not otherwise: standing, it costs the kernel work for each event.
pub(crate) struct Bell {
    watched: Watched,
    /// The ring will bring an answer of it.
    is_set: bool,
    /// It has rung since somebody asked.
    rang: bool,
    /// Tells this one's answers from those of one that was given up.
    number: u64,
    /// The thread that set it: the kernel needs that thread to answer.
    set_by: Option<ThreadId>,
}

/// What a bell watches; there as long as the driver.
pub(crate) enum Watched {
    /// The wake-up's counter, by a poll that is set once and answers many times.
    Counter(i32),
    /// The wake-up's word, by a wait that is set again after each answer.
    Word {
        word: FutexWord,
        /// What the word held when the driver last heard of it: a change since then ends the next wait at once.
        heard: u32,
    },
    /// The selector, by a poll that is set when the ring waits.
    Selector(i32),
}

impl Watched {
    pub(crate) fn word(word: FutexWord) -> Self {
        Self::Word {
            heard: word.value(),
            word,
        }
    }

    /// It stands in the ring whether or not the ring waits.
    fn lasts(&self) -> bool {
        !matches!(self, Self::Selector(_))
    }
}

/// What waits for the kernel before it is entered.
#[derive(Default)]
pub(crate) struct Queued {
    /// So many entries stand in the ring's queue.
    pub(crate) waiting: u32,
    /// None stands in the list behind it.
    pub(crate) all_fit: bool,
    /// The kernel keeps answers back until it is entered.
    pub(crate) wants_entering: bool,
    /// It does so because they did not fit into the ring.
    pub(crate) has_overflowed: bool,
    /// Answers are there already.
    pub(crate) is_answered: bool,
    /// Sends are among them, or were among those before, that answer only if they fail.
    pub(crate) has_sends: bool,
    /// A wait has to be the ring's.
    pub(crate) ring_waits: bool,
    /// The selector watches something.
    pub(crate) has_sources: bool,
}

impl Engine {
    pub(crate) fn of_ring(
        completions: Completions,
        bell: Bell,
        selector: Option<Selector>,
    ) -> Self {
        let ring = Ring {
            completions,
            batch: Vec::new(),
            bell,
        };
        Self {
            ring: Some(ring),
            selector,
        }
    }

    pub(crate) fn of_selector(selector: Selector) -> Self {
        Self {
            ring: None,
            selector: Some(selector),
        }
    }
}

/// A selector as `config` asks.
pub(crate) fn selector(config: &Config) -> io::Result<(Selector, Registry, Notifier)> {
    Selector::new(config.events_per_turn, config.events_per_busy())
}

/// A selector on its way beside a ring, which can wait for it.
pub(crate) struct Beside {
    selector: Selector,
    door: Door,
    fd: i32,
}

impl Beside {
    /// A selector of that kind, if this system has one.
    pub(crate) fn new(config: &Config) -> io::Result<Option<Self>> {
        let (selector, registry, notifier) = selector(config)?;
        let fd = selector.as_raw_fd();
        Ok(fd.map(|fd| Self {
            selector,
            door: Door::Readiness(notifier, registry),
            fd,
        }))
    }

    pub(crate) fn join(self, completions: Completions) -> (Engine, Door) {
        let bell = Bell::new(Watched::Selector(self.fd));
        let engine = Engine::of_ring(completions, bell, Some(self.selector));
        (engine, self.door)
    }
}

impl Ring {
    /// Brings everything that is to be submitted into the ring's queue, as far as it fits; and if it is the ring that will
    /// wait, the bell behind it.
    pub(crate) fn queue(
        &mut self,
        submission: &mut Submission,
        may_wait: bool,
        beside_selector: bool,
    ) -> Queued {
        if self.bell.watched.lasts() && !self.bell.is_set && !submission.closed {
            self.bell.set(submission);
        }
        submission.ops.collect_returns();
        while let Some(sqe) = submission.ops.pop_pending() {
            // SAFETY: the operations keep what their entries name until the last answer.
            unsafe { submission.push(sqe) };
        }
        let (mut waiting, mut all_fit) = submission.fill();
        let sends = submission.ops.enter_sends();
        let is_answered = !self.completions.is_empty();
        let ring_waits = may_wait
            && all_fit
            && !is_answered
            && (!beside_selector || waiting as usize > sends || submission.ops.in_flight() != 0);
        if ring_waits && !self.bell.is_set {
            self.bell.set(submission);
            (waiting, all_fit) = submission.fill();
        }
        let ring = submission.ring.as_mut();
        let (wants_entering, has_overflowed) = ring.map_or((false, false), |ring| {
            let wants = ring.wants_entering();
            (wants, wants && ring.has_overflowed())
        });
        Queued {
            waiting,
            all_fit,
            wants_entering,
            has_overflowed,
            has_sends: sends != 0,
            is_answered,
            ring_waits,
            has_sources: !submission.sources.is_empty(),
        }
    }
}

impl Bell {
    pub(crate) fn new(watched: Watched) -> Self {
        Self {
            watched,
            is_set: false,
            rang: false,
            number: 0,
            set_by: None,
        }
    }

    fn user_data(&self) -> u64 {
        tag::with(tag::BELL, self.number)
    }

    fn set(&mut self, submission: &mut Submission) {
        let readable = mask_for(bits::READABLE);
        let sqe = match &self.watched {
            Watched::Counter(fd) => Sqe::poll_multishot(*fd, readable),
            Watched::Word { word, heard } => Sqe::futex_wait(word.as_ptr(), *heard),
            Watched::Selector(fd) => Sqe::poll(*fd, readable),
        };
        // SAFETY: it names no memory but the word, which stays as long as the driver.
        unsafe { submission.push(sqe.user_data(self.user_data())) };
        self.is_set = true;
        self.set_by = Some(thread::current().id());
    }

    /// Another thread may hold the core now. One that waits beside a selector must not need the thread that set its bell.
    pub(crate) fn change_hands(&mut self, submission: &mut Submission) {
        if self.is_set && !self.watched.lasts() && self.set_by != Some(thread::current().id()) {
            self.silence(submission);
            self.is_set = false;
            self.number += 1;
        }
    }

    /// Takes it out of the ring; its answer still comes.
    pub(crate) fn silence(&self, submission: &mut Submission) {
        if self.is_set {
            let sqe = Sqe::cancel(self.user_data()).user_data(tag::with(tag::NOBODY, 0));
            // SAFETY: it names no memory.
            unsafe { submission.push(sqe) };
        }
    }

    /// An answer of the bell numbered `number`.
    pub(crate) fn answered(&mut self, number: u64, is_last: bool) {
        if number == self.number {
            self.rang = true;
            self.is_set &= !is_last;
            if let Watched::Word { word, heard } = &mut self.watched {
                // Before the driver looks at what it was woken for: what changes the word later ends the next wait.
                *heard = word.value();
            }
        }
    }

    /// True if it has rung since this was asked before.
    pub(crate) fn take_rang(&mut self) -> bool {
        std::mem::take(&mut self.rang)
    }

    /// True if the ring will bring an answer of it.
    pub(crate) fn is_set(&self) -> bool {
        self.is_set
    }
}
