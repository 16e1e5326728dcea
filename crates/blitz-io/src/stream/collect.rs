//! What a stream's items can be collected into.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::hash::{BuildHasher, Hash};

use self::sealed::Gather;

/// Room that is made because a stream says that so many items will come; what comes beyond it makes its own.
const BELIEVED_MAX: usize = 4096;

/// What [`StreamExt::collect`](super::StreamExt::collect) makes: collections, `String`, `()`, and `Result` and `Option` of these,
/// which end at the first `Err` or `None`.
///
/// Nothing outside of this crate implements it.
pub trait FromStream<T>: Gather<T> {}

pub(super) mod sealed {
    /// How the items are gathered.
    pub trait Gather<T>: Sized {
        /// What is there while items come.
        type Part;

        /// Nothing yet, with room for `expected` items.
        fn begin(expected: usize) -> Self::Part;

        /// Adds an item. False if no more are wanted.
        fn add(part: &mut Self::Part, item: T) -> bool;

        /// The items are all there. Leaves nothing.
        fn end(part: &mut Self::Part) -> Self;
    }
}

impl FromStream<()> for () {}

impl Gather<()> for () {
    type Part = ();

    fn begin(_expected: usize) {}

    fn add(_part: &mut (), _item: ()) -> bool {
        true
    }

    fn end(_part: &mut ()) {}
}

impl<T: AsRef<str>> FromStream<T> for String {}

impl<T: AsRef<str>> Gather<T> for String {
    type Part = String;

    fn begin(_expected: usize) -> String {
        String::new()
    }

    fn add(part: &mut String, item: T) -> bool {
        part.push_str(item.as_ref());
        true
    }

    fn end(part: &mut String) -> String {
        std::mem::take(part)
    }
}

impl<T> FromStream<T> for Vec<T> {}

impl<T> Gather<T> for Vec<T> {
    type Part = Vec<T>;

    fn begin(expected: usize) -> Vec<T> {
        Vec::with_capacity(expected.min(BELIEVED_MAX))
    }

    fn add(part: &mut Vec<T>, item: T) -> bool {
        part.push(item);
        true
    }

    fn end(part: &mut Vec<T>) -> Vec<T> {
        std::mem::take(part)
    }
}

impl<T> FromStream<T> for Box<[T]> {}

impl<T> Gather<T> for Box<[T]> {
    type Part = Vec<T>;

    fn begin(expected: usize) -> Vec<T> {
        Vec::begin(expected)
    }

    fn add(part: &mut Vec<T>, item: T) -> bool {
        Vec::add(part, item)
    }

    fn end(part: &mut Vec<T>) -> Box<[T]> {
        std::mem::take(part).into_boxed_slice()
    }
}

/// Collections that are empty by default and take items one by one.
macro_rules! extended {
    ($([$($generic:tt)*] $whole:ty, of $item:ty;)*) => {
        $(
            impl<$($generic)*> FromStream<$item> for $whole {}

            impl<$($generic)*> Gather<$item> for $whole {
                type Part = Self;

                fn begin(_expected: usize) -> Self {
                    Self::default()
                }

                fn add(part: &mut Self, item: $item) -> bool {
                    part.extend([item]);
                    true
                }

                fn end(part: &mut Self) -> Self {
                    std::mem::take(part)
                }
            }
        )*
    };
}

extended! {
    [T] VecDeque<T>, of T;
    [T] LinkedList<T>, of T;
    [T: Ord] BinaryHeap<T>, of T;
    [T: Ord] BTreeSet<T>, of T;
    [T: Eq + Hash, S: BuildHasher + Default] HashSet<T, S>, of T;
    [K: Ord, V] BTreeMap<K, V>, of (K, V);
    [K: Eq + Hash, V, S: BuildHasher + Default] HashMap<K, V, S>, of (K, V);
}

impl<T, U: FromStream<T>, E> FromStream<Result<T, E>> for Result<U, E> {}

impl<T, U: FromStream<T>, E> Gather<Result<T, E>> for Result<U, E> {
    type Part = (U::Part, Option<E>);

    fn begin(expected: usize) -> Self::Part {
        (U::begin(expected), None)
    }

    fn add((part, error): &mut Self::Part, item: Result<T, E>) -> bool {
        match item {
            Ok(item) => U::add(part, item),
            Err(first) => {
                *error = Some(first);
                false
            }
        }
    }

    fn end((part, error): &mut Self::Part) -> Self {
        match error.take() {
            Some(error) => Err(error),
            None => Ok(U::end(part)),
        }
    }
}

impl<T, U: FromStream<T>> FromStream<Option<T>> for Option<U> {}

impl<T, U: FromStream<T>> Gather<Option<T>> for Option<U> {
    type Part = Option<U::Part>;

    fn begin(expected: usize) -> Self::Part {
        Some(U::begin(expected))
    }

    fn add(part: &mut Self::Part, item: Option<T>) -> bool {
        match (part.as_mut(), item) {
            (Some(part), Some(item)) => U::add(part, item),
            _ => {
                *part = None;
                false
            }
        }
    }

    fn end(part: &mut Self::Part) -> Self {
        part.as_mut().map(U::end)
    }
}
