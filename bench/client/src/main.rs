//! blitz-http's client side by side with other HTTP clients, and `blitz bench` with other load generators.
//!
//! `cargo run --release` measures every row with every client, interleaved round by round, each client in a process of its own,
//! all of a row against the same server in another process: the rate, the client's CPU time for each request or MiB, its
//! greatest memory. It prints one table with medians and spread and keeps the numbers in `results/latest.json`. `--row PART` picks rows by
//! a part of their name, `--only NAME,NAME` picks clients, `--rounds N` and `--seconds S` say how often and how long,
//! `--server blitz` takes our server where nginx is installed.
//!
//! A client counts and times itself, between two moments when it runs at full speed: neither its start nor its connecting
//! counts. Load generators are measured from their start to their end. What is not installed is said once, and left out.

mod clients;
#[path = "../../http/src/figures.rs"]
mod figures;
mod generators;
#[path = "../../http/src/machine.rs"]
#[allow(dead_code, reason = "what only bench/http asks")]
mod machine;
mod measure;
mod rows;
mod server;
mod table;
mod tally;

use std::process::ExitCode;

/// What the command line asks for.
pub struct Options {
    row: Option<String>,
    only: Option<Vec<String>>,
    rounds: usize,
    seconds: f64,
    server: Option<String>,
    keep: bool,
}

const USAGE: &str = "usage: bench-client [--row PART] [--only NAME,NAME] [--rounds N] [--seconds S] [--server nginx|blitz] [--no-keep]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.first().map(String::as_str) {
        Some("client") => clients::main(&args[1..]),
        Some("server") => server::main(&args[1..]),
        _ => parse(args.into_iter())
            .map_err(|message| format!("{message}\n{USAGE}"))
            .and_then(|options| measure::measure(&options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        row: None,
        only: None,
        rounds: 3,
        seconds: 1.2,
        server: None,
        keep: true,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} wants a value"));
        match arg.as_str() {
            "--row" => options.row = Some(value()?),
            "--only" => options.only = Some(value()?.split(',').map(str::to_owned).collect()),
            "--rounds" => {
                let rounds = value()?.parse();
                options.rounds = rounds.map_err(|_| "--rounds wants a number".to_owned())?;
            }
            "--seconds" => {
                let seconds = value()?.parse();
                options.seconds = seconds.map_err(|_| "--seconds wants a number".to_owned())?;
            }
            "--server" => options.server = Some(value()?),
            "--no-keep" => options.keep = false,
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(options)
}
