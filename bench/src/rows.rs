//! The rows: what is measured, in which unit, with whom.

use crate::measure::Sample;
use crate::{cpu, csv, echo, files, meet, micro, sync, threads};

/// Which way is better.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Better {
    Lower,
    Higher,
}

/// One row of the table.
pub struct Row {
    pub name: &'static str,
    pub unit: &'static str,
    pub better: Better,
    /// Ratios are against this runtime.
    pub reference: &'static str,
    pub runtimes: &'static [&'static str],
}

/// Everyone who can run the micro rows.
const MICRO: &[&str] = &[
    "tokio-mt",
    "tokio-ct",
    "blitz-mt",
    "blitz-ct",
    "blitz-tpc",
    "monoio",
    "glommio",
    "compio",
    "smol",
];
/// glommio overflows its stack on a chain of spawns (0.9.0, "has overflowed its stack" at 20,000 links).
const CHAIN: &[&str] = &[
    "tokio-mt",
    "tokio-ct",
    "blitz-mt",
    "blitz-ct",
    "blitz-tpc",
    "monoio",
    "compio",
    "smol",
];
/// Those with worker threads that share work.
const STEALING: &[&str] = &["tokio-mt", "blitz-mt"];
/// Those with a way to the CPU's threads; tokio's is made by hand.
const BRIDGE: &[&str] = &["tokio-mt", "tokio-ct", "blitz-mt", "blitz-ct", "blitz-tpc"];
const PIPELINE: &[&str] = &["tokio-mt", "tokio-ct", "blitz-mt", "blitz-ct"];
const FILES: &[&str] = &[
    "tokio-mt",
    "tokio-pread",
    "blitz-mt",
    "blitz-ct",
    "monoio",
    "glommio",
    "compio",
    "smol",
    "raw-ring",
];
const WHOLE_FILES: &[&str] = &[
    "tokio-mt", "blitz-mt", "blitz-ct", "monoio", "glommio", "compio", "smol",
];
const ECHO: &[&str] = &[
    "tokio-mt",
    "tokio-ct",
    "blitz-mt",
    "blitz-ct",
    "blitz-leased",
    "monoio",
    "glommio",
    "compio",
    "smol",
    "raw-epoll",
    "raw-ring",
];
const MEMORY: &[&str] = &[
    "tokio-mt",
    "tokio-ct",
    "blitz-mt",
    "blitz-ct",
    "blitz-leased",
    "monoio",
    "glommio",
    "compio",
    "smol",
];

/// Libraries and not runtimes: see `sync.rs`.
const LOCKS: &[&str] = &["tokio-mt", "blitz-mt", "blitz-on-tokio", "async-lock"];
const MUTEX: &[&str] = &[
    "tokio-mt",
    "blitz-mt",
    "blitz-on-tokio",
    "blitz-unfair",
    "async-lock",
];
const SYNC: &[&str] = &["tokio-mt", "blitz-mt", "blitz-on-tokio"];
/// Blocking locks.
const THREADS: &[&str] = &["std", "parking-lot", "blitz-unfair", "blitz-mutex"];
/// What a thread sleeps in.
const SLEEPS: &[&str] = &["beside", "ring-word", "ring-counter", "epoll", "parked"];
const MPSC: &[&str] = &[
    "tokio-mt",
    "blitz-mt",
    "blitz-on-tokio",
    "async-channel",
    "flume",
    "kanal",
    "kanal-on-blitz",
];
const MPMC: &[&str] = &[
    "blitz-mt",
    "blitz-on-tokio",
    "async-channel",
    "flume",
    "kanal",
    "kanal-on-blitz",
];

const fn lower(name: &'static str, unit: &'static str, runtimes: &'static [&'static str]) -> Row {
    Row {
        name,
        unit,
        better: Better::Lower,
        reference: "tokio-mt",
        runtimes,
    }
}

const fn higher(name: &'static str, unit: &'static str, runtimes: &'static [&'static str]) -> Row {
    Row {
        name,
        unit,
        better: Better::Higher,
        reference: "tokio-mt",
        runtimes,
    }
}

/// A row that tokio has no part in.
const fn row_against(
    name: &'static str,
    unit: &'static str,
    reference: &'static str,
    runtimes: &'static [&'static str],
) -> Row {
    Row {
        name,
        unit,
        better: Better::Lower,
        reference,
        runtimes,
    }
}

const fn mpmc(name: &'static str, unit: &'static str) -> Row {
    row_against(name, unit, "async-channel", MPMC)
}

pub const ROWS: &[Row] = &[
    lower("spawn_join", "ns per task", MICRO),
    lower("spawn_batch", "ns per task, 1,000 at once", MICRO),
    lower("spawn_chain", "ns per task", CHAIN),
    lower("yield", "ns per yield", MICRO),
    lower("yield_100", "ns per yield, 100 tasks", MICRO),
    lower("wake_awake", "ns per hop between two tasks", MICRO),
    lower("wake_parked", "us from a thread to the poll, p50", MICRO),
    lower("timeout", "ns per timeout around a yield", MICRO),
    lower(
        "million_timers",
        "ns per yield, a million sleeps pending",
        MICRO,
    ),
    lower("sleep_50us", "us late, p50", MICRO),
    lower("sleep_1ms", "us late, p50", MICRO),
    lower("idle_task", "bytes per idle task", MICRO),
    higher("scaling", "speed of two workers over one", STEALING),
    lower("compute_1", "ns per call, one at a time", BRIDGE),
    lower("compute_64", "ns per call of 1 us, 64 at once", BRIDGE),
    lower(
        "parallel_map",
        "ns per item of 1 us, 10,000 at once",
        BRIDGE,
    ),
    lower(
        "parallel_map_tiny",
        "ns per item of nothing, 200,000 at once",
        BRIDGE,
    ),
    higher("csv_pipeline", "MB/s", PIPELINE),
    lower("random_read_1", "us per 4 KiB read", FILES),
    lower("random_read_32", "us per 4 KiB read, 32 in flight", FILES),
    lower(
        "blocks_summed",
        "us per 4 KiB read and summed",
        &["tokio-pread", "blitz-mt", "blitz-mapped"],
    ),
    lower("small_files_1", "us per file", WHOLE_FILES),
    lower("small_files_64", "us per file, 64 at once", WHOLE_FILES),
    lower("large_file", "us per 256 KiB chunk", WHOLE_FILES),
    higher("echo_1x64", "echoes/s", ECHO),
    higher("echo_1x16384", "echoes/s", ECHO),
    higher("echo_50x64", "echoes/s", ECHO),
    higher("echo_50x16384", "echoes/s", ECHO),
    higher("echo_1000x64", "echoes/s", ECHO),
    higher("echo_1000x16384", "echoes/s", ECHO),
    higher("echo_9000x64", "echoes/s", ECHO),
    higher("echo_9000x16384", "echoes/s", ECHO),
    lower(
        "idle_connection",
        "bytes per idle connection, buffers included",
        MEMORY,
    ),
    lower(
        "send_file",
        "us per MiB from a file to a socket",
        &[
            "tokio-mt",
            "blitz-mt",
            "blitz-sendfile",
            "blitz-mapped",
            "blitz-mapped-zc",
        ],
    ),
    lower("mutex_1", "ns per lock and unlock", MUTEX),
    lower("mutex_4", "ns per lock and unlock, 4 tasks", MUTEX),
    lower("mutex_16", "ns per lock and unlock, 16 tasks", MUTEX),
    row_against(
        "threads_2",
        "ns per lock and unlock, 2 threads",
        "std",
        THREADS,
    ),
    row_against(
        "threads_4",
        "ns per lock and unlock, 4 threads",
        "std",
        THREADS,
    ),
    row_against(
        "threads_16",
        "ns per lock and unlock, 16 threads",
        "std",
        THREADS,
    ),
    row_against(
        "line_parked",
        "us from a thread to the poll, p50",
        "beside",
        SLEEPS,
    ),
    lower("rwlock_1", "ns per read", LOCKS),
    lower("rwlock_4", "ns per use, 4 tasks, 1 write in 16", LOCKS),
    lower("rwlock_16", "ns per use, 16 tasks, 1 write in 16", LOCKS),
    lower("semaphore_1", "ns per permit of 2", LOCKS),
    lower("semaphore_4", "ns per permit of 2, 4 tasks", LOCKS),
    lower("semaphore_16", "ns per permit of 2, 16 tasks", LOCKS),
    lower("notify_1", "ns per notification that lies ready", SYNC),
    lower("notify_4", "ns per hop around 4 tasks", SYNC),
    lower("notify_16", "ns per hop around 16 tasks", SYNC),
    lower("oneshot_1", "ns per channel, value sent before", SYNC),
    lower("oneshot_4", "ns per request and answer, 4 tasks ask", SYNC),
    lower("mpsc_0", "ns per value, one task sends and receives", MPSC),
    lower("mpsc_1", "ns per value, 1 sender", MPSC),
    lower("mpsc_4", "ns per value, 4 senders", MPSC),
    lower("mpsc_16", "ns per value, 16 senders", MPSC),
    mpmc("mpmc_0", "ns per value, one task sends and receives"),
    mpmc("mpmc_1", "ns per value, 1 sender and 1 receiver"),
    mpmc("mpmc_4", "ns per value, 4 senders and 4 receivers"),
    mpmc("mpmc_16", "ns per value, 16 senders and 16 receivers"),
    mpmc(
        "mpmc_unbounded_0",
        "ns per value, one task sends and receives",
    ),
    mpmc(
        "mpmc_unbounded_4",
        "ns per value, 4 senders and 4 receivers",
    ),
    lower("broadcast_1", "ns per value, one task, 1 receiver", SYNC),
    lower("broadcast_4", "ns per value, 4 receivers", SYNC),
    lower("watch_1", "ns per value, one task, 1 receiver", SYNC),
    lower("watch_4", "ns per value, 4 receivers", SYNC),
    lower("once_set_1", "ns per cell made, set and read", LOCKS),
    lower(
        "once_init_4",
        "ns per cell made, that 4 tasks ask for its value",
        LOCKS,
    ),
    lower("barrier_1", "ns per wait, one task", LOCKS),
    lower("barrier_4", "ns per wait of one of 4 tasks", LOCKS),
    lower("barrier_16", "ns per wait of one of 16 tasks", LOCKS),
];

/// Runs one cell in this process.
pub fn run(row: &str, runtime: &str) -> Sample {
    match row {
        "blocks_summed" => files::summed(runtime),
        "random_read_1" | "random_read_32" | "small_files_1" | "small_files_64" | "large_file" => {
            files::run(row, runtime)
        }
        "compute_1" | "compute_64" | "parallel_map" | "parallel_map_tiny" => cpu::run(row, runtime),
        "csv_pipeline" => csv::run(runtime),
        "idle_connection" => echo::idle_connection(runtime),
        "send_file" => echo::send_file(runtime),
        _ if sync::has(row) => sync::run(row, runtime),
        _ => match row
            .strip_prefix("echo_")
            .and_then(|shape| shape.split_once('x'))
        {
            Some((connections, size)) => echo::run(
                runtime,
                connections.parse().expect("connections"),
                size.parse().expect("size"),
            ),
            None => threads::run(row, runtime)
                .or_else(|| meet::run(row, runtime))
                .unwrap_or_else(|| micro::run(row, runtime)),
        },
    }
}
