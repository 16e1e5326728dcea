//! One request and its response, byte for byte.

use super::{Then, answered, exactly, head, paused, served};
use blitz_http::Body;
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::sync::oneshot;
use blitz_io::time::{Instant, sleep};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

/// A body of pieces and trailers, whose length nobody knows.
fn pieces(pieces: &[&'static str], trailer: Option<(&'static str, &'static str)>) -> Body {
    let mut frames: VecDeque<_> = pieces
        .iter()
        .map(|piece| Frame::data(Bytes::from(*piece)))
        .collect();
    if let Some((name, value)) = trailer {
        let mut trailers = HeaderMap::new();
        trailers.insert(name, HeaderValue::from_static(value));
        frames.push_back(Frame::trailers(trailers));
    }
    Body::from_fn(move |_| Poll::Ready(frames.pop_front().map(Ok)))
}

#[test]
fn a_request_is_what_was_asked_for() {
    let (builder, _) = served(|_, mut io| async move {
        let mut all = head(&mut io).await;
        let body = if all.contains("chunked") {
            exactly(
                &mut io,
                "3\r\none\r\n4\r\ntwo!\r\n0\r\nsum: 7\r\n\r\n".len(),
            )
            .await
        } else if all.contains("content-length: 4") {
            exactly(&mut io, 4).await
        } else {
            Vec::new()
        };
        all.push_str(std::str::from_utf8(&body).expect("text"));
        let start = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{all}",
            all.len()
        );
        io.write_all(start.as_bytes()).await.expect("it is sent");
    });
    let client = builder
        .user_agent("me")
        .decompress(false)
        .build()
        .expect("a client");
    paused(async {
        let echoed = async |builder: blitz_http::client::RequestBuilder| {
            builder
                .send()
                .await
                .expect("sent")
                .text()
                .await
                .expect("text")
        };
        let got = echoed(
            client
                .get("http://user:pass@a.example:8080/p/q?x=y#fragment")
                .header("x-a", "b"),
        )
        .await;
        assert_eq!(
            got,
            "GET /p/q?x=y HTTP/1.1\r\nhost: a.example:8080\r\nx-a: b\r\nauthorization: Basic dXNlcjpwYXNz\r\n\
             user-agent: me\r\naccept: */*\r\n\r\n"
        );
        let got = echoed(client.post("http://a.example").body("body")).await;
        assert_eq!(
            got,
            "POST / HTTP/1.1\r\nhost: a.example\r\nuser-agent: me\r\naccept: */*\r\ncontent-length: 4\r\n\r\nbody"
        );
        let got = echoed(
            client
                .put("http://a.example/")
                .body(pieces(&["one", "two!"], Some(("sum", "7")))),
        )
        .await;
        assert_eq!(
            got,
            "PUT / HTTP/1.1\r\nhost: a.example\r\nuser-agent: me\r\naccept: */*\r\ntransfer-encoding: chunked\r\n\r\n\
             3\r\none\r\n4\r\ntwo!\r\n0\r\nsum: 7\r\n\r\n"
        );
        let got = echoed(client.post("http://a.example/").bearer_auth("token")).await;
        assert!(
            got.contains("authorization: Bearer token\r\n")
                && got.contains("content-length: 0\r\n"),
            "{got}"
        );
    });
}

#[test]
fn what_cannot_be_sent_is_said_before() {
    let client = blitz_http::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    paused(async {
        for builder in [
            client.get("not an address"),
            client.get("ftp://a/"),
            client.get("file:///etc/passwd"),
            client.get("http://a/").header("a b", "c"),
            client.get("http://a/").header("a", "b\r\nc: d"),
            client.get("http://a/").bearer_auth("a\nb"),
            client.request(http::Method::CONNECT, "http://a/"),
        ] {
            let error = builder.send().await.expect_err("it cannot be sent");
            assert_eq!((error.name(), error.phase()), ("request", None), "{error}");
        }
    });
}

#[test]
fn a_response_is_what_was_said() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: 1\r\nX: 2\r\n\r\n5\r\nhello\r\n0\r\nSum: 5\r\n\r\n";
    let client = answered(answer, Then::Stall);
    paused(async {
        let mut response = client.get("http://a/").send().await.expect("an answer");
        assert_eq!(
            (response.status().as_u16(), response.version()),
            (200, http::Version::HTTP_11)
        );
        assert_eq!(response.headers().get_all("x").iter().count(), 2);
        assert_eq!(
            response.chunk().await.expect("a piece").as_deref(),
            Some(&b"hello"[..])
        );
        assert_eq!(response.chunk().await.expect("the end"), None);
        assert_eq!(
            response.trailers().and_then(|fields| fields.get("sum")),
            Some(&HeaderValue::from_static("5"))
        );
        assert_eq!(client.pool_state().idle, 1);
        let timings = response.timings();
        assert!(timings.pool.is_some() && timings.connect.is_some() && timings.body.is_some());
        assert_eq!(
            (timings.dns, timings.tls, timings.reused),
            (None, None, false)
        );
    });
}

#[test]
fn what_has_no_body_is_over_with_its_head() {
    for (method, answer) in [
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n",
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        ),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let client = answered(answer, Then::Stall);
        paused(async {
            let method = method.parse().expect("a method");
            let mut response = client
                .request(method, "http://a/")
                .send()
                .await
                .expect("an answer");
            assert_eq!(
                (client.pool_state().idle, client.pool_state().leased),
                (1, 0),
                "{answer:?}"
            );
            assert_eq!(response.bytes().await.expect("nothing"), "");
        });
    }
}

#[test]
fn a_connection_is_used_again_only_when_it_is_clean() {
    for (answer, read, kept) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", true, true),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            false,
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            true,
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
            true,
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            true,
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
            true,
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
            false,
            false,
        ),
    ] {
        let client = answered(answer, Then::Stall);
        paused(async {
            let mut response = client.get("http://a/").send().await.expect("an answer");
            if read {
                assert_eq!(response.bytes().await.expect("all of it"), "hi");
            }
            drop(response);
            let state = client.pool_state();
            assert_eq!(
                (state.idle, state.leased),
                (usize::from(kept), 0),
                "{answer:?}"
            );
        });
    }
    let client = answered("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Then::Stall);
    paused(async {
        let sent = client
            .get("http://a/")
            .header("connection", "close")
            .send()
            .await;
        assert!(sent.is_ok());
        assert_eq!(client.pool_state().idle, 0, "we have said that it ends");
    });
}

#[test]
fn heads_that_inform_are_told() {
    let answer = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let client = answered(answer, Then::Stall);
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    paused(async {
        let request = client
            .get("http://a/")
            .on_informational(move |status, headers| {
                let link = headers.contains_key("link");
                sink.lock().expect("no panic").push((status.as_u16(), link));
            });
        assert_eq!(request.send().await.expect("an answer").status(), 200);
    });
    assert_eq!(*told.lock().expect("no panic"), [(103, true), (102, false)]);
}

#[test]
fn a_body_is_held_back_until_it_is_wanted() {
    // Wanted.
    let (builder, _) = served(|_, mut io| async move {
        let head = head(&mut io).await;
        assert!(head.contains("expect: 100-continue"), "{head}");
        let early = blitz_io::time::timeout(Duration::from_millis(900), io.read_u8()).await;
        assert!(early.is_err(), "the body was held back");
        io.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .expect("sent");
        assert_eq!(exactly(&mut io, 4).await, b"body");
        io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await
            .expect("sent");
    });
    let client = builder.build().expect("a client");
    paused(async {
        let sent = client
            .post("http://a/")
            .body("body")
            .expect_continue()
            .send()
            .await;
        assert_eq!(sent.expect("an answer").status(), 200);
        assert_eq!(client.pool_state().idle, 1);
    });
    // Refused: the body never goes, and the connection is not used again.
    let (builder, _) = served(|_, mut io| async move {
        head(&mut io).await;
        io.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            .await
            .expect("sent");
        let mut rest = Vec::new();
        io.read_to_end(&mut rest).await.expect("closed");
        assert_eq!(rest, b"");
    });
    let client = builder.build().expect("a client");
    paused(async {
        let sent = client
            .post("http://a/")
            .body("body")
            .expect_continue()
            .send()
            .await;
        assert_eq!(sent.expect("an answer").status(), 413);
        assert_eq!(client.pool_state().idle, 0);
    });
    // Not understood: it goes after a second.
    let (builder, _) = served(|_, mut io| async move {
        head(&mut io).await;
        assert_eq!(exactly(&mut io, 4).await, b"body");
        io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await
            .expect("sent");
    });
    let client = builder.build().expect("a client");
    paused(async {
        let begun = Instant::now();
        let sent = client
            .post("http://a/")
            .body("body")
            .expect_continue()
            .send()
            .await;
        assert_eq!(sent.expect("an answer").status(), 200);
        assert_eq!(begun.elapsed().as_millis(), 1000);
    });
    // Refused as such: asked plainly.
    let (builder, opened) = served(|_, mut io| async move {
        let head = head(&mut io).await;
        if head.contains("expect") {
            io.write_all(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
                .await
                .expect("sent");
            return;
        }
        assert_eq!(exactly(&mut io, 4).await, b"body");
        io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await
            .expect("sent");
    });
    let client = builder.build().expect("a client");
    paused(async {
        let sent = client
            .post("http://a/")
            .body("body")
            .expect_continue()
            .send()
            .await;
        assert_eq!(sent.expect("an answer").status(), 200);
        assert_eq!(opened.load(Relaxed), 2);
    });
}

#[test]
fn an_answer_before_the_end_of_the_request_is_an_answer() {
    // The server answers, closes, and has not read.
    let (builder, _) = served(|_, mut io| async move {
        head(&mut io).await;
        io.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
            .await
            .expect("sent");
    });
    let client = builder.build().expect("a client");
    paused(async {
        let sent = client
            .post("http://a/")
            .body(vec![0; 10_000_000])
            .send()
            .await;
        let mut response = sent.expect("an answer");
        assert_eq!(response.status(), 403);
        assert_eq!(response.bytes().await.expect("a body"), "no");
        assert_eq!(client.pool_state().idle, 0);
    });
    // The server sends back what it gets, as it gets it.
    let (builder, _) = served(|_, mut io| async move {
        head(&mut io).await;
        io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            .await
            .expect("sent");
        let mut left = 1_000_000;
        let mut buffer = vec![0; 1000];
        while left > 0 {
            let n = io.read(&mut buffer).await.expect("read");
            io.write_all(&buffer[..n]).await.expect("sent");
            left -= n;
        }
    });
    let client = builder.build().expect("a client");
    paused(async {
        let body: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        let sent = client.post("http://a/").body(body.clone()).send().await;
        let back = sent.expect("an answer").bytes().await.expect("all of it");
        assert!(back == body);
        assert_eq!(client.pool_state().idle, 1);
    });
}

#[test]
fn a_body_that_is_not_what_it_said_is_an_error_of_its_own() {
    struct Lying(u64, bool);
    impl http_body::Body for Lying {
        type Data = Bytes;
        type Error = std::io::Error;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
            let said = std::mem::replace(&mut self.1, true);
            Poll::Ready((!said).then(|| Ok(Frame::data(Bytes::from("hello")))))
        }
        fn size_hint(&self) -> http_body::SizeHint {
            http_body::SizeHint::with_exact(self.0)
        }
    }
    let client = answered("HTTP/1.1 200 OK\r\n\r\n", Then::Stall);
    paused(async {
        for length in [4, 6] {
            let sent = client
                .post("http://a/")
                .body(Body::new(Lying(length, false)))
                .send()
                .await;
            assert_eq!(sent.expect_err("it lies").name(), "upload");
        }
        let broken = Body::from_fn(|_| Poll::Ready(Some(Err("disk on fire".into()))));
        let error = client
            .post("http://a/")
            .body(broken)
            .send()
            .await
            .expect_err("it fails");
        assert_eq!(error.name(), "upload");
        assert!(error.chain().contains("disk on fire"), "{}", error.chain());
        assert_eq!(
            (client.pool_state().leased, client.pool_state().idle),
            (0, 0)
        );
    });
}

#[test]
fn a_request_that_is_dropped_is_given_up() {
    let (closed, is_closed) = oneshot::channel();
    let closed = Arc::new(Mutex::new(Some(closed)));
    let (builder, _) = served(move |_, mut io| {
        let closed = closed.lock().expect("no panic").take();
        async move {
            head(&mut io).await;
            let mut rest = Vec::new();
            io.read_to_end(&mut rest).await.expect("closed");
            closed
                .expect("one connection")
                .send(())
                .expect("it is waited for");
        }
    });
    let client = builder.build().expect("a client");
    paused(async {
        let sent = client.get("http://a/").send();
        let given_up = blitz_io::time::timeout(Duration::from_secs(1), sent).await;
        assert!(given_up.is_err());
        is_closed.await.expect("the server sees that");
        assert_eq!(
            (client.pool_state().leased, client.pool_state().idle),
            (0, 0)
        );
    });
}

#[test]
fn a_stale_connection_costs_no_request_that_may_be_said_twice() {
    // The server reads the second request of a connection, and closes without a word.
    let serve = || {
        served(|n, mut io| async move {
            while !head(&mut io).await.is_empty() {
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{n}");
                io.write_all(answer.as_bytes()).await.expect("sent");
                if n == 0 {
                    head(&mut io).await;
                    return;
                }
            }
        })
    };
    for (method, again) in [
        ("GET", true),
        ("PUT", true),
        ("DELETE", true),
        ("POST", false),
        ("PATCH", false),
    ] {
        let (builder, opened) = serve();
        let client = builder.build().expect("a client");
        paused(async {
            let first = client
                .get("http://a/")
                .send()
                .await
                .expect("sent")
                .text()
                .await;
            assert_eq!(first.expect("text"), "0");
            let method: http::Method = method.parse().expect("a method");
            let second = client
                .request(method.clone(), "http://a/")
                .body("")
                .send()
                .await;
            if again {
                let mut second = second.expect("it is sent once more");
                assert_eq!(second.text().await.expect("text"), "1", "{method}");
                assert_eq!(opened.load(Relaxed), 2);
                assert!(!second.timings().reused);
            } else {
                let error = second.expect_err("the server may have done it");
                assert_eq!(error.name(), "closed", "{method}");
                assert!(error.timings().reused);
                assert_eq!(opened.load(Relaxed), 1);
            }
        });
    }
    // One that was closed while it was kept is found closed before anything is sent.
    let (builder, opened) = served(|_, mut io| async move {
        head(&mut io).await;
        io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await
            .expect("sent");
    });
    let client = builder.build().expect("a client");
    paused(async {
        for _ in 0..3 {
            assert!(client.post("http://a/").body("x").send().await.is_ok());
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(
            (client.pool_state().found_dead, opened.load(Relaxed)),
            (2, 3)
        );
    });
}

#[test]
fn another_protocol_takes_over() {
    let (builder, _) = served(|_, mut io| async move {
        head(&mut io).await;
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nahead";
        io.write_all(switch).await.expect("sent");
        let said = exactly(&mut io, 5).await;
        io.write_all(&said).await.expect("sent");
    });
    let client = builder.build().expect("a client");
    paused(async {
        let request = client
            .get("http://a/")
            .header("upgrade", "echo")
            .header("connection", "upgrade");
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 101);
        let mut io = response.upgrade().expect("switched");
        io.write_all(b"hello").await.expect("sent");
        let mut all = [0; 10];
        io.read_exact(&mut all).await.expect("read");
        assert_eq!(&all, b"aheadhello");
        assert_eq!(
            (client.pool_state().leased, client.pool_state().idle),
            (0, 0)
        );
    });
    let client = answered("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Then::Stall);
    paused(async {
        let response = client.get("http://a/").send().await.expect("an answer");
        assert_eq!(
            response.upgrade().expect_err("it did not").name(),
            "upgrade"
        );
    });
}
