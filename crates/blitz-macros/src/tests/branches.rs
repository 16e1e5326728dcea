//! What each wrong use of `select!`, `join!` and `try_join!` is told, and where the message points.

use proc_macro2::TokenStream;

use crate::join::{self, Ends};

/// The message, if there is one, with the piece of source at which it starts.
fn message(output: TokenStream) -> Option<(String, String)> {
    let call: syn::Macro = syn::parse2(output).ok()?;
    let is_error = call.path.segments.last()?.ident == "compile_error";
    let message: syn::LitStr = is_error.then(|| call.parse_body().ok())??;
    let first = call.path.leading_colon?.spans[0];
    Some((message.value(), first.source_text().unwrap_or_default()))
}

fn tokens(source: &str) -> TokenStream {
    format!("(face) {source}").parse().expect("tokens")
}

fn select(source: &str) -> Option<(String, String)> {
    message(super::expand(tokens(source)))
}

#[track_caller]
fn says(source: &str, expected: &str, at: &str) {
    let (said, place) = select(source).expect("it is wrong");
    assert!(said.contains(expected), "{said}");
    assert_eq!(place, at, "{said}");
}

#[test]
fn right_uses_say_nothing() {
    for source in [
        "x = f => x",
        "biased; x = f => x,",
        "Some(x) = f, if y => { x } () = g => {}, else => {}",
        "(A(x) | B(x)) = f => return x, else => break,",
        "| Ok(_) | Err(_) = f => if x { 1 } else { 2 },",
        "else => 3",
        "Point { x, y: 3..=4, .. } = f, if a && b => x + 1,",
        "biased = f => biased",
        "x = if a { b } else { c } => x",
    ] {
        assert_eq!(select(source), None, "{source}");
    }
}

#[test]
fn as_many_branches_as_a_word_has_bits() {
    let branches = |count: usize| "x = f => x,".repeat(count);
    assert_eq!(select(&branches(64)), None);
    says(
        &(branches(64) + "late = f => x,"),
        "up to 64 branches",
        "late",
    );
}

#[test]
fn a_branch_has_a_pattern_a_future_and_a_handler() {
    let whole = "`pattern = future => handler`";
    let (said, _) = select("").expect("it is wrong");
    assert!(said.contains(whole), "{said}");
    let (said, _) = select("biased;").expect("it is wrong");
    assert!(said.contains(whole), "{said}");
    says("x => y", whole, "x");
    says(
        "x = f, y = g",
        "`pattern = future, if condition => handler`",
        "y",
    );
    says("x = f if y => x", "a comma before `if`", "if");
    says("x = f; y", whole, ";");
    says("x = f => x y = g => y", "a comma after the handler", "y");
}

#[test]
fn words_of_elsewhere_are_told_what_they_are_here() {
    says(
        "x = f => x, complete => break",
        "here it is `else`",
        "complete",
    );
    says("x = f => x, default => {}", "ready at once", "default");
    says("x = f => x, biased; y = f => y", "comes first", "biased");
    says("x = f => x, else => 1, y = g => 2", "comes last", "else");
}

#[test]
fn joins_want_commas_and_nothing_else() {
    for ends in [Ends::Together, Ends::AtAnError] {
        let join = |source: &str| message(join::expand(tokens(source), ends));
        for right in ["", "a", "a, b,", "biased; a, b", "biased, b"] {
            assert_eq!(join(right), None, "{right}");
        }
        let (said, place) = join("a b").expect("it is wrong");
        assert!(said.contains("expected `,`"), "{said}");
        assert_eq!(place, "b");
        assert!(join("a; b").is_some());
    }
}
