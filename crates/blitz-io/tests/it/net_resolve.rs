//! Host names and addresses.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use blitz_io::net::{lookup_host, resolve, resolve_within};
use blitz_io::runtime::Builder;
use blitz_io::time;

use crate::harness::{FLAVORS, GUARD, each_case, on_every, run};

#[test]
fn names_and_texts_of_both_families() {
    on_every(|runtime| {
        run(runtime, async {
            assert_eq!(
                resolve("127.0.0.1").await.unwrap(),
                [IpAddr::from(Ipv4Addr::LOCALHOST)]
            );
            assert_eq!(
                resolve("::1").await.unwrap(),
                [IpAddr::from(Ipv6Addr::LOCALHOST)]
            );
            let found = resolve("localhost").await.unwrap();
            assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback));
            let mut once = found.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), found.len(), "each once: {found:?}");
            let error = resolve("a\0b").await.unwrap_err();
            assert!(error.to_string().contains("cannot look up host"), "{error}");
            let error = lookup_host("no port").await.map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        });
    });
}

#[test]
fn it_works_under_any_executor() {
    let found = futures::executor::block_on(resolve("localhost")).unwrap();
    assert!(!found.is_empty());
}

#[test]
fn paused_time_stands_still_over_a_look_up_and_goes_on_after_one_is_dropped() {
    each_case(&FLAVORS, |case| {
        let runtime = case.builder().start_paused(true).build().unwrap();
        run(&runtime, async {
            let limit = Duration::from_nanos(1);
            let found = resolve_within("localhost", limit).await.unwrap();
            assert!(!found.is_empty());
            let mut dropped = Box::pin(resolve("localhost"));
            let mut cx = Context::from_waker(Waker::noop());
            let _ = pin!(&mut dropped).poll(&mut cx);
            drop(dropped);
            // Virtual, so it takes no time.
            time::sleep(100 * GUARD).await;
        });
    });
}

/// The threads are the process's: none is tied with the worker that happens to start it.
#[cfg(unix)]
#[test]
fn who_asks_the_resolver_is_not_tied_with_its_worker() {
    crate::child::run("", "net_resolve::untied");
}

#[test]
#[ignore = "counts the threads of its process: run in a child by `who_asks_the_resolver_is_not_tied_with_its_worker`"]
fn untied() {
    let place = |status: std::io::Result<String>| -> Option<String> {
        let status = status.ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        Some(line.trim().to_owned())
    };
    let here = place(std::fs::read_to_string("/proc/thread-self/status"));
    let first = here
        .as_ref()
        .and_then(|list| list.split([',', '-']).next()?.parse::<usize>().ok());
    let (Some(here), Some(first)) = (here, first) else {
        eprintln!("not tested: this system does not say where a thread may run");
        return;
    };
    if here == first.to_string() {
        eprintln!("not tested: there is one processor");
        return;
    }
    // The first worker starts the thread, which stays.
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .worker_affinity([first])
        .build()
        .unwrap();
    let found = run(&runtime, runtime.spawn(resolve("localhost")));
    assert!(!found.unwrap().unwrap().is_empty());
    let mut places = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        let folder = thread.unwrap().path();
        let name = std::fs::read_to_string(folder.join("comm")).unwrap_or_default();
        // The system keeps fifteen letters of a name.
        if name.starts_with("blitz-io-resolv") {
            places.extend(place(std::fs::read_to_string(folder.join("status"))));
        }
    }
    assert_eq!(places, [here]);
}
