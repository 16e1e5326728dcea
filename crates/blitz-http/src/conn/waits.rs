//! How long a connection may wait: one timer, whatever it waits for.
//!
//! A deadline is a number until the connection really waits, and the timer is set only where it would fire too late: one that fires
//! early costs a look. So a busy connection, whose deadlines move with every request, leaves the timer alone.

use crate::config::Timeouts;
use crate::counters::Phase;
use blitz_io::time::{Instant, Sleep, sleep_until};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The timer of a connection.
#[derive(Debug, Default)]
pub(super) struct Waits {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: Option<Instant>,
    /// Who is woken by it.
    waker: Option<Waker>,
    /// What is waited for, in which request, and since when without progress.
    phase: Option<(Phase, u64)>,
    since: Option<Instant>,
    /// The wait that was begun and has not been counted.
    begun: Option<(Direction, Instant)>,
    pub(super) from_client: Pace,
    pub(super) to_client: Pace,
}

/// Which pace a wait counts for.
#[derive(Clone, Copy, Debug)]
enum Direction {
    FromClient,
    ToClient,
}

/// How fast a client was within one request, over the time that it was waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    bytes: u64,
    /// Of them, or of those of the request before, so many have not gone after all.
    held: u64,
    /// How many had, at the last wait.
    seen: Option<i64>,
    waited: Duration,
}

impl Pace {
    pub(super) fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// So many bytes that were counted wait for the client still.
    pub(super) fn holds(&mut self, bytes: usize) {
        self.held = bytes as u64;
    }

    /// Bytes that went; those of the request before that have not gone yet count against them.
    fn went(&self) -> i64 {
        self.bytes as i64 - self.held as i64
    }

    /// Whether any have gone since this was asked last.
    fn moved(&mut self) -> bool {
        let went = self.went();
        self.seen.replace(went).is_none_or(|seen| seen < went)
    }

    /// How much longer it may be waited for.
    fn left(&self, timeouts: &Timeouts) -> Option<Duration> {
        let earned = u64::try_from(self.went())
            .unwrap_or(0)
            .checked_mul(1000)?
            .checked_div(u64::from(timeouts.rate_min))?;
        let allowed = timeouts.rate_grace + Duration::from_millis(earned);
        Some(allowed.saturating_sub(self.waited))
    }
}

impl Waits {
    /// A new request: its client's paces begin anew.
    pub(super) fn begin_request(&mut self) {
        (self.from_client, self.to_client, self.begun) = Default::default();
    }

    /// Waits in `phase` of request number `request`: ready with the phase that took too long, whose time is up.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        phase: Phase,
        request: u64,
        timeouts: &Timeouts,
    ) -> Poll<Phase> {
        let now = Instant::now();
        if let Some((direction, begun)) = self.begun.take() {
            self.pace(direction).waited += now.saturating_duration_since(begun);
        }
        let direction = match phase {
            Phase::Body => Some(Direction::FromClient),
            Phase::Response => Some(Direction::ToClient),
            _ => None,
        };
        let moved = direction.is_some_and(|direction| self.pace(direction).moved());
        if self.phase != Some((phase, request)) || moved {
            self.phase = Some((phase, request));
            self.since = None;
        }
        // A busy connection comes here with a new wait each time.
        let waited = match self.since {
            Some(since) => now.saturating_duration_since(since),
            None => Duration::ZERO,
        };
        self.since.get_or_insert(now);
        let (limit, slow) = match phase {
            Phase::Head => (timeouts.head, phase),
            Phase::Idle => (timeouts.idle, phase),
            Phase::Body => (timeouts.body, Phase::BodyRate),
            Phase::Response => (timeouts.response, Phase::ResponseRate),
            Phase::Linger => (timeouts.linger, phase),
            Phase::Handler => (timeouts.handler, phase),
            // Its own affair.
            _ => return Poll::Pending,
        };
        let mut left = limit.saturating_sub(waited);
        let mut fires = phase;
        if let Some(direction) = direction {
            self.begun = Some((direction, now));
            let paced = self.pace(direction).left(timeouts);
            if let Some(paced) = paced.filter(|paced| *paced < left) {
                (left, fires) = (paced, slow);
            }
        }
        if left.is_zero() {
            return Poll::Ready(fires);
        }
        match now.checked_add(left) {
            Some(deadline) => self.arm(cx, now, deadline).map(|()| fires),
            // Longer than there is time.
            None => Poll::Pending,
        }
    }

    fn pace(&mut self, direction: Direction) -> &mut Pace {
        match direction {
            Direction::FromClient => &mut self.from_client,
            Direction::ToClient => &mut self.to_client,
        }
    }

    /// Sees to it that the task is woken at `deadline` or before. Ready if that has come meanwhile.
    fn arm(&mut self, cx: &mut Context<'_>, now: Instant, deadline: Instant) -> Poll<()> {
        let in_time = self
            .armed
            .is_some_and(|armed| armed > now && armed <= deadline);
        let known = self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if in_time && known {
            return Poll::Pending;
        }
        if !known {
            self.waker = Some(cx.waker().clone());
        }
        if !in_time {
            self.armed = Some(deadline);
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(deadline),
                None => self.sleep = Some(Box::pin(sleep_until(deadline))),
            }
        }
        let Some(sleep) = &mut self.sleep else {
            return Poll::Pending;
        };
        let fired = sleep.as_mut().poll(cx);
        if fired.is_ready() {
            self.armed = None;
        }
        fired
    }
}
