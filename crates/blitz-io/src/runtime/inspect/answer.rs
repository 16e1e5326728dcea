//! What a reader may ask, and the lines it gets.

use std::io::{self, Write};
use std::time::Duration;

use super::json::{self, Value, Word, fields};
use super::task_line::Stacks;
use super::{figures, task_line};
use crate::context::Handle;
use crate::context::tasks::TaskInfo;
use crate::runtime::dump::dump_outside;

/// The shortest time between two rounds of a repeated answer.
const EVERY_MIN_MS: u64 = 50;
/// So many tasks are traced for one answer: each costs its worker a backtrace, and memory until it is written.
const TRACES_MAX: u64 = 10_000;
/// So many if the request does not say.
const TRACES: u64 = 1_000;
/// The longest wait for the tasks' polls.
const WITHIN_MAX_MS: u64 = 10_000;
/// The wait if the request does not say.
const WITHIN_MS: u64 = 1_000;

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
    /// The same, and the stacks of futures that some of the tasks wait in.
    Trace,
    /// The page for a scraper.
    Prometheus,
}

const GETS: [(&str, Get); 10] = [
    ("runtime", Get::Runtime),
    ("workers", Get::Workers),
    ("rings", Get::Rings),
    ("watch", Get::Watch),
    ("tasks", Get::Tasks),
    ("sites", Get::Sites),
    ("warnings", Get::Warnings),
    ("dump", Get::Dump),
    ("trace", Get::Trace),
    ("prometheus", Get::Prometheus),
];

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    get: Get,
    name: &'static str,
    every: Option<Duration>,
    /// How many tasks are traced, and how long their polls are waited for.
    limit: usize,
    within: Duration,
}

impl Request {
    /// Reads one line.
    ///
    /// # Errors
    /// What is wrong with it, as a phrase.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let object = json::object(line).map_err(|why| {
            format!(
                "a request is a JSON object on one line, such as {{\"get\":\"runtime\"}}: {why}"
            )
        })?;
        let mut request = None;
        let mut every = None;
        let (mut limit, mut within_ms) = (None, None);
        for (key, value) in object {
            match (key.as_str(), value) {
                ("get", Word::Text(wanted)) => request = Some(known(&wanted)?),
                ("every_ms", Word::Number(number)) => {
                    let ms = number.ok_or("every_ms is a whole number")?;
                    every = Some(Duration::from_millis(ms.max(EVERY_MIN_MS)));
                }
                ("limit", Word::Number(number)) => {
                    limit = Some(up_to(number, TRACES_MAX, "limit")?);
                }
                ("within_ms", Word::Number(number)) => {
                    within_ms = Some(up_to(number, WITHIN_MAX_MS, "within_ms")?);
                }
                (key, _) => return Err(format!("a request has no `{key}` of this kind")),
            }
        }
        let (name, get) =
            request.ok_or_else(|| format!("a request says what to get: {}", names()))?;
        if get == Get::Watch && every.is_none() {
            every = Some(Duration::from_secs(1));
        }
        if get == Get::Trace && every.is_some() {
            return Err(
                "a trace wakes tasks, so it is given once: leave `every_ms` out".to_owned(),
            );
        }
        if get != Get::Trace && (limit.is_some() || within_ms.is_some()) {
            return Err("`limit` and `within_ms` are for `trace` only".to_owned());
        }
        Ok(Self {
            get,
            name,
            every,
            limit: limit.unwrap_or(TRACES) as usize,
            within: Duration::from_millis(within_ms.unwrap_or(WITHIN_MS)),
        })
    }

    /// How often the answer is to be given, if more than once.
    pub(super) fn every(&self) -> Option<Duration> {
        self.every
    }

    /// The answer needs memory for each task.
    pub(super) fn is_long(&self) -> bool {
        matches!(
            self.get,
            Get::Tasks | Get::Sites | Get::Warnings | Get::Dump | Get::Trace
        )
    }
}

fn up_to(number: Option<u64>, max: u64, key: &str) -> Result<u64, String> {
    let is_fine = |number: &u64| *number <= max;
    number
        .filter(is_fine)
        .ok_or_else(|| format!("{key} is a whole number, {max} at most"))
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
        write_line(self.out, &object(kind, value))
    }

    fn task(&mut self, task: &TaskInfo, stacks: &Stacks<'_>) -> io::Result<()> {
        self.count += 1;
        task_line::write(self.out, task, stacks)
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
    let dumps = matches!(get, Get::Dump | Get::Trace);
    if dumps || matches!(get, Get::Runtime | Get::Watch) {
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
    if dumps || get == Get::Warnings {
        // Who asks wants what is wrong now, too.
        handle.check_tasks_twice();
        for warning in handle.warnings() {
            lines.line("warning", figures::warning(&warning))?;
        }
    }
    if dumps || get == Get::Warnings {
        for report in metrics.stuck_reports() {
            lines.line("stuck", figures::stuck(&report))?;
        }
    }
    if matches!(get, Get::Tasks | Get::Dump) {
        for task in handle.tasks() {
            lines.task(&task, &Stacks::NotAsked)?;
        }
    }
    if get == Get::Trace {
        let (traced, rest) = dump_outside(handle, request.limit, request.within);
        // One after the other: to write a stack is to look up its names, which takes time and memory.
        for task in traced {
            let stacks = match task.is_missed() {
                true => Stacks::Missed,
                false => Stacks::Of(task.trace()),
            };
            lines.task(task.info(), &stacks)?;
        }
        for task in rest {
            lines.task(&task, &Stacks::NotAsked)?;
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
    write_line(out, &fields! {"end": request.name, "lines": count})
}

/// Writes the answer that there is none.
///
/// # Errors
/// Those of the writer.
pub(super) fn error(out: &mut impl Write, why: &str) -> io::Result<()> {
    write_line(out, &fields! {"error": why})
}

fn object(key: &'static str, value: Value) -> Value {
    Value::Object(vec![(key.into(), value)])
}

fn write_line(out: &mut impl Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{value}")
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
        let request = Request::parse(br#"{"get":"trace","limit":7,"within_ms":250}"#);
        let request = request.expect("it is one");
        assert_eq!((request.limit, request.within.as_millis()), (7, 250));
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
        assert!(refused(r#"{"get":"trace","limit":10001}"#).contains("10000 at most"));
        assert!(refused(r#"{"get":"trace","within_ms":1.5}"#).contains("whole number"));
        assert!(refused(r#"{"get":"trace","every_ms":1000}"#).contains("once"));
        assert!(refused(r#"{"get":"tasks","limit":5}"#).contains("`trace` only"));
        assert!(
            refused(&"[".repeat(4000)).contains("JSON"),
            "no recursion without end"
        );
    }
}
