//! What a runtime tells whoever listens by `tracing`: rare events, never one for each task, message or turn.
//!
//! All have the target `blitz_io`. Where nobody listens an event costs one load.

use std::fmt;
use std::path::Path;

use blitz_driver::Backend;
use blitz_exec::scheduler::warnings::{Warning, WarningKind};

use crate::context::{Handle, StuckReport};

const TARGET: &str = "blitz_io";

/// A runtime was built: which back end its drivers have and why, and where it can be read.
pub(super) fn started(handle: &Handle, inspected: Option<&Path>) {
    let metrics = handle.metrics();
    let workers = metrics.num_workers();
    for worker in 0..workers {
        let ring = metrics.worker_ring_metrics(worker);
        let first = handle.capabilities();
        let like_the_first = ring.backend == first.backend() && ring.reason == first.reason();
        if worker > 0 && like_the_first {
            continue;
        }
        tracing::info!(
            target: TARGET,
            runtime = %handle.id(),
            name = handle.name(),
            worker,
            workers,
            backend = %ring.backend,
            reason = %ring.reason,
            ring = ring.backend == Backend::IoUring,
            "back end chosen"
        );
    }
    if let Some(path) = inspected {
        tracing::info!(target: TARGET, runtime = %handle.id(), path = %path.display(), "can be inspected");
    }
}

/// Something was noticed that should not be.
pub(super) fn warned(warning: &Warning) {
    let (task, name) = (warning.task, warning.name.as_deref());
    let spawned_at = warning.spawned_at;
    match warning.kind {
        WarningKind::LongPoll { took } => {
            tracing::warn!(target: TARGET, %task, name, %spawned_at, ?took, "long poll: {warning}");
        }
        WarningKind::UnpolledWait { .. } | WarningKind::Deadlock { .. } => {
            let other = warning.other.as_ref();
            let other_task = other.map(|other| tracing::field::display(other.task));
            let other_at = other.map(|other| tracing::field::display(other.at));
            tracing::warn!(target: TARGET, %task, name, %spawned_at, other_task, other_at, "stuck wait: {warning}");
        }
        _ => tracing::warn!(target: TARGET, %task, name, %spawned_at, "{warning}"),
    }
}

/// Whether somebody wants to know of stuck workers.
pub(super) fn are_heard() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::WARN)
}

/// A worker is stuck, or was rescued.
pub(super) fn stuck(report: &StuckReport) {
    let stuck_for = report.stuck_for;
    let stack = report.stack.as_ref().map(tracing::field::display);
    tracing::warn!(target: TARGET, worker = report.worker, ?stuck_for, stack, "stuck worker: {report}");
}

/// Stuck threads cannot be asked for their stacks.
pub(super) fn no_stacks(signal: i32, why: &dyn fmt::Display) {
    tracing::warn!(target: TARGET, signal, "no stacks of stuck workers: {why}");
}

/// A graceful shutdown is over.
pub(super) fn ended(handle: &Handle, cut: usize, leaked: usize, report: &dyn fmt::Display) {
    if cut == 0 {
        tracing::info!(target: TARGET, runtime = %handle.id(), "shut down: every task ran to its end");
    } else {
        tracing::warn!(target: TARGET, runtime = %handle.id(), cut, leaked, "shut down: {report}");
    }
}
