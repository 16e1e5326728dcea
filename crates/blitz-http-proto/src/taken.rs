//! Bytes, taken off the front of what has come.

use bytes::{Buf, Bytes, BytesMut};

/// The first `len` bytes of `input`. No more than `copied_max` are copied: what they were read into can be used again then, and is not
/// kept by the few bytes of a piece. More of them stay where they are.
///
/// # Panics
/// If there are fewer.
#[inline]
pub(crate) fn take(input: &mut BytesMut, len: usize, copied_max: usize) -> Bytes {
    if len > copied_max {
        return input.split_to(len).freeze();
    }
    let taken = Bytes::copy_from_slice(&input[..len]);
    skip(input, len);
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
    use super::take;
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
}
