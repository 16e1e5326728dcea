//! Waits that are no socket's, dropped after any of their polls: of children, signals, tasks, time and standard input. Nothing that
//! happens meanwhile is lost or comes twice. (What `blitz-sync` waits for has a table of its own there.)

use std::future::poll_fn;
use std::pin::pin;
use std::process::Stdio;
use std::task::Poll;
use std::time::Duration;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt, stdin};
use blitz_io::net;
use blitz_io::process::Command;
use blitz_io::signal::ctrl_c;
use blitz_io::signal::unix::{SignalKind, signal};
use blitz_io::sync::{mpsc, oneshot};
use blitz_io::task::{self, JoinSet};
use blitz_io::time::{self, Instant};

use crate::child;
use crate::fs_cancel::at_each_poll;
use crate::harness::{Flavor, GUARD, each_case, on_every, run, within};
use crate::net_cancel::Polls;

const ROUNDS: usize = 10;

/// The polls that a wait is given, from one try to the next; others go on after each. Beside [`Polls`], which waits to be woken for
/// the next poll, this is for waits that nothing comes to.
struct Glances(usize);

impl Glances {
    /// What `wait` comes to, or `None` if it is pending after as many polls as it is its turn to have; it is dropped then.
    async fn give<F: Future>(&mut self, wait: F) -> Option<F::Output> {
        let times = self.0 % 4;
        self.0 += 1;
        {
            let mut wait = pin!(wait);
            for _ in 0..times {
                if let Poll::Ready(output) = poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx))).await
                {
                    return Some(output);
                }
                task::yield_now().await;
            }
        }
        task::yield_now().await;
        None
    }
}

/// Gives a wait its polls again and again, until one of them has something.
macro_rules! until_some {
    ($polls:expr, $wait:expr) => {
        loop {
            if let Some(output) = $polls.give($wait).await {
                break output;
            }
        }
    };
}

/// The status of a child is for whoever asks in the end, and for who asks again; in between it is waited for in vain.
#[test]
fn a_dropped_wait_for_a_child_loses_no_status() {
    on_every(|runtime| {
        run(runtime, async {
            let mut polls = Glances(0);
            for code in 1..=5 {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("read line; exit {code}")]);
                let mut child = shell
                    .stdin(Stdio::piped())
                    .kill_on_drop(true)
                    .spawn()
                    .unwrap();
                // `wait` would close it.
                let input = child.stdin.take();
                for _ in 0..ROUNDS {
                    assert!(polls.give(child.wait()).await.is_none(), "it runs");
                }
                drop(input);
                let status = until_some!(polls, child.wait()).unwrap();
                assert_eq!(status.code(), Some(code));
                assert_eq!(child.wait().await.unwrap(), status);
            }
        });
    });
}

/// Who is told to end has ended, whoever waited for that; and a call that runs a child and was dropped takes the child with it.
#[test]
fn a_dropped_kill_or_output_leaves_no_child_behind() {
    on_every(|runtime| {
        run(runtime, async {
            let mut polls = Glances(0);
            for _ in 0..ROUNDS {
                let mut child = Command::new("cat")
                    .stdin(Stdio::piped())
                    .kill_on_drop(true)
                    .spawn()
                    .unwrap();
                until_some!(polls, child.kill()).unwrap();
                let status = child.try_wait().unwrap().expect("it has ended");
                assert!(!status.success());
            }
            let mut shell = Command::new("sh");
            shell.args(["-c", "echo out; echo err >&2; exit 3"]);
            shell.kill_on_drop(true).stdout(Stdio::null());
            shell.stderr(Stdio::null());
            let status = at_each_poll(async || shell.status().await).await;
            assert_eq!(status.unwrap().code(), Some(3));
            let output = at_each_poll(async || shell.output().await).await.unwrap();
            assert_eq!(output.status.code(), Some(3));
        });
    });
}

/// A look-up that was dropped disturbs no later one.
#[test]
fn a_dropped_look_up_disturbs_no_other() {
    on_every(|runtime| {
        run(runtime, async {
            let found = at_each_poll(async || net::resolve("localhost").await).await;
            assert!(!found.unwrap().is_empty());
            let within = async || net::resolve_within("localhost", GUARD).await;
            assert!(!at_each_poll(within).await.unwrap().is_empty());
            let look_up = async || net::lookup_host("localhost:7").await.map(Vec::from_iter);
            let found = at_each_poll(look_up).await.unwrap();
            assert!(!found.is_empty() && found.iter().all(|addr| addr.port() == 7));
        });
    });
}

/// Each task's output is given once, whenever the wait for the next was dropped.
#[test]
fn a_dropped_wait_for_the_next_task_loses_none() {
    on_every(|runtime| {
        run(runtime, async {
            let mut polls = Glances(0);
            let mut set = JoinSet::new();
            let mut ends = Vec::new();
            for number in 0..ROUNDS {
                let (end, ended) = oneshot::channel::<()>();
                ends.push(end);
                set.spawn(async move {
                    let _ = ended.await;
                    number
                });
            }
            assert!(polls.give(set.join_next()).await.is_none(), "all run");
            let mut seen = Vec::new();
            for end in ends {
                // One ends while the wait is given its polls, and may be seen in any of them.
                drop(end);
                if let Some(next) = polls.give(set.join_next()).await {
                    seen.push(next.expect("there are more").unwrap());
                }
            }
            while let Some(next) = until_some!(polls, set.join_next_with_id()) {
                seen.push(next.unwrap().1);
            }
            seen.sort_unstable();
            assert_eq!(seen, Vec::from_iter(0..ROUNDS));
        });
    });
}

/// A task's output waits in its handle for the poll that takes it.
#[test]
fn a_dropped_wait_for_a_handle_loses_no_output() {
    on_every(|runtime| {
        run(runtime, async {
            let mut polls = Glances(0);
            for number in 0..ROUNDS {
                let (end, ended) = oneshot::channel::<()>();
                let mut task = task::spawn(async move {
                    let _ = ended.await;
                    number
                });
                assert!(polls.give(&mut task).await.is_none(), "it runs");
                drop(end);
                assert_eq!(until_some!(polls, &mut task).unwrap(), number);
            }
        });
    });
}

/// No tick is skipped, and none comes early; what a deadline was around loses nothing to it.
#[test]
fn a_dropped_tick_or_timeout_loses_nothing() {
    each_case(&[Flavor::CurrentThread], |case| {
        let runtime = case.builder().start_paused(true).build().unwrap();
        run(&runtime, async {
            let mut polls = Polls::new();
            let begun = Instant::now();
            let period = Duration::from_millis(10);
            let mut ticks = time::interval(period);
            for tick in 0..50 {
                let at = until_some!(polls, ticks.tick());
                assert_eq!(at - begun, period * tick);
            }
            let (sender, mut receiver) = mpsc::unbounded_channel();
            let sending = task::spawn(async move {
                for number in 0..50 {
                    sender.send(number).unwrap();
                    time::sleep(period).await;
                }
            });
            let mut next = 0;
            while let Some(number) = until_some!(polls, async {
                time::timeout(period / 3, receiver.recv())
                    .await
                    .unwrap_or(Some(usize::MAX))
            }) {
                if number != usize::MAX {
                    assert_eq!(number, next);
                    next += 1;
                }
            }
            assert_eq!(next, 50);
            sending.await.unwrap();
        });
    });
}

/// A deadline that is waited for again and again is not put off by that.
#[test]
fn a_sleep_that_is_waited_for_in_pieces_ends_in_time() {
    each_case(&[Flavor::CurrentThread], |case| {
        let runtime = case.builder().start_paused(true).build().unwrap();
        run(&runtime, async {
            let mut polls = Polls::new();
            let begun = Instant::now();
            let hour = Duration::from_secs(3600);
            for hours in 1..=20 {
                until_some!(polls, time::sleep_until(begun + hour * hours));
                assert_eq!(begun.elapsed(), hour * hours);
            }
        });
    });
}

#[test]
fn a_dropped_wait_for_a_signal_loses_none() {
    child::run("", "cancel_waits::signals_to_this_process");
}

#[test]
#[ignore = "sends signals to its process: run in a child by a_dropped_wait_for_a_signal_loses_none"]
fn signals_to_this_process() {
    on_every(|runtime| {
        within(runtime, GUARD, async {
            let mut polls = Glances(0);
            let mut usr1 = signal(SignalKind::user_defined1()).unwrap();
            for _ in 0..ROUNDS {
                assert!(polls.give(usr1.recv()).await.is_none(), "nothing was sent");
                let kill = Command::new("kill")
                    .args(["-USR1", &std::process::id().to_string()])
                    .status();
                assert!(kill.await.unwrap().success());
                assert_eq!(until_some!(polls, usr1.recv()), Some(()));
            }
            for _ in 0..ROUNDS {
                assert!(polls.give(usr1.recv()).await.is_none(), "each came once");
            }
            for _ in 0..ROUNDS {
                assert!(polls.give(ctrl_c()).await.is_none(), "nobody pressed it");
            }
            // Others that are dropped do not hear it in its place.
            let mut waits = pin!(ctrl_c());
            assert!(poll_fn(|cx| Poll::Ready(waits.as_mut().poll(cx).is_pending())).await);
            let kill = Command::new("kill")
                .args(["-INT", &std::process::id().to_string()])
                .status();
            assert!(kill.await.unwrap().success());
            let _ = polls.give(ctrl_c()).await;
            waits.await.unwrap();
        });
    });
}

/// What a dropped read of standard input would have got is for the next one, of whichever runtime of the process.
#[test]
fn a_dropped_read_of_standard_input_loses_no_byte() {
    on_every(|runtime| {
        run(runtime, async {
            let mut child = crate::stdio::start("cancel_waits::reads_standard_input");
            let mut to = child.stdin.take().unwrap();
            for number in 0..100_u8 {
                to.write_all(&[number]).await.unwrap();
                to.flush().await.unwrap();
                task::yield_now().await;
            }
            drop(to);
            let output = child.wait_with_output().await.unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success() && text.contains("1 passed"),
                "{text}{errors}"
            );
        });
    });
}

#[test]
#[ignore = "run by a_dropped_read_of_standard_input_loses_no_byte"]
fn reads_standard_input() {
    let mut seen = Vec::new();
    let mut polls = Glances(0);
    // Each runtime reads some, and the last one the rest.
    on_every_once(|runtime, is_last| {
        within(runtime, GUARD, async {
            let mut input = stdin();
            loop {
                let mut bytes = [0; 7];
                let count = until_some!(polls, input.read(&mut bytes)).unwrap();
                seen.extend_from_slice(&bytes[..count]);
                if count == 0 || (seen.len() % 13 == 0 && !is_last) {
                    break;
                }
            }
        });
    });
    assert_eq!(seen, Vec::from_iter(0..100));
}

/// Calls `f` with a runtime of every back end and flavour, one after the other, and says which is the last.
fn on_every_once(mut f: impl FnMut(&blitz_io::runtime::Runtime, bool)) {
    let cases = crate::harness::cases(&crate::harness::FLAVORS);
    for (index, case) in cases.iter().enumerate() {
        f(&case.runtime(), index + 1 == cases.len());
    }
}
