//! Whether text is text, as it comes in pieces that may end within a character.

use super::Error;

pub(super) const NO_TEXT: Error = Error::invalid("a text that is not UTF-8");

/// The beginning of a character, if a piece ended in one.
#[derive(Debug, Default)]
pub(super) struct Checker {
    begun: [u8; 4],
    len: usize,
}

impl Checker {
    /// Looks at the next piece; fails at the first byte after which no text can come.
    pub(super) fn feed(&mut self, mut piece: &[u8]) -> Result<(), Error> {
        while self.len > 0 {
            let Some((first, rest)) = piece.split_first() else {
                return Ok(());
            };
            self.begun[self.len] = *first;
            self.len += 1;
            piece = rest;
            match std::str::from_utf8(&self.begun[..self.len]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(NO_TEXT),
            }
        }
        match simdutf8::compat::from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                let begun = &piece[error.valid_up_to()..];
                self.len = begun.len();
                self.begun[..begun.len()].copy_from_slice(begun);
                Ok(())
            }
            Err(_) => Err(NO_TEXT),
        }
    }

    /// The text is over.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.len) == 0 {
            Ok(())
        } else {
            Err(NO_TEXT)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<String>().prop_map(String::into_bytes),
            // Texts with a fault.
            (any::<String>(), any::<usize>(), any::<u8>()).prop_map(|(text, at, byte)| {
                let mut bytes = text.into_bytes();
                if !bytes.is_empty() {
                    let at = at % bytes.len();
                    bytes[at] = byte;
                }
                bytes
            }),
            prop::collection::vec(0x7e..=0xff_u8, 0..12),
        ]
    }

    proptest! {
        #[test]
        fn pieces_are_judged_as_the_whole(bytes in any_bytes(), sizes in prop::collection::vec(1..9_usize, 1..20)) {
            let mut checker = Checker::default();
            let (mut rest, mut sizes) = (&bytes[..], sizes.into_iter().cycle());
            let mut fed = 0;
            let mut failed = false;
            while !rest.is_empty() && !failed {
                let (piece, behind) = rest.split_at(sizes.next().unwrap().min(rest.len()));
                failed = checker.feed(piece).is_err();
                fed += piece.len();
                rest = behind;
                // It fails with the piece that has the first wrong byte, not later.
                let lost = std::str::from_utf8(&bytes[..fed]).is_err_and(|error| error.error_len().is_some());
                prop_assert_eq!(failed, lost);
            }
            let is_text = !failed && checker.end().is_ok();
            prop_assert_eq!(is_text, std::str::from_utf8(&bytes).is_ok());
        }
    }
}
