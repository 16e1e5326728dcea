//! `xtask tidy`: the rules that no compiler holds.
//!
//! Every rule is a function from text to [`Finding`]s, so that its test can show it firing. The
//! rules about one file stand in [`mod@file`], [`words`], [`atomics`], [`errors`] and [`promises`]; those about who may
//! name whom in [`absences`] and [`cycles`]; those about manifests in [`manifests`].

mod absences;
mod atomics;
mod cycles;
mod errors;
mod file;
mod manifests;
mod promises;
mod words;

use crate::Outcome;
use crate::run;
use crate::source::{Source, Token};
use std::fmt;
use std::path::Path;

/// A rule that is broken, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// Counted from 1; 0 speaks of the whole file.
    pub(crate) line: usize,
    pub(crate) rule: &'static str,
    pub(crate) says: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: [{}] {}",
            self.path, self.line, self.rule, self.says
        )
    }
}

pub(crate) fn main(root: &Path) -> Outcome {
    let files = files(root)?;
    let sources: Vec<Source> = files
        .iter()
        .filter(|(path, _)| path.ends_with(".rs"))
        .map(|(path, text)| Source::new(path, text))
        .collect();
    let mut findings = Vec::new();
    for (path, text) in &files {
        findings.extend(words::places(path, text));
        findings.extend(words::unfinished(path, text));
        findings.extend(words::links(root, path, text));
    }
    let allowed = absences::UnsafeFiles::parse(&read(root, absences::UnsafeFiles::PATH)?)?;
    for source in &sources {
        findings.extend(file::opens_with_its_purpose(source));
        findings.extend(file::is_not_too_long(source));
        findings.extend(file::unsafe_is_argued(source));
        findings.extend(atomics::orderings_are_argued(source));
        findings.extend(absences::of(source));
        findings.extend(errors::none_is_dropped_silently(source));
        findings.extend(errors::numbers_go_through_the_table(source));
        findings.extend(promises::async_functions_say_what_a_drop_loses(source));
        findings.extend(absences::unsafe_elsewhere(source, &allowed));
    }
    findings.extend(allowed.unused(&sources));
    findings.extend(cycles::between_modules(&sources));
    findings.extend(manifests::check(root)?);
    findings.sort();
    findings.dedup();
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} files, {} findings", files.len(), findings.len());
    if findings.is_empty() {
        Ok(())
    } else {
        Err("the tree is not tidy".to_owned())
    }
}

/// Every text file that git knows or would add, with its content.
fn files(root: &Path) -> Result<Vec<(String, String)>, String> {
    let listed = run::output(
        root,
        "git",
        &["ls-files", "--cached", "--others", "--exclude-standard"],
    )?;
    let mut files = Vec::new();
    for path in listed.lines() {
        // A file that is deleted but not yet committed is listed too; binary files are not text.
        if let Ok(text) = std::fs::read_to_string(root.join(path)) {
            files.push((path.to_owned(), text));
        }
    }
    Ok(files)
}

fn read(root: &Path, path: &str) -> Result<String, String> {
    std::fs::read_to_string(root.join(path)).map_err(|error| format!("cannot read {path}: {error}"))
}

/// The places of `source` where an atomic ordering is used.
pub(crate) fn orderings(source: &Source) -> Vec<Token> {
    atomics::uses(source)
}
