//! One message for many sockets.

use super::outbox::{Item, Kind, Outbox, Pushed, Wire};
use super::split::Pump;
use super::{Deflate, DeflateParams, Message, Sender};
use blitz_http_proto::ws::Encoder;
use blitz_io::sync::{Mutex as Turns, SemaphorePermit};
use bytes::{Bytes, BytesMut};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Sockets that get the same messages. Clones are of the same room.
///
/// A message is framed once, and compressed once for each window and level that members have agreed on: it refers to none before it, so all of
/// them get the same bytes. Each member has a queue, from which it is written as fast as its peer takes it; what happens where that is too slow,
/// its [`Slow`](super::Slow) says, which is chosen at the route.
///
/// ```
/// use blitz_http::ws::{self, Room, Slow, WebSocket};
/// use blitz_http::{Request, Router, now};
///
/// let room = Room::new();
/// let router = Router::new().get("/chat", now(move |mut request: Request| {
///     let room = room.clone();
///     ws::accept(&mut request).slow(Slow::DropOldest(100)).run(async move |socket: WebSocket| {
///         let (sender, mut receiver) = socket.split();
///         let _member = room.join(&sender);
///         while let Some(message) = receiver.recv().await? {
///             room.send(message).await;
///         }
///         Ok::<_, ws::Error>(())
///     })
/// }));
/// # let _ = router;
/// ```
#[derive(Clone, Default)]
pub struct Room(Arc<Inner>);

#[derive(Default)]
struct Inner {
    members: Mutex<Members>,
    /// Who sends, so that all members get all messages in one order.
    turns: Turns<()>,
    counts: Counts,
}

#[derive(Default)]
struct Members {
    seats: Vec<Option<Arc<Outbox>>>,
    free: Vec<usize>,
}

impl Members {
    fn sit(&mut self, outbox: &Arc<Outbox>) -> usize {
        let taken = Some(Arc::clone(outbox));
        if let Some(seat) = self.free.pop() {
            self.seats[seat] = taken;
            return seat;
        }
        self.seats.push(taken);
        self.seats.len() - 1
    }
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    delivered: AtomicU64,
    dropped: AtomicU64,
    disconnected: AtomicU64,
    waited: AtomicU64,
    deflated: AtomicU64,
}

/// What a room has done, from its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomCounters {
    /// Messages that were sent to it.
    pub sent: u64,
    /// Messages that were put into the queues of members.
    pub delivered: u64,
    /// Messages that were dropped from there again, to make room for newer ones.
    pub dropped: u64,
    /// Members that were closed because they were too slow.
    pub disconnected: u64,
    /// How often who sent had to wait for members.
    pub waited: u64,
    /// How often a message was compressed.
    pub deflated: u64,
}

impl Room {
    /// An empty one.
    pub fn new() -> Room {
        Room::default()
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.0
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is known by while it has members.
    fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Makes a socket a member until what is returned is dropped. A socket may be in many rooms, which share its queue; one that joins a room
    /// twice gets each message once.
    ///
    /// What the room sends goes out by a task of its own, whether or not somebody sends or receives here; that somebody [receives](super::Receiver)
    /// is needed for all else that a socket does.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn join(&self, sender: &Sender) -> Member {
        let outbox = Arc::clone(sender.outbox());
        let mut members = self.members();
        let (_, begins) = outbox.enters(self.id(), || members.sit(&outbox));
        drop(members);
        if begins {
            drop(blitz_io::spawn(Pump::new(sender)));
        }
        Member {
            room: self.clone(),
            outbox,
        }
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        let members = self.members();
        members.seats.len() - members.free.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends a message to all members, and returns how many have got it into their queues. It waits for room in the queues of those whose
    /// policy is [`Slow::Block`](super::Slow::Block), and for those who have begun to send before.
    ///
    /// All members get the messages of all senders in the same order, each as far as its policy lets it.
    ///
    /// # Cancel safety
    /// A dropped call has sent the message to all members or to none: to none where it waited.
    pub async fn send(&self, message: Message) -> usize {
        self.send_but(None, message).await
    }

    async fn send_but(&self, but: Option<&Arc<Outbox>>, message: Message) -> usize {
        let turn = self.0.turns.lock().await;
        let members: Vec<Arc<Outbox>> = {
            let members = self.members();
            let there = members.seats.iter().flatten();
            let wanted = there.filter(|member| but.is_none_or(|but| !Arc::ptr_eq(member, but)));
            wanted.cloned().collect()
        };
        let places = self.places(&members).await;
        // From here on nothing waits.
        let mut frames = Frames::new(&message);
        let (mut delivered, mut dropped, mut slow) = (0, 0, 0);
        for place in places {
            // The pump gives it back when it has taken the message out.
            place.forget();
        }
        for member in &members {
            match member.push(frames.of(member.wire())) {
                Pushed::Taken => delivered += 1,
                Pushed::Dropped => (delivered, dropped) = (delivered + 1, dropped + 1),
                Pushed::Slow => slow += 1,
                Pushed::Over => {}
            }
        }
        drop(turn);
        let counts = &self.0.counts;
        for (counter, count) in [
            (&counts.sent, 1),
            (&counts.delivered, delivered),
            (&counts.dropped, dropped),
            (&counts.disconnected, slow),
            (&counts.deflated, frames.deflated.len() as u64),
        ] {
            if count > 0 {
                // ORDERING: Relaxed: a number for people.
                counter.fetch_add(count, Relaxed);
            }
        }
        delivered as usize
    }

    /// A place in the queue of each member that is to be waited for.
    async fn places<'a>(&self, members: &'a [Arc<Outbox>]) -> Vec<SemaphorePermit<'a>> {
        let mut places = Vec::new();
        let mut are_full = false;
        let wait = |member: &'a Arc<Outbox>| member.room.as_ref();
        for room in members.iter().filter_map(wait) {
            match room.try_acquire() {
                Ok(place) => places.push(place),
                // One whose socket is over takes nothing.
                Err(_) if room.is_closed() => {}
                Err(_) => {
                    are_full = true;
                    break;
                }
            }
        }
        if !are_full {
            return places;
        }
        drop(places);
        // ORDERING: Relaxed: a number for people.
        self.0.counts.waited.fetch_add(1, Relaxed);
        // In one order whatever the room, so that no two of those who send wait for each other's.
        let mut members: Vec<&'a Arc<Outbox>> = members.iter().collect();
        members.sort_unstable_by_key(|member| Arc::as_ptr(member));
        let mut places = Vec::new();
        for room in members.into_iter().filter_map(wait) {
            // An error is that of a socket that is over.
            places.extend(room.acquire().await);
        }
        places
    }

    /// What it has done so far.
    pub fn counters(&self) -> RoomCounters {
        let counts = &self.0.counts;
        // ORDERING: Relaxed: numbers for people.
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        RoomCounters {
            sent: get(&counts.sent),
            delivered: get(&counts.delivered),
            dropped: get(&counts.dropped),
            disconnected: get(&counts.disconnected),
            waited: get(&counts.waited),
            deflated: get(&counts.deflated),
        }
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("members", &self.len())
            .field("counters", &self.counters())
            .finish()
    }
}

/// A socket's place in a room, which it leaves when this is dropped. What was sent to it before goes out still.
#[must_use = "who drops it leaves the room"]
pub struct Member {
    room: Room,
    outbox: Arc<Outbox>,
}

impl Member {
    /// Sends a message to all others; else as [`Room::send`].
    ///
    /// # Cancel safety
    /// A dropped call has sent the message to all of them or to none: to none where it waited.
    pub async fn send_to_others(&self, message: Message) -> usize {
        self.room.send_but(Some(&self.outbox), message).await
    }

    /// The room.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Messages that wait in its queue, those of other rooms among them.
    pub fn messages_waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Messages that were dropped because this member was too slow, those of other rooms among them.
    pub fn dropped(&self) -> u64 {
        self.outbox.dropped()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut members = self.room.members();
        let (seat, pump) = self.outbox.leaves(self.room.id());
        if let Some(seat) = seat {
            // What this has another hold of.
            members.seats[seat] = None;
            members.free.push(seat);
        }
        drop(members);
        if let Some(pump) = pump {
            pump.wake();
        }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("waiting", &self.messages_waiting())
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

/// A message as it goes to each kind of socket, made when the first of the kind wants it.
struct Frames<'a> {
    message: &'a Message,
    whole: Option<Message>,
    plain: Option<Bytes>,
    deflated: Vec<(Kind, Bytes)>,
}

impl<'a> Frames<'a> {
    fn new(message: &'a Message) -> Frames<'a> {
        Frames {
            message,
            whole: None,
            plain: None,
            deflated: Vec::new(),
        }
    }

    fn of(&mut self, wire: Wire) -> Item {
        let (bytes, is_compressed) = match wire {
            Wire::Client => return Item::Whole(self.whole()),
            Wire::Deflated { kind, threshold } if self.message.payload().len() >= threshold => {
                (self.deflated(kind), true)
            }
            Wire::Plain | Wire::Deflated { .. } => (self.plain(), false),
        };
        Item::Frame {
            bytes,
            is_compressed,
        }
    }

    /// With bytes that are nobody else's: the last one to drop them holds a lock.
    fn whole(&mut self) -> Message {
        let message = self.message;
        let whole = self.whole.get_or_insert_with(|| match message.as_text() {
            Some(text) => Message::text(text),
            None => Message::binary(Bytes::copy_from_slice(message.payload())),
        });
        whole.clone()
    }

    fn plain(&mut self) -> Bytes {
        let message = self.message;
        let plain = self
            .plain
            .get_or_insert_with(|| framed(Encoder::server(), message));
        plain.clone()
    }

    fn deflated(&mut self, kind: Kind) -> Bytes {
        let known = self.deflated.iter().find(|(known, _)| *known == kind);
        if let Some((_, bytes)) = known {
            return bytes.clone();
        }
        let params = DeflateParams {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: kind.window_bits,
            client_max_window_bits: 15,
        };
        let mut deflate = Deflate::default();
        (deflate.level, deflate.threshold) = (kind.level, 0);
        let encoder = Encoder::server().with_deflate(Some(&params), &deflate);
        let bytes = framed(encoder, self.message);
        self.deflated.push((kind, bytes.clone()));
        bytes
    }
}

fn framed(mut encoder: Encoder, message: &Message) -> Bytes {
    let mut out = BytesMut::new();
    encoder.message(message, &mut out);
    out.freeze()
}
