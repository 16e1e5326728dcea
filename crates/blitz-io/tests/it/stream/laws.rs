//! Each method does what the iterator's does, whenever the stream below is pending.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet, VecDeque};

use blitz_io::stream::{self, StreamExt, StreamNotifyClose};
use proptest::prelude::*;

use super::{Script, drive, finish};

type Steps = Vec<Option<u8>>;

fn steps() -> impl Strategy<Value = Steps> {
    proptest::collection::vec(proptest::option::weighted(0.6, any::<u8>()), 0..300)
}

fn items(steps: &Steps) -> impl Iterator<Item = u8> + Clone {
    steps.iter().flatten().copied()
}

fn script(steps: &Steps) -> Script<u8> {
    Script::new(steps.iter().copied())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_by_one(steps in steps(), bound: u8) {
        let (stream, model) = (|| script(&steps), || items(&steps));
        prop_assert_eq!(drive(stream()), model().collect::<Vec<_>>());
        prop_assert_eq!(
            drive(stream().map(|x| u16::from(x) * 3)),
            model().map(|x| u16::from(x) * 3).collect::<Vec<_>>()
        );
        prop_assert_eq!(
            drive(stream().filter(|x| *x < bound)),
            model().filter(|x| *x < bound).collect::<Vec<_>>()
        );
        let odd = |x: u8| (x % 2 == 1).then_some(u32::from(x));
        prop_assert_eq!(drive(stream().filter_map(odd)), model().filter_map(odd).collect::<Vec<_>>());
        let small = |x: u8| (x < bound).then_some(i64::from(x));
        prop_assert_eq!(drive(stream().map_while(small)), model().map_while(small).collect::<Vec<_>>());
    }

    #[test]
    fn beginnings_and_ends(steps in steps(), bound: u8, n in 0usize..320) {
        let (stream, model) = (|| script(&steps), || items(&steps));
        prop_assert_eq!(drive(stream().take(n)), model().take(n).collect::<Vec<_>>());
        prop_assert_eq!(drive(stream().skip(n)), model().skip(n).collect::<Vec<_>>());
        prop_assert_eq!(
            drive(stream().take_while(|x| *x < bound)),
            model().take_while(|x| *x < bound).collect::<Vec<_>>()
        );
        prop_assert_eq!(
            drive(stream().skip_while(|x| *x < bound)),
            model().skip_while(|x| *x < bound).collect::<Vec<_>>()
        );
        // Asked after their end, they stay ended, and the script is not asked again.
        let stays_ended = |stream: &mut (dyn stream::Stream<Item = u8> + Unpin)| {
            while finish(stream.next()).is_some() {}
            finish(stream.next()).is_none() && finish(stream.next()).is_none()
        };
        prop_assert!(stays_ended(&mut stream().fuse()));
        prop_assert!(stays_ended(&mut stream().take(n)));
        prop_assert!(stays_ended(&mut stream().take_while(|x| *x < bound)));
        prop_assert!(stays_ended(&mut stream().peekable()));
    }

    #[test]
    fn a_future_for_each(steps in steps(), waits in 0usize..3) {
        let slow = |x: u8| async move {
            for _ in 0..waits {
                blitz_io::task::yield_now().await;
            }
            x / 2
        };
        prop_assert_eq!(
            drive(script(&steps).then(slow)),
            items(&steps).map(|x| x / 2).collect::<Vec<_>>()
        );
    }

    #[test]
    fn two_in_one(one in steps(), other in steps()) {
        prop_assert_eq!(
            drive(script(&one).chain(script(&other))),
            items(&one).chain(items(&other)).collect::<Vec<_>>()
        );
        let merged = drive(script(&one).map(Ok).merge(script(&other).map(Err)));
        prop_assert_eq!(merged.iter().filter_map(|x| x.ok()).collect::<Vec<_>>(), items(&one).collect::<Vec<_>>());
        prop_assert_eq!(merged.iter().filter_map(|x| x.err()).collect::<Vec<_>>(), items(&other).collect::<Vec<_>>());
    }

    #[test]
    fn a_look_changes_nothing(steps in steps(), looks in proptest::collection::vec(any::<bool>(), 300)) {
        let mut stream = script(&steps).peekable();
        let mut model = items(&steps).peekable();
        for look in looks {
            if look {
                prop_assert_eq!(finish(stream.peek()), model.peek());
            }
            prop_assert_eq!(finish(stream.next()), model.next());
        }
        prop_assert_eq!(drive(stream), model.collect::<Vec<_>>());
    }

    #[test]
    fn questions(steps in steps(), bound: u8) {
        let (mut stream, mut model) = (script(&steps).fuse(), items(&steps));
        prop_assert_eq!(finish(stream.all(|x| x < bound)), model.all(|x| x < bound));
        prop_assert_eq!(finish(stream.any(|x| x < bound)), model.any(|x| x < bound));
        prop_assert_eq!(
            finish(stream.fold(1u64, |sum, x| sum.wrapping_mul(31) ^ u64::from(x))),
            model.fold(1u64, |sum, x| sum.wrapping_mul(31) ^ u64::from(x))
        );
    }

    #[test]
    fn collections(steps in steps(), bound: u8) {
        let (stream, model) = (|| script(&steps), || items(&steps));
        prop_assert_eq!(finish(stream().collect::<Vec<_>>()), model().collect::<Vec<_>>());
        prop_assert_eq!(finish(stream().collect::<Box<[u8]>>()), model().collect::<Box<[u8]>>());
        prop_assert_eq!(finish(stream().collect::<VecDeque<_>>()), model().collect::<VecDeque<_>>());
        prop_assert_eq!(finish(stream().collect::<HashSet<_>>()), model().collect::<HashSet<_>>());
        prop_assert_eq!(
            finish(stream().map(|x| x.to_string()).collect::<String>()),
            model().map(|x| x.to_string()).collect::<String>()
        );
        prop_assert_eq!(
            finish(stream().map(|x| (x / 2, x)).collect::<BTreeMap<_, _>>()),
            model().map(|x| (x / 2, x)).collect::<BTreeMap<_, _>>()
        );
        finish(stream().map(drop).collect::<()>());
        let asked = Cell::new(0);
        let checked = |x: u8| {
            asked.set(asked.get() + 1);
            if x < bound { Ok(x) } else { Err(x) }
        };
        let collected = finish(stream().map(checked).collect::<Result<Vec<_>, _>>());
        let by_stream = asked.take();
        prop_assert_eq!(collected, model().map(checked).collect::<Result<Vec<_>, _>>());
        prop_assert_eq!(by_stream, asked.get(), "nothing is asked for after an error");
        let small = |x: u8| (x < bound).then_some(x);
        prop_assert_eq!(
            finish(stream().map(small).collect::<Option<Vec<_>>>()),
            model().map(small).collect::<Option<Vec<_>>>()
        );
    }

    #[test]
    fn an_end_is_told(steps in steps()) {
        let told = drive(StreamNotifyClose::new(script(&steps)));
        let model = items(&steps).map(Some).chain([None]);
        prop_assert_eq!(told, model.collect::<Vec<_>>());
    }

    #[test]
    fn what_is_there(values in proptest::collection::vec(any::<u8>(), 0..9)) {
        prop_assert_eq!(drive(stream::iter(values.clone())), values);
    }
}

#[test]
fn one_none_and_never() {
    assert_eq!(drive(stream::once(3)), [3]);
    assert!(drive(stream::empty::<u8>()).is_empty());
    let (_, waker) = super::Count::new();
    let mut never = stream::pending::<u8>();
    let mut cx = std::task::Context::from_waker(&waker);
    let polled = std::pin::Pin::new(&mut never);
    assert!(stream::Stream::poll_next(polled, &mut cx).is_pending());
}

#[test]
fn errors_come_before_the_question_mark() {
    let mut stream = Script::new([Some(Ok(1)), None, Some(Err("no")), Some(Ok(2))]);
    assert_eq!(finish(stream.try_next()), Ok(Some(1)));
    assert_eq!(finish(stream.try_next()), Err("no"));
    assert_eq!(finish(stream.try_next()), Ok(Some(2)));
    assert_eq!(finish(stream.try_next()), Ok(None));
}

#[test]
fn merged_streams_that_are_always_ready_take_turns() {
    let merged = stream::iter([0; 20]).merge(stream::iter([1; 20]));
    let merged: Vec<u8> = drive(merged);
    assert!(merged.chunks(2).all(|pair| pair == [0, 1]), "{merged:?}");
}

/// `futures::stream::repeat` knows no budget: what never gives an item must let others run.
#[test]
fn what_gives_nothing_of_what_is_always_ready_lets_others_run() {
    let asked = Cell::new(0usize);
    let never = |_: &u8| {
        asked.set(asked.get() + 1);
        false
    };
    let (count, waker) = super::Count::new();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut stream = std::pin::pin!(futures::stream::repeat(1u8).filter(never));
    for round in 1..=3 {
        assert!(stream::Stream::poll_next(stream.as_mut(), &mut cx).is_pending());
        assert_eq!(count.get(), round, "its task goes on");
    }
    assert!((3..1000).contains(&asked.get()), "{}", asked.get());
    let mut fold = std::pin::pin!(futures::stream::repeat(1u8).fold(0u8, |_, x| x));
    assert!(fold.as_mut().poll(&mut cx).is_pending());
}
