//! Every async method, dropped after each number of polls and at each point of what the other side does meanwhile: no message,
//! permit, wake or place in a line is lost.
//!
//! [`TABLE`] and [`CHANNELS`] have a [`Scene`] for each of them: the wait that is dropped, the other side's steps, and what must hold afterwards. A
//! test reads the crate's source, and fails if a method is not in the table.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;

use crate::async_methods::async_methods;
use crate::cancel_channels::{CHANNELS, ELSEWHERE};
use crate::cancel_table::TABLE;
use crate::harness::{Count, poll_counted};

pub(crate) type Wait<T = ()> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Makes a scene anew for each play.
pub(crate) type Make = fn() -> Scene;

/// One wait that may be dropped, and all around it.
pub(crate) struct Scene {
    victim: Wait,
    steps: Vec<Box<dyn FnOnce() + Send>>,
    settle: Box<dyn FnOnce(Outcome) + Send>,
}

/// How far the wait came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) polls: usize,
    pub(crate) finished: bool,
}

impl Scene {
    pub(crate) fn of(victim: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            victim: Box::pin(victim),
            steps: Vec::new(),
            settle: Box::new(|_| ()),
        }
    }

    /// The other side's next step.
    pub(crate) fn step(mut self, step: impl FnOnce() + Send + 'static) -> Self {
        self.steps.push(Box::new(step));
        self
    }

    /// What must hold when all steps were taken and the wait is over or dropped.
    pub(crate) fn settle(mut self, settle: impl FnOnce(Outcome) + Send + 'static) -> Self {
        self.settle = Box::new(settle);
        self
    }
}

/// Another who waits, for the steps and for what must hold afterwards.
pub(crate) struct Other<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    future: Option<Wait<T>>,
    output: Option<T>,
    wakes: Arc<Count>,
    /// How often it had been woken before its last poll.
    seen: usize,
}

impl<T> Clone for Other<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + 'static> Other<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(State {
            future: Some(Box::pin(future)),
            output: None,
            wakes: Arc::default(),
            seen: 0,
        })))
    }

    /// Polls it once, if it is not ready yet.
    pub(crate) fn poll(&self) {
        let mut state = self.0.lock().unwrap();
        let state = &mut *state;
        let Some(future) = &mut state.future else {
            return;
        };
        state.seen = state.wakes.wakes();
        if let Poll::Ready(output) = poll_counted(future.as_mut(), &state.wakes) {
            state.output = Some(output);
            state.future = None;
        }
    }

    /// It stops waiting.
    pub(crate) fn cancel(&self) {
        let future = self.0.lock().unwrap().future.take();
        drop(future);
    }

    /// It must be ready, and if it has waited, it must have been told.
    #[track_caller]
    pub(crate) fn done(&self) -> T {
        {
            let state = self.0.lock().unwrap();
            let is_told = state.output.is_some() || state.wakes.wakes() > state.seen;
            assert!(is_told, "the other was not woken");
        }
        self.poll();
        let output = self.0.lock().unwrap().output.take();
        output.expect("the other is not ready")
    }

    /// It must still wait.
    #[track_caller]
    pub(crate) fn waits(&self) {
        self.poll();
        assert!(
            self.0.lock().unwrap().output.is_none(),
            "the other is ready"
        );
    }
}

/// Plays a scene: `polls[i]` times the wait is polled before step `i`, and it is dropped before step `drop_at`, if it is not over by
/// then; the last of `polls` are after all steps.
fn play(scene: Scene, polls: &[usize], drop_at: usize) {
    let mut victim = Some(scene.victim);
    let wakes = Arc::default();
    let mut outcome = Outcome {
        polls: 0,
        finished: false,
    };
    let mut steps = scene.steps.into_iter();
    for (at, count) in polls.iter().enumerate() {
        for _ in 0..*count {
            let Some(future) = &mut victim else { break };
            outcome.polls += 1;
            if poll_counted(future.as_mut(), &wakes).is_ready() {
                outcome.finished = true;
                victim = None;
            }
        }
        if at == drop_at {
            victim = None;
        }
        if let Some(step) = steps.next() {
            step();
        }
    }
    assert!(steps.next().is_none());
    drop(victim);
    (scene.settle)(outcome);
}

/// The most polls before one step.
const POLLS: usize = 2;

/// Calls `f` with every way to poll up to [`POLLS`] times at each of `places`.
fn each_way(places: usize, f: &mut impl FnMut(&[usize])) {
    let mut polls = vec![0; places];
    loop {
        f(&polls);
        let Some(at) = polls.iter().position(|count| *count < POLLS) else {
            return;
        };
        polls[..at].fill(0);
        polls[at] += 1;
    }
}

#[test]
fn nothing_is_lost_wherever_a_wait_is_dropped() {
    for (name, make) in TABLE.iter().chain(CHANNELS) {
        let places = make().steps.len() + 1;
        let mut plays = 0;
        for drop_at in 0..places {
            // What comes after the drop is not polled.
            each_way(drop_at + 1, &mut |polls| {
                let mut polls = polls.to_vec();
                polls.resize(places, 0);
                let told = Told(name, &polls, drop_at);
                play(make(), &polls, drop_at);
                std::mem::forget(told);
                plays += 1;
            });
        }
        assert!(plays >= 3 + 9, "{name}: a scene has a step at least");
    }
}

/// Says which play it was, if that panics.
struct Told<'a>(&'a str, &'a [usize], usize);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        eprintln!("{}: polled {:?}, dropped at {}", self.0, self.1, self.2);
    }
}

/// The same with the other side on a thread of its own.
#[test]
fn nothing_is_lost_wherever_a_wait_is_dropped_beside_another_thread() {
    const ROUNDS: usize = 40;
    for (name, make) in TABLE.iter().chain(CHANNELS) {
        for round in 0..ROUNDS {
            let told = Told(name, &[round], 0);
            let mut scene = make();
            let steps = std::mem::take(&mut scene.steps);
            let begin = Arc::new(std::sync::Barrier::new(2));
            let other = thread::spawn({
                let begin = Arc::clone(&begin);
                move || {
                    begin.wait();
                    steps.into_iter().for_each(|step| step());
                }
            });
            let mut victim = Some(scene.victim);
            let wakes = Arc::default();
            let mut outcome = Outcome {
                polls: 0,
                finished: false,
            };
            begin.wait();
            for _ in 0..round % 5 {
                let Some(future) = &mut victim else { break };
                outcome.polls += 1;
                if poll_counted(future.as_mut(), &wakes).is_ready() {
                    outcome.finished = true;
                    victim = None;
                }
                for _ in 0..round % 7 {
                    thread::yield_now();
                }
            }
            drop(victim);
            other.join().unwrap();
            (scene.settle)(outcome);
            std::mem::forget(told);
        }
    }
}

#[test]
fn every_async_method_is_in_the_table() {
    let Some(found) = async_methods(env!("CARGO_MANIFEST_DIR")) else {
        return;
    };
    assert!(found.contains("mutex lock") && found.contains("oneshot Receiver"));
    let listed: BTreeSet<String> = TABLE
        .iter()
        .chain(CHANNELS)
        .map(|(name, _)| name.split(':').next().unwrap_or(name).to_owned())
        .chain(ELSEWHERE.iter().map(|(name, _)| (*name).to_owned()))
        .collect();
    let missing: Vec<_> = found.difference(&listed).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(
        gone.is_empty(),
        "in the table, and not in the source: {gone:?}"
    );
}
