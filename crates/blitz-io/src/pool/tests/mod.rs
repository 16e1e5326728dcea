//! The decisions, played at random: whatever happens in whichever order, the counts are right, the limits hold, each line is served in
//! its order, and nobody waits for what will never come.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::config::Limits;
use super::error::ConnectError;
use super::metrics::CloseReason;
use super::state::{Entered, Given, Member, Phase, State, Wants, Work};
use crate::time::Instant;

#[derive(Clone, Debug)]
enum Move {
    Enter(u8, Wants),
    Claim(usize),
    Leave(usize),
    Dialled(usize),
    Failed(usize, bool),
    Filled(usize),
    PlaceLeft(usize),
    DropIdle,
    PauseOver(usize),
    GiveBack(usize),
    Broken(usize),
    Detach(usize),
    Checked(usize, bool),
    Look(u64),
    /// Time passes, and the keeper is late.
    Wait(u64),
    Limits {
        per_key: usize,
        total: usize,
        min_idle: usize,
        max_idle: usize,
    },
    Retire(Option<u8>),
    Suspend,
    Resume,
    Close,
}

fn any_wants() -> impl Strategy<Value = Wants> {
    prop_oneof![
        4 => Just(Wants::Any),
        2 => Just(Wants::AnyOrPlace),
        1 => Just(Wants::Place),
    ]
}

fn any_move() -> impl Strategy<Value = Move> {
    let index = 0..8_usize;
    prop_oneof![
        8 => (0..3_u8, any_wants()).prop_map(|(key, wants)| Move::Enter(key, wants)),
        3 => index.clone().prop_map(Move::Filled),
        1 => index.clone().prop_map(Move::PlaceLeft),
        1 => Just(Move::DropIdle),
        6 => index.clone().prop_map(Move::Claim),
        2 => index.clone().prop_map(Move::Leave),
        5 => index.clone().prop_map(Move::Dialled),
        2 => (index.clone(), any::<bool>()).prop_map(|(at, transient)| Move::Failed(at, transient)),
        2 => index.clone().prop_map(Move::PauseOver),
        5 => index.clone().prop_map(Move::GiveBack),
        1 => index.clone().prop_map(Move::Broken),
        1 => index.clone().prop_map(Move::Detach),
        2 => (index, any::<bool>()).prop_map(|(at, good)| Move::Checked(at, good)),
        2 => (0..40_u64).prop_map(Move::Look),
        2 => (0..40_u64).prop_map(Move::Wait),
        1 => (1..4_usize, 1..6_usize, 0..3_usize, 0..4_usize).prop_map(|(per_key, total, min_idle, max_idle)| {
            Move::Limits { per_key, total, min_idle, max_idle }
        }),
        1 => prop::option::of(0..3_u8).prop_map(Move::Retire),
        1 => Just(Move::Suspend),
        2 => Just(Move::Resume),
    ]
}

type Key = Arc<u8>;

/// The pool and all around it.
struct World {
    state: State<u8, u32, ()>,
    now: Instant,
    dials: Vec<(Key, u64)>,
    pauses: Vec<Key>,
    checks: Vec<(Key, Member<u32>)>,
    waiters: Vec<(Key, u64, Wants)>,
    /// With their generation.
    places: Vec<(Key, u64)>,
    out: Vec<(Key, Member<u32>, u64)>,
    made: u32,
    /// The limits have changed: there may be more than they allow, until they come back.
    has_shrunk: bool,
    /// Then nobody is served: how many had been, and how many dials were made, when it began.
    suspended: Option<usize>,
    dials_ever: usize,
}

fn limits() -> Limits {
    Limits {
        max_per_key: 3,
        max_total: 5,
        idle_timeout: Some(Duration::from_secs(60)),
        max_age: Some(Duration::from_secs(200)),
        keepalive: Some(Duration::from_secs(25)),
        ..Limits::default()
    }
}

fn pick<T>(all: &mut Vec<T>, at: usize) -> Option<T> {
    (!all.is_empty()).then(|| all.remove(at % all.len()))
}

impl World {
    fn new() -> Self {
        let mut state = State::new(limits());
        state.connects = true;
        Self {
            state,
            now: Instant::now(),
            dials: Vec::new(),
            pauses: Vec::new(),
            checks: Vec::new(),
            waiters: Vec::new(),
            places: Vec::new(),
            out: Vec::new(),
            made: 0,
            has_shrunk: false,
            suspended: None,
            dials_ever: 0,
        }
    }

    fn with<R>(
        &mut self,
        a_move: impl FnOnce(&mut State<u8, u32, ()>, Instant, &mut Work<u8, u32, ()>) -> R,
    ) -> R {
        let mut work = Work::default();
        let result = a_move(&mut self.state, self.now, &mut work);
        self.dials_ever += work.dials.len();
        self.dials.extend(std::mem::take(&mut work.dials));
        self.pauses.extend(
            std::mem::take(&mut work.pauses)
                .into_iter()
                .map(|(key, _)| key),
        );
        self.checks.extend(std::mem::take(&mut work.checks));
        self.state.closing -= work.closing.len();
        result
    }

    #[track_caller]
    fn holder(&self) -> (Instant, &'static Location<'static>, u64) {
        (self.now, Location::caller(), 0)
    }

    /// Those who have something that they have not come for yet.
    fn given(&self) -> usize {
        let numbers = self.waiters.iter().map(|(_, number, _)| *number);
        let has = |number| self.state.has_served_well(number) || self.state.has_lent_place(number);
        numbers.filter(|number| has(*number)).count()
    }

    fn play(&mut self, a_move: Move) {
        let before = self.given();
        self.make(a_move);
        if let Some(dials) = self.suspended {
            assert_eq!(dials, self.dials_ever, "somebody was dialled for");
            assert!(self.given() <= before, "somebody was served");
        }
    }

    fn make(&mut self, a_move: Move) {
        let holder = self.holder();
        match a_move {
            Move::Enter(key, wants) => {
                match self.with(|state, _, work| state.enter(&key, wants, None, holder, work)) {
                    Entered::Taken(key, member, holder) => {
                        assert_ne!(wants, Wants::Place);
                        assert_eq!(self.suspended, None);
                        assert!(
                            self.waiters.iter().all(|(other, number, wants)| {
                                *other != key || *wants == Wants::Place || self.is_served(*number)
                            }),
                            "one overtook another"
                        );
                        let limits = &self.state.limits;
                        let is_old = member.dies.is_some_and(|dies| dies <= self.now);
                        let is_stale =
                            limits.min_idle == 0 && limits.is_idle_for_too_long(&member, self.now);
                        assert!(!is_old && !is_stale, "it should have gone");
                        self.out.push((key, member, holder));
                    }
                    Entered::Waits(key, number) => self.waiters.push((key, number, wants)),
                    Entered::Closed => {}
                }
            }
            Move::Claim(at) => {
                let Some((key, number, wants)) = pick(&mut self.waiters, at) else {
                    return;
                };
                let served = self.is_served(number);
                // A place goes to who has no dial under way; what comes of a dial goes to the first.
                if served && !self.state.has_lent_place(number) {
                    let later = self
                        .waiters
                        .iter()
                        .filter(|(other, earlier, _)| *other == key && *earlier < number);
                    for (_, earlier, _) in later {
                        assert!(
                            self.is_served(*earlier),
                            "{number} was served before {earlier}"
                        );
                    }
                }
                let (claimed, _) =
                    self.with(|state, _, work| state.claim(&key, number, None, holder, work));
                match claimed {
                    Some(Ok((Given::Member(member), holder))) => {
                        assert_ne!(wants, Wants::Place);
                        self.out.push((key, member, holder));
                    }
                    Some(Ok((Given::Place(generation), _))) => {
                        assert_ne!(wants, Wants::Any);
                        self.places.push((key, generation));
                    }
                    Some(Err(_)) => {}
                    None => self.waiters.push((key, number, wants)),
                }
            }
            Move::Leave(at) => {
                if let Some((key, number, _)) = pick(&mut self.waiters, at) {
                    self.with(|state, now, work| state.leave(&key, number, now, work));
                }
            }
            Move::Dialled(at) => {
                if let Some((key, generation)) = pick(&mut self.dials, at) {
                    self.made += 1;
                    let dies = Some(self.now + Duration::from_secs(200));
                    let member = Member::new(self.made, self.now, dies, generation);
                    self.with(|state, _, work| state.born(&key, member, work));
                }
            }
            Move::Failed(at, is_transient) => {
                if let Some((key, _)) = pick(&mut self.dials, at) {
                    self.with(|state, _, work| {
                        state.dial_failed(&key, ConnectError::Failed(()), is_transient, work);
                    });
                }
            }
            Move::Filled(at) => {
                if let Some((key, generation)) = pick(&mut self.places, at) {
                    self.made += 1;
                    let dies = Some(self.now + Duration::from_secs(200));
                    let member = Member::new(self.made, self.now, dies, generation);
                    let holder = self.with(|state, _, work| state.place_filled(&key, holder, work));
                    self.out.push((key, member, holder));
                }
            }
            Move::PlaceLeft(at) => {
                if let Some((key, _)) = pick(&mut self.places, at) {
                    self.with(|state, _, work| state.place_left(&key, work));
                }
            }
            Move::DropIdle => {
                self.with(|state, now, work| state.drop_idle(now, work));
            }
            Move::PauseOver(at) => {
                if let Some(key) = pick(&mut self.pauses, at) {
                    self.with(|state, _, work| state.pause_over(&key, work));
                }
            }
            Move::GiveBack(at) => {
                if let Some((key, mut member, holder)) = pick(&mut self.out, at) {
                    member.uses += 1;
                    member.idle_since = self.now;
                    member.seen = self.now;
                    self.state.holders.remove(&holder);
                    self.with(|state, now, work| state.give_back(&key, member, now, work));
                }
            }
            Move::Broken(at) => {
                if let Some((key, member, holder)) = pick(&mut self.out, at) {
                    self.state.holders.remove(&holder);
                    self.with(|state, _, work| {
                        state.discard(&key, member.connection, CloseReason::Broken, work)
                    });
                }
            }
            Move::Detach(at) => {
                if let Some((key, _, holder)) = pick(&mut self.out, at) {
                    self.state.holders.remove(&holder);
                    self.with(|state, _, work| state.gone(&key, CloseReason::Detached, work));
                }
            }
            Move::Checked(at, is_good) => {
                if let Some((key, mut member)) = pick(&mut self.checks, at) {
                    member.seen = self.now;
                    self.with(|state, now, work| {
                        state.checked(&key);
                        if is_good {
                            state.give_back(&key, member, now, work);
                        } else {
                            state.discard(&key, member.connection, CloseReason::CheckFailed, work);
                        }
                    });
                }
            }
            Move::Wait(seconds) => self.now += Duration::from_secs(seconds),
            Move::Look(seconds) => {
                self.now += Duration::from_secs(seconds);
                self.with(|state, now, work| state.look_after(now, work));
            }
            Move::Limits {
                per_key,
                total,
                min_idle,
                max_idle,
            } => {
                self.has_shrunk = true;
                let limits = Limits {
                    max_per_key: per_key,
                    max_total: total,
                    min_idle,
                    max_idle_per_key: max_idle,
                    ..limits()
                };
                self.with(|state, now, work| state.set_limits(limits, now, work));
            }
            Move::Retire(key) => {
                self.with(|state, now, work| state.retire(key.as_ref(), now, work))
            }
            Move::Suspend => {
                self.with(|state, _, work| state.suspend(work));
                if self.state.phase == Phase::Suspended {
                    self.suspended.get_or_insert(self.dials_ever);
                }
            }
            Move::Resume => {
                self.with(|state, now, work| state.resume(now, work));
                self.suspended = None;
            }
            Move::Close => {
                self.with(|state, now, work| state.close_all(now, work));
                self.suspended = None;
            }
        }
    }

    fn is_served(&self, number: u64) -> bool {
        self.state.has_served(number)
    }

    fn check(&self) {
        let sizes = self.state.sizes();
        let lent = |number: &u64| self.state.has_lent_place(*number);
        let unclaimed = self.waiters.iter().filter(|(_, number, _)| lent(number));
        let making = self.dials.len() + self.places.len() + unclaimed.count();
        assert_eq!(sizes.connecting, making);
        assert_eq!(sizes.in_use, self.out.len());
        let served = self
            .waiters
            .iter()
            .filter(|(_, number, _)| self.is_served(*number));
        let served_well = served
            .clone()
            .filter(|(_, number, _)| self.state.has_served_well(*number))
            .count();
        assert_eq!(sizes.waiting, self.waiters.len() - served.count());
        let there = sizes.idle + served_well + self.out.len() + self.checks.len() + making;
        assert_eq!(sizes.total, there);
        let limits = &self.state.limits;
        if !self.has_shrunk {
            assert!(sizes.total <= limits.max_total, "{sizes:?}");
        }
        // Who waits, and for what there is; the dials; all else.
        let mut keys: HashMap<u8, (usize, usize, usize, usize)> = HashMap::new();
        for (key, number, wants) in &self.waiters {
            let count = keys.entry(**key).or_default();
            let waits = !self.is_served(*number);
            count.0 += usize::from(waits);
            count.1 += usize::from(waits && *wants != Wants::Place);
            let has = self.state.has_served_well(*number) || lent(number);
            count.3 += usize::from(has);
        }
        for (key, _) in &self.dials {
            keys.entry(**key).or_default().2 += 1;
        }
        let others = self
            .out
            .iter()
            .map(|(key, ..)| key)
            .chain(self.checks.iter().map(|(key, _)| key))
            .chain(self.places.iter().map(|(key, _)| key));
        for key in others {
            keys.entry(**key).or_default().3 += 1;
        }
        for (key, (waiting, takers, dials, others)) in keys {
            let idle = self.state.idle_of(key);
            assert!(
                takers == 0 || idle == 0 || self.suspended.is_some(),
                "{key}: one waits beside an idle connection"
            );
            let size = dials + others + idle;
            assert!(self.has_shrunk || size <= limits.max_per_key);
            let is_pausing = self.pauses.iter().any(|pausing| **pausing == key);
            let is_full = size >= limits.max_per_key;
            let has_no_room = sizes.total >= limits.max_total && sizes.idle == 0;
            let is_probing = dials > 0 && self.state.fails(key);
            assert!(
                waiting <= dials
                    || is_pausing
                    || is_full
                    || has_no_room
                    || is_probing
                    || self.suspended.is_some(),
                "{key}: {waiting} wait for {dials} dials, though more could be made: {sizes:?}"
            );
        }
    }
}

/// A dial is under way, but what comes of it is not what the waiter wants, and another one for nobody must not take the room.
#[test]
fn who_wants_a_place_gets_the_first_room() {
    let mut world = World::new();
    let narrow = Move::Limits {
        per_key: 2,
        total: 3,
        min_idle: 1,
        max_idle: 3,
    };
    for each in [
        narrow,
        Move::Enter(1, Wants::Any),
        Move::Leave(0),
        Move::Enter(1, Wants::Place),
    ] {
        world.play(each);
        world.check();
    }
    let number = world.waiters[0].1;
    assert_eq!(world.dials.len(), 2);
    assert!(!world.is_served(number));
    world.play(Move::Dialled(0));
    world.check();
    assert!(world.state.has_lent_place(number));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_line_stands_still(moves in prop::collection::vec(any_move(), 1..150)) {
        let mut world = World::new();
        for each in moves {
            world.play(each);
            world.check();
        }
        world.play(Move::Resume);
        world.check();
        // Everything comes to an end: all come back, dials succeed, and who still waits is served.
        let mut rounds = 0;
        while !world.waiters.is_empty() || !world.out.is_empty() || !world.dials.is_empty() || !world.checks.is_empty() || !world.places.is_empty() {
            for each in [Move::PauseOver(0), Move::Dialled(0), Move::Filled(0), Move::Checked(0, true), Move::Claim(rounds), Move::GiveBack(0)] {
                world.play(each);
                world.check();
            }
            rounds += 1;
            prop_assert!(rounds < 5000, "somebody waits for ever");
        }
        world.play(Move::Close);
        let sizes = world.state.sizes();
        prop_assert_eq!((sizes.total, sizes.idle, sizes.waiting), (0, 0, 0));
    }

    #[test]
    fn a_pool_may_close_at_any_moment(
        before in prop::collection::vec(any_move(), 1..60),
        after in prop::collection::vec(any_move(), 1..60),
    ) {
        let mut world = World::new();
        before.into_iter().for_each(|each| world.play(each));
        world.play(Move::Close);
        prop_assert_eq!(world.state.sizes().waiting, 0);
        let dials = world.dials.len();
        // Places that were lent before may be used still; what they hold is closed when it comes back.
        for each in after {
            world.play(each);
            world.check();
        }
        prop_assert!(world.dials.len() <= dials);
        prop_assert_eq!(world.state.sizes().idle, 0);
    }
}
