//! `select!`, `join!`, `try_join!` and `pin!`: several futures in one task.
//!
//! Each stands at the crate's root. They poll their futures in the task that they are in, so nothing runs in parallel, and
//! nothing need be `'static` or `Send`.

#[doc(hidden)]
pub mod support;

#[doc(hidden)]
pub use blitz_macros::{join_at, select_at, try_join_at};

/// Waits for the first of several futures, drops the others, and runs its handler.
///
/// ```text
/// select! {
///     pattern = future, if condition => handler,
///     …
///     else => handler,
/// }
/// ```
///
/// A branch whose `condition` is false does not take part; its future is made, and not polled. A branch whose future's output does
/// not fit its `pattern` is out, and the others go on. If no branch is left, `else` runs. The value is what the handler
/// returns; handlers may use `?`, `break` and `return`, and everything that the futures borrowed, since these are gone by then.
///
/// Who is asked first is random, so that a future that is always ready does not starve the others; after `biased;` it is the
/// order in which they are written. With [`Builder::rng_seed`](crate::runtime::Builder::rng_seed) the choice repeats on a
/// `current_thread` runtime.
///
/// # Cancel safety
/// The futures that lose are dropped: use those whose own documentation says that this loses nothing. To go on with one
/// in the next round, keep it outside and give `&mut future`.
///
/// # Panics
/// If no branch is left and there is no `else`.
///
/// # Examples
/// ```
/// use blitz_io::sync::mpsc;
/// use blitz_io::time::{Duration, sleep};
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let (sender, mut receiver) = mpsc::channel(1);
/// blitz_io::spawn(async move { sender.send(7).await });
/// let timeout = sleep(Duration::from_secs(5));
/// blitz_io::pin!(timeout);
/// let mut sum = 0;
/// loop {
///     blitz_io::select! {
///         Some(value) = receiver.recv() => sum += value,
///         () = &mut timeout => panic!("too slow"),
///         else => break,
///     }
///     if sum == 7 {
///         break;
///     }
/// }
/// # }
/// ```
///
/// A branch that is not whole is told what is missing, and a result that must be used must be used:
/// ```compile_fail
/// # async fn f() {
/// blitz_io::select! { complete => {} } // `complete` is a branch of `futures::select!`: here it is `else`…
/// # }
/// ```
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # async fn f() {
/// blitz_io::select! { result = async { Err::<(), ()>(()) } => result };
/// # }
/// ```
#[macro_export]
macro_rules! select {
    ($($input:tt)*) => {
        $crate::macros::select_at!(($crate) $($input)*)
    };
}

/// Waits for all of several futures; returns their outputs as a tuple.
///
/// Each poll of the task begins with another of them, so that one that uses up the task's budget does not starve the rest;
/// after `biased;` it is always the first. For futures in parallel, spawn them.
///
/// # Cancel safety
/// Dropped, it drops all futures.
///
/// # Examples
/// ```
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let (one, two) = blitz_io::join!(async { 1 }, async { "two" });
/// assert_eq!((one, two), (1, "two"));
/// # }
/// ```
#[macro_export]
macro_rules! join {
    ($($input:tt)*) => {
        $crate::macros::join_at!(($crate) $($input)*)
    };
}

/// Waits for all of several futures that may fail, or for the first error.
///
/// Returns a tuple of the values as `Ok`, or the first error, and then drops the futures that have not ended.
///
/// # Cancel safety
/// Dropped, it drops all futures.
///
/// # Examples
/// ```
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let both = blitz_io::try_join!(async { Ok::<_, &str>(1) }, async { Ok(2) });
/// assert_eq!(both, Ok((1, 2)));
/// let failed = blitz_io::try_join!(async { Err::<u8, _>("no") }, std::future::pending::<Result<u8, _>>());
/// assert_eq!(failed, Err("no"));
/// # }
/// ```
#[macro_export]
macro_rules! try_join {
    ($($input:tt)*) => {
        $crate::macros::try_join_at!(($crate) $($input)*)
    };
}

/// Pins futures where they stand, under the names that they have.
///
/// # Examples
/// ```
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let first = async { 1 };
/// blitz_io::pin!(first);
/// assert_eq!(first.as_mut().await, 1);
///
/// blitz_io::pin! {
///     let second = async { 2 };
/// }
/// assert_eq!(second.await, 2);
/// # }
/// ```
///
/// What has no name is told how to get one:
/// ```compile_fail
/// # async fn f() {
/// blitz_io::pin!(async { 1 }); // `pin!` keeps the name that a future has: write `pin! { let name = …; }`
/// # }
/// ```
#[macro_export]
macro_rules! pin {
    ($($name:ident),* $(,)?) => {
        $(
            #[allow(unused_mut, reason = "not every caller polls it")]
            let mut $name = ::core::pin::pin!($name);
        )*
    };
    ($(let $name:ident = $future:expr;)*) => {
        $(
            #[allow(unused_mut, reason = "not every caller polls it")]
            let mut $name = ::core::pin::pin!($future);
        )*
    };
    ($($other:tt)*) => {
        ::core::compile_error!(
            "`pin!` keeps the name that a future has: write `pin!(name)`, or `pin! { let name = future; }` for one that has none"
        )
    };
}
