//! Which characters may stand where, by table.

/// Letters, digits and `others`.
pub(crate) const fn alphanumeric_and(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    let mut byte = 0;
    while byte < 128u8 {
        if byte.is_ascii_alphanumeric() {
            table[byte as usize] = true;
        }
        byte += 1;
    }
    table
}

const TOKENS: [bool; 256] = alphanumeric_and(b"!#$%&'*+-.^_`|~");

/// A character of a token, as of a method or a field's name (RFC 9110 §5.6.2).
#[inline]
pub(crate) fn is_token(byte: u8) -> bool {
    TOKENS[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::is_token;

    #[test]
    fn delimiters_blanks_and_what_is_no_ascii_are_in_no_token() {
        for byte in 0..=u8::MAX {
            let is_delimiter = b"\"(),/:;<=>?@[\\]{}".contains(&byte);
            assert_eq!(
                is_token(byte),
                byte.is_ascii_graphic() && !is_delimiter,
                "{byte}"
            );
        }
    }
}
