//! Wakers without the feature `tracing`: nobody is told of them.

use super::cell::Header;
use super::waker::VTABLE;
use std::task::RawWakerVTable;

/// The functions of a task's wakers.
#[inline(always)]
pub(super) fn vtable(_task: &Header) -> &'static RawWakerVTable {
    &VTABLE
}
