//! What any bytes are to either end of a WebSocket: no panic, no more memory than the limits allow, the same in one piece and in many;
//! and what was read is read again when it is written.
#![no_main]

use blitz_http_proto::ws::{Decoder, Deflate, DeflateParams, Encoder, Event, Limits, Role};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

fn read(mut decoder: Decoder, wire: &[u8], piece: usize) -> Option<Vec<Event>> {
    let (mut input, mut events) = (BytesMut::new(), Vec::new());
    for piece in wire.chunks(piece) {
        input.extend_from_slice(piece);
        while let Some(event) = decoder.decode(&mut input).ok()? {
            if let Event::Message(message) = &event {
                assert!(message.payload().len() <= 4096);
                assert!(!message.is_text() || message.as_text().is_some());
            }
            events.push(event);
        }
    }
    Some(events)
}

fuzz_target!(|data: &[u8]| {
    let [flags, piece, wire @ ..] = data else { return };
    let role = if flags & 1 == 0 { Role::Server } else { Role::Client };
    let params = (flags & 2 != 0).then_some(DeflateParams {
        server_no_context_takeover: flags & 4 != 0,
        client_no_context_takeover: flags & 4 != 0,
        server_max_window_bits: 8 + (flags >> 5),
        client_max_window_bits: 8 + (flags >> 5),
    });
    let mut limits = Limits::default();
    (limits.message, limits.frame, limits.fragments) = (4096, 2048, 20);
    let decoder = || Decoder::new(role, limits).with_deflate(params.as_ref());
    let whole = read(decoder(), wire, usize::MAX);
    let pieces = read(decoder(), wire, usize::from(*piece).max(1));
    assert_eq!(whole, pieces);
    // Written by the other end and read anew it is the same.
    let mut config = Deflate::default();
    config.threshold = 0;
    let encoder = match role {
        Role::Server => Encoder::client(|| [5, 6, 7, 8]),
        Role::Client => Encoder::server(),
    };
    let mut encoder = encoder.with_deflate(params.as_ref(), &config);
    let mut wire = BytesMut::new();
    let events = whole.unwrap_or_default();
    for event in &events {
        match event {
            Event::Message(message) => encoder.message(message, &mut wire),
            Event::Ping(payload) => encoder.ping(payload, &mut wire),
            Event::Pong(payload) => encoder.pong(payload, &mut wire),
            Event::Close(why) => {
                let why = why.as_ref().map(|(code, why)| (*code, why.as_str()));
                encoder.close(why, &mut wire);
            }
        }
    }
    // What hardly deflates is a little longer than it was: the frame's limit is another's business here.
    limits.frame = 8192;
    let again = read(Decoder::new(role, limits).with_deflate(params.as_ref()), &wire, 7);
    assert_eq!(again, Some(events));
});
