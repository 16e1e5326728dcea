//! Many tasks with one result type, awaited as they end.

mod build;

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::panic;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use blitz_core::budget;
use blitz_core::primitive::sync::Mutex;
use blitz_core::slab::{Key, Slab};
use blitz_core::waiting::{self, Resource, Site, UNKNOWN};
use blitz_core::wake::WakeSlot;
use blitz_exec::task::{AbortHandle, Id, JoinError, JoinHandle};

use super::{LocalSet, spawn_blocking, spawn_local};
use crate::context::Handle;
use crate::context::call;

pub use build::Builder;

/// Tasks that all give a `T`, awaited in the order in which they end. Dropping the set aborts those that are left.
///
/// # Examples
/// ```
/// use blitz_io::task::JoinSet;
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut squares: JoinSet<u32> = (1..=3).map(|n| async move { n * n }).collect();
/// squares.spawn(async { panic!("one of them fails") });
/// let (mut sum, mut failed) = (0, 0);
/// while let Some(square) = squares.join_next().await {
///     match square {
///         Ok(square) => sum += square,
///         Err(_) => failed += 1,
///     }
/// }
/// assert_eq!((sum, failed), (14, 1));
/// # }
/// ```
pub struct JoinSet<T> {
    tasks: Slab<Entry<T>>,
    len: usize,
    shared: Arc<Shared>,
}

struct Entry<T> {
    handle: JoinHandle<T>,
    waker: Waker,
}

/// What the tasks' join wakers and the set share.
struct Shared {
    /// Who may have ended; a task may be in it twice, or be gone.
    ended: Mutex<VecDeque<Key>>,
    /// Who awaits the set.
    parent: WakeSlot,
}

struct EntryWaker {
    key: Key,
    shared: Arc<Shared>,
}

impl Wake for EntryWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.shared.ended.lock().push_back(self.key);
        self.shared.parent.wake();
    }
}

/// The number is that of the tasks in the set.
static JOIN_NEXT: Site = Site::new("JoinSet::poll_join_next", Resource::Number);

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        let shared = Shared {
            ended: Mutex::new(VecDeque::new()),
            parent: WakeSlot::new(),
        };
        Self {
            tasks: Slab::new(),
            len: 0,
            shared: Arc::new(shared),
        }
    }

    /// How many tasks are in the set; one that has ended stays until it is joined.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no task is in the set.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T: 'static> JoinSet<T> {
    /// A builder for a task with a name.
    pub fn build_task(&mut self) -> Builder<'_, T> {
        Builder::new(self)
    }

    /// Spawns a task in the set; see [`task::spawn`](crate::task::spawn).
    ///
    /// # Panics
    /// If this thread is in no runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.insert(crate::spawn(task))
    }

    /// Spawns a task in the set on the runtime of `handle`.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, task: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.insert(handle.spawn(task))
    }

    /// Spawns a task that need not be `Send` in the set; see [`spawn_local`].
    ///
    /// # Panics
    /// As [`spawn_local`].
    #[track_caller]
    pub fn spawn_local<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(spawn_local(task))
    }

    /// Spawns in both sets a task that need not be `Send`.
    #[track_caller]
    pub fn spawn_local_on<F>(&mut self, task: F, local_set: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(local_set.spawn_local(task))
    }

    /// Runs a call that blocks; see [`spawn_blocking`].
    ///
    /// # Panics
    /// If this thread is in no runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.insert(spawn_blocking(f))
    }

    /// Runs a call that blocks on the pool of `handle`'s runtime.
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, f: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.insert(handle.spawn_blocking(f))
    }

    fn insert(&mut self, mut handle: JoinHandle<T>) -> AbortHandle {
        let abort = handle.abort_handle();
        let shared = &self.shared;
        let mut ended = None;
        let key = self.tasks.insert_with(|key| {
            let waker = Waker::from(Arc::new(EntryWaker {
                key,
                shared: Arc::clone(shared),
            }));
            if !handle.set_join_waker(&waker) {
                ended = Some(key);
            }
            Entry { handle, waker }
        });
        debug_assert!(ended.is_none_or(|ended| ended == key));
        self.len += 1;
        if ended.is_some() {
            self.shared.ended.lock().push_back(key);
            self.shared.parent.wake();
        }
        abort
    }

    /// Waits for the next task to end and gives its output. `None` if the set is empty.
    ///
    /// # Cancel safety
    /// Safe: a task leaves the set in the poll that returns its output.
    #[track_caller]
    pub fn join_next(&mut self) -> impl Future<Output = Option<Result<T, JoinError>>> {
        static CALL: Site = Site::new("JoinSet::join_next", Resource::Number);
        call(&CALL, UNKNOWN, async move {
            poll_fn(|cx| self.poll_join_next(cx)).await
        })
    }

    /// The same with the task's id; an error tells its own.
    ///
    /// # Cancel safety
    /// As [`join_next`](Self::join_next).
    #[track_caller]
    pub fn join_next_with_id(
        &mut self,
    ) -> impl Future<Output = Option<Result<(Id, T), JoinError>>> {
        static CALL: Site = Site::new("JoinSet::join_next_with_id", Resource::Number);
        call(&CALL, UNKNOWN, async move {
            poll_fn(|cx| self.poll_join_next_with_id(cx)).await
        })
    }

    /// The output of a task that has ended, if there is one. Never waits.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.try_join_next_with_id()
            .map(|joined| joined.map(|(_, output)| output))
    }

    /// The same with the task's id; an error tells its own.
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        // Without a budget: an answer of "none yet" must be true.
        budget::with_unconstrained(|| self.next_ended())
    }

    /// Aborts all tasks and waits for their ends.
    ///
    /// # Cancel safety
    /// All are aborted at the first poll; the rest may be awaited again.
    #[track_caller]
    pub fn shutdown(&mut self) -> impl Future<Output = ()> {
        static CALL: Site = Site::new("JoinSet::shutdown", Resource::Number);
        call(&CALL, UNKNOWN, async move {
            self.abort_all();
            while self.join_next().await.is_some() {}
        })
    }

    /// Waits for all tasks and gives their outputs, in the order in which they ended.
    ///
    /// # Cancel safety
    /// Not safe: the outputs so far are dropped, and the other tasks are aborted.
    ///
    /// # Panics
    /// If a task panicked, with its panic; if one was cancelled.
    #[track_caller]
    pub fn join_all(mut self) -> impl Future<Output = Vec<T>> {
        static CALL: Site = Site::new("JoinSet::join_all", Resource::Number);
        call(&CALL, UNKNOWN, async move {
            let mut outputs = Vec::with_capacity(self.len());
            while let Some(joined) = self.join_next().await {
                match joined {
                    Ok(output) => outputs.push(output),
                    Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
                    Err(error) => panic!("{error}"),
                }
            }
            outputs
        })
    }

    /// Aborts all tasks. They stay in the set until they are joined.
    pub fn abort_all(&mut self) {
        self.tasks
            .iter()
            .for_each(|(_, entry)| entry.handle.abort());
    }

    /// Takes all tasks out of the set and lets them run on.
    pub fn detach_all(&mut self) {
        drop(std::mem::take(&mut self.tasks));
        self.len = 0;
        self.shared.ended.lock().clear();
    }

    /// Polls for the next task to end: see [`join_next`](Self::join_next).
    ///
    /// Pending means that the waker is woken when a task ends, or at once if only the budget was used up.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_join_next_with_id(cx)
            .map(|next| next.map(|joined| joined.map(|(_, output)| output)))
    }

    /// The same with the task's id; an error tells its own.
    pub fn poll_join_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(Id, T), JoinError>>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        self.shared.parent.register(cx.waker());
        match self.next_ended() {
            Some(joined) => Poll::Ready(Some(joined)),
            None => {
                waiting::note(&JOIN_NEXT, self.len as u64, None);
                Poll::Pending
            }
        }
    }

    fn next_ended(&mut self) -> Option<Result<(Id, T), JoinError>> {
        // Looks at each once: one that is out of budget puts itself back, and wakes the parent.
        let mut looks = self.shared.ended.lock().len();
        while looks > 0 {
            looks -= 1;
            let key = self.shared.ended.lock().pop_front()?;
            let Some(entry) = self.tasks.get_mut(key) else {
                continue;
            };
            let id = entry.handle.id();
            let waker = entry.waker.clone();
            let polled = Pin::new(&mut entry.handle).poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(joined) = polled {
                drop(self.tasks.remove(key));
                self.len -= 1;
                return Some(joined.map(|output| (id, output)));
            }
        }
        None
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.tasks
            .iter()
            .for_each(|(_, entry)| entry.handle.abort());
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len).finish()
    }
}

/// Spawns each future on the runtime of this thread.
impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        let mut set = Self::new();
        set.extend(futures);
        set
    }
}

impl<T, F> Extend<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    fn extend<I: IntoIterator<Item = F>>(&mut self, futures: I) {
        for future in futures {
            self.spawn(future);
        }
    }
}
