//! What the spawner keeps: a handle to wait by, and one to abort by.

use super::cell::Header;
use super::error::JoinError;
use super::id::{Id, TaskMeta};
use super::reference::TaskRef;
use super::state::Leave;
use blitz_core::budget;
use blitz_core::quiet::quietly;
use blitz_core::waiting::{self, Resource, Site};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, RawWakerVTable, Waker, ready};

static JOIN: Site = Site::new("JoinHandle", Resource::Task);
/// Of a task in no list: a blocking call.
static BLOCKING: Site = Site::new("JoinHandle of a blocking call", Resource::Task);

/// Waits for a task to end, and gives its output.
///
/// Dropped, it leaves the task to itself: the task goes on, and its output is dropped.
///
/// Awaiting it returns the output.
///
/// # Cancel safety
/// Safe to await by `&mut`: the output stays until a poll returns it.
///
/// # Errors
/// [`JoinError`] if the task panicked or was cancelled.
///
/// # Panics
/// If it is polled again after it gave the output.
pub struct JoinHandle<T> {
    task: NonNull<Header>,
    joiner: Joiner,
    _output: PhantomData<T>,
}

/// Where the join handle stands, known without a look at the task.
enum Joiner {
    /// No waker is registered.
    Idle,
    /// A waker is registered: its data and vtable. It is not dropped before the task completes, and only then.
    Waiting(*const (), &'static RawWakerVTable),
    /// The output has been taken.
    Done,
}

// SAFETY: the handle gives out a `T`, and goes by the state word otherwise.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: a shared handle gives out no `T`.
unsafe impl<T: Send> Sync for JoinHandle<T> {}
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}
impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// Takes over the join handle's reference.
    ///
    /// # Safety
    /// The caller has it, with JOIN_INTEREST, and the task's output is a `T`.
    #[inline]
    pub(super) unsafe fn new(task: NonNull<Header>) -> Self {
        Self {
            task,
            joiner: Joiner::Idle,
            _output: PhantomData,
        }
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: we hold a reference.
        unsafe { self.task.as_ref() }
    }

    /// Borrows the handle's reference for what any reference can do.
    fn task(&self) -> ManuallyDrop<TaskRef> {
        // SAFETY: ours, and `ManuallyDrop` leaves it with us.
        ManuallyDrop::new(unsafe { TaskRef::from_raw(self.task) })
    }

    /// Asks for the task's cancellation.
    ///
    /// It is dropped at its next turn, on a thread that may; awaiting it then returns a cancelled [`JoinError`], unless it
    /// ended first. A call of `spawn_blocking` that has begun goes on.
    pub fn abort(&self) {
        self.task().abort();
    }

    /// A handle that can abort the task, and nothing else.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle {
            task: TaskRef::clone(&self.task()),
        }
    }

    /// Has the task ended? (After [`abort`](Self::abort) it takes a moment.)
    pub fn is_finished(&self) -> bool {
        self.header().state.is_complete()
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        self.header().id()
    }

    /// The task's id, name and spawn site.
    pub fn meta(&self) -> TaskMeta<'_> {
        self.header().meta()
    }

    /// Arranges for `waker` to be woken when the task ends, in place of the last one.
    ///
    /// Returns `false` if it has ended already: then nobody is woken, and a poll gives the output.
    pub fn set_join_waker(&mut self, waker: &Waker) -> bool {
        if self.header().state.is_complete() {
            return false;
        }
        if let Joiner::Waiting(data, vtable) = self.joiner {
            // The registered waker was alive when we looked, just now, as `waker` is: two live wakers with one address and
            // one vtable are the same.
            if data == waker.data() && std::ptr::eq(vtable, waker.vtable()) {
                return true;
            }
        }
        self.register(waker)
    }

    #[inline]
    fn register(&mut self, waker: &Waker) -> bool {
        // Foreign code first: it may panic.
        let mine = waker.clone();
        if matches!(self.joiner, Joiner::Waiting(..)) {
            self.joiner = Joiner::Idle;
            if self.header().state.unset_waker().is_err() {
                return false;
            }
        }
        let identity = (mine.data(), mine.vtable());
        // SAFETY: the header's own vtable; we are the join handle, and JOIN_WAKER is not set.
        drop(unsafe { (self.header().vtable.replace_waker)(self.task, Some(mine)) });
        if self.header().state.set_waker().is_err() {
            // SAFETY: as above: the move failed.
            drop(unsafe { (self.header().vtable.replace_waker)(self.task, None) });
            return false;
        }
        self.joiner = Joiner::Waiting(identity.0, identity.1);
        true
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Joiner::Done = self.joiner {
            panic!("a JoinHandle was polled after it had given its output");
        }
        let unit = ready!(budget::poll_proceed(cx));
        if self.set_join_waker(cx.waker()) {
            waiting::note_by(|| {
                let header = self.header();
                let site = if header.shard.is_null() {
                    &BLOCKING
                } else {
                    &JOIN
                };
                (site, header.id().as_u64(), None)
            });
            return Poll::Pending;
        }
        unit.made_progress();
        self.joiner = Joiner::Done;
        let mut output: Poll<Self::Output> = Poll::Pending;
        // SAFETY: the header's own vtable; we are the join handle, the task is complete, and its output is a `T`.
        unsafe { (self.header().vtable.read_output)(self.task, NonNull::from(&mut output).cast()) };
        output
    }
}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        match self.header().state.leave() {
            Leave::Done => return,
            Leave::Last => {
                // SAFETY: as the answer says.
                unsafe { super::reference::free(self.task) };
                return;
            }
            Leave::DropWaker => {
                // SAFETY: the header's own vtable; we are the join handle, and have just cleared JOIN_WAKER.
                let waker = unsafe { (self.header().vtable.replace_waker)(self.task, None) };
                // Foreign code, and perhaps this thread is unwinding already.
                quietly(|| drop(waker));
            }
            Leave::DropOutput if matches!(self.joiner, Joiner::Done) => {}
            // SAFETY: the header's own vtable; we are the join handle, and the task is complete.
            Leave::DropOutput => unsafe { (self.header().vtable.drop_output)(self.task) },
        }
        // SAFETY: our reference is still here, and goes.
        unsafe { super::reference::drop_refs(self.task, 1) };
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id())
            .finish()
    }
}

/// Aborts a task; clones cheaply, and does not keep the output.
#[derive(Clone)]
pub struct AbortHandle {
    task: TaskRef,
}

impl UnwindSafe for AbortHandle {}
impl RefUnwindSafe for AbortHandle {}

impl AbortHandle {
    /// Asks for the task's cancellation; see [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Has the task ended? (After [`abort`](Self::abort) it takes a moment.)
    pub fn is_finished(&self) -> bool {
        self.task.header().state.is_complete()
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        self.task.header().id()
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id())
            .finish()
    }
}
