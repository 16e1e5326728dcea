//! `xtask bench`: runs the workspace in `bench/`, from wherever it is called.
//!
//! `bench/` measures, prints the table and keeps `bench/results/latest.json`; with `--check` it
//! compares the ratios of a run with the kept ones. It is a workspace of its own, because it needs the
//! real tokio, so it is started as a program and not linked.

use crate::Outcome;
use std::path::Path;
use std::process::Command;

pub(crate) fn main(root: &Path, args: &[String]) -> Outcome {
    // What HTTP is compared with stands in workspaces of its own: their trees are compiled for nothing else.
    let (manifest, args) = match args.split_first() {
        Some((first, rest)) if ["client", "http", "web", "ws"].contains(&first.as_str()) => {
            (root.join("bench").join(first).join("Cargo.toml"), rest)
        }
        _ => (root.join("bench/Cargo.toml"), args),
    };
    if !manifest.exists() {
        return Err("there is no bench/ in this tree".to_owned());
    }
    let status = Command::new("cargo")
        .args(["run", "--release", "--manifest-path"])
        .arg(&manifest)
        .arg("--")
        .args(args)
        .current_dir(root)
        .status()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the bench program ended with {status}"))
    }
}
