//! The rule about orderings: each one says why, and who its partner is.

use super::Finding;
use crate::source::{Source, Token};

/// How many lines above an ordering its comment may stand.
const WITHIN: usize = 14;

pub(crate) const NAMES: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];

/// Every use of an atomic ordering has an `ORDERING:` comment near it.
///
/// A file of counters may say once, in its opening, why they are all `Relaxed`: an `ORDERING:` in
/// the `//!` lines covers the relaxed ones of the file and no other. Tests are free.
pub(super) fn orderings_are_argued(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("crates/") || !source.path.contains("/src/") {
        return Vec::new();
    }
    let opening_speaks = source
        .lines
        .iter()
        .any(|line| line.comment.starts_with("//!") && line.comment.contains("ORDERING:"));
    let mut findings = Vec::new();
    for token in uses(source) {
        if source.is_test_line(token.line) || token.text == "Relaxed" && opening_speaks {
            continue;
        }
        let above = token.line.saturating_sub(WITHIN)..=token.line;
        if source.lines[above]
            .iter()
            .any(|line| line.comment.contains("ORDERING:"))
        {
            continue;
        }
        findings.push(Finding {
            path: source.path.clone(),
            line: token.line + 1,
            rule: "ordering",
            says: format!(
                "`{}` without an `ORDERING:` comment that names its partner",
                token.text
            ),
        });
    }
    findings
}

/// The tokens of `source` that are orderings in use: not imports, not names of something else.
pub(crate) fn uses(source: &Source) -> Vec<Token> {
    let tokens = source.tokens();
    let mut found = Vec::new();
    let mut in_use = false;
    for (index, token) in tokens.iter().enumerate() {
        let before = index
            .checked_sub(1)
            .map_or("", |at| tokens[at].text.as_str());
        match token.text.as_str() {
            "use" => in_use = true,
            ";" => in_use = false,
            name if NAMES.contains(&name) && !in_use => {
                let qualified =
                    before == "::" && index >= 2 && tokens[index - 2].text == "Ordering";
                let argument = matches!(before, "(" | ",");
                let after = tokens.get(index + 1).map_or("", |next| next.text.as_str());
                if (qualified || argument) && matches!(after, ")" | "," | ";" | "}") {
                    found.push(token.clone());
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("crates/blitz-core/src/a.rs", text)
    }

    #[test]
    fn an_ordering_without_a_partner_is_found() {
        assert_eq!(orderings_are_argued(&source("a.load(Acquire);")).len(), 1);
        assert_eq!(
            orderings_are_argued(&source("a.load(Ordering::SeqCst);")).len(),
            1
        );
        assert_eq!(
            orderings_are_argued(&source("a.compare_exchange(0, 1, AcqRel, Relaxed);")).len(),
            2
        );
        assert_eq!(
            orderings_are_argued(&source("// ORDERING: pairs with b.\na.load(Acquire);")),
            []
        );
    }

    #[test]
    fn imports_tests_and_other_names_are_free() {
        assert_eq!(
            orderings_are_argued(&source(
                "use std::sync::atomic::Ordering::{Acquire, Release};"
            )),
            []
        );
        assert_eq!(
            orderings_are_argued(&source(
                "#[cfg(test)]\nmod t { fn a() { b.load(Relaxed); } }"
            )),
            []
        );
        assert_eq!(
            orderings_are_argued(&source("match a { Release { .. } => 1 }")),
            []
        );
    }

    #[test]
    fn an_opening_covers_relaxed_counters_only() {
        let opening = "//! Counters. ORDERING: all relaxed, they publish nothing.\n";
        assert_eq!(
            orderings_are_argued(&source(&format!("{opening}a.load(Relaxed);"))),
            []
        );
        let far = "\n".repeat(WITHIN + 1);
        assert_eq!(
            orderings_are_argued(&source(&format!("{opening}{far}a.load(Acquire);"))).len(),
            1
        );
    }
}
