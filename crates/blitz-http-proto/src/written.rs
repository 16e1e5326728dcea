//! Responses' heads, written again.
//!
//! A handler says the same of its answers again and again: one status, one type. To write such a head anew takes a look at each field and a
//! copy of each of its parts; to see that it is the one from before takes a look at where the values lie. So [`WrittenHeads`] keeps a few heads
//! as they were written. What changes from answer to answer, the length and the date, is changed in them.

use crate::{BodyEncoder, Framing, HttpDate, ResponseHead};
use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

/// Heads that are kept.
const KEPT: usize = 8;
/// Longer ones are not, nor those with more fields.
const BYTES_MAX: usize = 1024;
const FIELDS_MAX: usize = 16;

/// What stands behind the length, up to the date, and behind that.
const BEFORE_DATE: &[u8] = b"\r\ndate: ";
const BEHIND_DATE: &[u8] = b"\r\n\r\n";
const DATE_LEN: usize = 29;

/// Heads that were written before, to be written again.
///
/// It writes what [`ResponseHead::write`] writes, byte for byte. The fields of what is kept are held, so that their memory stays theirs.
///
/// ```
/// use blitz_http_proto::{HttpDate, ResponseHead, WrittenHeads};
/// use bytes::BytesMut;
/// use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header::CONTENT_TYPE};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
/// let mut written = WrittenHeads::default();
/// for length in [5, 5, 5, 1234] {
///     let head = ResponseHead {
///         status: StatusCode::OK,
///         headers: &headers,
///         method: &Method::GET,
///         version: Version::HTTP_11,
///         length: Some(length),
///         keep_alive: true,
///         date: Some(HttpDate::from_unix(0)),
///     };
///     let (mut anew, mut again) = (BytesMut::new(), BytesMut::new());
///     head.write(&mut anew);
///     written.write(&head, &mut again);
///     assert_eq!(again, anew);
/// }
/// ```
#[derive(Debug)]
pub struct WrittenHeads {
    heads: Vec<Written>,
    /// The one that was used last: mostly it is the next, too.
    last: usize,
    /// The one whose place is taken by the next that is to be kept.
    oldest: usize,
    /// What was written last and was not kept, by where it lies. What comes twice is worth its memory.
    next: [usize; KEPT],
}

#[derive(Debug)]
struct Written {
    status: StatusCode,
    fields: Vec<(HeaderName, HeaderValue)>,
    length: u64,
    date: HttpDate,
    /// The whole head.
    bytes: Vec<u8>,
    /// Where the length stands in it.
    at: usize,
}

impl Default for WrittenHeads {
    fn default() -> WrittenHeads {
        WrittenHeads::new()
    }
}

impl WrittenHeads {
    /// None yet.
    pub const fn new() -> WrittenHeads {
        WrittenHeads {
            heads: Vec::new(),
            last: 0,
            oldest: 0,
            next: [0; KEPT],
        }
    }

    /// Writes a head as [`ResponseHead::write`] does, from what is kept if it is there.
    #[inline]
    pub fn write(&mut self, head: &ResponseHead<'_>, out: &mut BytesMut) -> (BodyEncoder, bool) {
        let is_plain = head.keep_alive
            && head.version == Version::HTTP_11
            && is_successful(head.status)
            && *head.method != Method::HEAD
            && *head.method != Method::CONNECT;
        let (Some(length), Some(date), true) = (head.length, head.date, is_plain) else {
            return head.write(out);
        };
        let known = self.heads.get_mut(self.last);
        let known = match known.filter(|known| known.is(head.status, head.headers)) {
            Some(known) => known,
            None => match self.search(head.status, head.headers) {
                Some(known) => known,
                None => return self.note(head, out),
            },
        };
        known.change(length, date);
        out.extend_from_slice(&known.bytes);
        let framing = match length {
            0 => Framing::None,
            length => Framing::Length(length),
        };
        (BodyEncoder::new(framing), true)
    }

    /// Writes the head of an answer of `length` bytes to a request of HTTP/1.1, whose connection goes on, with the type of its body as its only
    /// field: as [`write`](WrittenHeads::write) does, if it is kept and was written last. `false` if not; nothing was written then.
    #[inline]
    pub fn write_typed(
        &mut self,
        status: StatusCode,
        kind: &HeaderValue,
        length: u64,
        date: HttpDate,
        out: &mut BytesMut,
    ) -> bool {
        let known = self.heads.get_mut(self.last);
        let Some(known) = known.filter(|known| known.is_typed(status, kind)) else {
            return false;
        };
        known.change(length, date);
        out.extend_from_slice(&known.bytes);
        true
    }

    #[inline(never)]
    fn search(&mut self, status: StatusCode, headers: &HeaderMap) -> Option<&mut Written> {
        let at = self
            .heads
            .iter()
            .position(|known| known.is(status, headers))?;
        self.last = at;
        Some(&mut self.heads[at])
    }

    /// Writes a head that is not kept, and keeps it if it is the second time.
    #[inline(never)]
    fn note(&mut self, head: &ResponseHead<'_>, out: &mut BytesMut) -> (BodyEncoder, bool) {
        let begin = out.len();
        let written = head.write(out);
        if head.headers.len() > FIELDS_MAX || out.len() - begin > BYTES_MAX {
            return written;
        }
        let print = head.headers.values().fold(1, |print, value| {
            let value = value.as_bytes();
            usize::wrapping_add(print, value.as_ptr().addr() ^ value.len())
        });
        let place = &mut self.next[print / 8 % KEPT];
        if *place != print {
            *place = print;
            return written;
        }
        let (Some(length), Some(date)) = (head.length, head.date) else {
            return written;
        };
        let Some(kept) = Written::new(head, length, date, &out[begin..]) else {
            return written;
        };
        if self.heads.len() < KEPT {
            self.last = self.heads.len();
            self.heads.push(kept);
        } else {
            self.last = self.oldest;
            self.heads[self.oldest] = kept;
            self.oldest = (self.oldest + 1) % KEPT;
        }
        written
    }
}

/// Whether a status has a body that is framed as its length says, and a phrase of its own.
#[inline]
fn is_successful(status: StatusCode) -> bool {
    status.as_u16() >= 200 && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

impl Written {
    /// What is kept of a head that was written so; `None` if its fields say of themselves what else is said here.
    fn new(head: &ResponseHead<'_>, length: u64, date: HttpDate, bytes: &[u8]) -> Option<Written> {
        let ours = [CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING];
        if head.headers.keys().any(|name| ours.contains(name)) {
            return None;
        }
        let behind = BEFORE_DATE.len() + DATE_LEN + BEHIND_DATE.len();
        let digits = length.checked_ilog10().unwrap_or(0) as usize + 1;
        let at = bytes.len().checked_sub(behind + digits)?;
        // Room for whatever length: it is never asked for again.
        let mut own = Vec::with_capacity(at + 20 + behind);
        own.extend_from_slice(bytes);
        let fields = head.headers.iter();
        Some(Written {
            status: head.status,
            fields: fields
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            length,
            date,
            bytes: own,
            at,
        })
    }

    /// Whether it is the head of this status with these fields: with values that lie where they lay.
    #[inline]
    fn is(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.status == status
            && self.fields.len() == headers.len()
            && self.fields.iter().zip(headers).all(|(own, other)| {
                own.0 == *other.0 && std::ptr::eq(own.1.as_bytes(), other.1.as_bytes())
            })
    }

    /// Whether it is the head of this status with this type and nothing else: a value that lies where it lay.
    #[inline]
    fn is_typed(&self, status: StatusCode, kind: &HeaderValue) -> bool {
        let [(name, own)] = &self.fields[..] else {
            return false;
        };
        self.status == status
            && std::ptr::eq(own.as_bytes(), kind.as_bytes())
            && *name == CONTENT_TYPE
    }

    #[inline]
    fn change(&mut self, length: u64, date: HttpDate) {
        if self.length != length {
            self.change_length(length, date);
        } else if self.date != date {
            self.change_date(date);
        }
    }

    #[inline(never)]
    fn change_length(&mut self, length: u64, date: HttpDate) {
        let (mut digits, mut at, mut rest) = ([0; 20], 20, length);
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.bytes.truncate(self.at);
        self.bytes.extend_from_slice(&digits[at..]);
        self.bytes.extend_from_slice(BEFORE_DATE);
        self.bytes.extend_from_slice(date.as_bytes());
        self.bytes.extend_from_slice(BEHIND_DATE);
        (self.length, self.date) = (length, date);
    }

    #[inline(never)]
    fn change_date(&mut self, date: HttpDate) {
        let end = self.bytes.len() - BEHIND_DATE.len();
        self.bytes[end - DATE_LEN..end].copy_from_slice(date.as_bytes());
        self.date = date;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(HeaderName, &'static str)]) -> HeaderMap {
        let fields = fields.iter().cloned();
        fields
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect()
    }

    /// Writes through `written`, and holds it against what is written anew.
    fn same(written: &mut WrittenHeads, head: &ResponseHead<'_>) {
        let (mut anew, mut again) = (BytesMut::from("before"), BytesMut::from("before"));
        let expected = head.write(&mut anew);
        let (encoder, keep) = written.write(head, &mut again);
        assert_eq!(again, anew, "{head:?}");
        assert_eq!(encoder.framing(), expected.0.framing(), "{head:?}");
        assert_eq!(keep, expected.1, "{head:?}");
        same_typed(written, head, &anew);
    }

    /// The same of a head with a type and nothing else, where the connection goes on.
    fn same_typed(written: &mut WrittenHeads, head: &ResponseHead<'_>, anew: &BytesMut) {
        let (Some(length), Some(date)) = (head.length, head.date) else {
            return;
        };
        let is_usual = head.keep_alive
            && head.version == Version::HTTP_11
            && *head.method == Method::GET
            && head.headers.len() == 1;
        let kind = head.headers.get(CONTENT_TYPE).filter(|_| is_usual);
        let Some(kind) = kind else {
            return;
        };
        let mut again = BytesMut::from("before");
        if written.write_typed(head.status, kind, length, date, &mut again) {
            assert_eq!(again, *anew, "{head:?}");
        } else {
            assert_eq!(again, "before");
        }
    }

    #[test]
    fn a_type_is_known_by_its_memory_and_with_its_status() {
        let kind = HeaderValue::from_static("text/plain");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind.clone())]);
        let head = |length| ResponseHead {
            status: StatusCode::OK,
            headers: &headers,
            method: &Method::GET,
            version: Version::HTTP_11,
            length: Some(length),
            keep_alive: true,
            date: Some(HttpDate::from_unix(1)),
        };
        let mut written = WrittenHeads::default();
        let mut typed = |status: u16, kind: &HeaderValue, length, second| {
            let status = StatusCode::from_u16(status).expect("a status");
            let mut out = BytesMut::new();
            let date = HttpDate::from_unix(second);
            let is_written = written.write_typed(status, kind, length, date, &mut out);
            if !is_written {
                written.write(&head(3), &mut BytesMut::new());
            }
            is_written.then_some(out)
        };
        // What comes twice is kept.
        assert_eq!(typed(200, &kind, 3, 1), None);
        assert_eq!(typed(200, &kind, 3, 1), None);
        for (length, second) in [(3, 1), (0, 2), (12345, 2), (3, 3)] {
            let mut anew = BytesMut::new();
            ResponseHead {
                date: Some(HttpDate::from_unix(second)),
                ..head(length)
            }
            .write(&mut anew);
            assert_eq!(typed(200, &kind, length, second), Some(anew));
        }
        assert_eq!(typed(404, &kind, 3, 1), None);
        let alike = HeaderValue::from_maybe_shared(bytes::Bytes::copy_from_slice(b"text/plain"));
        assert_eq!(typed(200, &alike.expect("a value"), 3, 1), None);
    }

    #[test]
    fn what_is_written_again_is_what_would_be_written() {
        use http::header::{ETAG, SERVER};
        let odd = HeaderName::from_static("x-odd");
        let maps = [
            map(&[]),
            map(&[(CONTENT_TYPE, "text/plain")]),
            map(&[(CONTENT_TYPE, "text/plain"), (SERVER, "a")]),
            map(&[(CONTENT_TYPE, "application/json"), (SERVER, "a")]),
            map(&[(ETAG, ""), (odd.clone(), "1"), (odd, "2")]),
            map(&[(CONNECTION, "close")]),
            map(&[(CONNECTION, "x")]),
            map(&[(CONTENT_LENGTH, "7")]),
            map(&[(TRANSFER_ENCODING, "chunked")]),
            map(&[(DATE, "then")]),
        ];
        let statuses = [200, 201, 204, 206, 304, 404, 500, 799];
        let mut written = WrittenHeads::default();
        for round in 0..6 {
            for headers in &maps {
                for status in statuses {
                    for length in [None, Some(0), Some(7), Some(round), Some(u64::MAX / 3)] {
                        for date in [None, Some(HttpDate::from_unix(round / 2))] {
                            for method in [Method::GET, Method::HEAD, Method::CONNECT] {
                                for version in [Version::HTTP_10, Version::HTTP_11] {
                                    for keep_alive in [true, false] {
                                        let head = ResponseHead {
                                            status: StatusCode::from_u16(status).expect("one"),
                                            headers,
                                            method: &method,
                                            version,
                                            length,
                                            keep_alive,
                                            date,
                                        };
                                        // Twice, so that it is kept, and once more from there.
                                        (0..3).for_each(|_| same(&mut written, &head));
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(written.heads.len(), KEPT);
    }

    #[test]
    fn a_head_is_kept_the_second_time_and_a_long_one_never() {
        let long = map(&[(DATE, ""), (CONTENT_LENGTH, "")]);
        let mut many = HeaderMap::new();
        let value = HeaderValue::from_static("a value that is neither long nor short");
        (0..40).for_each(|_| _ = many.append(http::header::SET_COOKIE, value.clone()));
        let short = map(&[(http::header::ALLOW, "GET")]);
        for (headers, kept) in [(&long, 0), (&many, 0), (&short, 1)] {
            let mut written = WrittenHeads::default();
            let head = ResponseHead {
                status: StatusCode::OK,
                headers,
                method: &Method::GET,
                version: Version::HTTP_11,
                length: Some(3),
                keep_alive: true,
                date: Some(HttpDate::from_unix(1)),
            };
            same(&mut written, &head);
            assert_eq!(written.heads.len(), 0);
            (0..3).for_each(|_| same(&mut written, &head));
            assert_eq!(written.heads.len(), kept, "{headers:?}");
        }
    }
}
