//! The chunked coding (RFC 9112 §7.1), a byte at a time where it is grammar and whole where it is data.
//!
//! ```text
//!  Size       hex digits                       -> Size, at most 16 of them
//!             CR, `;`, space or tab            -> SizeLf, Extension, Space
//!  Space      space, tab, `;`                  -> what is before an extension; nothing else is
//!  Extension  anything printable, CR           -> Extension, SizeLf; counted over the whole body
//!  SizeLf     LF                               -> Data, or Trailers after the size 0
//!  Data       as many bytes as the size says   -> DataCr
//!  DataCr     CR -> DataLf, LF -> Size
//!  Trailers   lines to an empty one            -> End
//! ```

use super::decoder::BodyEvent;
use crate::error::Kind;
use crate::head::{Bounds, Scan, into_map, parsed};
use crate::{Error, Limits};
use bytes::{Buf, Bytes, BytesMut};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, COOKIE, EXPECT, HOST, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, MAX_FORWARDS, PROXY_AUTHORIZATION, RANGE, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Space,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
    End,
}

/// A body in chunks, so far.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    state: State,
    /// Of this chunk: its size, then what is left of it.
    size: u64,
    digits: u8,
    extension_bytes: usize,
    scan: Scan,
    looked_at: u64,
}

/// Fields that frame, route, authenticate or describe a message come before it or not at all (RFC 9110 §6.5.1).
const FORBIDDEN: [HeaderName; 23] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    EXPECT,
    HOST,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    MAX_FORWARDS,
    PROXY_AUTHORIZATION,
    RANGE,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Whether a field may stand in trailers.
pub(super) fn may_trail(name: &HeaderName) -> bool {
    !FORBIDDEN.contains(name)
}

impl Chunks {
    pub(super) fn new() -> Chunks {
        Chunks {
            state: State::Size,
            size: 0,
            digits: 0,
            extension_bytes: 0,
            scan: Scan::default(),
            looked_at: 0,
        }
    }

    pub(super) fn looked_at(&self) -> u64 {
        self.looked_at + self.scan.looked_at()
    }

    pub(super) fn decode(
        &mut self,
        input: &mut BytesMut,
        limits: &Limits,
    ) -> Result<Option<BodyEvent>, Error> {
        loop {
            match self.state {
                State::Data => return Ok(self.data(input)),
                State::Trailers => return self.trailers(input, limits),
                State::End => return Ok(Some(BodyEvent::End)),
                _ => {}
            }
            let mut used = 0;
            while let Some(byte) = input.get(used) {
                used += 1;
                self.step(*byte, limits)?;
                if matches!(self.state, State::Data | State::Trailers) {
                    break;
                }
            }
            self.looked_at += used as u64;
            input.advance(used);
            if !matches!(self.state, State::Data | State::Trailers) {
                return Ok(None);
            }
        }
    }

    /// One byte of the grammar between chunks.
    fn step(&mut self, byte: u8, limits: &Limits) -> Result<(), Error> {
        self.state = match (self.state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if self.digits == 16 {
                    return Err(Kind::ChunkSize.into());
                }
                let digit = (byte as char).to_digit(16).unwrap_or_default();
                self.size = self.size << 4 | u64::from(digit);
                self.digits += 1;
                State::Size
            }
            (State::Size, b'\r') if self.digits > 0 => State::SizeLf,
            (State::Size, b';') if self.digits > 0 => State::Extension,
            (State::Size, b' ' | b'\t') if self.digits > 0 => State::Space,
            (State::Space, b' ' | b'\t') => State::Space,
            (State::Space, b';') => State::Extension,
            (State::Extension, b'\r') => State::SizeLf,
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => State::Extension,
            (State::SizeLf, b'\n') => {
                self.digits = 0;
                if self.size == 0 {
                    State::Trailers
                } else {
                    State::Data
                }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::Size | State::Space, _) => return Err(Kind::ChunkSize.into()),
            (State::Extension, _) => return Err(Kind::Extension.into()),
            (State::SizeLf, _) => return Err(Kind::BareLf.into()),
            _ => return Err(Kind::ChunkEnd.into()),
        };
        if matches!(self.state, State::Space | State::Extension) {
            self.extension_bytes += 1;
            if self.extension_bytes > limits.extension_bytes {
                return Err(Kind::Extension.into());
            }
        }
        Ok(())
    }

    fn data(&mut self, input: &mut BytesMut) -> Option<BodyEvent> {
        if input.is_empty() {
            return None;
        }
        let n = usize::try_from(self.size).map_or(input.len(), |size| size.min(input.len()));
        self.size -= n as u64;
        if self.size == 0 {
            self.state = State::DataCr;
        }
        Some(BodyEvent::Data(input.split_to(n).freeze()))
    }

    fn trailers(
        &mut self,
        input: &mut BytesMut,
        limits: &Limits,
    ) -> Result<Option<BodyEvent>, Error> {
        let Some(end) = self.scan.end(input, &Bounds::trailers(limits))? else {
            return Ok(None);
        };
        self.state = State::End;
        if end == 2 {
            input.advance(2);
            return Ok(Some(BodyEvent::End));
        }
        read_trailers(&input.split_to(end).freeze(), limits)
            .map(|map| Some(BodyEvent::Trailers(map)))
    }
}

fn read_trailers(section: &Bytes, limits: &Limits) -> Result<HeaderMap, Error> {
    let mut map = HeaderMap::new();
    let mut room = vec![httparse::EMPTY_HEADER; limits.fields.min(section.len() / 4 + 1)];
    match httparse::parse_headers(section, &mut room) {
        Ok(httparse::Status::Complete((_, fields))) => {
            into_map(parsed(section, fields), &mut map)?;
        }
        Err(httparse::Error::TooManyHeaders) => return Err(Kind::TooManyFields.into()),
        _ => return Err(Kind::Trailer.into()),
    }
    if map.keys().all(may_trail) {
        Ok(map)
    } else {
        Err(Kind::ForbiddenTrailer.into())
    }
}
