//! `blitz demo echo`: how many echoes in a few seconds, and how long each took.
//!
//! ORDERING: the counters of the load are read Relaxed, for a progress line.

use super::child::Server;
use super::load::Load;
use super::{grouped, short};
use crate::args::Args;
use blitz_io::task::JoinSet;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

const HELP: &str = "\
Starts an echo server in a child process, drives it, and reports.

usage: blitz demo echo [OPTIONS]

  --connections N   connections that send at once (default 1000)
  --size BYTES      bytes in a message (default 64)
  --seconds S       how long to send (default 5)
  --workers N       worker threads on each side (default: one for each processor)
  --addr ADDRESS    drive a server that runs there instead of starting one

The exit code is 0 only if every message came back whole and right.
BLITZ_IO_DRIVER=io_uring|epoll in the environment forces a back end, for both sides.
";

/// After the last second, an answer has this long to come.
const GRACE: Duration = Duration::from_secs(40);

pub(crate) fn main(words: &[&str]) -> Result<(), String> {
    let mut args = Args::new("blitz demo echo", words);
    if args.flag("--help") || args.flag("-h") {
        print!("{HELP}");
        return Ok(());
    }
    let connections: usize = args.value("--connections", "a number", 1000)?;
    let size: usize = args.value("--size", "a number of bytes", 64)?;
    let seconds: f64 = args.value("--seconds", "a number of seconds", 5.0)?;
    let workers: Option<usize> = args.optional("--workers", "a number")?;
    let address: Option<SocketAddr> =
        args.optional("--addr", "an address such as 127.0.0.1:7000")?;
    args.end()?;
    check("--connections", connections)?;
    check("--size", size)?;
    if let Some(workers) = workers {
        check("--workers", workers)?;
    }
    if !(seconds > 0.0 && seconds <= 86_400.0) {
        return Err("--seconds wants a number above 0, and at most a day".to_owned());
    }
    super::make_room(connections)?;
    let server = match address {
        Some(_) => None,
        None => Some(Server::start(size, workers)?),
    };
    let target = address
        .or(server.as_ref().map(|server| server.address))
        .ok_or("no address")?;
    let runtime = super::runtime(workers)?;
    let capabilities = runtime.handle().capabilities();
    let ours = capabilities.backend();
    match &server {
        Some(server) => println!(
            "echo server: process {}, {target}, back end {}",
            server.id(),
            server.backend.as_deref().unwrap_or("unknown")
        ),
        None => println!("echo server: {target}, not started by us"),
    }
    println!(
        "load: {} connections, {} bytes a message, back end {ours}",
        grouped(connections as u64),
        grouped(size as u64)
    );
    println!("why: {}", capabilities.reason());
    let load = Load::new(target, size);
    let length = Duration::from_secs_f64(seconds);
    let (elapsed, lost) = runtime.block_on(run(&load, connections, length))?;
    // What still waits for an answer by now is counted already.
    runtime.shutdown_background();
    report(&load, elapsed, &lost, connections)
}

fn check(name: &str, value: usize) -> Result<(), String> {
    if value == 0 {
        Err(format!("{name} wants a number above 0"))
    } else {
        Ok(())
    }
}

/// Connects, sends for `length`, and gives the time it took and the errors.
async fn run(
    load: &Arc<Load>,
    connections: usize,
    length: Duration,
) -> Result<(Duration, Vec<String>), String> {
    let begun = Instant::now();
    let streams = load.connect(connections).await?;
    println!("connected in {}", short(begun.elapsed()));
    let begun = Instant::now();
    let tasks = load.start(streams);
    let mut line = Progress::new();
    while begun.elapsed() < length {
        let left = length.saturating_sub(begun.elapsed());
        blitz_io::time::sleep(left.min(line.every)).await;
        line.show(load, begun.elapsed());
    }
    load.stop();
    let elapsed = begun.elapsed();
    line.end();
    Ok((elapsed, join(tasks).await))
}

/// Waits for every connection and gives what went wrong.
pub(super) async fn join(mut tasks: JoinSet<io::Result<()>>) -> Vec<String> {
    let mut lost = Vec::new();
    let all = async {
        while let Some(outcome) = tasks.join_next().await {
            match outcome {
                Ok(Ok(())) => {}
                Ok(Err(error)) => lost.push(error.to_string()),
                Err(error) => lost.push(error.to_string()),
            }
        }
    };
    if blitz_io::time::timeout(GRACE, all).await.is_err() {
        let count = tasks.len();
        lost.extend(
            (0..count).map(|_| format!("a connection did not end within {} s", GRACE.as_secs())),
        );
    }
    lost
}

fn report(
    load: &Load,
    elapsed: Duration,
    lost: &[String],
    connections: usize,
) -> Result<(), String> {
    let echoes = load.echoes.load(Relaxed);
    let rate = echoes as f64 / elapsed.as_secs_f64();
    let bytes = load.bytes.load(Relaxed) as f64 / elapsed.as_secs_f64();
    let percentile = |share| short(load.latency.percentile(share));
    println!();
    println!(
        "throughput  {} echoes/s ({:.1} MB/s each way), {} in {}",
        grouped(rate as u64),
        bytes / 1e6,
        grouped(echoes),
        short(elapsed)
    );
    println!(
        "latency     p50 {}   p99 {}   p99.9 {}   max {}",
        percentile(0.5),
        percentile(0.99),
        percentile(0.999),
        short(load.latency.max())
    );
    println!(
        "lost        {} of {} connections",
        lost.len(),
        grouped(connections as u64)
    );
    if let Some(first) = lost.first() {
        return Err(format!(
            "{} connections were lost; the first: {first}",
            lost.len()
        ));
    }
    if echoes == 0 {
        return Err("not one echo came back".to_owned());
    }
    Ok(())
}

/// The live line: rewritten in place on a terminal, one a second elsewhere.
pub(super) struct Progress {
    terminal: bool,
    every: Duration,
    last: (u64, Duration),
}

impl Progress {
    pub(super) fn new() -> Self {
        let terminal = io::stdout().is_terminal();
        let every = Duration::from_millis(if terminal { 200 } else { 1000 });
        Progress {
            terminal,
            every,
            last: (0, Duration::ZERO),
        }
    }

    fn show(&mut self, load: &Load, elapsed: Duration) {
        let echoes = load.echoes.load(Relaxed);
        let span = (elapsed - self.last.1).as_secs_f64().max(1e-9);
        let rate = (echoes - self.last.0) as f64 / span;
        self.last = (echoes, elapsed);
        let text = format!(
            "{:5.1} s  {:>9} echoes/s   p50 {}   p99 {}",
            elapsed.as_secs_f64(),
            grouped(rate as u64),
            short(load.latency.percentile(0.5)),
            short(load.latency.percentile(0.99))
        );
        self.write(&text);
    }

    pub(super) fn write(&self, text: &str) {
        let mut out = io::stdout().lock();
        // A closed pipe ends the line, not the run.
        let _ = if self.terminal {
            write!(out, "\r{text}\x1b[K")
        } else {
            writeln!(out, "{text}")
        };
        // As above.
        let _ = out.flush();
    }

    pub(super) fn end(&self) {
        if self.terminal {
            println!();
        }
    }
}
