//! A worker's wait, filled in with a driver.

use std::sync::Arc;
use std::time::Duration;

use blitz_driver::Driver;
use blitz_exec::park::{Park, Rest, Unpark, Watch};
use blitz_exec::scheduler::insight;
use blitz_exec::stats::WorkerStats;
use blitz_sys::cpu;

use crate::context;

/// The clock of what is measured: real time, whatever the runtime's clock does, for figures are of what a program costs.
pub(super) struct RealTime;

impl insight::Clock for RealTime {
    fn now_ns(&self) -> u64 {
        cpu::monotonic_ns()
    }
}

/// A driver, the worker's figures with the clock for them, and the processor that its thread is tied to.
pub(super) struct DriverPark {
    driver: Driver,
    stats: Arc<WorkerStats>,
    clock: cpu::Clock,
    /// Processors for the thread that holds the core; all that it may use anyway if empty.
    cpus: Vec<usize>,
    /// Where the thread could run before, if it is tied now.
    before: Option<Vec<usize>>,
    /// The thread that holds the core.
    thread: Option<u32>,
}

impl DriverPark {
    pub(super) fn new(driver: Driver, cpus: Vec<usize>) -> Self {
        Self {
            driver,
            stats: WorkerStats::new(),
            clock: cpu::Clock::new(),
            cpus,
            before: None,
            thread: None,
        }
    }
}

impl Park for DriverPark {
    fn bind(&mut self) {
        self.driver.bind();
        if !self.cpus.is_empty() {
            // Where threads cannot be tied, or these processors are gone, the worker runs where it may.
            self.before = cpu::affinity().ok();
            context::remember_place(self.before.clone());
            // As above.
            let _ = cpu::set_affinity(&self.cpus);
        }
        self.stats.begin(self.clock.now_ns());
        self.thread = cpu::thread_id();
        self.stats.set_os_thread(self.thread);
    }

    fn unbind(&mut self) {
        self.stats.end(self.clock.now_ns());
        if let Some(allowed) = self.before.take() {
            context::remember_place(None);
            // They were this thread's a moment ago; if they are gone it stays where it is.
            let _ = cpu::set_affinity(&allowed);
        }
        self.driver.unbind();
    }

    fn seize(&mut self) {
        self.stats.end(self.clock.now_ns());
        self.driver.seize();
        // The stuck thread is no worker any more, and must not be in the way of the one that takes over.
        if let (Some(thread), Some(allowed)) = (self.thread, self.before.take()) {
            let _ = cpu::set_affinity_of(thread, &allowed);
        }
    }

    fn park(&mut self) {
        self.stats.park(self.clock.now_ns());
        self.driver.turn(None);
        self.stats.unpark(self.clock.now_ns());
    }

    fn park_timeout(&mut self, limit: Duration) {
        if limit.is_zero() {
            self.driver.turn(Some(limit));
            self.stats.see(self.clock.now_ns());
        } else {
            self.stats.park(self.clock.now_ns());
            self.driver.turn(Some(limit));
            self.stats.unpark(self.clock.now_ns());
        }
    }

    fn unparker(&self) -> Arc<dyn Unpark> {
        Arc::new(DriverUnpark(self.driver.handle().clone()))
    }

    fn stats(&self) -> Arc<WorkerStats> {
        Arc::clone(&self.stats)
    }

    fn shutdown(&mut self) {
        self.driver.shutdown();
    }
}

struct DriverUnpark(blitz_driver::Handle);

impl Unpark for DriverUnpark {
    fn unpark(&self) {
        self.0.unpark();
    }

    fn rest(&self) -> Rest {
        let (asleep, moves) = self.0.rest();
        Rest { asleep, moves }
    }

    fn lost(&self) {
        blitz_driver::forget_seized();
    }
}

/// Holds paused time still while blocking calls wait or run.
pub(super) struct ClockWatch(pub(super) blitz_driver::Clock);

impl Watch for ClockWatch {
    fn begin(&self) {
        self.0.hold();
    }

    fn end(&self) {
        self.0.let_go();
    }
}
