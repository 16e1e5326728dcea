//! The wheel against a model that keeps everything in one ordered map.

use std::collections::BTreeMap;

use blitz_core::slab::Key;
use proptest::prelude::*;

use super::*;

/// Deadline and registration, with the number that the entry carries.
#[derive(Default)]
struct Model {
    now: u64,
    seq: u64,
    pending: BTreeMap<(u64, u64), u32>,
    place: BTreeMap<u32, (u64, u64)>,
}

impl Model {
    fn insert(&mut self, deadline: u64, id: u32) -> bool {
        self.seq += 1;
        if deadline > self.now {
            self.pending.insert((deadline, self.seq), id);
            self.place.insert(id, (deadline, self.seq));
        }
        deadline > self.now
    }

    fn remove(&mut self, id: u32) -> bool {
        match self.place.remove(&id) {
            Some(place) => self.pending.remove(&place).is_some(),
            None => false,
        }
    }

    fn pop(&mut self) -> Option<u32> {
        let (&place, &id) = self.pending.first_key_value()?;
        if place.0 > self.now {
            return None;
        }
        self.pending.remove(&place);
        self.place.remove(&id);
        Some(id)
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// So far ahead of the present.
    Insert(u64),
    InsertAt(u64),
    /// So many at once, so far ahead and so far from each other: enough to have a slot refined.
    InsertMany(u64, u64),
    /// One of those inserted before, by position.
    Remove(prop::sample::Index),
    Reset(prop::sample::Index, u64),
    Advance(u64),
    /// To the deadline that the wheel itself names.
    Jump,
    PopOne,
}

/// Nanoseconds of every magnitude, from below a slot's width to beyond the highest level.
fn span() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..3_000_000u64,
        4 => (0..63u32).prop_flat_map(|bits| (1u64 << bits)..(2u64 << bits)),
        2 => (0..70u64, 0..7u32).prop_map(|(n, level)| n.saturating_mul(TICK_NS << (6 * level))),
        1 => Just(u64::MAX),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => span().prop_map(Step::Insert),
        1 => prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()].prop_map(Step::InsertAt),
        1 => (span(), span()).prop_map(|(by, apart)| Step::InsertMany(by, apart / 512)),
        3 => any::<prop::sample::Index>().prop_map(Step::Remove),
        3 => (any::<prop::sample::Index>(), span()).prop_map(|(index, by)| Step::Reset(index, by)),
        3 => span().prop_map(|by| Step::Advance(by / 4)),
        3 => Just(Step::Jump),
        1 => Just(Step::PopOne),
    ];
    prop::collection::vec(step, 1..200)
}

fn check(steps: Vec<Step>) {
    let mut wheel = Wheel::new();
    let mut model = Model::default();
    let mut keys: Vec<Key> = Vec::new();
    for step in steps {
        match step {
            Step::Insert(by) => {
                let deadline = model.now.saturating_add(by);
                insert(&mut wheel, &mut model, &mut keys, deadline);
            }
            Step::InsertAt(deadline) => insert(&mut wheel, &mut model, &mut keys, deadline),
            Step::InsertMany(by, apart) => {
                let first = model.now.saturating_add(by);
                for n in 0..u64::from(LIST_MAX) * 3 / 2 {
                    let deadline = first.saturating_add(n.wrapping_mul(apart));
                    insert(&mut wheel, &mut model, &mut keys, deadline);
                }
            }
            Step::Remove(index) if !keys.is_empty() => {
                let id = index.index(keys.len());
                let removed = wheel.remove(keys[id]);
                assert_eq!(removed.is_some(), model.remove(id as u32));
                assert!(removed.is_none_or(|payload| payload == id as u32));
            }
            Step::Reset(index, by) if !keys.is_empty() => {
                let id = index.index(keys.len());
                let deadline = model.now.saturating_add(by);
                let pending = wheel.payload_mut(keys[id]).is_some();
                assert_eq!(pending, model.remove(id as u32));
                let fired = wheel.reset(keys[id], deadline);
                let waits = pending && model.insert(deadline, id as u32);
                assert_eq!(fired.is_some(), pending && !waits);
            }
            Step::Remove(_) | Step::Reset(..) => {}
            Step::Advance(by) => {
                model.now = model.now.saturating_add(by);
                drain(&mut wheel, &mut model);
            }
            Step::Jump => {
                if let Some(next) = wheel.next_deadline() {
                    assert!(next > model.now, "what was due has been fired");
                    model.now = next;
                    drain(&mut wheel, &mut model);
                }
            }
            Step::PopOne => {
                wheel.advance(model.now);
                assert_eq!(wheel.pop_due(), model.pop());
            }
        }
        // With fewer than 32 entries per slot and one deadline removed at a time the answer is exact.
        let next = wheel.next_deadline();
        let truth = model.pending.first_key_value().map(|(place, _)| place.0);
        if keys.len() <= SCAN_FREE as usize {
            assert_eq!(next, truth);
        } else {
            assert!(next <= truth.or(next) && next.is_some() == truth.is_some());
        }
    }
    model.now = u64::MAX;
    drain(&mut wheel, &mut model);
    assert_eq!(wheel.next_deadline(), None);
    for key in keys {
        wheel.remove(key);
    }
    assert_eq!(wheel.len(), 0);
}

fn insert(wheel: &mut Wheel<u32>, model: &mut Model, keys: &mut Vec<Key>, deadline: u64) {
    let id = keys.len() as u32;
    let waits = model.insert(deadline, id);
    match wheel.insert(deadline, id) {
        Ok(key) => {
            assert!(waits);
            keys.push(key);
        }
        Err(payload) => assert!(!waits && payload == id),
    }
}

fn drain(wheel: &mut Wheel<u32>, model: &mut Model) {
    wheel.advance(model.now);
    loop {
        let fired = wheel.pop_due();
        assert_eq!(fired, model.pop());
        if fired.is_none() {
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn fires_what_an_ordered_map_would(steps in steps()) {
        check(steps);
    }
}

#[test]
fn order_is_by_deadline_then_by_registration() {
    let mut wheel = Wheel::new();
    let ms = TICK_NS;
    // The same millisecond, given in the wrong order, through different levels.
    wheel.advance(0);
    let keys: Vec<Key> = [(70 * ms + 3, 0), (70 * ms + 1, 1), (70 * ms + 3, 2)]
        .map(|(deadline, id)| wheel.insert(deadline, id).unwrap())
        .into();
    wheel.advance(69 * ms);
    wheel.insert(70 * ms + 1, 3).unwrap();
    wheel.insert(70 * ms + 2, 4).unwrap();
    // A reset registers anew, even to the same deadline.
    assert_eq!(wheel.reset(keys[0], 70 * ms + 3), None);
    wheel.advance(70 * ms + 2);
    let first: Vec<u32> = std::iter::from_fn(|| wheel.pop_due()).collect();
    assert_eq!(first, [1, 3, 4]);
    assert_eq!(wheel.next_deadline(), Some(70 * ms + 3));
    wheel.advance(70 * ms + 3);
    let rest: Vec<u32> = std::iter::from_fn(|| wheel.pop_due()).collect();
    assert_eq!(rest, [2, 0]);
}

#[test]
fn a_deadline_at_the_end_of_time_waits_for_it() {
    let mut wheel = Wheel::new();
    wheel.insert(u64::MAX, 1).unwrap();
    wheel.insert(u64::MAX - 1, 2).unwrap();
    assert_eq!(wheel.next_deadline(), Some(u64::MAX - 1));
    wheel.advance(u64::MAX - 2);
    assert_eq!(wheel.pop_due(), None);
    wheel.advance(u64::MAX - 1);
    assert_eq!((wheel.pop_due(), wheel.pop_due()), (Some(2), None));
    assert_eq!(wheel.insert(u64::MAX - 1, 3), Err(3));
    wheel.advance(u64::MAX);
    assert_eq!(wheel.pop_due(), Some(1));
}

#[test]
fn time_does_not_run_backwards() {
    let mut wheel = Wheel::new();
    wheel.advance(50 * TICK_NS);
    wheel.advance(20 * TICK_NS);
    assert_eq!(wheel.insert(30 * TICK_NS, 1), Err(1));
    wheel.insert(51 * TICK_NS, 2).unwrap();
    assert_eq!(wheel.next_deadline(), Some(51 * TICK_NS));
}

/// A timeout shorter than a slot, created and cancelled again and again while time stands still.
#[test]
fn cancelled_short_timers_leave_nothing_behind() {
    let mut wheel = Wheel::new();
    let kept = wheel.insert(900_000, 0).unwrap();
    for n in 1..10_000u32 {
        let key = wheel.insert(500_000, n).unwrap();
        wheel.remove(key);
        wheel.reset(kept, 900_000 - u64::from(n));
    }
    assert!(wheel.due.len() < 200, "{} heap entries", wheel.due.len());
    assert_eq!(wheel.next_deadline(), Some(900_000 - 9_999));
}

/// A million that end within one slot of four seconds: no step of time handles more of them than end by then, and few besides.
#[test]
fn a_million_in_one_slot_burden_no_step() {
    let (count, begin, window) = (1_000_000u64, 4_096 * TICK_NS, 4_096 * TICK_NS);
    let mut wheel = Wheel::new();
    let mut most_to_insert = 0;
    for n in 0..count {
        let before = wheel.work;
        // Every deadline of the window, in a mixed order.
        let nth = n.wrapping_mul(7_368_787) % count;
        wheel
            .insert(begin + nth * window / count, n as u32)
            .unwrap();
        most_to_insert = most_to_insert.max(wheel.work - before);
    }
    // A list is spread when it is full: over the level below, or through all of them if it lies in one millisecond.
    let few = LEVELS * (LIST_MAX as usize + 1);
    assert!(most_to_insert <= few, "{most_to_insert} for one insertion");
    let mut fired = 0;
    let mut due = count.div_ceil(4_096) as usize;
    for tick in 0..=8_192u64 {
        let before = wheel.work;
        wheel.advance(tick * TICK_NS);
        let popped = std::iter::from_fn(|| wheel.pop_due()).count();
        assert!(
            wheel
                .next_deadline()
                .is_none_or(|next| next > tick * TICK_NS)
        );
        let work = wheel.work - before;
        // What ends within the millisecond that was entered is put in order; the rest of the work has a bound.
        assert!(
            work <= popped + due + few,
            "{work} at {tick} ms, {popped} fired"
        );
        due = due.max(popped);
        fired += popped;
    }
    assert_eq!((fired as u64, wheel.next_deadline()), (count, None));
    let unused = wheel.nodes.len() - LEVELS;
    assert_eq!(
        wheel.free_nodes.len(),
        unused,
        "finer slots are left behind"
    );
}

/// Slots that were refined are given back when their entries are cancelled, and forget nothing when they are passed whole.
#[test]
fn refined_slots_are_passed_and_emptied_whole() {
    let mut wheel = Wheel::new();
    let deadline = |n: u32| 4_096 * TICK_NS + u64::from(n % 7) * 64 * TICK_NS + u64::from(n);
    let keys: Vec<Key> = (0..20_000)
        .map(|n| wheel.insert(deadline(n), n).unwrap())
        .collect();
    assert!(wheel.nodes.len() > LEVELS, "nothing was refined");
    for (n, key) in keys.iter().enumerate().filter(|(n, _)| n % 7 < 3) {
        assert_eq!(wheel.remove(*key), Some(n as u32));
    }
    assert!(!wheel.free_nodes.is_empty(), "emptied ones are given back");
    wheel.advance(3_600_000 * TICK_NS);
    let mut fired: Vec<u32> = std::iter::from_fn(|| wheel.pop_due()).collect();
    assert!(fired.is_sorted_by_key(|n| deadline(*n)));
    fired.sort_unstable();
    assert!(fired.into_iter().eq((0..20_000).filter(|n| n % 7 >= 3)));
    assert_eq!(wheel.free_nodes.len(), wheel.nodes.len() - LEVELS);
}

/// A million pending, cancelled from the earliest on, with a look at the next deadline each time: linear.
#[test]
fn a_million_cancelled_in_order_stay_linear() {
    let count = 1_000_000u64;
    let mut wheel = Wheel::new();
    let deadline = |n: u64| 30_000 * TICK_NS + n * 100;
    let keys: Vec<Key> = (0..count)
        .map(|n| wheel.insert(deadline(n), n as u32).unwrap())
        .collect();
    assert_eq!(wheel.next_deadline(), Some(deadline(0)));
    for (n, key) in keys.into_iter().enumerate() {
        wheel.remove(key);
        let next = wheel.next_deadline();
        assert_eq!(next.is_none(), n as u64 + 1 == count);
        assert!(next.is_none_or(|ns| ns <= deadline(n as u64 + 1)));
    }
}
