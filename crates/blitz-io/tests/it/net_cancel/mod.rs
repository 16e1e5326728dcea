//! Whoever is dropped after any of its polls has taken nothing and sent nothing, where its documentation says so.
//!
//! Each operation runs again and again, and is dropped when it has been polled so many times (none at all, once, twice, …) and is
//! still pending. The other side counts what it sends or gets: nothing may be missing, twice, or out of order.

mod connections;
mod datagrams;
#[cfg(unix)]
mod descriptors;
mod streams;
mod transfers;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// The polls that an operation is given, from one try to the next. None is given to an operation that is dropped unpolled.
pub(crate) struct Polls(usize);

impl Polls {
    pub(crate) fn new() -> Self {
        Self(0)
    }

    /// What `future` comes to, or `None` if it is pending after as many polls as it is its turn to have; it is dropped then.
    pub(crate) async fn give<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut left = self.0 % 5;
        self.0 += 1;
        let output = {
            let mut future = pin!(future);
            poll_fn(|cx| {
                if left == 0 {
                    return Poll::Ready(None);
                }
                left -= 1;
                match future.as_mut().poll(cx) {
                    Poll::Ready(output) => Poll::Ready(Some(output)),
                    Poll::Pending if left == 0 => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await
        };
        if output.is_none() {
            // Others go on: one that was polled once might be dropped before anything can come.
            blitz_io::task::yield_now().await;
        }
        output
    }
}

/// The byte that stands at a place of a stream: its neighbours, and those at every power of two from it, are others.
pub(crate) fn byte_at(place: usize) -> u8 {
    ((place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// An operation that takes something in one poll and gives it in another loses it, and the harness shows that.
#[blitz_io::test]
async fn what_is_not_safe_is_found_out() {
    let (sender, mut receiver) = blitz_io::sync::mpsc::unbounded_channel();
    for number in 0..20 {
        sender.send(number).unwrap();
    }
    drop(sender);
    let (mut polls, mut received) = (Polls::new(), Vec::new());
    loop {
        let unsafe_to_drop = async {
            let number = receiver.recv().await;
            blitz_io::task::yield_now().await;
            number
        };
        match polls.give(unsafe_to_drop).await {
            Some(Some(number)) => received.push(number),
            Some(None) => break,
            None => {}
        }
    }
    assert!(
        received.len() < 20,
        "one in five was polled once, and dropped"
    );
    assert!(
        received.is_sorted() && !received.is_empty(),
        "the others were not"
    );
}
