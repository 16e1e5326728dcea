//! The absences of ARCHITECTURE.md: names that must not occur in a part of the tree.

use super::Finding;
use crate::source::Source;

/// The crates that may hold unsafe code; every other crate forbids it, but for listed files.
const UNSAFE_CRATES: [&str; 6] = [
    "blitz-core",
    "blitz-sys",
    "blitz-driver",
    "blitz-exec",
    "blitz-io-traits",
    "blitz-sync",
];

/// Words that a crate never says outside its tests.
const WORDS: [(&str, &[&str], &str); 6] = [
    (
        "crates/blitz-http-proto/",
        &[
            "async",
            "await",
            "Future",
            "Context",
            "Waker",
            "Instant",
            "SystemTime",
            "TcpStream",
            "thread",
            "blitz_io",
        ],
        "the protocol takes bytes and gives events; sockets, clocks and tasks are blitz-http's",
    ),
    (
        "crates/blitz-driver/",
        &[
            "blitz_exec",
            "Scheduler",
            "scheduler",
            "Schedule",
            "OwnedTasks",
            "JoinError",
            "Notified",
        ],
        "the driver knows wakers; tasks and schedulers are on the other side of them",
    ),
    (
        "crates/blitz-exec/",
        &[
            "blitz_driver",
            "blitz_sys",
            "libc",
            "mio",
            "RawFd",
            "OwnedFd",
            "BorrowedFd",
            "AsRawFd",
            "AsFd",
            "Instant",
            "SystemTime",
        ],
        "the executor knows no descriptor and no clock: they come in by `Park`",
    ),
    (
        "crates/blitz-driver/",
        &["HashMap", "BTreeMap"],
        "hot paths stay flat: a slab or an array",
    ),
    (
        "crates/blitz-exec/",
        &["HashMap", "BTreeMap"],
        "hot paths stay flat: a slab or an array",
    ),
    (
        "crates/blitz-sync/",
        &["HashMap", "BTreeMap"],
        "hot paths stay flat: a slab or an array",
    ),
];

/// The folders of the face that may ask which runtime they are on.
const LEAVES: [&str; 12] = [
    "net", "fs", "time", "process", "signal", "stream", "task", "pool", "cpu", "io", "runtime",
    "macros",
];

/// Every absence that is about names.
pub(super) fn of(source: &Source) -> Vec<Finding> {
    let mut findings = forbidden_words(source);
    findings.extend(target_os(source));
    findings.extend(face_imports(source));
    findings.extend(driver_names_no_task(source));
    findings
}

fn forbidden_words(source: &Source) -> Vec<Finding> {
    let rules: Vec<_> = WORDS
        .iter()
        .filter(|(folder, ..)| source.path.starts_with(folder) && source.path.contains("/src/"))
        .collect();
    if rules.is_empty() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for token in source.tokens() {
        if source.is_test_line(token.line) {
            continue;
        }
        for (_, words, why) in &rules {
            if words.contains(&token.text.as_str()) {
                findings.push(finding(
                    source,
                    token.line,
                    "absence",
                    format!("`{}`: {why}", token.text),
                ));
            }
        }
    }
    findings
}

/// `task::…` in the driver is `std::task` or `core::task` and nothing else.
fn driver_names_no_task(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("crates/blitz-driver/src/") {
        return Vec::new();
    }
    let tokens = source.tokens();
    let word = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let mut findings = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if token.text != "task" || word(index + 1) != "::" || source.is_test_line(token.line) {
            continue;
        }
        let from = index.checked_sub(2).map_or("", word);
        let nested = matches!(index.checked_sub(1).map_or("", word), "{" | ",");
        if !(nested || matches!(from, "std" | "core")) {
            let says = "the driver knows no task, only `std::task::Waker`".to_owned();
            findings.push(finding(source, token.line, "absence", says));
        }
    }
    findings
}

/// Which system this is, only blitz-sys's build script asks.
fn target_os(source: &Source) -> Vec<Finding> {
    if source.path == "crates/blitz-sys/build.rs" || !source.path.starts_with("crates/") {
        return Vec::new();
    }
    source
        .tokens()
        .iter()
        .filter(|token| matches!(token.text.as_str(), "target_os" | "target_vendor"))
        .map(|token| {
            let says = format!(
                "`{}` belongs into blitz-sys/build.rs, which gives what it finds a name",
                token.text
            );
            finding(source, token.line, "platform", says)
        })
        .collect()
}

/// In the face, nobody imports `runtime`, and only leaves import `context`.
fn face_imports(source: &Source) -> Vec<Finding> {
    let Some(rest) = source.path.strip_prefix("crates/blitz-io/src/") else {
        return Vec::new();
    };
    let part = rest.split(['/', '.']).next().unwrap_or_default();
    let mut findings = Vec::new();
    for (module, line) in super::cycles::named_from_root(source) {
        if source.is_test_line(line) {
            continue;
        }
        if module == "runtime" && !matches!(part, "runtime" | "lib") {
            let says = "nothing imports `crate::runtime`: ask `crate::context`".to_owned();
            findings.push(finding(source, line, "absence", says));
        }
        if module == "context" && !LEAVES.contains(&part) && !matches!(part, "context" | "lib") {
            let says = format!(
                "`{part}` is no leaf: only {} import `crate::context`",
                LEAVES.join(" ")
            );
            findings.push(finding(source, line, "absence", says));
        }
    }
    findings
}

/// Unsafe code outside the crates that may have it stands in listed files.
pub(super) fn unsafe_elsewhere(source: &Source, allowed: &UnsafeFiles) -> Vec<Finding> {
    let krate = source
        .path
        .strip_prefix("crates/")
        .and_then(|rest| rest.split('/').next());
    if krate.is_some_and(|name| UNSAFE_CRATES.contains(&name))
        || source.path.starts_with("bench/")
        || source.path.starts_with("fuzz/")
        || allowed.contains(&source.path)
    {
        return Vec::new();
    }
    source
        .tokens()
        .iter()
        .filter(|token| token.text == "unsafe")
        .map(|token| {
            let says = format!(
                "unsafe code here is neither in {} nor listed",
                UNSAFE_CRATES.join(" ")
            );
            finding(source, token.line, "unsafe", says)
        })
        .collect()
}

/// The files that hold unsafe code although their crate does not: each with its reason.
#[derive(Debug, Default)]
pub(super) struct UnsafeFiles(Vec<String>);

impl UnsafeFiles {
    pub(super) const PATH: &str = "docs/unsafe-files.txt";

    /// One file a line, then two spaces or more, then the reason; `#` begins a comment.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut files = Vec::new();
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            match line.split_once("  ") {
                Some((path, reason)) if !reason.trim().is_empty() => files.push(path.to_owned()),
                _ => return Err(format!("{}: `{line}` gives no reason", Self::PATH)),
            }
        }
        Ok(UnsafeFiles(files))
    }

    fn contains(&self, path: &str) -> bool {
        self.0.iter().any(|file| file == path)
    }

    /// A listed file that has no unsafe code any more leaves the list.
    pub(super) fn unused(&self, sources: &[Source]) -> Vec<Finding> {
        let uses = |path: &String| {
            sources.iter().any(|source| {
                source.path == *path && source.tokens().iter().any(|token| token.text == "unsafe")
            })
        };
        self.0
            .iter()
            .filter(|path| !uses(path))
            .map(|path| Finding {
                path: Self::PATH.to_owned(),
                line: 0,
                rule: "unsafe",
                says: format!("{path} holds no unsafe code: take it off the list"),
            })
            .collect()
    }
}

fn finding(source: &Source, line: usize, rule: &'static str, says: String) -> Finding {
    Finding {
        path: source.path.clone(),
        line: line + 1,
        rule,
        says,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, text: &str) -> usize {
        of(&Source::new(path, text)).len()
    }

    #[test]
    fn a_driver_that_names_tasks_is_found() {
        let path = "crates/blitz-driver/src/a.rs";
        assert_eq!(at(path, "use blitz_exec::Park;"), 1);
        assert_eq!(at(path, "use crate::task::Task;"), 1);
        assert_eq!(
            at(path, "use std::task::Waker; use std::{io, task::Poll};"),
            0
        );
        assert_eq!(at(path, "// the scheduler is elsewhere"), 0);
        assert_eq!(
            at(
                "crates/blitz-exec/src/a.rs",
                "use crate::scheduler::Handle;"
            ),
            0
        );
    }

    #[test]
    fn an_executor_that_names_descriptors_or_clocks_is_found() {
        let path = "crates/blitz-exec/src/a.rs";
        assert_eq!(at(path, "use std::os::fd::OwnedFd;"), 1);
        assert_eq!(at(path, "let now = std::time::Instant::now();"), 1);
        assert_eq!(at(path, "use std::time::Duration;"), 0);
        assert_eq!(
            at(path, "#[cfg(test)]\nmod tests { use std::time::Instant; }"),
            0
        );
    }

    #[test]
    fn a_protocol_that_waits_or_asks_a_clock_is_found() {
        let path = "crates/blitz-http-proto/src/a.rs";
        assert_eq!(at(path, "async fn a() {}"), 1);
        assert_eq!(at(path, "let now = std::time::Instant::now();"), 1);
        assert_eq!(at(path, "use std::time::Duration;"), 0);
    }

    #[test]
    fn a_hash_map_on_a_hot_path_is_found() {
        for krate in ["driver", "exec", "sync"] {
            let path = format!("crates/blitz-{krate}/src/a.rs");
            assert_eq!(at(&path, "use std::collections::HashMap;"), 1, "{krate}");
        }
        assert_eq!(
            at(
                "crates/blitz-io/src/net/a.rs",
                "use std::collections::HashMap;"
            ),
            0
        );
    }

    #[test]
    fn asking_for_the_system_outside_sys_is_found() {
        assert_eq!(
            at(
                "crates/blitz-io/src/net/a.rs",
                "#[cfg(target_os = \"linux\")]\nfn a() {}"
            ),
            1
        );
        assert_eq!(
            at(
                "crates/blitz-sys/src/file/mod.rs",
                "#[cfg(target_os = \"linux\")]\nfn a() {}"
            ),
            1
        );
        assert_eq!(
            at(
                "crates/blitz-sys/build.rs",
                "#[cfg(target_os = \"linux\")]\nfn a() {}"
            ),
            0
        );
    }

    #[test]
    fn importing_the_runtime_is_found() {
        assert_eq!(
            at(
                "crates/blitz-io/src/net/a.rs",
                "use crate::runtime::Handle;"
            ),
            1
        );
        assert_eq!(
            at(
                "crates/blitz-io/src/net/a.rs",
                "use crate::{io, runtime::Handle};"
            ),
            1
        );
        assert_eq!(
            at(
                "crates/blitz-io/src/runtime/a.rs",
                "use crate::runtime::Handle;"
            ),
            0
        );
        assert_eq!(at("crates/blitz-io/src/net/a.rs", "use crate::context;"), 0);
        assert_eq!(at("crates/blitz-io/src/codec.rs", "use crate::context;"), 1);
    }

    #[test]
    fn unsafe_code_outside_its_crates_is_found() {
        let source = Source::new("crates/blitz-io/src/net/a.rs", "unsafe { a() }");
        assert_eq!(unsafe_elsewhere(&source, &UnsafeFiles::default()).len(), 1);
        let list =
            UnsafeFiles::parse("# why\ncrates/blitz-io/src/net/a.rs  FromRawFd\n").expect("parses");
        assert_eq!(unsafe_elsewhere(&source, &list), []);
        assert_eq!(list.unused(&[source]), []);
        assert_eq!(list.unused(&[]).len(), 1);
        assert!(UnsafeFiles::parse("crates/a.rs").is_err());
    }
}
