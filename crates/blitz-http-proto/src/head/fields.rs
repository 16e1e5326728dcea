//! Fields: from the lines of a head to a map whose values are views of the head's bytes.

use crate::Error;
use crate::error::Kind;
use bytes::{BufMut, Bytes, BytesMut};
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

/// Puts the fields into `map`, in their order. `head` is what they were read from.
pub(crate) fn into_map(
    head: &Bytes,
    fields: &[Header<'_>],
    map: &mut HeaderMap,
) -> Result<(), Error> {
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Kind::FieldName)?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value))
            .map_err(|_| Kind::FieldValue)?;
        map.try_append(name, value)
            .map_err(|_| Kind::TooManyFields)?;
    }
    Ok(())
}

/// The elements of a list of tokens, over all the lines of a field.
pub(crate) fn elements<'a>(
    map: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    map.get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// Whether a list of tokens has this one.
pub(crate) fn has_element(map: &HeaderMap, name: &HeaderName, token: &[u8]) -> bool {
    elements(map, name).any(|element| element.eq_ignore_ascii_case(token))
}

/// Writes a field's line.
pub(crate) fn field(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}
