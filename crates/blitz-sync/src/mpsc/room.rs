//! How a bounded channel's room goes round.

use blitz_core::pad::CachePadded;
use blitz_core::primitive::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use blitz_core::primitive::sync::atomic::{AtomicUsize, fence};
use blitz_core::wake::in_turn;

use super::channel::Bound;
use super::list::{ROOM_MAX, Word};
use crate::patience::Patience;
use crate::permits::Permits;
use crate::spans::Resource;

/// Room that the receiver has made.
struct Made {
    /// So much lies here, for a sender to fetch.
    room: AtomicUsize,
    /// So many senders have room in hand, or are about to.
    fetching: AtomicUsize,
}

/// So many and no more.
///
/// Room lies in three places. In the tail's word it is taken by claiming an index, which is the one exchange that a send makes.
/// Permits are for who wants room without a value, or has to wait for it. And the receiver gives room back on a cache line of its
/// own: a sender that finds none in the word fetches all that lies there, and what permits are free, so the two sides meet once in
/// many values. While somebody stands in line, all of it is permits, so nobody gets room past the line.
pub(super) struct Bounded {
    permits: CachePadded<Permits>,
    made: CachePadded<Made>,
    /// Of senders, before they stand in line.
    patience: Patience,
    pub(super) max: usize,
}

/// A sender that has room in hand, or is about to.
struct Fetching<'a>(&'a AtomicUsize);

impl<'a> Fetching<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        // ORDERING: Relaxed: whatever takes the room then publishes it.
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        // ORDERING: Release pairs with the Acquire in `is_fetching`: who sees that we are done sees where the room is.
        self.0.fetch_sub(1, Release);
    }
}

impl Bounded {
    /// Room for `max`, of which `permits` are what does not lie in the tail's word.
    pub(super) fn new(permits: Permits, max: usize) -> Self {
        Self {
            permits: CachePadded::new(permits),
            made: CachePadded::new(Made {
                room: AtomicUsize::new(0),
                fetching: AtomicUsize::new(0),
            }),
            patience: Patience::new(),
            max,
        }
    }

    /// How much of the room for `max` lies in the tail's word at first: all, or none if there is no place for it.
    pub(super) fn in_word(max: usize) -> usize {
        if max <= ROOM_MAX { max } else { 0 }
    }

    /// Whether room may lie in the tail's word.
    pub(super) fn is_in_word(&self) -> bool {
        self.max <= ROOM_MAX
    }

    /// What senders take who want room without a value, or have to wait.
    pub(super) fn permits(&self) -> &Permits {
        &self.permits
    }

    /// How much room there is.
    pub(super) fn available(&self, word: &Word) -> usize {
        // Permits first, and what was made last: what moves on between the looks is missing then, and not there twice. It moves back,
        // from permits to the word, only while the channel is open, and then the answer is no more than a figure.
        let permits = self.permits.available();
        let in_word = word.room();
        // ORDERING: Acquire pairs with the addition in `give_back`, so that a number that was seen can be reasoned with.
        let made = self.made.room.load(Acquire);
        // Or taken, used and made again.
        self.max.min(permits + in_word + made)
    }

    /// Whether there are permits for `count`, or any room of which permits may be made. A guess.
    pub(super) fn is_there(&self, word: &Word, count: usize) -> bool {
        self.permits.has(count) || word.has_room()
    }

    /// Takes what the receiver has made.
    fn take_made(&self) -> usize {
        // ORDERING: SeqCst: see `fetch_from_line`.
        if self.made.room.load(SeqCst) == 0 {
            return 0;
        }
        // ORDERING: Acquire pairs with the addition in `give_back`: what was done before the room was made is seen by who takes it.
        // Release pairs with the load above: who finds that we have taken all of it also sees that we are `fetching`.
        self.made.room.swap(0, AcqRel)
    }

    /// Whether a sender may find something to fetch. A guess.
    fn is_worth_a_fetch(&self) -> bool {
        // ORDERING: SeqCst: see `fetch_from_line`.
        self.made.room.load(SeqCst) != 0
    }

    /// Makes permits of what the receiver has made, and of the room in the tail's word. Answers whether that was something.
    pub(super) fn fetch_permits(&self, word: &Word) -> bool {
        if !self.is_worth_a_fetch() && word.room() == 0 {
            return false;
        }
        let _fetching = Fetching::begin(&self.made.fetching);
        self.make_permits(self.take_made(), word.take_room())
    }

    /// Room that is in hand becomes permits.
    fn make_permits(&self, made: usize, from_word: usize) -> bool {
        // It was given before, and is given by `release` again.
        self.permits.spans().taken(from_word);
        if made + from_word != 0 {
            in_turn(|| self.permits.release(made + from_word));
        }
        made + from_word != 0
    }

    /// Puts what the receiver has made, and all free permits, into the tail's word. Answers whether that was something.
    ///
    /// If somebody stands in line, or the channel is closed or too large, it becomes permits.
    pub(super) fn fetch_room(&self, word: &Word) -> bool {
        // A guess: see below.
        if !self.is_in_word() || self.permits.has_line() {
            return self.fetch_permits(word);
        }
        if !self.is_worth_a_fetch() && self.permits.available() == 0 {
            return false;
        }
        let _fetching = Fetching::begin(&self.made.fetching);
        let permits = self.permits.take_all();
        let made = self.take_made();
        if permits + made == 0 {
            return false;
        }
        if !word.add_room(permits + made) {
            return self.make_permits(made, permits);
        }
        self.permits.spans().given(made);
        // ORDERING: mine before yours: we have put room into the word, and look who stands in line; who has just come there takes the
        // room away (`fetch_from_line`). One of us sees the other. So it is with a close (`Channel::fetched`, `is_finished`).
        fence(SeqCst);
        if self.permits.has_line() {
            self.make_permits(0, word.take_room());
        }
        true
    }

    /// Whether somebody else has room in hand.
    pub(super) fn is_fetching(&self) -> bool {
        // ORDERING: Acquire: see `fetch_permits` and `fetch_room`.
        self.made.fetching.load(Acquire) != 0
    }

    /// For who has just come to stand in line: makes permits of all room, as [`fetch_permits`](Self::fetch_permits) does.
    pub(super) fn fetch_from_line(&self, word: &Word) -> bool {
        // ORDERING: mine before yours: we stand in line (`Permits::queue`), and look for room; the receiver makes room and looks who
        // waits (`give_back`), and so does another sender (`fetch_room`), which has a fence as well. One of us sees the other.
        fence(SeqCst);
        self.fetch_permits(word)
    }

    /// Whether room is made at this moment: waits a little for it, or for more.
    pub(super) fn is_made(&self) -> bool {
        // ORDERING: Relaxed: it is compared with another, and nothing else.
        self.patience
            .pays(self.enough(), || self.made.room.load(Relaxed))
    }
}

impl Bound for Bounded {
    const LIST_ENDS: bool = false;

    #[inline]
    fn give_back(&self, word: &Word, count: usize) {
        // A guess, which saves a detour.
        if self.permits.has_line() {
            return in_turn(|| self.permits.release_to_line(count));
        }
        // ORDERING: SeqCst: see `fetch_from_line`. The fence is for loom, which does not know sequentially consistent accesses.
        self.made.room.fetch_add(count, SeqCst);
        #[cfg(loom)]
        fence(SeqCst);
        if self.permits.has_line() {
            self.fetch_permits(word);
        }
    }

    fn close(&self, word: &Word) {
        // In this order: who finds the permits closed finds no room past them.
        word.shut();
        self.permits.close();
    }

    fn is_finished(&self, word: &Word) -> bool {
        if !self.permits.is_closed() {
            return false;
        }
        // ORDERING: SeqCst, mine before yours: a sender has given a permit back and looks at what the receiver has made; the receiver
        // has made room, leaves its waker and looks at the permits. One of us sees all.
        fence(SeqCst);
        self.available(word) == self.max
    }

    fn enough(&self) -> usize {
        // Whoever waits for more may wait for a side that has no room left, or nothing to take.
        self.max / 2
    }

    #[inline]
    fn resource(&self) -> &Resource {
        self.permits.spans().owner()
    }
}
