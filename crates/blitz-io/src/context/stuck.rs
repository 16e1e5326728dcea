//! Workers that were stuck: what was seen of them, what was done, and where one reads that.

use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use blitz_core::primitive::sync::Mutex;
use blitz_exec::scheduler::TaskSketch;
use blitz_exec::task::Id;
use blitz_sys::stack;

use super::metrics::RuntimeMetrics;

/// So many reports are kept; older ones go.
const KEPT_MAX: usize = 64;

/// A worker that did the same thing for too long: what, and what was done about it.
///
/// [`RuntimeMetrics::stuck_reports`] has the last ones; [`Builder::on_stuck`](crate::runtime::Builder::on_stuck) is called with
/// each. Shown by `{}` it is one line; `{:#}` adds the stack, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StuckReport {
    /// Which worker.
    pub worker: usize,
    /// What its thread did.
    pub place: StuckPlace,
    /// The task, where it was in one and that could be found out.
    pub task: Option<StuckTask>,
    /// How long, at the least. The monitor counts its own looks: time in which it did not run itself is not counted.
    pub stuck_for: Duration,
    /// The number by which the system knows the thread, where it has one.
    pub os_thread: Option<u32>,
    /// What was done.
    pub outcome: StuckOutcome,
    /// The thread's stack, where one was taken: see
    /// [`Builder::stuck_stack_signal`](crate::runtime::Builder::stuck_stack_signal).
    pub stack: Option<StuckStack>,
}

/// Where a stuck thread was: its calls, from the innermost on, down to the outermost that is not the runtime's own.
///
/// It is kept as addresses; names are looked up when somebody asks. The first time that reads the program's own file with its
/// debug information, which may take a second for a large one. Clones share what was found.
///
/// # Examples
/// ```
/// # use blitz_io::runtime::StuckReport;
/// fn innermost(report: &StuckReport) -> Option<&str> {
///     let frames = report.stack.as_ref()?.frames();
///     frames.first()?.function.as_deref()
/// }
/// ```
#[derive(Clone)]
pub struct StuckStack(Arc<Taken>);

struct Taken {
    stack: stack::Stack,
    frames: OnceLock<Vec<StuckFrame>>,
}

/// One call of a [`StuckStack`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StuckFrame {
    /// Where in the program's memory, within the instruction. Calls that the compiler put in place of each other share one.
    pub address: usize,
    /// The function's name, if the program knows it.
    pub function: Option<String>,
    /// The source file.
    pub file: Option<PathBuf>,
    /// The line in it.
    pub line: Option<u32>,
}

impl StuckStack {
    pub(crate) fn new(stack: stack::Stack) -> Self {
        Self(Arc::new(Taken {
            stack,
            frames: OnceLock::new(),
        }))
    }

    /// The calls, from the innermost on.
    ///
    /// Those of the runtime that called the task are left out, unless there is nothing else.
    pub fn frames(&self) -> &[StuckFrame] {
        self.0.frames.get_or_init(|| {
            let frames = self.0.stack.frames();
            let len = match frames.iter().position(polls_a_task) {
                Some(len) => len,
                None => {
                    let own = frames.iter().rev().take_while(|frame| is_below(frame));
                    frames.len() - own.count()
                }
            };
            let len = if len == 0 { frames.len() } else { len };
            let named = frames.into_iter().take(len).map(|frame| StuckFrame {
                address: frame.address,
                function: frame.function,
                file: frame.file,
                line: frame.line,
            });
            named.collect()
        })
    }

    #[cfg(test)]
    pub(crate) fn is_named(&self) -> bool {
        self.0.frames.get().is_some()
    }
}

/// Whether a call is where the runtime polls, or drops, a task's future. One that was put in place has a short name only.
fn polls_a_task(frame: &stack::Frame) -> bool {
    let name = frame.function.as_deref().unwrap_or_default();
    let file = frame.file.as_deref();
    name.contains("blitz_exec::task::harness")
        || file.is_some_and(|file| file.ends_with("src/task/harness.rs") && is_of_runtime(file))
}

/// Whether a source file is one of the runtime's.
fn is_of_runtime(file: &Path) -> bool {
    const CRATES: [&str; 4] = ["blitz-core", "blitz-driver", "blitz-exec", "blitz-io"];
    let mut parts = file.components().map(|part| part.as_os_str());
    let mut krate = None;
    // The folder before `src` is the crate's: with its version behind, where it was fetched.
    parts.any(|part| {
        let before = krate.replace(part.to_string_lossy());
        part == "src"
            && before.is_some_and(|before| {
                let name = before.split_once("-0.").map_or(&*before, |(name, _)| name);
                CRATES.contains(&name)
            })
    })
}

/// Whether a call is of the runtime, or of what the standard library and the system begin a thread with.
fn is_below(frame: &stack::Frame) -> bool {
    const BY_NAME: [&str; 8] = [
        "blitz_core::",
        "blitz_driver::",
        "blitz_exec::",
        "blitz_io::",
        "std::",
        "core::",
        "alloc::",
        "__rust",
    ];
    const BY_FILE: [&str; 3] = ["/library/std/", "/library/core/", "/library/alloc/"];
    let Some(name) = &frame.function else {
        return true;
    };
    // `<blitz_exec::task::Cell<T> as …>::poll` begins with whose it is as well.
    let name = name.trim_start_matches(['<', '&']);
    if BY_NAME.iter().any(|own| name.starts_with(own)) {
        return true;
    }
    match &frame.file {
        Some(file) => {
            let text = file.to_string_lossy();
            is_of_runtime(file) || BY_FILE.iter().any(|own| text.contains(own))
        }
        // The system's: `start_thread`.
        None => !name.contains("::"),
    }
}

impl fmt::Display for StuckStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, frame) in self.frames().iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            match &frame.function {
                Some(function) => write!(f, "{number:>4}: {function}")?,
                None => write!(f, "{number:>4}: {:#x}", frame.address)?,
            }
            if let Some(file) = &frame.file {
                write!(f, "\n          at {}", file.display())?;
                if let Some(line) = frame.line {
                    write!(f, ":{line}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for StuckStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StuckStack")
            .field(&self.0.stack.addresses().len())
            .finish()
    }
}

impl PartialEq for StuckStack {
    fn eq(&self, other: &Self) -> bool {
        self.0.stack == other.0.stack
    }
}

impl Eq for StuckStack {}

/// What a stuck thread did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StuckPlace {
    /// It polled a task, or dropped a task's future.
    Task,
    /// It was elsewhere: in a hook, or in a waker or a drop that the driver's turn calls. A turn cannot change hands half-way:
    /// a worker that is stuck there is not rescued.
    Scheduler,
}

/// Which task a stuck thread was in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StuckTask {
    /// Its id.
    pub id: Id,
    /// Its name, if it was spawned with one.
    pub name: Option<String>,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
}

/// What was done about a stuck worker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StuckOutcome {
    /// Nothing yet, or nothing can be.
    Reported,
    /// A spare thread took the worker over: its tasks, timers and sockets go on.
    Rescued,
    /// It was to be taken over, and was not: why. Told once for what it is stuck in.
    NotRescued(String),
    /// A thread that had been replaced has come back from its task, and is at rest.
    CameBack,
    /// The runtime has ended and the task was still in its poll: it was left to itself, with all that it holds.
    Leaked,
}

impl fmt::Display for StuckTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("unnamed");
        write!(
            f,
            "task {} ({name}), spawned at {}",
            self.id, self.spawned_at
        )
    }
}

impl fmt::Display for StuckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.worker)?;
        if let Some(thread) = self.os_thread {
            write!(f, " (thread {thread})")?;
        }
        write!(f, " was {:?} ", self.stuck_for)?;
        match (&self.task, self.place) {
            (Some(task), _) => write!(f, "in one poll of {task}")?,
            (None, StuckPlace::Task) => f.write_str("in one poll of a task that is gone")?,
            (None, StuckPlace::Scheduler) => {
                f.write_str("in a hook, a waker or a drop outside of any task")?
            }
        }
        match &self.outcome {
            StuckOutcome::Reported => Ok(()),
            StuckOutcome::Rescued => f.write_str("; another thread has taken over"),
            StuckOutcome::NotRescued(why) => write!(f, "; no other thread has taken over: {why}"),
            StuckOutcome::CameBack => f.write_str("; it has come back"),
            StuckOutcome::Leaked => f.write_str("; it was left to itself when the runtime ended"),
        }?;
        match &self.stack {
            Some(stack) if f.alternate() => write!(f, "\n{stack}"),
            _ => Ok(()),
        }
    }
}

impl From<TaskSketch> for StuckTask {
    fn from(task: TaskSketch) -> Self {
        Self {
            id: task.id,
            name: task.name,
            spawned_at: task.location,
        }
    }
}

/// The last reports of a runtime, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct StuckLog {
    kept: Mutex<VecDeque<StuckReport>>,
    reported: AtomicU64,
    rescued: AtomicU64,
}

impl StuckLog {
    /// A report is to be told.
    pub(crate) fn count(&self, outcome: &StuckOutcome) {
        // ORDERING: Relaxed, here and below: figures.
        match outcome {
            StuckOutcome::Reported => _ = self.reported.fetch_add(1, Relaxed),
            StuckOutcome::Rescued => _ = self.rescued.fetch_add(1, Relaxed),
            _ => {}
        }
    }

    /// It is told.
    pub(crate) fn keep(&self, report: StuckReport) {
        let mut kept = self.kept.lock();
        let oldest = if kept.len() == KEPT_MAX {
            kept.pop_front()
        } else {
            None
        };
        kept.push_back(report);
        drop(kept);
        drop(oldest);
    }
}

impl RuntimeMetrics {
    fn stuck_log(&self) -> &StuckLog {
        &self.inner.stuck
    }

    /// The last reports of stuck workers, oldest first: 64 at most.
    ///
    /// # Examples
    /// ```
    /// use std::time::{Duration, Instant};
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = blitz_io::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    /// let metrics = runtime.metrics();
    /// runtime.block_on(runtime.spawn(async {
    ///     // Never do this: it blocks a worker.
    ///     std::thread::sleep(Duration::from_millis(150));
    /// })).ok();
    /// let begun = Instant::now();
    /// while metrics.stuck_reports().is_empty() && begun.elapsed() < Duration::from_secs(10) {}
    /// let reports = metrics.stuck_reports();
    /// println!("{}", reports[0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stuck_reports(&self) -> Vec<StuckReport> {
        self.stuck_log().kept.lock().iter().cloned().collect()
    }

    /// How many polls, hooks and wakers took longer than
    /// [`stuck_report_after`](crate::runtime::Builder::stuck_report_after).
    pub fn stuck_count(&self) -> u64 {
        // ORDERING: Relaxed: a figure.
        self.stuck_log().reported.load(Relaxed)
    }

    /// How often a spare thread took over a worker that was stuck.
    pub fn rescue_count(&self) -> u64 {
        // ORDERING: Relaxed: a figure.
        self.stuck_log().rescued.load(Relaxed)
    }

    /// How many threads are stuck now, or were a moment ago, and have been replaced.
    pub fn num_replaced_threads(&self) -> usize {
        self.inner.scheduler.spares_lent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, file: &str) -> stack::Frame {
        stack::Frame {
            address: 1,
            function: Some(function.to_owned()),
            file: (!file.is_empty()).then(|| file.into()),
            line: None,
        }
    }

    #[test]
    fn where_the_runtime_begins_is_known_from_names_and_from_files() {
        for (function, file) in [
            ("blitz_exec::task::harness::poll::{{closure}}", ""),
            (
                "{closure#0}<app::main>",
                "/x/blitz-exec/src/task/harness.rs",
            ),
            (
                "run",
                "/registry/src/index/blitz-exec-0.1.0/src/task/harness.rs",
            ),
        ] {
            assert!(polls_a_task(&frame(function, file)), "{function} {file}");
        }
        for (function, file) in [
            ("app::poll", "/x/app/src/task/harness.rs"),
            ("app::poll", ""),
        ] {
            assert!(!polls_a_task(&frame(function, file)), "{function} {file}");
        }
        for (function, file) in [
            ("<blitz_exec::scheduler::Context>::run", ""),
            ("turn", "/x/crates/blitz-driver/src/turn.rs"),
            ("call_once", "/rustc/0/library/core/src/ops/function.rs"),
            ("start_thread", ""),
        ] {
            assert!(is_below(&frame(function, file)), "{function} {file}");
        }
        for (function, file) in [
            ("spin", "/x/crates/blitz-io/tests/it/main.rs"),
            (
                "<app::Waker as std::task::Wake>::wake",
                "/x/app/src/main.rs",
            ),
            ("spin", "/x/blitz-io-app/src/main.rs"),
        ] {
            assert!(!is_below(&frame(function, file)), "{function} {file}");
        }
    }

    #[test]
    fn the_log_keeps_the_last_ones() {
        let log = StuckLog::default();
        for worker in 0..KEPT_MAX + 3 {
            log.count(&StuckOutcome::Reported);
            log.keep(StuckReport {
                worker,
                place: StuckPlace::Scheduler,
                task: None,
                stuck_for: Duration::from_millis(12),
                os_thread: Some(7),
                outcome: StuckOutcome::Reported,
                stack: None,
            });
        }
        let kept = log.kept.lock();
        assert_eq!((kept.len(), kept[0].worker), (KEPT_MAX, 3));
        assert_eq!(log.reported.load(Relaxed), KEPT_MAX as u64 + 3);
        assert_eq!(
            kept[0].to_string(),
            "worker 3 (thread 7) was 12ms in a hook, a waker or a drop outside of any task"
        );
    }
}
