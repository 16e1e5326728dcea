//! Memory of small things that come and go in one thread: each thread keeps some that it has freed.
//!
//! A [`oneshot`](crate::oneshot) lives for one value, and half of what it cost was the allocator. What a thread frees goes on a list of
//! the thread, which its next one takes: no word is shared. A thread keeps [`KEEPS`] of each size and no more, and frees
//! them when it ends; what is larger, or aligned to more, comes from the allocator as ever.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{self, NonNull};

/// What the cells hold, in bytes.
const SIZES: [usize; 2] = [64, 128];
/// What they are aligned to.
const ALIGN: usize = 16;
/// So many free cells of a size are kept by a thread.
const KEEPS: usize = 32;

/// A free cell, which knows the next.
struct Free {
    next: *mut Free,
}

/// The layout of a cell.
const fn layout(size: usize) -> Layout {
    match Layout::from_size_align(size, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("the sizes are multiples of the alignment"),
    }
}

/// A thread's free cells of one size.
struct List {
    first: Cell<*mut Free>,
    len: Cell<usize>,
    layout: Layout,
}

thread_local! {
    static LISTS: [List; SIZES.len()] = const { [List::new(SIZES[0]), List::new(SIZES[1])] };
}

impl List {
    const fn new(size: usize) -> Self {
        Self {
            first: Cell::new(ptr::null_mut()),
            len: Cell::new(0),
            layout: layout(size),
        }
    }

    #[inline]
    fn pop(&self) -> Option<NonNull<Free>> {
        let first = NonNull::new(self.first.get())?;
        // SAFETY: what is on the list is free, and has been written by `push`.
        self.first.set(unsafe { first.as_ref() }.next);
        self.len.set(self.len.get() - 1);
        Some(first)
    }

    /// Answers whether there was place for it.
    ///
    /// # Safety
    /// The cell is of this list's layout, and nobody uses it any more.
    #[inline]
    unsafe fn push(&self, cell: NonNull<Free>) -> bool {
        if self.len.get() == KEEPS {
            return false;
        }
        let free = Free {
            next: self.first.get(),
        };
        // SAFETY: as the caller says; a cell has place for it.
        unsafe { cell.write(free) };
        self.first.set(cell.as_ptr());
        self.len.set(self.len.get() + 1);
        true
    }
}

impl Drop for List {
    fn drop(&mut self) {
        while let Some(cell) = self.pop() {
            // SAFETY: it was allocated with this layout, and is on no list any more.
            unsafe { dealloc(cell.as_ptr().cast(), self.layout) };
        }
    }
}

/// Which list serves values of `T`, if one does.
const fn list_of<T>() -> Option<usize> {
    if align_of::<T>() > ALIGN {
        return None;
    }
    let mut at = 0;
    while at < SIZES.len() {
        if size_of::<T>() <= SIZES[at] {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// The layout of a cell for `T`.
const fn layout_of<T>() -> Layout {
    match list_of::<T>() {
        Some(at) => layout(SIZES[at]),
        None => Layout::new::<T>(),
    }
}

/// A value on the heap, until [`free`].
///
/// Made when its place is there, and so in it: one that is copied there is read in pieces that it was not written in, for which a
/// processor waits until they have reached its cache.
#[inline]
pub(crate) fn put<T>(make: impl FnOnce() -> T) -> NonNull<T> {
    // At a thread's end, when its lists are gone, as if they were empty.
    let kept =
        const { list_of::<T>() }.and_then(|at| LISTS.try_with(|lists| lists[at].pop()).ok()?);
    let cell = match kept {
        Some(cell) => cell.cast::<T>(),
        None => allocate(const { layout_of::<T>() }).cast(),
    };
    // SAFETY: it is large enough and aligned, and nobody else has it.
    unsafe { cell.write(make()) };
    cell
}

#[cold]
fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: no cell is empty: see `put`'s only use, whose value has a word in it.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Drops the value that was [`put`] there.
///
/// # Safety
/// It is freed once, and nobody uses the cell any more.
#[inline]
pub(crate) unsafe fn free<T>(cell: NonNull<T>) {
    // Should it panic, the cell is lost.
    // SAFETY: as the caller says.
    unsafe { cell.drop_in_place() };
    let is_kept = const { list_of::<T>() }.is_some_and(|at| {
        // SAFETY: as the caller says, and a cell for `T` is of this list's layout.
        let push = |lists: &[List; SIZES.len()]| unsafe { lists[at].push(cell.cast()) };
        LISTS.try_with(push).unwrap_or(false)
    });
    if !is_kept {
        // SAFETY: it was allocated with this layout.
        unsafe { dealloc(cell.as_ptr().cast(), const { layout_of::<T>() }) };
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn kept() -> [usize; 2] {
        LISTS.with(|lists| [lists[0].len.get(), lists[1].len.get()])
    }

    /// A thread of its own, whose lists are empty.
    fn alone(test: impl FnOnce() + Send + 'static) {
        std::thread::spawn(test).join().expect("no panic");
    }

    /// Frees what was put there, which is `value`.
    fn free_seen<T: PartialEq + std::fmt::Debug>(cell: NonNull<T>, value: T) {
        // SAFETY: it was put there.
        assert_eq!(unsafe { cell.as_ref() }, &value);
        // SAFETY: the tests free each once.
        unsafe { free(cell) };
    }

    #[test]
    fn what_is_freed_is_used_again_by_its_thread() {
        alone(|| {
            let first = put(|| [1_u64; 8]);
            free_seen(first, [1; 8]);
            assert_eq!(kept(), [1, 0]);
            let second = put(|| [2_u32; 3]);
            assert_eq!(second.cast(), first);
            assert_eq!(kept(), [0, 0]);
            free_seen(second, [2; 3]);
        });
    }

    #[test]
    fn no_thread_keeps_more_than_some() {
        alone(|| {
            let cells: Vec<_> = (0..2 * KEEPS)
                .map(|number| put(|| [number as u64; 12]))
                .collect();
            for (number, cell) in cells.into_iter().enumerate() {
                free_seen(cell, [number as u64; 12]);
            }
            assert_eq!(kept(), [0, KEEPS]);
        });
    }

    #[test]
    fn what_is_too_large_or_aligned_to_more_is_not_kept() {
        alone(|| {
            #[derive(Debug, PartialEq)]
            #[repr(align(64))]
            struct Aligned(u8);

            free_seen(put(|| [7_u8; 129]), [7; 129]);
            let aligned = put(|| Aligned(7));
            assert!(aligned.as_ptr().is_aligned());
            free_seen(aligned, Aligned(7));
            assert_eq!(kept(), [0, 0]);
        });
    }

    #[test]
    fn a_cell_may_be_freed_by_another_thread_and_at_a_threads_end() {
        struct Held(NonNull<u64>);

        // SAFETY: it leads to a number, and nobody else has it.
        unsafe impl Send for Held {}

        impl Drop for Held {
            fn drop(&mut self) {
                free_seen(self.0, 7);
            }
        }

        thread_local! {
            static AT_THE_END: Cell<Option<Held>> = const { Cell::new(None) };
        }

        let held = Held(put(|| 7_u64));
        alone(move || {
            AT_THE_END.set(Some(held));
            free_seen(put(|| 8_u64), 8);
        });
    }
}
