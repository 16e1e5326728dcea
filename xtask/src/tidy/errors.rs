//! Rules about errors: none is dropped without a reason, and one place makes them of the kernel's numbers.

use super::Finding;
use crate::source::Source;

/// Where numbers become errors.
const TABLE: &str = "crates/blitz-sys/src/errno/";

/// What makes an error of a number past the table.
const PAST_THE_TABLE: [&str; 2] = ["from_raw_os_error", "last_os_error"];

/// How many lines above a result that is thrown away its reason may stand.
const WITHIN: usize = 5;

/// A result that is thrown away (`let _ = call()`, or a line that ends in `.ok();`) has a comment on its line or closely above.
pub(super) fn none_is_dropped_silently(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("crates/") || !source.path.contains("/src/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, line) in source.lines.iter().enumerate() {
        if source.is_test_line(index) || !drops_a_result(line.code.trim()) {
            continue;
        }
        let says = |index: usize| !source.lines[index].comment.trim().is_empty();
        if !(index.saturating_sub(WITHIN)..=index).any(says) {
            findings.push(Finding {
                path: source.path.clone(),
                line: index + 1,
                rule: "dropped error",
                says: "a result is thrown away: say above why nobody misses its error".to_owned(),
            });
        }
    }
    findings
}

fn drops_a_result(code: &str) -> bool {
    if code == ".ok();" || (code.ends_with(".ok();") && !code.contains('=')) {
        return true;
    }
    // `let _ = name;` only says that a name is not used.
    code.strip_prefix("let _ = ")
        .is_some_and(|value| value.contains('(') || !value.ends_with(';'))
}

/// `io::Error::from_raw_os_error` and `last_os_error` stand in the table's folder alone.
pub(super) fn numbers_go_through_the_table(source: &Source) -> Vec<Finding> {
    let is_ours = source.path.starts_with("crates/") && source.path.contains("/src/");
    if !is_ours || source.path.starts_with(TABLE) {
        return Vec::new();
    }
    source
        .tokens()
        .iter()
        .filter(|token| {
            PAST_THE_TABLE.contains(&token.text.as_str()) && !source.is_test_line(token.line)
        })
        .map(|token| Finding {
            path: source.path.clone(),
            line: token.line + 1,
            rule: "error table",
            says: format!(
                "`{}`: a number becomes an error in blitz-sys/errno, the same for every back end",
                token.text
            ),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(text: &str) -> usize {
        none_is_dropped_silently(&Source::new("crates/blitz-io/src/a.rs", text)).len()
    }

    #[test]
    fn a_result_thrown_away_without_a_word_is_found() {
        assert_eq!(dropped("fn a() {\n    let _ = close();\n}"), 1);
        assert_eq!(dropped("fn a() {\n    close().ok();\n}"), 1);
        assert_eq!(
            dropped("fn a() {\n    let _ = close(\n        1,\n    );\n}"),
            1
        );
        assert_eq!(
            dropped("fn a() {\n    // It is closed.\n    let _ = close();\n}"),
            0
        );
        assert_eq!(
            dropped("fn a() {\n    let _ = close(); // it is closed\n}"),
            0
        );
        assert_eq!(dropped("fn a(b: u8) {\n    let _ = b;\n}"), 0);
        assert_eq!(
            dropped("fn a() -> Option<u8> {\n    let b = c().ok();\n    b\n}"),
            0
        );
        assert_eq!(
            dropped("#[cfg(test)]\nmod tests { fn a() { let _ = close(); } }"),
            0
        );
    }

    #[test]
    fn an_error_made_past_the_table_is_found() {
        let text = "fn a() { io::Error::last_os_error() }";
        let at = |path: &str| numbers_go_through_the_table(&Source::new(path, text)).len();
        assert_eq!(at("crates/blitz-sys/src/socket/mod.rs"), 1);
        assert_eq!(at("crates/blitz-sys/src/errno/mod.rs"), 0);
        assert_eq!(at("crates/blitz-driver/tests/it/support.rs"), 0);
    }
}
