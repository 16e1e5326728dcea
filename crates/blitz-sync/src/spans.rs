//! Locks and channels as tokio-console sees them: each is a resource, each wait for it an operation, under the names that tokio's
//! have.
//!
//! What nobody wants to hear of is disabled: no more than a look at a word. A subscriber is foreign code, which may panic: none is
//! called under a lock, nor before a drop would put right what it is told of.

use std::future::Future;
use std::panic::{AssertUnwindSafe, Location};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tracing::Span;
use tracing::level_filters::LevelFilter;
use tracing::span;

/// A span that is kept: whoever panics, it is no worse for that.
type Kept = AssertUnwindSafe<Span>;

/// What a resource is.
#[derive(Clone, Copy)]
enum What {
    /// Nothing that is told of: it was made in a constant, or is part of something else.
    Silent,
    /// What locks and channels count with.
    Permits,
    Mutex,
    /// A lock that so many may share.
    RwLock(usize),
    Semaphore,
    Barrier,
    Oneshot,
    Mpsc,
}

macro_rules! resource {
    ($target:literal, $what:expr, $name:literal, $at:expr $(, $($more:tt)*)?) => {{
        let at: &'static Location<'static> = $at;
        Resource {
            what: $what,
            span: AssertUnwindSafe(tracing::trace_span!(
                target: $target,
                parent: None,
                "runtime.resource",
                concrete_type = $name,
                kind = "Sync",
                loc.file = at.file(),
                loc.line = at.line(),
                loc.col = at.column(),
                $($($more)*)?
            )),
        }
    }};
}

macro_rules! operation {
    ($target:literal, $resource:expr, $source:expr) => {{
        let operation = $resource.in_scope(|| {
            tracing::trace_span!(
                target: $target,
                "runtime.resource.async_op",
                source = $source,
                inherits_child_attrs = false,
            )
        });
        let poll = operation
            .in_scope(|| tracing::trace_span!(target: $target, "runtime.resource.async_op.poll"));
        (operation, poll)
    }};
}

macro_rules! state {
    ($($field:tt)*) => {
        tracing::trace!(target: "runtime::resource::state_update", $($field)*)
    };
}

/// A lock or a channel.
pub(crate) struct Resource {
    what: What,
    span: Kept,
}

impl Resource {
    const SILENT: Self = Self {
        what: What::Silent,
        span: AssertUnwindSafe(Span::none()),
    };

    /// A barrier of `size`, made at `at`.
    pub(crate) fn barrier(size: usize, at: &'static Location<'static>) -> Self {
        let this = resource!("tokio::sync::barrier", What::Barrier, "Barrier", at);
        this.span.in_scope(|| {
            state!(size = size);
            state!(arrived = 0, arrived.op = "override");
        });
        this
    }

    /// One more waits at the barrier.
    pub(crate) fn arrived(&self) {
        self.span
            .in_scope(|| state!(arrived = 1, arrived.op = "add"));
    }

    /// The barrier lets all go on.
    pub(crate) fn complete(&self) {
        self.span
            .in_scope(|| state!(arrived = 0, arrived.op = "override"));
    }

    /// A channel for one value, made at `at`.
    pub(crate) fn oneshot(at: &'static Location<'static>) -> Self {
        let this = resource!("tokio::sync::oneshot", What::Oneshot, "Sender|Receiver", at);
        this.set_sender_gone(false);
        this.set_receiver_gone(false);
        this.set_sent(false);
        this.set_received(false);
        this
    }

    fn set_sender_gone(&self, is_gone: bool) {
        self.span
            .in_scope(|| state!(tx_dropped = is_gone, tx_dropped.op = "override"));
    }

    fn set_receiver_gone(&self, is_gone: bool) {
        self.span
            .in_scope(|| state!(rx_dropped = is_gone, rx_dropped.op = "override"));
    }

    fn set_sent(&self, is_sent: bool) {
        self.span
            .in_scope(|| state!(value_sent = is_sent, value_sent.op = "override"));
    }

    fn set_received(&self, is_received: bool) {
        self.span
            .in_scope(|| state!(value_received = is_received, value_received.op = "override"));
    }

    /// The sender of the one value goes.
    pub(crate) fn sender_goes(&self) {
        self.set_sender_gone(true);
    }

    /// The receiver of the one value goes.
    pub(crate) fn receiver_goes(&self) {
        self.set_receiver_gone(true);
    }

    /// The one value was sent.
    pub(crate) fn sent(&self) {
        self.set_sent(true);
    }

    /// The one value was received.
    pub(crate) fn received(&self) {
        self.set_received(true);
    }

    /// A channel, made at `at`. What it has room for is permits' to tell.
    pub(crate) fn mpsc(at: &'static Location<'static>) -> Self {
        resource!(
            "tokio::sync::mpsc",
            What::Mpsc,
            "Sender|Receiver",
            at,
            inherits_child_attrs = true
        )
    }

    fn permits(count: usize, at: &'static Location<'static>) -> Self {
        let this = resource!(
            "tokio::sync::batch_semaphore",
            What::Permits,
            "Semaphore",
            at,
            is_internal = true
        );
        this.span
            .in_scope(|| state!(permits = count, permits.op = "override"));
        this
    }

    /// The call of `source` on it begins.
    pub(crate) fn operation(&self, source: &'static str) -> Operation {
        let resource = &self.span;
        if resource.is_disabled() {
            return Operation::NONE;
        }
        let (operation, poll) = match self.what {
            What::Silent => return Operation::NONE,
            What::Permits => operation!("tokio::sync::batch_semaphore", resource, source),
            What::Mutex => operation!("tokio::sync::mutex", resource, source),
            What::RwLock(_) => operation!("tokio::sync::rwlock", resource, source),
            What::Semaphore => operation!("tokio::sync::semaphore", resource, source),
            What::Barrier => operation!("tokio::sync::barrier", resource, source),
            What::Oneshot => operation!("tokio::sync::oneshot", resource, source),
            What::Mpsc => operation!("tokio::sync::mpsc", resource, source),
        };
        Operation {
            resource: self.clone(),
            operation: AssertUnwindSafe(operation),
            poll: AssertUnwindSafe(poll),
        }
    }
}

impl Clone for Resource {
    fn clone(&self) -> Self {
        Self {
            what: self.what,
            span: AssertUnwindSafe(self.span.0.clone()),
        }
    }
}

/// The spans of permits: of the lock or channel that they are part of, and their own.
pub(crate) struct Spans {
    owner: Resource,
    own: Resource,
}

impl Spans {
    /// Of permits that nobody is told of.
    pub(crate) const SILENT: Self = Self {
        owner: Resource::SILENT,
        own: Resource::SILENT,
    };

    /// Of a mutex that was made at `at`.
    pub(crate) fn mutex(at: &'static Location<'static>) -> Self {
        let owner = resource!("tokio::sync::mutex", What::Mutex, "Mutex", at);
        let own = owner.span.in_scope(|| {
            state!(locked = false);
            Resource::permits(1, at)
        });
        Self { owner, own }
    }

    /// Of a lock that `all` may share, made at `at`.
    pub(crate) fn rwlock(all: usize, at: &'static Location<'static>) -> Self {
        let owner = resource!("tokio::sync::rwlock", What::RwLock(all), "RwLock", at);
        owner.span.in_scope(|| {
            state!(max_readers = all);
            state!(write_locked = false);
            state!(current_readers = 0);
        });
        let own = owner.span.in_scope(|| Resource::permits(all, at));
        Self { owner, own }
    }

    /// Of a semaphore of `count`, made at `at`.
    pub(crate) fn semaphore(count: usize, at: &'static Location<'static>) -> Self {
        let owner = resource!(
            "tokio::sync::semaphore",
            What::Semaphore,
            "Semaphore",
            at,
            inherits_child_attrs = true
        );
        let own = owner.span.in_scope(|| Resource::permits(count, at));
        Self { owner, own }
    }

    /// Of a channel with room for `count`, made at `at`.
    pub(crate) fn room(count: usize, at: &'static Location<'static>) -> Self {
        let owner = Resource::mpsc(at);
        let own = owner.span.in_scope(|| Resource::permits(count, at));
        Self { owner, own }
    }

    /// What the permits are part of.
    pub(crate) fn owner(&self) -> &Resource {
        &self.owner
    }

    /// The call of `source` on what the permits are part of begins.
    pub(crate) fn operation(&self, source: &'static str) -> Operation {
        self.owner.operation(source)
    }

    /// A wait for `wanted` begins.
    pub(crate) fn wait(&self, wanted: usize) -> Waiting {
        if self.own.span.is_disabled() {
            return Waiting(None);
        }
        let operation = self.own.operation("Acquire::new");
        operation.operation.in_scope(|| {
            tracing::trace!(
                target: "runtime::resource::async_op::state_update",
                permits_requested = wanted,
                permits_requested.op = "override",
            );
            tracing::trace!(
                target: "runtime::resource::async_op::state_update",
                permits_obtained = 0_u64,
                permits_obtained.op = "override",
            );
        });
        Waiting(Some(Arc::new(operation)))
    }

    /// So many are fewer.
    pub(crate) fn taken(&self, count: usize) {
        if count != 0 && !matches!(self.own.what, What::Silent) {
            let own = &self.own.span;
            own.in_scope(|| state!(permits = count, permits.op = "sub"));
        }
    }

    /// So many are more.
    pub(crate) fn given(&self, count: usize) {
        if count != 0 && !matches!(self.own.what, What::Silent) {
            let own = &self.own.span;
            own.in_scope(|| state!(permits = count, permits.op = "add"));
        }
    }

    /// A guard has `count`.
    pub(crate) fn locked(&self, count: usize) {
        match self.owner.what {
            What::Mutex => self.owner.span.in_scope(|| state!(locked = true)),
            What::RwLock(all) if count == all => {
                self.owner.span.in_scope(|| state!(write_locked = true));
            }
            What::RwLock(_) => self
                .owner
                .span
                .in_scope(|| state!(current_readers = 1, current_readers.op = "add")),
            _ => {}
        }
    }

    /// A guard that had `count` goes.
    pub(crate) fn unlocked(&self, count: usize) {
        match self.owner.what {
            What::Mutex => self.owner.span.in_scope(|| state!(locked = false)),
            What::RwLock(all) if count == all => {
                self.owner.span.in_scope(|| state!(write_locked = false));
            }
            What::RwLock(_) => self
                .owner
                .span
                .in_scope(|| state!(current_readers = 1, current_readers.op = "sub")),
            _ => {}
        }
    }

    /// A guard that had all has one.
    pub(crate) fn downgraded(&self) {
        if let What::RwLock(_) = self.owner.what {
            self.owner.span.in_scope(|| {
                state!(write_locked = false);
                state!(current_readers = 1, current_readers.op = "add");
            });
        }
    }
}

/// A call that may wait: what it is made on, the call, and what is done in one poll.
pub(crate) struct Operation {
    resource: Resource,
    operation: Kept,
    poll: Kept,
}

impl Operation {
    const NONE: Self = Self {
        resource: Resource::SILENT,
        operation: AssertUnwindSafe(Span::none()),
        poll: AssertUnwindSafe(Span::none()),
    };

    /// What is operated on.
    pub(crate) fn resource(&self) -> &Resource {
        &self.resource
    }

    /// `future`, polled inside of it.
    pub(crate) fn around<F>(self, future: F) -> Around<F> {
        Around {
            future,
            operation: self,
        }
    }

    /// A poll begins, and lasts until the answer is dropped.
    pub(crate) fn enter(&self) -> Entered<'_> {
        let resource = self.resource.span.enter();
        let operation = self.operation.enter();
        Entered {
            _poll: self.poll.enter(),
            _operation: operation,
            _resource: resource,
        }
    }

    /// How the poll went that goes on.
    pub(crate) fn polled(&self, name: &'static str, is_ready: bool) {
        if !self.poll.is_disabled() {
            tracing::trace!(target: "runtime::resource::poll_op", op_name = name, is_ready);
        }
    }
}

/// A poll of an [`Operation`] that goes on. The fields end in their order.
pub(crate) struct Entered<'a> {
    _poll: span::Entered<'a>,
    _operation: span::Entered<'a>,
    _resource: span::Entered<'a>,
}

pin_project_lite::pin_project! {
    /// See [`Operation::around`].
    pub(crate) struct Around<F> {
        #[pin]
        future: F,
        operation: Operation,
    }
}

impl<F: Future> Future for Around<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.operation.enter();
        let polled = this.future.poll(cx);
        this.operation.polled("poll", polled.is_ready());
        polled
    }
}

/// One who waits for permits; shared with those who serve it, who tell of it when it may have gone.
pub(crate) struct Waiting(Option<Arc<Operation>>);

impl Waiting {
    /// A poll begins, and lasts until the answer is dropped.
    pub(crate) fn enter(&self) -> Option<Entered<'_>> {
        self.0.as_deref().map(Operation::enter)
    }

    /// How the poll went that goes on.
    pub(crate) fn polled(&self, is_ready: bool) {
        if let Some(operation) = &self.0 {
            operation.polled("poll_acquire", is_ready);
        }
    }
}

/// Who got how many while the line was locked, to be told of after that.
pub(crate) struct Told(Vec<(Option<Arc<Operation>>, usize)>);

impl Told {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// `to` got `count`. Calls no subscriber.
    pub(crate) fn push(&mut self, to: &Waiting, count: usize) {
        if count != 0 && LevelFilter::current() >= LevelFilter::TRACE {
            self.0.push((to.0.clone(), count));
        }
    }

    /// Tells of them all, in the order they came.
    pub(crate) fn tell(self, spans: &Spans) {
        for (to, count) in self.0 {
            let tell = || {
                tracing::trace!(
                    target: "runtime::resource::async_op::state_update",
                    permits_obtained = count,
                    permits_obtained.op = "add",
                );
            };
            match to {
                Some(operation) => operation.operation.in_scope(tell),
                None => tell(),
            }
            spans.taken(count);
        }
    }
}
