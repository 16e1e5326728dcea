//! The crew's threads, from start to exit, and who waits for the last.

use super::ledger::{self, Ledger};
use crate::blocking::EnterHook;
use crate::park::ThreadHook;
use blitz_core::budget;
use blitz_core::primitive::sync::{Condvar, Mutex};
use blitz_core::primitive::thread;
use blitz_core::quiet::quietly;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::ptr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

std::thread_local! {
    /// The roll that this thread stands on, by its address.
    static ROLL: Cell<*const Roll> = const { Cell::new(ptr::null()) };
}

/// What the threads of a bridge are made with.
#[derive(Clone)]
pub struct ThreadConfig {
    /// How many.
    pub count: usize,
    /// A thread's stack, in bytes; the standard library's choice if `None`.
    pub stack_size: Option<usize>,
    /// Names the thread of a number.
    pub name: Arc<dyn Fn(usize) -> String + Send + Sync>,
    /// Called on each thread before its first call.
    pub on_start: Option<ThreadHook>,
    /// Called on each thread after its last call.
    pub on_stop: Option<ThreadHook>,
    /// Puts each thread in its runtime.
    pub enter: Option<EnterHook>,
}

impl Default for ThreadConfig {
    fn default() -> Self {
        Self {
            count: 1,
            stack_size: None,
            name: Arc::new(|index| format!("blitz-io-cpu-{index}")),
            on_start: None,
            on_stop: None,
            enter: None,
        }
    }
}

impl fmt::Debug for ThreadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadConfig")
            .field("count", &self.count)
            .field("stack_size", &self.stack_size)
            .finish_non_exhaustive()
    }
}

/// Starts the threads of one bridge.
#[derive(Clone)]
pub struct Threads {
    config: Arc<ThreadConfig>,
    ledger: Arc<Ledger>,
    roll: Arc<Roll>,
}

impl Threads {
    pub(super) fn new(config: ThreadConfig, ledger: Arc<Ledger>) -> Self {
        Self {
            config: Arc::new(config),
            ledger,
            roll: Arc::new(Roll {
                state: Mutex::new(State {
                    alive: 0,
                    handles: Vec::new(),
                }),
                all_gone: Condvar::new(),
            }),
        }
    }

    /// How many a crew is to have.
    pub fn count(&self) -> usize {
        self.config.count
    }

    pub(super) fn roll(&self) -> &Roll {
        &self.roll
    }

    /// Starts the thread of number `index`, which does `work` and then leaves.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(&self, index: usize, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut builder = thread::Builder::new().name((self.config.name)(index));
        if let Some(bytes) = self.config.stack_size {
            builder = builder.stack_size(bytes);
        }
        // Counted before it runs, and by its guard until its last line.
        self.roll.state.lock().alive += 1;
        let alive = Alive(Arc::clone(&self.roll));
        let (config, ledger) = (Arc::clone(&self.config), Arc::clone(&self.ledger));
        let handle = builder.spawn(move || {
            ROLL.set(Arc::as_ptr(&alive.0));
            let seated = ledger::take_seat(&ledger, index);
            live(&config, work);
            drop(seated);
            drop(alive);
        })?;
        self.roll.state.lock().handles.push(handle);
        Ok(())
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

/// The life of a thread.
fn live(config: &ThreadConfig, work: impl FnOnce()) {
    let _context = config.enter.as_ref().map(|enter| enter());
    let _computing = budget::enter_compute();
    call(&config.on_start);
    work();
    call(&config.on_stop);
}

/// Calls a user's hook. One that panics has told so by the panic hook; the thread is still needed.
fn call(hook: &Option<ThreadHook>) {
    if let Some(hook) = hook {
        quietly(|| hook());
    }
}

/// Which threads are there.
pub(super) struct Roll {
    state: Mutex<State>,
    /// A thread has run its last line.
    all_gone: Condvar,
}

struct State {
    alive: usize,
    handles: Vec<thread::JoinHandle<()>>,
}

impl Roll {
    pub(super) fn alive(&self) -> usize {
        self.state.lock().alive
    }

    /// Waits until all but the calling thread are gone; see [`Bridge::wait_gone`](super::Bridge::wait_gone).
    pub(super) fn wait_gone(&self, limit: Option<Duration>) -> bool {
        // A runtime may be ended by a computation of its own: that thread waits for the others.
        let own = usize::from(ptr::eq(ROLL.get(), self));
        let mut state = self.state.lock();
        state = match limit {
            Some(limit) => self.wait_until_gone(state, own, limit),
            None => {
                while state.alive > own {
                    state = self
                        .all_gone
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                state
            }
        };
        if state.alive > own {
            return false;
        }
        // They have run their last lines: only their exits from the system remain, which nobody waits for who is in a hurry.
        if (limit, own) == (None, 0) {
            let handles = std::mem::take(&mut state.handles);
            drop(state);
            for handle in handles {
                let _ = handle.join();
            }
        }
        true
    }

    #[cfg(not(loom))]
    fn wait_until_gone<'a>(
        &self,
        state: blitz_core::primitive::sync::MutexGuard<'a, State>,
        own: usize,
        limit: Duration,
    ) -> blitz_core::primitive::sync::MutexGuard<'a, State> {
        let result = self
            .all_gone
            .wait_timeout_while(state, limit, |state| state.alive > own);
        result.unwrap_or_else(PoisonError::into_inner).0
    }

    /// In a model no time passes: the limit is over at once.
    #[cfg(loom)]
    fn wait_until_gone<'a>(
        &self,
        state: blitz_core::primitive::sync::MutexGuard<'a, State>,
        _own: usize,
        _limit: Duration,
    ) -> blitz_core::primitive::sync::MutexGuard<'a, State> {
        state
    }
}

/// A thread that has not run its last line, or could not be started.
struct Alive(Arc<Roll>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.state.lock().alive -= 1;
        self.0.all_gone.notify_all();
    }
}
