//! What rooms have for one socket: a queue with a bound, and what happens when it is full.
//!
//! Rooms put frames in, which were made once for all of a kind ([`Wire`]); the socket's pump takes them out and writes them. The queue's lock is
//! held for a push or a pop only: wakers are called, and frames dropped, after.

use super::{DeflateParams, Message, Role, Slow};
use blitz_io::sync::Semaphore;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// What makes the frames of one socket the same as those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// A client's: each has masks of its own, so nothing is shared but the message.
    Client,
    /// A server's without compression.
    Plain,
    /// A server's with it, from so many bytes on.
    Deflated { kind: Kind, threshold: usize },
}

/// The parameters of compression that change what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) window_bits: u8,
    pub(super) level: u32,
}

impl Wire {
    pub(super) fn of(role: Role, params: Option<&DeflateParams>, deflate: &super::Deflate) -> Wire {
        match (role, params) {
            (Role::Client, _) => Wire::Client,
            // Windows of 8 bits are read and not written: the library has none.
            (Role::Server, Some(params)) if params.server_max_window_bits >= 9 => Wire::Deflated {
                kind: Kind {
                    window_bits: params.server_max_window_bits,
                    level: deflate.level,
                },
                threshold: deflate.threshold,
            },
            (Role::Server, _) => Wire::Plain,
        }
    }
}

/// A message of a room, as it goes to one socket.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A frame that is written as it is.
    Frame { bytes: Bytes, is_compressed: bool },
    /// To be framed by the socket.
    Whole(Message),
}

/// What became of an item.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    Taken,
    /// Another one had to go for it.
    Dropped,
    /// There was no room, so that the socket will be closed.
    Slow,
    /// There is no socket any more.
    Over,
}

/// What the pump does next.
#[derive(Debug)]
pub(super) enum Next {
    Item(Item),
    /// It is woken when there is something.
    Wait,
    /// Nobody is in a room any more.
    Idle,
    Slow,
    Over,
}

#[derive(Debug)]
pub(super) struct Outbox {
    slow: Slow,
    wire: Wire,
    /// Room in the queue, where who sends waits for it. Who takes it gives it up with the push, and the pump gives it back.
    pub(super) room: Option<Semaphore>,
    queue: Mutex<Queue>,
}

/// A room that the socket is in.
#[derive(Debug)]
struct Place {
    /// The room.
    id: usize,
    seat: usize,
    /// How often it has joined.
    count: usize,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    pump: Option<Waker>,
    is_pumped: bool,
    rooms: Vec<Place>,
    dropped: u64,
    is_slow: bool,
    is_over: bool,
}

impl Outbox {
    pub(super) fn new(slow: Slow, wire: Wire) -> Outbox {
        Outbox {
            slow,
            wire,
            room: match slow {
                Slow::Block(_) => Some(Semaphore::new(slow.room().min(Semaphore::MAX_PERMITS))),
                _ => None,
            },
            queue: Mutex::default(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wire(&self) -> Wire {
        self.wire
    }

    /// Messages that wait.
    pub(super) fn len(&self) -> usize {
        self.queue().items.len()
    }

    /// Messages that were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.queue().dropped
    }

    /// It joins a room, and gets a seat there if it has none. Returns the seat, and whether somebody has to begin to pump.
    pub(super) fn enters(&self, id: usize, sit: impl FnOnce() -> usize) -> (usize, bool) {
        let mut queue = self.queue();
        let place = queue.rooms.iter_mut().find(|place| place.id == id);
        let seat = match place {
            Some(place) => {
                place.count += 1;
                place.seat
            }
            None => {
                let (seat, count) = (sit(), 1);
                queue.rooms.push(Place { id, seat, count });
                seat
            }
        };
        let begins = !queue.is_pumped && !queue.is_over;
        queue.is_pumped |= begins;
        (seat, begins)
    }

    /// It leaves a room as often as it has joined. Returns the seat that is free after the last time, and whom to wake.
    pub(super) fn leaves(&self, id: usize) -> (Option<usize>, Option<Waker>) {
        let mut queue = self.queue();
        let at = queue.rooms.iter().position(|place| place.id == id);
        let at = at.expect("a member has a place");
        queue.rooms[at].count -= 1;
        if queue.rooms[at].count > 0 {
            return (None, None);
        }
        let seat = queue.rooms.swap_remove(at).seat;
        let pump = if queue.rooms.is_empty() {
            queue.pump.take()
        } else {
            None
        };
        (Some(seat), pump)
    }

    /// Puts an item in. Where who sends waits for room, there is some.
    pub(super) fn push(&self, item: Item) -> Pushed {
        let mut queue = self.queue();
        if queue.is_over || queue.is_slow {
            return Pushed::Over;
        }
        let is_full = queue.items.len() >= self.slow.room();
        let mut gone = None;
        let pushed = match self.slow {
            Slow::DropOldest(_) | Slow::Latest if is_full => {
                gone = queue.items.pop_front();
                queue.dropped += 1;
                queue.items.push_back(item);
                Pushed::Dropped
            }
            Slow::Disconnect(_) if is_full => {
                queue.is_slow = true;
                Pushed::Slow
            }
            _ => {
                queue.items.push_back(item);
                Pushed::Taken
            }
        };
        let pump = queue.pump.take();
        drop(queue);
        drop(gone);
        if let Some(pump) = pump {
            pump.wake();
        }
        pushed
    }

    /// The next item; if there is none, `pump` is woken when that changes.
    pub(super) fn next(&self, pump: &Waker) -> Next {
        let mut queue = self.queue();
        if queue.is_over {
            return Next::Over;
        }
        if queue.is_slow {
            return Next::Slow;
        }
        if let Some(item) = queue.items.pop_front() {
            return Next::Item(item);
        }
        if queue.rooms.is_empty() {
            queue.is_pumped = false;
            return Next::Idle;
        }
        let old = keep(&mut queue.pump, pump);
        drop(queue);
        drop(old);
        Next::Wait
    }

    /// The next item, if it is a frame of no more than so many bytes.
    pub(super) fn next_within(&self, len: usize) -> Option<Item> {
        let mut queue = self.queue();
        if queue.is_over || queue.is_slow {
            return None;
        }
        match queue.items.front() {
            Some(Item::Frame { bytes, .. }) if bytes.len() <= len => queue.items.pop_front(),
            _ => None,
        }
    }

    /// Whether items are of use still. The pump, which waits for its peer, is woken when that changes.
    pub(super) fn watch(&self, pump: &Waker) -> Next {
        let mut queue = self.queue();
        if queue.is_over {
            return Next::Over;
        }
        if queue.is_slow {
            return Next::Slow;
        }
        let old = keep(&mut queue.pump, pump);
        drop(queue);
        drop(old);
        Next::Wait
    }

    /// There is no socket any more: nobody waits for room, and nothing is kept.
    pub(super) fn end(&self) {
        let mut queue = self.queue();
        queue.is_over = true;
        let items = std::mem::take(&mut queue.items);
        let pump = queue.pump.take();
        drop(queue);
        drop(items);
        if let Some(room) = &self.room {
            room.close();
        }
        if let Some(pump) = pump {
            pump.wake();
        }
    }

    /// So many items were taken out.
    pub(super) fn has_room(&self, items: usize) {
        if let Some(room) = &self.room
            && !room.is_closed()
        {
            room.add_permits(items);
        }
    }
}

/// Keeps a waker, and gives back the one that it takes the place of: that is dropped without the lock.
pub(super) fn keep(slot: &mut Option<Waker>, waker: &Waker) -> Option<Waker> {
    match slot {
        Some(kept) if kept.will_wake(waker) => None,
        slot => slot.replace(waker.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(n: u8) -> Item {
        Item::Frame {
            bytes: Bytes::copy_from_slice(&[n]),
            is_compressed: false,
        }
    }

    fn left(outbox: &Outbox) -> Vec<u8> {
        let mut left = Vec::new();
        while let Some(Item::Frame { bytes, .. }) = outbox.next_within(1) {
            left.push(bytes[0]);
        }
        left
    }

    #[test]
    fn each_policy_keeps_what_it_says() {
        for (slow, pushed, kept) in [
            (Slow::DropOldest(2), Pushed::Dropped, vec![3, 4]),
            (Slow::DropOldest(0), Pushed::Dropped, vec![4]),
            (Slow::Latest, Pushed::Dropped, vec![4]),
            (Slow::Disconnect(4), Pushed::Slow, vec![]),
        ] {
            let outbox = Outbox::new(slow, Wire::Plain);
            assert_eq!(outbox.enters(1, || 7), (7, true), "somebody begins to pump");
            assert_eq!(outbox.enters(2, || 8), (8, false), "and one is enough");
            for n in 0..4 {
                outbox.push(item(n));
            }
            let last = outbox.push(item(4));
            if slow == Slow::Disconnect(4) {
                assert_eq!(last, pushed);
                assert_eq!(outbox.push(item(5)), Pushed::Over);
                assert!(matches!(outbox.next(Waker::noop()), Next::Slow));
                continue;
            }
            assert_eq!((last, left(&outbox)), (pushed, kept));
            assert_eq!(outbox.dropped(), 5 - outbox.slow.room() as u64);
        }
    }

    #[test]
    fn whoever_is_in_no_room_and_has_sent_all_is_pumped_no_more() {
        let outbox = Outbox::new(Slow::Latest, Wire::Plain);
        assert_eq!(outbox.enters(1, || 7), (7, true));
        assert_eq!(outbox.enters(1, || 8), (7, false), "it has a seat there");
        outbox.push(item(1));
        assert!(outbox.leaves(1).0.is_none());
        assert_eq!(outbox.leaves(1).0, Some(7));
        assert!(matches!(outbox.next(Waker::noop()), Next::Item(_)));
        assert!(matches!(outbox.next(Waker::noop()), Next::Idle));
        assert!(outbox.enters(1, || 9).1, "and then again");
        outbox.end();
        assert_eq!(outbox.push(item(2)), Pushed::Over);
        assert!(matches!(outbox.next(Waker::noop()), Next::Over));
        assert!(!outbox.enters(2, || 0).1, "there is nothing to pump into");
    }
}
