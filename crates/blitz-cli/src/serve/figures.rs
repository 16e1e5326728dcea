//! What the start page shows of the running server: counters as they are, of which the page makes rates.

use super::log::Log;
use blitz_http::{Handle, Phase};
use blitz_io::runtime;
use serde_json::{Value, json};
use std::time::Instant;

/// The phases whose timeouts are shown as one figure.
const PHASES: [Phase; 7] = [
    Phase::Head,
    Phase::Idle,
    Phase::Body,
    Phase::BodyRate,
    Phase::Response,
    Phase::ResponseRate,
    Phase::Linger,
];

/// The figures at this moment.
pub(super) fn now(begun: Instant, server: &Handle, log: &Log) -> Value {
    let metrics = runtime::Handle::current().metrics();
    let counters = server.counters();
    let sockets = counters.sockets();
    let workers: Vec<Value> = (0..metrics.num_workers())
        .map(|worker| {
            let ring = metrics.worker_ring_metrics(worker);
            json!({
                "busy_us": micros(metrics.worker_total_busy_duration(worker)),
                "polls": metrics.worker_poll_count(worker),
                "parks": metrics.worker_park_count(worker),
                "steals": metrics.worker_steal_count(worker),
                "queue": metrics.worker_local_queue_depth(worker),
                "turns": ring.turns,
                "enters": ring.enters,
                "completions": ring.completions,
                "ready": ring.ready_events,
            })
        })
        .collect();
    json!({
        "uptime_us": micros(begun.elapsed()),
        "requests": counters.requests(),
        "connections": counters.connections(),
        "open": server.open(),
        "refused": counters.refused(),
        "panics": counters.panics(),
        "timeouts": PHASES.iter().map(|phase| counters.timeouts(*phase)).sum::<u64>(),
        "bytes_sent": log.bytes_sent(),
        "tasks": metrics.num_alive_tasks(),
        "spawned": metrics.spawned_tasks_count(),
        "blocking": metrics.num_blocking_threads(),
        "memory": resident(),
        "sockets": {
            "opened": sockets.opened(),
            "open": sockets.open(),
            "received": sockets.received(),
            "sent": sockets.sent(),
            "dead": sockets.dead(),
            "bytes_waiting": sockets.bytes_waiting(),
        },
        "workers": workers,
    })
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Bytes of this process in memory, where the system tells by a file that is no file: reading it waits for no disk.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
