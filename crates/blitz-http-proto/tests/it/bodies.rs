//! Bodies by themselves.

use blitz_http_proto::{BodyDecoder, BodyEncoder, BodyEvent, Framing, Limits};
use bytes::BytesMut;
use http::{HeaderMap, HeaderValue};

#[test]
fn what_may_not_trail_is_not_sent() {
    let mut out = BytesMut::new();
    let mut trailers = HeaderMap::new();
    trailers.insert("content-length", HeaderValue::from_static("5"));
    trailers.insert("x-sum", HeaderValue::from_static("1"));
    let mut body = BodyEncoder::new(Framing::Chunked);
    body.finish(Some(&trailers), &mut out).expect("it ends");
    assert_eq!(out, "0\r\nx-sum: 1\r\n\r\n");
}

#[test]
fn an_empty_piece_does_not_end_a_body() {
    let mut out = BytesMut::new();
    BodyEncoder::new(Framing::Chunked)
        .before(0, &mut out)
        .expect("nothing is written");
    assert!(out.is_empty());
}

#[test]
fn the_end_comes_again_and_again() {
    let mut body = BodyDecoder::new(Framing::Length(1));
    let mut input = BytesMut::from("ab");
    let limits = Limits::default();
    assert!(matches!(
        body.decode(&mut input, &limits),
        Ok(Some(BodyEvent::Data(_)))
    ));
    for _ in 0..3 {
        assert!(matches!(
            body.decode(&mut input, &limits),
            Ok(Some(BodyEvent::End))
        ));
    }
    assert_eq!(input, "b");
    assert_eq!((body.taken(), body.remaining()), (1, Some(0)));
}

#[test]
fn a_body_that_is_cut_off_is_no_body() {
    assert!(BodyDecoder::new(Framing::Length(1)).finish().is_err());
    assert!(BodyDecoder::new(Framing::Chunked).finish().is_err());
    assert!(BodyDecoder::new(Framing::UntilClose).finish().is_ok());
}
