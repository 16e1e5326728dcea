//! Names of fields, known again.
//!
//! Clients send the same dozen names over and over. To make one of bytes takes a lookup, or memory of its own where the name is none of the
//! registered ones; to know the spelling again and clone what was made of it takes less. Each thread keeps a few, whoever sent them.

use crate::Error;
use crate::error::Kind;
use http::HeaderName;
use std::cell::RefCell;

/// Spellings that a thread keeps.
const KEPT: usize = 64;
/// Longer names are not kept, so that what is has a bound.
const LEN_MAX: usize = 31;

/// A name that came, as it was spelled.
struct Known {
    len: u8,
    spelling: [u8; LEN_MAX],
    name: HeaderName,
}

thread_local! {
    static NAMES: RefCell<[Option<Known>; KEPT]> = const { RefCell::new([const { None }; KEPT]) };
}

/// The name that is spelled so.
pub(super) fn name(spelling: &[u8]) -> Result<HeaderName, Error> {
    let make = || HeaderName::from_bytes(spelling).map_err(|_| Error::from(Kind::FieldName));
    let Some(place) = place(spelling) else {
        return make();
    };
    let known = NAMES.try_with(|names| {
        let mut names = names.borrow_mut();
        let slot = &mut names[place];
        if let Some(known) = slot
            && known.spelling.get(..usize::from(known.len)) == Some(spelling)
        {
            return Ok(known.name.clone());
        }
        let name = make()?;
        let mut known = Known {
            len: spelling.len() as u8,
            spelling: [0; LEN_MAX],
            name: name.clone(),
        };
        known.spelling[..spelling.len()].copy_from_slice(spelling);
        *slot = Some(known);
        Ok(name)
    });
    // A thread that is ending keeps nothing.
    known.unwrap_or_else(|_| make())
}

/// Where a spelling is kept, if it is.
fn place(spelling: &[u8]) -> Option<usize> {
    let (first, last) = (*spelling.first()?, *spelling.last()?);
    if spelling.len() > LEN_MAX {
        return None;
    }
    let middle = spelling[spelling.len() / 2];
    let mixed = usize::from(first) * 7 + usize::from(middle) * 5 + usize::from(last) * 3;
    Some((mixed + spelling.len()) % KEPT)
}

#[cfg(test)]
mod tests {
    use super::{KEPT, LEN_MAX, NAMES, name, place};
    use http::HeaderName;

    #[test]
    fn a_name_is_the_same_however_often_and_however_spelled() {
        for spelling in ["Host", "host", "HOST", "X-Custom", "x-custom", "sec-ch-ua"] {
            for _ in 0..3 {
                let expected = HeaderName::from_bytes(spelling.as_bytes()).unwrap();
                assert_eq!(name(spelling.as_bytes()).unwrap(), expected);
            }
        }
    }

    #[test]
    fn names_that_share_a_place_are_not_taken_for_each_other() {
        let mut met = vec![Vec::new(); KEPT];
        for number in 0..1000 {
            let spelling = format!("x-{number}");
            met[place(spelling.as_bytes()).unwrap()].push(spelling);
        }
        let crowded = met.iter().max_by_key(|names| names.len()).unwrap();
        assert!(crowded.len() > 1);
        for spelling in crowded.iter().chain(crowded) {
            assert_eq!(name(spelling.as_bytes()).unwrap(), spelling.as_str());
        }
    }

    #[test]
    fn what_is_long_or_no_name_is_not_kept() {
        let long = "x".repeat(LEN_MAX + 1);
        assert_eq!(name(long.as_bytes()).unwrap(), long.as_str());
        for bad in ["", "a b", "a:", "\u{e4}"] {
            assert!(name(bad.as_bytes()).is_err(), "{bad}");
        }
        let kept = |spelling: &str| {
            NAMES.with_borrow(|names| {
                let mut names = names.iter().flatten();
                names.any(|known| known.spelling[..usize::from(known.len)] == *spelling.as_bytes())
            })
        };
        assert!(!kept("a b"));
        name(b"x-kept").unwrap();
        assert!(kept("x-kept"));
    }
}
