//! What a reader may ask, and the lines it gets.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::{figures, task_line};
use crate::context::Handle;
use crate::context::tasks::TaskInfo;

/// The shortest time between two rounds of a repeated answer.
const EVERY_MIN_MS: u64 = 50;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Get {
    /// The runtime as a whole.
    Runtime,
    Workers,
    Rings,
    /// Those three, again and again.
    Watch,
    /// Each task.
    Tasks,
    /// Tasks by the place where they were spawned.
    Sites,
    Warnings,
    /// The runtime, the warnings and each task.
    Dump,
    /// The page for a scraper.
    Prometheus,
}

const GETS: [(&str, Get); 9] = [
    ("runtime", Get::Runtime),
    ("workers", Get::Workers),
    ("rings", Get::Rings),
    ("watch", Get::Watch),
    ("tasks", Get::Tasks),
    ("sites", Get::Sites),
    ("warnings", Get::Warnings),
    ("dump", Get::Dump),
    ("prometheus", Get::Prometheus),
];

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    get: Get,
    name: &'static str,
    every: Option<Duration>,
}

impl Request {
    /// Reads one line.
    ///
    /// # Errors
    /// What is wrong with it, as a phrase.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(line)
            .map_err(|error| format!("a request is a JSON object on one line: {error}"))?;
        let Some(object) = value.as_object() else {
            return Err("a request is a JSON object, such as {\"get\":\"runtime\"}".to_owned());
        };
        let mut request = None;
        let mut every = None;
        for (key, value) in object {
            match (key.as_str(), value) {
                ("get", Value::String(wanted)) => request = Some(known(wanted)?),
                ("every_ms", Value::Number(number)) => {
                    let ms = number.as_u64().ok_or("every_ms is a whole number")?;
                    every = Some(Duration::from_millis(ms.max(EVERY_MIN_MS)));
                }
                (key, _) => return Err(format!("a request has no `{key}` of this kind")),
            }
        }
        let (name, get) =
            request.ok_or_else(|| format!("a request says what to get: {}", names()))?;
        if get == Get::Watch && every.is_none() {
            every = Some(Duration::from_secs(1));
        }
        Ok(Self { get, name, every })
    }

    /// How often the answer is to be given, if more than once.
    pub(super) fn every(&self) -> Option<Duration> {
        self.every
    }

    /// The answer needs memory for each task.
    pub(super) fn is_long(&self) -> bool {
        matches!(
            self.get,
            Get::Tasks | Get::Sites | Get::Warnings | Get::Dump
        )
    }
}

fn known(wanted: &str) -> Result<(&'static str, Get), String> {
    let found = GETS.iter().find(|(name, _)| *name == wanted);
    found
        .copied()
        .ok_or_else(|| format!("there is no {wanted:?} to get: {}", names()))
}

fn names() -> String {
    let names: Vec<&str> = GETS.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// The lines of one answer; the last one says that it is the last.
struct Lines<'a, W> {
    out: &'a mut W,
    count: usize,
}

impl<W: Write> Lines<'_, W> {
    fn line(&mut self, kind: &'static str, value: Value) -> io::Result<()> {
        self.count += 1;
        write_line(self.out, &json!({ kind: value }))
    }

    fn task(&mut self, task: &TaskInfo) -> io::Result<()> {
        self.count += 1;
        task_line::write(self.out, task)
    }
}

/// Writes the whole answer.
///
/// # Errors
/// Those of the writer.
pub(super) fn write(handle: &Handle, request: &Request, out: &mut impl Write) -> io::Result<()> {
    let mut lines = Lines { out, count: 0 };
    let get = request.get;
    let metrics = handle.metrics();
    let workers = metrics.num_workers();
    if matches!(get, Get::Runtime | Get::Watch | Get::Dump) {
        lines.line("runtime", figures::runtime(handle))?;
    }
    if matches!(get, Get::Workers | Get::Watch) {
        for worker in 0..workers {
            lines.line("worker", figures::worker(&metrics, worker))?;
        }
    }
    if matches!(get, Get::Rings | Get::Watch) {
        for worker in 0..workers {
            let ring = metrics.worker_ring_metrics(worker);
            lines.line("ring", figures::ring(worker, &ring))?;
        }
    }
    if matches!(get, Get::Warnings | Get::Dump) {
        // Who asks wants what is wrong now, too.
        handle.check_tasks();
        for warning in handle.warnings() {
            let value = json!({"task": warning.task.to_string(), "name": warning.name,
                               "spawned_at": warning.spawned_at.to_string(), "says": warning.to_string()});
            lines.line("warning", value)?;
        }
    }
    if matches!(get, Get::Warnings | Get::Dump) {
        for report in metrics.stuck_reports() {
            lines.line("stuck", figures::stuck(&report))?;
        }
    }
    if matches!(get, Get::Tasks | Get::Dump) {
        for task in handle.tasks() {
            lines.task(&task)?;
        }
    }
    if get == Get::Sites {
        for site in figures::sites(&handle.tasks()) {
            lines.line("site", site)?;
        }
    }
    if get == Get::Prometheus {
        lines.line("prometheus", metrics.prometheus().into())?;
    }
    let count = lines.count;
    write_line(out, &json!({"end": request.name, "lines": count}))
}

/// Writes the answer that there is none.
///
/// # Errors
/// Those of the writer.
pub(super) fn error(out: &mut impl Write, why: &str) -> io::Result<()> {
    write_line(out, &json!({ "error": why }))
}

fn write_line(out: &mut impl Write, value: &Value) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        Request::parse(line.as_bytes()).expect_err("it is no request")
    }

    #[test]
    fn what_is_asked_for_is_understood() {
        for (name, get) in GETS {
            let request = Request::parse(format!("{{\"get\":\"{name}\"}}").as_bytes());
            assert_eq!(request.map(|request| request.get), Ok(get));
        }
        let request = Request::parse(br#"{"every_ms":1,"get":"workers"}"#).expect("it is one");
        assert_eq!(request.every(), Some(Duration::from_millis(EVERY_MIN_MS)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(refused("").contains("JSON"));
        assert!(refused("[1]").contains("object"));
        assert!(refused("{}").contains("rings"));
        assert!(refused(r#"{"get":"everything"}"#).contains("everything"));
        assert!(refused(r#"{"get":7}"#).contains("`get`"));
        assert!(refused(r#"{"get":"rings","every_ms":-1}"#).contains("whole number"));
        assert!(refused(r#"{"get":"rings","evry_ms":1}"#).contains("evry_ms"));
        assert!(
            refused(&"[".repeat(4000)).contains("JSON"),
            "no recursion without end"
        );
    }
}
