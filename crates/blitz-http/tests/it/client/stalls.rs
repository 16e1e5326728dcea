//! A server that stops in each phase: the limit of that phase fires, says so, and tells how long the others took.

use super::{Then, answered, head, paused, served};
use blitz_http::Body;
use blitz_http::Client;
use blitz_http::client::{BoxStream, Connecting, Error, Phase, Proxy, Resolving, Timeouts};
use blitz_io::io::{AsyncWriteExt, duplex};
use blitz_io::time::{Instant, sleep};
use std::future::{pending, ready};
use std::time::Duration;

async fn get(client: &Client, url: &str) -> Result<usize, Error> {
    let mut response = client.get(url).send().await?;
    Ok(response.bytes().await?.len())
}

/// The phase in which it gave up, after how many seconds.
fn late(client: &Client, url: &str) -> (Option<Phase>, u64) {
    paused(async {
        let begun = Instant::now();
        let error = get(client, url).await.expect_err("it stalls");
        assert!(error.is_timeout(), "{error:?}");
        let state = client.pool_state();
        assert_eq!((state.leased, state.idle, state.waiting), (0, 0, 0));
        (error.phase(), begun.elapsed().as_secs())
    })
}

#[test]
fn each_phase_has_its_limit() {
    let silent = |_: &str, _: u16| -> Connecting {
        let (ours, theirs) = duplex(1024);
        drop(blitz_io::spawn(async move {
            let _open = theirs;
            pending::<()>().await;
        }));
        Box::pin(ready(Ok(Box::new(ours) as BoxStream)))
    };
    let lost = |_: &str| -> Resolving { Box::pin(pending()) };
    let client = Client::builder()
        .no_proxy()
        .resolver(lost)
        .build()
        .expect("a client");
    assert_eq!(late(&client, "http://a.example/"), (Some(Phase::Dns), 10));
    let never = |_: &str, _: u16| -> Connecting { Box::pin(pending()) };
    let client = Client::builder()
        .connector(never)
        .build()
        .expect("a client");
    assert_eq!(
        late(&client, "http://a.example/"),
        (Some(Phase::Connect), 10)
    );
    let tls = Client::builder()
        .connector(silent)
        .dangerous_accept_any_certificate();
    let client = tls.build().expect("a client");
    assert_eq!(late(&client, "https://a.example/"), (Some(Phase::Tls), 10));
    for proxy in ["http://p.example", "socks5h://p.example"] {
        let proxy = Proxy::new(proxy).expect("a proxy");
        let client = Client::builder()
            .connector(silent)
            .proxy(proxy)
            .build()
            .expect("a client");
        assert_eq!(
            late(&client, "https://a.example/"),
            (Some(Phase::Proxy), 10)
        );
    }
    for (answer, phase) in [
        ("", Phase::Head),
        ("HTTP/1.1 200", Phase::Head),
        ("HTTP/1.1 100 Continue\r\n\r\n", Phase::Head),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            Phase::Body,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            Phase::Body,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nhello", Phase::Body),
    ] {
        let client = answered(answer, Then::Stall);
        assert_eq!(
            late(&client, "http://a.example/"),
            (Some(phase), 60),
            "{answer:?}"
        );
    }
}

#[test]
fn a_head_that_drips_is_late_and_a_body_that_drips_is_not() {
    let drip = |start: &'static str, drop: &'static [u8]| {
        let (builder, _) = served(move |_, mut io| async move {
            head(&mut io).await;
            let mut sent = io.write_all(start.as_bytes()).await;
            while sent.is_ok() {
                sleep(Duration::from_secs(1)).await;
                sent = io.write_all(drop).await;
            }
        });
        builder.build().expect("a client")
    };
    assert_eq!(
        late(&drip("HTTP/1.1 200 OK\r\nA: ", b"x"), "http://a/"),
        (Some(Phase::Head), 60)
    );
    let informs = drip("", b"HTTP/1.1 102 Processing\r\n\r\n");
    assert_eq!(late(&informs, "http://a/"), (Some(Phase::Head), 60));
    let body = drip("HTTP/1.1 200 OK\r\n\r\n", b"x");
    assert_eq!(
        late(&body, "http://a/"),
        (Some(Phase::Body), 3600),
        "all of it has a limit too"
    );
}

#[test]
fn a_server_that_does_not_read_is_late_and_one_that_reads_slowly_is_not() {
    let (builder, _) = served(|_, io| async move {
        let _open = io;
        pending::<()>().await;
    });
    let client = builder.build().expect("a client");
    paused(async {
        let begun = Instant::now();
        let sent = client
            .post("http://a/")
            .body(vec![0; 1_000_000])
            .send()
            .await;
        let error = sent.expect_err("it stalls");
        assert_eq!(
            (error.phase(), begun.elapsed().as_secs()),
            (Some(Phase::Send), 60)
        );
    });
    let (builder, _) = served(|_, mut io| async move {
        head(&mut io).await;
        for _ in 0..10 {
            sleep(Duration::from_secs(50)).await;
            super::exactly(&mut io, 100_000).await;
        }
        let sent = io
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await;
        sent.expect("it is sent");
    });
    let client = builder.build().expect("a client");
    let sent = paused(client.post("http://a/").body(vec![0; 1_000_000]).send());
    let response = sent.expect("slow, but not silent");
    let timings = response.timings();
    assert_eq!(timings.send.map(|send| send.as_secs()), Some(500));
}

#[test]
fn what_the_caller_takes_its_time_for_is_not_the_servers_fault() {
    let client = answered(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        Then::Stall,
    );
    let read = paused(async {
        let mut response = client.get("http://a/").send().await?;
        sleep(Duration::from_secs(600)).await;
        response.bytes().await
    });
    assert_eq!(read.expect("it was there"), "hello");
    // A body that the caller makes slowly.
    let (builder, _) = served(|_, mut io| async move {
        head(&mut io).await;
        super::exactly(&mut io, "1\r\nx\r\n0\r\n\r\n".len()).await;
        let sent = io.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        sent.expect("it is sent");
    });
    let client = builder.build().expect("a client");
    let status = paused(async {
        let mut wait = Box::pin(sleep(Duration::from_secs(600)));
        let mut said = false;
        let body = Body::from_fn(move |cx| {
            std::task::ready!(std::future::Future::poll(wait.as_mut(), cx));
            let piece = (!std::mem::replace(&mut said, true)).then(|| bytes::Bytes::from("x"));
            std::task::Poll::Ready(piece.map(|piece| Ok(http_body::Frame::data(piece))))
        });
        client
            .post("http://a/")
            .body(body)
            .send()
            .await
            .map(|response| response.status())
    });
    assert_eq!(status.expect("it was heard"), 204);
}

#[test]
fn all_of_it_has_a_limit_and_the_error_tells_what_took_so_long() {
    let slow = |_: &str, _: u16| -> Connecting {
        Box::pin(async {
            sleep(Duration::from_secs(3)).await;
            let (ours, theirs) = duplex(1024);
            drop(blitz_io::spawn(async move {
                let _open = theirs;
                pending::<()>().await;
            }));
            Ok(Box::new(ours) as BoxStream)
        })
    };
    let client = Client::builder().connector(slow).build().expect("a client");
    let error = paused(async {
        let sent = client
            .get("http://a.example/path?secret=1")
            .timeout(Duration::from_secs(5));
        sent.send().await.expect_err("it stalls")
    });
    assert_eq!(
        (error.phase(), error.is_timeout()),
        (Some(Phase::Head), true)
    );
    assert_eq!(error.timings().connect, Some(Duration::from_secs(3)));
    assert_eq!(error.timings().head, Some(Duration::from_secs(2)));
    assert_eq!(error.timings().total, Duration::from_secs(5));
    let said = error.to_string();
    assert!(said.starts_with("request was not done within 5s, and ended in phase head (http://a.example/path; before: pool "), "{said}");
    assert!(
        said.contains("connect 3.0s") && !said.contains("secret"),
        "{said}"
    );
}

#[test]
fn a_place_in_line_has_its_limit_and_its_order() {
    let (builder, _) = served(|_, mut io| async move {
        while !head(&mut io).await.is_empty() {
            sleep(Duration::from_secs(20)).await;
            let sent = io
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await;
            if sent.is_err() {
                return;
            }
        }
    });
    let mut timeouts = Timeouts::default();
    timeouts.pool = Duration::from_secs(30);
    let builder = builder.connections_per_host_max(1).timeouts(timeouts);
    let client = builder.build().expect("a client");
    paused(async {
        let begun = Instant::now();
        let asked: Vec<_> = (0..4)
            .map(|_| {
                let client = client.clone();
                blitz_io::spawn(async move {
                    let sent = client.get("http://a/").send().await;
                    (sent.map(drop), begun.elapsed().as_secs())
                })
            })
            .collect();
        let mut ends = Vec::new();
        for asked in asked {
            let (sent, after) = asked.await.expect("no panic");
            ends.push((sent.map_err(|error| error.phase()), after));
        }
        let pool = Err(Some(Phase::Pool));
        assert_eq!(ends, [(Ok(()), 20), (Ok(()), 40), (pool, 30), (pool, 30)]);
        assert_eq!(client.pool_state().opened, 1);
    });
}
