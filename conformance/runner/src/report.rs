//! The page `docs/conformance.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::run::{Outcomes, file_of};
use crate::suite::Published;
use crate::verdict::{Count, Verdict};

const HEAD: &str = "\
# tokio's own tests on blitz-io

Written by `cargo run -p xtask -- conformance`; do not edit. The tests are those that tokio and its companions publish with their crates. They
run here on the drop-in crate `compat/tokio`, each in a process of its own with a limit of a minute, on both back ends (on epoll the kernel refuses rings to them), and in the
same harness on the real tokio, which is the measure: a test that it does not pass here does not apply. Whatever else is not passed is
listed with its cause and counts as not passed. (`blitz-stream` and `blitz-sync` are tests of tokio-stream and tokio-util once more, on `blitz_io::stream`,
and on `blitz_io`'s `CancellationToken` and `TaskTracker`.) A test that fails or hangs runs once more, alone and with five times as long: some measure time, and some take millions of steps.
";

/// Writes the page.
pub(crate) fn page(
    published: &[Published],
    verdict: &Verdict,
    tokio: Option<&Outcomes>,
    ours: &[(String, Outcomes)],
) -> String {
    let mut text = HEAD.to_owned();
    let crates: Vec<_> = published
        .iter()
        .filter(|krate| !krate.is_ours)
        .map(|krate| format!("{} {}", krate.name, krate.version))
        .collect();
    let _ = writeln!(text, "\nMeasured with {}.\n", crates.join(", "));
    let Some(tokio) = tokio else { return text };
    totals(&mut text, published, verdict, tokio, ours);
    text += "\n## Not passed\n\n";
    misses(&mut text, verdict, false);
    text += "\n## Does not apply: the real tokio does not pass either\n\n";
    misses(&mut text, verdict, true);
    if !verdict.alone.is_empty() {
        text += "\nPassed only when they ran alone: ";
        let names: Vec<_> = verdict
            .alone
            .iter()
            .map(|(test, place)| format!("`{test}` ({place})"))
            .collect();
        let _ = writeln!(text, "{}.", names.join(", "));
    }
    text += "\n## By file\n";
    for krate in published {
        by_file(&mut text, krate.name, verdict, tokio, ours);
    }
    text
}

/// Passed of what applies, by the part of the tests that `wants` picks.
fn count(tokio: &Outcomes, outcomes: &Outcomes, wants: &dyn Fn(&str) -> bool) -> Count {
    let mut count = Count::default();
    for (test, measure) in &tokio.tests {
        if measure.is_passed() && wants(test) {
            count.of += 1;
            count.passed +=
                usize::from(outcomes.of(test).is_some_and(|outcome| outcome.is_passed()));
        }
    }
    count
}

fn totals(
    text: &mut String,
    published: &[Published],
    verdict: &Verdict,
    tokio: &Outcomes,
    ours: &[(String, Outcomes)],
) {
    *text += "| crate | tests | tokio passes |";
    for (driver, _) in ours {
        let _ = write!(text, " {driver} passes |");
    }
    *text += "\n|---|---|---|";
    *text += &"---|".repeat(ours.len());
    *text += "\n";
    for krate in published {
        let start = format!("{} ", krate.name);
        let of_crate = |test: &str| test.starts_with(&start);
        let tests = tokio.tests.keys().filter(|test| of_crate(test)).count();
        let passed = tokio
            .tests
            .iter()
            .filter(|(test, outcome)| of_crate(test) && outcome.is_passed())
            .count();
        let _ = write!(text, "| {} | {tests} | {passed} |", krate.name);
        for (_, outcomes) in ours {
            let count = count(tokio, outcomes, &of_crate);
            let _ = write!(text, " {} ({:.1} %) |", count.passed, count.percent());
        }
        *text += "\n";
    }
    let hung = verdict.misses.values().flatten();
    let hung = hung
        .filter(|miss| miss.place != "tokio" && miss.outcome == crate::run::Outcome::Hung)
        .count();
    let _ = writeln!(
        text,
        "\nTests that hung: {}.",
        if hung == 0 {
            "none".to_owned()
        } else {
            hung.to_string()
        }
    );
}

/// A line for each cause, with the tests that have it.
fn misses(text: &mut String, verdict: &Verdict, on_tokio: bool) {
    let mut by_cause: BTreeMap<String, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for (test, misses) in &verdict.misses {
        for miss in misses
            .iter()
            .filter(|miss| (miss.place == "tokio") == on_tokio)
        {
            let cause = miss
                .cause
                .clone()
                .unwrap_or_else(|| format!("**no reason known**: {}", miss.outcome.words()));
            by_cause
                .entry(cause)
                .or_default()
                .entry(test)
                .or_default()
                .push(&miss.place);
        }
    }
    if by_cause.is_empty() {
        *text += "None.\n";
        return;
    }
    *text += if on_tokio {
        "| test | why |\n|---|---|\n"
    } else {
        "| test | on | cause |\n|---|---|---|\n"
    };
    for (cause, tests) in by_cause {
        // One row for all tests of one cause and one set of back ends.
        let mut by_places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (test, places) in tests {
            by_places
                .entry(places.join(", "))
                .or_default()
                .push(format!("`{test}`"));
        }
        for (places, tests) in by_places {
            let tests = tests.join("<br>");
            let cause = cause.replace('|', "\\|");
            let _ = if on_tokio {
                writeln!(text, "| {tests} | {cause} |")
            } else {
                writeln!(text, "| {tests} | {places} | {cause} |")
            };
        }
    }
}

fn by_file(
    text: &mut String,
    krate: &str,
    verdict: &Verdict,
    tokio: &Outcomes,
    ours: &[(String, Outcomes)],
) {
    let start = format!("{krate} ");
    let _ = write!(text, "\n### {krate}\n\n| file | tests | does not apply |");
    for (driver, _) in ours {
        let _ = write!(text, " {driver}: passed | failed |");
    }
    let _ = writeln!(text, "\n|---|---|---|{}", "---|---|".repeat(ours.len()));
    let mut without = Vec::new();
    for file in tokio.files.iter().filter(|file| file.starts_with(&start)) {
        let of_file = |test: &str| file_of(test) == file;
        let tests = tokio.tests.keys().filter(|test| of_file(test)).count();
        let short = file.trim_start_matches(&start);
        if tests == 0 {
            without.push(format!("`{short}`"));
            continue;
        }
        let all = verdict.misses.iter().filter(|(test, _)| of_file(test));
        let not = all
            .filter(|(_, misses)| misses.iter().any(|miss| miss.place == "tokio"))
            .count();
        let _ = write!(text, "| {short} | {tests} | {not} |");
        for (_, outcomes) in ours {
            let count = count(tokio, outcomes, &of_file);
            let _ = write!(text, " {} | {} |", count.passed, count.of - count.passed);
        }
        *text += "\n";
    }
    if !without.is_empty() {
        let _ = writeln!(
            text,
            "\nFor other systems, without a test on this one: {}.",
            without.join(", ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reasons::Reasons;
    use crate::run::Outcome;
    use crate::verdict::compare;

    fn outcomes(tests: &[(&str, Outcome)]) -> Outcomes {
        let tests = tests
            .iter()
            .map(|(name, outcome)| ((*name).to_owned(), outcome.clone()))
            .collect();
        let files = vec!["tokio a".to_owned(), "tokio windows".to_owned()];
        Outcomes {
            tests,
            left_out: BTreeMap::new(),
            files,
        }
    }

    fn table() -> Reasons {
        let folder = std::env::temp_dir().join(format!("blitz-reasons-{}", std::process::id()));
        let text = "tokio a::missed | epoll | it is slow\ntokio a::refused | tokio | no network\ntokio gone | all | x\n";
        std::fs::write(&folder, text).unwrap();
        let table = Reasons::read(&folder).unwrap();
        std::fs::remove_file(&folder).unwrap();
        table
    }

    #[test]
    fn what_is_not_passed_is_counted_and_explained() {
        let failed = || Outcome::Failed("x".to_owned());
        let tokio = outcomes(&[
            ("tokio a::good", Outcome::Passed),
            ("tokio a::missed", Outcome::Passed),
            ("tokio a::refused", failed()),
        ]);
        let ours = outcomes(&[
            ("tokio a::good", Outcome::Passed),
            ("tokio a::missed", failed()),
            ("tokio a::refused", failed()),
        ]);
        let ours = vec![("epoll".to_owned(), ours)];
        let verdict = compare(Some(&tokio), &ours, &table(), &|_| true);
        assert!(verdict.is_explained());
        assert_eq!(
            verdict.counts,
            [("epoll".to_owned(), Count { passed: 1, of: 2 })]
        );
        assert_eq!(verdict.stale(&table()), ["tokio gone | all"]);
        let published = Published {
            name: "tokio",
            version: "1".to_owned(),
            tests: "/nowhere".into(),
            wanted: crate::suite::Wanted::AllBut(&[]),
            is_ours: false,
        };
        let page = page(&[published], &verdict, Some(&tokio), &ours);
        for part in [
            "| tokio | 3 | 2 | 1 (50.0 %) |",
            "| `tokio a::missed` | epoll | it is slow |",
            "| `tokio a::refused` | no network |",
            "| a | 3 | 1 | 1 | 1 |",
            "without a test on this one: `windows`",
            "Tests that hung: none.",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
    }

    #[test]
    fn a_test_without_a_reason_is_no_success() {
        let tokio = outcomes(&[("tokio a::good", Outcome::Passed)]);
        let ours = vec![(
            "io_uring".to_owned(),
            outcomes(&[("tokio a::good", Outcome::Hung)]),
        )];
        let verdict = compare(Some(&tokio), &ours, &table(), &|_| true);
        assert!(!verdict.is_explained());
        assert!(
            verdict
                .summary(std::path::Path::new("logs"))
                .contains("unexplained on io_uring: tokio a::good: hung")
        );
        // Without tokio beside it a test is expected to pass, unless the table knows better.
        let refused = vec![(
            "io_uring".to_owned(),
            outcomes(&[("tokio a::refused", Outcome::Hung)]),
        )];
        assert!(compare(None, &refused, &table(), &|_| true).is_explained());
    }
}
