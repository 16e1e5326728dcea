//! A rule about documentation: who may be dropped says what is lost then.

use super::Finding;
use crate::source::Source;

/// A public async function has a section *Cancel safety*, in the crates whose functions users await.
pub(super) fn async_functions_say_what_a_drop_loses(source: &Source) -> Vec<Finding> {
    let is_ours = source.path.starts_with("crates/") && source.path.contains("/src/");
    if !is_ours || source.is_test_file() {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    let mut findings = Vec::new();
    for index in 0..lines.len() {
        if source.is_test_line(index) || !is_awaited(&lines[index..]) {
            continue;
        }
        let above = lines[..index].iter().rev();
        let is_said = above
            .take_while(|line| {
                line.starts_with("//") || !(line.is_empty() || line.ends_with(['{', '}', ';']))
            })
            .any(|line| line.starts_with("///") && line.contains("ancel safe"));
        if !is_said {
            findings.push(Finding {
                path: source.path.clone(),
                line: index + 1,
                rule: "cancel safety",
                says: "a public async function: say under `# Cancel safety` what is lost when it is dropped"
                    .to_owned(),
            });
        }
    }
    findings
}

/// Whether a public async function, or one that returns a future without a name, begins at the first line.
fn is_awaited(lines: &[&str]) -> bool {
    let head = lines[0].strip_prefix("pub ").unwrap_or_default();
    let head = head.strip_prefix("unsafe ").unwrap_or(head);
    if head.starts_with("async fn ") {
        return true;
    }
    let ends = |line: &str| line.ends_with(['{', ';']);
    let until = lines.iter().position(|line| ends(line));
    let signature = &lines[..=until.unwrap_or(0)];
    head.starts_with("fn ") && signature.iter().any(|line| line.contains("-> impl Future"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<usize> {
        let source = Source::new("crates/blitz-io/src/net/mod.rs", text);
        let findings = async_functions_say_what_a_drop_loses(&source);
        findings.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn an_async_function_that_does_not_say_so_is_found() {
        assert_eq!(findings("/// Waits.\npub async fn a() {}"), [2]);
        let many =
            "/// Waits.\n#[inline]\npub fn a<F>(\n    f: F,\n) -> impl Future<Output = u8> {\n";
        assert_eq!(findings(many), [3]);
        let of_another =
            "/// # Cancel safety\n/// Safe.\npub async fn a() {}\n/// Waits.\npub async fn b() {}";
        assert_eq!(findings(of_another), [5]);
    }

    #[test]
    fn others_are_not_asked() {
        for text in [
            "/// # Cancel safety\n/// Safe.\n///\n/// ```\n/// a();\n/// ```\n#[doc = concat!(\n    \"b\"\n)]\n$(#[$c])*\npub async fn a() {}",
            "pub fn a() {\n}\nfn b() -> impl Future {\n}",
            "async fn a() {}\npub(crate) async fn b() {}",
            "#[cfg(test)]\nmod tests {\n    pub async fn a() {}\n}",
        ] {
            assert!(findings(text).is_empty(), "{text}");
        }
    }
}
