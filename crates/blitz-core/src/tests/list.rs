//! The list against a `VecDeque`.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;

struct Item {
    number: usize,
    links: Links<Item>,
    _alive: Arc<()>,
}

struct Items;

// SAFETY: a box's content stays where it is; `links` is used by the list alone.
unsafe impl Node for Items {
    type Handle = Box<Item>;
    type Target = Item;

    fn into_raw(handle: Box<Item>) -> NonNull<Item> {
        NonNull::from(Box::leak(handle))
    }

    unsafe fn from_raw(node: NonNull<Item>) -> Box<Item> {
        // SAFETY: the list gives back what `into_raw` made.
        unsafe { Box::from_raw(node.as_ptr()) }
    }

    unsafe fn links(node: NonNull<Item>) -> NonNull<Links<Item>> {
        // SAFETY: the caller says that it is valid.
        NonNull::from(unsafe { &node.as_ref().links })
    }
}

fn item(number: usize, alive: &Arc<()>) -> Box<Item> {
    Box::new(Item {
        number,
        links: Links::new(),
        _alive: Arc::clone(alive),
    })
}

proptest! {
    /// It does what a `VecDeque` does, removal from the middle included, and owns what is in it.
    #[test]
    fn is_a_vec_deque(steps in prop::collection::vec((0..6_u8, any::<prop::sample::Index>()), 0..120)) {
        let alive = Arc::new(());
        let mut list = List::<Items>::new();
        let mut model = VecDeque::new();
        for (i, (what, at)) in steps.into_iter().enumerate() {
            match what {
                0 => {
                    list.push_front(item(i, &alive));
                    model.push_front(i);
                }
                1 | 2 => {
                    list.push_back(item(i, &alive));
                    model.push_back(i);
                }
                3 => prop_assert_eq!(list.pop_front().map(|item| item.number), model.pop_front()),
                4 => prop_assert_eq!(list.pop_back().map(|item| item.number), model.pop_back()),
                _ if model.is_empty() => prop_assert!(list.is_empty()),
                _ => {
                    let at = at.index(model.len());
                    let node = list.iter().nth(at).expect("the model has one there");
                    // SAFETY: it is in the list.
                    let removed = unsafe { list.remove(node) }.map(|item| item.number);
                    prop_assert_eq!(removed, model.remove(at));
                }
            }
            let numbers: Vec<usize> = list
                .iter()
                // SAFETY: it is in the list.
                .map(|node| unsafe { node.as_ref() }.number)
                .collect();
            prop_assert_eq!(&numbers, &Vec::from(model.clone()));
            prop_assert_eq!(list.front().is_none(), model.is_empty());
            prop_assert_eq!(Arc::strong_count(&alive), 1 + model.len());
        }
        while list.pop_front().is_some() {}
        prop_assert_eq!(Arc::strong_count(&alive), 1);
    }
}

#[test]
fn a_node_in_no_list_is_not_removed() {
    let alive = Arc::new(());
    let mut list = List::<Items>::new();
    list.push_back(item(0, &alive));
    let alone = item(1, &alive);
    // SAFETY: it is valid, and in no list.
    assert!(unsafe { list.remove(NonNull::from(&*alone)) }.is_none());
    let only = list.pop_back().expect("one is in it");
    // SAFETY: as above.
    assert!(unsafe { list.remove(NonNull::from(&*only)) }.is_none());
    assert!(list.is_empty());
}
