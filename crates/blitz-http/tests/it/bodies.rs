//! Bodies, both ways.

use crate::harness::{connect, connect_with, without_date};
use blitz_http::{Body, Request, Response, Router, limited, now, service_fn};
use blitz_io::io::AsyncWriteExt;
use bytes::Bytes;
use http::StatusCode;
use http_body::Frame;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;

fn echo() -> Router {
    let stream = |request: Request| async move { Response::new(request.into_body()) };
    let collect = |request: Request| async move { request.into_body().collect().await };
    Router::new()
        .post("/stream", stream)
        .post("/collect", collect)
}

#[blitz_io::test(start_paused = true)]
async fn a_body_is_streamed_back_as_it_comes_with_its_trailers() {
    let mut client = connect(echo());
    client
        .send("POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    client
        .expect("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    for _ in 0..3 {
        client.send("5\r\nhello\r\n").await;
        client.expect("5\r\nhello\r\n").await;
    }
    client.send("0\r\nX-Sum: 1\r\n\r\n").await;
    client.expect("0\r\nx-sum: 1\r\n\r\n").await;
    // And the connection goes on.
    client
        .send("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        .await;
    client
        .expect("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc")
        .await;
}

#[blitz_io::test(start_paused = true)]
async fn a_large_body_comes_whole_through_a_narrow_pipe() {
    let client = connect_with(echo(), without_date(), 700);
    let body: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    let head = format!(
        "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let (mut reads, mut writes) = blitz_io::io::split(client.io);
    let sent = body.clone();
    let sender = blitz_io::spawn(async move {
        use blitz_io::io::AsyncWriteExt;
        writes.write_all(head.as_bytes()).await.expect("sent");
        writes.write_all(&sent).await.expect("sent");
        writes
    });
    use blitz_io::io::AsyncReadExt;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut answer = vec![0; head.len() + body.len()];
    reads.read_exact(&mut answer).await.expect("an answer");
    let wrong = answer[head.len()..]
        .iter()
        .zip(&body)
        .position(|(is, was)| is != was);
    assert_eq!(wrong, None, "{:?}", String::from_utf8_lossy(&answer[..200]));
    drop(sender.await.expect("no panic"));
    client.served.abort();
}

#[blitz_io::test(start_paused = true)]
async fn nothing_is_read_that_nobody_wants() {
    let (ask, asked) = blitz_io::sync::oneshot::channel::<()>();
    let asked = Arc::new(std::sync::Mutex::new(Some(asked)));
    let service = service_fn(move |request: Request| {
        let asked = asked.lock().expect("no panic").take();
        async move {
            if let Some(asked) = asked {
                asked.await.expect("asked");
            }
            http::Response::new(Body::from(
                request
                    .into_body()
                    .collect()
                    .await
                    .expect("a body")
                    .len()
                    .to_string(),
            ))
        }
    });
    // The pipe holds less than the body, so it is sent only when it is read.
    let mut client = connect_with(service, without_date(), 1000);
    let (mut reads, mut writes) = blitz_io::io::split(client.io);
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let sender = blitz_io::spawn(async move {
        use blitz_io::io::AsyncWriteExt;
        writes
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
            .await
            .expect("sent");
        for _ in 0..1000 {
            writes.write_all(&[b'x'; 100]).await.expect("sent");
            counted.fetch_add(100, SeqCst);
        }
        writes
    });
    // Virtual time goes on only when everybody waits.
    blitz_io::time::sleep(std::time::Duration::from_secs(20)).await;
    assert!(
        sent.load(SeqCst) <= 20_000,
        "{sent:?} of it were taken by nobody"
    );
    ask.send(()).expect("it waits");
    use blitz_io::io::AsyncReadExt;
    let expected = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n100000";
    let mut answer = vec![0; expected.len()];
    reads.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(String::from_utf8_lossy(&answer), expected);
    drop(sender.await);
    client.served.abort();
    let _ = (&mut client.served).await;
}

#[blitz_io::test(start_paused = true)]
async fn no_more_is_asked_of_a_body_than_the_client_takes() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let service = service_fn(move |_: Request| {
        let counted = Arc::clone(&counted);
        async move {
            http::Response::new(Body::from_fn(move |_| {
                counted.fetch_add(1024, SeqCst);
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 1024])))))
            }))
        }
    });
    let mut client = connect_with(service, without_date(), 1024);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    blitz_io::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(
        made.load(SeqCst) < 200_000,
        "{made:?} for a client that reads nothing"
    );
}

#[blitz_io::test(start_paused = true)]
async fn a_client_is_told_to_continue_when_the_body_is_read() {
    let head =
        "POST /collect HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    let mut client = connect(echo());
    client.send(head).await;
    client.expect("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.send("abc").await;
    client
        .expect("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 3\r\n\r\nabc")
        .await;
    // Who refuses does not ask for it; and since nobody knows whether it comes, nothing follows.
    let mut client = connect(Router::new().post("/collect", now(|_| StatusCode::FORBIDDEN)));
    client.send(head).await;
    assert_eq!(
        client.rest().await,
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
}

#[blitz_io::test(start_paused = true)]
async fn a_client_is_told_to_continue_before_an_answer_that_needs_its_body() {
    let mut client = connect(echo());
    client
        .send(
            "POST /stream HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
        )
        .await;
    client
        .expect("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n")
        .await;
    client.send("abc").await;
    client.expect("abc").await;
}

#[blitz_io::test(start_paused = true)]
async fn a_body_that_nobody_reads_is_put_away() {
    let router = Router::new()
        .post("/", now(|_| "no"))
        .get("/", now(|_| "yes"));
    let mut client = connect(router);
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        .await;
    client.send("67890GET / HTTP/1.0\r\n\r\n").await;
    let answers = client.rest().await;
    assert!(
        answers.contains("\r\n\r\nnoHTTP/1.1 200 OK") && answers.ends_with("yes"),
        "{answers}"
    );
}

#[blitz_io::test(start_paused = true)]
async fn a_body_that_nobody_reads_and_is_large_ends_the_connection() {
    let mut client = connect(Router::new().post("/", now(|_| "no")));
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        .await;
    assert!(client.rest().await.contains("connection: close"));
}

fn reading() -> Router {
    let read = |request: Request| async move {
        match request.into_body().collect().await {
            Ok(bytes) => bytes.len().to_string(),
            // A handler that does not look at the error.
            Err(_) => panic!("no body"),
        }
    };
    Router::new()
        .post("/", read)
        .post("/large", limited(3_000_000, read))
}

#[blitz_io::test(start_paused = true)]
async fn a_body_over_its_limit_is_413_as_soon_as_that_is_known() {
    let sized = |path: &str, len: usize| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n")
    };
    let mut client = connect(reading());
    client.send(sized("/", 2_097_153)).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 413 "));
    let mut client = connect(reading());
    client.send(sized("/large", 3_000_001)).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 413 "));
    let mut client = connect(reading());
    client.send(sized("/large", 2_500_000)).await;
    let body = blitz_io::spawn(async move {
        client.send(vec![b'x'; 2_500_000]).await;
        client.expect("HTTP/1.1 200 OK").await;
    });
    body.await.expect("it is taken");
    // In chunks it is known only when it has come.
    let mut config = without_date();
    config.body_bytes = 10;
    let mut client = connect_with(reading(), config, 1 << 20);
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    client.send("8\r\n12345678\r\n8\r\n12345678\r\n").await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[blitz_io::test(start_paused = true)]
async fn a_body_that_is_malformed_is_400_whatever_the_handler_makes_of_it() {
    let mut client = connect(reading());
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n")
        .await;
    let answer = client.rest().await;
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("connection: close"),
        "{answer}"
    );
    assert_eq!(client.handle.counters().refused(), 1);
}

#[blitz_io::test(start_paused = true)]
async fn a_body_read_by_another_task_is_read_after_the_answer_too() {
    let (tell, told) = blitz_io::sync::oneshot::channel();
    let tell = Arc::new(std::sync::Mutex::new(Some(tell)));
    let service = service_fn(move |request: Request| {
        let tell = tell.lock().expect("no panic").take().expect("one request");
        blitz_io::spawn(async move {
            tell.send(request.into_body().collect().await)
                .expect("somebody waits")
        });
        std::future::ready(http::Response::new(Body::from("early")))
    });
    let mut client = connect(service);
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        .await;
    client
        .expect("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly")
        .await;
    client.send("def").await;
    assert_eq!(told.await.expect("told").expect("a body"), "abcdef");
}

#[blitz_io::test(start_paused = true)]
async fn a_length_that_the_body_does_not_keep_ends_the_connection() {
    for (said, sent) in [("9", "short"), ("2", "long")] {
        let service = service_fn(move |_: Request| async move {
            let mut body = Some(Bytes::from_static(sent.as_bytes()));
            let body =
                Body::from_fn(move |_| Poll::Ready(body.take().map(|data| Ok(Frame::data(data)))));
            http::Response::builder()
                .header("content-length", said)
                .body(body)
                .expect("a response")
        });
        let mut client = connect(service);
        client
            .send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await;
        let answer = client.rest().await;
        assert!(answer.matches("HTTP/1.1").count() <= 1, "{answer}");
    }
}

/// What is done with a body that may have three bytes, and has four.
#[derive(Clone, Copy, Debug)]
enum Use {
    Collect,
    Limit(u64),
    Fail(u64),
    Ignore,
    Panic,
}

/// A body that came with its head is the body that comes later: its limit, its length, what is told of it, and what follows.
#[blitz_io::test(start_paused = true)]
async fn it_is_all_the_same_whether_a_body_came_with_its_head() {
    let uses = [
        Use::Collect,
        Use::Limit(3),
        Use::Limit(4),
        Use::Fail(3),
        Use::Fail(4),
        Use::Ignore,
        Use::Panic,
    ];
    for (what, limited_to) in uses
        .iter()
        .flat_map(|what| [None, Some(3), Some(4)].map(|to| (*what, to)))
    {
        let run = async |parts: &[&str]| {
            let handler = move |mut request: Request| async move {
                let hint = http_body::Body::size_hint(request.body());
                let told = format!("{:?} {:?}", hint.lower(), hint.upper());
                let limit = match what {
                    Use::Limit(limit) | Use::Fail(limit) => limit,
                    Use::Collect => u64::MAX,
                    Use::Ignore => return (StatusCode::OK, told),
                    Use::Panic => panic!("as it should"),
                };
                request.body_mut().set_limit(limit);
                match (request.into_body().collect().await, what) {
                    (Ok(bytes), _) => (StatusCode::OK, format!("{told} {bytes:?}")),
                    (Err(_), Use::Fail(_)) => (StatusCode::BAD_GATEWAY, told),
                    (Err(error), _) => (error.status(), format!("{told} {error}")),
                }
            };
            let router = match limited_to {
                Some(limit) => Router::new().post("/", blitz_http::limited(limit, handler)),
                None => Router::new().post("/", handler),
            };
            let mut client = connect(router);
            for part in parts {
                client.send(part).await;
                blitz_io::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            let handle = client.handle.clone();
            client.io.shutdown().await.expect("it is shut down");
            let said = client.rest().await;
            let counters = handle.counters();
            (
                said,
                counters.refused(),
                counters.requests(),
                counters.panics(),
            )
        };
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
        let whole = format!("{head}body");
        let with_head = run(&[&whole, &whole]).await;
        let later = run(&[head, "body", head, "body"]).await;
        assert_eq!(with_head, later, "{what:?} {limited_to:?}");
        let together = run(&[&whole.repeat(2)]).await;
        assert_eq!(together.0, later.0, "{what:?} {limited_to:?}");
    }
}

/// Nobody is asked for what is here.
#[blitz_io::test(start_paused = true)]
async fn a_body_that_came_with_its_head_is_waited_for_by_nobody() {
    let router = Router::new().post("/", |request: Request| async move {
        request.into_body().collect().await
    });
    let mut client = connect(router);
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody")
        .await;
    client.expect("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 4\r\n\r\nbody").await;
}
