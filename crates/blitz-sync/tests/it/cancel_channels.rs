//! A scene for each async method of a channel: see `cancel_everywhere`.

use std::sync::{Arc, Mutex as StdMutex};

use blitz_sync::{broadcast, mpmc, mpsc, oneshot, watch};
// For ends that are awaited through `&mut`: never contended, so ready at once.
use futures::lock::Mutex as Shared;

use crate::cancel_everywhere::{Make, Other, Scene, Wait};

/// What is not here, and where it is instead.
pub(crate) const ELSEWHERE: &[(&str, &str)] = &[
    (
        "mpsc/bounded send_timeout",
        "needs a runtime's timer: blitz-io's `sync` tests",
    ),
    (
        "mpmc/sender send_timeout",
        "needs a runtime's timer: blitz-io's `sync` tests",
    ),
];

/// The methods, as in `cancel_table`.
pub(crate) const CHANNELS: &[(&str, Make)] = &[
    ("oneshot Receiver", || oneshot_receiver(true)),
    ("oneshot Receiver: dropped itself", || {
        oneshot_receiver(false)
    }),
    ("oneshot closed", oneshot_closed),
    ("mpsc/bounded send", || {
        mpsc_send(|sender| {
            Box::pin(async move {
                sender.send(1).await.unwrap();
                true
            })
        })
    }),
    ("mpsc/bounded reserve", || {
        mpsc_send(|sender| {
            Box::pin(async move {
                sender.reserve().await.unwrap().send(1);
                true
            })
        })
    }),
    ("mpsc/bounded reserve: not used", || {
        mpsc_send(|sender| {
            Box::pin(async move {
                drop(sender.reserve().await);
                false
            })
        })
    }),
    ("mpsc/bounded reserve_many", || {
        mpsc_send(|sender| {
            Box::pin(async move {
                drop(sender.reserve_many(1).await);
                false
            })
        })
    }),
    ("mpsc/bounded reserve_owned", || {
        mpsc_send(|sender| {
            Box::pin(async move {
                drop(sender.reserve_owned().await);
                false
            })
        })
    }),
    ("mpsc/bounded closed", || {
        let (sender, receiver) = mpsc::channel::<u8>(1);
        told_end(sender.clone(), sender, receiver, |sender| {
            Box::pin(async move { sender.closed().await })
        })
    }),
    ("mpsc/bounded recv", || {
        let (sender, receiver) = mpsc::channel(2);
        received(
            move |value| sender.try_send(value).unwrap(),
            receiver,
            mpsc_recv,
            |receiver| receiver.try_recv().ok(),
        )
    }),
    ("mpsc/bounded recv_many", || {
        let (sender, receiver) = mpsc::channel(2);
        received(
            move |value| sender.try_send(value).unwrap(),
            receiver,
            mpsc_recv_many,
            |receiver| receiver.try_recv().ok(),
        )
    }),
    ("mpsc/unbounded closed", || {
        let (sender, receiver) = mpsc::unbounded_channel::<u8>();
        told_end(sender.clone(), sender, receiver, |sender| {
            Box::pin(async move { sender.closed().await })
        })
    }),
    ("mpsc/unbounded recv", || {
        let (sender, receiver) = mpsc::unbounded_channel();
        received(
            move |value| sender.send(value).unwrap(),
            receiver,
            |receiver| {
                Box::pin(async move { receiver.lock().await.recv().await.into_iter().collect() })
            },
            |receiver| receiver.try_recv().ok(),
        )
    }),
    ("mpsc/unbounded recv_many", || {
        let (sender, receiver) = mpsc::unbounded_channel();
        received(
            move |value| sender.send(value).unwrap(),
            receiver,
            |receiver| {
                Box::pin(async move {
                    let mut values = Vec::new();
                    receiver.lock().await.recv_many(&mut values, 8).await;
                    values
                })
            },
            |receiver| receiver.try_recv().ok(),
        )
    }),
    ("mpmc/sender send", mpmc_send),
    ("mpmc/end closed: sender", || {
        let (sender, receiver) = mpmc::channel::<u8>(1);
        told_end(sender.clone(), sender, receiver, |sender| {
            Box::pin(async move { sender.closed().await })
        })
    }),
    ("mpmc/receiver recv", || {
        mpmc_recv(|receiver| Box::pin(async move { receiver.recv().await.into_iter().collect() }))
    }),
    ("mpmc/receiver recv_many", || {
        mpmc_recv(|receiver| {
            Box::pin(async move {
                let mut values = Vec::new();
                receiver.recv_many(&mut values, 1).await;
                values
            })
        })
    }),
    ("mpmc/end closed: receiver", || {
        let (sender, receiver) = mpmc::channel::<u8>(1);
        told_end(receiver.clone(), receiver, sender, |receiver| {
            Box::pin(async move { receiver.closed().await })
        })
    }),
    ("broadcast/receiver recv", || {
        let (sender, receiver) = broadcast::channel(4);
        received(
            move |value| {
                sender.send(value).unwrap();
            },
            receiver,
            |receiver| {
                Box::pin(async move { receiver.lock().await.recv().await.into_iter().collect() })
            },
            |receiver| receiver.try_recv().ok(),
        )
    }),
    ("broadcast/sender closed", || {
        let (sender, receiver) = broadcast::channel::<u8>(1);
        told_end(sender.clone(), sender, receiver, |sender| {
            Box::pin(async move { sender.closed().await })
        })
    }),
    ("watch/receiver changed", watch_changed),
    ("watch/receiver wait_for", watch_wait_for),
    ("watch/sender closed", || {
        let (sender, receiver) = watch::channel(0);
        told_end(sender.clone(), sender, receiver, |sender| {
            Box::pin(async move { sender.closed().await })
        })
    }),
];

/// A value is received, or still there, or comes back.
fn oneshot_receiver(keeps: bool) -> Scene {
    let (sender, receiver) = oneshot::channel();
    let (got, back) = (Arc::new(StdMutex::new(None)), Arc::new(StdMutex::new(None)));
    let receiver = Arc::new(Shared::new(receiver));
    let kept = keeps.then(|| Arc::clone(&receiver));
    let (gets, returns) = (Arc::clone(&got), Arc::clone(&back));
    Scene::of(async move {
        let value = (&mut *receiver.lock().await).await.unwrap();
        *gets.lock().unwrap() = Some(value);
    })
    .step(move || *returns.lock().unwrap() = sender.send(7).err())
    .settle(move |_| {
        let left = kept.and_then(|kept| kept.try_lock().unwrap().try_recv().ok());
        let all = [*got.lock().unwrap(), *back.lock().unwrap(), left];
        // With the receiver a value goes that it had and did not read.
        let count = all.iter().flatten().count();
        assert!(count == 1 || !keeps && count == 0, "{all:?}");
    })
}

fn oneshot_closed() -> Scene {
    let (sender, receiver) = oneshot::channel::<u8>();
    let sender = Arc::new(Shared::new(sender));
    let waits = Arc::clone(&sender);
    Scene::of(async move { waits.lock().await.closed().await })
        .step(move || drop(receiver))
        .settle(move |_| {
            let other = Other::new(async move { sender.lock().await.closed().await });
            other.poll();
            other.done();
        })
}

/// Waits for the other end to go, as another does.
fn told_end<A, B>(one: A, two: A, end: B, victim: fn(A) -> Wait) -> Scene
where
    A: Send + 'static,
    B: Send + 'static,
{
    let other = Other::new(victim(two));
    let behind = other.clone();
    Scene::of(victim(one))
        .step(move || behind.poll())
        .step(move || drop(end))
        .settle(move |_| other.done())
}

fn mpsc_recv(receiver: Arc<Shared<mpsc::Receiver<u8>>>) -> Wait<Vec<u8>> {
    Box::pin(async move { receiver.lock().await.recv().await.into_iter().collect() })
}

fn mpsc_recv_many(receiver: Arc<Shared<mpsc::Receiver<u8>>>) -> Wait<Vec<u8>> {
    Box::pin(async move {
        let mut values = Vec::new();
        receiver.lock().await.recv_many(&mut values, 8).await;
        values
    })
}

/// Two values are sent: each is received by the wait, or is still there, in order.
fn received<R: Send + 'static>(
    send: impl Fn(u8) + Send + Sync + 'static,
    receiver: R,
    recv: fn(Arc<Shared<R>>) -> Wait<Vec<u8>>,
    try_recv: fn(&mut R) -> Option<u8>,
) -> Scene {
    let receiver = Arc::new(Shared::new(receiver));
    let got = Arc::new(StdMutex::new(Vec::new()));
    let (wait, gets) = (recv(Arc::clone(&receiver)), Arc::clone(&got));
    let send = Arc::new(send);
    let sends = Arc::clone(&send);
    Scene::of(async move {
        let values = wait.await;
        gets.lock().unwrap().extend(values);
    })
    .step(move || sends(1))
    .step(move || send(2))
    .settle(move |outcome| {
        let mut got = std::mem::take(&mut *got.lock().unwrap());
        assert_eq!(outcome.finished, !got.is_empty());
        let mut receiver = receiver.try_lock().unwrap();
        while let Some(value) = try_recv(&mut receiver) {
            got.push(value);
        }
        assert_eq!(got, [1, 2]);
    })
}

/// A channel that is full, with another sender behind the wait, is emptied. The wait answers whether it has sent 1.
fn mpsc_send(victim: fn(mpsc::Sender<u8>) -> Wait<bool>) -> Scene {
    let (sender, receiver) = mpsc::channel(1);
    sender.try_send(0).unwrap();
    let receiver = Arc::new(StdMutex::new(receiver));
    let sends = sender.clone();
    let other = Other::new(async move { sends.send(2).await.unwrap() });
    let behind = other.clone();
    let wait = victim(sender.clone());
    let (sent, got) = (
        Arc::new(StdMutex::new(false)),
        Arc::new(StdMutex::new(Vec::new())),
    );
    let has_sent = Arc::clone(&sent);
    let (gets, receives) = (Arc::clone(&got), Arc::clone(&receiver));
    Scene::of(async move {
        let sent = wait.await;
        *has_sent.lock().unwrap() = sent;
    })
    .step(move || behind.poll())
    .step(move || {
        gets.lock()
            .unwrap()
            .extend(receives.lock().unwrap().try_recv())
    })
    .settle(move |_| {
        let mut receiver = receiver.lock().unwrap();
        let mut got = got.lock().unwrap();
        // Room for the one behind, if the wait has taken it and sent.
        got.extend(receiver.try_recv());
        other.done();
        got.extend(receiver.try_recv());
        got.sort_unstable();
        let sent = *sent.lock().unwrap();
        assert_eq!(*got, if sent { vec![0, 1, 2] } else { vec![0, 2] });
        assert_eq!(sender.capacity(), 1);
    })
}

fn mpmc_send() -> Scene {
    let (sender, receiver) = mpmc::channel(1);
    sender.try_send(0).unwrap();
    let sends = sender.clone();
    let other = Other::new(async move { sends.send(2).await.unwrap() });
    let (behind, receives) = (other.clone(), receiver.clone());
    let got = Arc::new(StdMutex::new(Vec::new()));
    let gets = Arc::clone(&got);
    Scene::of(async move { sender.send(1).await.unwrap() })
        .step(move || behind.poll())
        .step(move || gets.lock().unwrap().extend(receives.try_recv()))
        .settle(move |outcome| {
            let mut got = got.lock().unwrap();
            // As the line is not strict, the wait's value may be the one in the way.
            if outcome.finished {
                got.extend(receiver.try_recv());
            }
            other.done();
            got.extend(receiver.try_recv());
            got.sort_unstable();
            assert_eq!(
                *got,
                if outcome.finished {
                    vec![0, 1, 2]
                } else {
                    vec![0, 2]
                }
            );
        })
}

/// One value for one of two: whom the first leaves behind gets it.
fn mpmc_recv(victim: fn(mpmc::Receiver<u8>) -> Wait<Vec<u8>>) -> Scene {
    let (sender, receiver) = mpmc::channel(2);
    let other = Other::new(victim(receiver.clone()));
    let (behind, sends) = (other.clone(), sender.clone());
    let wait = victim(receiver);
    Scene::of(async move { assert_eq!(wait.await, [1]) })
        .step(move || behind.poll())
        .step(move || sends.try_send(1).unwrap())
        .settle(move |outcome| {
            if outcome.finished {
                other.waits();
                sender.try_send(2).unwrap();
                assert_eq!(other.done(), [2]);
            } else {
                assert_eq!(other.done(), [1]);
            }
        })
}

/// A change that the wait has not told of is still one.
fn watch_changed() -> Scene {
    let (sender, receiver) = watch::channel(0);
    let receiver = Arc::new(Shared::new(receiver));
    let waits = Arc::clone(&receiver);
    let sender = Arc::new(sender);
    let sends = Arc::clone(&sender);
    Scene::of(async move { waits.lock().await.changed().await.unwrap() })
        .step(move || sends.send(1).unwrap())
        .settle(move |outcome| {
            let receiver = receiver.try_lock().unwrap();
            assert_eq!(receiver.has_changed().unwrap(), !outcome.finished);
            assert_eq!(*receiver.borrow(), 1);
            drop(sender);
        })
}

fn watch_wait_for() -> Scene {
    let (sender, receiver) = watch::channel(0);
    let waits = |mut receiver: watch::Receiver<u8>| async move {
        assert_eq!(*receiver.wait_for(|value| *value == 2).await.unwrap(), 2);
    };
    let other = Other::new(waits(receiver.clone()));
    let behind = other.clone();
    let sender = Arc::new(sender);
    let sends = Arc::clone(&sender);
    Scene::of(waits(receiver))
        .step(move || behind.poll())
        .step(move || sends.send(1).unwrap())
        .step(move || sender.send(2).unwrap())
        .settle(move |_| other.done())
}
