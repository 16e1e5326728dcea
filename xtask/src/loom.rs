//! `xtask loom`: runs the models of every crate that has some, and prints one line for each.

use crate::Outcome;
use crate::programs::{self, Counts};
use crate::run::{self, End};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How often loom lets a thread be interrupted. Two find every known bug of the structures here and
/// keep a model in seconds; a model that is small enough to be explored whole says so itself.
const PREEMPTIONS_MAX: &str = "2";

/// A model that runs longer than this is too large, or goes in circles.
const LIMIT: Duration = Duration::from_secs(20 * 60);

pub(crate) fn main(root: &Path, args: &[String]) -> Outcome {
    let mut crates = crates_with_models(root)?;
    if let Some(unknown) = args.iter().find(|name| !crates.contains(name)) {
        return Err(format!(
            "{unknown} has no loom models; these have: {}",
            crates.join(" ")
        ));
    }
    crates.retain(|name| args.is_empty() || args.contains(name));
    let mut bad = 0;
    let mut rows = Vec::new();
    for name in &crates {
        let begun = Instant::now();
        println!("loom: {name}");
        let programs = build(root, root, name)?;
        let mut counts = Counts::default();
        let mut words = "";
        for program in &programs {
            let (end, output) = run::limited(&mut models(root, program, ""), LIMIT)?;
            counts.add(&output);
            match end {
                End::Passed => {}
                End::Failed => {
                    words = "  <- failed";
                    println!("{output}");
                }
                End::TimedOut => words = "  <- not done within its time",
            }
        }
        bad += usize::from(!words.is_empty());
        rows.push(format!(
            "{name:<18} {:>4} passed {:>3} failed {:>7.1} s{words}",
            counts.passed,
            counts.failed,
            begun.elapsed().as_secs_f64()
        ));
    }
    println!("\nloom, LOOM_MAX_PREEMPTIONS={}", preemptions());
    for row in rows {
        println!("  {row}");
    }
    if bad == 0 {
        Ok(())
    } else {
        Err(format!("the models of {bad} crates do not pass"))
    }
}

/// The members whose manifest asks for loom.
pub(crate) fn crates_with_models(root: &Path) -> Result<Vec<String>, String> {
    let text = run::output(
        root,
        "cargo",
        &["metadata", "--format-version", "1", "--no-deps"],
    )?;
    let metadata: Value =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let mut names = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let mut dependencies = package["dependencies"].as_array().into_iter().flatten();
        if dependencies.any(|dependency| dependency["name"] == "loom") {
            names.extend(package["name"].as_str().map(str::to_owned));
        }
    }
    Ok(names)
}

/// Builds the models of crate `name` in the tree at `tree` and gives the programs that hold them.
///
/// The results of building stand apart from those of other commands: `--cfg loom` changes them all.
pub(crate) fn build(root: &Path, tree: &Path, name: &str) -> Result<Vec<PathBuf>, String> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["test", "--release", "--lib", "--no-run"])
        .args(["--message-format=json", "-p", name])
        .current_dir(tree)
        .env("RUSTFLAGS", "--cfg loom -A warnings")
        .env("CARGO_TARGET_DIR", target(root).join("loom"))
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_INCREMENTAL", "1");
    let programs = programs::build(cargo)
        .map_err(|words| format!("the models of {name} do not build:\n{words}"))?;
    Ok(programs.into_iter().map(|program| program.path).collect())
}

/// The command that runs the models in `program` whose path contains `filter`.
pub(crate) fn models(root: &Path, program: &Path, filter: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(root)
        .env("LOOM_MAX_PREEMPTIONS", preemptions());
    if !filter.is_empty() {
        command.arg(filter);
    }
    command
}

fn preemptions() -> String {
    std::env::var("LOOM_MAX_PREEMPTIONS").unwrap_or_else(|_| PREEMPTIONS_MAX.to_owned())
}

/// Where cargo puts its results.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}
