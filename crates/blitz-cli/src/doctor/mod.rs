//! `blitz doctor`: what this machine offers, what blitz-io makes of it, and the remedy where something is missing.
//!
//! [`facts`] asks the machine, [`plan`] builds the runtime that every program would get, [`judge`] turns both into sentences and
//! knows no machine, [`report`] prints them.

mod facts;
mod judge;
mod plan;
mod report;

use crate::args::Args;

const HELP: &str = "\
Says what this machine offers, what blitz-io therefore does, and what to do where something is missing.

usage: blitz doctor [OPTIONS]

  --json    the same as one JSON object, whose shape docs/insight.md describes

The exit code is 0 whatever is found. BLITZ_IO_DRIVER and BLITZ_IO_WORKER_THREADS count as for every program.
";

/// The hidden command by which this program tries the ring's calls where a filter may kill who makes them.
pub(crate) const TRIAL_COMMAND: &str = "__try-ring";

pub(crate) fn main(words: &[&str]) -> Result<(), String> {
    let mut args = Args::new("blitz doctor", words);
    if args.flag("--help") || args.flag("-h") {
        print!("{HELP}");
        return Ok(());
    }
    let json = args.flag("--json");
    args.end()?;
    let facts = facts::Facts::collect();
    let plan = plan::Plan::make(&facts);
    let findings = judge::findings(&facts, &plan);
    if json {
        crate::output::line(&report::json(&facts, &plan, &findings).to_string())
    } else {
        crate::output::text(&report::text(&plan, &findings))
    }
}

/// Makes the calls of a ring, and a ring: a filter that kills, kills this process and not the doctor.
pub(crate) fn trial() -> Result<(), String> {
    drop(blitz_sys::machine::ring_calls());
    let _ = blitz_sys::completion::probe();
    Ok(())
}
