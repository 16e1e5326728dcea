//! One thread of the load: a runtime of its own, its part of the connections and requests, and its tally.
//!
//! ORDERING: the counters of [`Live`] are Relaxed, and each has one writer. They are for the progress line, which may lag behind; what is
//! reported comes by a channel.

use super::answers::Answer;
use super::connection::{BUFFER, BUFFER_MAX, drive};
use super::schedule::Schedule;
#[cfg(test)]
use super::tally::Summary;
use super::tally::{Failure, Tally};
use super::target::{Io, NoConnection, Target};
use blitz_io::runtime::{Builder, LocalOptions};
use blitz_io::sync::{Barrier, Semaphore, watch};
use blitz_io::task::JoinSet;
use blitz_io::time::{Instant, sleep_until};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How many connections are being opened at a time: less than any sensible backlog.
const OPENING_AT_ONCE: usize = 256;

/// How it goes, for who looks on.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) answers: AtomicU64,
    pub(super) errors: AtomicU64,
}

/// What the connections of a thread share.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) target: Arc<Target>,
    pub(super) schedule: Schedule,
    /// How much room a read gets.
    pub(super) buffer: Cell<usize>,
    base: Instant,
    tally: RefCell<Tally>,
    live: Arc<Live>,
    opening: Semaphore,
    /// Whether requests are due whether or not somebody is free.
    is_open_loop: bool,
}

impl Worker {
    /// Begins now.
    #[cfg(test)]
    pub(super) fn new(target: Arc<Target>, schedule: Schedule, window_ns: u64) -> Worker {
        Worker::since(Instant::now(), target, schedule, window_ns, Arc::default())
    }

    fn since(
        base: Instant,
        target: Arc<Target>,
        schedule: Schedule,
        window_ns: u64,
        live: Arc<Live>,
    ) -> Worker {
        Worker {
            target,
            is_open_loop: schedule.is_open_loop(),
            schedule,
            buffer: Cell::new(BUFFER),
            base,
            tally: RefCell::new(Tally::new(window_ns)),
            live,
            opening: Semaphore::new(OPENING_AT_ONCE),
        }
    }

    /// The time, in nanoseconds since the start.
    pub(super) fn now(&self) -> u64 {
        nanoseconds(self.base.elapsed())
    }

    /// The moment so long after the start.
    pub(super) fn at(&self, ns: u64) -> Instant {
        self.base + Duration::from_nanos(ns)
    }

    /// How long an answer may take.
    pub(super) fn timeout_ns(&self) -> u64 {
        nanoseconds(self.target.timeout)
    }

    /// Takes the next request; see [`Schedule::take`].
    pub(super) fn take(&self) -> Option<u64> {
        self.schedule.take(self.now())
    }

    /// Waits until it is that late.
    pub(super) async fn until(&self, ns: u64) {
        if ns > self.now() {
            sleep_until(self.at(ns)).await;
        }
    }

    /// Opens a connection, when not too many are being opened.
    pub(super) async fn open(&self) -> Result<Io, NoConnection> {
        // It is never closed.
        let _permit = self.opening.acquire().await;
        self.target.open().await
    }

    /// More came than a read has room for.
    pub(super) fn grow_buffer(&self) {
        self.buffer.set((self.buffer.get() * 2).min(BUFFER_MAX));
    }

    pub(super) fn connected(&self) {
        self.tally.borrow_mut().connected();
    }

    /// An answer came to a request that was due at `due_ns`.
    pub(super) fn answered(&self, now_ns: u64, due_ns: u64, answer: Answer) {
        let latency = now_ns.saturating_sub(due_ns);
        let mut tally = self.tally.borrow_mut();
        let good = tally.answered(now_ns, latency, answer.status, answer.bytes);
        add_one(&self.live.answers);
        if !good {
            add_one(&self.live.errors);
        }
    }

    /// A request has failed; if it waited in vain it was due at `due_ns`.
    pub(super) fn failed(&self, failure: Failure, words: &str, due_ns: Option<u64>) {
        let now = self.now();
        let mut tally = self.tally.borrow_mut();
        tally.failed(now, failure, words);
        if let (Failure::TimedOut, Some(due)) = (failure, due_ns) {
            tally.waited(now, now.saturating_sub(due));
        }
        add_one(&self.live.errors);
    }

    /// The end came before the answers to requests that were due then.
    pub(super) fn left(&self, due_ns: impl IntoIterator<Item = u64>) {
        let now = self.now();
        let mut tally = self.tally.borrow_mut();
        for due in due_ns.into_iter().filter(|due| *due <= now) {
            tally.left(1);
            if self.is_open_loop {
                tally.waited(now, now - due);
            }
        }
    }

    /// Nothing is begun any more.
    pub(super) fn end(&self) {
        self.left(self.schedule.overdue(self.now()));
    }

    /// What has come of it so far, for tests. It is taken out.
    #[cfg(test)]
    pub(super) fn summary(&self) -> Summary {
        Summary::of(vec![self.tally.replace(Tally::new(1))], self.now())
    }
}

fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What a thread is told.
pub(super) struct Part {
    pub(super) target: Arc<Target>,
    pub(super) connections: usize,
    pub(super) schedule: Schedule,
    pub(super) window_ns: u64,
    pub(super) duration: Option<Duration>,
    pub(super) live: Arc<Live>,
    pub(super) stop: watch::Receiver<bool>,
    /// Where all threads meet when their connections stand.
    pub(super) ready: Arc<Barrier>,
    /// When they did.
    pub(super) start: Arc<OnceLock<Instant>>,
}

/// What a thread has done, and for how long.
pub(super) type Finished = (Tally, u64);

/// Does its part on this thread.
///
/// # Errors
/// If there is no runtime to be had.
pub(super) fn run(part: Part) -> Result<Finished, String> {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(LocalOptions::default());
    let runtime = runtime.map_err(|error| format!("cannot start a runtime: {error}"))?;
    Ok(runtime.block_on(work(part)))
}

async fn work(mut part: Part) -> Finished {
    let begun = async {
        let opened = open_all(&part).await;
        part.ready.wait().await;
        opened
    };
    let mut stop = part.stop.clone();
    let opened = blitz_io::select! {
        opened = begun => opened,
        () = stopped(&mut stop) => return (Tally::new(part.window_ns), 0),
    };
    let base = *part.start.get_or_init(Instant::now);
    let worker = Rc::new(Worker::since(
        base,
        part.target,
        part.schedule,
        part.window_ns,
        part.live,
    ));
    let mut driving = JoinSet::new();
    for first in opened {
        if first.is_some() {
            worker.connected();
        }
        let opener = Rc::clone(&worker);
        let open = move || {
            let opener = Rc::clone(&opener);
            async move { opener.open().await }
        };
        driving.spawn_local(drive(Rc::clone(&worker), first, open));
    }
    let end = part.duration.map(|duration| base + duration);
    blitz_io::select! {
        () = all(&mut driving) => {}
        () = until(end) => {}
        () = stopped(&mut part.stop) => {}
    }
    let elapsed = worker.now();
    worker.end();
    driving.shutdown().await;
    let tally = worker.tally.replace(Tally::new(part.window_ns));
    (tally, elapsed)
}

/// The connections, where they are kept; those that failed are tried again, and counted, when it has begun.
async fn open_all(part: &Part) -> Vec<Option<Io>> {
    if !part.target.keep_alive {
        return std::iter::repeat_with(|| None)
            .take(part.connections)
            .collect();
    }
    let permits = Rc::new(Semaphore::new(OPENING_AT_ONCE));
    let mut opening = JoinSet::new();
    for _ in 0..part.connections {
        let (permits, target) = (Rc::clone(&permits), Arc::clone(&part.target));
        opening.spawn_local(async move {
            let _permit = permits.acquire().await;
            target.open().await.ok()
        });
    }
    let mut opened = Vec::with_capacity(part.connections);
    while let Some(one) = opening.join_next().await {
        opened.push(one.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())));
    }
    opened
}

async fn all(driving: &mut JoinSet<()>) {
    while let Some(one) = driving.join_next().await {
        one.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Waits until the run is to end, or whoever runs it has gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // It fails where the sender has gone, which is an end, too.
    let _ = stop.wait_for(|stop| *stop).await;
}
