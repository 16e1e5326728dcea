//! One thread of the pool: takes jobs until its keep-alive or the pool ends.

use std::cell::Cell;
use std::ptr;
use std::time::Duration;

use super::job::Job;
use super::pool::{Inner, State};
use crate::park::call_hook;
use blitz_core::primitive::sync::{Arc, MutexGuard};
use blitz_core::quiet::quietly;

blitz_core::thread_local_const! {
    /// The pool that this thread belongs to, by its address.
    static POOL: Cell<*const Inner> = Cell::new(ptr::null());
}

/// Whether this thread is one of the pool's.
pub(super) fn is_of(inner: &Arc<Inner>) -> bool {
    POOL.with(Cell::get) == Arc::as_ptr(inner)
}

/// The life of a pool thread, from start to exit.
pub(super) fn run(inner: &Arc<Inner>, index: u64) {
    POOL.with(|pool| pool.set(Arc::as_ptr(inner)));
    let _alive = Alive(inner);
    let _context = inner.config.enter.as_ref().map(|enter| enter());
    call_hook(&inner.config.on_start);
    work(inner, index);
    call_hook(&inner.config.on_stop);
}

/// The thread has not run its last line. By a panic it gets there, too: leaving the runtime's context panics where a call
/// has forgotten a guard of its own, and a shutdown must not wait for ever because of that.
struct Alive<'a>(&'a Inner);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.alive -= 1;
        drop(state);
        // Whoever shuts down counts for itself: it may be a thread of the pool, which waits for all but itself.
        self.0.all_gone.notify_all();
    }
}

/// Takes jobs until there is nothing to stay for. The decision to leave and the count of threads change under one lock:
/// whoever pushes a job never counts on a thread that has made up its mind to go.
fn work(inner: &Arc<Inner>, index: u64) {
    let mut state = inner.state.lock();
    // A job for which this thread was started, or woken, has begun: it runs even if the shutdown was quicker.
    let mut begun = true;
    if inner.config.on_start.is_some() {
        state.starting -= 1;
    } else {
        state.coming -= 1;
    }
    loop {
        while let Some(job) = state.pop() {
            inner.note_queue(&state);
            // As many as there are threads on their way for run as well, whoever takes them.
            let on_their_way = state.coming + state.starting + state.calling;
            let cancelled = state.shutdown && !begun && state.len() >= on_their_way;
            begun = false;
            // If there is more, and nobody comes for it, the next thread is called before this one is busy. If the system
            // has none to give, those that there are take the rest in their turn.
            let mut notify = false;
            if has_more(&state) {
                let mut name = None;
                if inner.would_start(&state) {
                    // Meanwhile the job is not one that nobody comes for.
                    state.calling += 1;
                    drop(state);
                    (state, name) = inner.lock_to_summon(has_more);
                    state.calling -= 1;
                }
                notify =
                    has_more(&state) && Inner::summon(inner, &mut state, name).unwrap_or(false);
            }
            drop(state);
            if notify {
                inner.notify_one();
            }
            // A call's own panic went to its handle. What is caught here came from a hook of the user or a worker that
            // broke; other jobs still count on this thread.
            quietly(|| run_job(job, cancelled));
            state = inner.state.lock();
        }
        let stay;
        (state, stay) = if state.shutdown {
            (state, false)
        } else {
            rest(inner, state)
        };
        if !stay && state.is_empty() {
            break;
        }
        begun = stay;
        state.coming -= usize::from(stay);
    }
    state.threads -= 1;
    inner.note_threads(&state);
    let own = state
        .handles
        .iter()
        .position(|(handle, _)| *handle == index);
    let own = own.map(|at| state.handles.swap_remove(at).1);
    // At shutdown each thread joins the one that left before it, and the pool's owner joins the last.
    let before = if state.shutdown {
        std::mem::replace(&mut state.last_exited, own)
    } else {
        None
    };
    drop(state);
    if let Some(before) = before {
        // If it panicked the panic hook has told so; it is gone either way.
        let _ = before.join();
    }
}

/// Whether a job waits that nobody comes for.
fn has_more(state: &State) -> bool {
    !state.is_empty() && state.coming == 0
}

fn run_job(job: Job, cancelled: bool) {
    if cancelled {
        job.shut_down()
    } else {
        job.run()
    }
}

/// A thread that had to stay asks again after that, or after its keep-alive if that is longer.
const STAYS_FOR: Duration = Duration::from_millis(10);

fn must_stay(inner: &Inner) -> bool {
    let stays = inner.config.stays.as_ref();
    stays.is_some_and(|stays| stays())
}

/// Waits for a job to be reserved for this thread. `false`: the keep-alive ran out, or the pool shuts down.
fn rest<'a>(
    inner: &'a Arc<Inner>,
    mut state: MutexGuard<'a, State>,
) -> (MutexGuard<'a, State>, bool) {
    state.idle += 1;
    inner.note_threads(&state);
    let mut keep_alive = inner.config.keep_alive;
    loop {
        let timed_out;
        (state, timed_out) = inner.wait(state, keep_alive);
        // A reservation first: it may have come together with the time-out or with the shutdown.
        if state.reserved > 0 {
            state.reserved -= 1;
            return (state, true);
        }
        if timed_out && !state.shutdown && must_stay(inner) {
            keep_alive = keep_alive.max(STAYS_FOR);
        } else if state.shutdown || timed_out {
            state.idle -= 1;
            inner.note_threads(&state);
            return (state, false);
        }
    }
}
