//! Connections that are kept.

use super::{head, paused, served};
use blitz_http::Client;
use blitz_http::client::{Connecting, Phase, PoolConfig, Timeouts};
use blitz_io::io::AsyncWriteExt;
use blitz_io::time::{Instant, sleep, timeout};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

fn client(pool: PoolConfig) -> (Client, Arc<AtomicUsize>) {
    let (builder, opened) = served(|_, mut io| async move {
        while !head(&mut io).await.is_empty() {
            sleep(Duration::from_millis(10)).await;
            let sent = io
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await;
            if sent.is_err() {
                return;
            }
        }
    });
    (builder.pool(pool).build().expect("a client"), opened)
}

async fn get(client: &Client, url: &str) {
    client.get(url).send().await.expect("an answer");
}

#[test]
fn connections_are_kept_and_not_for_ever() {
    let (client, opened) = client(PoolConfig::default());
    paused(async {
        for _ in 0..5 {
            get(&client, "http://a/").await;
            sleep(Duration::from_secs(50)).await;
        }
        assert_eq!((opened.load(Relaxed), client.pool_state().reused), (1, 4));
        assert_eq!(client.pool_state().idle, 1);
        sleep(Duration::from_secs(130)).await;
        assert_eq!(
            client.pool_state().idle,
            0,
            "it is dropped though nobody asks"
        );
        get(&client, "http://a/").await;
        assert_eq!(opened.load(Relaxed), 2);
        client.drop_idle();
        assert_eq!(client.pool_state().idle, 0);
    });
}

#[test]
fn age_and_use_have_their_limits() {
    let mut config = PoolConfig::default();
    config.age_max = Duration::from_secs(100);
    let (old, opened) = client(config.clone());
    paused(async {
        for _ in 0..5 {
            get(&old, "http://a/").await;
            sleep(Duration::from_secs(30)).await;
        }
        assert_eq!(opened.load(Relaxed), 2);
    });
    config.exchanges_max = 2;
    let (used, opened) = client(config);
    paused(async {
        for _ in 0..6 {
            get(&used, "http://a/").await;
        }
        assert_eq!(opened.load(Relaxed), 3);
    });
}

#[test]
fn there_are_no_more_than_allowed() {
    let mut config = PoolConfig::default();
    config.connections_per_host_max = 2;
    config.connections_max = 3;
    let (client, opened) = client(config);
    paused(async {
        let asked: Vec<_> = ["http://a/", "http://b/"]
            .into_iter()
            .cycle()
            .take(20)
            .map(|url| {
                let client = client.clone();
                blitz_io::spawn(async move { get(&client, url).await })
            })
            .collect();
        sleep(Duration::from_millis(5)).await;
        let state = client.pool_state();
        assert_eq!((state.leased, state.waiting), (3, 17));
        for asked in asked {
            asked.await.expect("an answer");
        }
        let state = client.pool_state();
        assert!(
            state.idle <= 3 && state.leased == 0 && state.waiting == 0,
            "{state:?}"
        );
        for host in 0..10 {
            get(&client, &format!("http://host{host}/")).await;
            let state = client.pool_state();
            assert!(state.idle + state.leased <= 3, "{state:?}");
        }
        assert!(opened.load(Relaxed) >= 12);
    });
}

#[test]
fn a_place_in_line_that_is_given_up_is_nobodys_loss() {
    let mut config = PoolConfig::default();
    config.connections_per_host_max = 1;
    let (client, _) = client(config);
    paused(async {
        let first = client.get("http://a/").send();
        let (first, ()) = futures_join(first, async {
            // In line, and gone before its turn.
            let second = client.get("http://a/").send();
            let given_up = blitz_io::time::timeout(Duration::from_millis(5), second).await;
            assert!(given_up.is_err());
        })
        .await;
        drop(first.expect("an answer"));
        get(&client, "http://a/").await;
        let state = client.pool_state();
        assert_eq!((state.waiting, state.leased, state.opened), (0, 0, 1));
    });
}

#[test]
fn a_client_goes_on_in_another_runtime() {
    let (client, opened) = client(PoolConfig::default());
    assert_eq!(client.pool_state().opened, 0);
    paused(async { get(&client, "http://a/").await });
    paused(async {
        // What was kept ended with its runtime; what is kept from now on is dropped in time.
        get(&client, "http://a/").await;
        assert_eq!((opened.load(Relaxed), client.pool_state().idle), (2, 1));
        sleep(Duration::from_secs(130)).await;
        assert_eq!(client.pool_state().idle, 0);
        get(&client, "http://a/").await;
    });
}

/// Counts as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[test]
fn a_connect_ends_with_the_request_that_wants_it() {
    let connecting = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connecting);
    let hang = move |_: &str, _: u16| -> Connecting {
        count.fetch_add(1, Relaxed);
        let counted = Counted(Arc::clone(&count));
        Box::pin(async move {
            let _counted = counted;
            std::future::pending().await
        })
    };
    let builder = Client::builder().connector(hang).no_proxy();
    let client = builder
        .connections_per_host_max(1)
        .build()
        .expect("a client");
    paused(async {
        for _ in 0..2 {
            let asked = client.get("http://a/").send();
            let given_up = timeout(Duration::from_millis(5), asked).await;
            assert!(given_up.is_err());
            let leased = client.pool_state().leased;
            assert_eq!((connecting.load(Relaxed), leased), (0, 0));
        }
        // Each has its own limits.
        let mut timeouts = Timeouts::default();
        for seconds in [1, 3] {
            timeouts.connect = Duration::from_secs(seconds);
            let begun = Instant::now();
            let asked = client.get("http://a/").timeouts(timeouts.clone());
            let error = asked.send().await.expect_err("it hangs");
            let took = begun.elapsed().as_secs();
            assert_eq!((error.phase(), took), (Some(Phase::Connect), seconds));
        }
        assert_eq!(client.pool_state().opened, 4);
    });
}

async fn futures_join<A, B>(
    one: impl Future<Output = A>,
    other: impl Future<Output = B>,
) -> (A, B) {
    blitz_io::join!(one, other)
}

#[test]
fn connections_can_be_made_beforehand() {
    let mut config = PoolConfig::default();
    config.idle_per_host_max = 3;
    let (client, opened) = client(config);
    paused(async {
        client.warm_up("http://a/", 2).await.expect("two");
        assert_eq!((opened.load(Relaxed), client.pool_state().idle), (2, 2));
        // Those that are there count; more than are kept are not made.
        client.warm_up("http://a/", 2).await.expect("the same");
        assert_eq!((opened.load(Relaxed), client.pool_state().idle), (2, 2));
        client.warm_up("http://a/", 10).await.expect("three");
        assert_eq!((opened.load(Relaxed), client.pool_state().idle), (3, 3));
        let response = client.get("http://a/").send().await.expect("an answer");
        assert!(response.timings().reused && response.timings().connect.is_none());
        assert_eq!(opened.load(Relaxed), 3);
        client.drop_idle();
        // A server that has closed it meanwhile costs the request nothing.
        let (builder, opened) = served(|number, mut io| async move {
            if number == 0 {
                head(&mut io).await;
                return;
            }
            while !head(&mut io).await.is_empty() {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                io.write_all(answer).await.expect("a client");
            }
        });
        let client = builder.build().expect("a client");
        client.warm_up("http://a/", 1).await.expect("one");
        get(&client, "http://a/").await;
        assert_eq!(opened.load(Relaxed), 2);
    });
}

#[test]
fn those_made_beforehand_fail_as_requests_do() {
    let refuse = |_: &str, _: u16| -> Connecting {
        Box::pin(std::future::ready(Err(
            std::io::ErrorKind::ConnectionRefused.into(),
        )))
    };
    let client = Client::builder()
        .connector(refuse)
        .build()
        .expect("a client");
    paused(async {
        let error = client
            .warm_up("http://a/", 3)
            .await
            .expect_err("nobody is there");
        assert_eq!(error.phase(), Some(Phase::Connect));
        let error = client
            .warm_up("no address", 1)
            .await
            .expect_err("no address");
        assert_eq!(error.phase(), None);
        assert_eq!(client.pool_state().leased, 0);
    });
}
