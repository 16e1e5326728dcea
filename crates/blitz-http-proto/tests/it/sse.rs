//! Server-sent events: the examples of the standard, and that writing and reading undo each other.

use crate::pieces::cut;
use blitz_http_proto::sse::{Decoder, Event, Received};
use proptest::prelude::*;
use std::time::Duration;

fn read(bytes: &[u8], sizes: &[usize]) -> (Vec<Received>, Decoder) {
    let mut decoder = Decoder::new(1 << 20);
    let mut events = Vec::new();
    for piece in cut(bytes, sizes) {
        decoder
            .decode(piece, |event| events.push(event))
            .expect("it fits");
    }
    (events, decoder)
}

fn data(text: &str) -> Vec<String> {
    let (events, _) = read(text.as_bytes(), &[usize::MAX]);
    events.into_iter().map(|event| event.data).collect()
}

#[test]
fn the_examples_of_the_standard_are_read_as_it_says() {
    assert_eq!(data("data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
    assert_eq!(data("data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
    assert_eq!(data("data:test\n\ndata: test\n\n"), ["test", "test"]);
    assert_eq!(data("\u{feff}data: a\r\rdata:  b\r\n\r\n"), ["a", " b"]);
    let text = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
    let (events, _) = read(text.as_bytes(), &[3]);
    let ids: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["1", "", ""]);
}

#[test]
fn what_is_no_number_is_no_time() {
    let (_, decoder) = read(b"retry: 5x\nretry: +5\n\n", &[usize::MAX]);
    assert_eq!(decoder.retry(), None);
    let (_, decoder) = read(b"retry: 1500\n\n", &[1]);
    assert_eq!(decoder.retry(), Some(Duration::from_millis(1500)));
}

#[test]
fn an_id_with_a_nul_is_ignored() {
    let (events, _) = read(b"id: a\ndata: x\n\nid: b\0\ndata: y\n\n", &[usize::MAX]);
    assert_eq!(events[1].id, "a");
}

#[test]
fn an_event_that_never_ends_is_refused() {
    let mut decoder = Decoder::new(100);
    let lines = (0..1000).try_for_each(|_| decoder.decode(b"data: xxxxxxxx\n", |_| ()));
    assert!(lines.is_err());
}

proptest! {
    #[test]
    fn reading_undoes_writing(
        all in prop::collection::vec(("[a-z]{1,8}", "[a-z0-9 ]{0,8}", "[ -~\u{e4}\n]{0,30}"), 1..5),
        sizes in prop::collection::vec(1usize..20, 1..6),
    ) {
        let mut wire = Vec::new();
        for (name, id, data) in &all {
            let event = Event::new().comment("x").event(name).and_then(|event| event.id(id)).expect("single lines");
            wire.extend_from_slice(&event.data(data).encode());
        }
        let (events, _) = read(&wire, &sizes);
        prop_assert_eq!(events.len(), all.len());
        for (event, (name, id, data)) in events.iter().zip(&all) {
            prop_assert_eq!(&event.event, name);
            prop_assert_eq!(&event.data, data);
            prop_assert_eq!(&event.id, id);
        }
    }

    #[test]
    fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..300), sizes in prop::collection::vec(1usize..20, 1..6)) {
        let (whole, _) = read(&bytes, &[usize::MAX]);
        let (pieces, _) = read(&bytes, &sizes);
        prop_assert_eq!(pieces, whole);
    }
}
