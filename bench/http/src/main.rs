//! blitz-http side by side with other HTTP servers.
//!
//! `cargo run --release` measures every row with every server, interleaved round by round, each server in a process of its
//! own, prints one table and keeps the numbers in `results/latest.json`. `--row PART` picks rows by a part of their name,
//! `--only NAME,NAME` picks servers, `--rounds N` and `--seconds S` say how often and how long.
//!
//! The load comes from `wrk` where it is installed, else from [`generator`]. nginx and Go's servers are measured where they
//! are installed; what is missing is said once, and its rows are left out.

mod ask;
mod counted;
mod crowd;
mod figures;
mod generator;
mod load;
mod machine;
mod measure;
mod process;
mod rows;
mod servers;
mod table;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: counted::Counted = counted::Counted;

/// What the command line asks for.
pub struct Options {
    row: Option<String>,
    only: Option<Vec<String>>,
    rounds: usize,
    seconds: f64,
    keep: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, name, workers, addr] = &args[..]
        && first == "server"
    {
        machine::raise_descriptor_limit();
        process::answer_questions();
        let (workers, addr) = (workers.parse(), addr.parse());
        servers::serve(name, workers.expect("a number"), addr.expect("an address"));
        return ExitCode::SUCCESS;
    }
    match parse(args.into_iter()) {
        Ok(options) => measure::measure(&options),
        Err(message) => {
            eprintln!(
                "{message}\nusage: bench-http [--row PART] [--only NAME,NAME] [--rounds N] [--seconds S] [--no-keep]"
            );
            ExitCode::from(2)
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        row: None,
        only: None,
        rounds: 5,
        seconds: 3.0,
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
            "--no-keep" => options.keep = false,
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(options)
}
