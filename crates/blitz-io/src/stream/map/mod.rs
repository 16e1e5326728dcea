//! Many streams, each under a key, as one.
//!
//! Each stream has a waker of its own, which notes in `woken` who has something: a poll asks those and no others.

mod woken;

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use self::woken::Woken;
use crate::context::random_below;

/// Merges any number of streams, which come and go under their keys.
///
/// An item comes with its stream's key. A stream that ends is dropped, with its key; a
/// [`StreamNotifyClose`](super::StreamNotifyClose) tells of it. The map itself ends when it is empty, and goes on when something is
/// inserted.
///
/// Streams that have something take turns: none gives a second item while another that was ready has given none. Those
/// that became ready since the last poll are asked beginning with a random one. A poll costs as much as there are streams that were
/// woken, however many wait. Finding a key compares it with all others.
///
/// # Examples
/// ```
/// use blitz_io::stream::{StreamExt, StreamMap, wrappers::ReceiverStream};
/// use blitz_io::sync::mpsc;
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut rooms = StreamMap::new();
/// let (kitchen, messages) = mpsc::channel(4);
/// rooms.insert("kitchen", ReceiverStream::new(messages));
/// let (_garden, messages) = mpsc::channel(4);
/// rooms.insert("garden", ReceiverStream::new(messages));
///
/// kitchen.send("tea").await.unwrap();
/// assert_eq!(rooms.next().await, Some(("kitchen", "tea")));
///
/// rooms.remove("garden");
/// drop(kitchen);
/// assert_eq!(rooms.next().await, None);
/// # }
/// ```
pub struct StreamMap<K, V> {
    places: Vec<Place<K, V>>,
    /// Places that are empty.
    free: Vec<usize>,
    /// Places whose streams are to be asked, in this order.
    ready: VecDeque<usize>,
    /// Room for the places that were woken.
    batch: Vec<usize>,
    woken: Arc<Woken>,
}

/// A place outlives its stream: the next one there has the same waker.
struct Place<K, V> {
    pair: Option<(K, V)>,
    waker: Waker,
    /// Whether it stands in `ready`.
    is_ready: bool,
}

impl<K, V> StreamMap<K, V> {
    /// A map without streams; it allocates nothing but its list of wakes.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// A map with room for `capacity` streams.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            places: Vec::with_capacity(capacity),
            free: Vec::new(),
            ready: VecDeque::with_capacity(capacity),
            batch: Vec::new(),
            woken: Arc::default(),
        }
    }

    /// The streams with their keys, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.places.iter().filter_map(|place| place.pair.as_ref())
    }

    /// The streams with their keys, to be changed. Each is asked by the next poll.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut (K, V)> {
        for id in 0..self.places.len() {
            self.woken.note(id);
        }
        self.places
            .iter_mut()
            .filter_map(|place| place.pair.as_mut())
    }

    /// For how many streams there is room without allocating.
    pub fn capacity(&self) -> usize {
        self.places.capacity()
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// The streams.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, stream)| stream)
    }

    /// The streams, to be changed. Each is asked by the next poll.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.iter_mut().map(|(_, stream)| stream)
    }

    /// How many streams there are.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether there is no stream.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops all streams.
    pub fn clear(&mut self) {
        for id in 0..self.places.len() {
            drop(self.take(id));
        }
    }

    /// Adds a stream, which is asked by the next poll; returns the one that the key had before.
    ///
    /// A task that waits for the map's next item is not woken by it: whoever has the map to insert something, polls it afterwards.
    pub fn insert(&mut self, key: K, stream: V) -> Option<V>
    where
        K: Hash + Eq,
    {
        let before = self.remove(&key);
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                let id = self.places.len();
                self.places.push(Place {
                    pair: None,
                    waker: Woken::waker(&self.woken, id),
                    is_ready: false,
                });
                id
            }
        };
        self.places[id].pair = Some((key, stream));
        self.woken.note(id);
        before
    }

    /// Takes a stream out.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let id = self.place_of(key)?;
        self.take(id).map(|(_, stream)| stream)
    }

    /// Whether there is a stream of this key.
    pub fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place_of(key).is_some()
    }

    fn place_of<Q: Eq + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        self.places.iter().position(|place| {
            let pair = place.pair.as_ref();
            pair.is_some_and(|(one, _)| one.borrow() == key)
        })
    }

    /// Empties a place. That it stands in `ready` does no harm.
    fn take(&mut self, id: usize) -> Option<(K, V)> {
        let pair = self.places[id].pair.take()?;
        self.free.push(id);
        Some(pair)
    }
}

impl<K: Clone + Unpin, V: Stream + Unpin> StreamMap<K, V> {
    /// Waits for items and adds as many as are there to `buffer`, up to `limit`; returns how many.
    ///
    /// Zero means that the map is empty, or `limit` is.
    ///
    /// # Cancel safety
    /// Safe: dropped, it has taken nothing.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamMap};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut map = StreamMap::from_iter([("a", stream::iter(1..4)), ("b", stream::iter(4..5))]);
    /// let mut items = Vec::new();
    /// assert_eq!(map.next_many(&mut items, 9).await, 4);
    /// items.sort();
    /// assert_eq!(items, [("a", 1), ("a", 2), ("a", 3), ("b", 4)]);
    /// # }
    /// ```
    pub fn next_many(
        &mut self,
        buffer: &mut Vec<(K, V::Item)>,
        limit: usize,
    ) -> impl Future<Output = usize> {
        poll_fn(move |cx| self.poll_next_many(cx, buffer, limit))
    }

    /// Polls for items: see [`next_many`](Self::next_many). Pending means that none was there, and the task is woken by the next.
    pub fn poll_next_many(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<(K, V::Item)>,
        limit: usize,
    ) -> Poll<usize> {
        let mut added = 0;
        while added < limit {
            match self.poll_item(cx) {
                Poll::Ready(Some(item)) => {
                    buffer.push(item);
                    added += 1;
                }
                Poll::Pending if added == 0 => return Poll::Pending,
                Poll::Pending | Poll::Ready(None) => break,
            }
        }
        Poll::Ready(added)
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<(K, V::Item)>> {
        self.hear();
        // What is woken meanwhile waits for the next poll, also a stream that wakes itself for want of budget.
        for _ in 0..self.ready.len() {
            let Some(id) = self.ready.pop_front() else {
                break;
            };
            let place = &mut self.places[id];
            place.is_ready = false;
            let Some((key, stream)) = &mut place.pair else {
                continue;
            };
            match Pin::new(stream).poll_next(&mut Context::from_waker(&place.waker)) {
                Poll::Ready(Some(item)) => {
                    let key = key.clone();
                    // It may have more; the others come first.
                    place.is_ready = true;
                    self.ready.push_back(id);
                    return Poll::Ready(Some((key, item)));
                }
                Poll::Ready(None) => drop(self.take(id)),
                Poll::Pending => {}
            }
        }
        if self.is_empty() {
            return Poll::Ready(None);
        }
        self.woken.wait(cx.waker());
        Poll::Pending
    }

    /// Puts those who were woken behind those that are ready, beginning with a random one.
    fn hear(&mut self) {
        self.woken.take(&mut self.batch);
        if self.batch.len() > 1 {
            // Beyond 2^32 streams the choice is among the first.
            let count = u32::try_from(self.batch.len()).unwrap_or(u32::MAX);
            self.batch.rotate_left(random_below(count) as usize);
        }
        for id in self.batch.drain(..) {
            let place = &mut self.places[id];
            if !place.is_ready {
                place.is_ready = true;
                self.ready.push_back(id);
            }
        }
    }
}

impl<K: Clone + Unpin, V: Stream + Unpin> Stream for StreamMap<K, V> {
    type Item = (K, V::Item);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_item(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.values().fold((0, Some(0)), |sum, stream| {
            super::adapters::added(sum, stream.size_hint())
        })
    }
}

// The streams are `Unpin` themselves when they are polled.
impl<K, V> Unpin for StreamMap<K, V> {}

impl<K, V> Default for StreamMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Hash + Eq, V> Extend<(K, V)> for StreamMap<K, V> {
    fn extend<T: IntoIterator<Item = (K, V)>>(&mut self, pairs: T) {
        for (key, stream) in pairs {
            self.insert(key, stream);
        }
    }
}

impl<K: Hash + Eq, V> FromIterator<(K, V)> for StreamMap<K, V> {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(pairs: T) -> Self {
        let mut map = Self::new();
        map.extend(pairs);
        map
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for StreamMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.iter().map(|(key, stream)| (key, stream));
        f.debug_map().entries(pairs).finish()
    }
}
