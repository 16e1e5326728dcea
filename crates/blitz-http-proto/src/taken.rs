//! Bytes, taken off the front of what has come.

use bytes::{Buf, Bytes, BytesMut};

/// The first `len` bytes of `input`. No more than `copied_max` are copied: what they were read into can be used again then, and is not
/// kept by the few bytes of a piece. More of them stay where they are.
///
/// # Panics
/// If there are fewer.
#[inline]
pub(crate) fn take(input: &mut BytesMut, len: usize, copied_max: usize) -> Bytes {
    take_behind(input, 0, len, copied_max)
}

/// The same behind the first `begin`, which are dropped.
///
/// # Panics
/// If there are fewer.
#[inline]
pub(crate) fn take_behind(
    input: &mut BytesMut,
    begin: usize,
    len: usize,
    copied_max: usize,
) -> Bytes {
    if len > copied_max {
        input.advance(begin);
        return input.split_to(len).freeze();
    }
    let end = begin + len;
    let taken = Bytes::copy_from_slice(&input[begin..end]);
    skip(input, end);
    taken
}

/// Drops the first `len` bytes of `input`.
///
/// # Panics
/// If there are fewer.
#[inline]
pub(crate) fn skip(input: &mut BytesMut, len: usize) {
    if input.len() == len {
        // So that the whole buffer is there again, and need not be asked for.
        input.clear();
    } else {
        input.advance(len);
    }
}

#[cfg(test)]
mod tests {
    use super::{take, take_behind};
    use bytes::BytesMut;

    #[test]
    fn short_ones_have_memory_of_their_own() {
        for (len, is_copied) in [(0, true), (4, true), (5, false), (9, false)] {
            let mut input = BytesMut::from("0123456789");
            let begin = input.as_ptr();
            let taken = take(&mut input, len, 4);
            assert_eq!(taken, "0123456789"[..len]);
            assert_eq!(input, "0123456789"[len..]);
            assert_eq!(taken.as_ptr() != begin, is_copied, "{len}");
        }
    }

    #[test]
    fn what_stands_before_is_dropped() {
        for copied_max in [0, 3] {
            let mut input = BytesMut::from("0123456789");
            assert_eq!(take_behind(&mut input, 2, 3, copied_max), "234");
            assert_eq!(input, "56789");
            assert_eq!(take_behind(&mut input, 1, 4, copied_max), "6789");
            assert_eq!(input, "");
        }
    }

    /// So that it need not be asked for again.
    #[test]
    fn who_takes_all_has_the_whole_buffer() {
        let mut input = BytesMut::with_capacity(100);
        let room = input.capacity();
        input.extend_from_slice(b"0123456789");
        take_behind(&mut input, 2, 8, 8);
        assert_eq!(input.capacity(), room);
    }
}
