//! Where a head or a section of trailers ends, found as the bytes come.
//!
//! A line ends with CR LF and nothing else: RFC 9112 §2.2 lets a recipient take a bare LF, and whoever does reads another
//! message than whoever does not. Each byte is looked at once; what came before is not searched again.

use crate::error::Kind;
use crate::{Error, Limits};

/// How far a search has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scan {
    /// Bytes that were searched.
    at: usize,
    /// Where the line begins that has no end yet.
    line: usize,
    /// Lines that ended.
    lines: usize,
    /// Bytes that were looked at, for all messages.
    looked_at: u64,
}

/// A line that has come whole.
enum Line {
    /// Others follow.
    More,
    /// The empty one: the section goes on to `end`.
    Last { end: usize },
}

/// How large a section may be, and what it is to be larger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    first_line: usize,
    bytes: usize,
    lines: usize,
    too_large: Kind,
}

/// Room for the method, the version and what stands between in a request line.
const AROUND_TARGET: usize = METHOD_MAX + 12;
/// Longer than every method that is registered.
pub(crate) const METHOD_MAX: usize = 32;

impl Bounds {
    pub(crate) fn request(limits: &Limits) -> Bounds {
        Bounds {
            first_line: limits.uri_bytes.saturating_add(AROUND_TARGET),
            bytes: limits.head_bytes,
            lines: limits.fields.saturating_add(1),
            too_large: Kind::HeadTooLarge,
        }
    }

    pub(crate) fn response(limits: &Limits) -> Bounds {
        Bounds {
            first_line: usize::MAX,
            bytes: limits.head_bytes,
            lines: limits.fields.saturating_add(1),
            too_large: Kind::HeadTooLarge,
        }
    }

    pub(crate) fn trailers(limits: &Limits) -> Bounds {
        Bounds {
            first_line: usize::MAX,
            bytes: limits.trailer_bytes,
            lines: limits.fields,
            too_large: Kind::TrailersTooLarge,
        }
    }
}

impl Scan {
    /// The length of the section with its empty line, once that has come.
    pub(crate) fn end(&mut self, input: &[u8], bounds: &Bounds) -> Result<Option<usize>, Error> {
        loop {
            match self.line(input, bounds)? {
                None => return Ok(None),
                Some(Line::Last { end }) => {
                    self.begin();
                    return Ok(Some(end));
                }
                Some(Line::More) => {}
            }
        }
    }

    /// The length of the section's first line with its end, in the call that finds it.
    pub(crate) fn first_line(
        &mut self,
        input: &[u8],
        bounds: &Bounds,
    ) -> Result<Option<usize>, Error> {
        if self.lines > 0 {
            return Ok(None);
        }
        Ok(match self.line(input, bounds)? {
            Some(Line::More) => Some(self.line),
            _ => None,
        })
    }

    /// Goes on to the end of the next line.
    fn line(&mut self, input: &[u8], bounds: &Bounds) -> Result<Option<Line>, Error> {
        let rest = &input[self.at..];
        let Some(found) = memchr::memchr(b'\n', rest) else {
            self.looked_at += rest.len() as u64;
            self.at = input.len();
            self.check(input.len(), input.len(), bounds)?;
            return Ok(None);
        };
        self.looked_at += found as u64 + 1;
        let lf = self.at + found;
        if lf == self.line || input[lf - 1] != b'\r' {
            return Err(Kind::BareLf.into());
        }
        let empty = lf - 1 == self.line;
        self.check(lf - 1, lf + 1, bounds)?;
        if empty {
            return Ok(Some(Line::Last { end: lf + 1 }));
        }
        self.lines += 1;
        if self.lines > bounds.lines {
            return Err(Kind::TooManyFields.into());
        }
        (self.at, self.line) = (lf + 1, lf + 1);
        Ok(Some(Line::More))
    }

    /// Whether the line that goes on to `line_end`, and the section that goes on to `end`, are within bounds.
    fn check(&self, line_end: usize, end: usize, bounds: &Bounds) -> Result<(), Error> {
        if self.lines == 0 && line_end - self.line > bounds.first_line {
            return Err(Kind::UriTooLong.into());
        }
        if end > bounds.bytes {
            return Err(bounds.too_large.into());
        }
        Ok(())
    }

    /// Nothing of the section that is looked for was searched yet.
    pub(crate) fn is_at_the_beginning(&self) -> bool {
        self.at == 0
    }

    /// A section of so many bytes was found without a search.
    pub(crate) fn looked_at_once(&mut self, bytes: usize) {
        self.looked_at += bytes as u64;
    }

    /// The next section begins at the beginning of the input.
    pub(crate) fn begin(&mut self) {
        (self.at, self.line, self.lines) = (0, 0, 0);
    }

    pub(crate) fn looked_at(&self) -> u64 {
        self.looked_at
    }
}
