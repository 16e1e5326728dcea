//! hyper and axum on tokio, and the same on the drop-in crate that has tokio's name.
//!
//! `cargo run --release` builds this program a second time with `compat/tokio` in tokio's place, a lock file and a target
//! folder of its own ([`builds`]). Then each row is measured with both, interleaved round by round, each server in a process of
//! its own: the rate, the server's CPU time for each request, its memory. The table has medians and spread, and the numbers
//! are kept in `results/latest.json`. `--row PART` picks rows by a part of their name, `--only NAME,NAME` picks builds,
//! `--rounds N` and `--seconds S` say how often and how long, `--check` compares the ratios of this run with the kept ones
//! instead of replacing them.
//!
//! The load is `bench/http`'s own generator, not wrk: its connections stay open from the warm-up to the end, so nobody's
//! beginning is measured, and memory is read while they are there.

#[path = "../../http/src/ask.rs"]
#[allow(dead_code, reason = "rows that only bench/http has")]
mod ask;
mod builds;
#[path = "../../http/src/figures.rs"]
mod figures;
#[path = "../../http/src/generator.rs"]
mod generator;
#[path = "../../http/src/machine.rs"]
mod machine;
mod measure;
mod rows;
mod servers;
mod table;

use std::process::ExitCode;

/// What the command line asks for.
pub struct Options {
    row: Option<String>,
    only: Option<Vec<String>>,
    rounds: usize,
    seconds: f64,
    check: bool,
    keep: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, name, workers, addr] = &args[..]
        && first == "server"
    {
        machine::raise_descriptor_limit();
        let (workers, addr) = (workers.parse(), addr.parse());
        servers::serve(name, workers.expect("a number"), addr.expect("an address"));
        return ExitCode::SUCCESS;
    }
    let done = parse(args.into_iter()).and_then(|options| measure::measure(&options));
    match done {
        Ok(code) => code,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

const USAGE: &str = "usage: bench-web [--row PART] [--only NAME,NAME] [--rounds N] [--seconds S] [--check] [--no-keep]";

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        row: None,
        only: None,
        rounds: 3,
        seconds: 2.0,
        check: false,
        keep: true,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} wants a value\n{USAGE}"));
        match arg.as_str() {
            "--row" => options.row = Some(value()?),
            "--only" => options.only = Some(value()?.split(',').map(str::to_owned).collect()),
            "--rounds" => {
                let rounds = value()?.parse().ok().filter(|rounds| *rounds > 0);
                options.rounds = rounds.ok_or("--rounds wants a number, one or more")?;
            }
            "--seconds" => {
                let seconds = value()?.parse().ok();
                let seconds = seconds.filter(|seconds| (0.1..=3600.0).contains(seconds));
                options.seconds = seconds.ok_or("--seconds wants a number from 0.1 to 3600")?;
            }
            "--check" => options.check = true,
            "--no-keep" => options.keep = false,
            other => return Err(format!("unknown option {other}\n{USAGE}")),
        }
    }
    Ok(options)
}
