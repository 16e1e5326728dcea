//! `xtask weaken`: takes each atomic ordering one step down and asks the loom models to notice.
//!
//! An ordering that can be weaker without a model failing is either too strong or not modelled. It
//! has to stand in `docs/weaken-allow.txt` with its argument. Results are kept beside the build, by
//! the content of the file they are about, so that a run can be stopped and taken up again.

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
use steps::Step;

/// A mutated model may run this much longer than the unchanged one before it counts as hanging.
const PATIENCE: u32 = 4;
const PATIENCE_LEAST: Duration = Duration::from_secs(60);
/// Models that nothing changed have at most this long.
const LONGEST: Duration = Duration::from_secs(3600);
/// The whole crate's models are asked as well when they take no longer than this.
const WHOLE_CRATE_WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn main(root: &Path, args: &[String]) -> Outcome {
    let options = Options::parse(args)?;
    let crates = loom::crates_with_models(root)?;
    let sources = hand_ordered(root, &crates)?;
    let allowed = Allowed::read(root)?;
    let mut kept = if options.fresh {
        Kept::empty(root)
    } else {
        Kept::read(root)?
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
        let wanted: Vec<_> = all
            .iter()
            .filter(|(source, step)| {
                options.wants(source, step) && kept.verdict(source, step).is_none()
            })
            .collect();
        println!("weaken: {} of them are to be run", wanted.len());
        let tree = copy(root)?;
        let deadline = Instant::now() + options.limit;
        let mut baselines = BTreeMap::new();
        for (source, step) in wanted {
            if Instant::now() > deadline {
                println!("weaken: the time is over; the next run goes on from here");
                break;
            }
            let verdict = match judge(root, &tree, source, step, &mut baselines) {
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

/// How the unchanged models do: how long they take, and how many there are. By crate and filter.
type Baselines = BTreeMap<(String, String), (Duration, usize)>;

/// Builds the tree with `step` taken, and runs the models: the nearest first, then the folder's, and
/// the whole crate's when that is quick or nothing nearer exists.
fn judge(
    root: &Path,
    tree: &Path,
    source: &Source,
    step: &Step,
    baselines: &mut Baselines,
) -> Result<Verdict, String> {
    let name = source.path.split('/').nth(1).unwrap_or_default();
    let file = tree.join(&source.path);
    let write = |text: &str| {
        std::fs::write(&file, text)
            .map_err(|error| format!("cannot write {}: {error}", file.display()))
    };
    let mut ran = 0;
    for filter in filters(&source.path) {
        // All of a crate's models are asked last, and only where they are quick: nobody waits to learn how slow they are.
        let is_extra = filter.is_empty() && ran > 0;
        let limit = if is_extra {
            WHOLE_CRATE_WITHIN
        } else {
            LONGEST
        };
        let (usual, count) = baseline(root, tree, name, &filter, limit, baselines)?;
        if count == 0 || (is_extra && usual > WHOLE_CRATE_WITHIN) {
            continue;
        }
        ran += count;
        write(&step.apply(&source.text))?;
        let patience = (usual * PATIENCE).max(PATIENCE_LEAST);
        let verdict = models(root, tree, name, &filter, patience);
        write(&source.text)?;
        match verdict?.0 {
            Verdict::Survived => {}
            other => return Ok(other),
        }
    }
    Ok(Verdict::Survived)
}

/// Runs the unchanged models once, as long as `limit`; where that is not the longest, those that take longer take for ever.
fn baseline(
    root: &Path,
    tree: &Path,
    name: &str,
    filter: &str,
    limit: Duration,
    baselines: &mut Baselines,
) -> Result<(Duration, usize), String> {
    let key = (name.to_owned(), filter.to_owned());
    let known = baselines.get(&key).copied();
    if let Some(known) = known.filter(|(usual, _)| *usual < Duration::MAX || limit < LONGEST) {
        return Ok(known);
    }
    let (verdict, mut counts, mut elapsed) = models(root, tree, name, filter, limit)?;
    if verdict == Verdict::Hung && limit < LONGEST {
        (counts.passed, elapsed) = (1, Duration::MAX);
    } else if verdict != Verdict::Survived {
        return Err(format!(
            "the models of {name} with `{filter}` do not pass unchanged: {}",
            verdict.word()
        ));
    }
    baselines.insert(key, (elapsed, counts.passed));
    Ok((elapsed, counts.passed))
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

/// Builds and runs: how it ended, how many models there were, and how long they took without the build.
fn models(
    root: &Path,
    tree: &Path,
    name: &str,
    filter: &str,
    limit: Duration,
) -> Result<(Verdict, Counts, Duration), String> {
    let mut counts = Counts::default();
    let Ok(programs) = loom::build(root, tree, name) else {
        return Ok((Verdict::Unbuilt, counts, Duration::ZERO));
    };
    let begun = Instant::now();
    for program in &programs {
        let (end, output) = run::limited(&mut loom::models(root, program, filter), limit)?;
        counts.add(&output);
        match end {
            End::Passed => {}
            End::Failed => return Ok((Verdict::Caught, counts, begun.elapsed())),
            End::TimedOut => return Ok((Verdict::Hung, counts, begun.elapsed())),
        }
    }
    Ok((Verdict::Survived, counts, begun.elapsed()))
}

/// A copy of the tree, beside the build, in which the steps are taken.
fn copy(root: &Path) -> Result<PathBuf, String> {
    let tree = loom::target(root).join("weaken-tree");
    let listed = run::output(
        root,
        "git",
        &["ls-files", "--cached", "--others", "--exclude-standard"],
    )?;
    for path in listed.lines() {
        let Ok(content) = std::fs::read(root.join(path)) else {
            continue;
        };
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
