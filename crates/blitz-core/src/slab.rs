//! Values under small keys that are never taken for another's.
//!
//! A [`Slab`] gives each value a [`Key`] made of its place and of the place's generation, so that a key
//! kept too long finds nothing instead of a stranger. It grows by chunks: nothing moves, and no large
//! block is copied at an unlucky moment. The driver keeps operations, sources and timers in slabs; the
//! key travels through the kernel as the completion's user data.

use std::fmt;

/// 64 places a chunk.
const CHUNK_SHIFT: u32 = 6;
const CHUNK_LEN: usize = 1 << CHUNK_SHIFT;
const NONE: u32 = u32::MAX;
/// Generations stay below this, so that the upper [`Key::TAG_BITS`] bits of a key are zero.
const GENERATION_MASK: u32 = u32::MAX >> Key::TAG_BITS;

/// Where a value stands, and in which generation of that place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u64);

impl Key {
    /// So many upper bits of [`into_raw`](Self::into_raw) are always zero: room for the caller's tag.
    pub const TAG_BITS: u32 = 4;

    /// The key as one number: generation in the upper half, place in the lower.
    #[inline]
    pub const fn into_raw(self) -> u64 {
        self.0
    }

    /// The key that [`into_raw`](Self::into_raw) gave. A number of other origin is a key that finds nothing, or anything.
    #[inline]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The place, without its generation.
    #[inline]
    pub const fn index(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }

    const fn new(index: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | index as u64)
    }

    const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}.{})", self.index(), self.generation())
    }
}

struct Place<T> {
    generation: u32,
    /// The next vacant place, while this one is vacant.
    next: u32,
    value: Option<T>,
}

/// Values under generation-checked keys. See the [module](self).
///
/// # Examples
/// ```
/// use blitz_core::slab::Slab;
///
/// let mut slab = Slab::new();
/// let key = slab.insert("first");
/// assert_eq!(slab.get(key), Some(&"first"));
/// assert_eq!(slab.remove(key), Some("first"));
///
/// let other = slab.insert("second"); // the same place, another generation
/// assert_eq!(other.index(), key.index());
/// assert_eq!(slab.get(key), None);
/// ```
pub struct Slab<T> {
    chunks: Vec<Box<[Place<T>]>>,
    vacant: u32,
    len: usize,
}

impl<T> Slab<T> {
    /// An empty slab, without memory of its own.
    pub const fn new() -> Self {
        Self {
            chunks: Vec::new(),
            vacant: NONE,
            len: 0,
        }
    }

    /// How many values are inside.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True if there is no value.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that its places take, vacant ones included.
    pub const fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK_LEN * size_of::<Place<T>>()
            + self.chunks.capacity() * size_of::<Box<[Place<T>]>>()
    }

    /// Puts `value` in and returns its key.
    #[inline]
    pub fn insert(&mut self, value: T) -> Key {
        self.insert_with(|_| value)
    }

    /// Puts in the value that `make` makes for its own key.
    #[inline]
    pub fn insert_with(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        if self.vacant == NONE {
            self.grow();
        }
        let index = self.vacant;
        let place = &mut self.chunks[(index >> CHUNK_SHIFT) as usize][index as usize % CHUNK_LEN];
        let key = Key::new(index, place.generation);
        place.value = Some(make(key));
        self.vacant = place.next;
        self.len += 1;
        key
    }

    /// The value under `key`, if it is still there.
    #[inline]
    pub fn get(&self, key: Key) -> Option<&T> {
        let index = key.index();
        let place = self
            .chunks
            .get(index >> CHUNK_SHIFT)?
            .get(index % CHUNK_LEN)?;
        if place.generation == key.generation() {
            place.value.as_ref()
        } else {
            None
        }
    }

    /// The value that is at a place now, of whichever generation.
    pub fn at(&self, index: usize) -> Option<&T> {
        let chunk = self.chunks.get(index >> CHUNK_SHIFT)?;
        chunk.get(index % CHUNK_LEN)?.value.as_ref()
    }

    /// The value under `key`, to be changed.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.place_mut(key)?;
        place.value.as_mut()
    }

    /// Takes the value under `key` out; the key finds nothing from now on.
    #[inline]
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let vacant = self.vacant;
        let place = self.place_mut(key)?;
        let value = place.value.take()?;
        place.generation = (place.generation + 1) & GENERATION_MASK;
        place.next = vacant;
        self.vacant = key.index() as u32;
        self.len -= 1;
        Some(value)
    }

    /// True if there is a value under `key`.
    #[inline]
    pub fn contains(&self, key: Key) -> bool {
        self.get(key).is_some()
    }

    /// Every value with its key, by place.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.chunks
            .iter()
            .flat_map(|chunk| chunk.iter())
            .enumerate()
            .filter_map(|(index, place)| {
                Some((
                    Key::new(index as u32, place.generation),
                    place.value.as_ref()?,
                ))
            })
    }

    /// Every value with its key, by place, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut T)> {
        self.chunks
            .iter_mut()
            .flat_map(|chunk| chunk.iter_mut())
            .enumerate()
            .filter_map(|(index, place)| {
                let key = Key::new(index as u32, place.generation);
                Some((key, place.value.as_mut()?))
            })
    }

    #[inline]
    fn place_mut(&mut self, key: Key) -> Option<&mut Place<T>> {
        let index = key.index();
        let place = self
            .chunks
            .get_mut(index >> CHUNK_SHIFT)?
            .get_mut(index % CHUNK_LEN)?;
        (place.generation == key.generation()).then_some(place)
    }

    #[cold]
    fn grow(&mut self) {
        let first = self.chunks.len() << CHUNK_SHIFT;
        assert!(
            first + CHUNK_LEN < NONE as usize,
            "a slab holds fewer than 2^32 values"
        );
        let last = first + CHUNK_LEN - 1;
        let chunk = (first..=last).map(|index| Place {
            generation: 0,
            next: if index == last {
                NONE
            } else {
                index as u32 + 1
            },
            value: None,
        });
        self.chunks.push(chunk.collect());
        self.vacant = first as u32;
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Slab<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slab")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn keys_are_never_taken_for_anothers() {
        let mut slab = Slab::new();
        let keys: Vec<Key> = (0..1000).map(|n| slab.insert(n)).collect();
        assert_eq!(slab.len(), 1000);
        for (n, key) in keys.iter().enumerate() {
            assert_eq!(slab.get(*key), Some(&n));
        }
        for key in &keys {
            assert!(slab.remove(*key).is_some());
            assert!(slab.remove(*key).is_none());
        }
        assert!(slab.is_empty());
        let again: Vec<Key> = (0..1000).map(|n| slab.insert(n)).collect();
        assert!(keys.iter().all(|key| !slab.contains(*key)));
        assert!(
            again
                .iter()
                .all(|key| key.into_raw() >> (64 - Key::TAG_BITS) == 0)
        );
        assert_eq!(slab.iter().count(), 1000);
    }

    #[test]
    fn a_place_has_its_tenant_of_whichever_generation() {
        let mut slab = Slab::new();
        let first = slab.insert('a');
        assert_eq!(slab.at(first.index()), Some(&'a'));
        slab.remove(first);
        assert_eq!(slab.at(first.index()), None);
        let second = slab.insert('b');
        assert_eq!((second.index(), slab.get(first)), (first.index(), None));
        assert_eq!(slab.at(first.index()), Some(&'b'));
        assert_eq!(slab.at(1 << 20), None);
    }

    #[test]
    fn generations_wrap_below_the_tag() {
        let mut slab = Slab::new();
        let key = slab.insert(());
        slab.remove(key);
        slab.chunks[0][key.index()].generation = GENERATION_MASK;
        let last = slab.insert(());
        assert_eq!(last.into_raw() >> (64 - Key::TAG_BITS), 0);
        slab.remove(last);
        assert_eq!(
            slab.insert(()),
            key,
            "after 2^28 values in one place its first key comes again"
        );
    }

    #[test]
    fn iterates_and_changes() {
        let mut slab = Slab::new();
        let a = slab.insert_with(|key| key.index());
        let b = slab.insert(7);
        slab.remove(a);
        for (key, value) in slab.iter_mut() {
            assert_eq!(key, b);
            *value += 1;
        }
        *slab.get_mut(b).unwrap() += 1;
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(b, &9)]);
    }
}
