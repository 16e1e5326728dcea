//! What browsers do: redirects, cookies, forms; and what programs want besides: retries, events, layers, mocks.

use super::{Then, answered, exactly, head, paused, served};
use blitz_http::client::{CookieJar, Mock, Multipart, RedirectPolicy, RetryPolicy, Url};
use blitz_http::{Body, Client, Request, Router};
use blitz_io::io::AsyncWriteExt;
use blitz_io::time::{Instant, sleep};
use http::{HeaderValue, StatusCode};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower_service::Service;

/// Says what came, and redirects where the path begins with a status.
fn redirecting() -> Router {
    let answer = |request: Request| async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.expect("a body");
        let path = parts.uri.path().to_owned();
        let host = parts.headers["host"].to_str().expect("text").to_owned();
        let mut response = http::Response::new(Body::empty());
        if let Some((status, to)) = path.trim_start_matches('/').split_once("-to-") {
            *response.status_mut() = status
                .parse::<u16>()
                .ok()
                .and_then(|code| StatusCode::from_u16(code).ok())
                .expect("a status");
            let to = to
                .replace('_', "/")
                .replace("other", "http://other.example");
            response
                .headers_mut()
                .insert("location", HeaderValue::try_from(to).expect("a field"));
            response
                .headers_mut()
                .append("set-cookie", HeaderValue::from_static("on=the-way"));
        } else {
            let has = |name: &str| {
                if parts.headers.contains_key(name) {
                    "+"
                } else {
                    "-"
                }
            };
            let fields = ["authorization", "cookie", "content-type"]
                .map(|name| format!("{}{name}", has(name)));
            let text = format!(
                "{} {host}{path} {:?} {}",
                parts.method,
                String::from_utf8_lossy(&body),
                fields.join(" ")
            );
            *response.body_mut() = Body::from(text);
        }
        response
    };
    Router::new().fallback(answer)
}

fn local(router: Router) -> blitz_http::client::ClientBuilder {
    Client::builder().service(router)
}

#[test]
fn redirects_keep_what_they_may() {
    let client = local(redirecting()).build().expect("a client");
    paused(async {
        for (method, path, expected) in [
            (
                "GET",
                "301-to-_x",
                "GET a.example/x \"\" +authorization +cookie +content-type",
            ),
            (
                "POST",
                "301-to-_x",
                "GET a.example/x \"\" +authorization +cookie -content-type",
            ),
            (
                "POST",
                "302-to-_x",
                "GET a.example/x \"\" +authorization +cookie -content-type",
            ),
            (
                "POST",
                "303-to-_x",
                "GET a.example/x \"\" +authorization +cookie -content-type",
            ),
            (
                "PUT",
                "302-to-_x",
                "PUT a.example/x \"body\" +authorization +cookie +content-type",
            ),
            (
                "PUT",
                "303-to-_x",
                "GET a.example/x \"\" +authorization +cookie -content-type",
            ),
            (
                "POST",
                "307-to-_x",
                "POST a.example/x \"body\" +authorization +cookie +content-type",
            ),
            (
                "POST",
                "308-to-_x",
                "POST a.example/x \"body\" +authorization +cookie +content-type",
            ),
            (
                "POST",
                "307-to-other_x",
                "POST other.example/x \"body\" -authorization -cookie +content-type",
            ),
            (
                "GET",
                "302-to-other_x",
                "GET other.example/x \"\" -authorization -cookie -content-type",
            ),
        ] {
            let body = if method == "GET" { "" } else { "body" };
            let request = client
                .request(
                    method.parse().expect("a method"),
                    format!("http://a.example/{path}"),
                )
                .bearer_auth("t")
                .header("cookie", "a=b")
                .header("content-type", "text/plain")
                .body(body);
            let mut response = request.send().await.expect("an answer");
            let text = response.text().await.expect("text");
            let expected = if method == "GET" && path.starts_with("301") {
                // Fields of a body go where none is sent.
                expected.replace("+content-type", "-content-type")
            } else {
                expected.to_owned()
            };
            assert_eq!(text, expected, "{method} {path}");
            assert_eq!(response.redirects().len(), 1);
        }
        // What was streamed cannot be sent again: the redirect is the answer.
        let stream = Body::new(Body::full("body"));
        let response = client
            .post("http://a.example/307-to-_x")
            .body(stream)
            .send()
            .await;
        assert_eq!(response.expect("an answer").status(), 307);
        let none = client
            .get("http://a.example/302-to-_x")
            .redirects(RedirectPolicy::none());
        assert_eq!(none.send().await.expect("an answer").status(), 302);
        let own = RedirectPolicy::limited(5)
            .only_if(|redirect| redirect.to.host_str() == redirect.from.host_str());
        let other = client.get("http://a.example/302-to-other_x").redirects(own);
        assert_eq!(other.send().await.expect("an answer").status(), 302);
    });
}

#[test]
fn cookies_are_kept_and_shown() {
    let jar = CookieJar::new();
    let client = local(redirecting())
        .cookies(jar.clone())
        .build()
        .expect("a client");
    paused(async {
        let mut response = client
            .get("http://a.example/302-to-_x")
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            response.text().await.expect("text"),
            "GET a.example/x \"\" -authorization +cookie -content-type"
        );
        let mut response = client
            .get("http://a.example/302-to-other_x")
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            response.text().await.expect("text"),
            "GET other.example/x \"\" -authorization -cookie -content-type"
        );
    });
    let url = Url::parse("http://a.example/").expect("an address");
    assert_eq!(jar.get(&url), Some(HeaderValue::from_static("on=the-way")));
}

#[test]
fn forms_and_json_are_what_servers_read() {
    let router = Router::new().fallback(|request: Request| async move {
        let mime = request.headers().get("content-type").cloned();
        let mime = mime.map_or(String::new(), |mime| {
            mime.to_str().expect("text").to_owned()
        });
        let query = request.uri().query().unwrap_or_default().to_owned();
        let body = request.into_body().collect().await.expect("a body");
        format!("{query}|{mime}|{}", String::from_utf8_lossy(&body))
    });
    let client = local(router).build().expect("a client");
    paused(async {
        let text = async |builder: blitz_http::client::RequestBuilder| {
            builder
                .send()
                .await
                .expect("an answer")
                .text()
                .await
                .expect("text")
        };
        let got = text(client.post("http://a/").json(&[("a", 1)])).await;
        assert_eq!(got, "|application/json|[[\"a\",1]]");
        let got = text(
            client
                .post("http://a/?x=1")
                .query(&[("y", "ä &")])
                .form(&[("a", "b c"), ("d", "&")]),
        )
        .await;
        assert_eq!(
            got,
            "x=1&y=%C3%A4+%26|application/x-www-form-urlencoded|a=b+c&d=%26"
        );
        let got = text(
            client
                .post("http://a/")
                .multipart(Multipart::new().text("a", "b")),
        )
        .await;
        let boundary = got
            .split("boundary=")
            .nth(1)
            .and_then(|rest| rest.split('|').next())
            .expect("a boundary");
        assert!(
            got.ends_with(&format!("name=\"a\"\r\n\r\nb\r\n--{boundary}--\r\n")),
            "{got}"
        );
        let echoed = client
            .get("http://a/")
            .send()
            .await
            .expect("an answer")
            .json::<u32>()
            .await;
        assert_eq!(echoed.expect_err("no JSON").name(), "json");
    });
}

#[test]
fn retries_are_sent_when_it_is_safe_and_only_so_many() {
    let serve = |busy: usize| {
        served(move |n, mut io| async move {
            let head = head(&mut io).await;
            if head.starts_with("POST") {
                exactly(&mut io, 1).await;
            }
            let answer = if n < busy {
                "HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            } else {
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            };
            io.write_all(answer.as_bytes()).await.expect("sent");
        })
    };
    let (builder, opened) = serve(2);
    let client = builder
        .retries(RetryPolicy::times(3))
        .build()
        .expect("a client");
    paused(async {
        let begun = Instant::now();
        let sent = client.get("http://a/").send().await.expect("an answer");
        assert_eq!((sent.status().as_u16(), opened.load(Relaxed)), (200, 3));
        assert_eq!(begun.elapsed().as_secs(), 4, "as the server has asked");
    });
    let (builder, opened) = serve(2);
    let client = builder
        .retries(RetryPolicy::times(3))
        .build()
        .expect("a client");
    paused(async {
        let sent = client
            .post("http://a/")
            .body("x")
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            (sent.status().as_u16(), opened.load(Relaxed)),
            (503, 1),
            "it may have been done"
        );
    });
    let (builder, opened) = serve(9);
    let client = builder
        .retries(RetryPolicy::times(3))
        .build()
        .expect("a client");
    paused(async {
        let sent = client.get("http://a/").send().await.expect("an answer");
        assert_eq!((sent.status().as_u16(), opened.load(Relaxed)), (503, 4));
        // No longer than all of it may take.
        let sent = client
            .get("http://a/")
            .timeout(Duration::from_secs(1))
            .send()
            .await;
        assert_eq!(sent.expect("an answer").status(), 503);
    });
    let client = serve(9).0.build().expect("a client");
    paused(async {
        assert_eq!(
            client
                .get("http://a/")
                .send()
                .await
                .expect("an answer")
                .status(),
            503,
            "unless asked, none"
        );
    });
}

#[test]
fn events_come_over_as_many_connections_as_it_takes() {
    let ids = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ids);
    let (builder, _) = served(move |n, mut io| {
        let seen = Arc::clone(&seen);
        async move {
            let head = head(&mut io).await;
            let id = head
                .lines()
                .find_map(|line| line.strip_prefix("last-event-id: "))
                .unwrap_or_default();
            seen.lock().expect("no panic").push(id.to_owned());
            assert!(
                head.starts_with("POST") && head.contains("accept: text/event-stream"),
                "{head}"
            );
            exactly(&mut io, 6).await;
            let start = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n";
            let answer = match n {
                0 => format!("{start}retry: 5000\nid: 1\ndata: a\n\nid: 2\ndata: cut o"),
                // Closed without a word, which is a failure to get over.
                1 => return,
                2 => format!("{start}id: 2\nevent: x\ndata: b\ndata: c\n\n"),
                _ => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            };
            io.write_all(answer.as_bytes()).await.expect("sent");
        }
    });
    let client = builder.build().expect("a client");
    paused(async {
        let begun = Instant::now();
        let mut events = client
            .post("http://a/")
            .body("prompt")
            .events()
            .expect("a request");
        let mut came = Vec::new();
        while let Some(event) = events.next().await {
            let event = event.expect("an event");
            came.push(format!("{}:{}:{}", event.event, event.id, event.data));
        }
        assert_eq!(came, ["message:1:a", "x:2:b\nc"]);
        assert_eq!(*ids.lock().expect("no panic"), ["", "1", "1", "2"]);
        assert!(
            begun.elapsed() >= Duration::from_secs(15),
            "{:?}",
            begun.elapsed()
        );
        assert!(events.next().await.is_none());
    });
}

#[test]
fn what_is_no_stream_of_events_is_an_error() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 500 No\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n",
    ] {
        let client = answered(answer, Then::Close);
        paused(async {
            let mut events = client.get("http://a/").events().expect("a request");
            assert!(events.next().await.expect("an error").is_err());
            assert!(events.next().await.is_none());
        });
    }
    let large = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {}",
        "x".repeat(2000)
    );
    let client = answered(large, Then::Stall);
    paused(async {
        let mut events = client
            .get("http://a/")
            .events()
            .expect("a request")
            .event_bytes_max(1000);
        assert_eq!(
            events
                .next()
                .await
                .expect("an error")
                .expect_err("too large")
                .name(),
            "events"
        );
    });
    let (builder, opened) = served(|_, mut io| async move {
        head(&mut io).await;
    });
    let client = builder.build().expect("a client");
    paused(async {
        let mut events = client
            .get("http://a/")
            .events()
            .expect("a request")
            .failures_max(3);
        assert_eq!(
            events
                .next()
                .await
                .expect("an error")
                .expect_err("it fails")
                .name(),
            "closed"
        );
        assert_eq!(opened.load(Relaxed), 3);
    });
}

#[test]
fn a_mock_holds_its_users_to_what_they_said() {
    let mock = Mock::new().expect("GET", "/a?b", "first").expect(
        "GET",
        "/a?b",
        (StatusCode::CONFLICT, "second"),
    );
    let client = Client::builder()
        .service(mock.clone())
        .build()
        .expect("a client");
    paused(async {
        let status = async |path: &str| {
            let sent = client.get(format!("http://mock{path}")).send().await;
            sent.expect("an answer").status().as_u16()
        };
        assert_eq!((status("/a?b").await, status("/a?b").await), (200, 409));
        mock.verify();
        assert_eq!(status("/a?b").await, 501);
    });
    let verified = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| mock.verify()));
    assert!(verified.is_err(), "what was not expected came");
}

#[test]
fn a_client_is_a_service() {
    let mut client = Client::builder()
        .service(Mock::new().expect("GET", "/", "hello"))
        .build()
        .expect("a client");
    paused(async {
        let request = http::Request::get("http://mock/")
            .body("")
            .expect("a request");
        let response = client.call(request).await.expect("an answer");
        assert_eq!(
            response.into_body().collect().await.expect("all of it"),
            "hello"
        );
        sleep(Duration::ZERO).await;
    });
}

#[test]
fn text_comes_in_the_encoding_that_it_says() {
    for (kind, body, text) in [
        ("text/plain", &b"caf\xc3\xa9"[..], "caf\u{e9}"),
        ("text/plain; charset=iso-8859-1", b"caf\xe9", "caf\u{e9}"),
        ("text/html; charset=\"EUC-JP\"", b"\xa4\xa2", "\u{3042}"),
        ("text/plain; charset=utf-16", b"\xe9\x00", "\u{e9}"),
        // A mark says it better than the server.
        (
            "text/plain; charset=latin1",
            b"\xef\xbb\xbf\xc3\xa9",
            "\u{e9}",
        ),
        ("text/plain; charset=latin1", b"\xff\xfe\xe9\x00", "\u{e9}"),
        ("text/plain; charset=klingon", b"\xc3\xa9", "\u{e9}"),
        ("text/plain", b"\xff!", "\u{fffd}!"),
    ] {
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend_from_slice(body);
        let client = answered(answer, Then::Close);
        paused(async {
            let mut response = client.get("http://a/").send().await.expect("an answer");
            assert_eq!(response.text().await.expect("text"), text, "{kind}");
        });
    }
}

#[test]
fn a_password_is_proven_where_that_is_asked_for() {
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&log);
    let (builder, _) = served(move |_, mut io| {
        let seen = Arc::clone(&seen);
        async move {
            loop {
                let head = head(&mut io).await;
                let Some(path) = head.split(' ').nth(1) else {
                    return;
                };
                let mut fields = head.lines();
                let shown = fields.find_map(|line| line.strip_prefix("authorization: "));
                let shown = shown.unwrap_or_default();
                let ask = "HTTP/1.1 401 Who?\r\nContent-Length: 0\r\nWWW-Authenticate: Digest realm=\"r\", qop=\"auth\", ";
                let answer = match path {
                    "/moved" => {
                        "HTTP/1.1 302 Found\r\nLocation: http://b/\r\nContent-Length: 0\r\n\r\n"
                            .to_owned()
                    }
                    "/yes?" if shown.contains("nonce=\"two\"") => {
                        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()
                    }
                    "/yes?" if shown.contains("nonce=\"one\"") => {
                        format!("{ask}nonce=\"two\", stale=true\r\n\r\n")
                    }
                    "/stale" => format!("{ask}nonce=\"old\", stale=true\r\n\r\n"),
                    _ => format!("{ask}nonce=\"one\"\r\n\r\n"),
                };
                seen.lock().expect("a log").push(shown.to_owned());
                io.write_all(answer.as_bytes()).await.expect("a client");
            }
        }
    });
    let client = builder.build().expect("a client");
    paused(async {
        for (path, status, requests) in [
            ("/yes?", 200, 3),
            // The password is wrong, and is not shown again.
            ("/no", 401, 2),
            ("/stale", 401, 4),
            // Nobody else sees it.
            ("/moved", 401, 2),
        ] {
            let request = client.get(format!("http://a{path}"));
            let response = request.digest_auth("Ada", "secret").send().await;
            assert_eq!(response.expect("an answer").status(), status, "{path}");
            let seen = std::mem::take(&mut *log.lock().expect("a log"));
            assert_eq!(seen.len(), requests, "{path}: {seen:?}");
            assert_eq!(seen[0], "");
            let begin = "Digest username=\"Ada\", realm=\"r\", nonce=\"";
            let proven = |shown: &String| shown.starts_with(begin) && !shown.contains("secret");
            assert_eq!(path != "/moved", seen[1..].iter().all(proven), "{seen:?}");
        }
        let wrong = client.get("http://a/").digest_auth("a:b", "c").build();
        assert!(wrong.is_err());
    });
}
