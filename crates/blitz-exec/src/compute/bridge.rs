//! The bridge: takes calls, hires the crew that runs them with the first one, and ends with its runtime.

use super::call::Call;
use super::cell::Job;
use super::error::ComputeError;
use super::ledger::{ComputeMetrics, Ledger};
use super::thread::{Roll, ThreadConfig, Threads};
use crate::park::Watch;
use blitz_core::primitive::sync::RwLock;
use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// Threads that compute, and share what they do among themselves: rayon's, in the face.
///
/// Dropped, it lets what was submitted run, and its threads leave afterwards; the drop does not wait for them.
pub trait Crew: Send + Sync {
    /// Has one of its threads [run](Job::run) the job. Runs nothing itself.
    fn submit(&self, job: Job);
}

/// Starts a crew on the threads that it is given.
pub type Hire = fn(&Threads) -> io::Result<Box<dyn Crew>>;

/// The way from a runtime to the threads that compute for it. Clones are cheap and all mean one bridge.
#[derive(Clone)]
pub struct Bridge {
    inner: Arc<Inner>,
}

struct Inner {
    threads: Threads,
    hire: Hire,
    ledger: Arc<Ledger>,
    /// Read by each call, written by the first and at the end: so no call is submitted to a crew that goes.
    place: RwLock<Place>,
}

/// Who computes.
enum Place {
    Empty,
    Hired(Box<dyn Crew>),
    Closed,
}

impl Bridge {
    /// A bridge without threads: `hire` starts them with the first call. `watch` is told what holds virtual time back.
    pub fn new(threads: ThreadConfig, watch: Arc<dyn Watch>, hire: Hire) -> Self {
        let ledger = Ledger::new(threads.count, watch);
        Self {
            inner: Arc::new(Inner {
                hire,
                threads: Threads::new(threads, Arc::clone(&ledger)),
                ledger,
                place: RwLock::new(Place::Empty),
            }),
        }
    }

    /// Has `f` run on one of the threads.
    ///
    /// If the bridge has ended, or the system gives no threads, the call gives that as its error.
    #[inline]
    pub fn call<F, R>(&self, f: F) -> Call<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (job, mut call) = Call::new(f, &self.inner.ledger);
        match &*self.inner.place.read() {
            Place::Hired(crew) => {
                match self.inner.ledger.standby.offer(job) {
                    Ok(()) => call.was_taken(),
                    Err(job) => crew.submit(job),
                }
                return call;
            }
            Place::Empty | Place::Closed => {}
        }
        self.hire(job);
        call
    }

    #[cold]
    fn hire(&self, job: Job) {
        let inner = &*self.inner;
        let mut place = inner.place.write();
        let error = match &*place {
            Place::Hired(crew) => return crew.submit(job),
            Place::Closed => ComputeError::cancelled(),
            Place::Empty => match (inner.hire)(&inner.threads) {
                Ok(crew) => {
                    crew.submit(job);
                    *place = Place::Hired(crew);
                    return;
                }
                Err(error) => ComputeError::no_threads(error),
            },
        };
        drop(place);
        job.refuse(error);
    }

    /// What it does and has done.
    pub fn metrics(&self) -> ComputeMetrics {
        ComputeMetrics {
            threads: self.roll().alive(),
            ..self.inner.ledger.metrics()
        }
    }

    /// How many threads there are once the first call has come.
    pub fn threads(&self) -> usize {
        self.inner.threads.count()
    }

    fn roll(&self) -> &Roll {
        self.inner.threads.roll()
    }

    /// Takes no more calls, cancels those that have not begun, and lets the threads leave when theirs are done.
    pub fn close(&self) {
        self.inner.ledger.end();
        let crew = mem::replace(&mut *self.inner.place.write(), Place::Closed);
        drop(crew);
    }

    /// After [`close`](Self::close): waits for the threads, for ever without a `limit`, never longer than it with one.
    /// Answers whether all are gone, but for this one if it is one of them.
    pub fn wait_gone(&self, limit: Option<Duration>) -> bool {
        self.roll().wait_gone(limit)
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge")
            .field("metrics", &self.metrics())
            .finish_non_exhaustive()
    }
}
