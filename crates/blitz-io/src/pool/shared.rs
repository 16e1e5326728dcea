//! A pool's one lock, and the tasks that do what is decided under it: dials, pauses, checks, closings, and the keeper that looks
//! after what is idle as long as there is something.

use std::pin::pin;
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use blitz_core::primitive::sync::Mutex;
use blitz_sync::{CancellationToken, Notify};

use super::Pool;
use super::config::{Limits, Times};
use super::error::ConnectError;
use super::lease::Slot;
use super::manage::{Connect, Manager};
use super::metrics::{self, CloseReason, ns};
use super::state::{Member, State, Work};
use crate::context::{self, Handle, random_below};
use crate::time::{Instant, sleep, timeout, timeout_at};

type StateOf<M> = State<<M as Manager>::Key, <M as Manager>::Connection, <M as Manager>::Error>;
type WorkOf<M> = Work<<M as Manager>::Key, <M as Manager>::Connection, <M as Manager>::Error>;

/// Begins a dial; the number is the generation of what comes of it.
type Dial<M> = fn(&Arc<Shared<M>>, Arc<<M as Manager>::Key>, u64);

pub(super) struct Shared<M: Manager> {
    pub(super) manager: M,
    pub(super) times: Times,
    pub(super) name: String,
    pub(super) took: metrics::Times,
    /// What `warm_up` and `close` wait for may have come.
    pub(super) changed: Notify,
    /// Makes a connection for a key, in a task; set when that is first asked for, by who knows that this can be.
    pub(super) dial: OnceLock<Dial<M>>,
    /// Cancelled when a close has waited long enough.
    pub(super) revoked: CancellationToken,
    state: Mutex<StateOf<M>>,
    handle: Handle,
    /// Calls the keeper, where there is one.
    bell: Arc<Notify>,
}

pub(super) fn start<M: Manager>(
    manager: M,
    limits: Limits,
    times: Times,
    name: String,
    handle: Handle,
) -> Pool<M> {
    let shared = Arc::new(Shared {
        manager,
        times,
        name,
        took: metrics::Times::new(),
        changed: Notify::new(),
        dial: OnceLock::new(),
        revoked: CancellationToken::new(),
        state: Mutex::new(State::new(limits)),
        handle,
        bell: Arc::new(Notify::new()),
    });
    Pool { shared }
}

/// Looks after a pool as long as there is something in it to look after. Dropped, its runtime is at its end, and another is needed.
struct Keeper<M: Manager> {
    pool: Weak<Shared<M>>,
    bell: Arc<Notify>,
    is_over: bool,
}

impl<M: Manager> Keeper<M> {
    async fn keep(mut self) {
        loop {
            let Some(shared) = self.pool.upgrade() else {
                return;
            };
            let next = shared.with(|state, work| {
                let next = state.look_after(Instant::now(), work);
                state.is_kept = next.is_some();
                next
            });
            drop(shared);
            let Some(next) = next else {
                self.is_over = true;
                return;
            };
            // Either way it is time to look.
            drop(timeout_at(next, self.bell.notified()).await);
        }
    }
}

impl<M: Manager> Drop for Keeper<M> {
    fn drop(&mut self) {
        if let (false, Some(shared)) = (self.is_over, self.pool.upgrade()) {
            shared.with(|state, _| (state.is_kept, state.tick) = (false, None));
        }
    }
}

impl<M: Manager> Shared<M> {
    /// Makes a move under the lock, and does what it leaves after that.
    pub(super) fn with<R>(
        self: &Arc<Self>,
        a_move: impl FnOnce(&mut StateOf<M>, &mut WorkOf<M>) -> R,
    ) -> R {
        let mut work = Work::default();
        let mut state = self.state.lock();
        let result = a_move(&mut state, &mut work);
        work.keeper = work.tick && !state.is_kept;
        state.is_kept |= work.keeper;
        drop(state);
        if !work.is_nothing() {
            self.perform(work);
        }
        result
    }

    fn perform(self: &Arc<Self>, work: WorkOf<M>) {
        for waker in work.wakers {
            waker.wake();
        }
        let closing = work.closing.len();
        if M::TAKES_LEAVE {
            for (key, connection) in work.closing {
                self.close(key, connection);
            }
        } else if closing > 0 {
            drop(work.closing);
            self.with(|state, work| {
                state.closing -= closing;
                work.changed = true;
            });
        }
        if let Some(dial) = self.dial.get() {
            for (key, generation) in work.dials {
                dial(self, key, generation);
            }
        } else {
            debug_assert!(work.dials.is_empty(), "nobody has asked for it");
        }
        for (key, failures) in work.pauses {
            self.pause(key, failures);
        }
        for (key, member) in work.checks {
            self.check(Slot::checked(Arc::clone(self), key, member));
        }
        for (held, place, task) in work.leaks {
            let name = &*self.name;
            tracing::warn!(target: "blitz_io", pool = name, ?held, %place, task, "a connection is out for long: is it leaked?");
        }
        if work.keeper {
            self.begin_to_keep();
        } else if work.tick {
            self.bell.notify_one();
        }
        if work.changed {
            self.changed.notify_waiters();
        }
    }

    /// Spawns the keeper: on the pool's runtime or, if that has ended, on the one that still uses the pool.
    fn begin_to_keep(self: &Arc<Self>) {
        let keeper = || Keeper {
            pool: Arc::downgrade(self),
            bell: Arc::clone(&self.bell),
            is_over: false,
        };
        if !self.handle.spawn(keeper().keep()).is_finished() {
            return;
        }
        // It has ended with its runtime, or because it found nothing to do; then another finds nothing, too.
        if let Some(here) = context::try_handle()
            && !self.with(|state, _| std::mem::replace(&mut state.is_kept, true))
        {
            drop(here.spawn(keeper().keep()));
        }
    }

    fn pause(self: &Arc<Self>, key: Arc<M::Key>, failures: u32) {
        let (first, longest) = self.times.backoff;
        let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        let pause = Pause {
            pool: Arc::downgrade(self),
            key,
            is_over: false,
        };
        drop(
            self.handle
                .spawn(pause.run(shortened(doubled.min(longest), 2))),
        );
    }

    /// A task looks at an idle connection.
    fn check(self: &Arc<Self>, mut slot: Slot<M>) {
        let shared = Arc::clone(self);
        drop(self.handle.spawn(async move {
            if slot.check(&shared).await {
                slot.seen(Instant::now());
                slot.give_back(Instant::now());
            }
        }));
    }

    /// A task brings a connection into order.
    pub(super) fn reset(self: &Arc<Self>, mut slot: Slot<M>) {
        let shared = Arc::clone(self);
        drop(self.handle.spawn(async move {
            let (key, connection) = slot.parts();
            let reset = timeout(shared.times.check, shared.manager.reset(&key, connection)).await;
            if matches!(reset, Ok(Ok(()))) {
                slot.come_back(Instant::now());
            }
        }));
    }

    fn close(self: &Arc<Self>, key: Arc<M::Key>, connection: M::Connection) {
        let closing = Closing(Arc::clone(self));
        drop(self.handle.spawn(async move {
            let shared = &closing.0;
            let leave = shared.manager.close(&key, connection);
            if timeout(shared.times.check, leave).await.is_err() {
                let name = &*shared.name;
                tracing::debug!(target: "blitz_io", pool = name, "a connection was dropped: its peer took too long to take leave");
            }
        }));
    }

    /// A connection is a little younger than this when it has to go, by chance: those that were made together do not go together.
    pub(super) fn dies(&self, born: Instant, max_age: Option<Duration>) -> Option<Instant> {
        born.checked_add(shortened(max_age?, 10))
    }
}

/// The duration, or less by up to one part of so many, by chance.
fn shortened(duration: Duration, parts: u32) -> Duration {
    duration - (duration / parts / 1000) * random_below(1000)
}

impl<M: Manager> Drop for Shared<M> {
    fn drop(&mut self) {
        // The keeper sees that there is no pool any more.
        self.bell.notify_one();
    }
}

pub(super) fn dial<M: Connect>(shared: &Arc<Shared<M>>, key: Arc<M::Key>, generation: u64) {
    let attempt = Attempt {
        shared: Arc::clone(shared),
        key,
        generation,
        is_over: false,
    };
    drop(shared.handle.spawn(attempt.run()));
}

/// The task that makes a connection. If it is dropped the runtime is at its end, and with it the pool.
struct Attempt<M: Manager> {
    shared: Arc<Shared<M>>,
    key: Arc<M::Key>,
    generation: u64,
    is_over: bool,
}

impl<M: Connect> Attempt<M> {
    async fn run(mut self) {
        let (shared, key) = (Arc::clone(&self.shared), Arc::clone(&self.key));
        let began = Instant::now();
        let limit = shared.times.connect;
        let made = timeout(limit, shared.manager.connect(&key)).await;
        let error = match made {
            Ok(Ok(connection)) => {
                self.is_over = true;
                return self.made(connection, began);
            }
            Ok(Err(error)) => ConnectError::Failed(error),
            Err(_) => ConnectError::TimedOut(limit),
        };
        let is_transient = shared.manager.is_transient(&key, &error);
        let name = &*shared.name;
        let cause = match &error {
            ConnectError::Failed(cause) => cause as &dyn std::error::Error,
            other => other,
        };
        tracing::debug!(target: "blitz_io", pool = name, is_transient, error = cause, "cannot connect");
        self.is_over = true;
        shared.with(|state, work| state.dial_failed(&key, error, is_transient, work));
    }

    fn made(&self, connection: M::Connection, began: Instant) {
        let now = Instant::now();
        self.shared
            .took
            .connect
            .record(ns(now.duration_since(began)));
        let max_age = self.shared.with(|state, _| state.limits.max_age);
        let dies = self.shared.dies(now, max_age);
        let member = Member::new(connection, now, dies, self.generation);
        self.shared
            .with(|state, work| state.born(&self.key, member, work));
    }
}

impl<M: Manager> Drop for Attempt<M> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.shared.with(|state, work| {
            if thread::panicking() {
                state.dial_failed(&self.key, ConnectError::Panicked, true, work);
            } else {
                state.dial_cut(&self.key, work);
                state.close_all(Instant::now(), work);
            }
        });
    }
}

/// The task that waits before the next attempt.
struct Pause<M: Manager> {
    pool: Weak<Shared<M>>,
    key: Arc<M::Key>,
    is_over: bool,
}

impl<M: Manager> Pause<M> {
    async fn run(mut self, how_long: Duration) {
        sleep(how_long).await;
        self.is_over = true;
        if let Some(shared) = self.pool.upgrade() {
            shared.with(|state, work| state.pause_over(&self.key, work));
        }
    }
}

impl<M: Manager> Drop for Pause<M> {
    fn drop(&mut self) {
        if let (false, Some(shared)) = (self.is_over, self.pool.upgrade()) {
            shared.with(|state, work| state.close_all(Instant::now(), work));
        }
    }
}

/// A connection that is being closed counts until it is.
struct Closing<M: Manager>(Arc<Shared<M>>);

impl<M: Manager> Drop for Closing<M> {
    fn drop(&mut self) {
        self.0.with(|state, work| {
            state.closing -= 1;
            work.changed = true;
        });
    }
}

impl<M: Manager> Shared<M> {
    /// Waits until `is_so` says something, asking it again after each change.
    pub(super) async fn until<R>(
        self: &Arc<Self>,
        mut is_so: impl FnMut(&mut StateOf<M>) -> Option<R>,
    ) -> R {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(result) = self.with(|state, _| is_so(state)) {
                return result;
            }
            changed.await;
        }
    }

    /// A connection goes for good.
    pub(super) fn discard(
        self: &Arc<Self>,
        key: &Arc<M::Key>,
        connection: M::Connection,
        reason: CloseReason,
        (holder, is_checked): (Option<u64>, bool),
    ) {
        let used = self.with(|state, work| {
            if is_checked {
                state.checked(key);
            }
            let holder = holder.and_then(|holder| state.holders.remove(&holder));
            state.discard(key, connection, reason, work);
            holder
        });
        if let Some(holder) = used {
            self.took.usage.record(ns(holder.since.elapsed()));
        }
    }
}
