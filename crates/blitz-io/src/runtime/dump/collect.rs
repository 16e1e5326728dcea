//! Every task's trace: asked for, waited for, put together.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use blitz_core::primitive::sync::Mutex;
use blitz_core::waiting::Leaf;
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

    /// The stacks of futures that it waits in. Empty if it was not polled within a second, because its worker is stuck or the runtime
    /// does not run; or if it ended first.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }
}

#[derive(Default)]
struct Collector {
    traces: Mutex<HashMap<Id, Arc<Vec<Leaf>>>>,
    /// With so many traces the dump is complete.
    wanted: AtomicUsize,
    waker: WakeSlot,
}

impl TraceSink for Collector {
    fn traced(&self, id: Id, leaves: Arc<Vec<Leaf>>) {
        let mut traces = self.traces.lock();
        let before = traces.insert(id, leaves);
        // ORDERING: Relaxed: under the lock, as its store is.
        let all = traces.len() >= self.wanted.load(Relaxed);
        drop(traces);
        drop(before);
        if all {
            self.waker.wake();
        }
    }
}

/// Takes the collector off the runtime again, also if the dump is dropped half-way.
struct Attached<'a> {
    handle: &'a Handle,
    collector: Arc<Collector>,
    sink: Arc<dyn TraceSink>,
}

impl<'a> Attached<'a> {
    fn new(handle: &'a Handle) -> Self {
        let collector = Arc::new(Collector::default());
        let sink: Arc<dyn TraceSink> = Arc::<Collector>::clone(&collector);
        handle.inner().insight.add_sink(Arc::clone(&sink));
        Self {
            handle,
            collector,
            sink,
        }
    }

    /// Whether no task of `tasks` will be traced any more: each was, or has ended. Those before `settled` did so earlier.
    fn is_complete(&self, tasks: &[Tracked], settled: &mut usize) -> bool {
        let traces = self.collector.traces.lock();
        if traces.len() >= tasks.len() {
            return true;
        }
        let is_settled = |task: &Tracked| {
            traces.contains_key(&task.meta().id()) || task.look().state == TaskState::Complete
        };
        let more = tasks[*settled..].iter().take_while(|task| is_settled(task));
        *settled += more.count();
        *settled == tasks.len()
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        self.handle.inner().insight.remove_sink(&self.sink);
    }
}

impl Handle {
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
        let attached = Attached::new(self);
        let tracked = self.inner().scheduler.tasks();
        let infos = tasks::describe(self.inner(), &tracked);
        {
            let _traces = attached.collector.traces.lock();
            // ORDERING: Relaxed: under the lock, as its load is.
            attached.collector.wanted.store(tracked.len(), Relaxed);
        }
        tracked.iter().for_each(Tracked::trace);
        let mut settled = 0;
        let deadline = Instant::now() + LIMIT;
        // Real time, whatever the runtime's clock does, and no timer of it.
        let tick = || self.spawn_blocking(|| thread::sleep(TICK));
        let mut ticking = tick();
        poll_fn(|cx| {
            attached.collector.waker.register(cx.waker());
            loop {
                if attached.is_complete(&tracked, &mut settled) || Instant::now() >= deadline {
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
        let now = self.clock().now_ns();
        let mut traces = std::mem::take(&mut *attached.collector.traces.lock());
        drop(tracked);
        let tasks = infos.into_iter().map(|info| Task {
            trace: traces
                .remove(&info.id)
                .map_or_else(Trace::default, |leaves| Trace::new(leaves, now)),
            info,
        });
        Dump {
            tasks: Tasks {
                tasks: tasks.collect(),
            },
        }
    }
}
