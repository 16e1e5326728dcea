//! Fields: from the lines of a head to a map whose values are views of the head's bytes.

use super::host::Hosts;
use super::names;
use crate::Error;
use crate::error::Kind;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};
use httparse::Header;
use std::mem::MaybeUninit;

/// The fields that fit on the stack while a head is read.
const USUAL: usize = 128;

/// Calls `parse` with room for `count` fields.
pub(super) fn parsed_fields<'h, T>(
    count: usize,
    parse: impl FnOnce(&mut [MaybeUninit<Header<'h>>]) -> T,
) -> T {
    if count <= USUAL {
        parse(&mut [const { MaybeUninit::uninit() }; USUAL][..count])
    } else {
        let mut room = Vec::new();
        room.resize_with(count, MaybeUninit::uninit);
        parse(&mut room)
    }
}

/// Which fields a head has, of those that change what it means: most heads have few of them, and a look at a map is not free.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Present {
    pub(super) hosts: Hosts,
    pub(super) connection: bool,
    pub(super) length: bool,
    pub(super) encoding: bool,
    pub(super) expect: bool,
    pub(super) upgrade: bool,
}

impl Present {
    fn note(&mut self, name: &HeaderName, value: &HeaderValue) {
        if name == HOST {
            self.hosts.add(value.as_bytes());
        }
        self.connection |= name == CONNECTION;
        self.length |= name == CONTENT_LENGTH;
        self.encoding |= name == TRANSFER_ENCODING;
        self.expect |= name == EXPECT;
        self.upgrade |= name == UPGRADE;
    }
}

/// Puts fields into `map`, in their order, and says which there are. The values are views of the head.
pub(crate) fn into_map<'a>(
    fields: impl Iterator<Item = (&'a [u8], Bytes)>,
    map: &mut HeaderMap,
) -> Result<Present, Error> {
    let mut present = Present::default();
    map.try_reserve(fields.size_hint().0)
        .map_err(|_| Kind::TooManyFields)?;
    for (name, value) in fields {
        let name = names::name(name)?;
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Kind::FieldValue)?;
        present.note(&name, &value);
        map.try_append(name, value)
            .map_err(|_| Kind::TooManyFields)?;
    }
    Ok(present)
}

/// Fields as the parser gives them; `head` is what they were read from.
pub(crate) fn parsed<'a>(
    head: &'a Bytes,
    fields: &'a [Header<'_>],
) -> impl Iterator<Item = (&'a [u8], Bytes)> {
    fields
        .iter()
        .map(|field| (field.name.as_bytes(), head.slice_ref(field.value)))
}

/// The elements of a list of tokens, over all the lines of a field.
pub(super) fn elements<'a>(
    map: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    map.get_all(name).iter().flat_map(listed)
}

/// The elements of one line.
fn listed(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// Whether a line of a list has this token.
pub(crate) fn is_listed(value: &HeaderValue, token: &[u8]) -> bool {
    listed(value).any(|element| element.eq_ignore_ascii_case(token))
}

/// Whether a list of tokens has this one.
pub(super) fn has_element(map: &HeaderMap, name: &HeaderName, token: &[u8]) -> bool {
    elements(map, name).any(|element| element.eq_ignore_ascii_case(token))
}

/// What is put together before it is added.
const LINES: usize = 256;

/// A head on its way out: put together here and added to `out` in few pieces, because most of its parts are a few bytes long.
pub(crate) struct Lines<'a> {
    out: &'a mut BytesMut,
    bytes: [u8; LINES],
    len: usize,
}

impl Lines<'_> {
    pub(crate) fn new(out: &mut BytesMut) -> Lines<'_> {
        Lines {
            out,
            bytes: [0; LINES],
            len: 0,
        }
    }

    #[inline]
    pub(crate) fn put(&mut self, part: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.len..self.len + part.len()) {
            room.copy_from_slice(part);
            self.len += part.len();
        } else {
            self.spill(part);
        }
    }

    #[cold]
    fn spill(&mut self, part: &[u8]) {
        self.end();
        self.out.put_slice(part);
    }

    /// Writes a field's line.
    #[inline]
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8]) {
        self.put(name);
        self.put(b": ");
        self.put(value);
        self.put(b"\r\n");
    }

    pub(crate) fn decimal(&mut self, mut number: u64) {
        // Lengths that are known here cost a few moves.
        match number {
            0..10 => return self.put(&[b'0' + number as u8]),
            10..100 => return self.put(&[b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]),
            _ => {}
        }
        let (mut digits, mut at) = ([0; 20], 20);
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return self.put(&digits[at..]);
            }
        }
    }

    /// Adds what is here to the others.
    pub(crate) fn end(&mut self) {
        self.out.put_slice(&self.bytes[..self.len]);
        self.len = 0;
    }
}
