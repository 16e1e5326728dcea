//! A worker whose thread is stuck in a task's poll, or in a hook: its core goes to a spare thread.
//!
//! Who watches sees the same [`Beat`] for too long and asks for a rescue. A spare thread of the pool then takes the core from
//! the stuck one, by [`Context::seize`](super::context::Context::seize), and is the worker from there on: queue, timers,
//! driver and all. What the stuck thread still does in its poll goes the ways from outside. When it comes back it has no core
//! and is one more idle thread of the pool.

use std::fmt;
use std::io;
use std::sync::Arc;

use blitz_core::primitive::sync::atomic::Ordering::Relaxed;
use blitz_core::quiet::quietly;

use super::context::Context;
use super::grip::NotSeized;
use super::worker::{Core, Worker, hold};
use super::{MultiThread, Shared};
use crate::park::Watching;
use crate::scheduler::{Alarm, Beat};

/// Why a worker was not rescued.
#[derive(Debug)]
pub enum NotRescued {
    /// It came back by itself.
    CameBack,
    /// So many threads are stuck already that no more spares may be lent.
    NoSpare,
    /// The system gave no thread, or the runtime has ended.
    NoThread(io::Error),
    /// It is in the driver's turn, which cannot change hands half-way.
    InTurn,
    /// The system has no barrier that a rescue needs.
    NoBarrier,
}

impl fmt::Display for NotRescued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CameBack => f.write_str("it came back by itself"),
            Self::NoSpare => f.write_str("as many threads are stuck as may be replaced"),
            Self::NoThread(error) => write!(f, "there is no thread to take over: {error}"),
            Self::InTurn => {
                f.write_str("it is in the turn of its driver, which cannot change hands half-way")
            }
            Self::NoBarrier => f.write_str("the system has no barrier for it"),
        }
    }
}

impl MultiThread {
    /// What a worker does; `None` if it sleeps, or if no thread holds its core.
    pub(in crate::scheduler) fn beat(&self, worker: usize) -> Option<Beat> {
        self.workers[worker].beat()
    }

    /// What wakes who watches the workers.
    pub(in crate::scheduler) fn alarm(&self) -> &Alarm {
        &self.shared.config.alarm
    }

    /// Asks for a spare thread that takes over the core of a worker which was `seen` to be stuck. What comes of it is told to
    /// `done`, on that thread, before it goes on with the tasks; and that the stuck one is back to `back`, on that one. Both
    /// must be short.
    ///
    /// # Errors
    /// If no spare may be lent, or none is to be had; then neither is called.
    pub fn rescue(
        &self,
        worker: usize,
        seen: Beat,
        done: impl FnOnce(Result<(), NotRescued>) + Send + 'static,
        back: impl FnOnce() + Send + 'static,
    ) -> Result<(), NotRescued> {
        self.shared.lend_spare()?;
        let worker = Arc::clone(&self.workers[worker]);
        let back = Box::new(back);
        let work = Box::new(move || take_over(worker, seen, done, back));
        self.shared.blocking.spawn_spare(work).map_err(|error| {
            self.shared.count_spare_back();
            NotRescued::NoThread(error)
        })
    }

    /// A worker is stuck and nobody takes its place: another one comes for whatever can be taken. A wake that went to the stuck
    /// one, which in its driver's turn still counts as asleep, and then as one that searches, is made good by this: it is to be
    /// called again and again.
    pub fn help_out(&self) {
        if self.shared.has_work()
            && let Some(index) = self.shared.idle.wake_another()
        {
            self.shared.remotes[index].unparker.unpark();
        }
    }

    /// How many threads are stuck and have lost their cores.
    pub fn spares_lent(&self) -> usize {
        // ORDERING: Relaxed: a figure.
        self.shared.spares.load(Relaxed)
    }
}

impl Shared {
    fn lend_spare(&self) -> Result<(), NotRescued> {
        // ORDERING: Relaxed: it only counts.
        let lent = self.spares.fetch_update(Relaxed, Relaxed, |spares| {
            (spares < self.config.spares_max).then_some(spares + 1)
        });
        lent.map(drop).map_err(|_| NotRescued::NoSpare)
    }

    fn count_spare_back(&self) {
        // ORDERING: Relaxed: it only counts.
        self.spares.fetch_sub(1, Relaxed);
    }

    /// A thread that was stuck is back, or a stand-in was not needed.
    pub(super) fn spare_is_back(&self) {
        self.count_spare_back();
        self.blocking.spare_is_back();
    }
}

impl Worker {
    fn beat(&self) -> Option<Beat> {
        let rest = self.shared.remotes[self.index].unparker.rest();
        let holder = self.holder.lock();
        let holder = holder.as_ref()?;
        // SAFETY: a thread takes its context out of here, under this lock, before it ends; or another one has put its own in.
        let pulse = unsafe { holder.pulse() }?;
        Beat::new(Arc::as_ptr(holder).addr(), pulse, rest, holder.is_inside())
    }
}

/// Told that a thread is back which had lost its core.
pub(super) type Back = Box<dyn FnOnce() + Send>;

/// On a spare thread: takes the core over, if its thread still does what was seen, and works with it.
fn take_over(
    worker: Arc<Worker>,
    seen: Beat,
    done: impl FnOnce(Result<(), NotRescued>),
    back: Back,
) {
    let holder = worker.holder.lock().clone();
    let seized = match &holder {
        Some(context) if worker.beat() == Some(seen) => seize(context, back),
        _ => Err(NotSeized::CameBack),
    };
    drop(holder);
    match seized {
        Ok(core) => {
            quietly(|| done(Ok(())));
            hold(worker, core);
        }
        Err(why) => {
            worker.shared.spare_is_back();
            quietly(|| {
                done(Err(match why {
                    NotSeized::CameBack => NotRescued::CameBack,
                    NotSeized::Inside => NotRescued::InTurn,
                    NotSeized::NoBarrier => NotRescued::NoBarrier,
                }));
            });
        }
    }
}

fn seize(context: &Context, back: Back) -> Result<Box<Core>, NotSeized> {
    // Until all is done, since the stuck thread may be back at any moment: `come_back` waits for this lock.
    let mut place = context.back.lock();
    let mut core = context.seize()?;
    // The stuck thread may still wake others: paused time waits for it, but for what it blocks in knowingly.
    let still = Watching::begin(&context.worker.shared.config.watch);
    *context.still.lock() = Some(still);
    if let Some(park) = &mut core.park {
        park.seize();
    }
    *place = Some(back);
    Ok(core)
}

/// On a thread that was stuck, and is back without its core.
pub(super) fn come_back(context: &Context) {
    let shared = &context.worker.shared;
    let mut place = context.back.lock();
    let back = place.take();
    let still = context.still.lock().take();
    drop(place);
    shared.remotes[context.worker.index].unparker.lost();
    if let Some(back) = back {
        quietly(back);
    }
    drop(still);
    shared.spare_is_back();
}
