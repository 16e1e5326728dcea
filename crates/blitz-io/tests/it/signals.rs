//! Signals reach every listener, once for each burst.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::process::Command;
use std::task::Poll;
use std::time::Duration;

use blitz_io::signal::unix::{Signal, SignalKind, signal};
use blitz_io::task;

use crate::child;
use crate::harness::{FLAVORS, each_case, on_every, within};

const LIMIT: Duration = Duration::from_secs(30);

/// Sends this process a signal; it is delivered when the call returns.
fn kill(signal: &str) {
    let status = Command::new("kill")
        .arg(format!("-{signal}"))
        .arg(std::process::id().to_string())
        .status();
    assert!(status.unwrap().success());
}

async fn is_silent(signal: &mut Signal) -> bool {
    poll_fn(|cx| Poll::Ready(signal.poll_recv(cx).is_pending())).await
}

/// Signals belong to the process: each test has it to itself.
macro_rules! alone {
    ($($test:ident => $body:ident;)+) => {$(
        #[test]
        fn $test() {
            child::run("", concat!("signals::", stringify!($body)));
        }
    )+};
}

alone! {
    every_listener_hears_every_signal => listeners;
    a_burst_is_heard_once => burst;
    ctrl_c_is_heard => interrupt;
    a_listener_hears_nothing_from_before => before;
    the_handler_stays => stays;
}

#[test]
#[ignore = "sends signals to its process: run in a child by the test that `alone!` names"]
fn listeners() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let tasks: Vec<_> = (0..5)
                .map(|_| {
                    let mut usr1 = signal(SignalKind::user_defined1()).unwrap();
                    task::spawn(async move { usr1.recv().await })
                })
                .collect();
            let mut usr1 = signal(SignalKind::user_defined1()).unwrap();
            let mut usr2 = signal(SignalKind::user_defined2()).unwrap();
            assert!(is_silent(&mut usr1).await && is_silent(&mut usr2).await);
            kill("USR1");
            usr1.recv().await.unwrap();
            for task in tasks {
                task.await.unwrap().unwrap();
            }
            assert!(is_silent(&mut usr1).await && is_silent(&mut usr2).await);
            kill("USR2");
            usr2.recv().await.unwrap();
            assert!(is_silent(&mut usr1).await);
        });
    });
}

#[test]
#[ignore = "sends signals to its process: run in a child by the test that `alone!` names"]
fn burst() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let mut hangup = signal(SignalKind::hangup()).unwrap();
            // The marker comes after the burst, so the burst was delivered when it is heard.
            let mut marker = signal(SignalKind::window_change()).unwrap();
            for _ in 0..5 {
                kill("HUP");
            }
            hangup.recv().await.unwrap();
            kill("WINCH");
            marker.recv().await.unwrap();
            while !is_silent(&mut hangup).await {}
            kill("HUP");
            hangup.recv().await.unwrap();
            assert!(is_silent(&mut hangup).await);
        });
    });
}

#[test]
#[ignore = "sends signals to its process: run in a child by the test that `alone!` names"]
fn interrupt() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let mut first = pin!(blitz_io::signal::ctrl_c());
            poll_fn(|cx| {
                assert!(first.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            kill("INT");
            first.await.unwrap();
        });
    });
}

#[test]
#[ignore = "sends signals to its process: run in a child by the test that `alone!` names"]
fn before() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let mut early = signal(SignalKind::alarm()).unwrap();
            kill("ALRM");
            early.recv().await.unwrap();
            let mut late = signal(SignalKind::alarm()).unwrap();
            assert!(is_silent(&mut late).await);
            for forbidden in [9, 19, 11, 0, -3, 4000] {
                assert!(
                    signal(SignalKind::from_raw(forbidden)).is_err(),
                    "{forbidden}"
                );
            }
        });
    });
}

#[test]
#[ignore = "sends signals to its process: run in a child by the test that `alone!` names"]
fn stays() {
    each_case(&FLAVORS, |case| {
        let runtime = case.runtime();
        within(&runtime, LIMIT, async {
            drop(signal(SignalKind::terminate()).unwrap());
            kill("TERM");
        });
        drop(runtime);
        // The default action would end the process.
        kill("TERM");
    });
}
