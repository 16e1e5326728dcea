//! What each wrong use is told, and where the message points.

use super::*;

/// Each message with the piece of source at which it starts.
fn messages(kind: Kind, options: &str, item: &str) -> Vec<(String, String)> {
    let parse = |source: &str| source.parse::<TokenStream>().expect("tokens");
    let output = expand(kind, parse(options), parse(item));
    let file: syn::File = syn::parse2(output).expect("items, so that nothing else is reported");
    let names = |item: &syn::Item| match item {
        syn::Item::Fn(function) => function.sig.ident == "f" || function.sig.ident == "main",
        _ => false,
    };
    assert!(file.items.iter().any(names), "the function is still there");
    let messages = file.items.into_iter().filter_map(|item| match item {
        syn::Item::Macro(item) if item.mac.path.segments.last()?.ident == "compile_error" => {
            let message: syn::LitStr = item.mac.parse_body().ok()?;
            let first = item.mac.path.leading_colon?.spans[0];
            Some((message.value(), first.source_text().unwrap_or_default()))
        }
        _ => None,
    });
    messages.collect()
}

#[track_caller]
fn says(kind: Kind, options: &str, item: &str, message: &str, at: &str) {
    let said = messages(kind, options, item);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].0.contains(message), "{said:#?}");
    assert_eq!(said[0].1, at, "{said:#?}");
}

const GOOD: &str = "async fn f() {}";

#[test]
fn right_uses_say_nothing() {
    for options in [
        "",
        "flavor = \"multi_thread\", worker_threads = 2",
        "flavor = \"thread_per_core\", worker_threads = 1, name = \"n\",",
        "flavor = \"local\", start_paused = true",
        "flavor = \"current_thread\", unhandled_panic = \"shutdown_runtime\"",
        "crate = \"some::path\"",
        "crate = renamed",
    ] {
        assert_eq!(messages(Kind::Main, options, GOOD), [], "{options}");
    }
    let generic = "pub async fn f<'a, T: Copy>(x: &'a T, mut n: u32) -> Result<T, ()> where T: Send { n += 1; Ok(*x) }";
    assert_eq!(messages(Kind::Main, "", generic), []);
}

#[test]
fn the_function_must_be_async() {
    for kind in [Kind::Main, Kind::Test] {
        says(
            kind,
            "",
            "fn f() {}",
            "needs an async function: write `async fn f`",
            "fn",
        );
    }
}

#[test]
fn arguments_are_for_functions_that_somebody_calls() {
    says(
        Kind::Test,
        "",
        "async fn f(x: u32) {}",
        "a test has no arguments",
        "x",
    );
    says(
        Kind::Main,
        "",
        "async fn main(x: u32) {}",
        "`main` has no arguments",
        "x",
    );
    assert_eq!(messages(Kind::Main, "", "async fn f(x: u32) {}"), []);
}

#[test]
fn a_test_is_a_test_once() {
    let twice = "#[test] async fn f() {}";
    says(Kind::Test, "", twice, "twice", "#");
    says(
        Kind::Test,
        "",
        "#[::core::prelude::v1::test] async fn f() {}",
        "twice",
        "#",
    );
    assert_eq!(
        messages(Kind::Test, "", "#[ignore] #[should_panic] async fn f() {}"),
        []
    );
    assert_eq!(messages(Kind::Test, "", "#[my::test] async fn f() {}"), []);
}

#[test]
fn unknown_options_list_the_known() {
    let all = "`flavor`, `worker_threads`, `start_paused`, `unhandled_panic`, `name`, `crate`";
    says(Kind::Main, "foo = 1", GOOD, all, "foo");
    says(Kind::Main, "foo", GOOD, all, "foo");
    says(
        Kind::Main,
        "core_threads = 1",
        GOOD,
        "called `worker_threads`",
        "core_threads",
    );
    says(Kind::Main, "3", GOOD, all, "3");
    says(
        Kind::Main,
        "multi_thread",
        GOOD,
        "`#[blitz_io::main(flavor = \"multi_thread\")]`",
        "multi_thread",
    );
    says(
        Kind::Test,
        "worker_threads",
        GOOD,
        "needs a value",
        "worker_threads",
    );
    says(
        Kind::Test,
        "flavor(\"local\")",
        GOOD,
        "expected `=` after option `flavor`",
        "(",
    );
}

#[test]
fn values_are_checked() {
    let flavors = "`multi_thread`, `current_thread`, `thread_per_core`, `local`";
    says(Kind::Main, "flavor = \"fast\"", GOOD, flavors, "\"fast\"");
    says(
        Kind::Main,
        "flavor = \"basic_scheduler\"",
        GOOD,
        "called `current_thread`",
        "\"basic_scheduler\"",
    );
    says(Kind::Main, "flavor = 3", GOOD, "takes a string", "3");
    says(Kind::Main, "worker_threads = 0", GOOD, "above 0", "0");
    says(
        Kind::Main,
        "worker_threads = \"4\"",
        GOOD,
        "takes a number",
        "\"4\"",
    );
    says(
        Kind::Main,
        "worker_threads = 99999999999999999999999",
        GOOD,
        "worker_threads",
        "99999999999999999999999",
    );
    says(
        Kind::Main,
        "start_paused = 1",
        GOOD,
        "`true` or `false`",
        "1",
    );
    says(
        Kind::Main,
        "unhandled_panic = \"die\"",
        GOOD,
        "`ignore`, `shutdown_runtime`",
        "\"die\"",
    );
    says(Kind::Main, "name = \"\"", GOOD, "not be empty", "\"\"");
    says(
        Kind::Main,
        "crate = \"a b\"",
        GOOD,
        "takes a path",
        "\"a b\"",
    );
    says(Kind::Main, "crate = 4", GOOD, "takes a path", "4");
}

#[test]
fn options_must_fit_together() {
    let hint = "`#[blitz_io::test(flavor = \"multi_thread\", worker_threads = …)]`";
    says(Kind::Test, "worker_threads = 2", GOOD, hint, "2");
    says(
        Kind::Main,
        "flavor = \"local\", worker_threads = 2",
        GOOD,
        "this one is `local`",
        "2",
    );
    says(
        Kind::Main,
        "flavor = \"local\", flavor = \"local\"",
        GOOD,
        "given twice",
        "flavor",
    );
}

/// The macros that the crate named tokio hands on.
#[test]
fn under_tokios_name_what_tokio_refuses_is_refused() {
    let paused = "worker_threads = 1, flavor = \"multi_thread\", start_paused = true";
    assert_eq!(messages(Kind::Test, paused, GOOD), []);
    let hint = "`#[tokio::test(flavor = \"current_thread\", start_paused = …)]`";
    says(Kind::TokioTest, paused, GOOD, hint, "true");
    says(
        Kind::TokioMain,
        "start_paused = true",
        GOOD,
        "`current_thread`",
        "true",
    );
    assert_eq!(messages(Kind::TokioTest, "start_paused = true", GOOD), []);
    let per_core = "flavor = \"thread_per_core\"";
    assert_eq!(messages(Kind::Main, per_core, GOOD), []);
    says(
        Kind::TokioMain,
        per_core,
        GOOD,
        "`blitz_io` has it",
        "\"thread_per_core\"",
    );
    let plain = "fn main() {}";
    says(
        Kind::TokioMain,
        "",
        plain,
        "`#[tokio::main]` needs an async function",
        "fn",
    );
}

#[test]
fn every_fault_is_told_at_once() {
    let said = messages(Kind::Test, "a = 1, flavor = \"x\"", "#[test] fn f() {}");
    assert_eq!(said.len(), 4, "{said:#?}");
}
