//! What earlier runs found, what is allowed, and the page that says both.

use super::steps::Step;
use crate::loom;
use crate::source::Source;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How the models took a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A model failed: the ordering is needed, and held.
    Caught,
    /// No model noticed.
    Survived,
    /// A model did not end within its time.
    Hung,
}

impl Verdict {
    const ALL: [(Verdict, &'static str); 3] = [
        (Verdict::Caught, "caught"),
        (Verdict::Survived, "survived"),
        (Verdict::Hung, "hung"),
    ];

    pub(super) fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(verdict, _)| *verdict == self)
            .map_or("", |(_, word)| word)
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, name)| *name == word)
            .map(|(verdict, _)| *verdict)
    }
}

/// The verdicts of earlier runs, by step and by the content of the file.
pub(super) struct Kept {
    path: PathBuf,
    verdicts: Map<String, Value>,
}

impl Kept {
    pub(super) fn empty(root: &Path) -> Self {
        Kept {
            path: loom::target(root).join("weaken.json"),
            verdicts: Map::new(),
        }
    }

    pub(super) fn read(root: &Path) -> Result<Self, String> {
        let mut kept = Self::empty(root);
        if let Ok(text) = std::fs::read_to_string(&kept.path) {
            kept.verdicts = serde_json::from_str(&text).map_err(|error| {
                format!("{} is damaged ({error}): use --fresh", kept.path.display())
            })?;
        }
        Ok(kept)
    }

    pub(super) fn verdict(&self, source: &Source, step: &Step) -> Option<Verdict> {
        self.verdicts
            .get(&key(source, step))
            .and_then(Value::as_str)
            .and_then(Verdict::parse)
    }

    pub(super) fn add(&mut self, source: &Source, step: &Step, verdict: Verdict) {
        self.verdicts
            .insert(key(source, step), Value::from(verdict.word()));
    }

    pub(super) fn write(&self) -> Result<(), String> {
        let text =
            serde_json::to_string_pretty(&self.verdicts).map_err(|error| error.to_string())?;
        std::fs::write(&self.path, text)
            .map_err(|error| format!("cannot write {}: {error}", self.path.display()))
    }
}

/// A verdict holds while the function around the ordering says the same; `--fresh` asks for all again.
fn key(source: &Source, step: &Step) -> String {
    let function = source.function_around(step.line);
    let tokens = source.tokens();
    let body: Vec<_> = tokens
        .iter()
        .filter(|token| function.contains(&token.line))
        .collect();
    let before = body
        .iter()
        .filter(|token| (token.line, token.column) < step.place())
        .count();
    let text: Vec<&str> = body.iter().map(|token| token.text.as_str()).collect();
    format!(
        "{}#{:016x}#{before}#{}",
        source.path,
        hash(&text.join(" ")),
        step.says()
    )
}

/// FNV-1a: stable from one compiler to the next.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The orderings that may be stronger than the models ask for, each with its argument.
pub(super) struct Allowed(Vec<AllowedLine>);

struct AllowedLine {
    path: String,
    code: String,
    step: String,
    argument: String,
}

impl Allowed {
    const PATH: &str = "docs/weaken-allow.txt";

    pub(super) fn read(root: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(root.join(Self::PATH))
            .map_err(|error| format!("cannot read {}: {error}", Self::PATH))?;
        Self::parse(&text)
    }

    /// `path | the line's code | operation FROM -> TO | argument`, one a line; `#` begins a comment.
    fn parse(text: &str) -> Result<Self, String> {
        let mut lines = Vec::new();
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let parts: Vec<&str> = line.split(" | ").map(str::trim).collect();
            // Code may have bars of its own.
            let [path, ref code @ .., step, argument] = parts[..] else {
                return Err(format!(
                    "{}: `{line}` has not the four parts path | code | step | argument",
                    Self::PATH
                ));
            };
            if code.is_empty() {
                return Err(format!("{}: `{line}` names no code", Self::PATH));
            }
            lines.push(AllowedLine {
                path: path.to_owned(),
                code: code.join(" | "),
                step: step.to_owned(),
                argument: argument.to_owned(),
            });
        }
        Ok(Allowed(lines))
    }

    fn argument(&self, source: &Source, step: &Step) -> Option<&str> {
        self.0
            .iter()
            .find(|line| {
                line.path == source.path && line.code == step.code && line.step == step.says()
            })
            .map(|line| line.argument.as_str())
    }

    fn stale<'a>(&'a self, all: &'a [(&Source, Step)]) -> impl Iterator<Item = &'a AllowedLine> {
        self.0.iter().filter(move |line| {
            !all.iter().any(|(source, step)| {
                line.path == source.path && line.code == step.code && line.step == step.says()
            })
        })
    }
}

/// The page for `docs/weaken.md`, and how many steps are open: neither held nor argued for.
pub(super) fn report(all: &[(&Source, Step)], kept: &Kept, allowed: &Allowed) -> (String, usize) {
    let mut counts = [0usize; 4];
    let mut open = 0;
    let mut rows = String::new();
    for (source, step) in all {
        let verdict = kept.verdict(source, step);
        let argument = allowed.argument(source, step);
        let (slot, word) = match (verdict, argument) {
            (Some(Verdict::Caught), _) => (0, "caught".to_owned()),
            (Some(Verdict::Hung), None) => (2, "a model does not end".to_owned()),
            (Some(_), Some(argument)) => (1, format!("allowed: {argument}")),
            (Some(Verdict::Survived), None) => (2, "**no model noticed**".to_owned()),
            (None, _) => (3, "not run".to_owned()),
        };
        counts[slot] += 1;
        open += usize::from(slot == 2);
        let code = step.code.replace('|', "\\|");
        let _ = writeln!(
            rows,
            "| {}:{} | `{code}` | {} | {word} |",
            source.path,
            step.line + 1,
            step.says()
        );
    }
    let mut page = String::from("# Each atomic ordering, one step weaker\n\n");
    let _ = writeln!(
        page,
        "Written by `cargo run -p xtask -- weaken` on {}.\n",
        today()
    );
    let _ = writeln!(
        page,
        "{} steps: {} caught by a model, {} allowed with an argument, {} open, {} not run.\n",
        all.len(),
        counts[0],
        counts[1],
        counts[2],
        counts[3]
    );
    page.push_str("Loom takes sequentially consistent loads and stores for acquire and release, so it cannot tell\n");
    page.push_str("those two apart; such steps stand in `docs/weaken-allow.txt`.\n\n");
    for line in allowed.stale(all) {
        let _ = writeln!(
            page,
            "Stale in the list: {} `{}` {}\n",
            line.path, line.code, line.step
        );
    }
    page.push_str("| where | code | step | verdict |\n|---|---|---|---|\n");
    page.push_str(&rows);
    (page, open)
}

/// Today's date in UTC, by the civil-from-days rule.
fn today() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    date((seconds / 86_400) as i64)
}

fn date(days: i64) -> String {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(19_782), "2024-02-29");
        assert_eq!(date(20_089), "2025-01-01");
    }

    #[test]
    fn an_open_step_is_counted_until_it_is_argued_for() {
        let source = Source::new("crates/x/src/a.rs", "a.load(Acquire);");
        let all: Vec<_> = super::super::steps::of(&source)
            .into_iter()
            .map(|step| (&source, step))
            .collect();
        let mut kept = Kept::empty(Path::new("."));
        let none = Allowed::parse("# nothing\n").expect("parses");
        assert_eq!(
            report(&all, &kept, &none).1,
            0,
            "what was not run is not open"
        );
        kept.add(&source, &all[0].1, Verdict::Survived);
        assert_eq!(report(&all, &kept, &none).1, 1);
        let line = "crates/x/src/a.rs | a.load(Acquire); | load Acquire -> Relaxed | a hint, looked at again under the lock";
        assert_eq!(
            report(&all, &kept, &Allowed::parse(line).expect("parses")).1,
            0
        );
        assert!(Allowed::parse("a | b").is_err());
        assert!(Allowed::parse("a | step | argument").is_err());
        let bars = "a.rs | f(|w| w & (A | B)) | load Acquire -> Relaxed | because";
        let Allowed(lines) = Allowed::parse(bars).expect("parses");
        assert_eq!(lines[0].code, "f(|w| w & (A | B))");
    }

    #[test]
    fn a_changed_function_makes_its_verdicts_stale() {
        let before = Source::new("crates/x/src/a.rs", "fn f() { a.load(Acquire); }");
        let after = Source::new("crates/x/src/a.rs", "fn f() { b(); a.load(Acquire); }");
        let elsewhere = Source::new(
            "crates/x/src/a.rs",
            "fn g() {}\n\nfn f() {\n    a.load(Acquire);\n}",
        );
        let step = super::super::steps::of(&before).remove(0);
        let mut kept = Kept::empty(Path::new("."));
        kept.add(&before, &step, Verdict::Caught);
        assert_eq!(kept.verdict(&before, &step), Some(Verdict::Caught));
        let moved = super::super::steps::of(&after).remove(0);
        assert_eq!(kept.verdict(&after, &moved), None);
        let same = super::super::steps::of(&elsewhere).remove(0);
        assert_eq!(kept.verdict(&elsewhere, &same), Some(Verdict::Caught));
    }
}
