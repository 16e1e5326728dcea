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
    replacement: String,
    /// The line's code, its blanks made single: by this the list of the allowed finds it again.
    pub(super) code: String,
}

impl Step {
    /// The file's text with this step taken.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut changed = String::with_capacity(text.len() + 64);
        for (index, line) in text.split_inclusive('\n').enumerate() {
            if index == self.line {
                let chars: Vec<char> = line.chars().collect();
                changed.extend(&chars[..self.columns.start]);
                changed.push_str(&self.replacement);
                changed.extend(&chars[self.columns.end..]);
            } else {
                changed.push_str(line);
            }
        }
        changed
    }

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
    let mut columns = used.column..used.column + used.text.chars().count();
    let mut replacement = if qualified(tokens, at) {
        to.to_owned()
    } else {
        format!("::core::sync::atomic::Ordering::{to}")
    };
    if to == "nothing" {
        // `fence(Relaxed)` panics, so the call becomes one without an effect.
        let mut start = open - 1;
        while start >= 2 && tokens[start - 1].text == "::" {
            start -= 2;
        }
        columns = tokens[start].column..tokens[open].column;
        replacement = "drop".to_owned();
    }
    Step {
        line: used.line,
        columns,
        operation: name.to_owned(),
        from: used.text.clone(),
        to,
        replacement,
        code: line.code.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

fn qualified(tokens: &[Token], at: usize) -> bool {
    at >= 1 && tokens[at - 1].text == "::"
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
        (Kind::Fence, "Acquire" | "Release") => &["nothing"],
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

    #[test]
    fn a_step_changes_one_place() {
        let text = "use X;\na.store(1, Ordering::Release); b.load(Acquire);\n";
        let steps = of(&Source::new("crates/x/src/a.rs", text));
        assert_eq!(
            steps[0].apply(text),
            "use X;\na.store(1, Ordering::Relaxed); b.load(Acquire);\n"
        );
        assert_eq!(
            steps[1].apply(text),
            "use X;\na.store(1, Ordering::Release); b.load(::core::sync::atomic::Ordering::Relaxed);\n"
        );
    }

    #[test]
    fn a_fence_goes_away_whole() {
        let text = "atomic::fence(Acquire);";
        let steps = of(&Source::new("crates/x/src/a.rs", text));
        assert_eq!(steps[0].apply(text), "drop(Acquire);");
        assert_eq!(says("fence(SeqCst);"), ["fence SeqCst -> AcqRel"]);
    }
}
