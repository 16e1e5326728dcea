//! A critical loop of 1 ms beside more work than the machine can do, without priorities and with them.
//!
//! ```text
//! cargo run --release --example realtime            (3 seconds each)
//! cargo run --release --example realtime -- 10
//! ```
//!
//! The load is cut into polls of 50 us: a poll is not interrupted, so the length of the others' polls is the least that a task
//! can wait for. `event_interval(1)` lets each worker look at its timers after each of them. The normal tasks wait for a timer
//! too, and so compete with the loop at each turn; the low ones could always go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use blitz_io::runtime::{Builder, Handle, HistogramSnapshot, Runtime};
use blitz_io::task::{Priority, yield_now};
use blitz_io::time::{self, Duration, Instant, MissedTickBehavior};

const WORKERS: usize = 2;
/// Tasks of 50 us each ms: half as much again as the workers can do.
const NORMAL: usize = 60;
const LOW: usize = 20;
const POLL: Duration = Duration::from_micros(50);
const PERIOD: Duration = Duration::from_millis(1);

fn main() -> std::io::Result<()> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(3));
    println!(
        "{WORKERS} workers; a tick each ms; {NORMAL} normal tasks of {POLL:?} each ms, {LOW} low ones of {POLL:?} at any time; {length:?} each\n"
    );
    phase(
        "all tasks normal",
        length,
        [Priority::Normal, Priority::Normal, Priority::Normal],
    )?;
    phase(
        "with priorities",
        length,
        [Priority::Critical, Priority::Normal, Priority::Low],
    )
}

/// Runs the loop and the load on a runtime of their own, and prints how late each was.
fn phase(title: &str, length: Duration, priorities: [Priority; 3]) -> std::io::Result<()> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .event_interval(1)
        .enable_metrics_schedule_latency_histogram()
        .build()?;
    let stop = Arc::new(AtomicBool::new(false));
    let [critical, normal, low] = priorities;
    let handle = runtime.handle();
    // Each role is spawned at a place of its own, by which the runtime's histograms know it.
    let (normal_at, low_at) = (line!() + 2, line!() + 5);
    for _ in 0..NORMAL {
        handle.spawn_with_priority(normal, load(Arc::clone(&stop), PERIOD));
    }
    for _ in 0..LOW {
        handle.spawn_with_priority(low, load(Arc::clone(&stop), Duration::ZERO));
    }
    let ticking = handle.spawn_with_priority(critical, ticks(length));
    let ticking_at = line!() - 1;
    let late = runtime.block_on(ticking).unwrap_or_default();

    println!("{title}");
    println!(
        "{:>24} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "count", "p50", "p99", "p99.9", "max"
    );
    print_ticks(late, length);
    for (role, line) in [
        ("loop", ticking_at),
        ("normal load", normal_at),
        ("low load", low_at),
    ] {
        if let Some(latency) = latency_of(&runtime, line) {
            print_row(&format!("{role}, ready to poll"), &latency);
        }
    }
    urgent(&runtime, handle, critical);
    println!();
    stop.store(true, Relaxed);
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

/// A task that computes for as long as one poll may take, again and again, with so long a pause between.
async fn load(stop: Arc<AtomicBool>, pause: Duration) {
    // ORDERING: Relaxed: a switch; nothing hangs on when it is seen.
    while !stop.load(Relaxed) {
        let begun = Instant::now();
        while begun.elapsed() < POLL {
            std::hint::spin_loop();
        }
        if pause.is_zero() {
            yield_now().await;
        } else {
            time::sleep(pause).await;
        }
    }
}

/// A loop of 1 ms. Returns by how much each tick was late.
async fn ticks(length: Duration) -> Vec<Duration> {
    let mut late = Vec::new();
    let mut interval = time::interval(PERIOD);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let end = Instant::now() + length;
    while Instant::now() < end {
        let due = interval.tick().await;
        late.push(due.elapsed());
    }
    late
}

/// A hundred tasks from outside, one after the other: how long until the first poll?
fn urgent(runtime: &Runtime, handle: &Handle, priority: Priority) {
    let mut late = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        let first_poll = async move { begun.elapsed() };
        let task = match priority {
            Priority::Critical => handle.spawn_urgent(first_poll),
            _ => handle.spawn(first_poll),
        };
        late.extend(runtime.block_on(task));
    }
    print_sorted("spawned from outside", late);
}

fn print_ticks(late: Vec<Duration>, length: Duration) {
    let missed = (length.as_millis() as usize).saturating_sub(late.len());
    print_sorted("loop, tick to poll", late);
    println!("{:>24} {missed:>9}", "ticks missed");
}

fn print_sorted(what: &str, mut late: Vec<Duration>) {
    late.sort_unstable();
    let at = |share: f64| {
        let last = late.len().saturating_sub(1);
        late.get((last as f64 * share) as usize)
            .copied()
            .unwrap_or_default()
    };
    let figures = [0.5, 0.99, 0.999, 1.0].map(at);
    row(what, late.len() as u64, figures);
}

fn latency_of(runtime: &Runtime, line: u32) -> Option<HistogramSnapshot> {
    let sites = runtime.metrics().spawn_sites();
    let site = sites
        .into_iter()
        .find(|site| site.location.file() == file!() && site.location.line() == line)?;
    Some(site.latency)
}

fn print_row(what: &str, latency: &HistogramSnapshot) {
    let figures = [50.0, 99.0, 99.9, 100.0]
        .map(|percent| Duration::from_nanos(latency.percentile(percent).unwrap_or_default()));
    row(what, latency.count(), figures);
}

fn row(what: &str, count: u64, figures: [Duration; 4]) {
    let [a, b, c, d] = figures.map(|figure| format!("{figure:.1?}"));
    println!("{what:>24} {count:>9} {a:>9} {b:>9} {c:>9} {d:>9}");
}
