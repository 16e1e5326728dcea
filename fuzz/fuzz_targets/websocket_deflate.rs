//! Messages through compression, with what both ends may agree on: any bytes come back as they went, in frames of any size and reads of any
//! size; and any bytes that pose as a compressed message come to the same in one frame and in many, within the limits.
#![no_main]

use blitz_http_proto::ws::{
    Decoder, Deflate, DeflateParams, Encoder, Error, Event, Limits, Message, Role,
};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

/// No message is longer.
const LONGEST: usize = 4096;
const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

fn read(decoder: &mut Decoder, wire: &[u8], piece: usize) -> Result<Vec<Message>, Error> {
    let (mut input, mut messages) = (BytesMut::new(), Vec::new());
    for piece in wire.chunks(piece) {
        input.extend_from_slice(piece);
        while let Some(event) = decoder.decode(&mut input)? {
            let Event::Message(message) = event else {
                panic!("nobody has sent {event:?}");
            };
            assert!(message.payload().len() <= LONGEST);
            messages.push(message);
        }
    }
    Ok(messages)
}

/// A client's binary message in frames of so many bytes, which says that it is compressed.
fn frames(payload: &[u8], size: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut pieces = payload.chunks(size).peekable();
    let mut first = 0x42;
    loop {
        let piece = pieces.next().unwrap_or_default();
        let is_last = pieces.peek().is_none();
        wire.push(first | if is_last { 0x80 } else { 0 });
        match piece.len() {
            len @ 0..=125 => wire.push(0x80 | len as u8),
            len => {
                wire.push(0x80 | 126);
                wire.extend_from_slice(&(len as u16).to_be_bytes());
            }
        }
        wire.extend_from_slice(&KEY);
        wire.extend(
            piece
                .iter()
                .zip(KEY.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        if is_last {
            return wire;
        }
        first = 0;
    }
}

fuzz_target!(|data: &[u8]| {
    let [flags, level, size, piece, rest @ ..] = data else {
        return;
    };
    let bits = 8 + (flags & 7);
    let params = DeflateParams {
        server_no_context_takeover: flags & 8 != 0,
        client_no_context_takeover: flags & 8 != 0,
        server_max_window_bits: bits,
        client_max_window_bits: bits,
    };
    let mut config = Deflate::default();
    (config.level, config.threshold) = (u32::from(level % 11), usize::from(level / 11));
    let (size, piece) = (usize::from(*size).max(1), usize::from(*piece).max(1));
    let mut limits = Limits::default();
    (limits.message, limits.frame) = (LONGEST, 2 * LONGEST);

    // Bytes that nobody has deflated, as one message and again, so that what it leaves behind is met too.
    let decoder = || Decoder::new(Role::Server, limits).with_deflate(Some(&params));
    let (mut one, mut many) = (decoder(), decoder());
    for _ in 0..2 {
        let whole = read(&mut one, &frames(rest, usize::from(u16::MAX)), usize::MAX);
        let parts = read(&mut many, &frames(rest, size), piece);
        assert_eq!(whole, parts);
        if whole.is_err() {
            break;
        }
    }

    // Bytes that are deflated, in messages of one size, by either end for the other.
    for role in [Role::Server, Role::Client] {
        let encoder = match role {
            Role::Server => Encoder::client(|| KEY),
            Role::Client => Encoder::server(),
        };
        let mut encoder = encoder.with_deflate(Some(&params), &config);
        let (mut wire, mut sent) = (BytesMut::new(), Vec::new());
        for (number, payload) in rest.chunks(size * 16).enumerate() {
            if flags & 16 != 0 && number % 3 == 2 {
                encoder.forget();
            }
            let message = Message::binary(payload.to_vec());
            encoder.message(&message, &mut wire);
            sent.push(message);
        }
        let mut decoder = Decoder::new(role, limits).with_deflate(Some(&params));
        assert_eq!(read(&mut decoder, &wire, piece), Ok(sent));
    }
});
