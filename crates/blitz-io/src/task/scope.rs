//! Tasks that cannot outlive the code that spawned them.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use blitz_core::primitive::sync::Mutex;
use blitz_core::slab::{Key, Slab};
use blitz_core::waiting::{self, Resource, Site, UNKNOWN};
use blitz_core::wake::WakeSlot;
use blitz_exec::task::{AbortHandle, JoinHandle};

use crate::context::call;

/// The number is that of the tasks that have not ended.
static MEMBERS: Site = Site::new("task::scope's members", Resource::Number);

/// Runs `body` with a scope to spawn in, and waits for all that was spawned there before it returns.
///
/// No task of a scope is left behind. When the scope's future is dropped before its end, its tasks are aborted; when a task
/// panics, the others and the body are aborted, and the scope panics once they have ended.
///
/// Tasks own what they use (`'static`). A future can be dropped, or forgotten, at any moment, and a task on another thread
/// cannot be stopped at that moment; a scope that lent them its stack would have to block in its drop, and would be unsound
/// when forgotten. A forgotten scope leaves its tasks running, as `mem::forget` of any handle does, and nothing worse.
///
/// # Cancel safety
/// Dropping it aborts the tasks: nothing goes on behind the caller's back, beyond each task's current poll.
///
/// # Panics
/// If the body or a task does, or if this thread is in no runtime.
///
/// # Examples
/// ```
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let total = blitz_io::task::scope(|scope| async move {
///     let left = scope.spawn(async { 40 });
///     let right = scope.spawn(async { 2 });
///     scope.spawn(async { /* not awaited by hand, and yet over when the scope is */ });
///     left.await.unwrap_or(0) + right.await.unwrap_or(0)
/// })
/// .await;
/// assert_eq!(total, 42);
/// # }
/// ```
#[track_caller]
pub fn scope<B, F>(body: B) -> impl Future<Output = F::Output>
where
    B: FnOnce(Scope) -> F,
    F: Future,
{
    static CALL: Site = Site::new("task::scope", Resource::Number);
    call(&CALL, UNKNOWN, async move {
        let scope = Scope {
            shared: Arc::new(Shared::default()),
        };
        // Aborts what is left, however this function is left.
        let abort = AbortAll(Arc::clone(&scope.shared));
        let shared = &*abort.0;
        let output = {
            let mut body = pin!(body(scope));
            poll_fn(|cx| {
                shared.waiter.register(cx.waker());
                if shared.tasks.lock().panicked {
                    return Poll::Ready(None);
                }
                body.as_mut().poll(cx).map(Some)
            })
            .await
        };
        poll_fn(|cx| {
            shared.waiter.register(cx.waker());
            let tasks = shared.tasks.lock();
            let panicked = tasks.panicked;
            let left = tasks.len;
            drop(tasks);
            if panicked {
                shared.abort_all();
            }
            if left == 0 {
                Poll::Ready(())
            } else {
                waiting::note(&MEMBERS, left as u64, None);
                Poll::Pending
            }
        })
        .await;
        let panicked = shared.tasks.lock().panicked;
        match output {
            Some(output) if !panicked => output,
            _ => panic!("a task of this scope panicked"),
        }
    })
}

/// Spawns tasks that end before their scope does: see [`scope`]. Clones are cheap and mean the same scope.
#[derive(Clone)]
pub struct Scope {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    tasks: Mutex<Tasks>,
    waiter: WakeSlot,
}

#[derive(Default)]
struct Tasks {
    /// Empty between a task's entry and the return of its spawn.
    abort: Slab<Option<AbortHandle>>,
    len: usize,
    panicked: bool,
    /// The scope is over: newcomers are aborted at once.
    closed: bool,
}

impl Scope {
    /// Spawns a task in the scope; see [`task::spawn`](crate::task::spawn). Tasks may spawn more in the same scope.
    ///
    /// # Panics
    /// If this thread is in no runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let member = Member::enter(&self.shared);
        let key = member.key;
        let handle = crate::spawn(async move {
            // Dropped after the future, at its end, its panic and its abortion alike.
            let _member = member;
            future.await
        });
        let mut tasks = self.shared.tasks.lock();
        if let Some(entry) = tasks.abort.get_mut(key) {
            *entry = Some(handle.abort_handle());
        }
        let over = tasks.closed || tasks.panicked;
        drop(tasks);
        if over {
            handle.abort();
        }
        handle
    }

    /// Aborts every task of the scope that has not ended.
    pub fn abort_all(&self) {
        self.shared.abort_all();
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("tasks", &self.shared.tasks.lock().len)
            .finish()
    }
}

impl Shared {
    fn abort_all(&self) {
        let handles: Vec<_> = self
            .tasks
            .lock()
            .abort
            .iter()
            .filter_map(|(_, handle)| handle.clone())
            .collect();
        // Outside of the lock: an abortion may drop a future, and that may drop a member.
        handles.iter().for_each(AbortHandle::abort);
    }
}

/// Lives in a task's future; its drop says that the task is over.
struct Member {
    shared: Arc<Shared>,
    key: Key,
}

impl Member {
    fn enter(shared: &Arc<Shared>) -> Self {
        let mut tasks = shared.tasks.lock();
        tasks.len += 1;
        let key = tasks.abort.insert(None);
        drop(tasks);
        Self {
            shared: Arc::clone(shared),
            key,
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut tasks = self.shared.tasks.lock();
        tasks.len -= 1;
        let handle = tasks.abort.remove(self.key);
        tasks.panicked |= std::thread::panicking();
        drop(tasks);
        drop(handle);
        self.shared.waiter.wake();
    }
}

struct AbortAll(Arc<Shared>);

impl Drop for AbortAll {
    fn drop(&mut self) {
        self.0.tasks.lock().closed = true;
        self.0.abort_all();
    }
}
