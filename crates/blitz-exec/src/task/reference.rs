//! Counted references to a task, and the right to poll it.

use super::cell::Header;
use super::id::TaskMeta;
use super::look::Tracked;
use super::priority::Lane;
use super::state::Wake;
use blitz_core::list::{Links, Node};
use blitz_core::queue::{Entry, Link, Linked};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// One counted reference.
pub(super) struct TaskRef(NonNull<Header>);

// SAFETY: what can be done through it (wake, abort, count, free) goes by the state word. The future, and an output that
// is not `Send`, are gone before the last reference goes: see `OwnedTasks::bind_local`.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// Takes over a reference.
    ///
    /// # Safety
    /// The caller has one, and gives it up.
    #[inline]
    pub(super) unsafe fn from_raw(task: NonNull<Header>) -> Self {
        Self(task)
    }

    #[inline]
    pub(super) fn into_raw(self) -> NonNull<Header> {
        ManuallyDrop::new(self).0
    }

    #[inline]
    pub(super) fn as_raw(&self) -> NonNull<Header> {
        self.0
    }

    #[inline]
    pub(super) fn header(&self) -> &Header {
        // SAFETY: we hold a reference.
        unsafe { self.0.as_ref() }
    }

    /// Asks for its cancellation.
    pub(super) fn abort(&self) {
        if self.header().state.abort() == Wake::Submit {
            // SAFETY: `Submit` made a reference for it.
            let task = unsafe { Notified::from_raw(self.0) };
            // Our own reference keeps the scheduler alive meanwhile.
            self.header().scheduler.schedule(task);
        }
    }

    /// Cancels it, for its owner: drops the future here and now, unless a runner has it, who then does so.
    pub(super) fn shutdown(self) {
        let task = self.into_raw();
        // SAFETY: the reference that we had is valid, and the call takes it over.
        let header = unsafe { task.as_ref() };
        // SAFETY: the header's own vtable; and we give up a reference.
        unsafe { (header.vtable.shutdown)(task) };
    }
}

impl Clone for TaskRef {
    #[inline]
    fn clone(&self) -> Self {
        self.header().state.add_ref();
        Self(self.0)
    }
}

impl Drop for TaskRef {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: we hold a reference, and give it up.
        unsafe { drop_refs(self.0, 1) };
    }
}

/// Gives `count` references up, and frees the task if they were the last.
///
/// # Safety
/// The caller has them.
#[inline]
pub(super) unsafe fn drop_refs(task: NonNull<Header>, count: usize) {
    // SAFETY: the caller has a reference.
    let header = unsafe { task.as_ref() };
    if header.state.drop_refs(count) {
        // SAFETY: no reference is left.
        unsafe { free(task) };
    }
}

/// Frees the task.
///
/// # Safety
/// A move of the state word said that no reference is left.
#[cold]
pub(super) unsafe fn free(task: NonNull<Header>) {
    // SAFETY: the memory is there until the call below.
    let header = unsafe { task.as_ref() };
    // SAFETY: the header's own vtable; nobody else has the task.
    unsafe { (header.vtable.free)(task) };
}

// SAFETY: a task stays where it is; `owned_links` is used by the owned list alone.
unsafe impl Node for TaskRef {
    type Handle = TaskRef;
    type Target = Header;

    #[inline]
    fn into_raw(handle: TaskRef) -> NonNull<Header> {
        handle.into_raw()
    }

    #[inline]
    unsafe fn from_raw(node: NonNull<Header>) -> TaskRef {
        // SAFETY: the list gives its reference back.
        unsafe { TaskRef::from_raw(node) }
    }

    #[inline]
    unsafe fn links(node: NonNull<Header>) -> NonNull<Links<Header>> {
        // SAFETY: the caller says that it is valid.
        let links = unsafe { &raw mut (*node.as_ptr()).owned_links };
        // SAFETY: a field of something valid is not at null.
        unsafe { NonNull::new_unchecked(links) }
    }
}

/// The right, and the duty, to poll a task once.
///
/// There is at most one per task. Dropped unused, the task waits until it is shut down: a wake will not bring it back.
pub struct Notified(TaskRef);

impl Notified {
    /// Polls the task, on this thread.
    ///
    /// Returns it if it was woken meanwhile (by itself, mostly): it belongs at the back of the queue.
    #[inline]
    #[must_use = "a task that woke itself must be queued again"]
    pub fn run(self) -> Option<Notified> {
        let task = self.0.into_raw();
        // SAFETY: the reference that we had is valid, and the call takes it over.
        let header = unsafe { task.as_ref() };
        // SAFETY: the header's own vtable; and we give up the `Notified`'s reference.
        let again = unsafe { (header.vtable.run)(task) };
        // SAFETY: as the answer says, the reference is there for it.
        again.then(|| unsafe { Notified::from_raw(task) })
    }

    /// Cancels the task without polling it: its future is dropped on this thread.
    pub fn shutdown(self) {
        self.0.shutdown();
    }

    /// A reference to the task that outlasts its poll, to look at it afterwards.
    pub(crate) fn tracked(&self) -> Tracked {
        Tracked {
            task: TaskRef::clone(&self.0),
        }
    }

    /// Where it waits.
    #[inline]
    pub(crate) fn lane(&self) -> Lane {
        self.0.header().state.lane()
    }

    /// Whether it waits with the normal ones.
    #[inline]
    pub(crate) fn is_normal(&self) -> bool {
        self.0.header().state.is_normal()
    }

    /// It is about to have its first poll: from now on it is critical like others.
    pub(crate) fn settle(&self) {
        self.0.header().state.set_lane(Lane::Critical);
    }

    /// Its id, name, spawn site and priority.
    #[inline]
    pub fn meta(&self) -> TaskMeta<'_> {
        self.0.header().meta()
    }

    /// Its header, for [`OwnedTasks::owns`](super::OwnedTasks::owns).
    #[inline]
    pub fn header(&self) -> &Header {
        self.0.header()
    }

    /// Gives it up for its pointer.
    #[inline]
    pub fn into_raw(self) -> NonNull<Header> {
        self.0.into_raw()
    }

    /// Takes it back.
    ///
    /// # Safety
    /// `task` came from `into_raw`, and this is its one way back.
    #[inline]
    pub unsafe fn from_raw(task: NonNull<Header>) -> Self {
        // SAFETY: as the caller says.
        Self(unsafe { TaskRef::from_raw(task) })
    }
}

impl fmt::Debug for Notified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Notified").field(self.header()).finish()
    }
}

// SAFETY: `into_raw` and `from_raw` are inverse.
unsafe impl Entry for Notified {
    type Node = Header;

    #[inline]
    fn into_raw(self) -> NonNull<Header> {
        self.into_raw()
    }

    #[inline]
    unsafe fn from_raw(node: NonNull<Header>) -> Self {
        // SAFETY: as the caller says.
        unsafe { Self::from_raw(node) }
    }
}

// SAFETY: `queue_link` is used by queues of `Notified` alone, and a task has one `Notified` at most.
unsafe impl Linked for Notified {
    #[inline]
    unsafe fn link(node: NonNull<Header>) -> NonNull<Link<Header>> {
        // SAFETY: the caller says that it is valid.
        let link = unsafe { &raw mut (*node.as_ptr()).queue_link };
        // SAFETY: a field of something valid is not at null.
        unsafe { NonNull::new_unchecked(link) }
    }
}
