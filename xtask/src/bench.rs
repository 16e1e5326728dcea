//! `xtask bench`: runs the workspace in `bench/`, and compares its ratios with the kept ones.
//!
//! Absolute figures belong to a machine; the ratio of ours to a peer's, measured in the same run,
//! travels. So the check compares ratios only, with a tolerance for the noise of a shared machine.

use crate::Outcome;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The kept results.
const KEPT: &str = "bench/results.json";
/// Where a run that is only compared goes, below `bench/target`.
const FRESH: &str = "bench/target/check.json";
/// A ratio may be this much worse than the kept one, or by both spreads if they are larger.
const TOLERANCE: f64 = 0.25;

pub(crate) fn main(root: &Path, args: &[String]) -> Outcome {
    let (own, passed) = match args.iter().position(|arg| arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[][..]),
    };
    let check = match own {
        [] => false,
        [only] if only == "--check" => true,
        other => {
            return Err(format!(
                "bench does not know {other:?}; put the bench program's own behind `--`"
            ));
        }
    };
    let to = if check { FRESH } else { KEPT };
    let status = Command::new("cargo")
        .args(["run", "--release", "--quiet", "--", "--json"])
        .arg(root.join(to))
        .args(passed)
        .current_dir(root.join("bench"))
        .status()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !status.success() {
        return Err("the bench program failed".to_owned());
    }
    if !check {
        return Ok(());
    }
    let worse = compare(&read(&root.join(KEPT))?, &read(&root.join(to))?);
    for line in &worse {
        println!("{line}");
    }
    if worse.is_empty() {
        println!(
            "bench: no ratio is worse than the kept one by more than {:.0} %",
            TOLERANCE * 100.0
        );
        return Ok(());
    }
    Err(format!("{} rows are worse than the kept ones", worse.len()))
}

fn read(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// One line for each cell whose ratio to the reference is worse now than it was.
///
/// A result is `{"rows": [{"row": …, "better": "low" | "high", "reference": "tokio…",
/// "cells": {runtime: {"median": …, "spread": …}}}]}`.
fn compare(kept: &Value, fresh: &Value) -> Vec<String> {
    let mut worse = Vec::new();
    for row in fresh["rows"].as_array().into_iter().flatten() {
        let same = |other: &&Value| other["row"] == row["row"];
        let Some(old) = kept["rows"].as_array().into_iter().flatten().find(same) else {
            continue;
        };
        for (name, _) in row["cells"].as_object().into_iter().flatten() {
            if !name.starts_with("blitz") {
                continue;
            }
            let (Some(before), Some(now)) = (cost(old, name), cost(row, name)) else {
                continue;
            };
            let noise = spread(old, name).max(spread(row, name)).max(TOLERANCE);
            if now > before * (1.0 + noise) {
                worse.push(format!(
                    "{}, {name}: {now:.2} of the reference's cost, kept {before:.2}",
                    row["row"].as_str().unwrap_or_default()
                ));
            }
        }
    }
    worse
}

/// What a cell costs as a share of the reference: below 1 is better, whatever the row counts.
fn cost(row: &Value, name: &str) -> Option<f64> {
    let median = |name: &str| {
        row["cells"][name]["median"]
            .as_f64()
            .filter(|value| *value > 0.0)
    };
    let ratio = median(name)? / median(row["reference"].as_str()?)?;
    Some(if row["better"] == "high" {
        1.0 / ratio
    } else {
        ratio
    })
}

fn spread(row: &Value, name: &str) -> f64 {
    row["cells"][name]["spread"].as_f64().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn result(ours: f64, better: &str) -> Value {
        json!({"rows": [{"row": "yield", "better": better, "reference": "tokio-mt",
            "cells": {"tokio-mt": {"median": 100.0, "spread": 0.05}, "blitz-mt": {"median": ours, "spread": 0.05}}}]})
    }

    #[test]
    fn a_worse_ratio_is_found_and_noise_is_not() {
        assert_eq!(compare(&result(50.0, "low"), &result(80.0, "low")).len(), 1);
        assert_eq!(
            compare(&result(50.0, "low"), &result(55.0, "low")),
            [] as [String; 0]
        );
        assert_eq!(
            compare(&result(200.0, "high"), &result(100.0, "high")).len(),
            1
        );
        assert_eq!(
            compare(&result(100.0, "high"), &result(200.0, "high")),
            [] as [String; 0]
        );
    }

    #[test]
    fn a_new_row_has_nothing_to_be_compared_with() {
        assert_eq!(
            compare(&json!({"rows": []}), &result(500.0, "low")),
            [] as [String; 0]
        );
    }
}
