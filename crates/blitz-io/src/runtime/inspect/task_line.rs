//! One task as a line of JSON, written straight to the reader: a runtime may have a hundred thousand.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::time::Duration;

use super::json::{List, Maybe, Text};
use crate::context::tasks::{Awaited, Target, TaskInfo};
use crate::runtime::dump::{Backtrace, BacktraceFrame, Trace};

/// What is known of the stacks that a task waits in.
pub(super) enum Stacks<'a> {
    /// Nobody asked.
    NotAsked,
    /// It was not polled in the time asked.
    Missed,
    /// One for each leaf.
    Of(&'a Trace),
}

/// Writes `{"task":{…}}` and the line's end, with the field `stacks` if they were asked for.
///
/// # Errors
/// The writer's.
pub(super) fn write(out: &mut impl Write, task: &TaskInfo, stacks: &Stacks<'_>) -> io::Result<()> {
    let TaskInfo {
        id,
        name,
        spawned_at,
        state,
        since,
        polls,
        self_wakes,
        wakers,
        has_join_handle,
        bytes,
        awaits,
        ..
    } = task;
    write!(
        out,
        "{{\"task\":{{\"id\":{},\"name\":{},\"spawned_at\":{},\"state\":{},\"since_ns\":{},\"polls\":{polls},\
         \"self_wakes\":{self_wakes},\"wakers\":{wakers},\"has_join_handle\":{has_join_handle},\"bytes\":{bytes},\
         \"awaits\":{},\"says\":{}",
        Text(id),
        Maybe(name.as_ref().map(Text)),
        Text(spawned_at),
        Text(state),
        since.as_nanos(),
        Maybe(awaits.as_ref().map(Awaits)),
        Text(task),
    )?;
    match stacks {
        Stacks::NotAsked => {}
        Stacks::Missed => out.write_all(b",\"stacks\":null")?,
        Stacks::Of(trace) => {
            let leaves = trace
                .awaits()
                .into_iter()
                .zip(trace.resolve_backtraces())
                .map(|(awaits, backtrace)| Leaf { awaits, backtrace });
            write!(out, ",\"stacks\":{}", List(leaves.collect()))?;
        }
    }
    out.write_all(b"}}\n")
}

/// One leaf and the stack of futures below it.
struct Leaf {
    awaits: Option<Awaited>,
    backtrace: Backtrace,
}

impl Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbols = self.backtrace.frames().flat_map(BacktraceFrame::symbols);
        let frames = symbols.map(|symbol| Frame {
            function: symbol.name_demangled(),
            at: symbol
                .filename()
                .zip(symbol.lineno())
                .map(|(file, line)| format!("{}:{line}", file.display())),
        });
        write!(
            f,
            "{{\"awaits\":{},\"says\":{},\"frames\":{}}}",
            Maybe(self.awaits.as_ref().map(Awaits)),
            Maybe(self.awaits.as_ref().map(Text)),
            List(frames.collect())
        )
    }
}

struct Frame<'a> {
    function: Option<&'a str>,
    at: Option<String>,
}

impl Display for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{\"function\":{},\"at\":{}}}",
            Maybe(self.function.map(Text)),
            Maybe(self.at.as_ref().map(Text))
        )
    }
}

struct Awaits<'a>(&'a Awaited);

impl Display for Awaits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Awaited { what, on, at, .. } = self.0;
        write!(
            f,
            "{{\"what\":{},\"on\":{},\"at\":{}}}",
            Text(what),
            Maybe(on.as_ref().map(On)),
            Maybe(at.as_ref().map(Text))
        )
    }
}

struct On<'a>(&'a Target);

impl Display for On<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = |left: &Duration| left.as_nanos();
        match self.0 {
            Target::Descriptor { fd, kind, peer } => write!(
                f,
                "{{\"descriptor\":{fd},\"kind\":{},\"peer\":{}}}",
                Text(kind),
                Maybe(peer.as_ref().map(Text))
            ),
            Target::Deadline { left } => write!(f, "{{\"deadline_in_ns\":{}}}", ns(left)),
            Target::Task { id } => write!(f, "{{\"task\":{}}}", Text(id)),
            Target::Signal { number } => write!(f, "{{\"signal\":{number}}}"),
            Target::Number(number) => write!(f, "{{\"number\":{number}}}"),
            Target::Object { address } => write!(f, "{{\"object\":\"{address:#x}\"}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_target_is_json() {
        let targets = [
            Target::Descriptor {
                fd: 7,
                kind: "TcpStream",
                peer: Some("[::1]:80".to_owned()),
            },
            Target::Deadline {
                left: Duration::from_secs(1),
            },
            Target::Task { id: 9 },
            Target::Signal { number: 2 },
            Target::Number(3),
            Target::Object { address: 0x7f00 },
        ];
        for target in &targets {
            let json = On(target).to_string();
            assert!(
                serde_json::from_str::<serde_json::Value>(&json)
                    .is_ok_and(|value| value.is_object()),
                "{json}"
            );
        }
        assert_eq!(
            On(&targets[1]).to_string(),
            "{\"deadline_in_ns\":1000000000}"
        );
        assert_eq!(On(&targets[2]).to_string(), "{\"task\":\"9\"}");
        assert_eq!(On(&targets[5]).to_string(), "{\"object\":\"0x7f00\"}");
    }
}
