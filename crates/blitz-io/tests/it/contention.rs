//! Stress: many tasks and threads that wake each other, block, and hand cores over, all at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use blitz_io::sync::mpmc;
use blitz_io::task;
use futures::channel::{mpsc, oneshot};
use futures::{SinkExt, StreamExt};

use crate::harness::{FLAVORS, Flavor, GUARD, each_case, run};

/// A ring of tasks passes a token on; each hop is a wake, often of a task on another worker.
#[test]
fn a_token_goes_round_without_a_lost_wake() {
    each_case(&FLAVORS, |case| {
        let runtime = case.builder().worker_threads(4).build().unwrap();
        run(&runtime, async {
            let (mut first, mut before) = mpsc::channel::<usize>(1);
            for _ in 0..50 {
                let (mut next, receive) = mpsc::channel(1);
                blitz_io::spawn(async move {
                    while let Some(hops) = before.next().await {
                        if next.send(hops + 1).await.is_err() {
                            break;
                        }
                    }
                });
                before = receive;
            }
            for round in 0..100 {
                first.send(round).await.unwrap();
                assert_eq!(before.next().await, Some(round + 50));
            }
        });
    });
}

/// Many producers outside and inside of the runtime, one consumer.
#[test]
fn all_that_is_sent_arrives() {
    each_case(&FLAVORS, |case| {
        let runtime = case.builder().worker_threads(4).build().unwrap();
        run(&runtime, async {
            let (send, receive) = mpsc::unbounded();
            for _ in 0..20 {
                let send = send.clone();
                blitz_io::spawn(async move {
                    for _ in 0..100 {
                        send.unbounded_send(1_usize).unwrap();
                        task::yield_now().await;
                    }
                });
            }
            for _ in 0..4 {
                let send = send.clone();
                task::spawn_blocking(move || {
                    (0..500).for_each(|_| send.unbounded_send(1).unwrap())
                });
            }
            drop(send);
            assert_eq!(receive.fold(0, async |sum, n| sum + n).await, 4_000);
        });
    });
}

/// Thefts that do not pay make a worker nap. What waits behind a long poll is taken all the same, and by nobody's rescue.
#[test]
fn a_nap_ends_before_a_long_poll() {
    each_case(&[Flavor::MultiThread], |case| {
        let mut builder = case.builder();
        builder.stuck_report_after(Duration::MAX);
        let runtime = builder.build().unwrap();
        let rounds = async {
            for _ in 0..20 {
                // Too little for two.
                for _ in 0..100 {
                    let tasks: Vec<_> =
                        (0..4).map(|_| blitz_io::spawn(task::yield_now())).collect();
                    for task in tasks {
                        task.await.unwrap();
                    }
                }
                let (send, receive) = std::sync::mpsc::channel();
                let behind = blitz_io::spawn(async move { send.send(()).unwrap() });
                // It takes the place of the task woken last, which nobody steals.
                let last = blitz_io::spawn(async {});
                receive.recv_timeout(GUARD).expect("a worker comes for it");
                behind.await.unwrap();
                last.await.unwrap();
            }
        };
        run(&runtime, async { blitz_io::spawn(rounds).await.unwrap() });
    });
}

/// The pool's threads go and come all the time: their keep-alive is as short as the pauses between the calls.
/// (tokio-rs/tokio#8056: a call was left behind while every thread went to rest.)
#[test]
fn no_blocking_call_is_left_behind() {
    each_case(&FLAVORS, |case| {
        for keep_alive in [
            Duration::ZERO,
            Duration::from_micros(50),
            Duration::from_secs(10),
        ] {
            let runtime = case
                .builder()
                .thread_keep_alive(keep_alive)
                .max_blocking_threads(3)
                .build()
                .unwrap();
            run(&runtime, async {
                let mut callers = task::JoinSet::new();
                for _ in 0..8 {
                    callers.spawn(async {
                        for n in 0..100 {
                            assert_eq!(task::spawn_blocking(move || n).await.unwrap(), n);
                        }
                    });
                }
                while let Some(caller) = callers.join_next().await {
                    caller.unwrap();
                }
            });
        }
    });
}

/// Tasks block in place by turns, nested too, while others need their worker's driver.
#[test]
fn cores_go_from_hand_to_hand() {
    each_case(&[Flavor::MultiThread], |case| {
        let runtime = case.runtime();
        let blocked = Arc::new(AtomicUsize::new(0));
        run(&runtime, async {
            let mut tasks = task::JoinSet::new();
            for n in 0..50 {
                let blocked = Arc::clone(&blocked);
                tasks.spawn(async move {
                    for _ in 0..10 {
                        let (send, receive) = oneshot::channel();
                        let (answer, answered) = std::sync::mpsc::channel();
                        blitz_io::spawn(async move {
                            blitz_io::time::sleep(Duration::from_micros(n)).await;
                            answer.send(receive.await.unwrap()).unwrap();
                        });
                        task::block_in_place(|| {
                            send.send(n).unwrap();
                            let answer = task::block_in_place(|| answered.recv().unwrap());
                            assert_eq!(answer, n);
                            blocked.fetch_add(1, SeqCst);
                        });
                        task::yield_now().await;
                    }
                });
            }
            while let Some(task) = tasks.join_next().await {
                task.unwrap();
            }
        });
        assert_eq!(blocked.load(SeqCst), 500);
    });
}

/// Several threads are in `block_on` of one runtime; on `current_thread` they take turns at running the tasks.
#[test]
fn threads_share_one_runtime() {
    each_case(&FLAVORS, |case| {
        let runtime = Arc::new(case.runtime());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let runtime = Arc::clone(&runtime);
                std::thread::spawn(move || {
                    for n in 0..50 {
                        let got = run(&runtime, async move {
                            blitz_io::time::sleep(Duration::from_micros(n)).await;
                            blitz_io::spawn(async move { n }).await.unwrap()
                        });
                        assert_eq!(got, n);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Who gets room in a full channel runs behind those who were there before, and the receiver before them: so a sender that has its
/// turn finds the room that the receiver has made, and stands in line once in a whole channel of values. (With 16 senders it was once
/// in 14 values: all stood in line at once, each got one value's room, and found the rest taken by the first.)
#[test]
fn many_senders_seldom_stand_in_line() {
    const SENDERS: usize = 16;
    const VALUES: usize = 4_000;
    const ROOM: usize = 128;
    each_case(&[Flavor::MultiThread], |case| {
        let runtime = case.builder_of_one().build().unwrap();
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&polls);
        run(&runtime, async move {
            let (sender, mut receiver) = blitz_io::sync::mpsc::channel(ROOM);
            let receiving = blitz_io::spawn(async move {
                let mut count = 0;
                while receiver.recv().await.is_some() {
                    count += 1;
                }
                count
            });
            for _ in 0..SENDERS {
                let (sender, polls) = (sender.clone(), Arc::clone(&counted));
                let mut sending = Box::pin(async move {
                    for value in 0..VALUES {
                        sender.send(value).await.unwrap();
                    }
                });
                blitz_io::spawn(std::future::poll_fn(move |cx| {
                    polls.fetch_add(1, SeqCst);
                    sending.as_mut().poll(cx)
                }));
            }
            drop(sender);
            assert_eq!(receiving.await.unwrap(), SENDERS * VALUES);
        });
        let fills = SENDERS * VALUES / ROOM;
        let polls = polls.load(SeqCst);
        assert!(
            polls <= 2 * fills + SENDERS,
            "{polls} polls for {fills} fills"
        );
    });
}

/// One who waits for room gets some, though another takes what there is without waiting, turn after turn.
#[test]
fn no_sender_is_beaten_for_ever() {
    const TURNS_MAX: usize = 10_000;
    each_case(&[Flavor::MultiThread], |case| {
        let runtime = case.builder().worker_threads(1).build().unwrap();
        run(&runtime, async {
            let (sender, receiver) = mpmc::channel(2);
            while sender.try_send(()).is_ok() {}
            let waiting = sender.clone();
            let waiting = blitz_io::spawn(async move { waiting.send(()).await });
            let turns = Arc::new(AtomicUsize::new(0));
            let taking = {
                let turns = Arc::clone(&turns);
                blitz_io::spawn(async move {
                    while turns.fetch_add(1, SeqCst) < TURNS_MAX {
                        while sender.try_send(()).is_ok() {}
                        task::yield_now().await;
                    }
                })
            };
            let receiving = blitz_io::spawn(async move {
                loop {
                    while receiver.try_recv().is_ok() {}
                    task::yield_now().await;
                }
            });
            waiting.await.unwrap().unwrap();
            assert!(turns.load(SeqCst) < TURNS_MAX);
            taking.abort();
            receiving.abort();
        });
    });
}
