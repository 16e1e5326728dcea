//! Models of the schedulers, with a wait that has no kernel behind it. The tests on real threads stand in `tests/it`.

mod alarm;
mod grip;
mod idle;
mod multi;
mod park;
mod single;

use std::sync::Arc as StdArc;
use std::time::Duration;

use blitz_core::primitive::sync::{Arc, Condvar, Mutex};

use crate::park::{Park, Unpark};

/// A wait with a token, as drivers have it.
pub(crate) struct FakePark(Arc<Token>);

#[derive(Default)]
pub(crate) struct Token {
    /// Unparked, and whether the park was shut down.
    state: Mutex<bool>,
    signal: Condvar,
}

impl FakePark {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Token {
            state: Mutex::new(false),
            signal: Condvar::new(),
        }))
    }

    pub(crate) fn boxed() -> Box<dyn Park> {
        Box::new(Self::new())
    }
}

impl Park for FakePark {
    fn bind(&mut self) {}

    fn unbind(&mut self) {}

    fn seize(&mut self) {}

    fn park(&mut self) {
        let mut unparked = self.0.state.lock();
        while !*unparked {
            unparked = match self.0.signal.wait(unparked) {
                Ok(guard) => guard,
                Err(poison) => poison.into_inner(),
            };
        }
        *unparked = false;
    }

    fn park_timeout(&mut self, limit: Duration) {
        assert!(limit.is_zero(), "schedulers wait for ever or not at all");
    }

    fn unparker(&self) -> StdArc<dyn Unpark> {
        StdArc::new(FakeUnpark(Arc::clone(&self.0)))
    }

    fn shutdown(&mut self) {}
}

pub(crate) struct FakeUnpark(Arc<Token>);

impl Unpark for FakeUnpark {
    fn unpark(&self) {
        *self.0.state.lock() = true;
        self.0.signal.notify_one();
    }
}
