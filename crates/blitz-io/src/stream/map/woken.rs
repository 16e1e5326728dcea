//! Which streams of a map were woken, and the task that waits for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// Shared by a map and the wakers of its streams.
#[derive(Debug, Default)]
pub(super) struct Woken(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Places that were woken since the map has asked, each once.
    ids: Vec<usize>,
    /// For each place, whether it is among them.
    is_noted: Vec<bool>,
    /// The task to wake when the first is added.
    task: Option<Waker>,
}

impl State {
    fn note(&mut self, id: usize) {
        if self.is_noted.len() <= id {
            self.is_noted.resize(id + 1, false);
        }
        if !self.is_noted[id] {
            self.is_noted[id] = true;
            self.ids.push(id);
        }
    }
}

impl Woken {
    /// No code of a user runs under it, so nothing in it is ever half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The waker of a place.
    pub(super) fn waker(woken: &Arc<Self>, id: usize) -> Waker {
        Waker::from(Arc::new(Bell {
            id,
            woken: Arc::clone(woken),
        }))
    }

    /// Has a place asked by the next poll, without a wake.
    pub(super) fn note(&self, id: usize) {
        self.lock().note(id);
    }

    /// Moves those that were woken to `ids`, which is empty.
    pub(super) fn take(&self, ids: &mut Vec<usize>) {
        let mut state = self.lock();
        std::mem::swap(&mut state.ids, ids);
        for &id in &*ids {
            state.is_noted[id] = false;
        }
    }

    /// Wakes `task` by the next that is woken, at once if one was.
    pub(super) fn wait(&self, task: &Waker) {
        let mut task = Some(task.clone());
        let mut state = self.lock();
        let is_due = !state.ids.is_empty();
        if !is_due {
            std::mem::swap(&mut state.task, &mut task);
        }
        drop(state);
        // Its own, or the one of before, which goes without a wake.
        if let Some(task) = task
            && is_due
        {
            task.wake();
        }
    }
}

/// What wakes one stream's place.
struct Bell {
    id: usize,
    woken: Arc<Woken>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.woken.lock();
        state.note(self.id);
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}
