//! The order of lanes, and the bound on each one's wait.

use super::*;
use crate::scheduler::rng::Rng;

fn waiting(lanes: &[Lane]) -> Waiting {
    let mut waiting = Waiting::NONE;
    lanes.iter().for_each(|lane| waiting.insert(*lane));
    waiting
}

const EXTREMES: [Patience; 6] = [
    Patience {
        high: 8,
        normal: 16,
        low: 64,
    },
    Patience {
        high: 4,
        normal: 4,
        low: 4,
    },
    Patience {
        high: 1_000,
        normal: 4,
        low: 1_000,
    },
    Patience {
        high: 4,
        normal: 500,
        low: 5,
    },
    Patience {
        high: 64,
        normal: 16,
        low: 8,
    },
    Patience {
        high: u32::MAX,
        normal: u32::MAX,
        low: 4,
    },
];

#[test]
fn the_most_urgent_goes_first_while_nobody_is_due() {
    for bits in 1..1 << Lane::COUNT {
        let set = Waiting::of_bits(bits);
        let mut aging = Aging::new(Patience::default());
        let best = set.best();
        assert_eq!(aging.choose(set), best, "{set:?}");
        assert!(
            Lane::ALL
                .iter()
                .all(|lane| !set.has(*lane) || Some(*lane) >= best)
        );
    }
    assert_eq!(Aging::new(Patience::default()).choose(Waiting::NONE), None);
}

/// Whatever comes to the others, in whatever order: polls of others pass a waiting lane by no more often than it says.
#[test]
fn no_lane_waits_for_more_polls_than_it_says() {
    for patience in EXTREMES {
        for (lane, patience_of_lane) in [
            (Lane::Critical, CRITICAL_PATIENCE),
            (Lane::High, patience.high),
            (Lane::Normal, patience.normal),
            (Lane::Low, patience.low),
        ] {
            if patience_of_lane > 10_000 {
                continue;
            }
            // How often others wait, in 16ths: never, always, and between.
            for density in [0_u32, 1, 8, 15, 16] {
                let mut aging = Aging::new(patience);
                let mut rng = Rng::new(u64::from(density), lane.number());
                let (mut passed, mut longest) = (0, 0);
                for _ in 0..20_000 {
                    let mut set = waiting(&[lane]);
                    for other in Lane::ALL {
                        if rng.below(16) < density as usize {
                            set.insert(other);
                        }
                    }
                    let chosen = aging.choose(set);
                    assert!(chosen.is_some_and(|chosen| set.has(chosen)));
                    passed = if chosen == Some(lane) { 0 } else { passed + 1 };
                    longest = longest.max(passed);
                }
                assert!(
                    longest < patience_of_lane + SLACK,
                    "{lane:?} waited for {longest} polls: {patience:?}, others at {density}/16"
                );
            }
        }
    }
}

/// With all of them always waiting each has its share, and the most urgent what is left.
#[test]
fn shares_are_what_was_promised() {
    let mut aging = Aging::new(Patience::default());
    let set = waiting(&[Lane::Critical, Lane::High, Lane::Normal, Lane::Low]);
    let mut served = [0; Lane::COUNT];
    for _ in 0..64_000 {
        served[aging.choose(set).map_or(0, Lane::number)] += 1;
    }
    let [urgent, critical, high, normal, low] = served;
    assert_eq!(urgent, 0);
    for (count, share) in [(high, 8_000), (normal, 4_000), (low, 1_000)] {
        assert!(count <= share && count > share * 9 / 10, "{served:?}");
    }
    assert!(critical >= 64_000 * 51 / 64, "{served:?}");
}

#[test]
fn an_urgent_task_goes_ahead_of_a_lane_that_is_due_but_not_two_of_them() {
    let mut aging = Aging::new(Patience::default());
    let both = waiting(&[Lane::High, Lane::Low]);
    for _ in 0..7 {
        // Low is due at last; High is not, for it is served.
        while aging.due(both) != Some(Lane::Low) {
            assert_eq!(aging.choose(both), Some(Lane::High));
        }
        let with_urgent = waiting(&[Lane::Urgent, Lane::High, Lane::Low]);
        assert_eq!(aging.choose(with_urgent), Some(Lane::Urgent));
        assert_eq!(aging.choose(with_urgent), Some(Lane::Low));
        assert_eq!(aging.choose(with_urgent), Some(Lane::Urgent));
    }
}

#[test]
fn who_waits_no_more_begins_anew() {
    let mut aging = Aging::new(Patience {
        low: 4,
        ..Patience::default()
    });
    let both = waiting(&[Lane::Critical, Lane::Low]);
    for _ in 0..100 {
        for _ in 0..3 {
            assert_eq!(aging.choose(both), Some(Lane::Critical));
        }
        // Somebody else took what waited.
        assert_eq!(
            aging.choose(waiting(&[Lane::Critical])),
            Some(Lane::Critical)
        );
    }
}

#[test]
fn impatience_is_refused() {
    let mut patience = Patience::default();
    patience.set(Priority::Low, PATIENCE_MIN);
    assert_eq!(patience.low, PATIENCE_MIN);
    for (priority, polls) in [(Priority::Low, PATIENCE_MIN - 1), (Priority::Critical, 100)] {
        let result = std::panic::catch_unwind(|| {
            let mut patience = Patience::default();
            patience.set(priority, polls);
        });
        assert!(result.is_err());
    }
}
