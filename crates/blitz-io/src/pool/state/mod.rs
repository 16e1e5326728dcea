//! What a pool knows, and what it decides: no I/O, no clock, no user's code but the key's `Eq` and `Hash`.
//!
//! Every move is called under the pool's one lock and leaves what is to be done afterwards in a [`Work`]: wakers to call, connections to
//! close or to make. A connection is in one of these places:
//!
//! ```text
//!  dials      it is being made                           born, dial_failed
//!  idle       it lies on its key's shelf                 take, look_after, evicted
//!  served     it was given to a waiter that has not      claim, leave
//!             come for it yet
//!  out        somebody has it, or a task looks at it     give_back, close
//!  place      who asked makes it itself                  place_filled, place_left
//! ```
//!
//! All of them count in `Shelf::size` and `State::total`. What keeps the lines moving is [`State::settle`], the end of every move: it
//! starts a dial for each waiter that no dial is under way for, as far as the limits allow; who waits for the total alone stands in
//! `short`, across keys in the order in which they came.

mod line;
mod look;
mod places;
mod settle;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::mem;
use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use line::Line;
pub(super) use line::Wants;

use super::config::Limits;
use super::error::{AcquireError, ConnectError};
use super::metrics::{CloseReason, Counters};
use crate::time::Instant;

/// A connection and its past.
pub(super) struct Member<C> {
    pub(super) connection: C,
    pub(super) born: Instant,
    /// When it is too old; never, where age is not limited.
    pub(super) dies: Option<Instant>,
    /// When it was last known to work.
    pub(super) seen: Instant,
    /// Since when nobody has used it.
    pub(super) idle_since: Instant,
    /// How often it was handed out.
    pub(super) uses: u64,
    /// What its shelf's was when it was made.
    pub(super) generation: u64,
    /// Its place in the order in which connections fell idle.
    pub(super) stamp: u64,
}

impl<C> Member<C> {
    pub(super) fn new(connection: C, now: Instant, dies: Option<Instant>, generation: u64) -> Self {
        Self {
            connection,
            born: now,
            dies,
            seen: now,
            idle_since: now,
            uses: 0,
            generation,
            stamp: 0,
        }
    }
}

/// Who has a connection out.
pub(super) struct Holder {
    pub(super) since: Instant,
    pub(super) place: &'static Location<'static>,
    pub(super) task: u64,
    told: bool,
}

/// With its holder's number, which a place does not have.
type Claimed<C, E> = Result<(Given<C>, u64), AcquireError<E>>;
type Served<C, E> = Result<Given<C>, AcquireError<E>>;

/// What a waiter is given.
pub(super) enum Given<C> {
    Member(Member<C>),
    /// A place, with its shelf's generation.
    Place(u64),
}

const STAYS: &str = "a shelf stays while one of its connections or waiters is there";

/// What is of one key.
struct Shelf<C, E> {
    line: Line,
    /// In the order in which they fell idle; the newest is taken first, so that what is not needed grows old.
    idle: VecDeque<Member<C>>,
    /// Idle ones that a task looks at.
    checks: usize,
    /// Those that waiters make themselves.
    places: usize,
    /// All that exist or are being made.
    size: usize,
    /// Failed dials since the last that did not.
    failures: u32,
    last: Option<Arc<ConnectError<E>>>,
    /// No dial begins before the pause after a failed one is over.
    pausing: bool,
    /// Its number in `State::short`.
    short: Option<u64>,
    generation: u64,
}

impl<C, E> Shelf<C, E> {
    fn new() -> Self {
        Self {
            line: Line::default(),
            idle: VecDeque::new(),
            checks: 0,
            places: 0,
            size: 0,
            failures: 0,
            last: None,
            pausing: false,
            short: None,
            generation: 0,
        }
    }

    /// A dial may begin now, as far as this key is concerned. While they fail there is one at a time.
    fn may_dial(&self, limits: &Limits) -> bool {
        self.size < limits.max_per_key
            && !self.pausing
            && (self.failures == 0 || self.line.dials() == 0)
    }

    fn lacks_idle(&self, limits: &Limits) -> bool {
        let min_idle = limits.min_idle.min(limits.max_idle_per_key);
        self.idle.len() + self.line.dials() + self.checks < self.line.len() + min_idle
    }
}

/// What a move leaves to be done without the lock.
pub(super) struct Work<K, C, E> {
    pub(super) wakers: Vec<Waker>,
    /// With the generation of what is made.
    pub(super) dials: Vec<(Arc<K>, u64)>,
    pub(super) closing: Vec<(Arc<K>, C)>,
    /// Keys whose next dial has to wait, and how many have failed.
    pub(super) pauses: Vec<(Arc<K>, u32)>,
    /// Idle ones to be looked at.
    pub(super) checks: Vec<(Arc<K>, Member<C>)>,
    /// Who has had a connection for too long, and how many are out.
    pub(super) leaks: Vec<(Duration, &'static Location<'static>, u64)>,
    /// The keeper has to look earlier than it would.
    pub(super) tick: bool,
    /// There is none yet.
    pub(super) keeper: bool,
    /// Something changed that `warm_up` and `close` wait for.
    pub(super) changed: bool,
    /// Dropped without the lock.
    trash: Vec<Trash<K, C, E>>,
}

/// Values of users, on their way out.
#[expect(dead_code, reason = "they are kept for their drops")]
enum Trash<K, C, E> {
    Key(Arc<K>),
    Served(Served<C, E>),
    Error(Option<Arc<ConnectError<E>>>),
    Waker(Option<Waker>),
}

impl<K, C, E> Work<K, C, E> {
    /// As mostly, where a connection is there and comes back.
    pub(super) fn is_nothing(&self) -> bool {
        let Work {
            wakers,
            dials,
            closing,
            pauses,
            checks,
            leaks,
            tick,
            keeper,
            changed,
            trash,
        } = self;
        let is_marked = *tick || *keeper || *changed;
        let count = wakers.len()
            + dials.len()
            + closing.len()
            + pauses.len()
            + checks.len()
            + leaks.len()
            + trash.len();
        !is_marked && count == 0
    }
}

impl<K, C, E> Default for Work<K, C, E> {
    fn default() -> Self {
        Self {
            wakers: Vec::new(),
            dials: Vec::new(),
            closing: Vec::new(),
            pauses: Vec::new(),
            checks: Vec::new(),
            leaks: Vec::new(),
            tick: false,
            keeper: false,
            changed: false,
            trash: Vec::new(),
        }
    }
}

/// What somebody gets who asks for a connection.
pub(super) enum Entered<K, C> {
    /// An idle one; the number is the holder's.
    Taken(Arc<K>, Member<C>, u64),
    /// A place in the line.
    Waits(Arc<K>, u64),
    Closed,
}

/// Whether the pool is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Nobody is served and nothing is dialled, until it goes on.
    Suspended,
    Closed,
}

pub(super) struct State<K, C, E> {
    shelves: HashMap<Arc<K>, Shelf<C, E>>,
    served: BTreeMap<u64, Served<C, E>>,
    /// Waiters that only the total keeps from a dial: the first of each key, by number.
    short: BTreeMap<u64, Arc<K>>,
    /// The keys of all idle connections, in the order in which they fell idle.
    idle_order: BTreeMap<u64, Arc<K>>,
    pub(super) holders: BTreeMap<u64, Holder>,
    pub(super) limits: Limits,
    pub(super) phase: Phase,
    /// The pool makes connections itself where they are wanted, and not its users alone.
    pub(super) connects: bool,
    /// Connections that are being closed.
    pub(super) closing: usize,
    /// When the keeper looks next; `None` where there is nothing to look for.
    pub(super) tick: Option<Instant>,
    /// There is a keeper.
    pub(super) is_kept: bool,
    pub(super) counters: Counters,
    total: usize,
    waiting: usize,
    dials: usize,
    next: u64,
}

/// What there is, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) total: usize,
    pub(super) idle: usize,
    pub(super) in_use: usize,
    pub(super) connecting: usize,
    pub(super) waiting: usize,
    pub(super) keys: usize,
}

impl<K: Eq + Hash, C, E> State<K, C, E> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            shelves: HashMap::new(),
            served: BTreeMap::new(),
            short: BTreeMap::new(),
            idle_order: BTreeMap::new(),
            holders: BTreeMap::new(),
            limits,
            phase: Phase::Open,
            connects: false,
            closing: 0,
            tick: None,
            is_kept: false,
            counters: Counters::default(),
            total: 0,
            waiting: 0,
            dials: 0,
            next: 0,
        }
    }

    pub(super) fn sizes(&self) -> Sizes {
        Sizes {
            total: self.total,
            idle: self.idle_order.len(),
            in_use: self.holders.len(),
            connecting: self.dials,
            waiting: self.waiting,
            keys: self.shelves.len(),
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The key as this pool holds it; its shelf comes to be if it is not there.
    pub(super) fn shelf_of(&mut self, key: &K) -> Arc<K>
    where
        K: Clone,
    {
        if let Some((key, _)) = self.shelves.get_key_value(key) {
            return Arc::clone(key);
        }
        let key = Arc::new(key.clone());
        self.shelves.insert(Arc::clone(&key), Shelf::new());
        key
    }

    fn shelf(&mut self, key: &K) -> &mut Shelf<C, E> {
        self.shelves.get_mut(key).expect(STAYS)
    }

    /// Somebody wants a connection. `again` is the number that it had in the line when what it got turned out to be no good.
    pub(super) fn enter(
        &mut self,
        key: &K,
        wants: Wants,
        again: Option<u64>,
        holder: (Instant, &'static Location<'static>, u64),
        work: &mut Work<K, C, E>,
    ) -> Entered<K, C>
    where
        K: Clone,
    {
        if self.phase == Phase::Closed {
            return Entered::Closed;
        }
        if self.phase == Phase::Open {
            if wants == Wants::Place {
                self.make_room(key, work);
            } else if let Some((key, member)) = self.take_idle(key, holder.0, |_| true, work) {
                let holder = self.hold(holder, work);
                return Entered::Taken(key, member, holder);
            }
        }
        let key = self.shelf_of(key);
        let number = again.unwrap_or_else(|| self.number());
        self.shelf(&key).line.insert(number, wants);
        self.waiting += 1;
        self.settle(&key, work);
        Entered::Waits(key, number)
    }

    /// What somebody got is no good: it is closed, and who had it is in the line at its old place before anybody else can be served.
    pub(super) fn exchange(
        &mut self,
        key: &Arc<K>,
        bad: (C, CloseReason),
        wants: Wants,
        again: u64,
        holder: (Instant, &'static Location<'static>, u64),
        work: &mut Work<K, C, E>,
    ) -> Entered<K, C>
    where
        K: Clone,
    {
        self.close(key, bad.0, bad.1, work);
        let entered = self.enter(key, wants, Some(again), holder, work);
        self.settle(key, work);
        entered
    }

    /// An idle connection, the newest; none if `is_fresh` has something against the moment when that was last known to work. Those that
    /// should have gone by `now` go first: the keeper may be late.
    pub(super) fn take_idle(
        &mut self,
        key: &K,
        now: Instant,
        is_fresh: impl Fn(Instant) -> bool,
        work: &mut Work<K, C, E>,
    ) -> Option<(Arc<K>, Member<C>)> {
        loop {
            let idle = &mut self.shelves.get_mut(key)?.idle;
            if !is_fresh(idle.back()?.seen) {
                return None;
            }
            let member = idle.pop_back()?;
            let key = self
                .idle_order
                .remove(&member.stamp)
                .expect("what is idle is in the order");
            let reason = if member.dies.is_some_and(|dies| dies <= now) {
                Some(CloseReason::MaxAge)
            } else if self.limits.min_idle == 0 && self.limits.is_idle_for_too_long(&member, now) {
                Some(CloseReason::IdleTimeout)
            } else {
                None
            };
            if let Some(reason) = reason {
                self.close(&key, member.connection, reason, work);
                self.settle(&key, work);
                continue;
            }
            if self.limits.min_idle > 0 {
                // Another takes its place.
                self.settle(&key, work);
            }
            return Some((key, member));
        }
    }

    /// The key is to have its idle ones from now on, and if they fail, they are tried anew.
    pub(super) fn keep_warm(&mut self, key: &K, work: &mut Work<K, C, E>)
    where
        K: Clone,
    {
        if self.phase != Phase::Closed {
            let key = self.shelf_of(key);
            self.settle(&key, work);
        }
    }

    /// Whether the key has its idle ones, or why not; nothing while they are being made.
    pub(super) fn warmth(&self, key: &K) -> Option<Result<(), AcquireError<E>>> {
        if self.phase == Phase::Closed {
            return Some(Err(AcquireError::Closed));
        }
        let Some(shelf) = self.shelves.get(key) else {
            // It was forgotten at once: none are to be kept.
            return Some(Ok(()));
        };
        let there = shelf.size - shelf.line.dials() - shelf.places;
        if there >= self.limits.min_idle.min(self.limits.max_per_key) {
            return Some(Ok(()));
        }
        let last = shelf.last.as_ref()?;
        Some(Err(AcquireError::Connect(Arc::clone(last))))
    }

    pub(super) fn hold(
        &mut self,
        (since, place, task): (Instant, &'static Location<'static>, u64),
        work: &mut Work<K, C, E>,
    ) -> u64 {
        let number = self.number();
        if let Some(after) = self.limits.leak_after {
            self.look_by(since + after, since, work);
        }
        let holder = Holder {
            since,
            place,
            task,
            told: false,
        };
        self.holders.insert(number, holder);
        number
    }

    /// The keeper is to look at `due`, or a little later.
    fn look_by(&mut self, due: Instant, now: Instant, work: &mut Work<K, C, E>) {
        let due = due.max(now + self.limits.grain());
        if self.tick.is_none_or(|tick| due < tick) {
            self.tick = Some(due);
            work.tick = true;
        }
    }

    /// What came for a waiter, if something did; else `waker` is called when it does. The waker that is not needed comes back.
    pub(super) fn claim(
        &mut self,
        key: &K,
        number: u64,
        mut waker: Option<Waker>,
        holder: (Instant, &'static Location<'static>, u64),
        work: &mut Work<K, C, E>,
    ) -> (Option<Claimed<C, E>>, Option<Waker>) {
        if let Some(served) = self.served.remove(&number) {
            let claimed = served.map(|given| {
                let holder = match given {
                    Given::Member(_) => self.hold(holder, work),
                    Given::Place(_) => 0,
                };
                (given, holder)
            });
            return (Some(claimed), waker);
        }
        if let Some(place) = self.shelf(key).line.waker_mut(number) {
            mem::swap(place, &mut waker);
        }
        (None, waker)
    }

    /// A waiter stops to wait. A connection that it was given goes to the next.
    pub(super) fn leave(
        &mut self,
        key: &Arc<K>,
        number: u64,
        now: Instant,
        work: &mut Work<K, C, E>,
    ) {
        match self.served.remove(&number) {
            Some(Ok(Given::Member(member))) => {
                self.put(key, member, now, work);
            }
            Some(Ok(Given::Place(_))) => self.free_place(key, work),
            Some(error) => work.trash.push(Trash::Served(error)),
            None => {
                if let Some(waker) = self.shelf(key).line.remove(number) {
                    self.waiting -= 1;
                    work.trash.push(Trash::Waker(waker));
                }
            }
        }
        self.settle(key, work);
    }

    /// Why the key's dials failed last, if they fail.
    pub(super) fn last_error(&self, key: &K) -> Option<Arc<ConnectError<E>>> {
        self.shelves.get(key)?.last.clone()
    }

    /// A dial made a connection.
    pub(super) fn born(&mut self, key: &Arc<K>, member: Member<C>, work: &mut Work<K, C, E>) {
        self.dials -= 1;
        let now = member.born;
        let shelf = self.shelf(key);
        shelf.line.dial_ends();
        shelf.failures = 0;
        work.trash.push(Trash::Error(shelf.last.take()));
        self.counters.created += 1;
        work.changed = true;
        self.put(key, member, now, work);
        self.settle(key, work);
    }

    /// A dial failed. A lasting error goes to who waits longest; after another the key pauses, and is tried again.
    pub(super) fn dial_failed(
        &mut self,
        key: &Arc<K>,
        error: ConnectError<E>,
        is_transient: bool,
        work: &mut Work<K, C, E>,
    ) {
        self.dials -= 1;
        self.total -= 1;
        self.counters.connect_failures += 1;
        work.changed = true;
        let min_idle = self.limits.min_idle;
        let shelf = self.shelf(key);
        shelf.line.dial_ends();
        shelf.size -= 1;
        let error = Arc::new(error);
        let told = if is_transient {
            None
        } else {
            shelf.line.pop_first()
        };
        if let Some((number, waker)) = told {
            self.waiting -= 1;
            self.serve(number, waker, Err(AcquireError::Connect(error)), work);
        } else if is_transient || min_idle > 0 {
            shelf.failures = shelf.failures.saturating_add(1);
            let before = shelf.last.replace(error);
            work.trash.push(Trash::Error(before));
            if !shelf.pausing {
                shelf.pausing = true;
                work.pauses.push((Arc::clone(key), shelf.failures));
            }
        } else {
            work.trash.push(Trash::Error(Some(error)));
        }
        self.settle(key, work);
    }

    /// The pause after a failed dial is over.
    pub(super) fn pause_over(&mut self, key: &Arc<K>, work: &mut Work<K, C, E>) {
        if let Some(shelf) = self.shelves.get_mut(key) {
            shelf.pausing = false;
            self.settle(key, work);
        }
    }

    /// A connection comes back that may be used again.
    pub(super) fn give_back(
        &mut self,
        key: &Arc<K>,
        member: Member<C>,
        now: Instant,
        work: &mut Work<K, C, E>,
    ) {
        if !self.put(key, member, now, work) {
            self.settle(key, work);
        }
    }

    /// A task has looked at an idle one, which comes back or goes.
    pub(super) fn checked(&mut self, key: &Arc<K>) {
        self.shelf(key).checks -= 1;
    }

    /// An attempt will never end.
    pub(super) fn dial_cut(&mut self, key: &Arc<K>, work: &mut Work<K, C, E>) {
        self.dials -= 1;
        self.total -= 1;
        let shelf = self.shelf(key);
        shelf.line.dial_ends();
        shelf.size -= 1;
        work.changed = true;
    }

    /// A connection is no good, or nobody wants it any more.
    pub(super) fn discard(
        &mut self,
        key: &Arc<K>,
        connection: C,
        reason: CloseReason,
        work: &mut Work<K, C, E>,
    ) {
        self.close(key, connection, reason, work);
        self.settle(key, work);
    }

    /// A connection is no longer the pool's.
    pub(super) fn gone(&mut self, key: &Arc<K>, reason: CloseReason, work: &mut Work<K, C, E>) {
        self.total -= 1;
        self.shelf(key).size -= 1;
        self.counters.closed[reason as usize] += 1;
        work.changed = true;
        self.settle(key, work);
    }

    fn close(
        &mut self,
        key: &Arc<K>,
        connection: C,
        reason: CloseReason,
        work: &mut Work<K, C, E>,
    ) {
        self.closing += 1;
        work.closing.push((Arc::clone(key), connection));
        self.total -= 1;
        self.shelf(key).size -= 1;
        self.counters.closed[reason as usize] += 1;
        work.changed = true;
    }

    /// Where a connection belongs that nobody has: to who waits longest, on the shelf, or away. The caller settles, unless this says that
    /// it lies on the shelf: then nobody waits whom that could help.
    fn put(
        &mut self,
        key: &Arc<K>,
        mut member: Member<C>,
        now: Instant,
        work: &mut Work<K, C, E>,
    ) -> bool {
        let first_short = self.short.first_key_value().map(|(number, _)| *number);
        let (is_over_total, max_idle) = (
            self.total > self.limits.max_total,
            self.limits.max_idle_per_key,
        );
        let (phase, max_per_key) = (self.phase, self.limits.max_per_key);
        let shelf = self.shelves.get_mut(&**key).expect(STAYS);
        let first = shelf.line.first().filter(|_| phase == Phase::Open);
        let mut room_for = None;
        let reason = if phase == Phase::Closed {
            Some(CloseReason::Shutdown)
        } else if member.generation != shelf.generation {
            Some(CloseReason::Retired)
        } else if member.dies.is_some_and(|dies| dies <= now) {
            Some(CloseReason::MaxAge)
        } else if is_over_total || shelf.size > max_per_key {
            Some(CloseReason::Surplus)
        } else if first_short.is_some_and(|short| first.is_none_or(|first| short < first)) {
            // Somebody of another key came before, and waits for room alone.
            Some(CloseReason::Evicted)
        } else if first.is_some() && shelf.line.first_wants() == Some(Wants::Place) {
            // It makes room for one that is to be made.
            room_for = first;
            Some(CloseReason::Evicted)
        } else if first.is_none() && shelf.idle.len() >= max_idle {
            Some(CloseReason::Surplus)
        } else {
            None
        };
        if let Some(reason) = reason {
            self.close(key, member.connection, reason, work);
            if let Some(number) = room_for
                && self.shelves[key].may_dial(&self.limits)
            {
                // At once: a dial that is under way seems to be for who wants a place, and one more idle one could take the room, again
                // and again.
                self.lend_place(key, number, work);
            }
            false
        } else if let Some((number, waker)) = first.and_then(|_| shelf.line.pop_first()) {
            self.waiting -= 1;
            self.serve(number, waker, Ok(Given::Member(member)), work);
            false
        } else {
            self.next += 1;
            member.stamp = self.next;
            self.idle_order.insert(member.stamp, Arc::clone(key));
            let due = self.limits.due(&member);
            shelf.idle.push_back(member);
            if let Some(due) = due {
                self.look_by(due, now, work);
            }
            work.changed = true;
            true
        }
    }

    fn serve(
        &mut self,
        number: u64,
        waker: Option<Waker>,
        what: Served<C, E>,
        work: &mut Work<K, C, E>,
    ) {
        self.served.insert(number, what);
        work.wakers.extend(waker);
    }
}

#[cfg(test)]
impl<K: Eq + Hash, C, E> State<K, C, E> {
    pub(super) fn has_served(&self, number: u64) -> bool {
        self.served.contains_key(&number)
    }

    pub(super) fn has_served_well(&self, number: u64) -> bool {
        matches!(self.served.get(&number), Some(Ok(Given::Member(_))))
    }

    pub(super) fn has_lent_place(&self, number: u64) -> bool {
        matches!(self.served.get(&number), Some(Ok(Given::Place(_))))
    }

    pub(super) fn idle_of(&self, key: K) -> usize {
        self.shelves.get(&key).map_or(0, |shelf| shelf.idle.len())
    }

    pub(super) fn fails(&self, key: K) -> bool {
        self.shelves
            .get(&key)
            .is_some_and(|shelf| shelf.failures > 0)
    }
}
