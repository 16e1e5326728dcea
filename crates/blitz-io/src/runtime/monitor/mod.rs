//! The thread that watches the workers: reports those that are stuck, and has them rescued.
//!
//! It samples what each worker does ([`Beat`]), at the pace of the threshold for reports. A worker that is seen to do the same
//! again and again is stuck. A look counts for no more than the pace, however late it comes: when the machine stands still, or has
//! no processor for this thread, it has none for the workers either. While all workers sleep it does too, without waking
//! up for a look; the first worker that is awake again rings its bell.
//!
//! [`teller`] tells what it finds, on another thread; [`stacks`] has stuck threads asked for their stacks.

mod stacks;
mod teller;

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use blitz_core::primitive::sync::{Condvar, Mutex};
use blitz_exec::scheduler::multi::MultiThread;
use blitz_exec::scheduler::{self, Alarm, Beat, NotRescued};
use blitz_sys::stack::DEFAULT_SIGNAL;

use self::stacks::{Question, Stacks};
use self::teller::{News, Teller};
use super::{StuckOutcome, StuckPlace, StuckReport, events};
use crate::context::{Inner, StuckTask};

/// So many looks find everybody asleep before the monitor sleeps too: waking it costs a worker a few microseconds.
const IDLE_LOOKS: u32 = 5;
const PACE_MIN: Duration = Duration::from_micros(500);

/// Why the other flavours rescue nobody.
const TASKS_BELONG_TO_THREADS: &str = "on this flavor tasks belong to their threads";

/// Called with each report.
pub(super) type StuckHook = Arc<dyn Fn(&StuckReport) + Send + Sync>;

/// What the builder says about stuck workers.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) report_after: Duration,
    pub(super) rescue_after: Duration,
    /// Threads that may be stuck without a core.
    pub(super) spares_max: usize,
    pub(super) hook: Option<StuckHook>,
    /// By which stuck threads are asked for their stacks.
    pub(super) stack_signal: Option<i32>,
    /// The program asked for reports, on a flavour that has none by itself.
    pub(super) is_asked_for: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            report_after: Duration::from_millis(10),
            rescue_after: Duration::from_millis(100),
            spares_max: 64,
            hook: None,
            stack_signal: Some(DEFAULT_SIGNAL),
            is_asked_for: false,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("report_after", &self.report_after)
            .field("rescue_after", &self.rescue_after)
            .field("spares_max", &self.spares_max)
            .field("stack_signal", &self.stack_signal)
            .finish_non_exhaustive()
    }
}

/// A runtime's monitor: its thread starts when a worker first runs.
pub(super) struct Monitor(Arc<Shared>);

struct Shared {
    settings: Settings,
    runtime: OnceLock<Weak<Inner>>,
    teller: Arc<Teller>,
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Default)]
struct State {
    rung: bool,
    ended: bool,
    thread: Option<thread::JoinHandle<()>>,
    /// Rescued and not back, or about to be rescued.
    away: Vec<Away>,
    /// Who is away now stays away: it was reported.
    is_over: bool,
    /// The task that a worker was last reported in.
    named: Vec<(usize, Beat, StuckTask)>,
    next: u64,
}

impl State {
    fn take_away(&mut self, number: u64) -> Option<Away> {
        let at = self.away.iter().position(|away| away.number == number)?;
        Some(self.away.swap_remove(at))
    }
}

/// A thread that is stuck without its core, or that a rescue was asked for.
struct Away {
    number: u64,
    report: StuckReport,
    since: Instant,
    /// How it was seen when the rescue was asked for.
    beat: Beat,
    /// The rescue was told. Until then it may not have come to it.
    is_told: bool,
}

impl Monitor {
    pub(super) fn new(settings: Settings) -> Self {
        Self(Arc::new(Shared {
            teller: Teller::new(settings.hook.clone()),
            settings,
            runtime: OnceLock::new(),
            state: Mutex::new(State::default()),
            bell: Condvar::new(),
        }))
    }

    /// What a scheduler rings when its workers are awake.
    pub(super) fn alarm(&self) -> Alarm {
        let shared = Arc::clone(&self.0);
        Alarm::new(move || Shared::ring(&shared))
    }

    /// Before the workers start.
    pub(super) fn watch(&self, runtime: Weak<Inner>) {
        let _ = self.0.runtime.set(runtime);
    }

    /// The runtime has ended and some threads have not: says which tasks they were in.
    pub(super) fn report_leaked(&self, inner: &Inner) {
        let mut state = self.0.state.lock();
        state.is_over = true;
        let away = std::mem::take(&mut state.away);
        drop(state);
        let in_rescue: Vec<_> = away
            .iter()
            .filter(|away| !away.is_told)
            .map(|away| (away.report.worker, away.beat))
            .collect();
        for Away {
            mut report, since, ..
        } in away
        {
            report.stuck_for += since.elapsed();
            report.outcome = StuckOutcome::Leaked;
            self.0.teller.tell_now(inner, report);
        }
        for worker in 0..inner.drivers.len() {
            let beat = inner.scheduler.beat(worker).filter(Beat::is_in_task);
            if let Some(beat) = beat.filter(|beat| !in_rescue.contains(&(worker, *beat))) {
                let mut report = report(inner, worker, &beat, Duration::ZERO, StuckOutcome::Leaked);
                if report.task.is_none() {
                    // The shutdown has taken it off the list.
                    let state = self.0.state.lock();
                    let mut named = state.named.iter();
                    let named = named.find(|(of, seen, _)| *of == worker && *seen == beat);
                    report.task = named.map(|(_, _, task)| task.clone());
                }
                self.0.teller.tell_now(inner, report);
            }
        }
    }

    /// Ends the threads; waits for them if it may.
    pub(super) fn end(&self, wait: bool) {
        let mut state = self.0.state.lock();
        state.ended = true;
        let thread = state.thread.take();
        drop(state);
        self.0.bell.notify_all();
        if let Some(thread) = thread
            && wait
        {
            // It runs nobody else's code: a panic there has told so.
            let _ = thread.join();
        }
        self.0.teller.end(wait);
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn ring(shared: &Arc<Self>) {
        let mut state = shared.state.lock();
        state.rung = true;
        if state.thread.is_none() && !state.ended {
            let inner = Arc::clone(shared);
            let started = thread::Builder::new()
                .name("blitz-io-monitor".to_owned())
                .spawn(move || inner.run());
            // Without a thread for it nobody is watched: a runtime that is so short of threads has other cares.
            state.thread = started.ok();
        }
        drop(state);
        shared.bell.notify_all();
    }

    fn run(self: &Arc<Self>) {
        let Some(inner) = self.runtime.get().and_then(Weak::upgrade) else {
            return;
        };
        let pace = self
            .settings
            .report_after
            .min(self.settings.rescue_after / 4);
        let pace = pace.max(PACE_MIN).min(Duration::from_secs(1));
        let mut stacks = Stacks::new(self.settings.stack_signal);
        let mut watched: Vec<Watched> = inner.drivers.iter().map(|_| Watched::default()).collect();
        let mut idle_looks = 0;
        let mut last = Instant::now();
        loop {
            if !self.wait(Some(pace)) {
                return;
            }
            let now = Instant::now();
            let passed = (now - last).min(pace);
            last = now;
            let mut idle = true;
            for (worker, watched) in watched.iter_mut().enumerate() {
                idle &= !self.look(&inner, &mut stacks, worker, watched, passed);
            }
            idle_looks = if idle { idle_looks + 1 } else { 0 };
            if idle_looks < IDLE_LOOKS {
                continue;
            }
            let all_rest =
                || (0..watched.len()).all(|worker| inner.scheduler.beat(worker).is_none());
            if inner.scheduler.alarm().sleep(all_rest) {
                if !self.wait(None) {
                    return;
                }
                last = Instant::now();
            }
            idle_looks = 0;
        }
    }

    /// Waits for the pace, or for the bell without one. False: the end.
    fn wait(&self, pace: Option<Duration>) -> bool {
        let begun = Instant::now();
        let mut state = self.state.lock();
        loop {
            if state.ended {
                return false;
            }
            let left = pace.map(|pace| pace.saturating_sub(begun.elapsed()));
            state = match left {
                Some(Duration::ZERO) => break,
                None if state.rung => break,
                Some(left) => {
                    let waited = self.bell.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.bell.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
        state.rung = false;
        true
    }

    /// One look at one worker. Returns whether it was awake.
    fn look(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        stacks: &mut Stacks,
        worker: usize,
        watched: &mut Watched,
        passed: Duration,
    ) -> bool {
        let seen = inner.scheduler.beat(worker);
        let Some(beat) = seen else {
            *watched = Watched::default();
            return false;
        };
        if watched.seen != seen {
            *watched = Watched {
                seen,
                ..Watched::default()
            };
            return true;
        }
        watched.stuck += passed;
        if let (true, scheduler::Handle::Multi(scheduler)) = (watched.is_refused, &inner.scheduler)
        {
            scheduler.help_out();
        }
        let settings = &self.settings;
        if watched.stuck >= settings.report_after && !watched.is_reported {
            watched.is_reported = true;
            let report = report(inner, worker, &beat, watched.stuck, StuckOutcome::Reported);
            watched.task.clone_from(&report.task);
            let mut state = self.state.lock();
            state.named.retain(|(of, ..)| *of != worker);
            if let Some(task) = &report.task {
                state.named.push((worker, beat, task.clone()));
            }
            drop(state);
            self.teller.add(inner, News::of(report));
        }
        if watched.stuck < settings.rescue_after.saturating_add(watched.tried_at) {
            return true;
        }
        // Again after the same time, if it does not succeed.
        watched.tried_at = watched.stuck;
        let mut report = report(inner, worker, &beat, watched.stuck, StuckOutcome::Rescued);
        if report.task.is_none() {
            // A shutdown has taken it off the list meanwhile.
            report.task = watched.task.take();
        }
        // The signal first: the thread is seen to be stuck now, and may be back when the rescue is under way.
        let stack = if std::mem::replace(&mut watched.is_asked, true) {
            Question::default()
        } else {
            stacks.ask(report.os_thread)
        };
        let why = match &inner.scheduler {
            scheduler::Handle::Multi(_) if beat.is_inside() => NotRescued::InTurn.to_string(),
            scheduler::Handle::Multi(scheduler) => {
                match self.rescue(inner, scheduler, &report, beat, &stack) {
                    Ok(()) => return true,
                    Err(why) => why.to_string(),
                }
            }
            _ => TASKS_BELONG_TO_THREADS.to_owned(),
        };
        if !std::mem::replace(&mut watched.is_refused, true) {
            let outcome = StuckOutcome::NotRescued(why);
            self.teller.add(
                inner,
                News {
                    report: StuckReport { outcome, ..report },
                    stack,
                    is_still: Box::new(move |inner| inner.scheduler.beat(worker) == Some(beat)),
                },
            );
        }
        true
    }

    /// Asks for a rescue. What comes of it is told when it is known; an error says that it was not even begun.
    fn rescue(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        scheduler: &MultiThread,
        report: &StuckReport,
        beat: Beat,
        stack: &Question,
    ) -> Result<(), NotRescued> {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        // From now on, since a runtime may end before a thread comes to the rescue.
        state.away.push(Away {
            number,
            report: report.clone(),
            since: Instant::now(),
            beat,
            is_told: false,
        });
        drop(state);
        let (done, back) = (Arc::clone(self), Arc::clone(self));
        let (inner_of_done, inner_of_back) = (Arc::downgrade(inner), Arc::downgrade(inner));
        let (told, asked, no_more) = (report.clone(), stack.clone(), stack.clone());
        let done = move |result: Result<(), NotRescued>| {
            if result.is_err() {
                done.state.lock().take_away(number);
            }
            let Some(inner) = inner_of_done.upgrade() else {
                return;
            };
            let mut news = News::of(told);
            match result {
                Ok(()) => {}
                Err(NotRescued::CameBack) => return,
                Err(why) => {
                    news.report.outcome = StuckOutcome::NotRescued(why.to_string());
                    return done.teller.add(&inner, news);
                }
            }
            // It counts until the thread is back, which says so itself.
            news.stack = asked;
            let told = news.report.clone();
            done.teller.add(&inner, news);
            let mut state = done.state.lock();
            let away = state.away.iter_mut().find(|away| away.number == number);
            let is_back = away.is_none();
            if let Some(away) = away {
                (away.is_told, away.since) = (true, Instant::now());
            }
            let is_back = is_back && !state.is_over;
            drop(state);
            if is_back {
                done.teller
                    .add(&inner, News::of(came_back(told, Duration::ZERO)));
            }
        };
        let back = move || {
            no_more.is_late();
            let away = back.state.lock().take_away(number);
            // One that nobody has told of yet is told with that.
            if let Some(away) = away.filter(|away| away.is_told)
                && let Some(inner) = inner_of_back.upgrade()
            {
                let news = News::of(came_back(away.report, away.since.elapsed()));
                back.teller.add(&inner, news);
            }
        };
        let asked = scheduler.rescue(report.worker, beat, done, back);
        if asked.is_err() {
            self.state.lock().take_away(number);
        }
        asked
    }
}

/// What the monitor remembers of a worker.
#[derive(Default)]
struct Watched {
    seen: Option<Beat>,
    stuck: Duration,
    is_reported: bool,
    is_refused: bool,
    /// What it was in when it was reported.
    task: Option<StuckTask>,
    /// For its stack.
    is_asked: bool,
    tried_at: Duration,
}

/// The report of a rescue, when its thread is back after `more`.
fn came_back(rescued: StuckReport, more: Duration) -> StuckReport {
    StuckReport {
        stuck_for: rescued.stuck_for + more,
        outcome: StuckOutcome::CameBack,
        ..rescued
    }
}

fn report(
    inner: &Inner,
    worker: usize,
    beat: &Beat,
    stuck_for: Duration,
    outcome: StuckOutcome,
) -> StuckReport {
    let os_thread = inner.scheduler.stats(worker).os_thread();
    StuckReport {
        worker,
        place: if beat.is_in_task() {
            StuckPlace::Task
        } else {
            StuckPlace::Scheduler
        },
        task: inner.scheduler.task_of(worker, beat).map(StuckTask::from),
        stuck_for,
        os_thread,
        outcome,
        stack: None,
    }
}
