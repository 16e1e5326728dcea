//! Spans without the feature `tracing`, and in models: there are none, and nothing is spent on them.

use std::panic::Location;

/// A lock or a channel: nobody is told of it.
pub(crate) struct Resource;

impl Resource {
    #[inline(always)]
    pub(crate) fn barrier(_size: usize, _at: &'static Location<'static>) -> Self {
        Self
    }

    #[inline(always)]
    pub(crate) fn arrived(&self) {}

    #[inline(always)]
    pub(crate) fn complete(&self) {}

    #[inline(always)]
    pub(crate) fn oneshot(_at: &'static Location<'static>) -> Self {
        Self
    }

    #[inline(always)]
    pub(crate) fn sender_goes(&self) {}

    #[inline(always)]
    pub(crate) fn receiver_goes(&self) {}

    #[inline(always)]
    pub(crate) fn sent(&self) {}

    #[inline(always)]
    pub(crate) fn received(&self) {}

    #[inline(always)]
    pub(crate) fn mpsc(_at: &'static Location<'static>) -> Self {
        Self
    }

    #[inline(always)]
    pub(crate) fn operation(&self, _source: &'static str) -> Operation {
        Operation
    }
}

/// The spans of permits: none.
pub(crate) struct Spans(Resource);

impl Spans {
    pub(crate) const SILENT: Self = Self(Resource);

    #[inline(always)]
    pub(crate) fn mutex(_at: &'static Location<'static>) -> Self {
        Self::SILENT
    }

    #[inline(always)]
    pub(crate) fn rwlock(_all: usize, _at: &'static Location<'static>) -> Self {
        Self::SILENT
    }

    #[inline(always)]
    pub(crate) fn semaphore(_count: usize, _at: &'static Location<'static>) -> Self {
        Self::SILENT
    }

    #[inline(always)]
    pub(crate) fn room(_count: usize, _at: &'static Location<'static>) -> Self {
        Self::SILENT
    }

    #[inline(always)]
    pub(crate) fn owner(&self) -> &Resource {
        &self.0
    }

    #[inline(always)]
    pub(crate) fn operation(&self, _source: &'static str) -> Operation {
        Operation
    }

    #[inline(always)]
    pub(crate) fn wait(&self, _wanted: usize) -> Waiting {
        Waiting
    }

    #[inline(always)]
    pub(crate) fn taken(&self, _count: usize) {}

    #[inline(always)]
    pub(crate) fn given(&self, _count: usize) {}

    #[inline(always)]
    pub(crate) fn locked(&self, _count: usize) {}

    #[inline(always)]
    pub(crate) fn unlocked(&self, _count: usize) {}

    #[inline(always)]
    pub(crate) fn downgraded(&self) {}
}

/// A call that may wait.
pub(crate) struct Operation;

impl Operation {
    #[inline(always)]
    pub(crate) fn resource(&self) -> &Resource {
        &Resource
    }

    /// `future` as it is.
    #[inline(always)]
    pub(crate) fn around<F>(self, future: F) -> F {
        future
    }

    #[inline(always)]
    pub(crate) fn enter(&self) -> Entered {
        Entered
    }

    #[inline(always)]
    pub(crate) fn polled(&self, _name: &'static str, _is_ready: bool) {}
}

/// A poll that goes on.
pub(crate) struct Entered;

/// One who waits for permits.
pub(crate) struct Waiting;

impl Waiting {
    #[inline(always)]
    pub(crate) fn enter(&self) -> Entered {
        Entered
    }

    #[inline(always)]
    pub(crate) fn polled(&self, _is_ready: bool) {}
}

/// Who got how many: nobody is told.
pub(crate) struct Told;

impl Told {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, _to: &Waiting, _count: usize) {}

    #[inline(always)]
    pub(crate) fn tell(self, _spans: &Spans) {}
}
