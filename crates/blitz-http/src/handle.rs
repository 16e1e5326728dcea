//! Who is connected, and the end.

use crate::counters::Phase;
use crate::{Config, Counters, Peer};
use blitz_io::sync::{CancellationToken, Notify, WaitForCancellationFutureOwned};
use blitz_io::task::AbortHandle;
use blitz_io::time::timeout;
use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What ends a server, and tells what it has done. Clones are of the same server.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    counters: Counters,
    stop: CancellationToken,
    /// The deadline has come: what was upgraded ends, too.
    cut: CancellationToken,
    state: Mutex<State>,
    left: Notify,
}

#[derive(Debug, Default)]
struct State {
    seats: Vec<Option<Taken>>,
    free: Vec<usize>,
    grace: Option<Duration>,
}

#[derive(Debug)]
struct Taken {
    peer: Peer,
    phase: Arc<AtomicU8>,
    abort: Option<AbortHandle>,
}

/// What a server that ended had to cut.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The connections that were not done at the deadline.
    pub cut: Vec<Cut>,
}

/// A connection that was cut, and in what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cut {
    /// Who.
    pub peer: Peer,
    /// While it waited for this.
    pub phase: Phase,
}

impl Handle {
    /// A handle for connections without a [`Server`](crate::Server): see [`Connection`](crate::Connection).
    pub fn new(config: Config) -> Handle {
        Handle(Arc::new(Inner {
            config,
            counters: Counters::default(),
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
            state: Mutex::default(),
            left: Notify::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the server: it accepts no more, closes connections that wait for a request or are in a handshake, lets those that are being answered finish, and
    /// cuts what is left after `grace`. Only the first call counts.
    pub fn shut_down(&self, grace: Duration) {
        self.state().grace.get_or_insert(grace);
        self.0.stop.cancel();
    }

    /// Whether it was told to end.
    pub fn is_stopping(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    /// What it has done so far.
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Connections that are open, those of upgraded protocols among them.
    pub fn open(&self) -> usize {
        let state = self.state();
        state.seats.len() - state.free.len()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn stopping(&self) -> WaitForCancellationFutureOwned {
        self.0.stop.clone().cancelled_owned()
    }

    /// What `future` gives, or `None` if the server is told to end first.
    pub(crate) async fn unless_stopping<F: Future>(&self, future: F) -> Option<F::Output> {
        self.0.stop.run_until_cancelled(future).await
    }

    pub(crate) fn stopping_token(self) -> CancellationToken {
        self.0.stop.clone()
    }

    /// A place for a connection.
    pub(crate) fn seat(&self, peer: Peer) -> Seat {
        let phase = Arc::new(AtomicU8::new(Phase::Head as u8));
        let taken = Some(Taken {
            peer,
            phase: Arc::clone(&phase),
            abort: None,
        });
        let mut state = self.state();
        let number = match state.free.pop() {
            Some(number) => number,
            None => {
                state.seats.push(None);
                state.seats.len() - 1
            }
        };
        state.seats[number] = taken;
        drop(state);
        Seat {
            number,
            phase,
            handle: self.clone(),
        }
    }

    /// The connection at this place can be cut so, if it is there still.
    pub(crate) fn can_abort(&self, number: usize, abort: AbortHandle) {
        let mut abort = Some(abort);
        let mut state = self.state();
        if let Some(Some(taken)) = state.seats.get_mut(number) {
            std::mem::swap(&mut taken.abort, &mut abort);
        }
        drop(state);
        drop(abort);
    }

    /// Waits for the connections to end, and at the deadline ends them.
    pub(crate) async fn drain(&self) -> Report {
        let grace = self.state().grace.unwrap_or_default();
        // Whoever has not been told by then is cut; there is nothing to say about the wait itself.
        let _ = timeout(grace, self.all_left()).await;
        let (mut cut, mut aborts) = (Vec::new(), Vec::new());
        let mut state = self.state();
        for taken in state.seats.iter_mut().flatten() {
            // ORDERING: a note for people.
            let phase = phase(taken.phase.load(Relaxed));
            // Who has its last answer and only has not closed yet loses nothing.
            if phase != Phase::Linger {
                let peer = taken.peer;
                cut.push(Cut { peer, phase });
            }
            aborts.extend(taken.abort.take());
        }
        drop(state);
        self.0.cut.cancel();
        for abort in aborts {
            abort.abort();
        }
        Report { cut }
    }

    async fn all_left(&self) {
        loop {
            let left = self.0.left.notified();
            if self.open() == 0 {
                return;
            }
            left.await;
        }
    }
}

/// A connection's place among those of its server; given up by its drop.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) number: usize,
    phase: Arc<AtomicU8>,
    handle: Handle,
}

impl Seat {
    pub(crate) fn is_in(&self, phase: Phase) {
        // ORDERING: a note for people.
        self.phase.store(phase as u8, Relaxed);
    }

    /// A proxy has said who it is.
    pub(crate) fn is_of(&self, peer: Peer) {
        if let Some(taken) = &mut self.handle.state().seats[self.number] {
            taken.peer = peer;
        }
    }

    /// Its server.
    pub(crate) fn server(&self) -> &Handle {
        &self.handle
    }

    /// Whether the moment has come at which everything ends.
    pub(crate) fn is_cut(&self) -> bool {
        self.handle.0.cut.is_cancelled()
    }

    /// That moment.
    pub(crate) fn cut(&self) -> WaitForCancellationFutureOwned {
        self.handle.0.cut.clone().cancelled_owned()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.handle.state();
        let taken = state.seats[self.number].take();
        state.free.push(self.number);
        drop(state);
        drop(taken);
        self.handle.0.left.notify_waiters();
    }
}

fn phase(number: u8) -> Phase {
    const ALL: [Phase; 11] = [
        Phase::Head,
        Phase::Idle,
        Phase::Body,
        Phase::BodyRate,
        Phase::Handler,
        Phase::Response,
        Phase::ResponseRate,
        Phase::Linger,
        Phase::Upgraded,
        Phase::Handshake,
        Phase::ProxyHeader,
    ];
    ALL.into_iter()
        .find(|phase| *phase as u8 == number)
        .unwrap_or(Phase::Handler)
}
