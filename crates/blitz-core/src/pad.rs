//! Padding that keeps two threads' hot words off one cache line.

use std::ops::{Deref, DerefMut};

/// A value alone on its cache lines.
///
/// 128 bytes where the processor fetches lines in pairs (x86-64, aarch64), else 64.
#[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), repr(align(128)))]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    repr(align(64))
)]
#[derive(Debug, Default, Clone, Copy)]
pub struct CachePadded<T>(T);

impl<T> CachePadded<T> {
    /// `value`, with its lines to itself.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, out of its padding.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for CachePadded<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for CachePadded<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
