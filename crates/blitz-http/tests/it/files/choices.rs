//! Which of several forms of a file is sent.

use super::{AT, Tree, ask, set_time, tag};
use std::io::Read;
use std::time::{Duration, UNIX_EPOCH};

fn text(len: usize) -> String {
    (0..)
        .map(|n| format!("line {n} of a text that repeats itself\n"))
        .flat_map(|line| line.into_bytes())
        .take(len)
        .map(char::from)
        .collect()
}

fn decoded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        "br" => brotli::Decompressor::new(bytes, 4096)
            .read_to_end(&mut out)
            .map(drop),
        "zstd" => zstd::stream::copy_decode(bytes, &mut out),
        "gzip" => flate2::read::GzDecoder::new(bytes)
            .read_to_end(&mut out)
            .map(drop),
        other => panic!("what is {other}?"),
    }
    .unwrap_or_else(|error| panic!("{coding}: {error}"));
    out
}

#[blitz_io::test]
async fn text_is_compressed_on_the_way_as_it_is_wanted() {
    let tree = Tree::new();
    let large = text(1_000_003);
    tree.write("large.txt", &large);
    tree.write("small.txt", text(1023));
    tree.write("picture.png", text(5000));
    let files = tree.files();
    for coding in ["br", "zstd", "gzip"] {
        let answer = ask(&files, "GET /large.txt", &[("Accept-Encoding", coding)]).await;
        assert_eq!(answer.status, 200);
        answer.has(&[("content-encoding", coding), ("vary", "accept-encoding")]);
        answer.has_not(&["content-length", "accept-ranges"]);
        assert!(
            decoded(coding, &answer.body) == large.as_bytes(),
            "{coding}"
        );
        assert!(
            answer.body.len() < large.len() / 5,
            "{coding}: {}",
            answer.body.len()
        );
        // Its bytes may be others next time.
        let weak = format!("W/\"{AT:x}.0-{:x}-{coding}\"", large.len());
        answer.has(&[("etag", &weak)]);
        let fields = [("Accept-Encoding", coding), ("If-None-Match", &weak)];
        assert_eq!(ask(&files, "GET /large.txt", &fields).await.status, 304);
        let head = ask(&files, "HEAD /large.txt", &[("Accept-Encoding", coding)]).await;
        head.has(&[("content-encoding", coding), ("etag", &weak)]);
        head.has_not(&["content-length"]);
    }
    // Too small, or small already, or a part, or not wanted.
    for (path, fields) in [
        ("/small.txt", &[("Accept-Encoding", "gzip")][..]),
        ("/picture.png", &[("Accept-Encoding", "gzip")]),
        (
            "/large.txt",
            &[("Accept-Encoding", "gzip"), ("Range", "bytes=0-9")],
        ),
        ("/large.txt", &[("Accept-Encoding", "gzip;q=0.5, identity")]),
        ("/large.txt", &[]),
    ] {
        let answer = ask(&files, &format!("GET {path}"), fields).await;
        assert!(answer.status == 200 || answer.status == 206);
        answer.has_not(&["content-encoding"]);
    }
    let off = tree.files().compression(false);
    let answer = ask(&off, "GET /large.txt", &[("Accept-Encoding", "gzip")]).await;
    answer.has_not(&["content-encoding"]);
}

#[blitz_io::test]
async fn a_sibling_that_is_compressed_is_sent_to_who_wants_it() {
    let tree = Tree::new();
    for (name, bytes) in [
        ("a.txt.br", "as br"),
        ("a.txt.gz", "as gzip"),
        ("a.txt.zst", "as zstd"),
    ] {
        tree.write(name, bytes);
    }
    let files = tree.files();
    for (wanted, coding) in [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("br;q=0.1, zstd;q=0.5, gzip;q=0.2", "zstd"),
        ("*", "br"),
        ("br;q=0, *", "zstd"),
    ] {
        let answer = ask(&files, "GET /a.txt", &[("Accept-Encoding", wanted)]).await;
        assert_eq!(answer.text(), format!("as {coding}"), "{wanted}");
        let own = tag(answer.body.len() as u64);
        let own = format!("{}-{coding}\"", own.trim_end_matches('"'));
        answer.has(&[
            ("content-encoding", coding),
            ("content-type", "text/plain; charset=utf-8"),
            ("vary", "accept-encoding"),
            ("etag", &own),
        ]);
    }
    // It has a length, so it has parts.
    let fields = [("Accept-Encoding", "gzip"), ("Range", "bytes=3-")];
    let answer = ask(&files, "GET /a.txt", &fields).await;
    assert_eq!((answer.status, answer.text()), (206, "gzip"));
    answer.has(&[
        ("content-encoding", "gzip"),
        ("content-range", "bytes 3-6/7"),
    ]);
    for wanted in ["", "identity", "deflate"] {
        let answer = ask(&files, "GET /a.txt", &[("Accept-Encoding", wanted)]).await;
        assert_eq!(answer.text(), "0123456789abcdef", "{wanted}");
    }
    let answer = ask(&files, "GET /a.txt", &[("Accept-Encoding", "*;q=0")]).await;
    assert_eq!(answer.status, 406);
    // One that is older than the file itself is of an earlier one.
    set_time(
        &tree.path().join("a.txt.br"),
        UNIX_EPOCH + Duration::from_secs(AT - 1),
    );
    let answer = ask(
        &files,
        "GET /a.txt",
        &[("Accept-Encoding", "br, gzip;q=0.5")],
    )
    .await;
    assert_eq!(answer.text(), "as gzip");
    let answer = ask(
        &files.precompressed(false),
        "GET /a.txt",
        &[("Accept-Encoding", "gzip")],
    )
    .await;
    assert_eq!(answer.text(), "0123456789abcdef");
}
