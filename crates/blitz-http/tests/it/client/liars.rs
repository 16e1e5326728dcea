//! A server that lies in every way. Each lie has an error of its own, never a hang and never a wrong body, and no connection is kept.

use super::{Then, answered, head, paused, served};
use blitz_http::Client;
use blitz_http::client::{Error, Phase};
use blitz_io::io::AsyncWriteExt;
use bytes::Bytes;
use std::time::Duration;

/// A GET with all of its body.
async fn get(client: &Client) -> Result<Bytes, Error> {
    let mut response = client.get("http://liar.example/").send().await?;
    response.bytes().await
}

/// What became of it: the name of the error and its phase.
fn lie(bytes: impl Into<Vec<u8>>, then: Then) -> Result<Bytes, (&'static str, Option<Phase>)> {
    told(bytes, then).map_err(|error| (error.name(), error.phase()))
}

/// The same with the whole error.
fn told(bytes: impl Into<Vec<u8>>, then: Then) -> Result<Bytes, Error> {
    let client = answered(bytes, then);
    paused(async {
        let answer = get(&client).await;
        let state = client.pool_state();
        // Only where the lie was within the coding can the message around it be whole.
        let coding = matches!(&answer, Err(error) if error.name() == "coding");
        let clean = state.idle == 0 || coding;
        assert!(
            (state.leased, state.waiting, clean) == (0, 0, true),
            "{state:?} {answer:?}"
        );
        answer.inspect_err(|error| {
            assert!(!error.to_string().is_empty() && !error.chain().is_empty());
            assert_eq!(
                error.url().map(|url| url.as_str()),
                Some("http://liar.example/")
            );
        })
    })
}

/// Each lie is `malformed`, found in this phase, and says what is wrong with it.
#[track_caller]
fn each_says(start: &str, phase: Phase, lies: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (lie, says) in lies {
        let error = told(format!("{start}{lie}"), Then::Stall).expect_err(lie);
        assert_eq!(
            (error.name(), error.phase()),
            ("malformed", Some(phase)),
            "{lie:?}"
        );
        if !error.chain().contains(says) {
            wrong.push((*lie, error.chain()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_response_may_be_cut_off_at_each_byte() {
    for (whole, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nA: b\r\n\r\n",
            "hello",
        ),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!",
            "!",
        ),
    ] {
        let end_of_head = whole.rfind("\r\n\r\n").map_or(0, |at| at + 4);
        let end_of_head = if whole.contains("chunked") {
            whole.find("\r\n\r\n").map_or(0, |at| at + 4)
        } else {
            end_of_head
        };
        for len in 0..whole.len() {
            let expected = match len {
                0 => ("closed", Some(Phase::Head)),
                _ if len < end_of_head => ("truncated", Some(Phase::Head)),
                _ => ("truncated", Some(Phase::Body)),
            };
            assert_eq!(
                lie(&whole[..len], Then::Close),
                Err(expected),
                "{:?}",
                &whole[..len]
            );
        }
        // A connection that was answered well is kept, until it is found closed.
        let client = answered(whole, Then::Close);
        let all = paused(get(&client)).expect("it is whole");
        assert_eq!(all, body);
    }
}

#[test]
fn a_response_may_be_no_response() {
    const STATUS: &str = "malformed status line";
    const VERSION: &str = "protocol version is not HTTP/1.0 or HTTP/1.1";
    const LENGTH: &str = "malformed Content-Length";
    const ENCODING: &str = "Transfer-Encoding does not end with one chunked";
    let lies = [
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", STATUS),
        (" HTTP/1.1 200 OK\r\n\r\n", STATUS),
        ("SSH-2.0-OpenSSH_9\r\n", STATUS),
        ("\x16\x03\x01\x02\x00\x01\x00\x01", STATUS),
        ("<html>hello</html>", STATUS),
        ("HTTP/1.1 99 No\r\n\r\n", STATUS),
        ("HTTP/1.1 600 No\r\n\r\n", STATUS),
        ("HTTP/1.1 2000 No\r\n\r\n", STATUS),
        ("HTTP/1.1 OK\r\n\r\n", STATUS),
        ("HTTP/2 200 OK\r\n\r\n", VERSION),
        ("HTTP/0.9 200 OK\r\n\r\n", VERSION),
        ("http/1.1 200 OK\r\n\r\n", STATUS),
        (
            "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
            "malformed field name",
        ),
        (
            "HTTP/1.1 200 OK\r\n folded: 1\r\n\r\n",
            "malformed field name",
        ),
        (
            "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
            "malformed field value",
        ),
        (
            "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
            "malformed field value",
        ),
        (
            "HTTP/1.1 200 OK\nA: b\n\n",
            "line ends without a carriage return",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "several Content-Length fields",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na",
            "several Content-Length fields",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", LENGTH),
        ("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na", LENGTH),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\na", LENGTH),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\na",
            LENGTH,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "both Content-Length and Transfer-Encoding",
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding in an HTTP/1.0 message",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
            ENCODING,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            ENCODING,
        ),
    ];
    each_says("", Phase::Head, &lies);
}

#[test]
fn chunks_may_be_none() {
    const SIZE: &str = "malformed chunk size";
    const END: &str = "chunk does not end where its size says";
    let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let lies = [
        ("g\r\n", SIZE),
        ("\r\n", SIZE),
        ("-1\r\n", SIZE),
        (" 1\r\na\r\n", SIZE),
        ("1 \r\na\r\n", SIZE),
        ("0x1\r\na\r\n", SIZE),
        ("ffffffffffffffffff\r\n", SIZE),
        ("5\r\nhelloX\r\n", END),
        ("5\r\nhello\n0\r\n\r\n", END),
        ("5\nhello\r\n", SIZE),
        (
            "5;a\nb\r\nhello\r\n",
            "malformed or endless chunk extension",
        ),
        (
            "0\r\nContent-Length: 5\r\n\r\n",
            "a field that may not stand in trailers",
        ),
        ("0\r\nbad\r\n\r\n", "malformed trailers"),
    ];
    each_says(start, Phase::Body, &lies);
}

#[test]
fn nothing_may_be_endless() {
    for endless in ["X-A: b\r\n", "x", "X-A: ", " "] {
        for start in ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 "] {
            let bytes = [
                start.as_bytes(),
                &endless.as_bytes().repeat(200_000 / endless.len()),
            ]
            .concat();
            let (name, phase) = lie(bytes, Then::Stall).expect_err("endless");
            assert!(
                matches!(name, "too_large" | "malformed"),
                "{name}: {start:?} {endless:?}"
            );
            assert_eq!(phase, Some(Phase::Head));
        }
    }
    for inform in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n",
    ] {
        let answer = lie(inform.repeat(1000), Then::Stall);
        assert_eq!(answer, Err(("too_large", Some(Phase::Head))), "{inform:?}");
    }
    let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (name, phase) =
        lie(format!("{start}1;{}", "x".repeat(100_000)), Then::Stall).expect_err("endless");
    assert_eq!((name, phase), ("malformed", Some(Phase::Body)));
    let trailers = "A: b\r\n".repeat(100_000);
    let answer = lie(format!("{start}0\r\n{trailers}"), Then::Stall);
    assert_eq!(answer, Err(("too_large", Some(Phase::Body))));
}

#[test]
fn a_body_may_be_larger_than_wanted() {
    let endless = |framing: &'static str, piece: &'static [u8]| {
        let (builder, _) = served(move |_, mut io| async move {
            head(&mut io).await;
            let start = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
            let mut sent = io.write_all(start.as_bytes()).await;
            while sent.is_ok() {
                sent = io.write_all(piece).await;
            }
        });
        builder
            .response_bytes_max(1_000_000)
            .build()
            .expect("a client")
    };
    for (framing, piece) in [
        ("A: until close", &[b'x'; 1000][..]),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n"),
        ("Content-Length: 1000001", &[b'x'; 1000][..]),
    ] {
        let client = endless(framing, piece);
        let error = paused(get(&client)).expect_err("too much");
        assert!(error.is_too_large(), "{framing}: {error:?}");
        assert_eq!(error.phase(), Some(Phase::Body));
        assert_eq!(client.pool_state().idle, 0);
    }
    let client = answered(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        Then::Stall,
    );
    let kept = paused(async {
        let tight = client
            .get("http://a/")
            .response_bytes_max(4)
            .send()
            .await?
            .bytes()
            .await;
        assert!(tight.expect_err("too much").is_too_large());
        client
            .get("http://a/")
            .response_bytes_max(5)
            .send()
            .await?
            .bytes()
            .await
    });
    assert_eq!(kept.expect("just enough"), "hello");
}

#[test]
fn compression_may_lie() {
    use std::io::Write;
    let gzip = |plain: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).expect("it is encoded");
        encoder.finish().expect("it is encoded")
    };
    let answer = |coding: &str, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let body = Some(Phase::Body);
    let bomb = gzip(&vec![0; 16 << 20]);
    assert_eq!(
        lie(answer("gzip", &bomb), Then::Stall),
        Err(("too_large", body))
    );
    let whole = gzip(b"hello");
    assert_eq!(
        lie(answer("gzip", &whole[..whole.len() - 1]), Then::Stall),
        Err(("coding", body))
    );
    assert_eq!(
        lie(answer("gzip", b"hello"), Then::Stall),
        Err(("coding", body))
    );
    assert_eq!(
        lie(answer("br", b"\xff\xff\xff"), Then::Stall),
        Err(("coding", body))
    );
    assert_eq!(
        lie(answer("zstd", b"hello"), Then::Stall),
        Err(("coding", body))
    );
    assert_eq!(
        lie(answer("sdch", b"hello"), Then::Stall),
        Err(("coding", body))
    );
    let client = answered(
        answer("gzip", &[whole.clone(), gzip(b" you")].concat()),
        Then::Stall,
    );
    assert_eq!(paused(get(&client)).expect("two members"), "hello you");
}

#[test]
fn redirects_may_lie() {
    let to = |location: &str| {
        format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
    };
    for location in [
        "/",
        "http://liar.example/",
        "http:///",
        "ftp://a/",
        "data:text/plain,x",
        "http://[",
        "//",
    ] {
        let client = answered(to(location), Then::Close);
        let error = paused(get(&client)).expect_err(location);
        assert!(error.is_redirect(), "{location}: {error:?}");
        assert!(error.phase().is_some());
    }
    let (builder, opened) = served(|n, mut io| async move {
        head(&mut io).await;
        let to = format!(
            "HTTP/1.1 301 Moved\r\nLocation: /{n}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        io.write_all(to.as_bytes()).await.expect("it is sent");
    });
    let client = builder.build().expect("a client");
    let error = paused(get(&client)).expect_err("too many");
    assert_eq!(
        error.to_string().split(" (").next(),
        Some("server redirected more than 10 times")
    );
    assert_eq!(opened.load(std::sync::atomic::Ordering::Relaxed), 11);
}

#[test]
fn what_was_not_asked_for_is_no_answer() {
    // A second answer behind the first: the next request must not get it.
    let (builder, opened) = served(|_, mut io| async move {
        while !head(&mut io).await.is_empty() {
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
            if io.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let client = builder.build().expect("a client");
    paused(async {
        for _ in 0..3 {
            assert_eq!(get(&client).await.expect("an answer"), "1");
        }
        assert_eq!(client.pool_state().idle, 0);
    });
    assert_eq!(opened.load(std::sync::atomic::Ordering::Relaxed), 3);

    // The same, said while the connection is kept.
    let (builder, opened) = served(|_, mut io| async move {
        head(&mut io).await;
        let first = io
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")
            .await;
        blitz_io::time::sleep(Duration::from_secs(1)).await;
        let evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
        let second = io.write_all(evil).await;
        assert!(first.is_ok() && second.is_ok());
        head(&mut io).await;
    });
    let client = builder.build().expect("a client");
    paused(async {
        for _ in 0..2 {
            assert_eq!(get(&client).await.expect("an answer"), "1");
            assert_eq!(client.pool_state().idle, 1);
            blitz_io::time::sleep(Duration::from_secs(2)).await;
        }
        assert_eq!(client.pool_state().found_dead, 1);
    });
    assert_eq!(opened.load(std::sync::atomic::Ordering::Relaxed), 2);
}
