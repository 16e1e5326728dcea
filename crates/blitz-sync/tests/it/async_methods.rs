//! Which async methods a crate's source has, for the tests that ask whether each was dropped at its polls.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The async methods, and the futures with a name, of the crate whose manifest stands in `folder`: `file method`.
///
/// None, and a line that says so, where its source is not on this machine.
pub(crate) fn async_methods(folder: &str) -> Option<BTreeSet<String>> {
    let root = Path::new(folder).join("src");
    if !root.is_dir() {
        eprintln!("skipped: the source is not on this machine");
        return None;
    }
    let mut found = BTreeSet::new();
    methods(&root, &root, &mut found);
    Some(found)
}

fn methods(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .expect("the source is there")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "tests") {
                methods(&path, root, found);
            }
            continue;
        }
        let text = fs::read_to_string(&path).expect("it can be read");
        let file = path.strip_prefix(root).expect("below the root");
        let file = file.with_extension("").display().to_string();
        let file = file.replace('\\', "/").replace("/mod", "");
        for (at, _) in text.match_indices("pub ") {
            let rest = &text[at + 4..];
            let head = rest.split(['{', ';']).next().unwrap_or_default();
            let head = head.strip_prefix("unsafe ").unwrap_or(head);
            let (is_async, head) = match head.strip_prefix("async ") {
                Some(head) => (true, head),
                None => (false, head),
            };
            let Some(head) = head.strip_prefix("fn ") else {
                continue;
            };
            let name = head.split(['(', '<']).next().unwrap_or_default();
            // Futures with a name: their types say so.
            let returns = head.rsplit("->").next().unwrap_or_default().trim();
            let is_named = [
                "Notified",
                "OwnedNotified",
                "WaitIf",
                "TrackedFuture",
                "TaskTrackerWait",
                "WaitForCancellation",
            ]
            .iter()
            .any(|future| returns.starts_with(future));
            if is_async || is_named || head.contains("-> impl Future") {
                found.insert(format!("{file} {name}"));
            }
        }
        // What is awaited itself.
        for line in text.lines().filter(|line| line.starts_with("impl")) {
            if let Some((_, of)) = line.split_once(" Future for ") {
                let name: String = of.chars().take_while(|c| c.is_alphanumeric()).collect();
                if text.contains(&format!("pub struct {name}")) {
                    found.insert(format!("{file} {name}"));
                }
            }
        }
    }
}
