//! A stream, cut into pieces, and what the decoders make of it, written down so that two ways can be compared.

use blitz_http_proto::{
    Error, Framing, Limits, RequestDecoder, RequestEvent, ResponseDecoder, ResponseEvent,
};
use bytes::BytesMut;
use http::{Method, Request};

/// What came, with neighbouring data joined: where a stream is cut decides how data is cut, and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) events: Vec<String>,
    pub(crate) ends: usize,
    pub(crate) error: Option<Error>,
    /// Bytes that are left, and whether they wait for an answer to an upgrade.
    pub(crate) left: Vec<u8>,
    pub(crate) looked_at: u64,
}

impl Seen {
    fn data(&mut self, data: &[u8]) {
        assert!(!data.is_empty(), "data is never empty");
        let text = data.escape_ascii().to_string();
        match self.events.last_mut() {
            Some(last) if last.starts_with("data ") => last.push_str(&text),
            _ => self.events.push(format!("data {text}")),
        }
    }
}

/// The sizes of the pieces, over and over; the last piece is what is left.
pub(crate) fn cut<'a>(bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    let mut sizes = sizes.iter().copied().cycle();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, behind) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
        rest = behind;
        Some(piece)
    })
}

/// What a head says, however it was asked for.
macro_rules! described {
    ($request:expr, $head:expr) => {
        format!(
            "{} {:?} {:?} {:?} {:?} keep {} expects {} upgrade {}",
            $request.method,
            $request.uri,
            $request.version,
            $request.headers,
            $head.framing,
            $head.keep_alive,
            $head.expects_continue,
            $head.upgrade
        )
    };
}

/// The same comes of it whether heads come as events or into parts of the caller's, and whether it comes once or again.
pub(crate) fn requests(bytes: &[u8], sizes: &[usize], limits: Limits) -> Seen {
    let seen = requests_by(bytes, sizes, limits, false);
    assert_eq!(requests_by(bytes, sizes, limits, true), seen);
    let tunnel = seen.events.iter().any(|event| event.starts_with("CONNECT"));
    let whole = seen.left.is_empty() && seen.events.last().is_some_and(|event| event == "end");
    // Empty lines before and behind may be too many together.
    let is_padded = bytes.starts_with(b"\r\n");
    if seen.error.is_none() && whole && !tunnel && !is_padded && bytes.len() < 4096 {
        for apart in [false, true] {
            let thrice = requests_by(&bytes.repeat(3), sizes, limits, apart);
            assert_eq!(thrice.events, vec![seen.events.clone(); 3].concat());
        }
    }
    seen
}

fn requests_by(bytes: &[u8], sizes: &[usize], limits: Limits, apart: bool) -> Seen {
    let mut decoder = RequestDecoder::new(limits);
    let mut input = BytesMut::new();
    let mut seen = Seen::default();
    let mut in_body = false;
    // One that is used again and again.
    let mut request = Request::new(());
    let end = |seen: &mut Seen| {
        seen.events.push("end".to_owned());
        seen.ends += 1;
    };
    'pieces: for piece in cut(bytes, sizes) {
        input.extend_from_slice(piece);
        loop {
            let event = if apart && !in_body {
                match decoder.decode_head(&mut input, &mut request) {
                    Ok(Some(head)) => {
                        let (parts, ()) = request.clone().into_parts();
                        seen.events.push(described!(parts, head));
                        in_body = head.framing != Framing::None;
                        if !in_body {
                            end(&mut seen);
                        }
                        continue;
                    }
                    other => other.map(|_| None),
                }
            } else {
                decoder.decode(&mut input)
            };
            match event {
                Ok(Some(RequestEvent::Head(head))) => {
                    seen.events.push(described!(head, head));
                }
                Ok(Some(RequestEvent::Data(data))) => seen.data(&data),
                Ok(Some(RequestEvent::Trailers(map))) => seen.events.push(format!("{map:?}")),
                Ok(Some(RequestEvent::End)) => {
                    in_body = false;
                    end(&mut seen);
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.decode(&mut input).err(), Some(error), "it stays");
                    let again = decoder
                        .decode_head(&mut input, &mut Request::new(()))
                        .map(|head| head.is_some());
                    assert_eq!(again.err(), Some(error), "it stays");
                    seen.error = Some(error);
                    break 'pieces;
                }
            }
        }
    }
    seen.looked_at = decoder.looked_at();
    assert!(seen.looked_at <= bytes.len() as u64, "no byte twice");
    if seen.error.is_none() {
        seen.left = input.to_vec();
    }
    seen
}

pub(crate) fn responses(bytes: &[u8], sizes: &[usize], asked: &[Method]) -> Seen {
    let mut decoder = ResponseDecoder::new(Limits::default());
    asked.iter().for_each(|method| decoder.asked(method));
    let mut input = BytesMut::new();
    let mut seen = Seen::default();
    let take = |decoder: &mut ResponseDecoder, input: &mut BytesMut, seen: &mut Seen| loop {
        match decoder.decode(input) {
            Ok(Some(ResponseEvent::Informational(head))) => {
                seen.events.push(format!("informational {head:?}"));
            }
            Ok(Some(ResponseEvent::Head(head))) => seen.events.push(format!("{head:?}")),
            Ok(Some(ResponseEvent::Data(data))) => seen.data(&data),
            Ok(Some(ResponseEvent::Trailers(map))) => seen.events.push(format!("{map:?}")),
            Ok(Some(ResponseEvent::End)) => {
                seen.events.push("end".to_owned());
                seen.ends += 1;
            }
            Ok(Some(ResponseEvent::Tunnel)) => seen.events.push("tunnel".to_owned()),
            Ok(None) => return,
            Err(error) => {
                seen.error = Some(error);
                return;
            }
        }
    };
    for piece in cut(bytes, sizes) {
        input.extend_from_slice(piece);
        take(&mut decoder, &mut input, &mut seen);
        if seen.error.is_some() {
            return seen;
        }
    }
    match decoder.finish(&input) {
        Ok(true) => take(&mut decoder, &mut input, &mut seen),
        Ok(false) => {}
        Err(error) => seen.error = Some(error),
    }
    seen.looked_at = decoder.looked_at();
    assert!(seen.looked_at <= bytes.len() as u64, "no byte twice");
    seen.left = input.to_vec();
    seen
}
