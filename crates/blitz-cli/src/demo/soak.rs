//! `blitz demo soak`: the echo load for minutes, with an eye on what must not grow.
//!
//! ORDERING: the counters of the load are read Relaxed, for lines that people read.

use super::child::Server;
use super::echo::{Progress, join};
use super::load::Load;
use super::{grouped, short};
use crate::args::Args;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

const HELP: &str = "\
Drives an echo server for minutes and checks that nothing is lost and nothing grows: memory stays
flat under load; descriptors and tasks are back where they began after the connections have closed.

usage: blitz demo soak [OPTIONS]

  --connections N   connections that stay open (default 10000)
  --size BYTES      bytes in a message (default 64)
  --minutes M       how long to send (default 5; fractions are fine)
  --chaos           cut connections by reset and half-close all the while
  --chaos-rate N    how many a second (default 200)
  --workers N       worker threads on each side (default: one for each processor)
  --server PROGRAM  start this server instead, as `PROGRAM --addr 127.0.0.1:0`
                    (in quotes it may have arguments of its own);
                    it has to print `listening on ADDRESS`, as the example echo_server does

The exit code is 0 only if all of that holds.
";

/// Memory may move by this much under load and still be flat: allocators keep pages.
const GROWTH_SHARE: f64 = 0.05;
const GROWTH_KIB: u64 = 4 * 1024;
/// How long the server has to give everything back.
const SETTLE_WITHIN: Duration = Duration::from_secs(30);

pub(crate) fn main(words: &[&str]) -> Result<(), String> {
    let mut args = Args::new("blitz demo soak", words);
    if args.flag("--help") || args.flag("-h") {
        print!("{HELP}");
        return Ok(());
    }
    let connections: usize = args.value("--connections", "a number", 10_000)?;
    let size: usize = args.value("--size", "a number of bytes", 64)?;
    let minutes: f64 = args.value("--minutes", "a number of minutes", 5.0)?;
    let chaos = args.flag("--chaos");
    let rate: i64 = args.value("--chaos-rate", "a number", 200)?;
    let workers: Option<usize> = args.optional("--workers", "a number")?;
    let program: Option<String> = args.optional("--server", "a program")?;
    args.end()?;
    if connections == 0 || size == 0 || workers == Some(0) || rate <= 0 {
        return Err(
            "--connections, --size, --workers and --chaos-rate want numbers above 0".to_owned(),
        );
    }
    if !(minutes > 0.0 && minutes <= 60.0 * 24.0) {
        return Err("--minutes wants a number above 0, and at most a day".to_owned());
    }
    super::make_room(connections)?;
    let mut server = match &program {
        Some(program) => Server::start_program(program)?,
        None => Server::start(size, workers)?,
    };
    let runtime = super::runtime(workers)?;
    println!(
        "soak: {} connections, {} bytes, {minutes} minutes{}; server process {}, back end {}; load by {}",
        grouped(connections as u64),
        grouped(size as u64),
        if chaos {
            ", with resets and half-closes"
        } else {
            ""
        },
        server.id(),
        server.backend.as_deref().unwrap_or("its own"),
        runtime.handle().capabilities().backend()
    );
    let load = Load::new(server.address, size);
    let length = Duration::from_secs_f64(minutes * 60.0);
    let rate = if chaos { rate } else { 0 };
    let wrong = runtime.block_on(run(&load, &mut server, connections, length, rate))?;
    runtime.shutdown_background();
    if wrong.is_empty() {
        println!("soak: nothing lost, nothing grew");
        return Ok(());
    }
    Err(wrong.join("; "))
}

/// What the server holds at one moment.
#[derive(Debug, Clone, Copy)]
struct Holdings {
    memory_kib: Option<u64>,
    descriptors: Option<u64>,
    tasks: Option<u64>,
}

impl Holdings {
    fn of(server: &mut Server) -> Result<Self, String> {
        Ok(Holdings {
            memory_kib: server.memory_kib(),
            descriptors: server.descriptors(),
            tasks: server.tasks()?,
        })
    }

    fn says(&self) -> String {
        let number = |value: Option<u64>| value.map_or("?".to_owned(), grouped);
        format!(
            "server: {} KiB, {} descriptors, {} tasks",
            number(self.memory_kib),
            number(self.descriptors),
            number(self.tasks)
        )
    }
}

async fn run(
    load: &Arc<Load>,
    server: &mut Server,
    connections: usize,
    length: Duration,
    rate: i64,
) -> Result<Vec<String>, String> {
    let before = Holdings::of(server)?;
    println!("before     {}", before.says());
    let begun = Instant::now();
    let streams = load.connect(connections).await?;
    println!(
        "connected  {} in {}",
        grouped(connections as u64),
        short(begun.elapsed())
    );
    let begun = Instant::now();
    let tasks = load.start(streams);
    let line = Progress::new();
    // The first fifth warms up: buffers and slabs reach the size that the load wants.
    let mut warm: Option<Holdings> = None;
    let mut largest_kib = 0;
    let mut shown = Duration::ZERO;
    let every = (length / 20).clamp(Duration::from_secs(1), Duration::from_secs(15));
    while begun.elapsed() < length {
        blitz_io::time::sleep(Duration::from_millis(100)).await;
        if rate > 0 {
            load.disturb((rate / 10).max(1));
        }
        let elapsed = begun.elapsed();
        if elapsed - shown < every {
            continue;
        }
        shown = elapsed;
        let now = Holdings::of(server)?;
        if warm.is_none() && elapsed > length / 5 {
            warm = Some(now);
        }
        if warm.is_some() {
            largest_kib = largest_kib.max(now.memory_kib.unwrap_or(0));
        }
        line.write(&format!(
            "{:6.0} s  {:>12} echoes   p99 {}   {} resets, {} half-closes   {}",
            elapsed.as_secs_f64(),
            grouped(load.echoes.load(Relaxed)),
            short(load.latency.percentile(0.99)),
            load.resets.load(Relaxed),
            load.half_closes.load(Relaxed),
            now.says()
        ));
    }
    line.end();
    load.stop();
    let lost = join(tasks).await;
    let mut wrong = Vec::new();
    if let Some(first) = lost.first() {
        wrong.push(format!(
            "{} connections were lost; the first: {first}",
            lost.len()
        ));
    }
    if load.echoes.load(Relaxed) == 0 {
        wrong.push("not one echo came back".to_owned());
    }
    if let Some(warm) = warm.and_then(|warm| warm.memory_kib) {
        let bound = warm + GROWTH_KIB.max((warm as f64 * GROWTH_SHARE) as u64);
        println!(
            "memory     {} KiB when warm, {} KiB at most after that",
            grouped(warm),
            grouped(largest_kib)
        );
        if largest_kib > bound {
            wrong.push(format!(
                "the server's memory grew from {warm} to {largest_kib} KiB under an even load"
            ));
        }
    }
    wrong.extend(settle(server, before).await?);
    Ok(wrong)
}

/// Waits until the server holds no more descriptors and tasks than before.
async fn settle(server: &mut Server, before: Holdings) -> Result<Option<String>, String> {
    let begun = Instant::now();
    loop {
        let now = Holdings::of(server)?;
        let more = |now: Option<u64>, before: Option<u64>| {
            now.zip(before).is_some_and(|(now, before)| now > before)
        };
        // The acceptor is a task that may not have been counted before the first connection.
        let tasks = before.tasks.map(|tasks| tasks.max(1));
        if !more(now.descriptors, before.descriptors) && !more(now.tasks, tasks) {
            println!(
                "after      {} ({} after the last close)",
                now.says(),
                short(begun.elapsed())
            );
            return Ok(None);
        }
        if begun.elapsed() > SETTLE_WITHIN {
            return Ok(Some(format!(
                "{} s after the last close there is {}",
                SETTLE_WITHIN.as_secs(),
                now.says()
            )));
        }
        blitz_io::time::sleep(Duration::from_millis(50)).await;
    }
}
