//! Every task's trace: asked for, waited for, put together.

use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use blitz_core::primitive::sync::Mutex;
use blitz_core::waiting::{self, Leaf};
use blitz_core::wake::WakeSlot;
use blitz_exec::scheduler::insight::TraceSink;
use blitz_exec::task::{Id, TaskState, Tracked};

use super::{TaskInfo, Trace};
use crate::context::{Handle, tasks};

/// Tasks that have not been polled by then are described without a trace.
const LIMIT: Duration = Duration::from_secs(1);
/// Between two looks at whether tasks have ended without one.
const TICK: Duration = Duration::from_millis(5);

/// A snapshot of a runtime's tasks: see [`Handle::dump`].
#[derive(Debug)]
pub struct Dump {
    tasks: Tasks,
}

/// The tasks of a [`Dump`].
#[derive(Debug)]
pub struct Tasks {
    tasks: Vec<Task>,
}

/// One task of a [`Dump`].
#[derive(Debug)]
pub struct Task {
    info: TaskInfo,
    trace: Trace,
    is_missed: bool,
}

impl Dump {
    /// The tasks.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }
}

impl Tasks {
    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter()
    }
}

impl Task {
    /// The task's id.
    pub fn id(&self) -> Id {
        self.info.id
    }

    /// What [`Handle::tasks`] says of it, as it was before it was woken for its trace.
    pub fn info(&self) -> &TaskInfo {
        &self.info
    }

    /// The stacks of futures that it waits in. Empty if it was [missed](Self::is_missed), or if it ended first.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Whether it was not polled within the second that a dump waits: its worker is stuck or has too much to do, or nobody runs the
    /// runtime.
    pub fn is_missed(&self) -> bool {
        self.is_missed
    }
}

/// What has come of the tasks that were asked for their traces.
#[derive(Default)]
struct Collected {
    /// `None` until the task's trace is there.
    traces: HashMap<Id, Option<Arc<Vec<Leaf>>>>,
    /// How many are not there.
    missing: usize,
}

/// Takes the traces of one round's tasks. Those of others, whom another dump has asked, are none of its business.
struct Collector {
    collected: Mutex<Collected>,
    /// Told when none is missing.
    waker: WakeSlot,
}

impl Collector {
    fn of(tasks: &[Tracked]) -> Self {
        let traces: HashMap<_, _> = tasks.iter().map(|task| (task.meta().id(), None)).collect();
        Self {
            collected: Mutex::new(Collected {
                missing: traces.len(),
                traces,
            }),
            waker: WakeSlot::new(),
        }
    }
}

impl TraceSink for Collector {
    fn traced(&self, id: Id, leaves: Arc<Vec<Leaf>>) {
        let mut collected = self.collected.lock();
        // The first one stays: another dump may have asked for more.
        let Some(empty @ None) = collected.traces.get_mut(&id) else {
            return;
        };
        *empty = Some(leaves);
        collected.missing -= 1;
        let is_complete = collected.missing == 0;
        drop(collected);
        if is_complete {
            self.waker.wake();
        }
    }
}

/// Some tasks, each of which was asked for its trace. Dropped, it takes its collector off the runtime again.
struct Round<'a> {
    handle: &'a Handle,
    collector: Arc<Collector>,
    sink: Arc<dyn TraceSink>,
    tracked: Vec<Tracked>,
    infos: Vec<TaskInfo>,
    /// So many of `tracked`, from the first on, have been traced or have ended.
    settled: usize,
    deadline: Instant,
}

impl<'a> Round<'a> {
    /// Asks each task of `tracked`.
    fn begin(handle: &'a Handle, tracked: Vec<Tracked>, within: Duration) -> Self {
        let infos = tasks::describe(handle.inner(), &tracked);
        let collector = Arc::new(Collector::of(&tracked));
        let sink: Arc<dyn TraceSink> = Arc::<Collector>::clone(&collector);
        handle.inner().insight.add_sink(Arc::clone(&sink));
        tracked.iter().for_each(Tracked::trace);
        Self {
            handle,
            collector,
            sink,
            tracked,
            infos,
            settled: 0,
            deadline: Instant::now() + within,
        }
    }

    /// Whether nothing more is to be waited for: each task was traced, or has ended, or it has taken too long.
    fn is_over(&mut self) -> bool {
        let collected = self.collector.collected.lock();
        if collected.missing == 0 {
            return true;
        }
        let is_settled = |task: &Tracked| {
            let trace = collected.traces.get(&task.meta().id());
            trace.is_some_and(Option::is_some) || task.look().state == TaskState::Complete
        };
        let more = self.tracked[self.settled..].iter();
        self.settled += more.take_while(|task| is_settled(task)).count();
        self.settled == self.tracked.len() || Instant::now() >= self.deadline
    }

    /// What there is.
    fn end(mut self) -> Vec<Task> {
        let now = self.handle.clock().now_ns();
        let mut traces = std::mem::take(&mut self.collector.collected.lock().traces);
        let ended: HashSet<Id> = self
            .tracked
            .iter()
            .filter(|task| task.look().state == TaskState::Complete)
            .map(|task| task.meta().id())
            .collect();
        let tasks = std::mem::take(&mut self.infos).into_iter().map(|info| {
            let leaves = traces.remove(&info.id).flatten();
            Task {
                is_missed: leaves.is_none() && !ended.contains(&info.id),
                trace: leaves.map_or_else(Trace::default, |leaves| Trace::new(leaves, now)),
                info,
            }
        });
        tasks.collect()
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        self.handle.inner().insight.remove_sink(&self.sink);
    }
}

/// A dump for a thread that is not the runtime's: up to `limit` tasks are traced, and those behind them described. Sleeps meanwhile,
/// no longer than `within`.
#[cfg(unix)]
pub(in crate::runtime) fn dump_outside(
    handle: &Handle,
    limit: usize,
    within: Duration,
) -> (Vec<Task>, Vec<TaskInfo>) {
    let mut tracked = handle.inner().scheduler.tasks();
    let rest = tracked.split_off(limit.min(tracked.len()));
    let rest = tasks::describe(handle.inner(), &rest);
    let mut round = Round::begin(handle, tracked, within);
    while !round.is_over() {
        thread::sleep(TICK);
    }
    (round.end(), rest)
}

impl Handle {
    /// Is this poll one that [`dump`](Self::dump) takes a stack from?
    ///
    /// For a future that has something else to say or to do then; false outside of a task.
    ///
    /// # Examples
    /// ```
    /// assert!(!blitz_io::runtime::Handle::is_tracing());
    /// ```
    #[must_use]
    pub fn is_tracing() -> bool {
        waiting::is_tracing()
    }

    /// Every task of the runtime that is alive, with the stacks of futures that each waits in.
    ///
    /// Each task is woken, and at its next poll leaves its stack wherever a leaf future takes hold of its waker, be the leaf of this
    /// crate or another. The runtime goes on meanwhile; a task is polled once more than it would be, and its futures do what they
    /// would do then. Tasks that are not polled within a second are listed without a stack.
    ///
    /// For a list that wakes nobody, see [`tasks`](Self::tasks).
    ///
    /// # Cancel safety
    /// Safe: the tasks that were woken go on as ever.
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::time::Duration;
    /// async fn outer() {
    ///     blitz_io::time::sleep(Duration::from_secs(60)).await;
    /// }
    /// let task = blitz_io::spawn(outer());
    /// blitz_io::task::yield_now().await;
    /// let dump = blitz_io::runtime::Handle::current().dump().await;
    /// for task in dump.tasks().iter() {
    ///     println!("{}\n{}", task.info(), task.trace());
    /// }
    /// # let text = dump.tasks().iter().map(|task| task.trace().to_string()).collect::<String>();
    /// # assert!(text.contains("time::sleep (in "), "{text}");
    /// # task.abort();
    /// # }
    /// ```
    pub async fn dump(&self) -> Dump {
        let tracked = self.inner().scheduler.tasks();
        let mut round = Round::begin(self, tracked, LIMIT);
        // Real time, whatever the runtime's clock does, and no timer of it.
        let tick = || self.spawn_blocking(|| thread::sleep(TICK));
        let mut ticking = tick();
        poll_fn(|cx| {
            round.collector.waker.register(cx.waker());
            loop {
                if round.is_over() {
                    return Poll::Ready(());
                }
                match Pin::new(&mut ticking).poll(cx) {
                    Poll::Ready(Ok(())) => ticking = tick(),
                    // The runtime is shutting down.
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
        Dump {
            tasks: Tasks { tasks: round.end() },
        }
    }
}
