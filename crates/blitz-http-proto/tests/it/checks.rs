//! What must hold of any bytes at all: one check a parser. The fuzz targets (`fuzz/`) call them with bytes that they breed; the
//! tests here with the seeds of those and with the corpus.

use crate::pieces::{cut, requests, responses};
use blitz_http_proto::Limits;
use blitz_http_proto::sse::Decoder;
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
