//! The doctor's findings as text, and as JSON.

use blitz_sys::limit::Limit;
use blitz_sys::machine::Seccomp;
use serde_json::{Value, json};

use super::facts::{Facts, Trial};
use super::judge::{Finding, Grade};
use super::plan::{Outcome, Plan};

/// A line is no longer than this.
const WIDTH: usize = 100;
/// So far in stands what a finding says.
const INDENT: usize = 25;

const FLAVORS: [&str; 2] = ["multi_thread", "thread_per_core"];

/// The report that people read.
pub(crate) fn text(plan: &Plan, findings: &[Finding]) -> String {
    let is_plan = |finding: &&Finding| FLAVORS.contains(&finding.about);
    let mut text = String::from("This machine\n");
    for finding in findings.iter().filter(|finding| !is_plan(finding)) {
        paragraph(&mut text, finding);
    }
    text.push_str("\nWhat blitz-io does here\n");
    for finding in findings.iter().filter(is_plan) {
        paragraph(&mut text, finding);
    }
    let missing = findings
        .iter()
        .filter(|finding| finding.grade == Grade::Missing);
    let mut about: Vec<&str> = missing.map(|finding| finding.about).collect();
    about.dedup();
    // What the plan lacks follows from what the machine lacks.
    if about.iter().any(|name| !FLAVORS.contains(name)) {
        about.retain(|name| !FLAVORS.contains(name));
    }
    let end = match (&plan.multi_thread, about.is_empty()) {
        (_, true) => "Nothing is missing.".to_owned(),
        (Ok(_), false) => format!(
            "Programs run. Better would be more of: {}.",
            about.join(", ")
        ),
        (Err(_), false) => format!("Programs do not run. Missing: {}.", about.join(", ")),
    };
    text.push_str(&format!("\n{end}\n"));
    text
}

fn paragraph(text: &mut String, finding: &Finding) {
    let mark = match finding.grade {
        Grade::Good => "ok",
        Grade::Note => "note",
        Grade::Missing => "MISS",
    };
    text.push_str(&format!("  {mark:<5}{:<18}", finding.about));
    wrapped(text, &finding.says);
    if let Some(remedy) = &finding.remedy {
        text.push_str(&format!("{:INDENT$}", ""));
        wrapped(text, &format!("Remedy: {remedy}"));
    }
}

/// Writes `sentence` from the indentation on, and ends the line.
fn wrapped(text: &mut String, sentence: &str) {
    let mut column = INDENT;
    for (index, word) in sentence.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > WIDTH {
            text.push_str(&format!("\n{:INDENT$}", ""));
            column = INDENT;
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

/// The same for programs. `docs/insight.md` describes the shape.
pub(crate) fn json(facts: &Facts, plan: &Plan, findings: &[Finding]) -> Value {
    let kernel = facts.kernel.as_ref().map(|kernel| {
        json!({"system": kernel.system, "release": kernel.release, "machine": kernel.machine})
    });
    let ring = match &facts.trial {
        Trial::Works { operations, .. } => json!({"works": true, "operations": operations}),
        Trial::Fails { step, error } => {
            json!({"works": false, "step": step, "errno": error.code, "error": error.says})
        }
        Trial::Kills => json!({"works": false, "error": "killed by a filter"}),
    };
    let calls: serde_json::Map<String, Value> = facts
        .calls
        .iter()
        .map(|call| {
            let refused = call.refused.as_ref();
            let refused = refused.map(|error| json!({"errno": error.code, "error": error.says}));
            (
                call.name.to_owned(),
                json!({"passes": refused.is_none(), "refused": refused}),
            )
        })
        .collect();
    let quota = facts.quota.as_ref().map(
        |quota| json!({"cpus": quota.cpus, "cgroup_version": quota.version, "group": quota.group}),
    );
    json!({
        "blitz": env!("CARGO_PKG_VERSION"),
        "machine": {
            "kernel": kernel,
            "io_uring": ring,
            "io_uring_calls": calls,
            "io_uring_disabled": facts.rings_disabled,
            "seccomp": {"mode": facts.seccomp.map(mode), "filters": facts.filters},
            "epoll": facts.readiness.is_ok(),
            "memlock": facts.locked_memory.map(limit),
            "memlock_exempt": facts.may_lock_memory,
            "descriptors": facts.open_files.map(limit),
            "processors": {"online": facts.online, "allowed": facts.allowed, "quota": quota},
            "clock": {
                "source": facts.clock.source,
                "resolution_ns": facts.clock.resolution_ns,
                "timer_slack_ns": facts.clock.timer_slack_ns,
            },
        },
        "environment": {
            "BLITZ_IO_DRIVER": facts.driver_variable,
            "BLITZ_IO_WORKER_THREADS": facts.workers_variable,
        },
        "plan": {
            "multi_thread": outcome(&plan.multi_thread),
            "thread_per_core": outcome(&plan.thread_per_core),
        },
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn mode(seccomp: Seccomp) -> &'static str {
    match seccomp {
        Seccomp::Off => "off",
        Seccomp::Strict => "strict",
        Seccomp::Filter => "filter",
    }
}

/// `null` is no limit.
fn limit(limit: Limit) -> Value {
    json!({"soft": limit.soft, "hard": limit.hard})
}

fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Err(error) => json!({"error": error}),
        Ok(drivers) => {
            let backends = drivers.backends.iter().map(|(backend, workers, reason)| {
                json!({"backend": backend.to_string(), "workers": workers, "reason": reason})
            });
            let features = drivers.features.iter().map(|(name, present, meaning)| {
                json!({"name": name, "present": present, "meaning": meaning})
            });
            json!({
                "workers": drivers.workers,
                "backends": backends.collect::<Vec<_>>(),
                "sq_entries": drivers.ring.map(|ring| ring.0),
                "cq_entries": drivers.ring.map(|ring| ring.1),
                "features": features.collect::<Vec<_>>(),
            })
        }
    }
}

fn finding(finding: &Finding) -> Value {
    let grade = match finding.grade {
        Grade::Good => "good",
        Grade::Note => "note",
        Grade::Missing => "missing",
    };
    json!({"about": finding.about, "grade": grade, "says": finding.says, "remedy": finding.remedy})
}
