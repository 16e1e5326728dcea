//! `StreamMap`: nothing is lost or out of order, who has something takes turns, and who has nothing costs nothing.

use std::cell::Cell;
use std::collections::HashSet;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use blitz_io::runtime::{Builder, RngSeed};
use blitz_io::stream::wrappers::{ReceiverStream, UnboundedReceiverStream};
use blitz_io::stream::{self, Stream, StreamExt, StreamMap, StreamNotifyClose};
use blitz_io::sync::mpsc;
use proptest::prelude::*;

use super::{Count, Script, drive};
use crate::harness::{on_every, run};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn each_streams_items_come_whole_and_in_order(
        all in proptest::collection::vec(
            proptest::collection::vec(proptest::option::weighted(0.6, any::<u8>()), 0..40),
            0..12,
        ),
        many in any::<bool>(),
    ) {
        let mut map: StreamMap<usize, _> = all.iter().cloned().map(Script::new).enumerate().collect();
        prop_assert_eq!(map.len(), all.len());
        let items = if many {
            let (mut items, mut rest) = (Vec::new(), Vec::new());
            loop {
                let added = super::finish(map.next_many(&mut rest, 7));
                prop_assert_eq!(added, rest.len());
                prop_assert!(added <= 7);
                items.append(&mut rest);
                if added == 0 {
                    break;
                }
            }
            items
        } else {
            drive(&mut map)
        };
        prop_assert!(map.is_empty());
        for (key, steps) in all.iter().enumerate() {
            let ours: Vec<u8> = items.iter().filter(|(k, _)| *k == key).map(|(_, x)| *x).collect();
            prop_assert_eq!(ours, steps.iter().flatten().copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn keys_come_and_go_as_in_a_map(moves in proptest::collection::vec((any::<bool>(), 0u8..6, any::<u8>()), 0..60)) {
        let mut model = std::collections::BTreeMap::new();
        let mut map = StreamMap::new();
        for (inserts, key, value) in moves {
            if inserts {
                let before = map.insert(key, stream::once(value)).map(drive);
                prop_assert_eq!(before, model.insert(key, value).map(|x| vec![x]));
            } else {
                prop_assert_eq!(map.remove(&key).map(drive), model.remove(&key).map(|x| vec![x]));
            }
            prop_assert_eq!(map.len(), model.len());
            prop_assert_eq!(map.contains_key(&key), model.contains_key(&key));
        }
        let mut keys: Vec<u8> = map.keys().copied().collect();
        keys.sort_unstable();
        prop_assert_eq!(keys, model.keys().copied().collect::<Vec<_>>());
        let mut items = drive(map);
        items.sort_unstable();
        prop_assert_eq!(items, model.into_iter().collect::<Vec<_>>());
    }
}

/// A stream that counts how often it is asked.
struct Asked<S>(S, Rc<Cell<usize>>);

impl<S: Stream + Unpin> Stream for Asked<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.1.set(self.1.get() + 1);
        Pin::new(&mut self.0).poll_next(cx)
    }
}

fn poll<S: Stream + Unpin>(stream: &mut S, waker: &Waker) -> Poll<Option<S::Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(waker))
}

#[test]
fn only_those_that_were_woken_are_asked() {
    let asked = Rc::new(Cell::new(0));
    let mut map = StreamMap::new();
    let senders: Vec<_> = (0..1000)
        .map(|key| {
            let (sender, receiver) = mpsc::unbounded_channel();
            let stream = UnboundedReceiverStream::new(receiver);
            map.insert(key, Asked(stream, Rc::clone(&asked)));
            sender
        })
        .collect();
    let (count, waker) = Count::new();
    assert!(poll(&mut map, &waker).is_pending());
    assert_eq!(asked.take(), 1000, "each says once that it has nothing");
    for round in 0..100 {
        let woken = count.get();
        senders[round * 7].send(round).unwrap();
        assert_eq!(count.get(), woken + 1);
        assert_eq!(
            poll(&mut map, &waker),
            Poll::Ready(Some((round * 7, round)))
        );
        assert!(poll(&mut map, &waker).is_pending());
    }
    assert_eq!(
        asked.get(),
        200,
        "twice for each item: that it is there, and that no other is"
    );
}

#[test]
fn those_that_are_ready_take_turns() {
    let mut map = StreamMap::new();
    for key in 0..10 {
        map.insert(key, stream::iter(0..50));
        map.insert(100 + key, stream::iter(0..0));
    }
    let items = drive(map);
    assert_eq!(items.len(), 500);
    for turn in items.chunks(10) {
        let keys: HashSet<_> = turn.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), 10, "{turn:?}");
    }
}

#[test]
fn who_is_asked_first_is_random_and_repeats_with_the_seed() {
    let firsts = |seed: u64| {
        let runtime = Builder::new_current_thread()
            .rng_seed(RngSeed::from(seed))
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut firsts = Vec::new();
            for _ in 0..100 {
                let mut map: StreamMap<_, _> = (0..4).map(|key| (key, stream::once(()))).collect();
                firsts.push(map.next().await.unwrap().0);
            }
            firsts
        })
    };
    let row = firsts(3);
    assert_eq!(row, firsts(3));
    assert_ne!(row, firsts(4));
    assert!((0..4).all(|key| row.contains(&key)), "{row:?}");
}

#[test]
fn the_last_task_that_asked_is_woken() {
    let (sender, receiver) = mpsc::channel(1);
    let mut map = StreamMap::from_iter([("a", ReceiverStream::new(receiver))]);
    let ((one, one_waker), (other, other_waker)) = (Count::new(), Count::new());
    assert!(poll(&mut map, &one_waker).is_pending());
    assert!(poll(&mut map, &other_waker).is_pending());
    sender.try_send(1).unwrap();
    assert_eq!((one.get(), other.get()), (0, 1));
    assert_eq!(poll(&mut map, &one_waker), Poll::Ready(Some(("a", 1))));
}

#[test]
fn a_stream_that_was_changed_or_inserted_is_asked_though_nothing_woke_it() {
    let (_, waker) = Count::new();
    let mut map = StreamMap::new();
    map.insert("a", Script::new([Some(1)]));
    map.insert("b", Script::new([]));
    let boxed: StreamMap<&str, Box<dyn Stream<Item = u8> + Unpin>> = StreamMap::new();
    let mut map2 = boxed;
    map2.insert("never", Box::new(stream::pending()));
    assert!(poll(&mut map2, &waker).is_pending());
    for stream in map2.values_mut() {
        *stream = Box::new(stream::once(9));
    }
    assert_eq!(poll(&mut map2, &waker), Poll::Ready(Some(("never", 9))));
    assert_eq!(poll(&mut map2, &waker), Poll::Ready(None));
    map2.insert("late", Box::new(stream::once(7)));
    assert_eq!(
        poll(&mut map2, &waker),
        Poll::Ready(Some(("late", 7))),
        "it goes on"
    );
    assert_eq!(drive(&mut map), [("a", 1)]);
    map.clear();
    assert!(map.is_empty());
}

/// The waker of a stream that is gone wakes whoever has its place: that costs a look, and does no harm.
#[test]
fn a_wake_that_comes_too_late_does_no_harm() {
    let (_, waker) = Count::new();
    let (sender, receiver) = mpsc::channel(1);
    let mut map = StreamMap::new();
    map.insert(1, ReceiverStream::new(receiver));
    assert!(poll(&mut map, &waker).is_pending());
    let gone = map.remove(&1);
    let (next_sender, receiver) = mpsc::channel(1);
    map.insert(2, ReceiverStream::new(receiver));
    assert!(poll(&mut map, &waker).is_pending());
    sender.try_send("late").unwrap();
    assert!(poll(&mut map, &waker).is_pending());
    next_sender.try_send("here").unwrap();
    assert_eq!(poll(&mut map, &waker), Poll::Ready(Some((2, "here"))));
    drop((gone, map));
    assert!(
        next_sender.try_send("to nobody").is_err(),
        "the place keeps no stream"
    );
}

#[test]
fn no_item_is_lost_when_many_threads_send() {
    on_every(|runtime| {
        run(runtime, async {
            let mut map = StreamMap::new();
            for key in 0..20u32 {
                let (sender, receiver) = mpsc::channel(2);
                blitz_io::spawn(async move {
                    for item in 0..200u32 {
                        sender.send(item).await.unwrap();
                        if item % 7 == key % 7 {
                            blitz_io::task::yield_now().await;
                        }
                    }
                });
                map.insert(key, StreamNotifyClose::new(ReceiverStream::new(receiver)));
            }
            let mut next = [0; 20];
            let mut ended = 0;
            while let Some((key, item)) = map.next().await {
                match item {
                    Some(item) => {
                        assert_eq!(item, next[key as usize]);
                        next[key as usize] += 1;
                    }
                    None => ended += 1,
                }
            }
            assert_eq!((next, ended), ([200; 20], 20));
        });
    });
}
