//! Where a runtime's signals arrive, and how its listeners hear of them.
//!
//! One [`Hub`] for each runtime that listens, made at the first listener. Its inbox's bell is a source of the
//! driver like a socket, and the hub is itself the waker that waits there: when the bell rings the driver calls it, and it counts
//! the signal up and wakes who listens. No task and no thread is spent.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use blitz_core::budget;
use blitz_core::slab::{Key, Slab};
use blitz_driver::{Direction, Registration};
use blitz_sys::signal::Inbox;

use crate::context;

/// One runtime's signals.
pub(super) struct Hub {
    bell: Registration,
    inbox: Inbox,
    listening: Mutex<Listening>,
    /// How often the hub was woken and has not looked yet: whoever moves it from zero looks, for all.
    rings: AtomicUsize,
}

/// Who waits for what.
struct Listening {
    /// How often each signal came, by its number.
    counts: Vec<(i32, u64)>,
    listeners: Slab<Listener>,
    /// The driver is gone: no signal will come any more.
    closed: bool,
}

struct Listener {
    signal: i32,
    waker: Option<Waker>,
}

/// What a listener found.
pub(super) enum Heard {
    /// The signal came; the new count.
    Signal(u64),
    /// Not yet; the waker is kept.
    Nothing,
    /// It will not come any more: the runtime is shutting down.
    Closed,
}

impl Hub {
    /// The hub of this thread's runtime, made if there is none yet.
    #[track_caller]
    pub(super) fn current(what: &'static str) -> io::Result<Arc<Hub>> {
        let handle = context::handle(what);
        let slot = handle.signals();
        if let Some(hub) = slot.get() {
            return Ok(downcast(hub));
        }
        // Two threads may both make one; the second is dropped before anything was registered there.
        let inbox = Inbox::new()?;
        let bell = Registration::new(Arc::clone(inbox.bell()), context::io_driver(what));
        let listening = Listening {
            counts: Vec::new(),
            listeners: Slab::new(),
            closed: false,
        };
        let hub = Arc::new(Hub {
            bell,
            inbox,
            listening: Mutex::new(listening),
            rings: AtomicUsize::new(0),
        });
        let hub = downcast(slot.get_or_init(|| hub));
        hub.wake_by_ref();
        Ok(hub)
    }

    fn lock(&self) -> MutexGuard<'_, Listening> {
        self.listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A new listener for `signal`: its key, and the count it starts from.
    pub(super) fn listen(&self, signal: i32) -> io::Result<(Key, u64)> {
        self.inbox.register(signal)?;
        let mut listening = self.lock();
        let key = listening.listeners.insert(Listener {
            signal,
            waker: None,
        });
        Ok((key, listening.count(signal)))
    }

    /// Whether `signal` came since it was counted `seen` times; if not, `waker` is called when it does.
    pub(super) fn poll(&self, key: Key, signal: i32, seen: u64, waker: &Waker) -> Heard {
        {
            let listening = self.lock();
            if let Some(heard) = listening.heard(signal, seen) {
                return heard;
            }
            let kept = listening
                .listeners
                .get(key)
                .and_then(|listener| listener.waker.as_ref());
            if kept.is_some_and(|kept| kept.will_wake(waker)) {
                return Heard::Nothing;
            }
        }
        // Foreign code, so between the locks.
        let waker = waker.clone();
        let mut listening = self.lock();
        let answer = listening.heard(signal, seen).unwrap_or(Heard::Nothing);
        let slot = listening
            .listeners
            .get_mut(key)
            .map(|listener| &mut listener.waker);
        let old = slot.map(|slot| slot.replace(waker));
        drop(listening);
        drop(old);
        answer
    }

    /// The listener is gone.
    pub(super) fn forget(&self, key: Key) {
        let gone = self.lock().listeners.remove(key);
        drop(gone);
    }

    /// Looks what came, tells it, and waits for the bell again.
    fn look(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let mut cx = Context::from_waker(&waker);
        loop {
            // Not a task's turn: no budget is spent, so Pending means that the bell is silent.
            match budget::with_unconstrained(|| self.bell.poll_ready(&mut cx, Direction::Read)) {
                Poll::Ready(Ok(event)) => {
                    let mut woken = Vec::new();
                    {
                        let mut listening = self.lock();
                        self.inbox
                            .drain(|signal| listening.arrived(signal, &mut woken));
                    }
                    wake(woken);
                    // `drain` reads until nothing is left, so an event from before it has nothing to say.
                    self.bell.clear(event);
                }
                Poll::Ready(Err(_)) => {
                    let mut woken = Vec::new();
                    self.lock().close(&mut woken);
                    return wake(woken);
                }
                Poll::Pending => return,
            }
        }
    }
}

impl Listening {
    fn count(&self, signal: i32) -> u64 {
        self.counts
            .iter()
            .find(|(number, _)| *number == signal)
            .map_or(0, |(_, count)| *count)
    }

    fn heard(&self, signal: i32, seen: u64) -> Option<Heard> {
        let count = self.count(signal);
        if count != seen {
            Some(Heard::Signal(count))
        } else if self.closed {
            Some(Heard::Closed)
        } else {
            None
        }
    }

    fn arrived(&mut self, signal: i32, woken: &mut Vec<Waker>) {
        match self.counts.iter_mut().find(|(number, _)| *number == signal) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((signal, 1)),
        }
        let who = self
            .listeners
            .iter_mut()
            .filter(|(_, listener)| listener.signal == signal);
        woken.extend(who.filter_map(|(_, listener)| listener.waker.take()));
    }

    fn close(&mut self, woken: &mut Vec<Waker>) {
        self.closed = true;
        woken.extend(
            self.listeners
                .iter_mut()
                .filter_map(|(_, listener)| listener.waker.take()),
        );
    }
}

/// Foreign code: never under the lock.
fn wake(woken: Vec<Waker>) {
    for waker in woken {
        waker.wake();
    }
}

fn downcast(hub: &Arc<dyn std::any::Any + Send + Sync>) -> Arc<Hub> {
    Arc::clone(hub)
        .downcast()
        .expect("only this module fills the runtime's slot for signals")
}

impl Wake for Hub {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // ORDERING: AcqRel pairs with itself: the one that looks sees what those before it did. A wake that
        // comes while another thread looks, or from inside the look, only counts, and that one looks again.
        if self.rings.fetch_add(1, Ordering::AcqRel) != 0 {
            return;
        }
        let mut answered = 1;
        loop {
            self.look();
            // ORDERING: as above.
            let left = self.rings.fetch_sub(answered, Ordering::AcqRel) - answered;
            if left == 0 {
                return;
            }
            answered = left;
        }
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Hub>();
};
