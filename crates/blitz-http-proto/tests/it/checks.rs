//! What must hold of any bytes at all: one check a parser. The fuzz targets (`fuzz/`) call them with bytes that they breed; the
//! tests here with the seeds of those and with the corpus.

use crate::pieces::{cut, requests, responses};
use blitz_http_proto::sse::Decoder;
use blitz_http_proto::{
    Forwarded, Framing, Kept, KnownHead, Limits, Node, PROXY_HEADER_MAX, ProxyHeader,
    RequestDecoder, XForwardedFor,
};
use bytes::BytesMut;
use http::{Method, Request};

/// The first bytes say how the rest is cut.
fn plan(data: &[u8]) -> (Vec<usize>, &[u8]) {
    let (sizes, rest) = data.split_at(data.len().min(2));
    (
        sizes.iter().map(|size| usize::from(*size) + 1).collect(),
        rest,
    )
}

/// Requests come out the same however the stream is cut, and whether or not those that come again are known.
pub(crate) fn check_requests(data: &[u8]) {
    let (sizes, bytes) = plan(data);
    let whole = requests(bytes, &[usize::MAX], Limits::default());
    let pieces = requests(bytes, &sizes, Limits::default());
    assert_eq!(pieces.events, whole.events);
    assert_eq!(pieces.error.is_some(), whole.error.is_some());
    // What has come a few times is known.
    let stream = bytes.repeat(8);
    assert_eq!(heads(&stream, true).0, heads(&stream, false).0);
}

/// The heads of a stream, up to one that has content; read by one who compares them with what is known, or always made anew. And how many
/// were known.
pub(crate) fn heads(stream: &[u8], compares: bool) -> (Vec<String>, usize) {
    let mut decoder = RequestDecoder::default();
    let mut input = BytesMut::from(stream);
    let mut last: Option<(KnownHead, String)> = None;
    let (mut heads, mut known) = (Vec::new(), 0);
    loop {
        if let Some((head, text)) = last.as_ref().filter(|_| compares)
            && decoder.decode_known(&mut input, head)
        {
            heads.push(text.clone());
            known += 1;
            continue;
        }
        let mut request = Request::new(());
        let head = match decoder.decode_head(&mut input, &mut request) {
            Ok(Some(head)) => head,
            end => {
                heads.push(format!("{end:?}, {} left", input.len()));
                return (heads, known);
            }
        };
        let (framing, goes_on) = (head.framing, head.keep_alive);
        let text = format!(
            "{request:?} {framing:?} {goes_on} {} {}",
            head.upgrade, head.expects_continue
        );
        if head.kept == Kept::All
            && let Some(head) = decoder.known()
        {
            last = Some((head, text.clone()));
        }
        heads.push(text);
        if framing != Framing::None {
            return (heads, known);
        }
    }
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
