//! WebSocket of blitz-http side by side with others: echo, and one message for many.
//!
//! `cargo run --release` measures every row with every server, interleaved round by round, each server in a process of its own on the first
//! processor, the load on the second, and prints one table: messages a second, CPU time of the server a message, latencies, and memory a
//! connection once all are silent again, as medians over the rounds; of the first two with the lowest and the highest round. All of it takes
//! about ten minutes. `--row PART` picks rows by a part of their name, `--only NAME,NAME` servers, `--rounds N` (5) and `--seconds S` (2)
//! say how often and how long.
//!
//! `blitz_io_uring` and `blitz_epoll` are ours on `current_thread`, as the others are on theirs; `blitz_io_uring_per_core` is `thread_per_core` with one
//! worker, and `blitz_io_uring_direct` is `current_thread` with `batched_writes(false)`, so that what batches gain is seen.
//!
//! What is compressed is measured for ours alone: the others have no compression.

mod load;
#[path = "../../http/src/machine.rs"]
mod machine;
mod servers;

use load::{Crowd, Load};
use machine::Usage;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

/// A row of the table.
#[derive(Clone, Copy)]
pub struct Row {
    pub connections: usize,
    /// Bytes of a message.
    pub size: usize,
    pub deflated: bool,
    /// What comes goes to all, and not back to its sender alone.
    pub to_all: bool,
}

impl Row {
    fn name(&self) -> String {
        let what = if self.to_all { "broadcast" } else { "echo" };
        let how = if self.deflated { "deflated" } else { "plain" };
        format!(
            "{what} {} B, {} connections, {how}",
            self.size, self.connections
        )
    }

    /// Which servers can do it.
    fn servers(&self) -> &'static [&'static str] {
        match (self.deflated, self.to_all) {
            (true, _) => &["blitz_io_uring", "blitz_epoll"],
            (false, true) => &["blitz_io_uring", "blitz_epoll", "tungstenite"],
            (false, false) => &[
                "blitz_io_uring",
                "blitz_epoll",
                "blitz_io_uring_direct",
                "blitz_io_uring_per_core",
                "tungstenite",
                "fastwebsockets",
            ],
        }
    }
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for deflated in [false, true] {
        for size in [64, 16 * 1024] {
            for connections in [50, 1000] {
                let to_all = false;
                rows.push(Row {
                    connections,
                    size,
                    deflated,
                    to_all,
                });
            }
        }
    }
    for deflated in [false, true] {
        let (connections, size, to_all) = (10_000, 1024, true);
        rows.push(Row {
            connections,
            size,
            deflated,
            to_all,
        });
    }
    rows
}

struct Options {
    row: Option<String>,
    only: Option<Vec<String>>,
    rounds: usize,
    seconds: f64,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, name, mode, addr] = &args[..]
        && first == "server"
    {
        machine::raise_descriptor_limit();
        let addr: SocketAddr = addr.parse().expect("an address");
        servers::serve(name, addr, mode == "to_all");
        return ExitCode::SUCCESS;
    }
    let options = match parse(args.into_iter()) {
        Ok(options) => options,
        Err(why) => {
            eprintln!(
                "{why}\nusage: bench-ws [--row PART] [--only NAME,NAME] [--rounds N] [--seconds S]"
            );
            return ExitCode::from(2);
        }
    };
    let descriptors = machine::raise_descriptor_limit();
    machine::pin(1);
    println!(
        "| row | server | messages/s | CPU us a message | p50 us | p99 us | KiB a connection |"
    );
    println!("|---|---|---|---|---|---|---|");
    for row in rows() {
        let wanted = options
            .row
            .as_ref()
            .is_none_or(|part| row.name().contains(part.as_str()));
        if !wanted {
            continue;
        }
        // Load and server are two processes, and each has some more.
        if descriptors < row.connections as u64 + 100 {
            println!(
                "| {} | left out: {descriptors} descriptors | | | | | |",
                row.name()
            );
            continue;
        }
        measure(&row, &options);
    }
    ExitCode::SUCCESS
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        row: None,
        only: None,
        rounds: 5,
        seconds: 2.0,
    };
    while let Some(arg) = args.next() {
        let value = args
            .next()
            .ok_or_else(|| format!("{arg} wants a value, or is unknown"))?;
        match arg.as_str() {
            "--row" => options.row = Some(value),
            "--only" => options.only = Some(value.split(',').map(str::to_owned).collect()),
            "--rounds" => options.rounds = value.parse().map_err(|_| "--rounds wants a number")?,
            "--seconds" => {
                options.seconds = value.parse().map_err(|_| "--seconds wants a number")?
            }
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(options)
}

/// What one round found.
struct Found {
    rate: f64,
    cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
    memory_kib: f64,
}

fn measure(row: &Row, options: &Options) {
    let all = row.servers().iter().copied();
    let names: Vec<&str> = all
        .filter(|name| {
            options
                .only
                .as_ref()
                .is_none_or(|only| only.iter().any(|one| one == name))
        })
        .collect();
    let mut found: Vec<Vec<Found>> = names.iter().map(|_| Vec::new()).collect();
    for _ in 0..options.rounds {
        for (name, found) in names.iter().zip(&mut found) {
            match round(row, name, options.seconds) {
                Ok(one) => found.push(one),
                Err(why) => eprintln!("{} with {name}: {why}", row.name()),
            }
        }
    }
    for (name, found) in names.iter().zip(&found) {
        if found.is_empty() {
            println!("| {} | {name} | failed | | | | |", row.name());
            continue;
        }
        println!(
            "| {} | {name} | {} | {} | {:.0} | {:.0} | {:.1} |",
            row.name(),
            spread(&sorted(found, |one| one.rate), 0),
            spread(&sorted(found, |one| one.cpu_us), 1),
            median(&sorted(found, |one| one.p50_us)),
            median(&sorted(found, |one| one.p99_us)),
            median(&sorted(found, |one| one.memory_kib))
        );
    }
}

fn sorted(found: &[Found], value: impl Fn(&Found) -> f64) -> Vec<f64> {
    let mut all: Vec<f64> = found.iter().map(value).collect();
    all.sort_by(f64::total_cmp);
    all
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

/// The median, and between what the rounds lie.
fn spread(sorted: &[f64], digits: usize) -> String {
    let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
    format!(
        "{:.digits$} ({low:.digits$}–{high:.digits$})",
        median(sorted)
    )
}

/// A server in a process of its own.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn round(row: &Row, name: &str, seconds: f64) -> Result<Found, String> {
    let addr = machine::free_addr();
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(this);
    let mode = if row.to_all { "to_all" } else { "echo" };
    command
        .args(["server", name, mode, &addr.to_string()])
        .stdin(Stdio::null());
    if let Some(backend) = name.strip_prefix("blitz_") {
        let backend = match backend.starts_with("io_uring") {
            true => "io_uring",
            false => backend,
        };
        command.env("BLITZ_IO_DRIVER", backend);
    }
    machine::pin_child(&mut command, 0);
    let mut server = Server(command.spawn().map_err(|error| error.to_string())?);
    machine::wait_until_it_listens(&mut server.0, addr)?;
    let id = server.0.id();
    let before = settled(id);
    let mut crowd = Crowd::enter(addr, row)?;
    crowd.run(Duration::from_millis(300))?;
    let begun = ran_us(id);
    let Load {
        messages,
        elapsed,
        mut latencies,
    } = crowd.run(Duration::from_secs_f64(seconds))?;
    let ended = ran_us(id);
    let silent = settled(id);
    latencies.sort_unstable();
    let at =
        |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize] as f64 / 1000.0;
    if messages == 0 {
        return Err("no message came back".to_owned());
    }
    Ok(Found {
        rate: messages as f64 / elapsed.as_secs_f64(),
        cpu_us: (ended - begun) / messages as f64,
        p50_us: at(0.5),
        p99_us: at(0.99),
        memory_kib: (silent.memory_kib - before.memory_kib) / row.connections as f64,
    })
}

/// How long the threads of a process have run, in microseconds: the scheduler's own count, where that of `stat` is in steps of ten thousand.
fn ran_us(id: u32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{id}/task"));
    let threads = threads.into_iter().flatten().flatten();
    threads
        .map(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("schedstat"));
            let stat = stat.unwrap_or_default();
            let ran = stat.split(' ').next().and_then(|ran| ran.parse().ok());
            ran.unwrap_or(0.0) / 1000.0
        })
        .sum()
}

/// What a process uses while nothing happens.
fn settled(id: u32) -> Usage {
    std::thread::sleep(Duration::from_millis(300));
    machine::usage(id)
}
