//! What must hold of any bytes at all: one check a parser. The fuzz targets (`fuzz/`) call them with bytes that they breed; the
//! tests here with the seeds of those and with the corpus.

use crate::pieces::{cut, requests, responses};
use blitz_http_proto::sse::Decoder;
use blitz_http_proto::{Forwarded, Limits, Node, PROXY_HEADER_MAX, ProxyHeader, XForwardedFor};
use http::Method;

/// The first bytes say how the rest is cut.
fn plan(data: &[u8]) -> (Vec<usize>, &[u8]) {
    let (sizes, rest) = data.split_at(data.len().min(2));
    (
        sizes.iter().map(|size| usize::from(*size) + 1).collect(),
        rest,
    )
}

/// Requests come out the same however the stream is cut.
pub(crate) fn check_requests(data: &[u8]) {
    let (sizes, bytes) = plan(data);
    let whole = requests(bytes, &[usize::MAX], Limits::default());
    let pieces = requests(bytes, &sizes, Limits::default());
    assert_eq!(pieces.events, whole.events);
    assert_eq!(pieces.error.is_some(), whole.error.is_some());
}

/// As requests, behind a head that says chunks.
pub(crate) fn check_chunks(data: &[u8]) {
    let (sizes, bytes) = plan(data);
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    check_requests(
        &[
            &sizes
                .iter()
                .map(|size| (size - 1) as u8)
                .collect::<Vec<_>>(),
            &head[..],
            bytes,
        ]
        .concat(),
    );
}

/// Responses come out the same however the stream is cut.
pub(crate) fn check_responses(data: &[u8]) {
    let (sizes, bytes) = plan(data);
    let asked = [Method::GET, Method::HEAD, Method::CONNECT];
    let whole = responses(bytes, &[usize::MAX], &asked);
    let pieces = responses(bytes, &sizes, &asked);
    assert_eq!(pieces.events, whole.events);
    assert_eq!(pieces.error.is_some(), whole.error.is_some());
}

/// Events come out the same however the stream is cut.
pub(crate) fn check_events(data: &[u8]) {
    let (sizes, bytes) = plan(data);
    let read = |sizes: &[usize]| {
        let mut decoder = Decoder::new(1 << 16);
        let mut events = Vec::new();
        let whole = cut(bytes, sizes)
            .try_for_each(|piece| decoder.decode(piece, |event| events.push(event)));
        (
            events,
            whole.is_err(),
            decoder.last_event_id().to_owned(),
            decoder.retry(),
        )
    };
    assert_eq!(read(&sizes), read(&[usize::MAX]));
}

/// A header of the PROXY protocol is whole at one length and at no shorter one, and what cannot become one stays so. Of what proxies say in
/// fields, the last word is theirs, whatever stands before it.
pub(crate) fn check_proxies(data: &[u8]) {
    let whole = ProxyHeader::decode(data);
    for end in 0..data.len().min(PROXY_HEADER_MAX + 1) {
        match (ProxyHeader::decode(&data[..end]), whole) {
            (Ok(None), _) => {}
            (Ok(Some((_, taken))), _) if taken > end => panic!("{taken} bytes of {end}"),
            (Ok(some), whole) => assert_eq!(Ok(some), whole),
            (Err(_), whole) => assert!(whole.is_err(), "it was refused at {end} bytes"),
        }
    }
    if data.len() > PROXY_HEADER_MAX {
        assert_ne!(whole, Ok(None), "what waits is bounded");
    }
    let node = Node::Addr([192, 0, 2, 1].into(), None);
    let extended = [data, b", 192.0.2.1"].concat();
    assert_eq!(XForwardedFor::new(&extended).next(), Some(Some(node)));
    assert!(XForwardedFor::new(&extended).count() <= data.len() + 1);
    let extended = [data, b", for=192.0.2.1;proto=https"].concat();
    assert_eq!(Forwarded::new(&extended).next(), Some(Some(node)));
    assert!(Forwarded::new(&extended).count() <= data.len() + 1);
}
