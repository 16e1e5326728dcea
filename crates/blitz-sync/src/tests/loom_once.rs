//! Cells that are filled once, explored. Each test is named by what can never happen.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

use crate::{OnceCell, SetOnce};

fn bounded_model(check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(check);
}

/// A value that loom watches: written before it is put in its cell, and read by whoever gets it.
struct Watched(UnsafeCell<i32>);

impl Watched {
    fn new(number: i32) -> Self {
        let cell = UnsafeCell::new(0);
        // SAFETY: nobody else has it yet.
        cell.with_mut(|value| unsafe { *value = number });
        Self(cell)
    }

    fn get(&self) -> i32 {
        // SAFETY: nobody writes it any more; loom objects if that is not seen.
        self.0.with(|value| unsafe { *value })
    }
}

// SAFETY: as in `get`.
unsafe impl Sync for Watched {}

/// Of two who want the value one makes it, and both see it whole.
#[test]
fn no_value_is_made_twice() {
    bounded_model(|| {
        let shared = Arc::new((OnceCell::new(), AtomicUsize::new(0)));
        let gets = |shared: &(OnceCell<Watched>, AtomicUsize)| {
            let makes = async || {
                shared.1.fetch_add(1, Relaxed);
                Watched::new(7)
            };
            assert_eq!(block_on(shared.0.get_or_init(makes)).get(), 7);
        };
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || gets(&shared))
        };
        gets(&shared);
        other.join().unwrap();
        assert_eq!(shared.1.load(Relaxed), 1);
    });
}

/// Whoever finds the value without waiting sees it whole.
#[test]
fn no_half_of_a_value_is_seen() {
    bounded_model(|| {
        let cell = Arc::new(OnceCell::new());
        let sets = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || assert!(cell.set(Watched::new(7)).is_ok()))
        };
        if let Some(value) = cell.get() {
            assert_eq!(value.get(), 7);
        }
        sets.join().unwrap();
    });
}

/// Of two who set a cell one does; the other is told so, and finds the value whole then.
#[test]
fn no_cell_is_said_to_have_a_value_before_it_has() {
    bounded_model(|| {
        let cell = Arc::new(OnceCell::new());
        let sets = |cell: &OnceCell<Watched>| {
            let is_first = cell.set(Watched::new(7)).is_ok();
            assert_eq!(cell.get().map(Watched::get), Some(7));
            is_first
        };
        let other = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || sets(&cell))
        };
        let is_first = sets(&cell);
        assert!(is_first != other.join().unwrap());
    });
}

/// One who makes the value and one who sets it: whoever comes second sees the first's, or is told that it is being made.
#[test]
fn no_value_is_both_set_and_made() {
    bounded_model(|| {
        let cell = Arc::new(OnceCell::new());
        let makes = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || block_on(cell.get_or_init(async || Watched::new(1))).get())
        };
        let is_set = cell.set(Watched::new(2)).is_ok();
        let seen = makes.join().unwrap();
        assert_eq!(seen, if is_set { 2 } else { 1 });
        assert_eq!(cell.get().map(Watched::get), Some(seen));
    });
}

/// One who makes the value and is dropped leaves that to the next.
#[test]
fn no_cell_stays_with_one_who_gave_up() {
    bounded_model(|| {
        let cell = Arc::new(OnceCell::new());
        let gives_up = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                let makes = pin!(cell.get_or_init(std::future::pending));
                let _ = makes.poll(&mut Context::from_waker(Waker::noop()));
            })
        };
        assert_eq!(*block_on(cell.get_or_init(async || 7)), 7);
        gives_up.join().unwrap();
    });
}

/// Whoever waits for a value is told of it, and sees it whole.
#[test]
fn no_one_waits_beside_a_value() {
    bounded_model(|| {
        let cell = Arc::new(SetOnce::<Watched>::new());
        let waits = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || assert_eq!(block_on(cell.wait()).get(), 7))
        };
        assert!(cell.set(Watched::new(7)).is_ok());
        waits.join().unwrap();
    });
}

/// Of two who set the value one does, and the other gets its own back.
#[test]
fn no_value_is_set_twice() {
    bounded_model(|| {
        let cell = Arc::new(SetOnce::<i32>::new());
        let other = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || cell.set(1).is_ok())
        };
        let is_mine = cell.set(2).is_ok();
        let is_others = other.join().unwrap();
        assert!(is_mine != is_others);
        assert_eq!(cell.get(), Some(&if is_mine { 2 } else { 1 }));
    });
}
