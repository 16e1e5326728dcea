//! Objectives: `p99<5ms,errors<0.1%,rate>1000`, and whether a run has met them.

use super::options::read_time;
use super::tally::Summary;
use crate::demo::short;
use std::time::Duration;

/// What a run has to reach; nothing if nothing was said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Slo(Vec<Objective>);

#[derive(Clone, Debug, PartialEq)]
struct Objective {
    /// As it was written.
    text: String,
    what: What,
    relation: Relation,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Percentile(f64, Duration),
    Mean(Duration),
    Max(Duration),
    /// As a share of all requests.
    ErrorShare(f64),
    Errors(f64),
    Rate(f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Relation {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Relation::Less => left < right,
            Relation::LessOrEqual => left <= right,
            Relation::Greater => left > right,
            Relation::GreaterOrEqual => left >= right,
        }
    }
}

/// What came of one objective.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) objective: String,
    pub(super) met: bool,
    /// What was measured, as it is said.
    pub(super) measured: String,
}

impl Slo {
    /// Reads objectives that commas separate.
    ///
    /// # Errors
    /// When one cannot be read; the message shows it.
    pub(super) fn parse(text: &str) -> Result<Slo, String> {
        let all: Result<_, _> = text.split(',').map(str::trim).map(objective).collect();
        all.map(Slo)
    }

    /// Whether each was met, in their order.
    pub(super) fn judge(&self, run: &Summary) -> Vec<Verdict> {
        self.0
            .iter()
            .map(|objective| objective.judge(run))
            .collect()
    }
}

fn objective(text: &str) -> Result<Objective, String> {
    let wrong = || {
        format!(
            "--slo wants objectives such as `p99<5ms,errors<0.1%,rate>1000`, and `{text}` is none"
        )
    };
    let at = text.find(['<', '>']).ok_or_else(wrong)?;
    let (name, rest) = text.split_at(at);
    let (relation, value) = if let Some(value) = rest.strip_prefix("<=") {
        (Relation::LessOrEqual, value)
    } else if let Some(value) = rest.strip_prefix('<') {
        (Relation::Less, value)
    } else if let Some(value) = rest.strip_prefix(">=") {
        (Relation::GreaterOrEqual, value)
    } else {
        (Relation::Greater, &rest[1..])
    };
    let value = value.trim();
    let time = || {
        // A bare number would be seconds, which nobody means who writes `p99<5`.
        let has_unit = value.ends_with(char::is_alphabetic);
        read_time(value).filter(|_| has_unit).ok_or_else(wrong)
    };
    let number = |text: &str| {
        let number: Result<f64, _> = text.trim().parse();
        number
            .ok()
            .filter(|number| number.is_finite() && *number >= 0.0)
            .ok_or_else(wrong)
    };
    let what = match name.trim() {
        "mean" => What::Mean(time()?),
        "max" => What::Max(time()?),
        "rate" => What::Rate(number(value)?),
        "errors" => match value.strip_suffix('%') {
            Some(percent) => What::ErrorShare(number(percent)? / 100.0),
            None => What::Errors(number(value)?),
        },
        name => {
            let percent = number(name.strip_prefix('p').ok_or_else(wrong)?)?;
            if percent > 100.0 {
                return Err(wrong());
            }
            What::Percentile(percent / 100.0, time()?)
        }
    };
    Ok(Objective {
        text: text.to_owned(),
        what,
        relation,
    })
}

impl Objective {
    fn judge(&self, run: &Summary) -> Verdict {
        let relation = self.relation;
        let by_time = |measured: Duration, wanted: Duration| {
            // Of nothing there is no latency that could be good.
            let met = run.latency.len() > 0 && relation.holds(measured, wanted);
            (met, short(measured))
        };
        let (met, measured) = match self.what {
            What::Percentile(share, wanted) => by_time(run.latency.percentile(share), wanted),
            What::Mean(wanted) => by_time(run.latency.mean(), wanted),
            What::Max(wanted) => by_time(run.latency.max(), wanted),
            What::ErrorShare(wanted) => {
                let share = run.error_share();
                let met = run.requests() > 0 && relation.holds(share, wanted);
                (met, format!("{:.3} %", share * 100.0))
            }
            What::Errors(wanted) => {
                let met = run.requests() > 0 && relation.holds(run.errors() as f64, wanted);
                (met, run.errors().to_string())
            }
            What::Rate(wanted) => {
                let rate = run.rate();
                (relation.holds(rate, wanted), format!("{rate:.1}/s"))
            }
        };
        Verdict {
            objective: self.text.clone(),
            met,
            measured: if run.requests() == 0 {
                "nothing was measured".to_owned()
            } else {
                measured
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::{Failure, Tally};
    use super::*;

    /// 1 ms to 1000 ms within 10 s, and one failure.
    fn run() -> Summary {
        let mut tally = Tally::new(1_000_000_000);
        for ms in 1..=1000 {
            tally.answered(ms * 10_000_000, ms * 1_000_000, 200, 10);
        }
        tally.failed(5_000_000_000, Failure::Reset, "reset");
        Summary::of(vec![tally], 10_000_000_000)
    }

    #[test]
    fn objectives_are_judged() {
        let run = run();
        for (text, met) in [
            ("p50<=504ms", true),
            ("p50<400ms", false),
            ("p99.9 < 1.1s", true),
            ("p100<1s", false),
            ("max<=1s", true),
            ("mean<501ms", true),
            ("mean<500ms", false),
            ("errors<0.1%", true),
            ("errors<0.09%", false),
            ("errors<=1", true),
            ("errors<1", false),
            ("rate>=100", true),
            ("rate>100", false),
        ] {
            let slo = Slo::parse(text).expect("it is an objective");
            let verdict = slo.judge(&run);
            assert_eq!(verdict[0].met, met, "{verdict:?}");
            assert_eq!(verdict[0].objective, text);
        }
        let both = Slo::parse("p50<1s, errors<1").expect("two objectives");
        let met: Vec<bool> = both.judge(&run).iter().map(|one| one.met).collect();
        assert_eq!(met, [true, false]);
    }

    #[test]
    fn nothing_measured_meets_nothing() {
        let empty = Summary::of(vec![Tally::new(1)], 1_000_000_000);
        for text in [
            "p99<5ms",
            "mean<1s",
            "max<1s",
            "errors<1%",
            "errors<1",
            "rate>0",
        ] {
            let verdict = Slo::parse(text).expect("an objective").judge(&empty);
            assert!(!verdict[0].met, "{verdict:?}");
        }
    }

    #[test]
    fn what_is_no_objective_is_shown() {
        for text in [
            "",
            "p99",
            "p99<",
            "p99<5",
            "p101<5ms",
            "px<5ms",
            "q99<5ms",
            "p99=5ms",
            "p99<5ms,",
            "errors<x",
            "errors<5ms",
            "rate>1ms",
            "p99<<5ms",
            "mean<-1ms",
            "rate>inf",
        ] {
            let error = Slo::parse(text).expect_err("it is none");
            assert!(error.contains("--slo wants objectives"), "{text}: {error}");
        }
    }
}
