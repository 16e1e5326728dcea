//! What channels do with a runtime's timers.

use blitz_io::sync::mpsc::error::SendTimeoutError;
use blitz_io::sync::{mpmc, mpsc};
use blitz_io::time::{Duration, Instant, pause, sleep};

use crate::harness;

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_send_waits_for_room_so_long_and_no_longer() {
    harness::on_every(|runtime| {
        runtime.block_on(async {
            pause();
            let (sender, mut receiver) = mpsc::channel(1);
            let started = Instant::now();
            assert_eq!(sender.send_timeout(1, LIMIT).await, Ok(()));
            assert_eq!(started.elapsed(), Duration::ZERO, "there was room");
            assert_eq!(
                sender.send_timeout(2, LIMIT).await,
                Err(SendTimeoutError::Timeout(2))
            );
            assert_eq!(started.elapsed(), LIMIT);
            assert_eq!(
                sender.send_timeout(3, Duration::ZERO).await,
                Err(SendTimeoutError::Timeout(3))
            );
            // Room comes in time.
            let receiving = async {
                sleep(LIMIT / 2).await;
                receiver.recv().await
            };
            let sending = sender.send_timeout(4, LIMIT);
            let (sent, received) = futures::future::join(sending, receiving).await;
            assert_eq!((sent, received), (Ok(()), Some(1)));
            assert_eq!(started.elapsed(), LIMIT * 3 / 2);
            // The end comes in time.
            let closing = async {
                sleep(LIMIT / 2).await;
                receiver.close();
            };
            let sending = sender.send_timeout(5, LIMIT);
            let (sent, ()) = futures::future::join(sending, closing).await;
            assert_eq!(sent, Err(SendTimeoutError::Closed(5)));
            assert_eq!(
                sender.send_timeout(6, LIMIT).await,
                Err(SendTimeoutError::Closed(6))
            );
            assert_eq!(receiver.recv().await, Some(4));
            assert_eq!(receiver.recv().await, None);
        });
    });
}

#[test]
fn the_same_with_many_receivers() {
    harness::on_every(|runtime| {
        runtime.block_on(async {
            pause();
            let (sender, receiver) = mpmc::channel(1);
            assert_eq!(sender.send_timeout(1, LIMIT).await, Ok(()));
            let started = Instant::now();
            assert_eq!(
                sender.send_timeout(2, LIMIT).await,
                Err(SendTimeoutError::Timeout(2))
            );
            assert_eq!(started.elapsed(), LIMIT);
            let receiving = async {
                sleep(LIMIT / 2).await;
                receiver.recv().await
            };
            let sending = sender.send_timeout(4, LIMIT);
            let (sent, received) = futures::future::join(sending, receiving).await;
            assert_eq!((sent, received), (Ok(()), Some(1)));
            receiver.close();
            assert_eq!(
                sender.send_timeout(6, LIMIT).await,
                Err(SendTimeoutError::Closed(6))
            );
            assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [4]);
        });
    });
}

/// A send that is dropped after each number of polls gives up its place, and its timer.
#[test]
fn a_dropped_send_takes_no_room_with_it() {
    harness::on_every(|runtime| {
        runtime.block_on(async {
            for polls in 0..3 {
                let (sender, mut receiver) = mpsc::channel(1);
                sender.send(0).await.unwrap();
                let mut sending = Box::pin(sender.send_timeout(1, LIMIT));
                for _ in 0..polls {
                    assert!(futures::poll!(sending.as_mut()).is_pending());
                }
                assert_eq!(receiver.recv().await, Some(0));
                drop(sending);
                assert_eq!(sender.capacity(), 1);
                sender.try_send(2).unwrap();
                assert_eq!(receiver.try_recv(), Ok(2));
            }
        });
    });
}

/// Threads may share what waits with a timer like what waits without one.
#[test]
fn a_send_with_a_limit_may_be_shared() {
    fn may_be_shared(_: impl Send + Sync) {}
    let (sender, _receiver) = mpsc::channel(1);
    may_be_shared(sender.send(1));
    may_be_shared(sender.send_timeout(1, LIMIT));
    let (sender, _receiver) = mpmc::channel(1);
    may_be_shared(sender.send(1));
    may_be_shared(sender.send_timeout(1, LIMIT));
}
