//! One reading of a running program.

use std::time::Instant;

use serde_json::Value;

use crate::client::Client;

/// What a running program said at one moment, or in the few milliseconds around it.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) runtime: Value,
    pub(crate) workers: Vec<Value>,
    pub(crate) rings: Vec<Value>,
    /// Tasks by the place where they were spawned.
    pub(crate) sites: Vec<Value>,
    pub(crate) warnings: Vec<Value>,
}

impl Sample {
    /// Asks for everything that is shown.
    ///
    /// # Errors
    /// The client's.
    pub(crate) fn take(client: &mut Client) -> Result<Self, String> {
        let at = Instant::now();
        let runtime = all(client, "runtime")?
            .into_iter()
            .next()
            .unwrap_or_default();
        Ok(Self {
            at,
            runtime,
            workers: all(client, "workers")?,
            rings: all(client, "rings")?,
            sites: all(client, "sites")?,
            warnings: all(client, "warnings")?,
        })
    }

    /// Seconds since an earlier reading.
    pub(crate) fn since(&self, earlier: &Sample) -> f64 {
        self.at.saturating_duration_since(earlier.at).as_secs_f64()
    }
}

/// The lines of one answer, without the word that says what kind they are.
fn all(client: &mut Client, what: &str) -> Result<Vec<Value>, String> {
    let lines = client.get(what)?;
    Ok(lines.into_iter().filter_map(unwrap).collect())
}

fn unwrap(line: Value) -> Option<Value> {
    match line {
        Value::Object(fields) => fields.into_iter().next().map(|(_, value)| value),
        _ => None,
    }
}

/// How much the figure `key` rose per second between two readings of one line.
pub(crate) fn rate(before: &Value, now: &Value, key: &str, seconds: f64) -> Option<f64> {
    let more = now[key].as_f64()? - before[key].as_f64()?;
    (seconds > 0.0).then_some(more / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rates_are_of_numbers_that_both_readings_have() {
        let (before, now) = (
            json!({"a": 10, "b": "x"}),
            json!({"a": 30, "b": "y", "c": 1}),
        );
        assert_eq!(rate(&before, &now, "a", 2.0), Some(10.0));
        assert_eq!(rate(&before, &now, "b", 2.0), None);
        assert_eq!(rate(&before, &now, "c", 2.0), None);
        assert_eq!(rate(&before, &now, "a", 0.0), None);
    }
}
