//! Which coding a client wants (RFC 9110 section 12.5.3), and what may be coded.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// How the bytes of a file are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

/// As siblings are preferred: the smallest first.
pub(super) const SMALL: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];
/// As they are made while a client waits: the quickest first.
#[cfg(feature = "compression")]
pub(super) const QUICK: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];
/// What can be made.
#[cfg(not(feature = "compression"))]
pub(super) const QUICK: [Coding; 1] = [Coding::Gzip];

impl Coding {
    /// Its name in `Content-Encoding`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// What the name of a file that is compressed so ends with.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Coding::Brotli => ".br",
            Coding::Zstd => ".zst",
            Coding::Gzip => ".gz",
        }
    }

    fn is(self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.name())
            || (self == Coding::Gzip && name.eq_ignore_ascii_case("x-gzip"))
    }
}

/// How much a client wants each coding, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wishes {
    /// In the order of [`SMALL`].
    codings: [u16; 3],
    pub(super) identity: u16,
}

impl Wishes {
    /// Without the field anything may come; what every client understands is sent then.
    pub(super) fn of(headers: &HeaderMap) -> Wishes {
        let (mut codings, mut identity, mut any) = ([None; 3], None, None);
        for value in headers.get_all(ACCEPT_ENCODING) {
            let Ok(value) = value.to_str() else { continue };
            for item in value.split(',') {
                let (name, weight) = weighed(item);
                let Some(weight) = weight else { continue };
                match name {
                    "*" => any = Some(weight),
                    name if name.eq_ignore_ascii_case("identity") => identity = Some(weight),
                    name => {
                        let at = SMALL.iter().position(|coding| coding.is(name));
                        if let Some(at) = at {
                            codings[at] = Some(weight);
                        }
                    }
                }
            }
        }
        Wishes {
            codings: codings.map(|weight| weight.or(any).unwrap_or(0)),
            // It is refused by name, or by a star that nothing else overrules.
            identity: match (identity, any) {
                (Some(weight), _) => weight,
                (None, Some(0)) => 0,
                // Whatever is named is wanted more.
                (None, _) => 1,
            },
        }
    }

    fn weight(&self, coding: Coding) -> u16 {
        let at = SMALL.iter().position(|other| *other == coding);
        at.map_or(0, |at| self.codings[at])
    }

    /// The codings that are wanted at least as much as none is, the most wanted first, and among equals as `order` has them.
    pub(super) fn wanted<const N: usize>(
        &self,
        order: [Coding; N],
    ) -> impl Iterator<Item = Coding> + use<N> {
        let mut order = order;
        let wishes = *self;
        order.sort_by_key(|coding| std::cmp::Reverse(wishes.weight(*coding)));
        order.into_iter().filter(move |coding| {
            wishes.weight(*coding) > 0 && wishes.weight(*coding) >= wishes.identity
        })
    }
}

/// A coding and its weight in thousandths; none if that is no number.
fn weighed(item: &str) -> (&str, Option<u16>) {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let mut weight = Some(1000);
    for part in parts {
        if let Some(value) = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")) {
            weight = thousandths(value);
        }
    }
    (name, weight)
}

/// `0`, `1`, and up to three digits behind the point.
fn thousandths(value: &str) -> Option<u16> {
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    let digits = part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: u16 = format!("{part:0<3}").parse().ok().filter(|_| digits)?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

/// Whether files of this type become smaller by coding.
pub(super) fn is_worth_coding(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default();
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || [
            "application/javascript",
            "application/json",
            "application/wasm",
            "application/xml",
            "application/x-sh",
            "application/rtf",
            "application/toml",
            "application/x-tar",
            "application/yaml",
            "font/otf",
            "font/ttf",
            "image/bmp",
            "image/x-icon",
        ]
        .contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::Coding::{Brotli, Gzip, Zstd};
    use super::*;

    fn wanted(field: &str) -> (Vec<Coding>, bool) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, field.parse().unwrap());
        let wishes = Wishes::of(&headers);
        (wishes.wanted(SMALL).collect(), wishes.identity > 0)
    }

    #[test]
    fn weights_are_obeyed() {
        assert_eq!(
            wanted("gzip, deflate, br, zstd"),
            (vec![Brotli, Zstd, Gzip], true)
        );
        assert_eq!(wanted("gzip;q=1, br;q=0.5"), (vec![Gzip, Brotli], true));
        assert_eq!(wanted("GZIP ; Q=0.001"), (vec![Gzip], true));
        assert_eq!(wanted("br;q=0, *"), (vec![Zstd, Gzip], true));
        assert_eq!(wanted("x-gzip"), (vec![Gzip], true));
        assert_eq!(wanted("identity, gzip;q=0.9"), (vec![], true));
        assert_eq!(wanted("gzip, identity;q=0"), (vec![Gzip], false));
        assert_eq!(wanted("gzip, *;q=0"), (vec![Gzip], false));
        assert_eq!(wanted("*;q=0"), (vec![], false));
        assert_eq!(wanted("gzip;q=2, br;q=0.1234, zstd;q=x"), (vec![], true));
        assert_eq!(wanted(""), (vec![], true));
        assert_eq!(Wishes::of(&HeaderMap::new()).wanted(QUICK).count(), 0);
    }

    #[test]
    fn what_is_compressed_already_is_left_alone() {
        assert!(is_worth_coding("text/html; charset=utf-8"));
        assert!(is_worth_coding("image/svg+xml"));
        for kind in [
            "image/png",
            "video/mp4",
            "application/zip",
            "font/woff2",
            "application/octet-stream",
        ] {
            assert!(!is_worth_coding(kind), "{kind}");
        }
    }
}
