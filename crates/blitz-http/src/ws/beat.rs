//! When to ping, and whom to take for dead.

use blitz_io::time::{Instant, Sleep, sleep_until};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

/// A deadline that may be there. Memory for it is taken when it is first waited for.
///
/// It is looked at with each message, and comes once in many of them: so a look is at a bell of its own, and not at the runtime's timers.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Timer {
    alarm: Option<Alarm>,
    deadline: Option<Instant>,
}

#[derive(Debug)]
struct Alarm {
    /// Whom the bell wakes.
    task: Waker,
    bell: Arc<Bell>,
    sleep: Pin<Box<Sleep>>,
}

/// Rings when the time has come, or when the runtime wants to be asked again.
#[derive(Debug, Default)]
struct Bell {
    /// Whether it has rung, and nobody has looked; or is to be looked at for another reason.
    has_rung: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Bell {
    /// From now on it has not rung, and wakes this task.
    fn wakes(&self, task: &Waker) {
        let task = task.clone();
        let mut place = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let old = place.replace(task);
        // ORDERING: Relaxed: under the lock; see `has_rung`.
        self.has_rung.store(false, Relaxed);
        drop(place);
        drop(old);
    }

    fn is_unheard(&self) {
        // ORDERING: Relaxed: who sets it is who looks.
        self.has_rung.store(true, Relaxed);
    }

    fn has_rung(&self) -> bool {
        // ORDERING: Relaxed: who finds nothing is woken behind the ring that it has missed, and looks again.
        self.has_rung.load(Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut place = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let task = place.take();
        // ORDERING: Relaxed: under the lock, and before the task is woken; see `has_rung`.
        self.has_rung.store(true, Relaxed);
        drop(place);
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Timer {
    /// Sets it to `wait` after `from`; beyond all time it is none.
    pub(super) fn arm(&mut self, from: Instant, wait: Duration) {
        self.deadline = from.checked_add(wait);
        if let (Some(deadline), Some(alarm)) = (self.deadline, &mut self.alarm) {
            alarm.sleep.as_mut().reset(deadline);
            // It may have to be polled before it counts.
            alarm.bell.is_unheard();
        }
    }

    pub(super) fn disarm(&mut self) {
        self.deadline = None;
    }

    fn is_armed(&self) -> bool {
        self.deadline.is_some()
    }

    /// Whether it is to be polled, for whoever has polled it last.
    #[inline]
    fn has_rung(&self) -> bool {
        self.alarm
            .as_ref()
            .is_some_and(|alarm| alarm.bell.has_rung())
    }

    /// Ready once, when it has come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let alarm = match &mut self.alarm {
            Some(alarm) if alarm.task.will_wake(cx.waker()) && !alarm.bell.has_rung() => {
                return Poll::Pending;
            }
            Some(alarm) => {
                alarm.task.clone_from(cx.waker());
                alarm
            }
            none => none.insert(Alarm {
                task: cx.waker().clone(),
                bell: Arc::default(),
                sleep: Box::pin(sleep_until(deadline)),
            }),
        };
        alarm.bell.wakes(cx.waker());
        let bell = Waker::from(Arc::clone(&alarm.bell));
        ready!(alarm.sleep.as_mut().poll(&mut Context::from_waker(&bell)));
        self.deadline = None;
        Poll::Ready(())
    }
}

/// The pings of one socket.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Beat {
    /// Something has come since the last ping.
    heard: bool,
    timer: Timer,
    interval: Duration,
    timeout: Duration,
    asked: Option<Asked>,
    number: u64,
    rtt: Option<Duration>,
}

/// A ping that went out.
#[derive(Debug)]
struct Asked {
    at: Instant,
    /// What was written when the peer's time began.
    written: u64,
    /// What will have been written when the ping has left; none if it left at once.
    leaves: Option<u64>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A ping with this is to be sent.
    Ping([u8; 8]),
    /// The peer is taken for dead.
    Dead,
}

impl Beat {
    pub(super) fn new(interval: Duration, timeout: Duration) -> Beat {
        Beat {
            interval,
            timeout,
            timer: Timer::default(),
            asked: None,
            heard: false,
            number: 0,
            rtt: None,
        }
    }

    /// How long a peer may take nothing of what is sent to it; none where nobody is taken for dead.
    pub(super) fn patience(&self) -> Option<Duration> {
        (!self.interval.is_zero()).then(|| self.interval.saturating_add(self.timeout))
    }

    /// Whether something may be due, for the task that has polled last.
    #[inline]
    pub(super) fn has_rung(&self) -> bool {
        self.timer.has_rung()
    }

    /// Bytes have come.
    #[inline]
    pub(super) fn hears(&mut self) {
        self.heard = true;
    }

    /// A pong has come.
    pub(super) fn pong(&mut self, payload: &[u8]) {
        if let Some(asked) = &self.asked
            && payload == self.number.to_be_bytes()
        {
            self.rtt = Some(asked.at.elapsed());
        }
    }

    /// The time between the last ping that was answered and its pong.
    pub(super) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// What is due, where so many bytes were written and so many wait for it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, written: u64, waiting: usize) -> Poll<Due> {
        if self.interval.is_zero() {
            return Poll::Pending;
        }
        loop {
            if !self.timer.is_armed() {
                self.timer.arm(Instant::now(), self.interval);
                if !self.timer.is_armed() {
                    return Poll::Pending;
                }
            }
            ready!(self.timer.poll(cx));
            let now = Instant::now();
            match &mut self.asked {
                None => {
                    self.number += 1;
                    self.heard = false;
                    self.asked = Some(Asked {
                        at: now,
                        written,
                        leaves: (waiting > 0).then_some(written + waiting as u64),
                    });
                    self.timer.arm(now, self.timeout);
                    return Poll::Ready(Due::Ping(self.number.to_be_bytes()));
                }
                Some(asked) if self.heard => {
                    let at = asked.at;
                    self.asked = None;
                    self.timer.arm(at, self.interval);
                }
                // The ping stands behind what the peer is taking still: that is life, too.
                Some(asked)
                    if written > asked.written
                        && asked.leaves.is_some_and(|leaves| asked.written <= leaves) =>
                {
                    asked.written = written;
                    self.timer.arm(now, self.timeout);
                }
                Some(_) => return Poll::Ready(Due::Dead),
            }
        }
    }
}
