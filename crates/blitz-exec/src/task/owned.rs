//! All tasks of one runtime or local set, so that each can be shut down.

use super::cell::Header;
use super::id::SpawnInfo;
use super::look::Tracked;
use super::reference::{Notified, TaskRef};
use super::state::State;
use super::{JoinHandle, Schedule, harness};
use blitz_core::list::List;
use blitz_core::primitive::sync::Mutex;
use blitz_core::sharded::Sharded;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;

/// The tasks that have not ended, in shards, each behind its lock.
///
/// Each task's list reference keeps it in memory until it has ended. Who owns the list must
/// [close and drain](Self::close_and_shutdown_all) it before it goes; what is then still in it is leaked.
pub struct OwnedTasks {
    shards: Sharded<Shard>,
}

struct Shard {
    tasks: List<TaskRef>,
    /// How many entered, and how many left.
    entered: usize,
    left: usize,
    closed: bool,
}

impl Shard {
    fn len(&self) -> usize {
        self.entered.wrapping_sub(self.left)
    }
}

/// So many tasks are taken note of under one hold of a shard's lock.
const COLLECTED_AT_ONCE: usize = 256;

impl OwnedTasks {
    /// An empty, open list of at least `shards` shards.
    pub fn new(shards: usize) -> Self {
        Self {
            shards: Sharded::new(shards, || Shard {
                tasks: List::new(),
                entered: 0,
                left: 0,
                closed: false,
            }),
        }
    }

    /// Makes a task of `future`, notified and in the list.
    ///
    /// Returns its handle and the notification, to be queued. If the list is closed the task is cancelled on the spot, and
    /// there is no notification.
    #[inline]
    pub fn bind<F>(
        &self,
        future: F,
        scheduler: Arc<dyn Schedule>,
        info: SpawnInfo,
    ) -> (JoinHandle<F::Output>, Option<Notified>)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // SAFETY: future and output may go to any thread.
        unsafe { self.bind_local(future, scheduler, info) }
    }

    /// [`bind`](Self::bind) for a future that must stay on this thread.
    ///
    /// # Safety
    /// Every `Notified` of the task, this one and those that `scheduler` is given, is run or shut down on this thread (it may
    /// be dropped on any), and so is this list.
    ///
    /// That is enough: the future goes when it completes or is cancelled, both of which are run or shutdown; the list keeps the
    /// task's memory until then. The output goes then too, or with the join handle, which is `Send` only if the output is.
    #[inline]
    pub unsafe fn bind_local<F>(
        &self,
        future: F,
        scheduler: Arc<dyn Schedule>,
        info: SpawnInfo,
    ) -> (JoinHandle<F::Output>, Option<Notified>)
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let shard = self.shards.shard(info.shard);
        let state = State::owned(info.lane);
        let task = harness::allocate(
            future,
            scheduler,
            info,
            state,
            std::ptr::from_ref(shard).cast(),
        );
        // SAFETY: a task begins with three references: these; the output is `F`'s.
        let handle = unsafe { JoinHandle::new(task) };
        // SAFETY: as above.
        let notified = unsafe { Notified::from_raw(task) };
        // SAFETY: as above.
        let owned = unsafe { TaskRef::from_raw(task) };
        if let Err(refused) = insert(shard, owned) {
            // First the notification: `shutdown` then finds the references that it knows of.
            drop(notified);
            refused.shutdown();
            return (handle, None);
        }
        (handle, Some(notified))
    }

    /// Is `task` bound to this list, be it in it still or not?
    #[inline]
    pub fn owns(&self, task: &Header) -> bool {
        self.shard_of(task).is_some()
    }

    fn shard_of(&self, task: &Header) -> Option<&Mutex<Shard>> {
        // A list that has gone has left no task that is still linked, so a new list at the same address finds such a task in no
        // list.
        self.shards.find(task.shard)
    }

    /// Takes an ended task out; returns whether it was in, so that the list's reference is now the caller's.
    #[inline]
    pub fn remove(&self, task: &Header) -> bool {
        let Some(shard) = self.shard_of(task) else {
            return false;
        };
        let mut shard = shard.lock();
        // SAFETY: it is valid, and its links are used by this shard alone.
        let Some(owned) = (unsafe { shard.tasks.remove(NonNull::from(task)) }) else {
            return false;
        };
        shard.left = shard.left.wrapping_add(1);
        // The caller has it now.
        let _ = owned.into_raw();
        true
    }

    /// Refuses new tasks from now on; those that are there go on.
    pub fn close(&self) {
        self.shards
            .iter_from(0)
            .for_each(|shard| shard.lock().closed = true);
    }

    /// Refuses new tasks, and cancels all that are there: their futures are dropped on this thread, except those that another
    /// thread runs now, which drops them when their poll returns.
    ///
    /// `start` is where to begin, so that workers who do this together begin apart.
    pub fn close_and_shutdown_all(&self, start: usize) {
        for shard in self.shards.iter_from(start) {
            loop {
                let task = {
                    let mut shard = shard.lock();
                    shard.closed = true;
                    let task = shard.tasks.pop_back();
                    shard.left = shard.left.wrapping_add(usize::from(task.is_some()));
                    task
                };
                // Foreign code, outside the lock.
                let Some(task) = task else { break };
                task.shutdown();
            }
        }
    }

    /// How many tasks are in it.
    pub fn len(&self) -> usize {
        self.shards
            .iter_from(0)
            .map(|shard| shard.lock().len())
            .sum()
    }

    /// Is nothing in it?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Does it refuse new tasks?
    pub fn is_closed(&self) -> bool {
        self.shards.shard(0).lock().closed
    }

    /// How many tasks were ever in it.
    pub fn entered(&self) -> u64 {
        self.shards
            .iter_from(0)
            .map(|shard| shard.lock().entered as u64)
            .sum()
    }

    /// Each task that is in it, and stays in memory while it is looked at.
    ///
    /// No lock is held for more than a few hundred tasks, so spawns and ends go on meanwhile. A task that is in the list the
    /// whole time is among them; one that comes or goes meanwhile may be.
    pub fn collect(&self) -> Vec<Tracked> {
        let mut all = Vec::with_capacity(self.len());
        for shard in self.shards.iter_from(0) {
            collect_shard(shard, &mut all);
        }
        all
    }
}

/// Appends the tasks of one shard, in the order of its list.
fn collect_shard(shard: &Mutex<Shard>, all: &mut Vec<Tracked>) {
    let first = all.len();
    loop {
        // Grown outside of the lock.
        all.reserve(COLLECTED_AT_ONCE);
        let shard = shard.lock();
        // Where the last round ended: at the last of the tasks seen so far that is still in the list. Those behind it in `all`
        // have left. New ones enter at the front, behind us.
        let seen = all[first..]
            .iter()
            .rev()
            // SAFETY: we hold a reference, and the task was seen in this list: it is in it still, or in none.
            .find(|seen| unsafe { shard.tasks.contains(seen.task.as_raw()) })
            .map(|seen| seen.task.as_raw());
        let mut more = shard.tasks.iter_after(seen);
        for _ in 0..COLLECTED_AT_ONCE {
            let Some(task) = more.next() else { return };
            // SAFETY: the list has a reference, which `ManuallyDrop` leaves with it.
            let task = ManuallyDrop::new(unsafe { TaskRef::from_raw(task) });
            all.push(Tracked {
                task: TaskRef::clone(&task),
            });
        }
    }
}

/// # Errors
/// The task comes back if the shard is closed.
#[inline]
fn insert(shard: &Mutex<Shard>, task: TaskRef) -> Result<(), TaskRef> {
    let mut shard = shard.lock();
    if shard.closed {
        return Err(task);
    }
    shard.tasks.push_front(task);
    shard.entered = shard.entered.wrapping_add(1);
    Ok(())
}

impl fmt::Debug for OwnedTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedTasks")
            .field("len", &self.len())
            .field("is_closed", &self.is_closed())
            .finish()
    }
}
