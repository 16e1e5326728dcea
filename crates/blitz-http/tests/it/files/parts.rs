//! What a client has already, and what it wants a part of.

use super::{DATE, Tree, ask, set_time, tag};
use std::time::SystemTime;

#[blitz_io::test]
async fn conditions_are_answered() {
    let tree = Tree::new();
    let files = tree.files().cache_control("no-cache");
    let tag = tag(16);
    for (name, value, status) in [
        ("If-None-Match", tag.as_str(), 304),
        ("If-None-Match", "\"other\"", 200),
        ("If-Modified-Since", DATE, 304),
        ("If-Match", "\"other\"", 412),
        ("If-Match", &tag, 200),
        ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT", 412),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = ask(&files, &format!("{method} /a.txt"), &[(name, value)]).await;
            assert_eq!(answer.status, status, "{method} {name}: {value}");
            answer.has(&[("etag", &tag), ("last-modified", DATE)]);
            if status == 304 {
                answer.has(&[("cache-control", "no-cache"), ("vary", "accept-encoding")]);
                answer.has_not(&["content-type", "content-length"]);
                assert_eq!(answer.text(), "");
            }
        }
    }
}

#[blitz_io::test]
async fn one_range_is_sent_as_it_is() {
    let tree = Tree::new();
    let files = tree.files();
    for (range, part, text) in [
        ("bytes=0-3", "bytes 0-3/16", "0123"),
        ("bytes=10-", "bytes 10-15/16", "abcdef"),
        ("bytes=-2", "bytes 14-15/16", "ef"),
        ("bytes=15-99", "bytes 15-15/16", "f"),
    ] {
        let answer = ask(&files, "GET /a.txt", &[("Range", range)]).await;
        assert_eq!((answer.status, answer.text()), (206, text), "{range}");
        answer.has(&[
            ("content-range", part),
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", &text.len().to_string()),
        ]);
    }
    let answer = ask(&files, "GET /a.txt", &[("Range", "bytes=16-")]).await;
    assert_eq!(answer.status, 416);
    answer.has(&[("content-range", "bytes */16")]);
    for (method, range) in [
        ("GET", "lines=1-2"),
        ("GET", "bytes=2-1"),
        ("HEAD", "bytes=0-3"),
    ] {
        let answer = ask(&files, &format!("{method} /a.txt"), &[("Range", range)]).await;
        assert_eq!(answer.status, 200, "{method} {range}");
        answer.has(&[("content-length", "16")]);
    }
}

#[blitz_io::test]
async fn a_range_of_another_state_is_not_sent() {
    let tree = Tree::new();
    let files = tree.files();
    let tag = tag(16);
    let weak = format!("W/{tag}");
    for (condition, status) in [
        (tag.as_str(), 206),
        (DATE, 206),
        (&weak, 200),
        ("\"other\"", 200),
    ] {
        let fields = [("Range", "bytes=0-3"), ("If-Range", condition)];
        assert_eq!(
            ask(&files, "GET /a.txt", &fields).await.status,
            status,
            "{condition}"
        );
    }
    // A precondition goes before the range.
    let fields = [("Range", "bytes=0-3"), ("If-None-Match", &tag)];
    assert_eq!(ask(&files, "GET /a.txt", &fields).await.status, 304);
    // What was changed just now may change unseen: its tag is weak.
    set_time(&tree.path().join("a.txt"), SystemTime::now());
    let answer = ask(&files, "GET /a.txt", &[]).await;
    let fresh = answer.field("etag").expect("a tag").to_owned();
    assert!(fresh.starts_with("W/"), "{fresh}");
    let fields = [("Range", "bytes=0-3"), ("If-Range", fresh.as_str())];
    assert_eq!(ask(&files, "GET /a.txt", &fields).await.status, 200);
}

#[blitz_io::test]
async fn several_ranges_are_parts_with_heads_of_their_own() {
    let tree = Tree::new();
    let answer = ask(
        &tree.files(),
        "GET /a.txt",
        &[("Range", "bytes=0-1, 4-5, -1, 900-")],
    )
    .await;
    assert_eq!(answer.status, 206);
    let kind = answer.field("content-type").expect("a type").to_owned();
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .expect("parts");
    let part = |range: &str, text: &str| {
        format!(
            "\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes {range}/16\r\n\r\n{text}"
        )
    };
    let wanted = part("0-1", "01")
        + &part("4-5", "45")
        + &part("15-15", "f")
        + &format!("\r\n--{boundary}--\r\n");
    assert_eq!(answer.text(), wanted);
    answer.has(&[("content-length", &wanted.len().to_string())]);
    answer.has_not(&["content-range"]);
    // Who asks for the same bytes again and again gets them once.
    let greedy = format!("bytes={}", ["0-"; 10].join(","));
    let answer = ask(&tree.files(), "GET /a.txt", &[("Range", &greedy)]).await;
    assert_eq!((answer.status, answer.body.len()), (200, 16));
}
