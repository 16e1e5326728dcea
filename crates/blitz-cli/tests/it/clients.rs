//! The examples that are clients, each against a server of a few lines.

use crate::examples::{Running, example, exchange as exchange_bytes};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::Arc;

/// A server that answers each head, and closes where that is asked for by an empty answer or a half one.
fn serve(answer: impl Fn(&str) -> (Vec<u8>, bool) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    let answer = Arc::new(answer);
    // It ends with the test.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, answer) = (stream.expect("a client"), Arc::clone(&answer));
            std::thread::spawn(move || exchange(stream, &*answer));
        }
    });
    addr
}

fn exchange(mut stream: TcpStream, answer: &dyn Fn(&str) -> (Vec<u8>, bool)) {
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        let (bytes, goes_on) = answer(&String::from_utf8_lossy(&head));
        if stream.write_all(&bytes).is_err() || !goes_on {
            return;
        }
    }
}

fn run(name: &str, words: &[&str]) -> (Output, String) {
    let mut command = Command::new(example(name));
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(variable);
    }
    let output = command.args(words).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

#[test]
fn client_prints_a_line_a_request() {
    let addr = serve(|head| {
        assert!(
            head.starts_with("PUT /x HTTP/1.1\r\n") && head.contains("x-a: b\r\n"),
            "{head}"
        );
        let answer = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nX-Two: 1\r\nX-Two: 2\r\n\r\n5\r\nhello\r\n0\r\nSum: 5\r\n\r\n";
        (answer.into(), true)
    });
    let url = format!("http://a.example:{}/x", addr.port());
    let resolve = format!("a.example:{}:127.0.0.1", addr.port());
    let words = [
        "-X",
        "PUT",
        "-H",
        "X-A: b",
        "--resolve",
        &resolve,
        "--repeat",
        "2",
        "--max-time",
        "50",
        &url,
    ];
    let (output, text) = run("client", &words);
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    for (line, reused) in lines.iter().zip([false, true]) {
        assert_eq!(
            (&line["status"], &line["version"]),
            (&201.into(), &"HTTP/1.1".into())
        );
        assert_eq!(line["headers"]["x-two"], serde_json::json!(["1", "2"]));
        assert_eq!(line["trailers"], serde_json::json!({"sum": "5"}));
        assert_eq!(
            (&line["body_len"], &line["reused"]),
            (&5.into(), &reused.into())
        );
        let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert_eq!(line["body_sha256"], hash);
        assert!(line["error"].is_null() && line["phase"].is_null());
        assert!(
            line["timings_ms"]["total"]
                .as_f64()
                .is_some_and(|total| total > 0.0),
            "{line}"
        );
    }
}

#[test]
fn client_says_in_which_phase_it_failed() {
    let addr = serve(|_| {
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec(),
            false,
        )
    });
    let (output, text) = run("client", &[&format!("http://{addr}/")]);
    assert_eq!(output.status.code(), Some(1));
    let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&line["status"], &line["phase"], &line["body_len"]),
        (&200.into(), &"body".into(), &4.into())
    );
    assert!(
        line["error"]
            .as_str()
            .is_some_and(|error| error.contains("ended within a message")),
        "{line}"
    );
    let (output, _) = run("client", &["--nonsense", "x", "http://a/"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn download_goes_on_where_it_was_interrupted() {
    let whole: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    let body = whole.clone();
    let addr = serve(move |head| {
        let range = head
            .lines()
            .find_map(|line| line.strip_prefix("range: bytes="));
        let start: usize = range.map_or(0, |range| {
            range.trim_end_matches('-').parse().expect("a number")
        });
        let all = body.len();
        let status = if start == 0 {
            "200 OK".to_owned()
        } else {
            assert!(head.contains("if-range: \"v1\"\r\n"), "{head}");
            format!(
                "206 Partial Content\r\nContent-Range: bytes {start}-{}/{all}",
                all - 1
            )
        };
        let mut answer = format!(
            "HTTP/1.1 {status}\r\nETag: \"v1\"\r\nContent-Length: {}\r\n\r\n",
            all - start
        )
        .into_bytes();
        // Half of what is missing, until little is.
        let end = if all - start > 30_000 {
            start + (all - start) / 2
        } else {
            all
        };
        answer.extend_from_slice(&body[start..end]);
        (answer, false)
    });
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("whole");
    let (output, text) = run(
        "download",
        &[
            &format!("http://{addr}/whole"),
            file.to_str().expect("text"),
        ],
    );
    assert!(output.status.success(), "{output:?}");
    assert!(text.ends_with("200000 bytes\n"), "{text}");
    assert!(std::fs::read(&file).expect("the file") == whole);
    assert_eq!(
        std::fs::read_dir(folder.path())
            .expect("the folder")
            .count(),
        1,
        "nothing else is left"
    );
}

#[test]
fn crawler_finds_all_pages_and_stays_on_the_site() {
    let addr = serve(|head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let (status, text) = match path {
            "/" => (
                "200 OK",
                "<a href=\"/a\">a</a> <a href='b?x=1&amp;y=2#part'>b</a> <a href=\"http://127.0.0.2/\">no</a>",
            ),
            "/a" => ("200 OK", "<a href=\"/\">back</a>"),
            "/b?x=1&y=2" => ("200 OK", "<a href=\"/missing\">?</a>"),
            _ => ("404 Not Found", ""),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        (answer.into_bytes(), true)
    });
    let (output, text) = run("crawler", &[&format!("http://{addr}/"), "--at-once", "2"]);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("4 pages, 0 failed"), "{text}");
    assert!(
        text.contains("404 ") && !text.contains("127.0.0.2"),
        "{text}"
    );
}

#[test]
fn fetch_and_process_counts_what_it_fetched() {
    let addr = serve(|_| {
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\na B c a b A!".to_vec(),
            true,
        )
    });
    let url = format!("http://{addr}/");
    let (output, text) = run("fetch_and_process", &[&url, &url]);
    assert!(output.status.success(), "{output:?}");
    let line = format!("{url}: 6 words, most often a 3×, b 2×, c 1×\n");
    assert_eq!(text, line.repeat(2));
}

#[test]
fn both_ends_of_a_websocket_talk() {
    let server = Running::start("websocket_echo", &["--addr", "127.0.0.1:0"]);
    let url = format!("ws://{}/", server.address);
    let (output, said) = run("websocket_client", &["--say", "hello", &url]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(said, "connected, with compression\nhello\n");
}

/// What axum routes is served by blitz-http, and the socket is blitz-http's.
#[test]
fn a_router_of_axum_has_a_websocket() {
    let server = Running::start("axum_on_blitz", &["--addr", "127.0.0.1:0"]);
    let url = format!("ws://{}/ws", server.address);
    let (output, said) = run("websocket_client", &["--say", "hello", &url]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(said, "connected\nhello\n");
    // What asks for no socket is told so by the same route.
    let ask = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = String::from_utf8_lossy(&exchange_bytes(&server.address, ask)).into_owned();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    // A page of strangers gets none.
    let ask = b"GET /ws HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let answer = String::from_utf8_lossy(&exchange_bytes(&server.address, ask)).into_owned();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}
