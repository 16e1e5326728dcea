//! The project's own commands: `cargo run -p xtask -- tidy`, `loom`, `weaken`, `bench`.
//!
//! Each command stands in a module of its own; what they share is [`source`], which splits a Rust
//! file into code and comments, and [`run`], which starts child processes.
#![forbid(unsafe_code)]

mod bench;
mod loom;
mod run;
mod source;
mod tidy;
mod weaken;

use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
The project's own commands.

usage: cargo run -p xtask -- COMMAND [OPTIONS]

  tidy                     checks the tree against the rules of ARCHITECTURE.md and STYLE.md
  loom [CRATE…]            runs the loom models (default: every crate that has some)
  weaken [OPTIONS]         weakens each atomic ordering one step; a model has to fail
      --minutes N          stop after N minutes and keep what was found (default 60)
      --only TEXT          only orderings whose file path contains TEXT
      --fresh              forget the results that are kept
      --report             write docs/weaken.md from the kept results, run nothing
  bench [ARGS]             runs bench/ and prints one table; the arguments are passed on
      --check              compares the ratios of this run with the kept ones
";

/// What a command ends with: an error is printed, and the exit code is 1.
pub(crate) type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest = args.get(1..).unwrap_or_default();
    let outcome = match args.first().map(String::as_str) {
        Some("tidy") => tidy::main(&root()),
        Some("loom") => loom::main(&root(), rest),
        Some("weaken") => weaken::main(&root(), rest),
        Some("bench") => bench::main(&root(), rest),
        Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => Err(format!("no command is called `{other}`\n\n{HELP}")),
        None => Err(format!("which command?\n\n{HELP}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository: the folder above this crate.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).unwrap_or(here)
}
