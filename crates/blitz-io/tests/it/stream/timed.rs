//! What knows the time, with time paused.

use std::time::Duration;

use blitz_io::stream::wrappers::ReceiverStream;
use blitz_io::stream::{self, StreamExt};
use blitz_io::sync::mpsc;
use blitz_io::time::{Instant, interval_at, sleep};

const MS: Duration = Duration::from_millis(1);

/// Gives each value so many milliseconds after the one before.
fn paced(values: &'static [(u32, u8)]) -> impl stream::Stream<Item = u8> {
    stream::iter(values).then(|(wait, value)| async move {
        sleep(MS * *wait).await;
        *value
    })
}

#[blitz_io::test(start_paused = true)]
async fn a_silence_is_told_once() {
    let begun = Instant::now();
    let stream = paced(&[(3, 1), (25, 2), (9, 3)]).timeout(MS * 10);
    let mut stream = std::pin::pin!(stream);
    let mut told = Vec::new();
    while let Some(item) = stream.next().await {
        told.push((item.ok(), begun.elapsed().as_millis()));
    }
    assert_eq!(
        told,
        [(Some(1), 3), (None, 13), (Some(2), 28), (Some(3), 37)]
    );
}

#[blitz_io::test(start_paused = true)]
async fn a_silence_before_the_first_item_counts_from_the_call() {
    let stream = paced(&[(25, 1)]).timeout(MS * 10);
    let mut stream = std::pin::pin!(stream);
    sleep(MS * 10).await;
    let begun = Instant::now();
    assert!(stream.next().await.is_some_and(|item| item.is_err()));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(stream.next().await, Some(Ok(1)));
}

#[blitz_io::test(start_paused = true)]
async fn a_silence_is_told_again_and_again() {
    let begun = Instant::now();
    let ticks = interval_at(begun + MS * 10, MS * 10);
    let stream = paced(&[(3, 1), (35, 2)]).timeout_repeating(ticks);
    let mut stream = std::pin::pin!(stream);
    let mut told = Vec::new();
    while let Some(item) = stream.next().await {
        told.push((item.ok(), begun.elapsed().as_millis()));
    }
    assert_eq!(
        told,
        [
            (Some(1), 3),
            (None, 13),
            (None, 23),
            (None, 33),
            (Some(2), 38)
        ]
    );
}

#[blitz_io::test(start_paused = true)]
async fn a_stream_that_always_has_something_is_never_silent_but_one_that_uses_up_the_budget_is() {
    let ready = stream::iter(0..1000).timeout(Duration::ZERO);
    let told: Vec<_> = ready.collect().await;
    assert_eq!(told, (0..1000).map(Ok).collect::<Vec<_>>());

    // It has a budget's worth of work in each poll, and never an item.
    let (sender, receiver) = mpsc::channel(1);
    let busy = ReceiverStream::new(receiver).filter(|_: &u8| {
        sender.try_send(0).expect("it was taken");
        false
    });
    sender.try_send(0).expect("there is room");
    let mut busy = std::pin::pin!(busy.timeout(MS));
    blitz_io::select! {
        item = busy.next() => assert!(item.is_some_and(|item| item.is_err())),
        () = async { blitz_io::time::advance(MS * 2).await; std::future::pending().await } => {}
    }
}

#[blitz_io::test(start_paused = true)]
async fn a_fast_stream_is_slowed_down_and_a_slow_one_is_not() {
    let begun = Instant::now();
    let stream = paced(&[(0, 1), (0, 2), (15, 3), (0, 4)]).throttle(MS * 10);
    let times: Vec<_> = stream
        .map(|item| (item, begun.elapsed().as_millis()))
        .collect()
        .await;
    assert_eq!(times, [(1, 0), (2, 10), (3, 35), (4, 45)]);
    let all: Vec<_> = stream::iter([1, 2])
        .throttle(Duration::ZERO)
        .collect()
        .await;
    assert_eq!(all, [1, 2]);
}

#[blitz_io::test(start_paused = true)]
async fn chunks_are_full_or_old_or_the_last() {
    let begun = Instant::now();
    let stream =
        paced(&[(1, 1), (1, 2), (1, 3), (1, 4), (20, 5), (2, 6)]).chunks_timeout(3, MS * 10);
    let chunks: Vec<_> = stream
        .map(|chunk| (chunk, begun.elapsed().as_millis()))
        .collect()
        .await;
    assert_eq!(
        chunks,
        [(vec![1, 2, 3], 3), (vec![4], 14), (vec![5, 6], 26)]
    );
}

#[blitz_io::test(start_paused = true)]
async fn a_chunk_that_was_begun_is_given_back() {
    let stream = stream::iter([1, 2]).chain(stream::pending());
    let mut stream = std::pin::pin!(stream.chunks_timeout(9, MS));
    let dropped = blitz_io::time::timeout(Duration::ZERO, stream.next()).await;
    assert!(dropped.is_err());
    assert_eq!(stream.as_mut().into_remainder(), [1, 2]);
    let more = blitz_io::time::timeout(MS * 5, stream.next()).await;
    assert!(more.is_err(), "no chunk is empty");
}

#[blitz_io::test]
#[should_panic(expected = "`max_size` is 0")]
async fn a_chunk_of_nothing_panics() {
    let _ = stream::iter([1]).chunks_timeout(0, MS);
}
