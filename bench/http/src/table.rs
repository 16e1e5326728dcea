//! The table that a run prints, and the numbers it keeps.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::figures::{median, spread};
use crate::rows::{Kind, Row, SERVERS, Sample};

/// Where the kept numbers stand.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results/latest.json");

/// All samples of a run: row, then server.
#[derive(Default)]
pub struct Results(BTreeMap<String, BTreeMap<String, Vec<Sample>>>);

/// The row's own figure.
fn value(sample: &Sample) -> f64 {
    sample.value
}

impl Results {
    pub fn add(&mut self, row: &str, server: &str, sample: Sample) {
        let row = self.0.entry(row.to_owned()).or_default();
        row.entry(server.to_owned()).or_default().push(sample);
    }

    /// One row: for each server the median, the spread, and what it used.
    pub fn print_row(&self, row: &Row) {
        let Some(servers) = self.0.get(row.name) else {
            return;
        };
        let (unit, digits) = match row.kind {
            Kind::Rate(..) => ("requests a second", 0),
            Kind::Idle(_) => ("KiB a connection", 2),
            Kind::Reset(_) => ("KiB a connection that is gone", 3),
        };
        println!("\n{} ({unit})", row.name);
        let reference = servers.get(SERVERS[0]);
        for name in SERVERS {
            let Some(samples) = servers.get(name) else {
                continue;
            };
            let (middle, (low, high)) = (median(samples, value), spread(samples, value));
            let mut line =
                format!("  {name:<14}{middle:>12.digits$}  [{low:.digits$} .. {high:.digits$}]");
            if matches!(row.kind, Kind::Rate(..)) {
                let cpu = median(samples, |sample| sample.cpu_us);
                line += &format!("  {cpu:>7.3} us CPU");
                if let Some(reference) = reference {
                    let theirs = median(reference, |sample| sample.cpu_us);
                    line += &format!("  {:>5.2} x {}", theirs / cpu, SERVERS[0]);
                }
            }
            line += &format!("  {:>8.0} KiB", median(samples, |sample| sample.memory_kib));
            if let Some((calls, bytes)) = samples.iter().find_map(|sample| sample.allocations) {
                line += &format!("  {calls:>6.2} allocations, {bytes:>7.1} B");
            }
            println!("{line}");
        }
    }

    /// Writes the medians over the kept file, row by row: a row that was not run keeps its old numbers.
    pub fn keep(&self) {
        let text = std::fs::read_to_string(KEPT).unwrap_or_default();
        let mut kept: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
        for (row, servers) in &self.0 {
            let mut entry = Map::new();
            for (server, samples) in servers {
                let (low, high) = spread(samples, value);
                let allocations = samples.iter().find_map(|sample| sample.allocations);
                let figures = json!({
                    "median": median(samples, value),
                    "low": low,
                    "high": high,
                    "cpu_us": median(samples, |sample| sample.cpu_us),
                    "memory_kib": median(samples, |sample| sample.memory_kib),
                    "allocations": allocations.map(|(calls, _)| calls),
                    "allocated_bytes": allocations.map(|(_, bytes)| bytes),
                    "rounds": samples.len(),
                });
                entry.insert(server.clone(), figures);
            }
            kept.insert(row.clone(), Value::Object(entry));
        }
        let text = serde_json::to_string_pretty(&Value::Object(kept)).expect("plain numbers");
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/results");
        let written =
            std::fs::create_dir_all(folder).and_then(|()| std::fs::write(KEPT, text + "\n"));
        if let Err(error) = written {
            eprintln!("could not keep the numbers in {KEPT}: {error}");
        }
    }
}
