//! One value cut into independently locked shards, so that threads seldom meet at a lock.

use crate::pad::CachePadded;
use crate::primitive::sync::Mutex;

/// Shards of `T`, each behind a lock of its own, a power of two of them.
#[derive(Debug)]
pub struct Sharded<T> {
    shards: Box<[CachePadded<Mutex<T>>]>,
}

impl<T> Sharded<T> {
    /// At least `count` shards, rounded up to a power of two, each made by `make`.
    pub fn new(count: usize, mut make: impl FnMut() -> T) -> Self {
        let count = count.max(1).next_power_of_two();
        Self {
            shards: (0..count)
                .map(|_| CachePadded::new(Mutex::new(make())))
                .collect(),
        }
    }

    /// How many shards there are: a power of two.
    #[inline]
    pub fn count(&self) -> usize {
        self.shards.len()
    }

    /// The shard for `hint`, taken modulo [`count`](Self::count).
    #[inline]
    pub fn shard(&self, hint: usize) -> &Mutex<T> {
        // A power of two of them, at least one: the mask keeps it in range.
        &self.shards[hint & (self.shards.len() - 1)]
    }

    /// The shard at `address`, which [`shard`](Self::shard) gave, if it is one of these.
    #[inline]
    pub fn find(&self, address: *const ()) -> Option<&Mutex<T>> {
        let offset = address.addr().wrapping_sub(self.shards.as_ptr().addr());
        let shard = self
            .shards
            .get(offset / size_of::<CachePadded<Mutex<T>>>())?;
        std::ptr::addr_eq(&raw const **shard, address).then_some(shard)
    }

    /// Every shard once, beginning with the one for `start`, so that several threads that drain begin apart.
    pub fn iter_from(&self, start: usize) -> impl Iterator<Item = &Mutex<T>> {
        (0..self.shards.len()).map(move |i| self.shard(start.wrapping_add(i)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_shard_is_visited_once_from_any_start() {
        for count in [0, 1, 3, 4, 9] {
            let mut next = 0;
            let sharded = Sharded::new(count, || {
                next += 1;
                next
            });
            assert!(sharded.count().is_power_of_two());
            let other = Sharded::new(count, || 0);
            for i in 0..sharded.count() {
                let shard = sharded.shard(i);
                let address = std::ptr::from_ref(shard).cast();
                assert!(
                    sharded
                        .find(address)
                        .is_some_and(|found| std::ptr::eq(found, shard))
                );
                assert!(sharded.find(address.wrapping_byte_add(1)).is_none());
                assert!(other.find(address).is_none());
            }
            for start in [0, 1, 7, usize::MAX] {
                let mut seen: Vec<i32> = sharded.iter_from(start).map(|s| *s.lock()).collect();
                seen.sort_unstable();
                assert_eq!(seen, (1..=sharded.count() as i32).collect::<Vec<_>>());
            }
        }
    }
}
