//! What a run came to, as text and as JSON.

use super::options::Options;
use super::slo::Verdict;
use super::tally::Summary;
use crate::demo::{grouped, short};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// Which shares of the latencies are told.
pub(super) const PERCENTILES: [f64; 7] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99];
/// Rows of the histogram, and the length of the longest bar.
const ROWS: usize = 12;
const BAR: f64 = 40.0;

/// A run that is over.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) options: &'a Options,
    pub(super) addr: SocketAddr,
    pub(super) summary: Summary,
    pub(super) verdicts: Vec<Verdict>,
    /// It was ended before its time.
    pub(super) interrupted: bool,
}

impl Run<'_> {
    /// What was asked for, in one line.
    pub(super) fn plan(&self) -> String {
        let options = self.options;
        let count = |n: usize, what: &str| {
            let s = if n == 1 { "" } else { "s" };
            format!("{} {what}{s}", grouped(n as u64))
        };
        let mut parts = vec![
            count(options.connections, "connection"),
            count(options.workers, "worker"),
        ];
        parts.push(match options.rate {
            Some(rate) => format!("{rate} requests a second"),
            None => "closed loop".to_owned(),
        });
        if options.pipeline > 1 {
            parts.push(format!("{} requests at a time", options.pipeline));
        }
        if !options.keep_alive {
            parts.push("no keep-alive".to_owned());
        }
        parts.join(", ")
    }

    /// By what it was asked.
    pub(super) fn asks(&self) -> &str {
        match self.options.websocket {
            true => "WebSocket",
            false => self.options.method.as_str(),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let sum = &self.summary;
        let mut text = format!(
            "{} {} ({})\n{}{}\n\n",
            self.asks(),
            self.options.url,
            self.addr,
            self.plan(),
            if self.interrupted {
                ", ended early"
            } else {
                ""
            },
        );
        let mut row = |name: &str, value: &str| {
            let _infallible = writeln!(text, "  {name:<12} {value}");
        };
        row(
            "answers",
            &format!(
                "{} in {:.2} s",
                grouped(sum.answers),
                sum.elapsed.as_secs_f64()
            ),
        );
        row("rate", &format!("{}/s", rate(sum.rate())));
        row(
            "received",
            &format!(
                "{}, {}/s",
                size(sum.bytes as f64),
                size(sum.bytes_per_second())
            ),
        );
        row(
            "connections",
            &format!("{} opened", grouped(sum.connections)),
        );
        let statuses = sum.statuses.iter();
        let statuses = statuses.map(|(status, count)| format!("{status}: {}", grouped(*count)));
        if !sum.statuses.is_empty() {
            row("statuses", &statuses.collect::<Vec<_>>().join("  "));
        }
        row(
            "errors",
            &format!(
                "{} ({:.3} %)",
                grouped(sum.errors()),
                sum.error_share() * 100.0
            ),
        );
        for (failure, failed) in &sum.failures {
            let (_, name) = failure.names();
            row(
                "",
                &format!("{} {name}: {}", grouped(failed.count), failed.first),
            );
        }
        if sum.unfinished > 0 {
            let what = if self.options.rate.is_some() {
                "were due and had no answer at the end; they count with the time that they had waited"
            } else {
                "were under way at the end, and count nowhere"
            };
            row("unfinished", &format!("{} {what}", grouped(sum.unfinished)));
        }
        if sum.latency.len() > 0 {
            self.latencies(&mut text);
        }
        if !self.verdicts.is_empty() {
            text.push('\n');
        }
        for verdict in &self.verdicts {
            let _infallible = writeln!(
                text,
                "  {:<6} {}: {}",
                if verdict.met { "met" } else { "MISSED" },
                verdict.objective,
                verdict.measured
            );
        }
        text
    }

    fn latencies(&self, text: &mut String) {
        let latency = &self.summary.latency;
        text.push_str("\n  latency\n");
        let mut row = |name: &str, time: Duration| {
            let _infallible = writeln!(text, "  {name:<12} {:>9}", short(time));
        };
        row("min", latency.min());
        row("mean", latency.mean());
        for percent in PERCENTILES {
            row(&format!("p{percent}"), latency.percentile(percent / 100.0));
        }
        row("max", latency.max());
        text.push('\n');
        let rows = self.distribution(ROWS);
        let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(1);
        for (end, count) in rows {
            let bar = (count as f64 / most as f64 * BAR).ceil() as usize;
            let share = count as f64 / latency.len() as f64 * 100.0;
            let _infallible = writeln!(
                text,
                "  <= {:>9} {:<41}{:>13} {share:>7.3} %",
                short(end),
                "█".repeat(bar),
                grouped(count)
            );
        }
    }

    /// The latencies in so many ranges, each longer than the one before by the same factor: where it ends, and how many are in it.
    pub(super) fn distribution(&self, ranges: usize) -> Vec<(Duration, u64)> {
        let latency = &self.summary.latency;
        let (min, max) = (latency.min(), latency.max());
        let (first, last) = (min.as_secs_f64().max(1e-9), max.as_secs_f64().max(1e-9));
        // Where all is alike there is one range.
        let ranges = if last / first < 1.02 { 1 } else { ranges };
        let end = |index: usize| {
            if index + 1 == ranges {
                return max;
            }
            let share = (index + 1) as f64 / ranges as f64;
            Duration::from_secs_f64(first * (last / first).powf(share))
        };
        let ends: Vec<Duration> = (0..ranges).map(end).collect();
        let counts = latency.ranges(&ends);
        ends.into_iter().zip(counts).collect()
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let (sum, options) = (&self.summary, self.options);
        let ms = |time: Duration| json!(time.as_nanos() as f64 / 1e6);
        let latency = if sum.latency.len() == 0 {
            Value::Null
        } else {
            let mut all = Map::new();
            all.insert("min".to_owned(), ms(sum.latency.min()));
            all.insert("mean".to_owned(), ms(sum.latency.mean()));
            for percent in PERCENTILES {
                let time = sum.latency.percentile(percent / 100.0);
                all.insert(format!("p{percent}"), ms(time));
            }
            all.insert("max".to_owned(), ms(sum.latency.max()));
            Value::Object(all)
        };
        let statuses: Map<String, Value> = sum
            .statuses
            .iter()
            .map(|(status, count)| (status.to_string(), json!(count)))
            .collect();
        let failures: Map<String, Value> = sum
            .failures
            .iter()
            .map(|(failure, failed)| {
                let said = json!({ "count": failed.count, "first": failed.first });
                (failure.names().0.to_owned(), said)
            })
            .collect();
        let moments: Vec<Value> = sum
            .moments
            .iter()
            .map(|at| {
                json!({
                    "seconds": at.seconds, "rate": at.answers_per_second, "errors_per_second": at.errors_per_second,
                    "p50_ms": ms(at.p50), "p99_ms": ms(at.p99), "max_ms": ms(at.max),
                })
            })
            .collect();
        let slo: Vec<Value> = self
            .verdicts
            .iter()
            .map(|verdict| {
                json!({ "objective": verdict.objective, "met": verdict.met, "measured": verdict.measured })
            })
            .collect();
        json!({
            "url": options.url.to_string(),
            "address": self.addr.to_string(),
            "method": self.asks(),
            "connections": options.connections,
            "workers": options.workers,
            "pipeline": options.pipeline,
            "keep_alive": options.keep_alive,
            "wanted_rate": options.rate,
            "interrupted": self.interrupted,
            "seconds": sum.elapsed.as_secs_f64(),
            "requests": sum.requests(),
            "answers": sum.answers,
            "rate": sum.rate(),
            "bytes": sum.bytes,
            "bytes_per_second": sum.bytes_per_second(),
            "connections_opened": sum.connections,
            "statuses": statuses,
            "errors": sum.errors(),
            "error_share": sum.error_share(),
            "failures": failures,
            "unfinished": sum.unfinished,
            "latency_ms": latency,
            "over_time": moments,
            "slo": slo,
        })
    }
}

/// A rate with as many digits as say something.
fn rate(per_second: f64) -> String {
    if per_second < 1000.0 {
        format!("{per_second:.2}")
    } else {
        grouped(per_second as u64)
    }
}

/// A number of bytes with its unit.
fn size(bytes: f64) -> String {
    let units = ["B", "KB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes, 0);
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0);
    format!("{value:.digits$} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::super::slo::Slo;
    use super::super::tally::{Failure, Tally};
    use super::*;

    #[test]
    fn text_and_json_tell_the_same() {
        let options = Options::parse(&["a.test", "--rate", "50", "-c", "1"]).expect("it is right");
        let mut tally = Tally::new(1_000_000_000);
        for ms in 1..=100 {
            tally.answered(ms * 20_000_000, ms * 1_000_000, 200, 100);
        }
        tally.answered(1, 1_000_000, 503, 50);
        tally.failed(1, Failure::Closed, "closed without an answer");
        tally.left(2);
        let summary = Summary::of(vec![tally], 2_000_000_000);
        let verdicts = Slo::parse("p99<5ms").expect("one").judge(&summary);
        let run = Run {
            options: &options,
            addr: SocketAddr::from(([127, 0, 0, 1], 80)),
            summary,
            verdicts,
            interrupted: true,
        };
        let text = run.text();
        for said in [
            "GET http://a.test/ (127.0.0.1:80)\n",
            "1 connection, 1 worker, 50 requests a second, ended early\n",
            "  answers      101 in 2.00 s\n",
            "  rate         50.50/s\n",
            "10.1 KB, 5.0 KB/s\n",
            "  statuses     200: 100  503: 1\n",
            "  errors       2 (1.961 %)\n",
            "1 closed before the answer's end: closed without an answer\n",
            "2 were due",
            "  MISSED p99<5ms: ",
        ] {
            assert!(text.contains(said), "{said:?} is missing: {text}");
        }
        assert_eq!(text.matches("  <= ").count(), ROWS, "{text}");
        let json = run.json();
        assert_eq!(
            (&json["answers"], &json["errors"]),
            (&json!(101), &json!(2))
        );
        assert_eq!(json["statuses"], json!({"200": 100, "503": 1}));
        assert_eq!(json["failures"]["closed"]["count"], 1);
        assert_eq!(json["slo"][0]["met"], false);
        assert_eq!(json["latency_ms"]["max"], 100.0);
        let counted: u64 = run.distribution(ROWS).iter().map(|(_, count)| count).sum();
        assert_eq!(counted, 101);
    }

    #[test]
    fn where_nothing_came_nothing_is_drawn() {
        let options = Options::parse(&["a.test"]).expect("it is right");
        let run = Run {
            options: &options,
            addr: SocketAddr::from(([127, 0, 0, 1], 80)),
            summary: Summary::of(Vec::new(), 0),
            verdicts: Vec::new(),
            interrupted: false,
        };
        assert!(!run.text().contains("latency"));
        assert_eq!(run.json()["latency_ms"], Value::Null);
    }
}
