//! A runtime's figures as JSON objects: the lines of an inspection socket's answers.

use std::collections::BTreeMap;
use std::time::Duration;

use blitz_driver::RingMetrics;
use blitz_exec::scheduler::warnings::Warning;

use super::json::{Value, fields};
use crate::context::tasks::TaskInfo;
use crate::context::{Handle, RuntimeFlavor, RuntimeMetrics, StuckReport};

/// The version of the protocol: a new field leaves it as it is, a changed one does not.
const PROTOCOL: u32 = 1;

/// The runtime as a whole.
pub(super) fn runtime(handle: &Handle) -> Value {
    let metrics = handle.metrics();
    let capabilities = handle.capabilities();
    fields! {
        "protocol": PROTOCOL,
        "blitz_io": env!("CARGO_PKG_VERSION"),
        "process": std::process::id(),
        "program": program(),
        "id": handle.id().to_string(),
        "name": handle.name(),
        "flavor": flavor(handle.runtime_flavor()),
        "backend": capabilities.backend().to_string(),
        "reason": capabilities.reason(),
        "workers": metrics.num_workers(),
        "tasks_alive": metrics.num_alive_tasks(),
        "tasks_spawned": metrics.spawned_tasks_count(),
        "global_queue_depth": metrics.global_queue_depth(),
        "remote_schedules": metrics.remote_schedule_count(),
        "forced_yields": metrics.budget_forced_yield_count(),
        "blocking_threads": metrics.num_blocking_threads(),
        "blocking_threads_idle": metrics.num_idle_blocking_threads(),
        "blocking_queue_depth": metrics.blocking_queue_depth(),
        "warnings": metrics.warnings_count(),
        "stuck": metrics.stuck_count(),
        "rescues": metrics.rescue_count(),
    }
}

/// The name of the running program's file.
fn program() -> Option<String> {
    let path = std::env::current_exe().ok()?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}

fn flavor(flavor: RuntimeFlavor) -> &'static str {
    match flavor {
        RuntimeFlavor::CurrentThread => "current_thread",
        RuntimeFlavor::MultiThread => "multi_thread",
        RuntimeFlavor::ThreadPerCore => "thread_per_core",
    }
}

/// One worker. What counts up counts from the runtime's start.
pub(super) fn worker(metrics: &RuntimeMetrics, worker: usize) -> Value {
    fields! {
        "worker": worker,
        // Nobody runs a `current_thread` worker outside of `block_on`.
        "has_thread": metrics.has_thread(worker),
        "busy_ns": nanoseconds(metrics.worker_total_busy_duration(worker)),
        "parks": metrics.worker_park_count(worker),
        "park_unparks": metrics.worker_park_unpark_count(worker),
        "noops": metrics.worker_noop_count(worker),
        "polls": metrics.worker_poll_count(worker),
        "mean_poll_ns": nanoseconds(metrics.worker_mean_poll_time(worker)),
        "longest_poll_ns": metrics.poll_time_histogram(worker).max(),
        "queue_depth": metrics.worker_local_queue_depth(worker),
        "local_schedules": metrics.worker_local_schedule_count(worker),
        "overflows": metrics.worker_overflow_count(worker),
        "steals": metrics.worker_steal_count(worker),
        "steal_operations": metrics.worker_steal_operations(worker),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// One worker's driver.
pub(super) fn ring(worker: usize, ring: &RingMetrics) -> Value {
    let in_flight = ring.in_flight.iter();
    let in_flight = in_flight.map(|kind| (kind.operation.into(), kind.count.into()));
    fields! {
        "worker": worker,
        "backend": ring.backend.to_string(),
        "reason": ring.reason.as_str(),
        "sq_entries": ring.sq_entries,
        "cq_entries": ring.cq_entries,
        "turns": ring.turns,
        "enters": ring.enters,
        "selector_waits": ring.selector_waits,
        "submitted": ring.submitted,
        "completions": ring.completions,
        "ready_events": ring.ready_events,
        "overflows": ring.overflows,
        "queue_full": ring.queue_full,
        "busy": ring.busy,
        "rearmed": ring.rearmed,
        "buffers_exhausted": ring.buffers_exhausted,
        "cancels": ring.cancels,
        "cancels_late": ring.cancels_late,
        "registered": ring.registered,
        "sources": ring.sources,
        "in_flight": Value::Object(in_flight.collect()),
        "timers": ring.timers,
        "ring_bytes": ring.ring_bytes,
        "buffer_bytes": ring.buffer_bytes,
        "timer_bytes": ring.timer_bytes,
        "table_bytes": ring.table_bytes,
    }
}

/// One warning about a task.
pub(super) fn warning(warning: &Warning) -> Value {
    let other = warning.other.as_ref().map(|other| {
        fields! {
            "task": other.task.to_string(),
            "name": other.name.as_deref(),
            "spawned_at": other.spawned_at.to_string(),
            "at": other.at.to_string(),
        }
    });
    fields! {
        "other": other,
        "task": warning.task.to_string(),
        "name": warning.name.as_deref(),
        "spawned_at": warning.spawned_at.to_string(),
        "says": warning.to_string(),
    }
}

/// One report of a stuck worker.
pub(super) fn stuck(report: &StuckReport) -> Value {
    fields! {
        "worker": report.worker,
        "stuck_for_ns": nanoseconds(report.stuck_for),
        "says": report.to_string(),
        "stack": report.stack.as_ref().map(ToString::to_string),
    }
}

/// The tasks of one spawn site that bear one name.
#[derive(Default)]
struct Site {
    tasks: u64,
    running: u64,
    scheduled: u64,
    idle: u64,
    polls: u64,
    self_wakes: u64,
    bytes: usize,
    /// How many wait for each call.
    awaits: BTreeMap<&'static str, u64>,
}

/// Tasks by the place where they were spawned, and their name.
pub(super) fn sites(tasks: &[TaskInfo]) -> Vec<Value> {
    use blitz_exec::task::TaskState;
    let mut sites: BTreeMap<_, Site> = BTreeMap::new();
    for task in tasks {
        let site = sites
            .entry((task.spawned_at, task.name.as_deref()))
            .or_default();
        site.tasks += 1;
        match task.state {
            TaskState::Running => site.running += 1,
            TaskState::Scheduled => site.scheduled += 1,
            _ => site.idle += 1,
        }
        site.polls += task.polls;
        site.self_wakes += task.self_wakes;
        site.bytes += task.bytes;
        if let Some(awaits) = &task.awaits {
            *site.awaits.entry(awaits.what).or_default() += 1;
        }
    }
    let of = |((at, name), site): ((&std::panic::Location<'_>, Option<&str>), Site)| {
        let most = site.awaits.iter().max_by_key(|(_, count)| **count);
        fields! {
            "spawned_at": at.to_string(),
            "name": name,
            "tasks": site.tasks,
            "running": site.running,
            "scheduled": site.scheduled,
            "idle": site.idle,
            "polls": site.polls,
            "self_wakes": site.self_wakes,
            "bytes": site.bytes,
            "awaits": most.map(|(what, _)| *what),
        }
    };
    sites.into_iter().map(of).collect()
}
