//! Masking (RFC 6455 §5.3): each byte of a client's frame is mixed with one of four.

/// Bytes that are mixed at once; the compiler makes them a few instructions on vectors.
const WIDTH: usize = 32;

/// Mixes `bytes`, the first of which stands at `offset` of its frame, with the key. Doing it twice undoes it.
pub(super) fn apply(bytes: &mut [u8], key: [u8; 4], offset: usize) {
    let wide: [u8; WIDTH] = std::array::from_fn(|at| key[(at + offset) % 4]);
    let mut chunks = bytes.chunks_exact_mut(WIDTH);
    for chunk in &mut chunks {
        for (byte, key) in chunk.iter_mut().zip(wide) {
            *byte ^= key;
        }
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(wide) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_byte_meets_its_own(bytes: Vec<u8>, key: [u8; 4], offset in 0..9_usize, cut in 0..200_usize) {
            let expected: Vec<u8> = bytes.iter().enumerate().map(|(at, byte)| byte ^ key[(at + offset) % 4]).collect();
            let mut whole = bytes.clone();
            apply(&mut whole, key, offset);
            prop_assert_eq!(&whole, &expected);
            let mut pieces = bytes;
            let cut = cut.min(pieces.len());
            apply(&mut pieces[..cut], key, offset);
            apply(&mut pieces[cut..], key, offset + cut);
            prop_assert_eq!(&pieces, &expected);
        }
    }
}
