//! The thread that watches the workers: reports those that are stuck, and has them rescued.
//!
//! It samples what each worker does ([`Beat`]), at the pace of the threshold for reports. A worker that is seen to do the same
//! again and again is stuck. A look counts for no more than the pace, however late it comes: when the machine stands still, or has
//! no processor for this thread, it has none for the workers either. While all workers sleep it does too, without waking
//! up for a look; the first worker that is awake again rings its bell.

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use blitz_core::primitive::sync::{Condvar, Mutex};
use blitz_core::quiet::quietly;
use blitz_exec::scheduler::multi::MultiThread;
use blitz_exec::scheduler::{self, Alarm, Beat, NotRescued};

use super::{StuckOutcome, StuckPlace, StuckReport, events};
use crate::context::{Inner, StuckTask};

/// So many looks find everybody asleep before the monitor sleeps too: waking it costs a worker a few microseconds.
const IDLE_LOOKS: u32 = 5;
const PACE_MIN: Duration = Duration::from_micros(500);

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
            .finish_non_exhaustive()
    }
}

/// A runtime's monitor: its thread starts when a worker first runs.
pub(super) struct Monitor(Arc<Shared>);

struct Shared {
    settings: Settings,
    runtime: OnceLock<Weak<Inner>>,
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Default)]
struct State {
    rung: bool,
    ended: bool,
    thread: Option<thread::JoinHandle<()>>,
    /// What spare threads and those that came back have to say.
    news: Vec<StuckReport>,
    /// Rescued and not back, each under its number.
    away: Vec<(u64, StuckReport, Instant)>,
    next: u64,
}

impl Monitor {
    pub(super) fn new(settings: Settings) -> Self {
        Self(Arc::new(Shared {
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
        let away = std::mem::take(&mut self.0.state.lock().away);
        for (_, mut report, since) in away {
            report.stuck_for += since.elapsed();
            report.outcome = StuckOutcome::Leaked;
            self.0.tell(inner, report);
        }
        for worker in 0..inner.drivers.len() {
            let beat = inner.scheduler.beat(worker);
            if let Some(beat) = beat.filter(Beat::is_in_task) {
                let report = report(inner, worker, &beat, Duration::ZERO, StuckOutcome::Leaked);
                self.0.tell(inner, report);
            }
        }
    }

    /// Ends the thread; waits for it if it may.
    pub(super) fn end(&self, wait: bool) {
        let mut state = self.0.state.lock();
        state.ended = true;
        let thread = state.thread.take();
        drop(state);
        self.0.bell.notify_all();
        let Some(thread) = thread else { return };
        // The user's hook, on that thread, may be what ends the runtime.
        if wait && thread.thread().id() != thread::current().id() {
            let _ = thread.join();
        }
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
        let mut watched: Vec<Watched> = inner.drivers.iter().map(|_| Watched::default()).collect();
        let mut idle_looks = 0;
        let mut last = Instant::now();
        loop {
            if !self.wait(&inner, Some(pace)) {
                return;
            }
            let now = Instant::now();
            let passed = (now - last).min(pace);
            last = now;
            let mut idle = true;
            for (worker, watched) in watched.iter_mut().enumerate() {
                idle &= !self.look(&inner, worker, watched, passed);
            }
            idle_looks = if idle { idle_looks + 1 } else { 0 };
            if idle_looks < IDLE_LOOKS {
                continue;
            }
            let all_rest =
                || (0..watched.len()).all(|worker| inner.scheduler.beat(worker).is_none());
            if inner.scheduler.alarm().sleep(all_rest) {
                if !self.wait(&inner, None) {
                    return;
                }
                last = Instant::now();
            }
            idle_looks = 0;
        }
    }

    /// Waits for the pace, or for the bell without one, and tells what there is to tell. False: the end.
    fn wait(&self, inner: &Inner, pace: Option<Duration>) -> bool {
        let begun = Instant::now();
        loop {
            let mut state = self.state.lock();
            let left = pace.map(|pace| pace.saturating_sub(begun.elapsed()));
            let is_over = match left {
                Some(left) => left.is_zero(),
                None => std::mem::take(&mut state.rung),
            };
            let news = std::mem::take(&mut state.news);
            if state.ended {
                return false;
            }
            if news.is_empty() {
                if is_over {
                    state.rung = false;
                    return true;
                }
                match left {
                    Some(left) => {
                        let waited = self.bell.wait_timeout(state, left);
                        drop(waited.unwrap_or_else(PoisonError::into_inner));
                    }
                    None => drop(
                        self.bell
                            .wait(state)
                            .unwrap_or_else(PoisonError::into_inner),
                    ),
                }
                continue;
            }
            state.rung |= is_over && pace.is_none();
            drop(state);
            for report in news {
                self.tell(inner, report);
            }
        }
    }

    /// One look at one worker. Returns whether it was awake.
    fn look(
        self: &Arc<Self>,
        inner: &Inner,
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
        let settings = &self.settings;
        if watched.stuck >= settings.report_after && !watched.is_reported {
            watched.is_reported = true;
            self.tell(
                inner,
                report(inner, worker, &beat, watched.stuck, StuckOutcome::Reported),
            );
        }
        if watched.stuck >= settings.rescue_after.saturating_add(watched.tried_at)
            && beat.is_in_task()
            && let scheduler::Handle::Multi(scheduler) = &inner.scheduler
        {
            // Again after the same time, if it does not succeed.
            watched.tried_at = watched.stuck;
            let report = report(inner, worker, &beat, watched.stuck, StuckOutcome::Rescued);
            let refused = self.rescue(scheduler, report, beat);
            if let Some(report) = refused
                && !watched.is_refused
            {
                watched.is_refused = true;
                self.tell(inner, report);
            }
        }
        true
    }

    /// Asks for a rescue. What comes of it is told when it is known; the answer is a report that it was not even begun.
    fn rescue(
        self: &Arc<Self>,
        scheduler: &MultiThread,
        report: StuckReport,
        beat: Beat,
    ) -> Option<StuckReport> {
        let refused = |mut report: StuckReport, why: &NotRescued| {
            report.outcome = StuckOutcome::NotRescued(why.to_string());
            report
        };
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        drop(state);
        let (done, back) = (Arc::clone(self), Arc::clone(self));
        let told = report.clone();
        let done = move |result: Result<(), NotRescued>| {
            let mut state = done.state.lock();
            match result {
                Ok(()) => {
                    state.news.push(told.clone());
                    state.away.push((number, told, Instant::now()));
                }
                Err(NotRescued::CameBack) => {}
                Err(why) => state.news.push(refused(told, &why)),
            }
            drop(state);
            done.bell.notify_all();
        };
        let back = move || {
            let mut state = back.state.lock();
            let at = state.away.iter().position(|(away, ..)| *away == number);
            if let Some((_, mut report, since)) = at.map(|at| state.away.swap_remove(at)) {
                report.stuck_for += since.elapsed();
                report.outcome = StuckOutcome::CameBack;
                state.news.push(report);
            }
            drop(state);
            back.bell.notify_all();
        };
        let asked = scheduler.rescue(report.worker, beat, done, back);
        asked.err().map(|why| refused(report, &why))
    }

    fn tell(&self, inner: &Inner, report: StuckReport) {
        quietly(|| events::stuck(&report));
        if let Some(hook) = &self.settings.hook {
            quietly(|| hook(&report));
        }
        inner.stuck.add(report);
    }
}

/// What the monitor remembers of a worker.
#[derive(Default)]
struct Watched {
    seen: Option<Beat>,
    stuck: Duration,
    is_reported: bool,
    is_refused: bool,
    tried_at: Duration,
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
