//! Requests: what a head means, and that cutting a stream changes nothing.

use crate::pieces::requests;
use blitz_http_proto::{Framing, Limits, RequestDecoder, RequestEvent, RequestHead};
use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use proptest::prelude::*;

fn head(text: &str) -> blitz_http_proto::ReceivedRequest {
    let mut input = BytesMut::from(text);
    match RequestDecoder::default().decode(&mut input) {
        Ok(Some(RequestEvent::Head(head))) => head,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connection_is_kept_as_its_version_says() {
    let keep = |version: &str, field: &str| {
        head(&format!("GET / HTTP/{version}\r\nHost: a\r\n{field}\r\n")).keep_alive
    };
    assert!(keep("1.1", ""));
    assert!(!keep("1.1", "Connection: x, Close\r\n"));
    assert!(!keep("1.1", "Connection: x\r\nConnection: close\r\n"));
    assert!(!keep("1.0", ""));
    assert!(keep("1.0", "Connection: Keep-Alive\r\n"));
    assert!(!keep("1.0", "Connection: Keep-Alive, close\r\n"));
}

#[test]
fn an_expectation_counts_where_there_is_a_body() {
    let expects = |version: &str, fields: &str| {
        head(&format!(
            "POST / HTTP/{version}\r\nHost: a\r\nExpect: 100-Continue\r\n{fields}\r\n"
        ))
        .expects_continue
    };
    assert!(expects("1.1", "Content-Length: 1\r\n"));
    assert!(!expects("1.1", ""));
    assert!(!expects("1.0", "Content-Length: 1\r\n"));
}

#[test]
fn bytes_behind_an_upgrade_wait_for_the_answer() {
    let mut input = BytesMut::from(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let mut decoder = RequestDecoder::default();
    let Ok(Some(RequestEvent::Head(head))) = decoder.decode(&mut input) else {
        panic!("a head")
    };
    assert!(head.upgrade);
    assert!(matches!(
        decoder.decode(&mut input),
        Ok(Some(RequestEvent::End))
    ));
    decoder.pause();
    assert!(matches!(decoder.decode(&mut input), Ok(None)));
    decoder.resume();
    assert!(matches!(
        decoder.decode(&mut input),
        Ok(Some(RequestEvent::Head(_)))
    ));
}

#[test]
fn a_body_that_is_too_large_is_refused_as_soon_as_that_is_known() {
    let limits = |bytes| {
        let mut limits = Limits::default();
        limits.body_bytes = bytes;
        limits
    };
    let sized = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    let seen = requests(&[&sized[..], b"a"].concat(), &[usize::MAX], limits(3));
    assert_eq!(seen.error.map(|error| error.status().as_u16()), Some(413));
    let seen = requests(&[&sized[..], b"abcd"].concat(), &[usize::MAX], limits(4));
    assert_eq!((seen.error, seen.ends), (None, 1));
    let chunks = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n";
    let seen = requests(chunks, &[usize::MAX], limits(3));
    assert_eq!(seen.error.map(|error| error.status().as_u16()), Some(413));
}

#[test]
fn a_head_that_comes_byte_by_byte_costs_as_much_as_a_whole_one() {
    let mut text = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    for field in 0..90 {
        text.extend_from_slice(format!("X-{field}: {}\r\n", "v".repeat(600)).as_bytes());
    }
    text.extend_from_slice(b"\r\n");
    let whole = requests(&text, &[usize::MAX], Limits::default());
    let bytewise = requests(&text, &[1], Limits::default());
    assert_eq!(whole.ends, 1);
    assert_eq!(whole.looked_at, text.len() as u64);
    assert_eq!(bytewise, whole);
}

#[test]
fn heads_that_are_not_read_at_once_cost_as_much_however_they_come() {
    // More fields than are read at once, many times over; and each behind whole heads that are.
    let mut text = Vec::new();
    for request in 0..20 {
        text.extend_from_slice(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n");
        for field in 0..(40 + request) {
            text.extend_from_slice(format!("X-{field}: v\r\n").as_bytes());
        }
        text.extend_from_slice(b"\r\n");
    }
    let whole = requests(&text, &[usize::MAX], Limits::default());
    assert_eq!((whole.ends, whole.error), (40, None));
    assert_eq!(whole.looked_at, text.len() as u64);
    for pieces in [&[1][..], &[7], &[30, 600], &[4096]] {
        assert_eq!(
            requests(&text, pieces, Limits::default()),
            whole,
            "{pieces:?}"
        );
    }
}

#[test]
fn chunks_and_trailers_that_come_byte_by_byte_cost_as_much_as_whole_ones() {
    let mut text = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..500 {
        text.extend_from_slice(b"1;x=y\r\nz\r\n");
    }
    text.extend_from_slice(b"0\r\nX: ");
    text.extend_from_slice(&[b'a'; 10_000]);
    text.extend_from_slice(b"\r\n\r\n");
    let whole = requests(&text, &[usize::MAX], Limits::default());
    assert_eq!(whole.ends, 1, "{whole:?}");
    assert_eq!(requests(&text, &[1], Limits::default()), whole);
}

/// A request that a client might send.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    method: Method,
    uri: String,
    fields: Vec<(String, String)>,
    pieces: Vec<Vec<u8>>,
    chunked: bool,
    trailers: Vec<(String, String)>,
}

fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = "x-[a-z0-9]{1,8}";
    let value = "[!-~]([ -~]{0,20}[!-~])?";
    prop::collection::vec((name, value), 0..6)
}

pub(crate) fn made() -> impl Strategy<Value = Made> {
    (
        prop::sample::select(vec![Method::GET, Method::POST, Method::PUT, Method::DELETE]),
        "/[a-z0-9/%]{0,20}(\\?[a-z=&]{0,10})?".prop_map(|uri| uri.replace('%', "%20")),
        fields(),
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5),
        any::<bool>(),
        fields(),
    )
        .prop_map(|(method, uri, fields, pieces, chunked, trailers)| Made {
            method,
            uri,
            fields,
            pieces,
            chunked,
            trailers,
        })
}

fn map(fields: &[(String, String)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(
            HeaderName::try_from(name).expect("a name"),
            HeaderValue::try_from(value).expect("a value"),
        );
    }
    map
}

/// Fields in the order that each name has them: a map keeps no order among names.
fn sorted(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let mut fields: Vec<_> = map
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

pub(crate) fn encode(made: &Made, out: &mut BytesMut) {
    let uri: Uri = format!("http://example.org{}", made.uri)
        .parse()
        .expect("a uri");
    let length = made.pieces.iter().map(Vec::len).sum::<usize>() as u64;
    let mut body = RequestHead {
        method: &made.method,
        target: (&uri).into(),
        headers: &map(&made.fields),
        length: (!made.chunked).then_some(length),
        to_proxy: false,
    }
    .write(out);
    for piece in &made.pieces {
        body.before(piece.len(), out).expect("it fits");
        out.put_slice(piece);
        body.after(out);
    }
    body.finish(Some(&map(&made.trailers)), out)
        .expect("it is whole");
}

proptest! {
    /// What was encoded is what is decoded.
    #[test]
    fn decoding_undoes_encoding(all in prop::collection::vec(made(), 1..4)) {
        let mut wire = BytesMut::new();
        all.iter().for_each(|made| encode(made, &mut wire));
        let mut decoder = RequestDecoder::default();
        for made in &all {
            let Ok(Some(RequestEvent::Head(head))) = decoder.decode(&mut wire) else { panic!("a head") };
            prop_assert_eq!(&head.method, &made.method);
            prop_assert_eq!(head.uri.to_string(), made.uri.clone());
            let mut expected = map(&made.fields);
            expected.insert("host", HeaderValue::from_static("example.org"));
            let mut headers = head.headers.clone();
            headers.remove("content-length");
            headers.remove("transfer-encoding");
            prop_assert_eq!(sorted(&headers), sorted(&expected));
            let (mut data, mut trailers) = (Vec::new(), HeaderMap::new());
            loop {
                match decoder.decode(&mut wire) {
                    Ok(Some(RequestEvent::Data(piece))) => data.extend_from_slice(&piece),
                    Ok(Some(RequestEvent::Trailers(map))) => trailers = map,
                    Ok(Some(RequestEvent::End)) => break,
                    other => panic!("{other:?}"),
                }
            }
            prop_assert_eq!(data, made.pieces.concat());
            if made.chunked {
                prop_assert_eq!(head.framing, Framing::Chunked);
                prop_assert_eq!(sorted(&trailers), sorted(&map(&made.trailers)));
            }
        }
        prop_assert!(wire.is_empty());
    }

    /// Wherever a good stream is cut, the same comes out.
    #[test]
    fn a_cut_changes_nothing(
        all in prop::collection::vec(made(), 1..4),
        sizes in prop::collection::vec(1usize..50, 1..8),
    ) {
        let mut wire = BytesMut::new();
        all.iter().for_each(|made| encode(made, &mut wire));
        let whole = requests(&wire, &[usize::MAX], Limits::default());
        prop_assert_eq!(whole.ends, all.len());
        prop_assert_eq!(requests(&wire, &sizes, Limits::default()), whole);
    }

    /// Nor does it in a stream that was damaged: it is taken or refused, wherever it is cut.
    #[test]
    fn a_cut_changes_no_refusal(
        made in made(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        sizes in prop::collection::vec(1usize..50, 1..8),
    ) {
        let mut wire = BytesMut::new();
        encode(&made, &mut wire);
        for (at, byte) in damage {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        let whole = requests(&wire, &[usize::MAX], Limits::default());
        let cut = requests(&wire, &sizes, Limits::default());
        prop_assert_eq!(cut.error.is_some(), whole.error.is_some());
        prop_assert_eq!(&cut.events[..], &whole.events[..]);
    }

    /// No bytes make it panic.
    #[test]
    fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..300), sizes in prop::collection::vec(1usize..50, 1..8)) {
        let whole = requests(&bytes, &[usize::MAX], Limits::default());
        prop_assert_eq!(requests(&bytes, &sizes, Limits::default()).ends, whole.ends);
    }
}
