//! The fuzz targets' checks, over their seeds and over the corpus: what they breed from is sound, and it needs no nightly.

use crate::checks::{
    check_chunks, check_events, check_proxies, check_requests, check_responses, heads,
};
use crate::notation::cases;
use std::fs;
use std::path::Path;

/// Calls `check` with each seed of a target.
fn seeds(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let Ok(entries) = fs::read_dir(&folder) else {
        println!(
            "skipped: {} is not there, as in a package",
            folder.display()
        );
        return;
    };
    let mut count = 0;
    for entry in entries {
        let path = entry.expect("an entry").path();
        check(&fs::read(&path).expect("a seed"));
        count += 1;
    }
    assert!(count > 0, "{target} has seeds");
}

fn corpus(text: &str, check: fn(&[u8])) {
    for case in cases(text) {
        for size in [0u8, 1, 6, 200] {
            check(&[&[size, size / 2][..], &case.bytes].concat());
        }
    }
}

#[test]
fn requests() {
    seeds("requests", check_requests);
    corpus(include_str!("../corpus/lines.txt"), check_requests);
    corpus(include_str!("../corpus/framing.txt"), check_requests);
}

/// Or `check_requests` would compare nothing with itself.
#[test]
fn what_comes_again_is_known() {
    let stream = b"GET /a HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n".repeat(8);
    let (all, known) = heads(&stream, true);
    assert!(all.len() == 9 && known >= 2, "{known} of {}", all.len());
}

#[test]
fn chunks() {
    seeds("chunks", check_chunks);
    corpus(include_str!("../corpus/chunks.txt"), check_chunks);
}

#[test]
fn responses() {
    seeds("responses", check_responses);
    corpus(include_str!("../corpus/responses.txt"), check_responses);
}

#[test]
fn events() {
    seeds("events", check_events);
}

#[test]
fn proxies() {
    seeds("proxies", check_proxies);
}
