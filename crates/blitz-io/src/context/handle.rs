//! The handle of a runtime: spawns on it from anywhere, enters it, and looks at it.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use blitz_driver::{Capabilities, Clock};
use blitz_exec::blocking;
use blitz_exec::scheduler;
use blitz_exec::task::{JoinHandle, SpawnInfo};

use super::{EnterGuard, TryCurrentError};
use crate::runtime::{Id, RuntimeFlavor, RuntimeMetrics, WorkerClock};

/// A handle of a runtime. Clones are cheap and all mean the same runtime.
///
/// A handle does not keep its runtime running: what is spawned after the runtime is gone is cancelled at once.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

/// What every handle of one runtime shares.
pub(crate) struct Inner {
    pub(crate) id: Id,
    pub(crate) flavor: RuntimeFlavor,
    pub(crate) scheduler: scheduler::Handle,
    pub(crate) blocking: blocking::Spawner,
    pub(crate) drivers: Box<[blitz_driver::Handle]>,
    pub(crate) next_driver: AtomicUsize,
    pub(crate) clock: Clock,
    pub(crate) workers: Box<[Arc<WorkerClock>]>,
    pub(crate) name: Option<String>,
}

impl Handle {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn same_runtime(&self, other: &Handle) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// One of the runtime's drivers, each in its turn.
    pub(crate) fn next_driver(&self) -> blitz_driver::Handle {
        let drivers = &self.inner.drivers;
        // ORDERING: Relaxed: only a choice, it publishes nothing.
        let turn = if drivers.len() == 1 { 0 } else { self.inner.next_driver.fetch_add(1, Ordering::Relaxed) };
        drivers[turn % drivers.len()].clone()
    }
}
