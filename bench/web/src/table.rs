//! The table that a run prints, and the numbers it keeps.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::figures::{median, spread};
use crate::rows::{Sample, VARIANTS};

/// Where the kept numbers stand.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results/latest.json");

/// How far a ratio may fall below the kept one before `--check` fails: the machines are noisy.
const TOLERANCE: f64 = 0.25;

/// What ratios are against.
const REFERENCE: &str = VARIANTS[0].name;

/// All samples of a run: row, then variant.
#[derive(Default)]
pub struct Results(BTreeMap<String, BTreeMap<&'static str, Vec<Sample>>>);

fn rate(sample: &Sample) -> f64 {
    sample.rate
}

fn cpu(sample: &Sample) -> f64 {
    sample.cpu_us
}

fn memory(sample: &Sample) -> f64 {
    sample.memory_kib
}

/// How many times tokio's rate, and how many times less CPU: above one is better.
struct Ratios {
    rate: f64,
    cpu: f64,
}

impl Results {
    pub fn add(&mut self, row: &str, variant: &'static str, sample: Sample) {
        let row = self.0.entry(row.to_owned()).or_default();
        row.entry(variant).or_default().push(sample);
    }

    /// One row: for each variant the medians, the spread, and how it stands to tokio.
    pub fn print_row(&self, name: &str) {
        let Some(variants) = self.0.get(name) else {
            return;
        };
        println!("\n{name} (requests a second; CPU of the server for each)");
        for variant in VARIANTS {
            let Some(samples) = variants.get(variant.name) else {
                continue;
            };
            let (low, high) = spread(samples, rate);
            let (least, most) = spread(samples, cpu);
            let mut line = format!(
                "  {:<15}{:>9.0}  [{low:.0} .. {high:.0}]  {:>7.2} us  [{least:.2} .. {most:.2}]  {:>8.0} KiB",
                variant.name,
                median(samples, rate),
                median(samples, cpu),
                median(samples, memory),
            );
            if variant.name != REFERENCE
                && let Some(ratios) = self.ratios(name, variant.name)
            {
                line += &format!(
                    "  {:>5.2} x the rate, {:>5.2} x the CPU",
                    ratios.rate,
                    1.0 / ratios.cpu
                );
            }
            println!("{line}");
        }
    }

    /// In how many rows each is level with tokio or ahead, by the medians.
    pub fn print_sum(&self) {
        println!();
        for variant in &VARIANTS[1..] {
            let rows = self.0.keys();
            let all: Vec<Ratios> = rows
                .filter_map(|row| self.ratios(row, variant.name))
                .collect();
            if all.is_empty() {
                continue;
            }
            println!(
                "{}: not slower than {REFERENCE} in {} of {} rows, less CPU for a request in {}",
                variant.name,
                all.iter().filter(|ratios| ratios.rate >= 1.0).count(),
                all.len(),
                all.iter().filter(|ratios| ratios.cpu > 1.0).count(),
            );
        }
    }

    fn ratios(&self, row: &str, variant: &str) -> Option<Ratios> {
        let variants = self.0.get(row)?;
        let (ours, theirs) = (variants.get(variant)?, variants.get(REFERENCE)?);
        Some(Ratios {
            rate: median(ours, rate) / median(theirs, rate),
            cpu: median(theirs, cpu) / median(ours, cpu),
        })
    }

    /// Writes the medians over the kept file, row by row: a row that was not run keeps its old numbers.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep(&self) -> Result<(), String> {
        let mut kept = read_kept();
        for (row, variants) in &self.0 {
            let mut entry = Map::new();
            for (variant, samples) in variants {
                let ((low, high), (least, most)) = (spread(samples, rate), spread(samples, cpu));
                let figures = json!({
                    "rate": median(samples, rate),
                    "rate_low": low,
                    "rate_high": high,
                    "cpu_us": median(samples, cpu),
                    "cpu_us_low": least,
                    "cpu_us_high": most,
                    "memory_kib": median(samples, memory),
                    "rounds": samples.len(),
                });
                entry.insert((*variant).to_owned(), figures);
            }
            kept.insert(row.clone(), Value::Object(entry));
        }
        let text = serde_json::to_string_pretty(&Value::Object(kept)).expect("plain numbers");
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/results"))
            .and_then(|()| std::fs::write(KEPT, text + "\n"))
            .map_err(|error| format!("could not keep the numbers in {KEPT}: {error}"))
    }

    /// Compares how each of our variants stands to tokio with what was kept; false when one is worse, or nothing was compared.
    pub fn check(&self) -> bool {
        let kept = read_kept();
        let (mut compared, mut worse) = (0, 0);
        for row in self.0.keys() {
            for variant in &VARIANTS[1..] {
                let now = self.ratios(row, variant.name);
                let then = kept.get(row).and_then(|row| kept_ratios(row, variant.name));
                let (Some(now), Some(then)) = (now, then) else {
                    continue;
                };
                for (what, now, then) in [("rate", now.rate, then.rate), ("CPU", now.cpu, then.cpu)]
                {
                    compared += 1;
                    if now < then * (1.0 - TOLERANCE) {
                        worse += 1;
                        println!(
                            "worse: {row} · {} · {what}: {now:.2} x {REFERENCE} now, {then:.2} x kept",
                            variant.name
                        );
                    }
                }
            }
        }
        println!(
            "{compared} ratios compared, {worse} worse by more than {:.0} %",
            TOLERANCE * 100.0
        );
        compared > 0 && worse == 0
    }
}

/// The ratios of a row that was kept.
fn kept_ratios(row: &Value, variant: &str) -> Option<Ratios> {
    let figure = |variant: &str, what: &str| row.get(variant)?.get(what)?.as_f64();
    Some(Ratios {
        rate: figure(variant, "rate")? / figure(REFERENCE, "rate")?,
        cpu: figure(REFERENCE, "cpu_us")? / figure(variant, "cpu_us")?,
    })
}

fn read_kept() -> Map<String, Value> {
    let text = std::fs::read_to_string(KEPT).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}
