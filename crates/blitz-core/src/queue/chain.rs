//! A batch of entries, linked through themselves, on its way from one queue to another.

use super::Entry;
use crate::primitive::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// An entry's pointer to the one behind it. Whoever owns the entry, or the queue that it is in, owns this.
pub struct Link<N>(UnsafeCell<Option<NonNull<N>>>);

impl<N> Link<N> {
    /// A link to nothing.
    pub fn new() -> Self {
        Self(UnsafeCell::new(None))
    }
}

impl<N> Default for Link<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<N> fmt::Debug for Link<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

/// An [`Entry`] that can be queued through itself.
///
/// # Safety
/// `link` gives a pointer to the `Link` inside that node, always the same one, which nobody else uses.
pub unsafe trait Linked: Entry {
    /// The node's link.
    ///
    /// # Safety
    /// `node` is valid.
    unsafe fn link(node: NonNull<Self::Node>) -> NonNull<Link<Self::Node>>;
}

/// Reads a node's link.
///
/// # Safety
/// `node` is valid, and the caller owns its link.
#[inline]
pub(super) unsafe fn next<T: Linked>(node: NonNull<T::Node>) -> Option<NonNull<T::Node>> {
    // SAFETY: the caller says that the node is valid.
    let link = unsafe { T::link(node) };
    // SAFETY: the link lies in a valid node.
    let link = unsafe { link.as_ref() };
    // SAFETY: the caller owns the link.
    link.0.with(|next| unsafe { *next })
}

/// Writes a node's link.
///
/// # Safety
/// `node` is valid, and the caller owns its link.
#[inline]
pub(super) unsafe fn set_next<T: Linked>(node: NonNull<T::Node>, to: Option<NonNull<T::Node>>) {
    // SAFETY: the caller says that the node is valid.
    let link = unsafe { T::link(node) };
    // SAFETY: the link lies in a valid node.
    let link = unsafe { link.as_ref() };
    // SAFETY: the caller owns the link.
    link.0.with_mut(|next| unsafe { *next = to });
}

/// The first and the last of some nodes that hang together.
type Ends<N> = (NonNull<N>, NonNull<N>);

/// Entries in order, first to last. Dropping it drops those that are left.
pub struct Chain<T: Linked> {
    /// First and last, unless it is empty.
    ends: Option<Ends<T::Node>>,
    len: usize,
    _owns: PhantomData<T>,
}

// SAFETY: a chain owns its entries and shares nothing.
unsafe impl<T: Linked + Send> Send for Chain<T> {}

impl<T: Linked> Chain<T> {
    /// A chain with nothing in it.
    #[inline]
    pub const fn new() -> Self {
        Self {
            ends: None,
            len: 0,
            _owns: PhantomData,
        }
    }

    /// How many entries are in it.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is nothing in it?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ends.is_none()
    }

    /// Puts an entry behind all others.
    #[inline]
    pub fn push_back(&mut self, entry: T) {
        let node = entry.into_raw();
        // SAFETY: the entry was ours, its link with it.
        unsafe { set_next::<T>(node, None) };
        match &mut self.ends {
            Some((_, last)) => {
                // SAFETY: the chain owns its entries.
                unsafe { set_next::<T>(*last, Some(node)) };
                *last = node;
            }
            None => self.ends = Some((node, node)),
        }
        self.len += 1;
    }

    /// Takes the first entry.
    #[inline]
    pub fn pop_front(&mut self) -> Option<T> {
        let (first, last) = self.ends?;
        // The last one's link may hold anything.
        self.ends = if first == last {
            None
        } else {
            // SAFETY: the chain owns its entries.
            unsafe { next::<T>(first) }.map(|next| (next, last))
        };
        self.len -= 1;
        // SAFETY: it came from `into_raw` when it entered, and it is in the chain no more.
        Some(unsafe { T::from_raw(first) })
    }

    /// Puts all of `other` behind all of this.
    pub fn append(&mut self, mut other: Self) {
        let Some((first, last)) = other.ends.take() else {
            return;
        };
        match &mut self.ends {
            Some((_, end)) => {
                // SAFETY: the chain owns its entries.
                unsafe { set_next::<T>(*end, Some(first)) };
                *end = last;
            }
            None => self.ends = Some((first, last)),
        }
        self.len += other.len;
    }

    /// Calls `f` with the nodes of the first `count` entries, or of all if there are fewer.
    pub fn for_first(&self, count: usize, mut f: impl FnMut(&T::Node)) {
        let Some((first, last)) = self.ends else {
            return;
        };
        let mut node = first;
        for _ in 0..count {
            // SAFETY: the chain owns its entries.
            f(unsafe { node.as_ref() });
            if node == last {
                return;
            }
            // SAFETY: as above; it is not the last, so another one hangs on it.
            node = unsafe { next::<T>(node) }.unwrap_or(last);
        }
    }

    /// Takes the first `count` entries, or all if there are fewer.
    pub(super) fn split_front(&mut self, count: usize) -> Self {
        if count >= self.len {
            return std::mem::take(self);
        }
        let mut front = Self::new();
        let Some((first, last)) = self.ends else {
            return front;
        };
        if count == 0 {
            return front;
        }
        let mut cut = first;
        for _ in 1..count {
            // SAFETY: the chain owns its entries. There are more than `count`, so each has one behind it.
            cut = unsafe { next::<T>(cut) }.unwrap_or(last);
        }
        // SAFETY: as above.
        let rest = unsafe { next::<T>(cut) }.unwrap_or(last);
        front.ends = Some((first, cut));
        front.len = count;
        self.ends = Some((rest, last));
        self.len -= count;
        front
    }

    /// A chain of `len` entries that hang together from `first` to `last`.
    ///
    /// # Safety
    /// They do, and the caller owned them.
    pub(super) unsafe fn from_ends(
        first: NonNull<T::Node>,
        last: NonNull<T::Node>,
        len: usize,
    ) -> Self {
        Self {
            ends: Some((first, last)),
            len,
            _owns: PhantomData,
        }
    }
}

impl<T: Linked> Iterator for Chain<T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, Some(self.len))
    }
}

impl<T: Linked> ExactSizeIterator for Chain<T> {}

impl<T: Linked> Extend<T> for Chain<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, entries: I) {
        entries.into_iter().for_each(|entry| self.push_back(entry));
    }
}

impl<T: Linked> FromIterator<T> for Chain<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut chain = Self::new();
        chain.extend(entries);
        chain
    }
}

impl<T: Linked> Default for Chain<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Linked> Drop for Chain<T> {
    fn drop(&mut self) {
        while self.pop_front().is_some() {}
    }
}

impl<T: Linked> fmt::Debug for Chain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
