//! What the macros' code calls. No promise is made for it.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use blitz_core::budget;
use pin_project_lite::pin_project;

pub use crate::context::random_below;

/// Whether this poll may make no more progress; its task is woken then, to go on in its next.
pub fn has_no_budget(cx: &Context<'_>) -> bool {
    let spent = !budget::has_remaining();
    if spent {
        cx.waker().wake_by_ref();
    }
    spent
}

/// Whose turn it is `step` steps after `start`, of `count`.
pub fn turn(start: u32, step: u32, count: u32) -> u32 {
    (start + step) % count
}

pin_project! {
    /// A future, its output, or neither any more.
    #[project = MaybeDoneProject]
    #[project_replace = MaybeDoneReplaced]
    #[derive(Debug)]
    pub enum MaybeDone<F: Future> {
        /// It runs.
        Future { #[pin] future: F },
        /// It has ended.
        Done { output: F::Output },
        /// Its output was taken.
        Gone,
    }
}

pin_project! {
    /// A future and those behind it, which all one pointer leads to.
    #[derive(Debug)]
    pub struct Row<F, R> {
        #[pin]
        first: F,
        #[pin]
        rest: R,
    }
}

impl<F, R> Row<F, R> {
    /// `first` before `rest`, which is another row or `()`.
    pub fn new(first: F, rest: R) -> Self {
        Self { first, rest }
    }

    /// The first one, and the others.
    pub fn split(self: Pin<&mut Self>) -> (Pin<&mut F>, Pin<&mut R>) {
        let this = self.project();
        (this.first, this.rest)
    }
}

impl<F: Future> MaybeDone<F> {
    /// A future that runs.
    pub fn new(future: impl IntoFuture<IntoFuture = F, Output = F::Output>) -> Self {
        Self::Future {
            future: future.into_future(),
        }
    }

    /// Polls the future, if it has not ended, and keeps its output.
    pub fn poll_done(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let MaybeDoneProject::Future { future } = self.as_mut().project() {
            let output = std::task::ready!(future.poll(cx));
            self.set(Self::Done { output });
        }
        Poll::Ready(())
    }

    /// The output, if the future has ended.
    pub fn output(self: Pin<&mut Self>) -> Option<&mut F::Output> {
        match self.project() {
            MaybeDoneProject::Done { output } => Some(output),
            _ => None,
        }
    }

    /// Takes the output.
    ///
    /// # Panics
    /// If the future has not ended, or its output was taken.
    pub fn take(self: Pin<&mut Self>) -> F::Output {
        match self.project_replace(Self::Gone) {
            MaybeDoneReplaced::Done { output } => output,
            _ => panic!("the output of a future was taken before it was there, or twice"),
        }
    }
}
