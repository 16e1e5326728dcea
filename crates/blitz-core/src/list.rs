//! A doubly linked list through its own nodes: no allocation to enter, O(1) to leave from the middle.
//!
//! The list owns what a [`Node::Handle`] owns, pinned where it lies, and links it through a [`Links`] field. It is not
//! synchronised: whoever owns the list (mostly a lock) owns the `Links` of all that is in it.

use crate::primitive::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomPinned;
use std::ptr::NonNull;

/// A thing that can stand in one [`List`].
///
/// # Safety
/// - `into_raw` gives a pointer that stays valid, at the same address, until `from_raw` takes it back.
/// - `links` gives a pointer to the `Links` inside that node, always the same one.
pub unsafe trait Node {
    /// What owns a node: a box, a counted pointer, or a pinned borrow.
    type Handle;
    /// What the list's pointers point to.
    type Target;

    /// Turns the handle into the pointer that the list keeps.
    fn into_raw(handle: Self::Handle) -> NonNull<Self::Target>;

    /// Turns the pointer back into its handle.
    ///
    /// # Safety
    /// `node` came from `into_raw`, and this is its one way back.
    unsafe fn from_raw(node: NonNull<Self::Target>) -> Self::Handle;

    /// The node's links.
    ///
    /// # Safety
    /// `node` is valid.
    unsafe fn links(node: NonNull<Self::Target>) -> NonNull<Links<Self::Target>>;
}

/// A node's place in its list: two neighbours, or none.
pub struct Links<T> {
    pointers: UnsafeCell<Pointers<T>>,
    _pin: PhantomPinned,
}

struct Pointers<T> {
    prev: Option<NonNull<T>>,
    next: Option<NonNull<T>>,
}

impl<T> Clone for Pointers<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Pointers<T> {}

// SAFETY: the pointers are followed only by the owner of the list, who has exclusive access to it.
unsafe impl<T: Send> Send for Links<T> {}
// SAFETY: as above; a shared reference to `Links` alone can do nothing.
unsafe impl<T: Sync> Sync for Links<T> {}

impl<T> Links<T> {
    /// Links of a node that is in no list.
    pub fn new() -> Self {
        Self {
            pointers: UnsafeCell::new(Pointers {
                prev: None,
                next: None,
            }),
            _pin: PhantomPinned,
        }
    }
}

impl<T> Default for Links<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Links<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").finish_non_exhaustive()
    }
}

/// A list of `N`s, first to last.
///
/// Dropping a list that is not empty leaks what is in it: only the owner knows where its members may be dropped.
pub struct List<N: Node> {
    head: Option<NonNull<N::Target>>,
    tail: Option<NonNull<N::Target>>,
}

// SAFETY: the list owns its members' handles, and passes them on.
unsafe impl<N: Node> Send for List<N> where N::Handle: Send {}

impl<N: Node> List<N> {
    /// An empty list.
    pub const fn new() -> Self {
        Self {
            head: None,
            tail: None,
        }
    }

    /// Is nothing in it?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    fn pointers(&self, node: NonNull<N::Target>) -> Pointers<N::Target> {
        // SAFETY: the node is in this list, hence valid.
        let links = unsafe { N::links(node) };
        // SAFETY: the `Links` lie in a valid node.
        let links = unsafe { links.as_ref() };
        // SAFETY: we own the list, and with it its members' links.
        links.pointers.with(|p| unsafe { *p })
    }

    fn set(&mut self, node: NonNull<N::Target>, change: impl FnOnce(&mut Pointers<N::Target>)) {
        // SAFETY: the node is in this list or about to enter it, hence valid.
        let links = unsafe { N::links(node) };
        // SAFETY: the `Links` lie in a valid node.
        let links = unsafe { links.as_ref() };
        // SAFETY: we own the list, and with it its members' links.
        links.pointers.with_mut(|p| change(unsafe { &mut *p }));
    }

    /// Puts a node in front of all others.
    #[inline]
    pub fn push_front(&mut self, handle: N::Handle) {
        let node = N::into_raw(handle);
        let head = self.head;
        debug_assert_ne!(head, Some(node), "a node entered its list twice");
        self.set(node, |p| {
            *p = Pointers {
                prev: None,
                next: head,
            }
        });
        match head {
            Some(head) => self.set(head, |p| p.prev = Some(node)),
            None => self.tail = Some(node),
        }
        self.head = Some(node);
    }

    /// Puts a node behind all others.
    #[inline]
    pub fn push_back(&mut self, handle: N::Handle) {
        let node = N::into_raw(handle);
        let tail = self.tail;
        debug_assert_ne!(tail, Some(node), "a node entered its list twice");
        self.set(node, |p| {
            *p = Pointers {
                prev: tail,
                next: None,
            }
        });
        match tail {
            Some(tail) => self.set(tail, |p| p.next = Some(node)),
            None => self.head = Some(node),
        }
        self.tail = Some(node);
    }

    /// Takes the first node out.
    #[inline]
    pub fn pop_front(&mut self) -> Option<N::Handle> {
        let head = self.head?;
        // SAFETY: the head is in the list.
        unsafe { self.remove(head) }
    }

    /// Takes the last node out.
    #[inline]
    pub fn pop_back(&mut self) -> Option<N::Handle> {
        let tail = self.tail?;
        // SAFETY: the tail is in the list.
        unsafe { self.remove(tail) }
    }

    /// Takes `node` out from wherever it stands; returns `None` if it is in no list.
    ///
    /// # Safety
    /// `node` is valid, and in this list or in none.
    #[inline]
    pub unsafe fn remove(&mut self, node: NonNull<N::Target>) -> Option<N::Handle> {
        let Pointers { prev, next } = self.pointers(node);
        match prev {
            Some(prev) => self.set(prev, |p| p.next = next),
            None if self.head == Some(node) => self.head = next,
            None => return None,
        }
        match next {
            Some(next) => self.set(next, |p| p.prev = prev),
            None => {
                debug_assert_eq!(self.tail, Some(node), "a node of another list");
                self.tail = prev;
            }
        }
        self.set(node, |p| {
            *p = Pointers {
                prev: None,
                next: None,
            }
        });
        // SAFETY: it was in the list, so it came from `into_raw`, and it is in the list no more.
        Some(unsafe { N::from_raw(node) })
    }

    /// Is `node` in this list?
    ///
    /// # Safety
    /// `node` is valid, and in this list or in none.
    pub unsafe fn contains(&self, node: NonNull<N::Target>) -> bool {
        self.pointers(node).prev.is_some() || self.head == Some(node)
    }

    /// The first node, left in its place.
    #[inline]
    pub fn front(&self) -> Option<NonNull<N::Target>> {
        self.head
    }

    /// The nodes from first to last, left in their places.
    pub fn iter(&self) -> impl Iterator<Item = NonNull<N::Target>> {
        self.iter_after(None)
    }

    /// The nodes behind `node`, which is in this list, or all, left in their places.
    pub fn iter_after(
        &self,
        node: Option<NonNull<N::Target>>,
    ) -> impl Iterator<Item = NonNull<N::Target>> {
        let mut at = node.map_or(self.head, |node| self.pointers(node).next);
        std::iter::from_fn(move || {
            let node = at?;
            at = self.pointers(node).next;
            Some(node)
        })
    }
}

impl<N: Node> Default for List<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<N: Node> fmt::Debug for List<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List")
            .field("is_empty", &self.is_empty())
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
#[path = "tests/list.rs"]
mod tests;
