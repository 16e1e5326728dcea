//! The table that a run prints, and the numbers it keeps.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::figures::{median, spread};
use crate::rows::{Row, Sample};

/// Where the kept numbers stand.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results/latest.json");

/// All samples of a run: row, then client.
#[derive(Default)]
pub struct Results(BTreeMap<String, BTreeMap<String, Vec<Sample>>>);

impl Results {
    pub fn add(&mut self, row: &str, client: &str, sample: Sample) {
        let row = self.0.entry(row.to_owned()).or_default();
        row.entry(client.to_owned()).or_default().push(sample);
    }

    /// One row: for each client the median, the spread, and what it used.
    pub fn print_row(&self, row: &Row) {
        let name = row.name();
        let Some(clients) = self.0.get(&name) else {
            return;
        };
        let unit = row.unit();
        println!("\n{name} ({unit}s a second; CPU for each {unit}; most memory)");
        let first = row.takers().iter().find_map(|name| clients.get(*name));
        for name in row.takers() {
            let Some(samples) = clients.get(*name) else {
                continue;
            };
            let rate = |sample: &Sample| sample.rate;
            let cpu = |sample: &Sample| sample.cpu_us;
            let (middle, (low, high)) = (median(samples, rate), spread(samples, rate));
            let spent = median(samples, cpu);
            let mut line =
                format!("  {name:<21}{middle:>10.0}  [{low:.0} .. {high:.0}]  {spent:>8.2} us CPU");
            if let Some(first) = first {
                let theirs = (median(first, rate), median(first, cpu));
                let (rate, cpu) = (middle / theirs.0, spent / theirs.1);
                line += &format!("  x {rate:.2}, CPU x {cpu:.2}");
            }
            let memory = median(samples, |sample| sample.memory_kib);
            println!("{line}  {memory:>8.0} KiB");
        }
    }

    /// Writes the medians over the kept file, row by row: a row that was not run keeps its old numbers.
    pub fn keep(&self, server: &str) {
        let text = std::fs::read_to_string(KEPT).unwrap_or_default();
        let mut kept: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
        for (row, clients) in &self.0 {
            let mut entry = Map::new();
            entry.insert("server".to_owned(), json!(server));
            for (client, samples) in clients {
                let (low, high) = spread(samples, |sample| sample.rate);
                let figures = json!({
                    "median": median(samples, |sample| sample.rate),
                    "low": low,
                    "high": high,
                    "cpu_us": median(samples, |sample| sample.cpu_us),
                    "memory_kib": median(samples, |sample| sample.memory_kib),
                    "rounds": samples.len(),
                });
                entry.insert(client.clone(), figures);
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
