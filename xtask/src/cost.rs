//! `cost`: what is always on, in counted instructions: the same program with it and without it, under callgrind.
//!
//! The tracked files are copied, built, then [bared](Edit) of what the runtime keeps of itself, and built again. An edit that finds
//! nothing to change fails, so this follows the code or says that it does not.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use crate::Outcome;

/// The rows of `crates/blitz-io/benches/instructions.rs`, and how many rounds are counted.
const ROWS: [(&str, u64); 6] = [
    ("spawn", 10_000),
    ("burst", 10_000),
    ("yield", 10_000),
    ("wake", 10_000),
    ("timeout", 10_000),
    ("echo", 1_000),
];

/// One change to a file.
enum Edit {
    /// The body of the function that this line begins.
    Body(&'static str, &'static str),
    /// A text that is there once.
    Text(&'static str, &'static str),
}
use Edit::{Body, Text};

/// What a part of the figures costs: its name, and what takes it out.
type Part = (&'static str, &'static [(&'static str, &'static [Edit])]);

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
                    "        self.stats.park(now_ns());
        self.driver.turn(None);
        self.stats.unpark(now_ns());
",
                    "        self.driver.turn(None);\n",
                ),
                Text(
                    "        if limit.is_zero() {
            self.driver.turn(Some(limit));
            self.stats.see(now_ns());
        } else {
            self.stats.park(now_ns());
            self.driver.turn(Some(limit));
            self.stats.unpark(now_ns());
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

const PARTS: [&Part; 4] = [&NOTES, &FIGURES, &COUNTS, &LOOKS];
/// Metrics and hooks, which have an aim of their own; the others are what the list of tasks and the dump are made of.
const METRICS: [&Part; 2] = [&COUNTS, &LOOKS];

pub(crate) fn main(root: &Path, args: &[String]) -> Outcome {
    let by_part = args.iter().any(|arg| arg == "--parts");
    let rows: Vec<_> = args.iter().filter(|arg| *arg != "--parts").collect();
    let is_wanted = |row: &str| rows.is_empty() || rows.iter().any(|wanted| *wanted == row);
    let place = root.join("target").join("cost");
    let tree = place.join("tree");
    let mut programs = vec![
        ("with", Vec::new()),
        ("without metrics and hooks", METRICS.to_vec()),
        ("without all", PARTS.to_vec()),
    ];
    if by_part {
        programs.extend(PARTS.iter().map(|part| (part.0, vec![*part])));
    }
    let mut figures = Vec::new();
    for (name, parts) in programs {
        copy(root, &tree)?;
        for part in parts {
            take_out(&tree, part)?;
        }
        let program = build(&tree, &place)?;
        let mut counts = Vec::new();
        for (row, rounds) in ROWS.into_iter().filter(|(row, _)| is_wanted(row)) {
            let once = count(&program, row, rounds)?;
            let twice = count(&program, row, 2 * rounds)?;
            counts.push(twice.saturating_sub(once) as f64 / rounds as f64);
        }
        figures.push((name, counts));
    }
    print_table(&figures, is_wanted);
    Ok(())
}

fn print_table(figures: &[(&str, Vec<f64>)], is_wanted: impl Fn(&str) -> bool) {
    let rows = ROWS.into_iter().filter(|(row, _)| is_wanted(row));
    let (with, without, parts) = (&figures[0].1, &figures[1..3], &figures[3..]);
    print!("{:10} {:>9}", "row", "with");
    for (name, _) in without {
        print!(" {name:>34}");
    }
    for (part, _) in parts {
        print!(" {part:>18}");
    }
    println!();
    for (at, (row, _)) in rows.enumerate() {
        print!("{row:10} {:9.1}", with[at]);
        for (_, counts) in without {
            let more = (with[at] / counts[at] - 1.0) * 100.0;
            print!(" {:25.1} {more:6.2} %", counts[at]);
        }
        for (_, counts) in parts {
            print!(" {:18.1}", with[at] - counts[at]);
        }
        println!();
    }
}

/// The tracked files, as they are now.
fn copy(root: &Path, tree: &Path) -> Outcome {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cannot run git: {error}"))?;
    for name in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
        let (from, to) = (root.join(name), tree.join(name));
        let Ok(new) = fs::read(&from) else {
            // Deleted, and not committed yet.
            continue;
        };
        // What is as it was keeps its time, so that it is not built again.
        if fs::read(&to).is_ok_and(|old| old == new) {
            continue;
        }
        let folder = to.parent().unwrap_or(tree);
        fs::create_dir_all(folder).map_err(|error| format!("cannot make {folder:?}: {error}"))?;
        fs::write(&to, new).map_err(|error| format!("cannot write {to:?}: {error}"))?;
    }
    Ok(())
}

fn take_out(tree: &Path, (_, files): &Part) -> Outcome {
    for (file, edits) in *files {
        let path = tree.join(file);
        let mut text =
            fs::read_to_string(&path).map_err(|error| format!("cannot read {path:?}: {error}"))?;
        for edit in *edits {
            text = edit.apply(&text).map_err(|what| {
                format!("{file}: {what}; the code has changed, so must xtask/src/cost.rs")
            })?;
        }
        fs::write(&path, text).map_err(|error| format!("cannot write {path:?}: {error}"))?;
    }
    Ok(())
}

impl Edit {
    fn apply(&self, text: &str) -> Result<String, String> {
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

fn build(tree: &Path, place: &Path) -> Result<String, String> {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "-p", "blitz-io", "--bench"])
        .args(["instructions", "--message-format=json-render-diagnostics"])
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", place.join("build"))
        // What is taken out leaves things behind that nobody uses.
        .env("RUSTFLAGS", "--cap-lints allow")
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let built = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "instructions")
        .find_map(|message| message["executable"].as_str().map(str::to_owned));
    built.ok_or_else(|| "cargo built no program".to_owned())
}

/// The instructions of one run.
fn count(program: &str, row: &str, rounds: u64) -> Result<u64, String> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args([program, row, &rounds.to_string()])
        .env("BLITZ_IO_DRIVER", "epoll")
        .output()
        .map_err(|error| format!("cannot run valgrind, which counts: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = told.lines().find_map(|line| line.split_once("Collected :"));
    collected
        .and_then(|(_, count)| count.trim().parse().ok())
        .ok_or_else(|| format!("valgrind counted nothing: {told}"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
