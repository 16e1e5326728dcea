//! `blitz dump`: what each task of a running program does and waits for, once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::args::Args;
use crate::client::{Client, plain};
use crate::demo::{grouped, short};

const HELP: &str = "\
Lists the tasks of a running program: what each does, since when, and what it waits for.

usage: blitz dump SOCKET [OPTIONS]

  --limit N    list no more than N tasks (default 1000); the summary covers all
  --traces     with the stacks of futures that each listed task waits in, 10000 tasks at most: each is woken for it
  --within MS  wait so long for the polls of those tasks (default 1000, at most 10000)
  --json       one JSON object a line: the runtime, the warnings, and each task

SOCKET is the path that the program was given by BLITZ_IO_INSPECT or by Builder::inspect.
";

/// So many reports of stuck workers are printed, the last ones. A program may have many, and tasks are what was asked for.
const STUCK_MAX: usize = 10;

pub(crate) fn main(words: &[&str]) -> Result<(), String> {
    let mut args = Args::new("blitz dump", words);
    if args.flag("--help") || args.flag("-h") {
        print!("{HELP}");
        return Ok(());
    }
    let json = args.flag("--json");
    let limit: usize = args.value("--limit", "a number of tasks", 1000)?;
    let traces = args.flag("--traces");
    let within_ms: u64 = args.value("--within", "a number of milliseconds", 1000)?;
    let path = args.name("a socket's path, such as /tmp/my-program.sock")?;
    args.end()?;
    let mut client = Client::connect(&path)?;
    let lines = if traces {
        client.ask(&json!({"get": "trace", "limit": limit, "within_ms": within_ms}))?
    } else {
        client.get("dump")?
    };
    if json {
        let rest = lines.iter().filter(|line| line.get("task").is_none());
        let tasks = lines.iter().filter(|line| line.get("task").is_some());
        let text: String = rest
            .chain(tasks.take(limit))
            .map(|line| format!("{line}\n"))
            .collect();
        return crate::output::text(&text);
    }
    let mut text = report(&lines, limit);
    if traces {
        let missed = lines.iter().filter(|line| is_missed(&line["task"]));
        let missed = missed.count();
        if missed > 0 {
            text.push_str(&format!(
                "{} tasks were not polled within {within_ms} ms: their workers are stuck or have too much to do, or nobody runs \
                 the runtime\n",
                grouped(missed as u64)
            ));
        }
    }
    crate::output::text(&text)
}

/// Whether the task was asked for its stacks, and not polled in time.
fn is_missed(task: &Value) -> bool {
    task.get("stacks").is_some_and(Value::is_null)
}

/// The stacks of futures that a task waits in, below its line.
fn stacks(text: &mut String, task: &Value) {
    if is_missed(task) {
        text.push_str("    not polled in time\n");
    }
    for leaf in task["stacks"].as_array().into_iter().flatten() {
        let says = leaf["says"].as_str().unwrap_or("something unknown");
        text.push_str(&format!("    {}\n", plain(says)));
        for frame in leaf["frames"].as_array().into_iter().flatten() {
            let function = frame["function"].as_str().unwrap_or("<unknown>");
            text.push_str(&format!("      {}", plain(function)));
            if let Some(at) = frame["at"].as_str() {
                text.push_str(&format!(" at {}", plain(at)));
            }
            text.push('\n');
        }
    }
}

fn report(lines: &[Value], limit: usize) -> String {
    let mut text = String::new();
    let of = |kind: &'static str| lines.iter().filter_map(move |line| line.get(kind));
    let runtime = of("runtime").next().unwrap_or(&Value::Null);
    let tasks: Vec<&Value> = of("task").collect();
    let word = |key: &str| runtime[key].as_str().unwrap_or("?");
    text.push_str(&format!(
        "{}, process {}, runtime {} {} on {}: {} tasks\n",
        word("program"),
        runtime["process"],
        word("id"),
        word("flavor"),
        word("backend"),
        grouped(tasks.len() as u64)
    ));
    let stuck: Vec<&Value> = of("stuck").collect();
    let older = stuck.len().saturating_sub(STUCK_MAX);
    if older > 0 {
        text.push_str(&format!(
            "! {older} older reports of stuck workers: `--json` has them\n"
        ));
    }
    for warning in stuck[older..].iter().copied().chain(of("warning")) {
        text.push_str(&format!("! {}\n", says(warning)));
        for line in warning["stack"].as_str().unwrap_or_default().lines() {
            text.push_str(&format!("  {}\n", plain(line)));
        }
    }
    summary(&mut text, &tasks);
    if !tasks.is_empty() {
        text.push('\n');
    }
    for task in tasks.iter().take(limit) {
        text.push_str(&format!("{}\n", says(task)));
        stacks(&mut text, task);
    }
    if tasks.len() > limit {
        text.push_str(&format!(
            "and {} more: `--limit` lists them\n",
            grouped((tasks.len() - limit) as u64)
        ));
    }
    text
}

fn says(value: &Value) -> String {
    plain(value["says"].as_str().unwrap_or("?"))
}

/// Tasks of one place that do the same.
#[derive(Default)]
struct Group {
    tasks: u64,
    longest_ns: u64,
    polls: u64,
}

fn summary(text: &mut String, tasks: &[&Value]) {
    let mut groups: BTreeMap<(&str, &str, &str), Group> = BTreeMap::new();
    for task in tasks {
        let key = (
            task["state"].as_str().unwrap_or("?"),
            task["awaits"]["what"].as_str().unwrap_or(""),
            task["spawned_at"].as_str().unwrap_or("?"),
        );
        let group = groups.entry(key).or_default();
        group.tasks += 1;
        group.longest_ns = group.longest_ns.max(task["since_ns"].as_u64().unwrap_or(0));
        group.polls += task["polls"].as_u64().unwrap_or(0);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.tasks));
    if !groups.is_empty() {
        text.push('\n');
    }
    for ((state, awaits, spawned_at), group) in groups {
        let doing = match (state, awaits) {
            ("idle", "") => "idle in something unknown".to_owned(),
            (state, "") => state.to_owned(),
            (state, awaits) => format!("{state} in {awaits}"),
        };
        text.push_str(&format!(
            "{:>9}  {doing} for {} at most, spawned at {}; {} polls\n",
            grouped(group.tasks),
            short(Duration::from_nanos(group.longest_ns)),
            plain(spawned_at),
            grouped(group.polls)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: u64, what: Option<&str>) -> Value {
        let awaits = what.map(|what| json!({ "what": what }));
        json!({"task": {"id": id, "state": "idle", "since_ns": id * 1_000_000, "polls": 2, "awaits": awaits,
               "spawned_at": "src/main.rs:1:1", "says": format!("task {id} idle")}})
    }

    #[test]
    fn tasks_that_do_the_same_are_counted_together() {
        let mut lines: Vec<Value> = (0..1500).map(|id| task(id, Some("net::read"))).collect();
        lines.push(task(7, None));
        lines.push(json!({"runtime": {"program": "p", "process": 1, "id": "1", "flavor": "f", "backend": "b"}}));
        lines.push(json!({"warning": {"says": "task 3 spins"}}));
        let text = report(&lines, 10);
        assert!(
            text.starts_with("p, process 1, runtime 1 f on b: 1,501 tasks\n! task 3 spins\n"),
            "{text}"
        );
        assert!(text.contains(
            "1,500  idle in net::read for 1.50 s at most, spawned at src/main.rs:1:1; 3,000 polls"
        ));
        assert!(text.contains("1  idle in something unknown"));
        assert!(text.contains("and 1,491 more"));
        assert_eq!(text.matches("\ntask ").count(), 10, "{text}");
    }

    #[test]
    fn the_last_reports_of_stuck_workers_are_told_and_the_others_counted() {
        let report_of = |number: usize| json!({"stuck": {"says": format!("worker {number}.")}});
        let lines: Vec<Value> = (0..12).map(report_of).collect();
        let text = report(&lines, 10);
        assert!(
            text.contains("\n! 2 older reports of stuck workers: `--json` has them\n! worker 2.\n"),
            "{text}"
        );
        assert!(
            text.contains("! worker 11.\n") && !text.contains("worker 1."),
            "{text}"
        );
        assert!(!report(&lines[..10], 10).contains("older"));
    }

    #[test]
    fn stacks_stand_below_their_task() {
        let mut traced = task(1, Some("time::sleep"));
        traced["task"]["stacks"] = json!([
            {"says": "time::sleep (in 5s)", "frames": [{"function": "poll", "at": "src/a.rs:1"}, {"function": null, "at": null}]},
            {"says": null, "frames": []}
        ]);
        let mut missed = task(2, None);
        missed["task"]["stacks"] = Value::Null;
        let text = report(&[traced, missed, task(3, None)], 10);
        let tasks = text.split_once("\ntask 1 idle\n").map(|(_, tasks)| tasks);
        assert_eq!(
            tasks,
            Some(
                "    time::sleep (in 5s)\n      poll at src/a.rs:1\n      <unknown>\n    something unknown\n\
                 task 2 idle\n    not polled in time\ntask 3 idle\n"
            ),
            "{text}"
        );
    }
}
