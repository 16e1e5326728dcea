//! What has ended says so (`FusedStream`), which `select!` of `futures` asks, and stays ended.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use blitz_io::stream::wrappers::IntervalStream;
use blitz_io::stream::{self, StreamExt};
use blitz_io::time::{Duration, interval};
use futures::stream::FusedStream;

/// Polls it to its end, before which it does not say that it has ended, and on.
fn ends<S: FusedStream>(stream: S) {
    let mut stream = pin!(stream);
    let cx = &mut Context::from_waker(Waker::noop());
    for _ in 0..100 {
        match stream.as_mut().poll_next(cx) {
            Poll::Ready(None) => {
                assert!(stream.is_terminated());
                assert!(matches!(stream.as_mut().poll_next(cx), Poll::Ready(None)));
                assert_eq!(stream.size_hint().1, Some(0));
                return;
            }
            Poll::Ready(Some(_)) => {}
            Poll::Pending => panic!("it does not wait"),
        }
    }
    panic!("it never ends");
}

#[test]
fn each_says_that_it_has_ended() {
    let three = || stream::iter([1, 2, 3]).fuse();
    ends(three());
    ends(three().map(|number| number * 2));
    ends(three().filter(|number| *number != 2));
    ends(three().filter_map(|number| (number != 2).then_some(number)));
    ends(three().then(|number| async move { number }));
    ends(three().skip(1));
    ends(three().skip_while(|number| *number < 2));
    ends(three().chain(three()));
    ends(stream::iter([1]).merge(stream::iter([2])));
    ends(three().take(2));
    ends(three().take(9));
    ends(three().take_while(|number| *number < 3));
    ends(three().map_while(|number| (number < 3).then_some(number)));
    ends(stream::iter([1]).chain(three()).take(2));
}

/// (It went on with the items behind the one at which it had ended.)
#[blitz_io::test]
async fn a_map_that_ended_stays_ended() {
    let mut digits = stream::iter("1x2".chars()).map_while(|c| c.to_digit(10));
    assert_eq!(digits.next().await, Some(1));
    assert_eq!(digits.next().await, None);
    assert_eq!(digits.next().await, None);
}

#[blitz_io::test]
async fn ticks_never_end() {
    let mut ticks = IntervalStream::new(interval(Duration::from_millis(1)));
    ticks.next().await.unwrap();
    assert!(!ticks.is_terminated());
}
