//! Spans without the feature `tracing`: there are none, and nothing is spent on them.

use std::panic::Location;
use std::task::{Context, Poll};
use std::time::Duration;

use blitz_exec::task::SpawnInfo;

/// `future` as it is.
#[inline(always)]
pub(crate) fn task<F>(future: F, _kind: &'static str, _info: &mut SpawnInfo) -> F {
    future
}

/// `make` as it is.
#[inline(always)]
pub(crate) fn made<M>(make: M, _info: &mut SpawnInfo) -> M {
    make
}

/// `f` as it is.
#[inline(always)]
pub(crate) fn blocking<B>(f: B, _info: &mut SpawnInfo) -> B {
    f
}

/// The future of `block_on` as it is.
#[inline(always)]
pub(crate) fn root<F>(future: F) -> F {
    future
}

/// The spans of one timer: none.
pub(crate) struct Timer;

impl Timer {
    #[inline(always)]
    pub(crate) fn new(_at: &'static Location<'static>) -> Self {
        Self
    }

    #[inline(always)]
    pub(crate) fn reset(&mut self, _left: impl FnOnce() -> Duration) {}

    /// Polls the timer: first its share in the budget, then itself.
    #[inline(always)]
    pub(crate) fn poll<C>(
        &mut self,
        cx: &mut Context<'_>,
        _left: impl FnOnce() -> Duration,
        proceed: impl FnOnce(&mut Context<'_>) -> Poll<C>,
        poll: impl FnOnce(&mut Context<'_>, C) -> Poll<()>,
    ) -> Poll<()> {
        let unit = std::task::ready!(proceed(cx));
        poll(cx, unit)
    }
}
