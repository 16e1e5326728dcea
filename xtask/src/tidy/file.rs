//! Rules about one file: how it opens, how long it is, and that its unsafe code is argued for.

use super::Finding;
use crate::source::Source;

/// The most lines of code a file may have: blank lines, comments and the test module do not count.
const CODE_LINES_MAX: usize = 600;

/// How many lines above an `unsafe` block its argument may begin.
const SAFETY_WITHIN: usize = 14;

/// The first line of a file says what it is, as a `//!` comment.
pub(super) fn opens_with_its_purpose(source: &Source) -> Vec<Finding> {
    if source.text.starts_with("//!") {
        return Vec::new();
    }
    vec![Finding {
        path: source.path.clone(),
        line: 1,
        rule: "opening",
        says: "a file opens with `//!`: what it is and who uses it".to_owned(),
    }]
}

/// A file stays below [`CODE_LINES_MAX`].
pub(super) fn is_not_too_long(source: &Source) -> Vec<Finding> {
    let count = source
        .lines
        .iter()
        .filter(|line| line.is_code() && !line.in_test)
        .count();
    if count <= CODE_LINES_MAX {
        return Vec::new();
    }
    vec![Finding {
        path: source.path.clone(),
        line: 0,
        rule: "length",
        says: format!("{count} lines of code, {CODE_LINES_MAX} are the most: find the cut in it"),
    }]
}

/// Each `unsafe` block and impl has a `SAFETY:` comment, each unsafe fn and trait a `# Safety` section.
pub(super) fn unsafe_is_argued(source: &Source) -> Vec<Finding> {
    let tokens = source.tokens();
    let mut findings = Vec::new();
    for (index, token) in tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.text == "unsafe")
    {
        let next = tokens.get(index + 1).map_or("", |next| next.text.as_str());
        let after = tokens.get(index + 2).map_or("", |next| next.text.as_str());
        let wants = match next {
            "{" | "impl" => "SAFETY:",
            // `unsafe fn(` is a type; `unsafe extern "C" fn` in a type has no name either.
            "fn" if after == "(" => continue,
            "fn" | "trait" => "# Safety",
            // The attribute `#[unsafe(no_mangle)]`, and foreign declarations.
            _ => continue,
        };
        if next == "fn" && in_unsafe_impl(source, token.line) {
            continue;
        }
        if !argued(source, token.line, wants) {
            findings.push(Finding {
                path: source.path.clone(),
                line: token.line + 1,
                rule: "safety",
                says: format!("`unsafe {next}` without `{wants}` above it"),
            });
        }
    }
    findings
}

/// An unsafe function that a trait asks for is documented at the trait.
fn in_unsafe_impl(source: &Source, line: usize) -> bool {
    let own = indent(&source.lines[line].code);
    source.lines[..line]
        .iter()
        .rev()
        .find(|above| above.is_code() && indent(&above.code) < own)
        .is_some_and(|above| {
            let code = above.code.trim_start();
            (code.starts_with("unsafe impl") || code.starts_with("impl")) && code.contains(" for ")
        })
}

fn indent(code: &str) -> usize {
    code.len() - code.trim_start().len()
}

/// The comment stands on the same line, or above within reach.
fn argued(source: &Source, line: usize, wants: &str) -> bool {
    let reach = if wants == "SAFETY:" {
        SAFETY_WITHIN
    } else {
        60
    };
    let says = |index: usize| source.lines[index].comment.contains(wants);
    if says(line) {
        return true;
    }
    for index in (line.saturating_sub(reach)..line).rev() {
        if says(index) {
            return true;
        }
        // A `# Safety` section belongs to the doc comment right above, attributes between.
        let code = source.lines[index].code.trim();
        if wants == "# Safety" && !code.is_empty() && !code.starts_with('#') && !code.ends_with(']')
        {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("crates/blitz-core/src/a.rs", text)
    }

    #[test]
    fn a_file_without_a_purpose_is_found() {
        assert_eq!(opens_with_its_purpose(&source("use a;\n")).len(), 1);
        assert_eq!(opens_with_its_purpose(&source("//! A part.\n")), []);
    }

    #[test]
    fn a_long_file_is_found_and_tests_do_not_count() {
        let long = "x();\n".repeat(CODE_LINES_MAX + 1);
        assert_eq!(is_not_too_long(&source(&long)).len(), 1);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert_eq!(is_not_too_long(&source(&tests)), []);
        assert_eq!(is_not_too_long(&source(&"// why\n\n".repeat(700))), []);
    }

    #[test]
    fn unsafe_without_an_argument_is_found() {
        assert_eq!(
            unsafe_is_argued(&source("fn a() { unsafe { b() } }")).len(),
            1
        );
        assert_eq!(
            unsafe_is_argued(&source("// SAFETY: it is ours.\nunsafe { b() }")),
            []
        );
        assert_eq!(
            unsafe_is_argued(&source("unsafe impl Send for A {}")).len(),
            1
        );
        assert_eq!(
            unsafe_is_argued(&source("/// Does.\npub unsafe fn a() {}")).len(),
            1
        );
        let documented =
            "/// Does.\n///\n/// # Safety\n/// Once only.\n#[inline]\npub unsafe fn a() {}";
        assert_eq!(unsafe_is_argued(&source(documented)), []);
        assert_eq!(unsafe_is_argued(&source("type F = unsafe fn(u8);")), []);
    }

    #[test]
    fn the_doc_of_another_function_does_not_count() {
        let text = "/// # Safety\n/// Mine.\nunsafe fn a() {}\n\n/// Does.\nunsafe fn b() {}";
        assert_eq!(unsafe_is_argued(&source(text)).len(), 1);
    }
}
