//! Measuring: every cell in a process of its own.

use std::process::ExitCode;
use std::time::Duration;

use crate::Options;
use crate::ask::{Ask, Load};
use crate::crowd::Crowd;
use crate::process::{self, Server};
use crate::rows::{Kind, ROWS, Row, SERVERS, Sample};
use crate::table::Results;
use crate::{load, machine};

/// Runs the chosen rows: in each round every server once, in turn, so that a slow minute of the machine hits all alike.
pub fn measure(options: &Options) -> ExitCode {
    let limit = machine::raise_descriptor_limit();
    let mut servers = Vec::new();
    for server in SERVERS {
        let chosen = |only: &Vec<String>| only.iter().any(|name| name == server);
        if !options.only.as_ref().is_none_or(chosen) {
            continue;
        }
        match process::is_there(server) {
            Ok(()) => servers.push(server),
            Err(why) => eprintln!("{server} is left out: {why}"),
        }
    }
    let mut results = Results::default();
    for row in &ROWS {
        if options
            .row
            .as_ref()
            .is_some_and(|part| !row.name.contains(part.as_str()))
        {
            continue;
        }
        if let Kind::Idle(count) = row.kind
            && limit < count as u64 + 100
        {
            eprintln!(
                "{} is left out: a process may open {limit} files here",
                row.name
            );
            continue;
        }
        for round in 0..options.rounds {
            for server in servers.iter().filter(|server| row.has(server)) {
                eprint!("\r\x1b[K{} · {server} · round {}", row.name, round + 1);
                match cell(row, server, options.seconds, round == 0) {
                    Ok(sample) => results.add(row.name, server, sample),
                    Err(why) => eprintln!("\r\x1b[K{} · {server}: {why}", row.name),
                }
            }
        }
        eprint!("\r\x1b[K");
        results.print_row(row);
    }
    if options.keep {
        results.keep();
    }
    ExitCode::SUCCESS
}

fn cell(row: &Row, name: &str, seconds: f64, first: bool) -> Result<Sample, String> {
    match row.kind {
        Kind::Rate(load, workers) => rate_of(name, &load, workers, seconds, first),
        Kind::Idle(count) => idle(name, count),
        Kind::Reset(count) => reset(name, count),
    }
}

fn rate_of(
    name: &str,
    load: &Load,
    workers: usize,
    seconds: f64,
    first: bool,
) -> Result<Sample, String> {
    let mut server = Server::start(name, workers)?;
    let alone = workers == 1;
    load::run(load, server.addr, Duration::from_secs(1), alone)?;
    let before = server.usage();
    let done = load::run(load, server.addr, Duration::from_secs_f64(seconds), alone)?;
    let after = server.usage();
    if done.requests == 0.0 {
        return Err("nothing was answered".to_owned());
    }
    // Counting costs time, so what counts is not measured.
    let allocations = if first && server.count() {
        let counted = load::run(load, server.addr, Duration::from_secs(1), alone)?;
        server.counted().map(|(calls, bytes)| {
            (
                calls / counted.requests.max(1.0),
                bytes / counted.requests.max(1.0),
            )
        })
    } else {
        None
    };
    Ok(Sample {
        value: done.requests / done.seconds,
        cpu_us: (after.cpu_us - before.cpu_us) / done.requests,
        memory_kib: after.memory_kib,
        allocations,
    })
}

const ONE: Load = Load {
    ask: Ask::Plain,
    connections: 1,
    depth: 1,
};

fn idle(name: &str, count: usize) -> Result<Sample, String> {
    let server = Server::start(name, 1)?;
    let request = ONE.request(server.addr);
    // What a server makes once is made by a first few.
    Crowd::gather(server.addr, 64, &request)?.reset();
    let before = server.usage();
    let crowd = Crowd::gather(server.addr, count, &request)?;
    let after = server.usage();
    drop(crowd);
    Ok(Sample {
        value: (after.memory_kib - before.memory_kib) / count as f64,
        memory_kib: after.memory_kib,
        ..Sample::default()
    })
}

fn reset(name: &str, count: usize) -> Result<Sample, String> {
    const ROUNDS: usize = 20;
    let server = Server::start(name, 1)?;
    let request = ONE.request(server.addr);
    let mut before = None;
    for round in 0..ROUNDS {
        Crowd::gather(server.addr, count, &request)?.reset();
        // The first rounds fill what is kept for the next.
        if round == 4 {
            before = Some(server.usage());
        }
    }
    let (before, after) = (before.expect("more than five rounds"), server.usage());
    Ok(Sample {
        value: (after.memory_kib - before.memory_kib) / ((ROUNDS - 5) * count) as f64,
        memory_kib: after.memory_kib,
        ..Sample::default()
    })
}
