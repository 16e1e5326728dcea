//! Compares what tokio passes with what we pass, and looks for the reason of each difference.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use crate::reasons::Reasons;
use crate::run::{Outcome, Outcomes};

/// A test that is not passed somewhere.
pub(crate) struct Miss {
    /// `tokio`, or the back end.
    pub(crate) place: String,
    pub(crate) outcome: Outcome,
    pub(crate) cause: Option<String>,
}

/// How many of how many tests are passed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) of: usize,
}

impl Count {
    pub(crate) fn percent(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "some thousand tests")]
        let (passed, of) = (self.passed as f64, self.of as f64);
        if self.of == 0 {
            100.0
        } else {
            100.0 * passed / of
        }
    }
}

/// What came of a run.
pub(crate) struct Verdict {
    /// By test, what is not passed. Where tokio does not pass, its own miss alone stands.
    pub(crate) misses: BTreeMap<String, Vec<Miss>>,
    /// By back end, what counts.
    pub(crate) counts: Vec<(String, Count)>,
    /// Tests that passed only when they ran alone, with the place.
    pub(crate) alone: Vec<(String, String)>,
    /// Tests that ran at all.
    tests: BTreeSet<String>,
}

/// Compares. Without a baseline, `tokio`'s lines in the table of reasons say what does not apply.
pub(crate) fn compare(
    tokio: Option<&Outcomes>,
    ours: &[(String, Outcomes)],
    reasons: &Reasons,
    wants: &dyn Fn(&str) -> bool,
) -> Verdict {
    let mut tests = BTreeSet::new();
    for outcomes in tokio
        .into_iter()
        .chain(ours.iter().map(|(_, outcomes)| outcomes))
    {
        tests.extend(outcomes.tests.keys().filter(|name| wants(name)).cloned());
    }
    let mut verdict = Verdict {
        misses: BTreeMap::new(),
        counts: ours
            .iter()
            .map(|(driver, _)| (driver.clone(), Count::default()))
            .collect(),
        alone: Vec::new(),
        tests: tests.clone(),
    };
    for test in tests {
        let mut misses = Vec::new();
        let measure = tokio.and_then(|tokio| tokio.of(&test));
        let applies = match &measure {
            Some(outcome) => outcome.is_passed(),
            None => reasons.of(&test, "tokio").is_none(),
        };
        if let (false, Some(outcome)) = (applies, measure) {
            let cause = reasons
                .of(&test, "tokio")
                .map(|reason| reason.cause.clone());
            misses.push(Miss {
                place: "tokio".to_owned(),
                outcome,
                cause,
            });
        }
        for ((driver, outcomes), (_, count)) in ours.iter().zip(&mut verdict.counts) {
            let Some(outcome) = outcomes.of(&test) else {
                continue;
            };
            if outcome == Outcome::PassedAlone {
                verdict.alone.push((test.clone(), driver.clone()));
            }
            if !applies {
                continue;
            }
            count.of += 1;
            count.passed += usize::from(outcome.is_passed());
            if !outcome.is_passed() {
                let cause = reasons.of(&test, driver).map(|reason| reason.cause.clone());
                misses.push(Miss {
                    place: driver.clone(),
                    outcome,
                    cause,
                });
            }
        }
        if !misses.is_empty() {
            verdict.misses.insert(test, misses);
        }
    }
    verdict
}

impl Verdict {
    /// Whether each test that is not passed has its reason.
    pub(crate) fn is_explained(&self) -> bool {
        self.misses
            .values()
            .flatten()
            .all(|miss| miss.cause.is_some())
    }

    /// What the command prints: the counts, and what has no reason.
    pub(crate) fn summary(&self, logs: &Path) -> String {
        let mut text = String::new();
        for (test, misses) in &self.misses {
            for miss in misses {
                if miss.cause.is_none() {
                    let _ = writeln!(
                        text,
                        "unexplained on {}: {test}: {}",
                        miss.place,
                        miss.outcome.words()
                    );
                }
            }
        }
        if !self.is_explained() {
            let _ = writeln!(
                text,
                "(each needs a fix or a line in conformance/suite/reasons.txt; what they said is in {})",
                logs.display()
            );
        }
        for (test, place) in &self.alone {
            let _ = writeln!(text, "passed only when it ran alone, on {place}: {test}");
        }
        for (driver, count) in &self.counts {
            let _ = writeln!(
                text,
                "{driver}: {} of {} tests that apply are passed ({:.1} %)",
                count.passed,
                count.of,
                count.percent()
            );
        }
        text
    }

    /// Lines of the table that explain nothing any more.
    pub(crate) fn stale(&self, reasons: &Reasons) -> Vec<String> {
        let needed = |reason: &crate::reasons::Reason| {
            self.misses.iter().any(|(test, misses)| {
                reason.is_of(test) && misses.iter().any(|miss| reason.is_at(&miss.place))
            })
        };
        let unneeded = reasons.lines().iter().filter(|reason| {
            let exists = self.tests.iter().any(|test| reason.is_of(test));
            !exists || (!reason.sometimes && !needed(reason))
        });
        unneeded.map(ToString::to_string).collect()
    }
}
