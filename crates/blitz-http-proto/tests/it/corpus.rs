//! Malformed and ambiguous messages, each with the status that it gets, whole and byte by byte.

use crate::notation::cases;
use crate::pieces::{requests, responses};
use blitz_http_proto::Limits;
use http::Method;

/// Holds each case against what it becomes: `ok N`, `wait`, or a status.
fn check(text: &str, before: &str) {
    let mut wrong = Vec::new();
    for case in cases(text) {
        let bytes = [before.as_bytes(), &case.bytes].concat();
        let whole = requests(&bytes, &[usize::MAX], Limits::default());
        let bytewise = requests(&bytes, &[1], Limits::default());
        let is = match (whole.error, whole.ends) {
            (Some(error), _) => error.status().as_str().to_owned(),
            (None, 0) => "wait".to_owned(),
            (None, ends) => format!("ok {ends}"),
        };
        if is != case.expected {
            wrong.push(format!("{}: {is}, not {}", case.name, case.expected));
        }
        let same = (&whole.events, whole.error) == (&bytewise.events, bytewise.error);
        // An error may be known before the events that a whole stream has; the stream is refused either way.
        let refused =
            whole.error.map(|error| error.status()) == bytewise.error.map(|error| error.status());
        if !(same || (whole.error.is_some() && refused)) {
            wrong.push(format!(
                "{}: {whole:?} whole, {bytewise:?} byte by byte",
                case.name
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_framing_gets_its_answer() {
    check(include_str!("../corpus/framing.txt"), "");
}

#[test]
fn each_line_gets_its_answer() {
    check(include_str!("../corpus/lines.txt"), "");
}

#[test]
fn each_chunk_gets_its_answer() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(include_str!("../corpus/chunks.txt"), head);
}

#[test]
fn each_response_is_taken_or_refused() {
    let mut wrong = Vec::new();
    for case in cases(include_str!("../corpus/responses.txt")) {
        for sizes in [&[usize::MAX][..], &[1]] {
            let seen = responses(&case.bytes, sizes, &[Method::GET]);
            let is = match seen.error {
                Some(_) => "bad".to_owned(),
                None => format!("ok {}", seen.ends),
            };
            if is != case.expected {
                wrong.push(format!(
                    "{}: {is}, not {} ({seen:?})",
                    case.name, case.expected
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
