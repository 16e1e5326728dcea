//! What is taken out of the source: each part of what the runtime keeps of itself, as edits.

use std::ops::Range;

/// One change to a file.
pub(super) enum Edit {
    /// The body of the function that this line begins.
    Body(&'static str, &'static str),
    /// A text that is there once.
    Text(&'static str, &'static str),
}
use Edit::{Body, Text};

/// What a part of the figures costs: its name, and what takes it out.
pub(super) type Part = (&'static str, &'static [(&'static str, &'static [Edit])]);

const WAITING: &str = "crates/blitz-core/src/waiting.rs";
const STATS: &str = "crates/blitz-exec/src/stats.rs";
const RUN: &str = "crates/blitz-exec/src/scheduler/single/run.rs";
const CELL: &str = "crates/blitz-exec/src/task/cell.rs";
const HARNESS: &str = "crates/blitz-exec/src/task/harness.rs";
const PARK: &str = "crates/blitz-io/src/runtime/park.rs";

/// What tasks wait for.
const NOTES: Part = (
    "notes",
    &[
        (
            WAITING,
            &[
                Body("    pub fn begin_poll(", ""),
                Body("    fn leave(", ""),
                Body("    fn relabel(", ""),
                Body("    fn locate(", ""),
                Body("    pub fn read(", "let _ = waits; None"),
                Body("pub fn note(", ""),
                Body("pub fn note_by(", ""),
                Body("pub fn note_if_none(", ""),
                Body("pub fn call(", ""),
                Body("pub fn locate(", ""),
                Body("pub fn is_noted(", "false"),
                Text(
                    "    site: AtomicPtr<Site>,
    resource: AtomicU64,
    location: AtomicPtr<Location<'static>>,
}",
                    "}",
                ),
                Text(
                    "            site: AtomicPtr::new(null_mut()),
            resource: AtomicU64::new(0),
            location: AtomicPtr::new(null_mut()),
",
                    "",
                ),
            ],
        ),
        (
            "crates/blitz-io/src/context/call.rs",
            &[
                Text(
                    "        site: &'static Site,
        number: u64,
        at: &'static Location<'static>,
        #[pin]",
                    "        #[pin]",
                ),
                Text(
                    "        site,
        number,
        at: Location::caller(),
",
                    "",
                ),
                Text(
                    "            waiting::call(this.site, *this.number, this.at);
",
                    "",
                ),
            ],
        ),
        (
            "crates/blitz-io-traits/src/waiting.rs",
            &[
                Text(
                    "        call: Call,
        at: &'static Location<'static>,
        #[pin]",
                    "        #[pin]",
                ),
                Text(
                    "            call,
            at: Location::caller(),
",
                    "",
                ),
                Text(
                    "        if polled.is_pending()
            && let Some(hook) = HOOK.get()
        {
            hook(*me.call, me.at);
        }
",
                    "",
                ),
            ],
        ),
    ],
);

/// What a task says of itself: polls, self-wakes, since when, where it was spawned, its name.
const FIGURES: Part = (
    "figures of a task",
    &[
        (
            WAITING,
            &[
                Body("    pub fn notify(", "let _ = now;"),
                Body("    pub fn notify_again(", ""),
                Body("    pub fn touch(", "let _ = now;"),
                Body("    pub fn since(", "0"),
                Body("    pub fn turns(", "0"),
                Body("    pub fn self_wakes(", "0"),
                Text(
                    "            wakes: AtomicUsize::new(0),
            self_wakes: AtomicUsize::new(0),
            since: Figure::new(0),
",
                    "",
                ),
                Text(
                    "    /// How often it was told to run while it was not polled. With the next, the note's version: see `read`.
    wakes: AtomicUsize,
    /// How often it was woken while it was polled.
    self_wakes: AtomicUsize,
    /// When its state changed last, as far as its worker knew the time.
    since: Figure,
",
                    "",
                ),
            ],
        ),
        (
            "crates/blitz-exec/src/scheduler/classes.rs",
            &[
                Body("    pub(super) fn touch_next(", ""),
                Body(
                    "    pub(super) fn append_seen(",
                    "self.normal.append(tasks);",
                ),
            ],
        ),
        (
            CELL,
            &[
                Text("    pub(super) location: &'static Location<'static>,\n", ""),
                Text(
                    "            location: self.location,\n",
                    "            location: Location::caller(),\n",
                ),
            ],
        ),
        (
            "crates/blitz-exec/src/task/id.rs",
            &[
                Text("struct Extra(Option<Box<Extras>>);", "struct Extra;"),
                Body("    pub(crate) fn get(", "None"),
                Body("    fn make(", "Box::leak(Box::default())"),
            ],
        ),
        (
            HARNESS,
            &[Text(
                "            location,
            extra,
",
                "            extra,\n",
            )],
        ),
    ],
);

/// What workers and drivers count and time.
const COUNTS: Part = (
    "counters",
    &[
        (
            STATS,
            &[
                Body("    pub(crate) fn ran(", "let _ = polls;"),
                Body("    pub(crate) fn take_yields(", ""),
                Body("    pub(crate) fn took_remote(", "let _ = tasks;"),
                Body("    pub(crate) fn noop(", ""),
            ],
        ),
        (
            RUN,
            &[
                Body("    fn publish(", "let _ = shared;"),
                Text("            core.told += 1;\n", ""),
                Body("    fn count_wait(", "let _ = stats;"),
            ],
        ),
        (
            PARK,
            &[
                Text(
                    "        self.stats.park(self.clock.now_ns());
        self.driver.turn(None);
        self.stats.unpark(self.clock.now_ns());
",
                    "        self.driver.turn(None);\n",
                ),
                Text(
                    "        if limit.is_zero() {
            self.driver.turn(Some(limit));
            self.stats.see(self.clock.now_ns());
        } else {
            self.stats.park(self.clock.now_ns());
            self.driver.turn(Some(limit));
            self.stats.unpark(self.clock.now_ns());
        }
",
                    "        self.driver.turn(Some(limit));\n",
                ),
            ],
        ),
        (
            "crates/blitz-driver/src/counters.rs",
            &[Body("fn add(", "let _ = (counter, more);")],
        ),
        (
            "crates/blitz-exec/src/task/owned.rs",
            &[
                Text("        shard.left = shard.left.wrapping_add(1);\n", ""),
                Text("    shard.entered = shard.entered.wrapping_add(1);\n", ""),
            ],
        ),
    ],
);

/// The looks whether somebody wants to be told: hooks, switches, who watches.
const LOOKS: Part = (
    "looks",
    &[
        (
            "crates/blitz-exec/src/scheduler/config.rs",
            &[
                Body("    pub(super) fn note_spawn(", "let _ = info;"),
                Body("    pub(super) fn task_ended(", "let _ = task;"),
            ],
        ),
        (
            "crates/blitz-exec/src/park.rs",
            &[Body("pub(crate) fn call_hook(", "let _ = hook;")],
        ),
        (
            "crates/blitz-exec/src/scheduler/alarm.rs",
            &[Body("    pub fn check(", "")],
        ),
        (RUN, &[Body("    fn switch(", "")]),
    ],
);

pub(super) const PARTS: [&Part; 4] = [&NOTES, &FIGURES, &COUNTS, &LOOKS];
/// Metrics and hooks, which have an aim of their own; the others are what the list of tasks and the dump are made of.
pub(super) const METRICS: [&Part; 2] = [&COUNTS, &LOOKS];

impl Edit {
    pub(super) fn apply(&self, text: &str) -> Result<String, String> {
        match self {
            Body(head, by) => {
                let Range { start, end } = body(text, head)?;
                Ok(format!("{}{{ {by} }}{}", &text[..start], &text[end..]))
            }
            Text(what, by) => match text.matches(what).count() {
                1 => Ok(text.replacen(what, by, 1)),
                many => Err(format!("{many} places read {what:?}")),
            },
        }
    }
}

/// Where the body of the function is that begins with `head`, braces included.
fn body(text: &str, head: &str) -> Result<Range<usize>, String> {
    let missing = || format!("there is no `{}`", head.trim());
    let at = text.find(&format!("\n{head}")).ok_or_else(missing)?;
    let open = at + text[at..].find('{').ok_or_else(missing)?;
    let mut depth = 0_usize;
    for (offset, byte) in text[open..].bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return Ok(open..open + offset + 1);
        }
    }
    Err(missing())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_taken_out_is_there_once() {
        let text = "\nfn one() {\n    if x { y }\n}\nfn two() {}\n";
        let without = Body("fn one(", "z").apply(text);
        assert_eq!(without.as_deref(), Ok("\nfn one() { z }\nfn two() {}\n"));
        assert!(Body("fn three(", "").apply(text).is_err());
        assert_eq!(
            Text("two", "2").apply(text).map(|text| text.len()),
            Ok(text.len() - 2)
        );
        assert!(Text("fn", "").apply(text).is_err());
    }

    /// The code has changed, and this has not: found here, and not only when somebody counts.
    #[test]
    fn every_edit_finds_its_place() {
        let root = crate::root();
        for (part, files) in PARTS {
            for (file, edits) in *files {
                let mut text = fs::read_to_string(root.join(file)).expect("the file is there");
                for edit in *edits {
                    text = edit
                        .apply(&text)
                        .unwrap_or_else(|why| panic!("{part}: {file}: {why}"));
                }
            }
        }
    }
}
