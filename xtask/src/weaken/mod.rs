//! `xtask weaken`: takes each atomic ordering one step down and asks the loom models to notice.
//!
//! An ordering that can be weaker without a model failing is either too strong or not modelled. It
//! has to stand in `docs/weaken-allow.txt` with its argument. The models are built once, from a copy of
//! the tree with a switch at each step; each run then takes one. Results are kept beside the build, by
//! the content of the function they are about, so that a run can be stopped and taken up again.

mod kept;
mod steps;

use crate::Outcome;
use crate::loom;
use crate::programs::Counts;
use crate::run::{self, End};
use crate::source::Source;
use kept::{Allowed, Kept, Verdict};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use steps::{SWITCH, Step, switched, switches};

/// A mutated model may run this much longer than the unchanged one before it counts as hanging.
const PATIENCE: u32 = 4;
const PATIENCE_LEAST: Duration = Duration::from_secs(60);
/// Models that nothing changed have at most this long.
const LONGEST: Duration = Duration::from_secs(3600);
/// What the models say when one has failed: the tests' words, and loom's.
const FAILED: [&str; 2] = ["... FAILED", "Causality violation"];
/// The whole crate's models are asked as well when they take no longer than this.
const WHOLE_CRATE_WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn main(root: &Path, args: &[String]) -> Outcome {
    let options = Options::parse(args)?;
    let crates = loom::crates_with_models(root)?;
    let sources = hand_ordered(root, &crates)?;
    let allowed = Allowed::read(root)?;
    let mut kept = match Kept::read(root) {
        Err(_) if options.fresh => Kept::empty(root),
        kept => kept?,
    };
    let all: Vec<(&Source, Step)> = sources
        .iter()
        .flat_map(|source| {
            steps::of(source)
                .into_iter()
                .map(move |step| (source, step))
        })
        .collect();
    println!("weaken: {} steps in {} files", all.len(), sources.len());
    if !options.report {
        let numbered: Vec<_> = all.iter().enumerate().collect();
        let wanted: Vec<_> = numbered
            .iter()
            .filter(|(_, (source, step))| {
                options.wants(source, step)
                    && (options.fresh || kept.verdict(source, step).is_none())
            })
            .collect();
        println!("weaken: {} of them are to be run", wanted.len());
        let tree = copy(root, &sources, &all)?;
        let deadline = Instant::now() + options.limit;
        let mut asked: BTreeMap<&str, Models> = BTreeMap::new();
        for (number, (source, step)) in wanted {
            if Instant::now() > deadline {
                println!("weaken: the time is over; the next run goes on from here");
                break;
            }
            let name = crate_of(&source.path);
            if !asked.contains_key(name) {
                asked.insert(name, Models::build(root, &tree, name)?);
            }
            let models = asked.get_mut(name).expect("built above");
            let verdict = match models.judge(&source.path, *number) {
                Ok(verdict) => verdict,
                Err(why) => {
                    println!("not run   {}: {why}", source.path);
                    continue;
                }
            };
            println!(
                "{:<9} {}:{} {}",
                verdict.word(),
                source.path,
                step.line + 1,
                step.says()
            );
            kept.add(source, step, verdict);
            kept.write()?;
        }
    }
    let (table, open) = kept::report(&all, &kept, &allowed);
    let path = root.join("docs/weaken.md");
    std::fs::write(&path, &table)
        .map_err(|error| format!("cannot write docs/weaken.md: {error}"))?;
    println!(
        "{}",
        table
            .lines()
            .take_while(|line| !line.starts_with("| "))
            .collect::<Vec<_>>()
            .join("\n")
    );
    if open == 0 {
        Ok(())
    } else {
        Err(format!(
            "{open} orderings are neither held by a model nor argued for"
        ))
    }
}

struct Options {
    limit: Duration,
    only: String,
    fresh: bool,
    report: bool,
}

impl Options {
    /// `--only` names a part of the path, or of the path and the line behind a colon; or several, with commas between them.
    fn wants(&self, source: &Source, step: &Step) -> bool {
        let place = format!("{}:{}:", source.path, step.line + 1);
        self.only.split(',').any(|only| place.contains(only))
    }

    fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Options {
            limit: Duration::from_secs(3600),
            only: String::new(),
            fresh: false,
            report: false,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
            match arg.as_str() {
                "--minutes" => {
                    let minutes: u64 = value()?
                        .parse()
                        .map_err(|_| "--minutes wants a number".to_owned())?;
                    options.limit = Duration::from_secs(minutes * 60);
                }
                "--only" => options.only = value()?.clone(),
                "--fresh" => options.fresh = true,
                "--report" => options.report = true,
                other => return Err(format!("weaken does not know `{other}`")),
            }
        }
        Ok(options)
    }
}

/// The files with hand-ordered atomics: in a crate with models, on the words of `primitive`.
fn hand_ordered(root: &Path, crates: &[String]) -> Result<Vec<Source>, String> {
    let listed = run::output(
        root,
        "git",
        &[
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "crates",
        ],
    )?;
    let mut sources = Vec::new();
    for path in listed.lines().filter(|path| path.ends_with(".rs")) {
        let in_crate = crates
            .iter()
            .any(|name| path.starts_with(&format!("crates/{name}/src/")));
        let Ok(text) = std::fs::read_to_string(root.join(path)) else {
            continue;
        };
        let source = Source::new(path, &text);
        if in_crate
            && text.contains("primitive")
            && !source.is_test_file()
            && !steps::of(&source).is_empty()
        {
            sources.push(source);
        }
    }
    Ok(sources)
}

/// The name of the crate that a file is of.
fn crate_of(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

/// The models of one crate, in programs that can take any of its steps.
struct Models<'a> {
    root: &'a Path,
    name: &'a str,
    programs: Vec<PathBuf>,
    /// How the unchanged models do, by filter: how long they take, and how many there are.
    usual: BTreeMap<String, (Duration, usize)>,
}

impl<'a> Models<'a> {
    fn build(root: &'a Path, tree: &Path, name: &'a str) -> Result<Self, String> {
        Ok(Self {
            root,
            name,
            programs: loom::build(root, tree, name)?,
            usual: BTreeMap::new(),
        })
    }

    /// Runs the models with step `number` taken: the nearest first, then the folder's, and the whole crate's when that is quick or
    /// nothing nearer exists.
    fn judge(&mut self, path: &str, number: usize) -> Result<Verdict, String> {
        let mut ran = 0;
        for filter in filters(path) {
            // All of a crate's models are asked last, and only where they are quick: nobody waits to learn how slow they are.
            let is_extra = filter.is_empty() && ran > 0;
            let limit = if is_extra {
                WHOLE_CRATE_WITHIN
            } else {
                LONGEST
            };
            let (usual, count) = self.usual(&filter, limit)?;
            if count == 0 || (is_extra && usual > WHOLE_CRATE_WITHIN) {
                continue;
            }
            ran += count;
            let patience = (usual * PATIENCE).max(PATIENCE_LEAST);
            match self.run(&filter, Some(number), patience)?.0 {
                Verdict::Survived => {}
                other => return Ok(other),
            }
        }
        Ok(Verdict::Survived)
    }

    /// How the unchanged models do, within `limit`; where that is not the longest, those that take longer take for ever.
    fn usual(&mut self, filter: &str, limit: Duration) -> Result<(Duration, usize), String> {
        let known = self.usual.get(filter).copied();
        if let Some(known) = known.filter(|(usual, _)| *usual < Duration::MAX || limit < LONGEST) {
            return Ok(known);
        }
        let (verdict, counts, elapsed) = self.run(filter, None, limit)?;
        let usual = match verdict {
            Verdict::Survived => (elapsed, counts.passed),
            Verdict::Hung if limit < LONGEST => (Duration::MAX, 1),
            other => {
                return Err(format!(
                    "the models of {} with `{filter}` do not pass unchanged: {}",
                    self.name,
                    other.word()
                ));
            }
        };
        self.usual.insert(filter.to_owned(), usual);
        Ok(usual)
    }

    /// How they ended, how many there were, and how long they took.
    fn run(
        &self,
        filter: &str,
        step: Option<usize>,
        limit: Duration,
    ) -> Result<(Verdict, Counts, Duration), String> {
        let mut counts = Counts::default();
        let begun = Instant::now();
        for program in &self.programs {
            let mut command = loom::models(self.root, program, filter);
            if let Some(step) = step {
                command.env(SWITCH, step.to_string()).arg("--nocapture");
            }
            // With one that failed the question is answered: others may go on for long, and who unwinds through a half made move for
            // ever.
            let words: &[&str] = if step.is_some() { &FAILED } else { &[] };
            let (end, output) = run::limited_until(&mut command, limit, words)?;
            counts.add(&output);
            match end {
                End::Passed => {}
                End::Failed => return Ok((Verdict::Caught, counts, begun.elapsed())),
                End::TimedOut => return Ok((Verdict::Hung, counts, begun.elapsed())),
            }
        }
        Ok((Verdict::Survived, counts, begun.elapsed()))
    }
}

/// From the file's own models to the whole crate: each filter is part of a test's path.
fn filters(path: &str) -> Vec<String> {
    let inside: Vec<&str> = path.split('/').skip(3).collect();
    let stem = inside
        .last()
        .map_or("", |file| file.trim_end_matches(".rs"));
    let mut filters = vec![stem.to_owned()];
    if inside.len() > 1 {
        filters.push(format!("{}::", inside[0]));
    }
    filters.retain(|filter| filter != "mod" && filter != "lib");
    filters.push(String::new());
    filters
}

/// A copy of the tree, beside the build, with a switch at each of the steps `all`.
fn copy(root: &Path, sources: &[Source], all: &[(&Source, Step)]) -> Result<PathBuf, String> {
    let tree = loom::target(root).join("weaken-tree");
    let listed = run::output(
        root,
        "git",
        &["ls-files", "--cached", "--others", "--exclude-standard"],
    )?;
    for path in listed.lines() {
        let Ok(mut content) = std::fs::read(root.join(path)) else {
            continue;
        };
        if sources.iter().any(|source| source.path == path) {
            let steps = all.iter().enumerate();
            let of_file = steps.filter(|(_, (source, _))| source.path == path);
            let of_file: Vec<_> = of_file.map(|(number, (_, step))| (number, step)).collect();
            let source = all.iter().find(|(source, _)| source.path == path);
            content = source.map_or(content, |(source, _)| {
                switched(source, &of_file).into_bytes()
            });
        }
        if path.ends_with("/src/lib.rs") && path.split('/').count() == 4 {
            content.extend(switches().into_bytes());
        }
        let to = tree.join(path);
        // An unchanged file keeps its date, so that cargo need not build it again.
        if std::fs::read(&to).is_ok_and(|old| old == content) {
            continue;
        }
        let folder = to.parent().unwrap_or(&tree);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&to, content))
            .map_err(|error| format!("cannot copy {path}: {error}"))?;
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_asked_from_near_to_far() {
        assert_eq!(
            filters("crates/blitz-core/src/queue/deque.rs"),
            ["deque", "queue::", ""]
        );
        assert_eq!(
            filters("crates/blitz-core/src/queue/mod.rs"),
            ["queue::", ""]
        );
        assert_eq!(filters("crates/blitz-core/src/slab.rs"), ["slab", ""]);
    }
}
