//! The table that a run prints, and the numbers it keeps.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::measure::{Sample, median};
use crate::rows::{Better, ROWS, Row};

/// Where the kept numbers stand.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results/latest.json");

/// How far a ratio may fall below the kept one before `--check` fails: the machines are noisy.
const TOLERANCE: f64 = 0.25;

/// All samples of a run: row, then runtime.
#[derive(Default)]
pub struct Results(BTreeMap<String, BTreeMap<String, Vec<Sample>>>);

impl Results {
    pub fn add(&mut self, row: &str, runtime: &str, sample: Sample) {
        self.0
            .entry(row.to_owned())
            .or_default()
            .entry(runtime.to_owned())
            .or_default()
            .push(sample);
    }

    /// One row: for each runtime the median, the spread, CPU and memory, and how many times better than the reference it is.
    pub fn print_row(&self, row: &Row) {
        let Some(runtimes) = self.0.get(row.name) else {
            return;
        };
        println!(
            "\n{} ({}{})",
            row.name,
            row.unit,
            if row.better == Better::Higher {
                ", higher is better"
            } else {
                ""
            }
        );
        let reference = runtimes
            .get(row.reference)
            .map(|samples| summary(samples).0);
        for name in row.runtimes {
            let Some(samples) = runtimes.get(*name) else {
                continue;
            };
            let (mid, low, high) = summary(samples);
            let cpu = median(&mut samples.iter().map(|s| s.cpu_us).collect::<Vec<_>>());
            let rss = median(&mut samples.iter().map(|s| s.rss_kib).collect::<Vec<_>>());
            let ratio = reference.map_or(String::new(), |r| {
                format!("{:>6.2} x", better_by(row.better, mid, r))
            });
            let cpu = if cpu > 0.0 {
                format!("{cpu:>8.2} us CPU")
            } else {
                String::new()
            };
            let rss = if rss > 0.0 {
                format!("{rss:>9.0} KiB")
            } else {
                String::new()
            };
            let allocs = median(&mut samples.iter().map(|s| s.allocs).collect::<Vec<_>>());
            let bytes = median(&mut samples.iter().map(|s| s.alloc_bytes).collect::<Vec<_>>());
            let allocs = if allocs > 0.0 {
                format!("{allocs:>8.2} allocations, {bytes:.1} B")
            } else {
                String::new()
            };
            println!(
                "  {name:<14}{mid:>12.1}  [{low:.1} .. {high:.1}] {ratio} {cpu} {rss} {allocs}"
            );
        }
    }

    /// Writes the medians over the kept file, row by row: a row that was not run keeps its old numbers.
    pub fn keep(&self) {
        let mut kept = read_kept();
        for (row, runtimes) in &self.0 {
            let entry: serde_json::Map<String, Value> = runtimes
                .iter()
                .map(|(runtime, samples)| {
                    let (mid, low, high) = summary(samples);
                    let cpu = median(&mut samples.iter().map(|s| s.cpu_us).collect::<Vec<_>>());
                    let rss = median(&mut samples.iter().map(|s| s.rss_kib).collect::<Vec<_>>());
                    let allocs = median(&mut samples.iter().map(|s| s.allocs).collect::<Vec<_>>());
                    let bytes = median(&mut samples.iter().map(|s| s.alloc_bytes).collect::<Vec<_>>());
                    let rounds = samples.len();
                    let value = json!({ "median": mid, "low": low, "high": high, "cpu_us": cpu, "rss_kib": rss, "allocs": allocs, "alloc_bytes": bytes, "rounds": rounds });
                    (runtime.clone(), value)
                })
                .collect();
            kept.insert(row.clone(), Value::Object(entry));
        }
        let text = serde_json::to_string_pretty(&Value::Object(kept)).expect("plain numbers");
        if let Err(e) = std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/results"))
            .and_then(|()| std::fs::write(KEPT, text + "\n"))
        {
            eprintln!("could not keep the numbers in {KEPT}: {e}");
        }
    }

    /// Compares how many times better than its reference each of our runtimes is with what was kept.
    pub fn check(&self) -> ExitCode {
        let kept = read_kept();
        let (mut compared, mut worse) = (0, 0);
        for row in ROWS {
            let (Some(now), Some(then)) = (self.0.get(row.name), kept.get(row.name)) else {
                continue;
            };
            let Some(reference_now) = now.get(row.reference).map(|s| summary(s).0) else {
                continue;
            };
            let Some(reference_then) = then
                .pointer(&format!("/{}/median", row.reference))
                .and_then(Value::as_f64)
            else {
                continue;
            };
            for (runtime, samples) in now.iter().filter(|(name, _)| name.starts_with("blitz")) {
                let Some(then) = then
                    .pointer(&format!("/{runtime}/median"))
                    .and_then(Value::as_f64)
                else {
                    continue;
                };
                let ratio_now = better_by(row.better, summary(samples).0, reference_now);
                let ratio_then = better_by(row.better, then, reference_then);
                compared += 1;
                if ratio_now < ratio_then * (1.0 - TOLERANCE) {
                    worse += 1;
                    println!(
                        "worse: {} · {runtime}: {ratio_now:.2} x {} now, {ratio_then:.2} x kept",
                        row.name, row.reference
                    );
                }
            }
        }
        println!(
            "{compared} ratios compared, {worse} worse by more than {:.0} %",
            TOLERANCE * 100.0
        );
        if compared == 0 || worse > 0 {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

fn read_kept() -> serde_json::Map<String, Value> {
    let text = std::fs::read_to_string(KEPT).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Median, lowest and highest.
fn summary(samples: &[Sample]) -> (f64, f64, f64) {
    let mut values: Vec<f64> = samples.iter().map(|s| s.value).collect();
    let mid = median(&mut values);
    (mid, values[0], values[values.len() - 1])
}

fn better_by(better: Better, value: f64, reference: f64) -> f64 {
    match better {
        Better::Higher => value / reference,
        Better::Lower => reference / value,
    }
}
