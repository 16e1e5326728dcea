//! Finding a byte in a slice, many at a time.

/// How many bytes are compared before one branch; a multiple of every vector register's length.
const BLOCK: usize = 32;

/// Returns where `byte` stands first.
pub(crate) fn find(byte: u8, haystack: &[u8]) -> Option<usize> {
    let (blocks, rest) = haystack.as_chunks::<BLOCK>();
    for (i, block) in blocks.iter().enumerate() {
        // No early exit in here, so that the compiler compares whole registers.
        if block.iter().fold(false, |hit, &b| hit | (b == byte)) {
            return position(byte, block).map(|at| i * BLOCK + at);
        }
    }
    position(byte, rest).map(|at| blocks.len() * BLOCK + at)
}

fn position(byte: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&b| b == byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_first_one_at_every_place() {
        for len in 0..100 {
            let mut bytes = vec![0; len];
            assert_eq!(find(7, &bytes), None);
            for at in (0..len).rev() {
                bytes[at] = 7;
                assert_eq!(find(7, &bytes), Some(at));
            }
        }
    }
}
