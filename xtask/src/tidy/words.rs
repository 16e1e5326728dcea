//! Rules about words: nothing left unfinished, no place of one machine, no link that leads nowhere.

use super::Finding;
use std::path::Path;

/// Words that mark unfinished work. They are put together here, so that this file may name them.
const UNFINISHED: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("to", "do!("),
    concat!("un", "implemented!("),
];

/// Folders that exist on somebody's machine only.
const PLACES: [&str; 6] = [
    concat!("/wo", "rk/main"),
    concat!("/wo", "rk/shared"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tmp/", "target"),
    concat!("/tmp/", "team"),
];

/// Code and scripts hold no mark of unfinished work.
pub(super) fn unfinished(path: &str, text: &str) -> Vec<Finding> {
    let code = [".rs", ".sh", ".toml", ".yml"]
        .iter()
        .any(|ending| path.ends_with(ending));
    if !code && path != ".ci/run" {
        return Vec::new();
    }
    search(
        path,
        text,
        "unfinished",
        &UNFINISHED,
        "left in the tree: finish it or file an issue",
    )
}

/// No file names a folder of the machine it was written on.
pub(super) fn places(path: &str, text: &str) -> Vec<Finding> {
    search(path, text, "place", &PLACES, "is a path of one machine")
}

/// A link from one page of the tree to another leads to a file that is there.
pub(super) fn links(root: &Path, path: &str, text: &str) -> Vec<Finding> {
    if !path.ends_with(".md") {
        return Vec::new();
    }
    let folder = root.join(path);
    let folder = folder.parent().unwrap_or(root);
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for link in line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || folder.join(file).exists() {
                continue;
            }
            findings.push(Finding {
                path: path.to_owned(),
                line: index + 1,
                rule: "link",
                says: format!("`{link}` leads to nothing"),
            });
        }
    }
    findings
}

fn search(path: &str, text: &str, rule: &'static str, words: &[&str], says: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for word in words.iter().filter(|word| line.contains(**word)) {
            findings.push(Finding {
                path: path.to_owned(),
                line: index + 1,
                rule,
                says: format!("`{word}` {says}"),
            });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_work_is_found_in_code_only() {
        for word in UNFINISHED {
            let text = format!("//! A.\nfn a() {{ {word} }}");
            assert_eq!(unfinished("a.rs", &text).len(), 1, "{word}");
            assert_eq!(unfinished("a.md", &text), []);
        }
        assert_eq!(unfinished("a.rs", "a method that is done"), []);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(
            links(
                root,
                "a.md",
                "see [it](Cargo.toml#x) and [that](https://a.b/c)"
            ),
            []
        );
        assert_eq!(links(root, "a.md", "see [it](no/such.md)").len(), 1);
    }

    #[test]
    fn a_machine_path_is_found_everywhere() {
        for place in PLACES {
            assert_eq!(
                places("docs/a.md", &format!("see {place}x")).len(),
                1,
                "{place}"
            );
        }
        assert_eq!(places("docs/a.md", "see /proc/self/fd"), []);
    }
}
