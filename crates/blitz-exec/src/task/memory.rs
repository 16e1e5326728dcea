//! Memory of tasks, and of calls that compute, that have gone, kept by the thread that freed them for the next that it makes.
//!
//! A list per size, no locks: see `docs/decisions/2026-11-21-task-cells.md` for what that is worth. A thread keeps no more
//! than [`KEPT_MAX`] bytes, and gives them back when it ends. Debug builds keep nothing, so that sanitizers and valgrind
//! see every task come and go.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::NonNull;

/// As many bytes as a thread keeps at most: those of 1,800 empty tasks.
const KEPT_MAX: usize = 256 * 1024;

/// Larger cells go straight to the allocator: what fills them costs more than it does.
const CELL_MAX: usize = 16 * CLASSES - 8;
const CLASSES: usize = 24;

/// All cells of one class have one layout: a multiple of 16 less a word, which is what fits glibc's blocks.
const fn class_of(layout: Layout) -> Option<usize> {
    if cfg!(any(debug_assertions, loom)) || layout.align() > 16 || layout.size() > CELL_MAX {
        return None;
    }
    Some((layout.size() + 8).div_ceil(16) - 1)
}

const fn size_of_class(class: usize) -> usize {
    16 * (class + 1) - 8
}

fn layout_of(class: usize) -> Layout {
    // SAFETY: 16 is a power of two, and the size is below 400.
    unsafe { Layout::from_size_align_unchecked(size_of_class(class), 16) }
}

/// A piece of memory that waits for a task.
struct Kept {
    next: Option<NonNull<Kept>>,
}

struct Lists {
    first: [Cell<Option<NonNull<Kept>>>; CLASSES],
    bytes: Cell<usize>,
    phase: Cell<Phase>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing was kept yet, so nobody would give it back.
    New,
    Open,
    /// The thread ends.
    Closed,
}

/// Gives back what its thread has kept.
struct AtThreadEnd;

std::thread_local! {
    // Without a destructor, so that reading it is one load; the other has it, and is touched once.
    static LISTS: Lists = const {
        Lists { first: [const { Cell::new(None) }; CLASSES], bytes: Cell::new(0), phase: Cell::new(Phase::New) }
    };
    static AT_THREAD_END: AtThreadEnd = const { AtThreadEnd };
}

impl Lists {
    #[inline]
    fn pop(&self, class: usize) -> Option<NonNull<u8>> {
        let kept = self.first[class].get()?;
        // SAFETY: what is in a list is ours, and holds a `Kept`.
        let next = unsafe { kept.as_ref() }.next;
        self.first[class].set(next);
        self.bytes.set(self.bytes.get() - size_of_class(class));
        Some(kept.cast())
    }

    /// Returns whether it took the memory.
    ///
    /// # Safety
    /// The memory is the caller's, of this class, and nothing is in it.
    #[inline]
    unsafe fn push(&self, class: usize, memory: NonNull<u8>) -> bool {
        let bytes = self.bytes.get() + size_of_class(class);
        if bytes > KEPT_MAX || (self.phase.get() != Phase::Open && !self.open()) {
            return false;
        }
        let kept = memory.cast::<Kept>();
        // SAFETY: as the caller says; every class has room for it.
        unsafe {
            kept.write(Kept {
                next: self.first[class].get(),
            })
        };
        self.first[class].set(Some(kept));
        self.bytes.set(bytes);
        true
    }

    #[cold]
    fn open(&self) -> bool {
        if self.phase.get() == Phase::New && AT_THREAD_END.try_with(|_| ()).is_ok() {
            self.phase.set(Phase::Open);
        }
        self.phase.get() == Phase::Open
    }
}

impl Drop for AtThreadEnd {
    fn drop(&mut self) {
        // They have no destructor and so are always there; were they not, their memory would be lost, no more.
        let _ = LISTS.try_with(|lists| {
            lists.phase.set(Phase::Closed);
            for class in 0..CLASSES {
                while let Some(memory) = lists.pop(class) {
                    // SAFETY: it was ours, of this class.
                    unsafe { dealloc(memory.as_ptr(), layout_of(class)) };
                }
            }
        });
    }
}

/// Memory for a `T`, uninitialised.
#[inline]
pub(crate) fn take<T>() -> NonNull<T> {
    let memory = match const { class_of(Layout::new::<T>()) } {
        Some(class) => match LISTS.try_with(|lists| lists.pop(class)) {
            Ok(Some(memory)) => memory,
            Ok(None) | Err(_) => fresh(layout_of(class)),
        },
        None => fresh(Layout::new::<T>()),
    };
    memory.cast()
}

#[cold]
fn fresh(layout: Layout) -> NonNull<u8> {
    debug_assert_ne!(layout.size(), 0, "a task has a header");
    // SAFETY: the size is not 0.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Gives memory back.
///
/// # Safety
/// [`take`] gave it, for this `T`, and nothing is in it any more.
#[inline]
pub(crate) unsafe fn give<T>(memory: NonNull<T>) {
    let memory = memory.cast::<u8>();
    let layout = match const { class_of(Layout::new::<T>()) } {
        Some(class) => {
            // SAFETY: as the caller says.
            if LISTS.try_with(|lists| unsafe { lists.push(class, memory) }) == Ok(true) {
                return;
            }
            layout_of(class)
        }
        None => Layout::new::<T>(),
    };
    // SAFETY: as the caller says, and `take` allocated it with this layout.
    unsafe { dealloc(memory.as_ptr(), layout) };
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A class's layout holds each cell that is put in it, and wastes less than 16 bytes.
    #[test]
    fn cells_fit_their_class() {
        for size in size_of::<Kept>()..=CELL_MAX {
            let class = (size + 8).div_ceil(16) - 1;
            assert!(class < CLASSES);
            let layout = layout_of(class);
            assert!(
                layout.size() >= size && layout.size() < size + 16,
                "{size}: {layout:?}"
            );
            assert!(layout.size() >= size_of::<Kept>());
            if !cfg!(debug_assertions) {
                let cell = Layout::from_size_align(size, 8).expect("it is small");
                assert_eq!(class_of(cell), Some(class));
            }
        }
        let aligned = Layout::from_size_align(64, 32).expect("it is small");
        assert_eq!(class_of(aligned), None);
        let large = Layout::from_size_align(CELL_MAX + 1, 8).expect("it is small");
        assert_eq!(class_of(large), None);
    }

    /// The last memory given is the first taken, up to the limit; a thread that ends gives all back (valgrind and the leak
    /// sanitizer see that) and keeps no more.
    #[test]
    fn a_thread_keeps_what_it_may() {
        std::thread::spawn(|| {
            let class = CLASSES - 1;
            let most = KEPT_MAX / size_of_class(class);
            LISTS.with(|lists| {
                assert!(lists.pop(class).is_none());
                let given: Vec<_> = (0..most).map(|_| fresh(layout_of(class))).collect();
                for &memory in &given {
                    // SAFETY: just made, and nothing is in it.
                    assert!(unsafe { lists.push(class, memory) });
                }
                let more = fresh(layout_of(class));
                // SAFETY: as above.
                let kept = unsafe { lists.push(class, more) };
                assert!(!kept, "the thread keeps too much");
                assert_eq!(lists.pop(class), given.last().copied());
                // SAFETY: as above.
                assert!(unsafe { lists.push(class, more) });
                // SAFETY: it was taken out, and nothing is in it.
                assert!(!unsafe { lists.push(class, given[most - 1]) });
                // SAFETY: it was made with this layout, and no list has it.
                unsafe { dealloc(given[most - 1].as_ptr(), layout_of(class)) };
            });
        })
        .join()
        .expect("no assertion failed");
    }
}
