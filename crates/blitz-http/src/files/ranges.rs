//! Parts of files (RFC 9110 section 14).

use std::ops::Range;

/// Ranges in one request; who asks for more is given the whole.
const RANGES_MAX: usize = 16;

/// What a `Range` field asks for, of a file of known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All: the field is none, is of another unit, or asks for more than it is worth.
    Whole,
    One(Range<u64>),
    /// At least two.
    Many(Vec<Range<u64>>),
    /// Nothing of it is there.
    Nothing,
}

/// Reads a `Range` field.
pub(super) fn asked(field: &[u8], len: u64) -> Asked {
    let Some(set) = std::str::from_utf8(field).ok().and_then(in_bytes) else {
        return Asked::Whole;
    };
    let (mut ranges, mut count, mut bytes) = (Vec::new(), 0, 0u64);
    for spec in set.split(',').map(|spec| spec.trim_matches([' ', '\t'])) {
        // A list may have empty places.
        if spec.is_empty() {
            continue;
        }
        count += 1;
        let Some(range) = range(spec, len).filter(|_| count <= RANGES_MAX) else {
            return Asked::Whole;
        };
        if !range.is_empty() {
            bytes = bytes.saturating_add(range.end - range.start);
            ranges.push(range);
        }
    }
    match (count, ranges.len()) {
        (0, _) => Asked::Whole,
        (_, 0) => Asked::Nothing,
        (_, 1) => Asked::One(ranges.remove(0)),
        // They overlap so much that the whole is less.
        _ if bytes > len => Asked::Whole,
        _ => Asked::Many(ranges),
    }
}

/// What stands behind `bytes=`.
fn in_bytes(field: &str) -> Option<&str> {
    let (unit, set) = field.split_once('=')?;
    unit.trim().eq_ignore_ascii_case("bytes").then_some(set)
}

/// One range, empty if nothing of it is there; `None` if it is none.
fn range(spec: &str, len: u64) -> Option<Range<u64>> {
    let (first, last) = spec.split_once('-')?;
    match (first, last) {
        ("", last) => {
            let suffix = number(last)?;
            Some(len.saturating_sub(suffix)..len)
        }
        (first, "") => {
            let first = number(first)?;
            Some(first.min(len)..len)
        }
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            let end = last.saturating_add(1).min(len);
            (first <= last).then(|| first.min(end)..end)
        }
    }
}

/// Digits; more of them than fit are more than any file has.
fn number(digits: &str) -> Option<u64> {
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_rfc() {
        let is = |field: &str, wanted: Asked| {
            assert_eq!(asked(field.as_bytes(), 100), wanted, "{field}")
        };
        is("bytes=0-49", Asked::One(0..50));
        is("Bytes=50-", Asked::One(50..100));
        is("bytes=-10", Asked::One(90..100));
        is("bytes=-1000", Asked::One(0..100));
        is("bytes=90-1000", Asked::One(90..100));
        is("bytes=0-99999999999999999999999", Asked::One(0..100));
        is("bytes=0-0, 99-99", Asked::Many(vec![0..1, 99..100]));
        is("bytes=0-0,,\t200-300 , 5-6", Asked::Many(vec![0..1, 5..7]));
        // One of them is not there.
        is("bytes=0-9,200-300", Asked::One(0..10));
        is("bytes=100-", Asked::Nothing);
        is("bytes=100-200,300-", Asked::Nothing);
        is("bytes=-0", Asked::Nothing);
        is("bytes=99999999999999999999999-", Asked::Nothing);
        for none in [
            "bytes=",
            "bytes=,",
            "bytes",
            "bytes=a-b",
            "bytes=5",
            "bytes=9-5",
            "bytes=+1-2",
            "bytes=1 -2",
            "lines=1-2",
            "bytes=1-2-3",
            "bytes=-",
            "bytes=0-50,x",
        ] {
            is(none, Asked::Whole);
        }
        // Too much for what it is worth.
        is("bytes=0-,0-", Asked::Whole);
        let many = format!("bytes={}", ["1-1"; 17].join(","));
        is(&many, Asked::Whole);
        assert_eq!(asked(b"bytes=0-", 0), Asked::Nothing);
        assert_eq!(asked(b"bytes=0-\xff", 10), Asked::Whole);
    }
}
