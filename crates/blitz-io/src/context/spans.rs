//! Spans of tasks and timers under the names that tokio's have, so that tokio-console and other subscribers know them.
//!
//! A span that nobody wants is disabled: no more than a look at a word.

use std::any::type_name;
use std::panic::Location;
use std::task::{Context, Poll};
use std::time::Duration;

use blitz_exec::task::{BOX_FUTURE_ABOVE, SpawnInfo};
use tracing::Span;
use tracing::instrument::{Instrument, Instrumented};

/// `future` in the span of a task, `kind` of which is spawned with `info`. To be called before the future is boxed for its size.
#[inline]
pub(crate) fn task<F>(future: F, kind: &'static str, info: &mut SpawnInfo) -> Instrumented<F> {
    future.instrument(of_task(kind, size_of::<F>(), info))
}

/// `make`, whose future is in the span of a task that is spawned with `info`.
#[inline]
pub(crate) fn made<M, F>(
    make: M,
    info: &mut SpawnInfo,
) -> impl FnOnce() -> Instrumented<F> + use<M, F>
where
    M: FnOnce() -> F,
{
    let span = of_task("local", size_of::<F>(), info);
    move || make().instrument(span)
}

/// `f`, in the span of a blocking call that is spawned with `info`.
#[inline]
pub(crate) fn blocking<B, R>(f: B, info: &mut SpawnInfo) -> impl FnOnce() -> R + use<B, R>
where
    B: FnOnce() -> R,
{
    let span = tracing::trace_span!(
        target: "tokio::task::blocking",
        "runtime.spawn",
        kind = %"blocking",
        task.name = %info.name().unwrap_or_default(),
        task.id = info.id.as_u64(),
        "fn" = %type_name::<B>(),
        size.bytes = size_of::<B>(),
        loc.file = info.location.file(),
        loc.line = info.location.line(),
        loc.col = info.location.column(),
    );
    note(info, &span);
    move || span.in_scope(f)
}

/// The future of `block_on`, in a span of its own.
#[inline]
#[track_caller]
pub(crate) fn root<F>(future: F) -> Instrumented<F> {
    task(future, "block_on", &mut SpawnInfo::here())
}

fn of_task(kind: &'static str, bytes: usize, info: &mut SpawnInfo) -> Span {
    let boxed = bytes > BOX_FUTURE_ABOVE;
    let span = tracing::trace_span!(
        target: "tokio::task",
        parent: None,
        "runtime.spawn",
        %kind,
        task.name = %info.name().unwrap_or_default(),
        task.id = info.id.as_u64(),
        original_size.bytes = boxed.then_some(bytes),
        size.bytes = if boxed { size_of::<Box<u8>>() } else { bytes },
        loc.file = info.location.file(),
        loc.line = info.location.line(),
        loc.col = info.location.column(),
    );
    note(info, &span);
    span
}

/// The task's wakers are told by its span.
fn note(info: &mut SpawnInfo, span: &Span) {
    info.set_span(span.id().map_or(0, |id| id.into_u64()));
}

/// The spans of one timer, each in the next: what is done in a poll, what is waited for, what the timer is.
pub(crate) struct Timer {
    wait: Span,
    poll: Span,
    resource: Span,
    /// Whether it is told how long the wait is.
    is_told: bool,
}

impl Timer {
    /// Of a timer that was made at `at`.
    pub(crate) fn new(at: &'static Location<'static>) -> Self {
        let resource = tracing::trace_span!(
            target: "tokio::time::sleep",
            parent: None,
            "runtime.resource",
            concrete_type = "Sleep",
            kind = "timer",
            loc.file = at.file(),
            loc.line = at.line(),
            loc.col = at.column(),
        );
        let wait = tracing::trace_span!(
            target: "tokio::time::sleep",
            parent: &resource,
            "runtime.resource.async_op",
            source = "Sleep::new_timeout",
        );
        let poll = tracing::trace_span!(
            target: "tokio::time::sleep",
            parent: &wait,
            "runtime.resource.async_op.poll",
        );
        Self {
            wait,
            poll,
            resource,
            is_told: false,
        }
    }

    /// It waits anew, for as long as `left` says.
    pub(crate) fn reset(&mut self, left: impl FnOnce() -> Duration) {
        if self.resource.is_disabled() {
            return;
        }
        let _resource = self.resource.enter();
        self.wait = tracing::trace_span!(
            target: "tokio::time::sleep",
            "runtime.resource.async_op",
            source = "Sleep::reset",
        );
        let _wait = self.wait.enter();
        self.poll =
            tracing::trace_span!(target: "tokio::time::sleep", "runtime.resource.async_op.poll");
        tell_duration(left());
        self.is_told = true;
    }

    /// Polls the timer: first its share in the budget, then itself. `left` says how long it has to wait.
    pub(crate) fn poll<C>(
        &mut self,
        cx: &mut Context<'_>,
        left: impl FnOnce() -> Duration,
        proceed: impl FnOnce(&mut Context<'_>) -> Poll<C>,
        poll: impl FnOnce(&mut Context<'_>, C) -> Poll<()>,
    ) -> Poll<()> {
        let _resource = self.resource.enter();
        let _wait = self.wait.enter();
        let _poll = self.poll.enter();
        let unit = proceed(cx);
        tell_poll(unit.is_ready());
        let unit = std::task::ready!(unit);
        if !self.is_told && !self.resource.is_disabled() {
            self.is_told = true;
            tell_duration(left());
        }
        let polled = poll(cx, unit);
        tell_poll(polled.is_ready());
        polled
    }
}

fn tell_poll(is_ready: bool) {
    tracing::trace!(target: "runtime::resource::poll_op", op_name = "poll_elapsed", is_ready);
}

fn tell_duration(left: Duration) {
    let ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    tracing::trace!(
        target: "runtime::resource::state_update",
        duration = ms,
        duration.unit = "ms",
        duration.op = "override",
    );
}
