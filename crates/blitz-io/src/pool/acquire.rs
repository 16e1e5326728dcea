//! The wait for a connection.

use std::future::poll_fn;
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use blitz_core::budget;
use blitz_core::waiting;

use super::error::{AcquireError, AcquirePhase, ConnectError, TimedOut};
use super::lease::{Lease, Slot};
use super::manage::Manager;
use super::metrics::ns;
use super::place::{Acquired, Place};
use super::shared::Shared;
use super::state::{Entered, Given, Phase, Wants};
use crate::time::{Instant, timeout_at};

/// Waits for a connection until `deadline`, if there is one.
pub(super) async fn acquire<M: Manager>(
    shared: &Arc<Shared<M>>,
    key: &M::Key,
    deadline: Option<Instant>,
    place: &'static Location<'static>,
) -> Result<Lease<M>, AcquireError<M::Error>> {
    match enter(shared, key, Wants::Any, deadline, place).await? {
        Acquired::Lease(lease) => Ok(lease),
        Acquired::Place(_) => unreachable!("a place is for who wants one"),
    }
}

/// Waits for what is wanted.
pub(super) async fn enter<M: Manager>(
    shared: &Arc<Shared<M>>,
    key: &M::Key,
    wants: Wants,
    deadline: Option<Instant>,
    place: &'static Location<'static>,
) -> Result<Acquired<M>, AcquireError<M::Error>> {
    let mut ticket = Ticket {
        shared,
        key,
        wants,
        began: Instant::now(),
        place,
        waits: None,
        again: None,
        has_waited: false,
        phase: AcquirePhase::Wait,
    };
    let acquired = match deadline {
        None => ticket.acquired().await?,
        Some(deadline) => match timeout_at(deadline, ticket.acquired()).await {
            Ok(acquired) => acquired?,
            Err(_) => return Err(ticket.timed_out()),
        },
    };
    ticket.count(&acquired);
    Ok(acquired)
}

/// What came of a wait.
enum Got<M: Manager> {
    Slot(Slot<M>),
    Place(Place<M>),
}

type Answer<M> = Result<Got<M>, AcquireError<<M as Manager>::Error>>;

/// Somebody who wants a connection. Dropped in the line it leaves that, and what it was given goes to the next.
struct Ticket<'a, M: Manager> {
    shared: &'a Arc<Shared<M>>,
    key: &'a M::Key,
    wants: Wants,
    began: Instant,
    place: &'static Location<'static>,
    /// Its number in the line.
    waits: Option<(Arc<M::Key>, u64)>,
    /// The number that it had; with it goes its place, if what it got is no good.
    again: Option<u64>,
    has_waited: bool,
    phase: AcquirePhase,
}

impl<M: Manager> Ticket<'_, M> {
    async fn acquired(&mut self) -> Result<Acquired<M>, AcquireError<M::Error>> {
        let mut got = self.wait().await?;
        loop {
            let mut slot = match got {
                Got::Slot(slot) => slot,
                Got::Place(place) => return Ok(Acquired::Place(place)),
            };
            let is_new = slot.member().uses == 0;
            self.phase = AcquirePhase::Check;
            if is_new || self.is_good(&mut slot).await {
                let (key, connection) = slot.parts();
                match self.shared.manager.before_acquire(&key, connection).await {
                    Ok(()) => return Ok(Acquired::Lease(Lease::new(slot))),
                    Err(error) if is_new => {
                        let error = Arc::new(ConnectError::Failed(error));
                        return Err(AcquireError::Connect(error));
                    }
                    Err(_) => {}
                }
            }
            let again = self.again.expect("who got something had a number");
            let entered = slot.exchange(self.wants, again, self.holder());
            got = match self.settled(entered) {
                Some(got) => got?,
                None => self.wait().await?,
            };
        }
    }

    fn holder(&self) -> (Instant, &'static Location<'static>, u64) {
        (Instant::now(), self.place, waiting::current_task())
    }

    async fn wait(&mut self) -> Answer<M> {
        self.phase = AcquirePhase::Wait;
        poll_fn(|cx| self.poll_got(cx)).await
    }

    /// Takes what it was given, or its place in the line.
    fn settled(&mut self, entered: Entered<M::Key, M::Connection>) -> Option<Answer<M>> {
        match entered {
            Entered::Closed => Some(Err(AcquireError::Closed)),
            Entered::Taken(key, member, holder) => {
                self.again.get_or_insert(holder);
                let slot = Slot::held(Arc::clone(self.shared), key, member, holder);
                Some(Ok(Got::Slot(slot)))
            }
            Entered::Waits(key, number) => {
                self.again = Some(number);
                self.has_waited = true;
                self.waits = Some((key, number));
                None
            }
        }
    }

    async fn is_good(&self, slot: &mut Slot<M>) -> bool {
        if !slot.is_usable(self.shared) {
            return false;
        }
        let now = Instant::now();
        if now.duration_since(slot.member().seen) <= self.shared.times.check_after {
            return true;
        }
        slot.check(self.shared).await
    }

    fn poll_got(&mut self, cx: &mut Context<'_>) -> Poll<Answer<M>> {
        let progress = ready!(budget::poll_proceed(cx));
        let shared = self.shared;
        let holder = self.holder();
        if self.waits.is_none() {
            let entered = shared
                .with(|state, work| state.enter(self.key, self.wants, self.again, holder, work));
            if let Some(got) = self.settled(entered) {
                progress.made_progress();
                return Poll::Ready(got);
            }
        }
        let Some((key, number)) = &self.waits else {
            return Poll::Pending;
        };
        let waker = Some(cx.waker().clone());
        let (claimed, unused) =
            shared.with(|state, work| state.claim(key, *number, waker, holder, work));
        drop(unused);
        let Some(claimed) = claimed else {
            return Poll::Pending;
        };
        progress.made_progress();
        let key = Arc::clone(key);
        self.waits = None;
        let shared = Arc::clone(shared);
        Poll::Ready(claimed.map(|(given, holder)| match given {
            Given::Member(member) => Got::Slot(Slot::held(shared, key, member, holder)),
            Given::Place(generation) => {
                let asked = (self.began, self.place);
                Got::Place(Place::new(shared, key, generation, asked))
            }
        }))
    }

    fn timed_out(&self) -> AcquireError<M::Error> {
        let (last, is_suspended) = self.shared.with(|state, _| {
            state.counters.timeouts += 1;
            let is_suspended = state.phase == Phase::Suspended;
            (state.last_error(self.key), is_suspended)
        });
        let phase = match self.phase {
            AcquirePhase::Wait if is_suspended => AcquirePhase::Suspended,
            phase => phase,
        };
        AcquireError::TimedOut(TimedOut {
            waited: self.began.elapsed(),
            phase,
            last,
        })
    }

    fn count(&self, acquired: &Acquired<M>) {
        let waited = self.began.elapsed();
        // A place is no connection yet: what is filled is counted then.
        let is_lease = matches!(acquired, Acquired::Lease(_));
        if is_lease {
            self.shared.took.wait.record(ns(waited));
        }
        let is_slow = self
            .shared
            .times
            .slow_acquire
            .is_some_and(|limit| waited > limit);
        let sizes = self.shared.with(|state, _| {
            match (is_lease, self.has_waited) {
                (false, _) => {}
                (true, true) => state.counters.waited += 1,
                (true, false) => state.counters.direct += 1,
            }
            is_slow.then(|| state.sizes())
        });
        if let Some(sizes) = sizes {
            let (name, place) = (&*self.shared.name, self.place);
            tracing::warn!(
                target: "blitz_io",
                pool = name, ?waited, %place,
                in_use = sizes.in_use, idle = sizes.idle, connecting = sizes.connecting, waiting = sizes.waiting,
                "a connection was long in coming"
            );
        }
    }
}

impl<M: Manager> Drop for Ticket<'_, M> {
    fn drop(&mut self) {
        if let Some((key, number)) = self.waits.take() {
            self.shared
                .with(|state, work| state.leave(&key, number, Instant::now(), work));
        }
    }
}
