//! What the queues' tests carry, and the chain's own tests.

use super::{Link, Linked};
use crate::primitive::cell::UnsafeCell;
use crate::primitive::sync::Arc;
use std::ptr::NonNull;

/// An entry with a number. Loom watches the number (it is written before the entry is pushed, read after it is taken)
/// and the count of `alive`, so that an entry that is lost or doubled fails the model.
pub(crate) struct Item {
    number: UnsafeCell<usize>,
    link: Link<Item>,
    _alive: Arc<()>,
}

// SAFETY: an item belongs to who has its box.
unsafe impl Send for Item {}

// SAFETY: `link` is used by the queue that the box is in alone.
unsafe impl Linked for Box<Item> {
    unsafe fn link(node: NonNull<Item>) -> NonNull<Link<Item>> {
        // SAFETY: the caller says that it is valid.
        NonNull::from(unsafe { &node.as_ref().link })
    }
}

pub(crate) fn item(number: usize, alive: &Arc<()>) -> Box<Item> {
    Box::new(Item {
        number: UnsafeCell::new(number),
        link: Link::new(),
        _alive: Arc::clone(alive),
    })
}

#[expect(clippy::boxed_local, reason = "an item travels in its box")]
pub(crate) fn number(item: Box<Item>) -> usize {
    // SAFETY: the box is ours.
    item.number.with(|number| unsafe { *number })
}

pub(crate) fn numbers(items: impl IntoIterator<Item = Box<Item>>) -> Vec<usize> {
    items.into_iter().map(number).collect()
}

/// What may go to another thread, and what may be used from several.
const _: () = {
    const fn is_send<T: Send>() {}
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send::<super::Chain<Box<Item>>>();
    is_send::<super::deque::Owner<Box<Item>>>();
    is_send_and_sync::<super::deque::Thief<Box<Item>>>();
    is_send_and_sync::<super::deque::LifoSlot<Box<Item>>>();
    is_send_and_sync::<super::injector::Injector<Box<Item>>>();
    is_send_and_sync::<super::mpsc::Inbox<Box<Item>>>();
    is_send_and_sync::<crate::sharded::Sharded<super::Chain<Box<Item>>>>();
};

/// Every number below `count`, each once.
#[track_caller]
pub(crate) fn assert_each_once(mut seen: Vec<usize>, count: usize) {
    seen.sort_unstable();
    assert_eq!(seen, (0..count).collect::<Vec<_>>());
}

#[cfg(not(loom))]
mod chain {
    use super::super::Chain;
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        /// A chain does what a `VecDeque` does, and drops what it is dropped with.
        #[test]
        fn is_a_vec_deque(steps in prop::collection::vec((0..4_u8, 0..6_usize), 0..60)) {
            let alive = Arc::new(());
            let (mut chain, mut model) = (Chain::new(), VecDeque::new());
            for (i, (what, count)) in steps.into_iter().enumerate() {
                match what {
                    0 => {
                        chain.push_back(item(i, &alive));
                        model.push_back(i);
                    }
                    1 => prop_assert_eq!(chain.pop_front().map(number), model.pop_front()),
                    2 => {
                        let more: Vec<_> = (0..count).map(|n| i * 100 + n).collect();
                        chain.append(more.iter().map(|&n| item(n, &alive)).collect());
                        model.extend(more);
                    }
                    _ => {
                        let front = chain.split_front(count);
                        let count = count.min(model.len());
                        prop_assert_eq!(front.len(), count);
                        prop_assert_eq!(numbers(front), model.drain(..count).collect::<Vec<_>>());
                    }
                }
                prop_assert_eq!(chain.len(), model.len());
                prop_assert_eq!(chain.is_empty(), model.is_empty());
                prop_assert_eq!(Arc::strong_count(&alive), 1 + model.len());
            }
            drop(chain);
            prop_assert_eq!(Arc::strong_count(&alive), 1);
        }
    }
}
