//! The steps: which orderings a file uses, and what is one weaker for each.

use crate::source::{Source, Token};
use crate::tidy::orderings;

/// One ordering, one step down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// Index of the line.
    pub(super) line: usize,
    /// The columns that are replaced, in characters.
    columns: std::ops::Range<usize>,
    /// The operation: `load`, `fetch_sub`, `fence`…
    pub(super) operation: String,
    pub(super) from: String,
    pub(super) to: &'static str,
    /// The line's code, its blanks made single: by this the list of the allowed finds it again.
    pub(super) code: String,
}

impl Step {
    /// The line and the column where it changes something.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.line, self.columns.start)
    }

    pub(super) fn says(&self) -> String {
        format!("{} {} -> {}", self.operation, self.from, self.to)
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Load,
    Store,
    Both,
    Fence,
}

/// Every step that can be taken in `source`, tests left out.
pub(super) fn of(source: &Source) -> Vec<Step> {
    let tokens = source.tokens();
    let mut steps = Vec::new();
    for used in orderings(source) {
        if source.is_test_line(used.line) {
            continue;
        }
        let Some(at) = tokens.iter().position(|token| *token == used) else {
            continue;
        };
        let Some((open, first)) = call(&tokens, at) else {
            continue;
        };
        let Some(name) = open.checked_sub(1).map(|index| tokens[index].text.clone()) else {
            continue;
        };
        let Some(kind) = kind(&name, first) else {
            continue;
        };
        for to in weaker(kind, &used.text) {
            steps.push(step(source, &tokens, at, open, &name, to));
        }
    }
    steps
}

fn step(
    source: &Source,
    tokens: &[Token],
    at: usize,
    open: usize,
    name: &str,
    to: &'static str,
) -> Step {
    let used = &tokens[at];
    let line = &source.lines[used.line];
    let (start, end) = match to {
        // The call's name goes, since `fence(Relaxed)` panics.
        NOTHING => (path_start(tokens, open - 1), tokens[open].column),
        _ => (
            path_start(tokens, at),
            used.column + used.text.chars().count(),
        ),
    };
    Step {
        line: used.line,
        columns: start..end,
        operation: name.to_owned(),
        from: used.text.clone(),
        to,
        code: line.code.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// In the place of a weaker ordering, for a fence that goes.
const NOTHING: &str = "nothing";

/// The column where the path begins whose last word is token `at`.
fn path_start(tokens: &[Token], mut at: usize) -> usize {
    while at >= 2 && tokens[at - 1].text == "::" && tokens[at - 2].line == tokens[at].line {
        at -= 2;
    }
    tokens[at].column
}

/// Says which step a run takes, by its number.
pub(super) const SWITCH: &str = "BLITZ_WEAKEN_STEP";

/// The text of `source` with a switch at each of `steps`, which are all of it: one program can then take any of them.
pub(super) fn switched(source: &Source, steps: &[(usize, &Step)]) -> String {
    let mut text = String::with_capacity(source.text.len() * 2);
    for (index, line) in source.text.split_inclusive('\n').enumerate() {
        let chars: Vec<char> = line.chars().collect();
        let mut done = 0;
        let mut here: Vec<_> = steps
            .iter()
            .filter(|(_, step)| step.line == index)
            .collect();
        here.sort_by_key(|(_, step)| step.columns.start);
        for of_place in here.chunk_by(|(_, one), (_, other)| one.columns == other.columns) {
            let columns = of_place[0].1.columns.clone();
            let now: String = chars[columns.clone()].iter().collect();
            text.extend(&chars[done..columns.start]);
            text.push_str(&switch(&now, of_place));
            done = columns.end;
        }
        text.extend(&chars[done..]);
    }
    text
}

/// `now`, or what it is in one of `steps`.
fn switch(now: &str, steps: &[&(usize, &Step)]) -> String {
    if let [(number, step)] = steps
        && step.to == NOTHING
    {
        return format!("(if crate::weaken_step() == {number} {{ drop }} else {{ {now} }})");
    }
    let ways: Vec<String> = steps
        .iter()
        .map(|(number, step)| format!("({number}, ::core::sync::atomic::Ordering::{})", step.to))
        .collect();
    format!("crate::weaken_to({now}, &[{}])", ways.join(", "))
}

/// What the switches call, for the end of a crate's first file.
pub(super) fn switches() -> String {
    format!(
        "
#[allow(dead_code, reason = \"a crate that is built for another's steps has none\")]
pub(crate) fn weaken_step() -> usize {{
    static STEP: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *STEP.get_or_init(|| std::env::var(\"{SWITCH}\").map_or(usize::MAX, |step| step.parse().unwrap()))
}}

#[allow(dead_code, reason = \"there may be no step of an ordering\")]
pub(crate) fn weaken_to(
    now: ::core::sync::atomic::Ordering,
    steps: &[(usize, ::core::sync::atomic::Ordering)],
) -> ::core::sync::atomic::Ordering {{
    let step = weaken_step();
    steps.iter().find(|way| way.0 == step).map_or(now, |way| way.1)
}}
"
    )
}

/// The opening bracket of the call that `at` is an argument of, and whether no ordering stands before it.
fn call(tokens: &[Token], at: usize) -> Option<(usize, bool)> {
    let mut depth = 0;
    let mut first = true;
    for index in (0..at).rev() {
        match tokens[index].text.as_str() {
            ")" | "]" | "}" => depth += 1,
            "(" | "[" | "{" if depth > 0 => depth -= 1,
            "(" => return Some((index, first)),
            "[" | "{" | ";" if depth == 0 => return None,
            word if depth == 0
                && ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"].contains(&word) =>
            {
                first = false;
            }
            _ => {}
        }
    }
    None
}

/// What an operation does to memory. The second ordering of an exchange is that of a load.
fn kind(name: &str, first: bool) -> Option<Kind> {
    match name {
        "load" => Some(Kind::Load),
        "store" => Some(Kind::Store),
        "fence" => Some(Kind::Fence),
        "compare_exchange" | "compare_exchange_weak" | "fetch_update" if !first => Some(Kind::Load),
        "swap" | "compare_exchange" | "compare_exchange_weak" => Some(Kind::Both),
        name if name.starts_with("fetch_") => Some(Kind::Both),
        _ => None,
    }
}

fn weaker(kind: Kind, from: &str) -> &'static [&'static str] {
    match (kind, from) {
        (Kind::Load, "SeqCst") => &["Acquire"],
        (Kind::Store, "SeqCst") => &["Release"],
        (Kind::Both | Kind::Fence, "SeqCst") => &["AcqRel"],
        (Kind::Both | Kind::Fence, "AcqRel") => &["Acquire", "Release"],
        (Kind::Fence, "Acquire" | "Release") => &[NOTHING],
        (Kind::Load | Kind::Both, "Acquire") | (Kind::Store | Kind::Both, "Release") => {
            &["Relaxed"]
        }
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str) -> Vec<String> {
        of(&Source::new("crates/x/src/a.rs", text))
            .iter()
            .map(Step::says)
            .collect()
    }

    #[test]
    fn every_operation_goes_down_its_own_way() {
        assert_eq!(says("a.load(Acquire);"), ["load Acquire -> Relaxed"]);
        assert_eq!(says("a.store(1, SeqCst);"), ["store SeqCst -> Release"]);
        assert_eq!(
            says("a.fetch_sub(1, AcqRel);"),
            ["fetch_sub AcqRel -> Acquire", "fetch_sub AcqRel -> Release"]
        );
        assert_eq!(says("a.load(Relaxed);"), [] as [&str; 0]);
        assert_eq!(
            says("a.compare_exchange(f(x), y, AcqRel, Acquire)"),
            [
                "compare_exchange AcqRel -> Acquire",
                "compare_exchange AcqRel -> Release",
                "compare_exchange Acquire -> Relaxed"
            ]
        );
    }

    fn switches(text: &str) -> String {
        let source = Source::new("crates/x/src/a.rs", text);
        let steps = of(&source);
        let numbered: Vec<_> = steps.iter().enumerate().collect();
        switched(&source, &numbered)
    }

    #[test]
    fn each_place_has_a_switch_of_its_own() {
        assert_eq!(
            switches("use X;\na.store(1, Ordering::Release); b.load(Acquire);\n"),
            "use X;\na.store(1, crate::weaken_to(Ordering::Release, &[(0, ::core::sync::atomic::Ordering::Relaxed)])); \
             b.load(crate::weaken_to(Acquire, &[(1, ::core::sync::atomic::Ordering::Relaxed)]));\n"
        );
        assert_eq!(
            switches("a.swap(1, AcqRel)"),
            "a.swap(1, crate::weaken_to(AcqRel, &[(0, ::core::sync::atomic::Ordering::Acquire), \
             (1, ::core::sync::atomic::Ordering::Release)]))"
        );
    }

    #[test]
    fn a_fence_goes_away_whole() {
        assert_eq!(
            switches("atomic::fence(Acquire);"),
            "(if crate::weaken_step() == 0 { drop } else { atomic::fence })(Acquire);"
        );
        assert_eq!(says("fence(SeqCst);"), ["fence SeqCst -> AcqRel"]);
    }
}
