//! Each phase ends in time, and is counted. Virtual time over a pipe: nothing here takes as long as it says.

use crate::harness::{Client, connect, connect_with, without_date};
use blitz_http::{Body, Config, Phase, Request, Router, now, service_fn};
use blitz_io::io::AsyncReadExt;
use blitz_io::time::{Instant, sleep};
use bytes::Bytes;
use std::time::Duration;

fn hello() -> Router {
    let read = |request: Request| async move { request.into_body().collect().await };
    Router::new().get("/", now(|_| "hello")).post("/", read)
}

async fn ends_after(client: &mut Client, begun: Instant, seconds: u64, phase: Phase) -> String {
    let rest = client.rest().await;
    let took = begun.elapsed();
    let expected = Duration::from_secs(seconds);
    assert!(
        took >= expected && took < expected + Duration::from_secs(4),
        "{phase:?}: {took:?}, not {expected:?}"
    );
    assert_eq!(
        client.handle.counters().timeouts(phase),
        1,
        "{phase:?} is counted"
    );
    rest
}

#[blitz_io::test(start_paused = true)]
async fn a_silent_connection_has_the_time_of_a_head() {
    let (mut client, begun) = (connect(hello()), Instant::now());
    assert_eq!(ends_after(&mut client, begun, 30, Phase::Head).await, "");
}

#[blitz_io::test(start_paused = true)]
async fn who_speaks_another_protocol_is_told_by_its_first_line() {
    for opener in ["SSH-2.0-x\r\n", "EHLO a\r\n", "*1\r\n"] {
        let (mut client, begun) = (connect(hello()), Instant::now());
        client.send(opener).await;
        client.expect("HTTP/1.1 400 Bad Request\r\n").await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "{opener}");
        assert_eq!(client.handle.counters().refused(), 1);
    }
}

#[blitz_io::test(start_paused = true)]
async fn a_head_that_drips_has_the_time_of_a_head() {
    let (mut client, begun) = (connect(hello()), Instant::now());
    let (mut reads, mut writes) = blitz_io::io::split(client.io);
    blitz_io::spawn(async move {
        use blitz_io::io::AsyncWriteExt;
        for byte in b"GET / HTTP/1.1\r\nX: ".iter().chain([b'a'; 100].iter()) {
            // Until the server has had enough.
            if writes.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    });
    let mut answer = vec![0; 12];
    reads.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(answer, b"HTTP/1.1 408");
    let took = begun.elapsed().as_secs();
    assert!((29..32).contains(&took), "{took}");
    assert_eq!(client.handle.counters().timeouts(Phase::Head), 1);
    drop(reads);
    client.served.abort();
    let _ = (&mut client.served).await;
}

#[blitz_io::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let mut client = connect(hello());
    for _ in 0..3 {
        sleep(Duration::from_secs(29)).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.expect("HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 5\r\n\r\nhello").await;
    }
    let begun = Instant::now();
    assert_eq!(ends_after(&mut client, begun, 75, Phase::Idle).await, "");
}

#[blitz_io::test(start_paused = true)]
async fn a_second_head_has_its_time_from_its_first_byte() {
    let mut client = connect(hello());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.expect("HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 5\r\n\r\nhello").await;
    sleep(Duration::from_secs(70)).await;
    client.send("GET /").await;
    let begun = Instant::now();
    assert!(
        ends_after(&mut client, begun, 30, Phase::Head)
            .await
            .starts_with("HTTP/1.1 408 ")
    );
}

#[blitz_io::test(start_paused = true)]
async fn a_body_that_stops_is_408() {
    let mut config = without_date();
    config.timeouts.rate_min = 0;
    let mut client = connect_with(hello(), config, 1 << 16);
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        .await;
    sleep(Duration::from_secs(50)).await;
    client.send("d").await;
    let begun = Instant::now();
    assert!(
        ends_after(&mut client, begun, 60, Phase::Body)
            .await
            .starts_with("HTTP/1.1 408 ")
    );
}

#[blitz_io::test(start_paused = true)]
async fn a_body_that_drips_is_408() {
    let mut client = connect(hello());
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        .await;
    let begun = Instant::now();
    for _ in 0..5 {
        client.send("a").await;
        sleep(Duration::from_secs(1)).await;
    }
    let rest = ends_after(&mut client, begun, 5, Phase::BodyRate).await;
    assert!(rest.starts_with("HTTP/1.1 408 "), "{rest}");
}

#[blitz_io::test(start_paused = true)]
async fn a_body_that_is_slow_but_fast_enough_comes() {
    let mut client = connect(hello());
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n")
        .await;
    for _ in 0..40 {
        client.send([b'a'; 250]).await;
        sleep(Duration::from_secs(1)).await;
    }
    client.expect("HTTP/1.1 200 OK").await;
}

#[blitz_io::test(start_paused = true)]
async fn time_that_the_handler_takes_is_not_the_clients() {
    let service = service_fn(|mut request: Request| async move {
        let mut bytes = 0;
        while let Some(frame) = request.body_mut().frame().await {
            bytes += frame.expect("a frame").data_ref().map_or(0, Bytes::len);
            sleep(Duration::from_secs(100)).await;
        }
        http::Response::new(Body::from(bytes.to_string()))
    });
    let mut client = connect(service);
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
        .await;
    sleep(Duration::from_secs(50)).await;
    client.send("b").await;
    client
        .expect("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n2")
        .await;
}

fn big() -> Router {
    Router::new().get("/", now(|_| Body::from(vec![b'x'; 1 << 20])))
}

#[blitz_io::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut() {
    let mut config: Config = without_date();
    config.timeouts.rate_min = 0;
    let mut client = connect_with(big(), config, 1000);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let begun = Instant::now();
    let served = (&mut client.served).await;
    served.expect("no panic").expect("no error");
    assert_eq!(begun.elapsed().as_secs(), 60);
    assert_eq!(client.handle.counters().timeouts(Phase::Response), 1);
}

#[blitz_io::test(start_paused = true)]
async fn a_client_that_reads_in_drips_is_cut() {
    let mut client = connect_with(big(), without_date(), 1000);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let begun = Instant::now();
    let mut read = 0;
    while client.io.read(&mut [0; 10]).await.expect("it is read") > 0 && read < 100_000 {
        read += 10;
        sleep(Duration::from_secs(1)).await;
    }
    // What was in the pipe drips on.
    assert!(read < 3000, "{read}");
    assert!(begun.elapsed().as_secs() < 200);
    assert_eq!(client.handle.counters().timeouts(Phase::ResponseRate), 1);
}

#[blitz_io::test(start_paused = true)]
async fn a_client_that_stays_after_the_last_answer_is_left() {
    let mut client = connect(hello());
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let begun = Instant::now();
    (&mut client.served)
        .await
        .expect("no panic")
        .expect("no error");
    assert_eq!(begun.elapsed().as_secs(), 2);
    assert_eq!(client.handle.counters().timeouts(Phase::Linger), 1);
    assert!(client.rest().await.ends_with("hello"));
}

#[blitz_io::test(start_paused = true)]
async fn a_handler_has_the_time_that_it_is_given() {
    let mut config = without_date();
    config.timeouts.handler = Duration::from_secs(20);
    let service = service_fn(|request: Request| async move {
        if request.uri().path() == "/never" {
            std::future::pending::<()>().await;
        }
        sleep(Duration::from_secs(15)).await;
        // An answer that has begun takes its time.
        let mut left = 3;
        let mut every = blitz_io::time::interval(Duration::from_secs(30));
        http::Response::new(Body::from_fn(move |cx| {
            std::task::ready!(every.poll_tick(cx));
            left -= 1;
            let frame = http_body::Frame::data(Bytes::from_static(b"a"));
            std::task::Poll::Ready((left >= 0).then_some(Ok(frame)))
        }))
    });
    let mut client = connect_with(service, config, 1 << 16);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client
        .expect("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n0\r\n\r\n")
        .await;
    assert_eq!(client.handle.counters().timeouts(Phase::Handler), 0);
    client.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let begun = Instant::now();
    let rest = ends_after(&mut client, begun, 20, Phase::Handler).await;
    assert!(rest.starts_with("HTTP/1.1 503 "), "{rest}");
    assert!(rest.contains("connection: close\r\n"), "{rest}");
}

#[blitz_io::test(start_paused = true)]
async fn a_connection_leaves_when_it_is_old() {
    let mut config = without_date();
    config.connection_age = Duration::from_secs(100);
    let mut client = connect_with(hello(), config, 1 << 16);
    for seconds in [20, 69] {
        sleep(Duration::from_secs(seconds)).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.expect("HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 5\r\n\r\nhello").await;
    }
    sleep(Duration::from_secs(23)).await;
    let ask = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send([ask, ask].concat()).await;
    let rest = client.rest().await;
    assert!(rest.contains("connection: close\r\n"), "{rest}");
    assert_eq!(
        rest.matches("hello").count(),
        1,
        "what came behind it is another connection's"
    );
}

#[blitz_io::test(start_paused = true)]
async fn a_connection_leaves_after_so_many_requests() {
    let mut config = without_date();
    config.requests_max = 3;
    let mut client = connect_with(hello(), config, 1 << 16);
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5))
        .await;
    let rest = client.rest().await;
    assert_eq!(rest.matches("hello").count(), 3, "{rest}");
    assert_eq!(rest.matches("connection: close\r\n").count(), 1, "{rest}");
}
