//! Responses: what their heads say, and that cutting a stream changes nothing.

use crate::pieces::responses;
use blitz_http_proto::{Framing, HttpDate, ResponseHead};
use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use proptest::prelude::*;

fn written(head: ResponseHead<'_>) -> (String, Framing, bool) {
    let mut out = BytesMut::new();
    let (body, keep) = head.write(&mut out);
    (
        String::from_utf8(out.to_vec()).expect("text"),
        body.framing(),
        keep,
    )
}

fn ok<'a>(headers: &'a HeaderMap, method: &'a Method) -> ResponseHead<'a> {
    ResponseHead {
        status: StatusCode::OK,
        headers,
        method,
        version: Version::HTTP_11,
        length: Some(5),
        keep_alive: true,
        date: None,
    }
}

#[test]
fn a_body_is_framed_as_the_request_allows() {
    let none = HeaderMap::new();
    let head = ok(&none, &Method::GET);
    assert_eq!(
        written(head),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".into(),
            Framing::Length(5),
            true
        )
    );
    let streamed = ResponseHead {
        length: None,
        ..head
    };
    assert_eq!(
        written(streamed),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".into(),
            Framing::Chunked,
            true
        )
    );
    let old = ResponseHead {
        version: Version::HTTP_10,
        ..streamed
    };
    assert_eq!(
        written(old),
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".into(),
            Framing::UntilClose,
            false
        )
    );
    let old = ResponseHead {
        version: Version::HTTP_10,
        ..head
    };
    assert_eq!(
        written(old).0,
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\n"
    );
    let to_head = ok(&none, &Method::HEAD);
    assert_eq!(
        written(to_head),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".into(),
            Framing::None,
            true
        )
    );
    let nothing = ResponseHead {
        status: StatusCode::NO_CONTENT,
        ..head
    };
    assert_eq!(
        written(nothing),
        (
            "HTTP/1.1 204 No Content\r\n\r\n".into(),
            Framing::None,
            true
        )
    );
    let tunnel = ok(&none, &Method::CONNECT);
    assert_eq!(
        written(tunnel),
        ("HTTP/1.1 200 OK\r\n\r\n".into(), Framing::Tunnel, true)
    );
}

#[test]
fn a_handler_cannot_frame_its_answer_wrongly() {
    let mut headers = HeaderMap::new();
    headers.insert("content-length", HeaderValue::from_static("9"));
    headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
    let head = ok(&headers, &Method::GET);
    assert_eq!(
        written(head).0,
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
    );
    // Where the length is not known the handler's is taken, and held against what is sent.
    let streamed = ResponseHead {
        length: None,
        ..head
    };
    assert_eq!(written(streamed).1, Framing::Length(9));
    let mut out = BytesMut::new();
    let (mut body, _) = streamed.write(&mut out);
    assert!(body.before(10, &mut out).is_err());
    body.before(8, &mut out).expect("it fits");
    assert_eq!(
        body.finish(None, &mut out)
            .expect_err("one is missing")
            .status(),
        500
    );
}

#[test]
fn a_head_that_says_close_closes() {
    let mut headers = HeaderMap::new();
    headers.insert("connection", HeaderValue::from_static("close"));
    let (text, _, keep) = written(ok(&headers, &Method::GET));
    assert_eq!(text.matches("close").count(), 1);
    assert!(!keep);
}

#[test]
fn a_date_is_added_once() {
    let mut headers = HeaderMap::new();
    fn dated(headers: &HeaderMap) -> String {
        let date = Some(HttpDate::from_unix(0));
        written(ResponseHead {
            date,
            ..ok(headers, &Method::GET)
        })
        .0
    }
    let text = dated(&headers);
    assert!(text.contains("\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"));
    headers.insert("date", HeaderValue::from_static("mine"));
    let text = dated(&headers);
    assert!(text.contains("date: mine") && !text.contains("1970"));
}

#[test]
fn what_was_asked_says_what_follows() {
    let to_head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let seen = responses(to_head, &[usize::MAX], &[Method::HEAD, Method::GET]);
    assert_eq!((seen.ends, seen.error), (2, None));
    let tunnel = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\x16\x03";
    let seen = responses(tunnel, &[1], &[Method::CONNECT]);
    assert_eq!(
        (seen.left, seen.events.last().map(String::as_str)),
        (b"\x16\x03".to_vec(), Some("tunnel"))
    );
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nabc";
    let seen = responses(switched, &[usize::MAX], &[Method::GET]);
    assert_eq!((seen.left, seen.error), (b"abc".to_vec(), None));
}

proptest! {
    /// What a server writes is what a client reads, wherever it is cut.
    #[test]
    fn decoding_undoes_encoding(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5),
        known in any::<bool>(),
        status in prop::sample::select(vec![200u16, 201, 204, 304, 404, 500]),
        sizes in prop::collection::vec(1usize..50, 1..8),
    ) {
        let mut wire = BytesMut::new();
        let headers = HeaderMap::new();
        let length = pieces.iter().map(Vec::len).sum::<usize>() as u64;
        let (mut body, _) = ResponseHead {
            status: StatusCode::from_u16(status).expect("a status"),
            length: known.then_some(length),
            ..ok(&headers, &Method::GET)
        }
        .write(&mut wire);
        if body.sends() {
            for piece in &pieces {
                body.before(piece.len(), &mut wire).expect("it fits");
                wire.put_slice(piece);
                body.after(&mut wire);
            }
        }
        body.finish(None, &mut wire).expect("it is whole");
        let whole = responses(&wire, &[usize::MAX], &[Method::GET]);
        prop_assert_eq!((whole.ends, whole.error, whole.left.len()), (1, None, 0));
        prop_assert_eq!(responses(&wire, &sizes, &[Method::GET]), whole);
    }

    /// No bytes make it panic, and a cut changes nothing.
    #[test]
    fn no_bytes_are_too_much(
        start in prop::sample::select(vec!["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        sizes in prop::collection::vec(1usize..50, 1..8),
    ) {
        let wire = [start.as_bytes(), &bytes].concat();
        let whole = responses(&wire, &[usize::MAX], &[Method::GET, Method::GET]);
        let cut = responses(&wire, &sizes, &[Method::GET, Method::GET]);
        prop_assert_eq!(cut.events, whole.events);
        prop_assert_eq!(cut.error.is_some(), whole.error.is_some());
    }
}
