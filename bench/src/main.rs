//! blitz-io side by side with its peers.
//!
//! `cargo run --release` measures every row with every runtime, interleaved round by round, each measurement in a
//! process of its own, prints one table and keeps the numbers in `results/latest.json`. `--row PART` picks rows by a part
//! of their name, `--only NAME,NAME` picks runtimes, `--rounds N` sets the rounds, `--check` compares the ratios of this
//! run with the kept ones instead of replacing them.
//!
//! What a row measures is defined here, in `micro.rs`, `cpu.rs`, `csv.rs`, `files.rs`, `sync.rs`,
//! `threads.rs` and `echo/`, by the same source for all runtimes.

mod counted;
mod cpu;
mod csv;
mod echo;
mod files;
mod measure;
mod meet;
mod micro;
mod rows;
mod rt;
mod sync;
mod table;
mod threads;

use std::process::{Command, ExitCode, Stdio};

use measure::Sample;
use table::Results;

#[global_allocator]
static ALLOCATOR: counted::Counted = counted::Counted;

/// What the command line asks for.
struct Options {
    row: Option<String>,
    only: Option<Vec<String>>,
    rounds: usize,
    check: bool,
    keep: bool,
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        // A child of ours: one measurement, printed as one JSON line.
        Some("cell") => {
            let (row, runtime) = (
                args.next().expect("cell ROW RUNTIME"),
                args.next().expect("cell ROW RUNTIME"),
            );
            println!("{}", rows::run(&row, &runtime).to_json());
            ExitCode::SUCCESS
        }
        // A grandchild: the server of an echo cell.
        Some("server") => {
            echo::serve(
                &args.next().expect("server RUNTIME SIZE"),
                args.next().and_then(|s| s.parse().ok()).unwrap_or(64),
            );
            ExitCode::SUCCESS
        }
        _ => match parse(std::env::args().skip(1)) {
            Ok(options) => measure_all(&options),
            Err(message) => {
                eprintln!(
                    "{message}\nusage: bench [--row PART] [--only NAME,NAME] [--rounds N] [--check] [--no-keep]"
                );
                ExitCode::from(2)
            }
        },
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        row: None,
        only: None,
        rounds: 5,
        check: false,
        keep: true,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} wants a value"));
        match arg.as_str() {
            "--row" => options.row = Some(value()?),
            "--only" => options.only = Some(value()?.split(',').map(str::to_owned).collect()),
            "--rounds" => {
                options.rounds = value()?
                    .parse()
                    .map_err(|_| "--rounds wants a number".to_owned())?
            }
            "--check" => options.check = true,
            "--no-keep" => options.keep = false,
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(options)
}

/// Runs the chosen rows: in each round every runtime once, in turn, so that a slow minute of the machine hits all alike.
fn measure_all(options: &Options) -> ExitCode {
    let mut results = Results::default();
    for row in rows::ROWS {
        if options
            .row
            .as_ref()
            .is_some_and(|part| !row.name.contains(part.as_str()))
        {
            continue;
        }
        for round in 0..options.rounds {
            for runtime in row.runtimes {
                if options
                    .only
                    .as_ref()
                    .is_some_and(|only| !only.iter().any(|name| name == runtime))
                {
                    continue;
                }
                eprint!("\r\x1b[K{} · {runtime} · round {}", row.name, round + 1);
                match cell(row.name, runtime) {
                    Ok(sample) => results.add(row.name, runtime, sample),
                    Err(why) => eprintln!("\r\x1b[K{} · {runtime}: {why}", row.name),
                }
            }
        }
        eprint!("\r\x1b[K");
        results.print_row(row);
    }
    if options.check {
        return results.check();
    }
    if options.keep {
        results.keep();
    }
    ExitCode::SUCCESS
}

/// One measurement in a process of its own.
fn cell(row: &str, runtime: &str) -> Result<Sample, String> {
    let exe = std::env::current_exe().map_err(|e| e.to_string())?;
    let output = Command::new(exe)
        .args(["cell", row, runtime])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    Sample::from_json(line).ok_or_else(|| {
        let err = String::from_utf8_lossy(&output.stderr);
        format!(
            "{} {}",
            output.status,
            err.lines().next().unwrap_or_default()
        )
    })
}
