//! The macros of blitz-io that the compiler runs: `#[main]` and `#[test]`, and what `select!`, `join!` and `try_join!` become.
//!
//! No stability promise: use them through `blitz_io`, which documents them.

use proc_macro::TokenStream;

mod entry;
mod join;
mod options;
mod select;

/// Runs an async function on a runtime of its own: `multi_thread` unless told otherwise.
///
/// The function becomes a plain one of the same name, arguments and return type. It need not be called `main`.
///
/// | option | value | default |
/// |---|---|---|
/// | `flavor` | `"multi_thread"`, `"current_thread"`, `"thread_per_core"`, `"local"` | `"multi_thread"` |
/// | `worker_threads` | a number above 0; with `multi_thread` and `thread_per_core` | as many as the processors one may use |
/// | `start_paused` | `true` to start with time paused | `false` |
/// | `unhandled_panic` | `"ignore"`, `"shutdown_runtime"`: when a task panics | `"ignore"` |
/// | `name` | the runtime's name | none |
/// | `crate` | the path under which this crate is known to the caller | `blitz_io` |
///
/// # Examples
/// ```
/// # use renamed as blitz_io;
/// #[blitz_io::main(flavor = "current_thread")]
/// async fn main() {
///     println!("hello");
/// }
/// ```
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(options::Kind::Main, options.into(), item.into()).into()
}

/// Makes an async function a test that runs on a runtime of its own: `current_thread` unless told otherwise.
///
/// It takes the options of [`macro@main`]; the function takes no arguments. Other attributes (`#[ignore]`,
/// `#[should_panic]`) stand beside it as usual.
///
/// # Examples
/// ```
/// # use renamed as blitz_io;
/// #[blitz_io::test(start_paused = true)]
/// async fn an_hour_passes_at_once() {
///     blitz_io::time::sleep(std::time::Duration::from_secs(3600)).await;
/// }
/// ```
///
/// A mistake is told with what to write instead:
/// ```compile_fail
/// # use renamed as blitz_io;
/// #[blitz_io::test]
/// fn not_async() {} // `#[blitz_io::test]` needs an async function: write `async fn not_async`
/// ```
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(options::Kind::Test, options.into(), item.into()).into()
}

/// [`macro@main`] for the crate named tokio: the code names `tokio`, and nothing that tokio's macro refuses is taken.
#[proc_macro_attribute]
pub fn tokio_main(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(options::Kind::TokioMain, options.into(), item.into()).into()
}

/// [`macro@test`] for the crate named tokio: the code names `tokio`, and nothing that tokio's macro refuses is taken.
#[proc_macro_attribute]
pub fn tokio_test(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(options::Kind::TokioTest, options.into(), item.into()).into()
}

/// What `blitz_io::select!` becomes: the face's path in parentheses, then the branches.
#[doc(hidden)]
#[proc_macro]
pub fn select_at(input: TokenStream) -> TokenStream {
    select::expand(input.into()).into()
}

/// What `blitz_io::join!` becomes: the face's path in parentheses, then the futures.
#[doc(hidden)]
#[proc_macro]
pub fn join_at(input: TokenStream) -> TokenStream {
    join::expand(input.into(), join::Ends::Together).into()
}

/// What `blitz_io::try_join!` becomes: the face's path in parentheses, then the futures.
#[doc(hidden)]
#[proc_macro]
pub fn try_join_at(input: TokenStream) -> TokenStream {
    join::expand(input.into(), join::Ends::AtAnError).into()
}
