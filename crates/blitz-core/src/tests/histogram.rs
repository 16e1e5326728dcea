//! Histograms against their own definition, and against sorted values.

use super::*;

fn layouts() -> [Layout; 13] {
    [
        Layout::NANOSECONDS,
        Layout::new(0, 63, 0),
        Layout::new(3, 4, 3),
        Layout::new(8, 63, 8),
        Layout::new(1, 20, 1),
        Layout::linear(100_000, 10),
        Layout::linear(1, 1),
        Layout::linear(7, 3),
        Layout::octaves_between(100, 60_000_000_000, 2),
        Layout::octaves_between(0, 1, 0),
        Layout::octaves_between(20_000, 1_000_000, 10),
        Layout::doubling(0, 64),
        Layout::doubling(17, 10),
    ]
}

#[test]
fn each_value_lies_in_one_bucket_and_the_buckets_in_a_row() {
    for layout in layouts() {
        let mut next = Some(0);
        for index in 0..layout.buckets() {
            let range = layout.range(index);
            assert_eq!(Some(*range.start()), next, "{layout:?}, bucket {index}");
            for value in [*range.start(), *range.end()] {
                assert_eq!(layout.index(value), index, "{layout:?}, {value}");
            }
            next = range.end().checked_add(1);
        }
        assert_eq!(next, None, "{layout:?}: the last bucket ends at the top");
    }
}

#[test]
fn a_bucket_is_narrow_beside_its_values() {
    let layout = Layout::NANOSECONDS;
    for index in 1..layout.buckets() - 1 {
        let range = layout.range(index);
        assert!((range.end() - range.start()) < range.start() / 8);
    }
}

#[test]
fn percentiles_are_those_of_the_sorted_values_or_little_above() {
    let histogram = Histogram::new(Layout::NANOSECONDS);
    let mut values = Vec::new();
    // A walk over all sizes.
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    for step in 0..20_000 {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        let value = 64 + word % (1 << (7 + step % 25));
        histogram.record(value);
        values.push(value);
    }
    values.sort_unstable();
    let seen = histogram.snapshot();
    assert_eq!(seen.count(), 20_000);
    assert_eq!(seen.sum(), values.iter().sum());
    assert_eq!(
        (seen.min(), seen.max()),
        (values.first().copied(), values.last().copied())
    );
    assert_eq!(seen.mean(), Some(values.iter().sum::<u64>() / 20_000));
    for percent in [0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0] {
        let rank = ((percent / 100.0 * 20_000.0_f64).ceil() as usize).max(1);
        let exact = values[rank - 1];
        let answer = seen.percentile(percent).unwrap();
        assert!(
            exact <= answer && answer <= exact + exact / 8,
            "{percent} %: {answer} for {exact}"
        );
    }
    assert_eq!(seen.percentile(100.0), seen.max());
}

#[test]
fn one_without_values_says_so() {
    let histogram = Histogram::new(Layout::NANOSECONDS);
    for seen in [histogram.snapshot(), Snapshot::empty(Layout::NANOSECONDS)] {
        assert_eq!((seen.count(), seen.sum()), (0, 0));
        assert_eq!((seen.min(), seen.max(), seen.mean()), (None, None, None));
        assert_eq!(seen.percentile(50.0), None);
    }
    histogram.record(u64::MAX);
    assert_eq!(histogram.snapshot().percentile(50.0), Some(u64::MAX));
    histogram.clear();
    assert_eq!(histogram.snapshot(), Snapshot::empty(Layout::NANOSECONDS));
}

#[test]
fn what_two_threads_add_is_counted_and_merges() {
    let histogram = Histogram::new(Layout::NANOSECONDS);
    std::thread::scope(|scope| {
        for first in [100, 1_000] {
            let histogram = &histogram;
            scope.spawn(move || (first..first + 10_000).for_each(|value| histogram.record(value)));
        }
    });
    let whole = histogram.snapshot();
    assert_eq!(whole.count(), 20_000);
    assert_eq!((whole.min(), whole.max()), (Some(100), Some(10_999)));
    let mut parts = Snapshot::empty(Layout::NANOSECONDS);
    for first in [100, 1_000] {
        let part = Histogram::new(Layout::NANOSECONDS);
        (first..first + 10_000).for_each(|value| part.record(value));
        parts.merge(&part.snapshot());
    }
    assert_eq!(parts, whole);
    assert_eq!(parts.buckets().map(|(_, count)| count).sum::<u64>(), 20_000);
    let many = Histogram::new(Layout::NANOSECONDS);
    many.record_many(500, 7);
    assert_eq!((many.snapshot().count(), many.snapshot().sum()), (7, 3_500));
    assert_eq!(many.count_in(many.layout().index(500)), 7);
}

#[test]
fn octaves_between_two_values_are_fine_from_the_one_to_the_other() {
    for (low, high, parts) in [(100, 60_000_000_000, 2), (1_000, 1_024, 3), (64, 64, 0)] {
        let layout = Layout::octaves_between(low, high, parts);
        assert!(*layout.range(0).end() < low.max(1));
        let last = layout.range(layout.buckets() - 1);
        assert!(
            *last.start() >= high,
            "{layout:?}: {high} has a bucket with an end, or borders on one"
        );
        for value in [low, high] {
            let range = layout.range(layout.index(value));
            if *range.end() != u64::MAX {
                assert!((range.end() - range.start()) >> (63 - parts) == 0);
                assert!(range.end() - range.start() < (value >> parts).max(1));
            }
        }
    }
    let doubling = Layout::doubling(3, 4);
    let ends: Vec<_> = (0..4).map(|index| *doubling.range(index).end()).collect();
    assert_eq!(ends, [7, 15, 31, u64::MAX]);
}
