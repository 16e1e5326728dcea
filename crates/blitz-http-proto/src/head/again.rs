//! Heads, known again.
//!
//! A client that keeps its connection says the same of itself with every request: behind their first lines its heads are alike to the last
//! byte, and where it asks for the same again, as who polls does, or looks whether we are well, they are alike from the first. To see that
//! takes one comparison; to read them again takes a search, a look at each character and one at each name. So each thread keeps the fields of
//! a few heads as they came, with what was made of them, and a decoder remembers which of them its client sent last.
//!
//! What is the same to the last byte means the same: nothing is accepted by this that would be refused without it. Among what is kept may
//! be a client's secrets, and another's may have come into their place. So a client is compared with what has the fingerprint of what it
//! sent itself before, and with nothing else: how long that takes tells nobody anything.

use super::fields::Present;
use super::known::{HeadMark, KnownHead};
use super::received::{Kept, ReceivedHead};
use crate::{Error, Limits};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use std::cell::RefCell;

/// Sections of fields that a thread keeps.
const KEPT: usize = 32;
/// Longer ones are not kept, so that what is has a bound.
const BYTES_MAX: usize = 2 * 1024;
/// And longer first lines.
const LINE_MAX: usize = 256;
/// So many fields are many.
const MANY: usize = 6;
/// What a first line ends with.
const LINE_END: usize = b" HTTP/1.1\r\n".len();

/// All of a head that stands behind its first line, the empty line included.
struct Section {
    bytes: Bytes,
    print: u64,
    /// The values are views of `bytes`.
    fields: Fields,
    present: Present,
    /// A head of HTTP/1.1 that ends so.
    whole: Option<Whole>,
    /// The last first line that came before these fields and was not that head's.
    next: u64,
}

/// Fields, as they are put into a request soonest.
enum Fields {
    /// One by one, into memory that is there.
    Few(Vec<(HeaderName, HeaderValue)>),
    /// As a map, whose memory costs less than to find a place for each of them.
    Many(HeaderMap),
}

/// A head from its first byte to its last.
struct Whole {
    bytes: Bytes,
    /// Of its first line.
    print: u64,
    path: usize,
    method: Method,
    /// A view of `bytes`.
    uri: Uri,
    head: ReceivedHead,
}

/// A place for a section.
struct Slot {
    section: Option<Section>,
    /// The last one that came and was not the one that is here. What comes twice is worth its copy.
    next: u64,
}

thread_local! {
    static SLOTS: RefCell<[Slot; KEPT]> = const {
        RefCell::new([const { Slot { section: None, next: 0 } }; KEPT])
    };
}

/// Where the fields are kept that a client sent last: a guess, since others may have come into their place, and the thread may be another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guess {
    at: Option<u8>,
    /// The fields that it sent.
    section: u64,
    /// The first line that it sent with them.
    line: u64,
}

impl Guess {
    /// Whether there is anything to compare with.
    #[inline]
    pub(super) fn is_none(self) -> bool {
        self.at.is_none()
    }

    /// The mark of the head that was sent last. It may not be kept whole.
    #[inline]
    pub(crate) fn mark(self) -> Option<HeadMark> {
        let (section, line) = (self.section, self.line);
        self.at.map(|_| HeadMark { section, line })
    }

    /// Whether the head that was sent last has this mark.
    #[inline]
    pub(super) fn is(self, mark: HeadMark) -> bool {
        self.at.is_some() && self.section == mark.section && self.line == mark.line
    }

    /// The head that was sent last, if it is kept whole.
    pub(crate) fn known(self) -> Option<KnownHead> {
        let at = usize::from(self.at?);
        let known = SLOTS.try_with(|slots| {
            let slots = slots.borrow();
            let section = slots[at].of(self.section)?;
            let whole = section.whole.as_ref()?;
            (whole.print == self.line).then(|| KnownHead {
                bytes: whole.bytes.clone(),
                mark: HeadMark {
                    section: section.print,
                    line: whole.print,
                },
                path: whole.path,
                fields: section.count(),
                head: whole.head,
            })
        });
        // A thread that is ending knows nothing.
        known.ok().flatten()
    }

    /// If `input` begins with the head whose fields the guess has, `request` becomes it. Returns its length, and what follows from it.
    #[inline]
    pub(super) fn recall_whole<B>(
        self,
        input: &[u8],
        limits: &Limits,
        request: &mut Request<B>,
    ) -> Option<(usize, ReceivedHead)> {
        let at = usize::from(self.at?);
        let recalled = SLOTS.try_with(|slots| {
            let slots = slots.borrow();
            let section = slots[at].of(self.section)?;
            let whole = section.whole.as_ref()?;
            let fits = whole.print == self.line
                && whole.bytes.len() <= limits.head_bytes
                && whole.path <= limits.uri_bytes
                && section.count() <= limits.fields;
            if !fits || !input.starts_with(&whole.bytes) {
                return None;
            }
            if *request.method() != whole.method {
                *request.method_mut() = whole.method.clone();
            }
            if !is_same_path(request.uri(), &whole.uri) {
                *request.uri_mut() = whole.uri.clone();
            }
            *request.version_mut() = Version::HTTP_11;
            section.fill(request.headers_mut());
            Some((whole.bytes.len(), whole.head))
        });
        // A thread that is ending knows nothing.
        recalled.ok().flatten()
    }

    /// If `rest` begins with the section of the guess, its fields are what is in `map`. Returns its length, and what is in it.
    pub(super) fn recall(
        self,
        rest: &[u8],
        bytes_max: usize,
        fields_max: usize,
        map: &mut HeaderMap,
    ) -> Option<(usize, Present)> {
        let at = usize::from(self.at?);
        let recalled = SLOTS.try_with(|slots| {
            let slots = slots.borrow();
            let section = slots[at].of(self.section)?;
            let fits = section.bytes.len() <= bytes_max && section.count() <= fields_max;
            if !fits || !rest.starts_with(&section.bytes) {
                return None;
            }
            section.fill(map);
            Some((section.bytes.len(), section.present))
        });
        // As above.
        recalled.ok().flatten()
    }

    /// A head of HTTP/1.1 was read whose fields were recalled, and that begins with `line`; `target` reads one of its own.
    pub(super) fn note_line<B>(
        &mut self,
        line: &[u8],
        request: &Request<B>,
        head: ReceivedHead,
        target: impl FnOnce(&Bytes, &[u8], &Method) -> Result<Uri, Error>,
    ) {
        let begin = request.method().as_str().len() + 1;
        let end = line.len().saturating_sub(LINE_END);
        let Some(at) = self.at.filter(|_| line.len() <= LINE_MAX && begin <= end) else {
            return;
        };
        let print = fingerprint(line);
        self.line = print;
        // As above.
        let _ = SLOTS.try_with(|slots| {
            let slot = &mut slots.borrow_mut()[usize::from(at)];
            let Some(section) = &mut slot.section else {
                return;
            };
            if section
                .whole
                .as_ref()
                .is_some_and(|known| known.print == print)
            {
                return;
            }
            if section.next != print {
                section.next = print;
                return;
            }
            let bytes = Bytes::from([line, &section.bytes].concat());
            let uri = target(&bytes, &bytes[begin..end], request.method());
            let kept = Kept::All;
            let head = ReceivedHead { kept, ..head };
            section.whole = uri.ok().map(|uri| Whole {
                print,
                path: end - begin,
                method: request.method().clone(),
                bytes,
                uri,
                head,
            });
        });
    }

    /// A head was read whose fields are `map`, views of `section`.
    pub(super) fn note(&mut self, section: &[u8], map: &HeaderMap, present: Present) {
        *self = Guess::default();
        if section.len() > BYTES_MAX {
            return;
        }
        let print = fingerprint(section);
        let at = (print >> 32) as usize % KEPT;
        let noted = SLOTS.try_with(|slots| {
            let slot = &mut slots.borrow_mut()[at];
            let known = slot.section.as_ref();
            if known.is_some_and(|known| known.print == print && known.bytes == section) {
                return true;
            }
            if slot.next != print {
                slot.next = print;
                return false;
            }
            slot.section = Some(Section::new(section, print, map, present));
            true
        });
        // As above.
        if noted.unwrap_or(false) {
            (self.at, self.section) = (Some(at as u8), print);
        }
    }
}

impl Slot {
    /// The section with this fingerprint, if that is the one that is here.
    fn of(&self, print: u64) -> Option<&Section> {
        self.section
            .as_ref()
            .filter(|section| section.print == print)
    }
}

impl Section {
    fn new(section: &[u8], print: u64, map: &HeaderMap, present: Present) -> Section {
        let bytes = Bytes::copy_from_slice(section);
        let first = section.as_ptr().addr();
        let fields = map.iter().map(|(name, value)| {
            let at = value.as_bytes().as_ptr().addr().wrapping_sub(first);
            let end = at.saturating_add(value.len());
            let own = match bytes.get(at..end) {
                Some(same) if same == value.as_bytes() && !same.is_empty() => bytes.slice(at..end),
                // What is empty is a view of nothing.
                _ => Bytes::copy_from_slice(value.as_bytes()),
            };
            let own = HeaderValue::from_maybe_shared(own).unwrap_or_else(|_| value.clone());
            (name.clone(), own)
        });
        let fields = if map.len() < MANY {
            Fields::Few(fields.collect())
        } else {
            Fields::Many(fields.collect())
        };
        Section {
            bytes,
            print,
            fields,
            present,
            whole: None,
            next: 0,
        }
    }

    fn count(&self) -> usize {
        match &self.fields {
            Fields::Few(fields) => fields.len(),
            Fields::Many(fields) => fields.len(),
        }
    }

    /// Makes `map` these fields. One that comes back from a request like this has them in it already, which a look at each tells.
    #[inline]
    fn fill(&self, map: &mut HeaderMap) {
        let is_there = map.len() == self.count()
            && match &self.fields {
                Fields::Few(own) => is_same(own.iter().map(|(name, value)| (name, value)), map),
                Fields::Many(own) => is_same(own.iter(), map),
            };
        if !is_there {
            self.fill_anew(map);
        }
    }

    #[inline(never)]
    fn fill_anew(&self, map: &mut HeaderMap) {
        match &self.fields {
            Fields::Few(fields) => {
                map.clear();
                for (name, value) in fields {
                    map.append(name.clone(), value.clone());
                }
            }
            Fields::Many(fields) => map.clone_from(fields),
        }
    }
}

/// Whether `map` has the fields that are `own`, with values that are views of the same memory: which does not change.
#[inline]
fn is_same<'a>(
    own: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>,
    map: &HeaderMap,
) -> bool {
    own.zip(map).all(|(own, other)| {
        own.0 == other.0
            && std::ptr::eq(own.1.as_bytes(), other.1.as_bytes())
            && !other.1.is_sensitive()
    })
}

/// Whether both are the same path, a view of the same memory, without a host. `false` where that takes a longer look.
#[inline]
fn is_same_path(one: &Uri, other: &Uri) -> bool {
    let (Some(one_path), Some(other_path)) = (one.path_and_query(), other.path_and_query()) else {
        return false;
    };
    std::ptr::eq(one_path.as_str(), other_path.as_str())
        && one.authority().is_none()
        && other.authority().is_none()
}

/// Sections that are alike have the same one, and others mostly have another.
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    const MIXER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |print: u64, word: u64| (print.rotate_left(5) ^ word).wrapping_mul(MIXER);
    let (words, rest) = bytes.as_chunks::<8>();
    let print = words.iter().fold(bytes.len() as u64, |print, word| {
        mix(print, u64::from_le_bytes(*word))
    });
    rest.iter()
        .fold(print, |print, byte| mix(print, u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, Guess, KEPT};
    use crate::{Kept, Limits, RequestDecoder};
    use bytes::BytesMut;
    use http::{HeaderMap, HeaderValue, Method, Request, Version};

    /// Sends heads through a decoder, and returns what came of each, as text.
    fn read(decoder: &mut RequestDecoder, head: &str) -> String {
        read_into(&mut Request::new(()), decoder, head)
    }

    /// The same with a request that has been used.
    fn read_into(request: &mut Request<()>, decoder: &mut RequestDecoder, head: &str) -> String {
        let mut input = BytesMut::from(head);
        match decoder.decode_head(&mut input, request) {
            Ok(Some(mut head)) => {
                assert!(input.is_empty());
                // It says where the same lies.
                head.kept = Kept::Nothing;
                format!("{request:?} {head:?}")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_request_that_comes_back_says_what_the_next_head_says() {
        let heads = [
            "GET / HTTP/1.1\r\nHost: back\r\nX-A: 1\r\n\r\n",
            "GET /?a HTTP/1.1\r\nHost: back\r\nX-A: 1\r\n\r\n",
            "PURGE http://back/ HTTP/1.1\r\nHost: back\r\nX-A: 1\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: back\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: back\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nA: 6\r\n\r\n",
        ];
        let sensitive = |value: &HeaderValue| {
            let mut value = value.clone();
            value.set_sensitive(true);
            value
        };
        type Tamper<'a> = &'a dyn Fn(&mut Request<()>);
        // What a handler may do to a request that it gives back.
        let tampers: [Tamper<'_>; 9] = [
            &|_| {},
            &|request| request.headers_mut().clear(),
            &|request| {
                let host = request.headers()["host"].clone();
                request.headers_mut().insert("host", sensitive(&host));
            },
            &|request| {
                let same = HeaderValue::from_static("back");
                request.headers_mut().insert("host", same);
            },
            &|request| {
                request.headers_mut().remove("host");
                let other = HeaderValue::from_static("1");
                request.headers_mut().append("x-more", other);
            },
            &|request| {
                let host = request.headers()["host"].clone();
                request.headers_mut().append("x-a", host);
            },
            &|request| *request.uri_mut() = "http://elsewhere/".parse().expect("a target"),
            &|request| *request.method_mut() = Method::DELETE,
            &|request| *request.version_mut() = Version::HTTP_3,
        ];
        for (first, second) in heads.iter().flat_map(|a| heads.map(|b| (*a, b))) {
            for tamper in &tampers {
                let (mut decoder, mut request) = (RequestDecoder::default(), Request::new(()));
                for head in [first, first, first, first, second, second, second, second] {
                    let fresh = read(&mut RequestDecoder::default(), head);
                    assert_eq!(read_into(&mut request, &mut decoder, head), fresh);
                    tamper(&mut request);
                }
            }
        }
    }

    fn guess(decoder: &RequestDecoder) -> bool {
        !decoder.guess().is_none()
    }

    #[test]
    fn what_comes_again_means_what_it_meant() {
        let fields =
            "Host: a\r\nX-One: 1\r\nAccept: */*\r\nX-One:\r\nX-ONE: 3\r\nConnection: close\r\n\r\n";
        for line in [
            "GET / HTTP/1.1\r\n",
            "HEAD /x?y HTTP/1.1\r\n",
            "OPTIONS * HTTP/1.1\r\n",
        ] {
            let mut decoder = RequestDecoder::default();
            let head = format!("{line}{fields}");
            let fresh = read(&mut decoder, &head);
            for _ in 0..5 {
                assert_eq!(read(&mut decoder, &head), fresh);
            }
            assert!(guess(&decoder));
        }
    }

    #[test]
    fn many_fields_come_again_in_their_order() {
        let fields: String = (0..20).map(|n| format!("X-{}: {n}\r\n", n % 15)).collect();
        let mut decoder = RequestDecoder::default();
        for path in ["/a", "/a", "/a", "/a", "/a", "/b", "/c", "/a"] {
            let head = format!("GET {path} HTTP/1.1\r\nHost: many\r\n{fields}\r\n");
            let fresh = read(&mut RequestDecoder::default(), &head);
            assert_eq!(read(&mut decoder, &head), fresh);
        }
        assert!(guess(&decoder));
    }

    #[test]
    fn what_is_refused_is_refused_again() {
        let good = "GET / HTTP/1.1\r\nHost: again\r\nX: 1\r\n\r\n";
        for bad in [
            "GET / HTTP/1.0\r\nHost: again\r\nX: 1\r\n\r\n",
            "GET /\u{7f} HTTP/1.1\r\nHost: again\r\nX: 1\r\n\r\n",
            "GET / HTTP/1.1\nHost: again\r\nX: 1\r\n\r\n",
            "GET / HTTP/2.1\r\nHost: again\r\nX: 1\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: again\r\nX: 1\r\n\r\n",
            "GET /#a HTTP/1.1\r\nHost: again\r\nX: 1\r\n\r\n",
            "CONNECT / HTTP/1.1\r\nHost: again\r\nX: 1\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: again\r\nX: 1\r\n\r\n",
            "GET / HTTP/1.1\r\n Host: again\r\nX: 1\r\n\r\n",
        ] {
            let fresh = read(&mut RequestDecoder::default(), bad);
            let mut decoder = RequestDecoder::default();
            for _ in 0..6 {
                read(&mut decoder, good);
            }
            assert!(guess(&decoder));
            assert_eq!(read(&mut decoder, bad), fresh, "{bad:?}");
        }
    }

    /// Its head is searched for its end, because it does not end what is here.
    #[test]
    fn a_head_with_a_body_behind_it_is_known_again() {
        let mut decoder = RequestDecoder::default();
        let mut request = Request::new(());
        let expected = [Kept::Nothing, Kept::Nothing, Kept::Fields, Kept::Fields];
        for (round, kept) in expected.into_iter().chain([Kept::All; 2]).enumerate() {
            let mut input = BytesMut::from(
                "POST /body HTTP/1.1\r\nHost: body\r\nContent-Length: 4\r\n\r\nbody",
            );
            let head = decoder.decode_head(&mut input, &mut request);
            let head = head.expect("a request").expect("a whole head");
            assert_eq!(head.kept, kept, "{round}");
            assert_eq!(head.framing, crate::Framing::Length(4));
            assert_eq!(
                (request.uri().path(), request.headers().len()),
                ("/body", 2)
            );
            let mut events = 0;
            while !input.is_empty() || events < 2 {
                decoder.decode(&mut input).expect("a body").expect("whole");
                events += 1;
            }
        }
    }

    #[test]
    fn limits_hold_for_what_comes_again() {
        let fields = "Host: limits\r\nA: 1\r\nB: 2\r\n\r\n";
        let head = |path: &str| format!("GET {path} HTTP/1.1\r\n{fields}");
        for _ in 0..2 {
            read(&mut RequestDecoder::default(), &head("/"));
        }
        let narrow = [
            Limits {
                fields: 2,
                ..Limits::default()
            },
            Limits {
                head_bytes: 45,
                ..Limits::default()
            },
            Limits {
                uri_bytes: 3,
                ..Limits::default()
            },
        ];
        for limits in narrow {
            let mut decoder = RequestDecoder::new(limits);
            // As if its client had sent it before, to a decoder that allowed more.
            decoder.guess_of(&{
                let mut other = RequestDecoder::default();
                read(&mut other, &head("/"));
                assert!(guess(&other));
                other
            });
            let long = head("/long");
            assert_eq!(
                read(&mut decoder, &long),
                read(&mut RequestDecoder::new(limits), &long)
            );
        }
    }

    #[test]
    fn what_came_once_is_not_kept_and_what_is_long_never() {
        let mut decoder = RequestDecoder::default();
        read(&mut decoder, "GET / HTTP/1.1\r\nHost: once\r\n\r\n");
        assert!(!guess(&decoder));
        let long = format!(
            "GET / HTTP/1.1\r\nHost: long\r\nX: {}\r\n\r\n",
            "x".repeat(BYTES_MAX)
        );
        for _ in 0..4 {
            read(&mut decoder, &long);
            assert!(!guess(&decoder));
        }
    }

    /// Others come into a place, and whoever guesses it compares.
    #[test]
    fn a_guess_that_is_wrong_is_seen() {
        let head = |host: usize| format!("GET / HTTP/1.1\r\nHost: h{host}\r\nB: 1\r\n\r\n");
        let mut decoders = vec![RequestDecoder::default(); 8 * KEPT];
        for _ in 0..3 {
            for (host, decoder) in decoders.iter_mut().enumerate() {
                for _ in 0..3 {
                    let expected = read(&mut RequestDecoder::default(), &head(host));
                    assert_eq!(read(decoder, &head(host)), expected);
                    assert!(expected.contains(&format!("\"h{host}\"")), "{expected}");
                }
            }
        }
    }

    #[test]
    fn a_client_is_compared_with_what_it_sent_itself() {
        let fields = "Host: itself\r\nAccept: a\r\n\r\n";
        let head = |path: &str| format!("GET {path} HTTP/1.1\r\n{fields}");
        let whole = |decoder: &RequestDecoder, head: &str| {
            let mut request = Request::new(());
            let guess = decoder.guess();
            let recalled = guess.recall_whole(head.as_bytes(), &Limits::default(), &mut request);
            recalled.is_some()
        };
        let mut first = RequestDecoder::default();
        for _ in 0..5 {
            read(&mut first, &head("/secret"));
        }
        let mut other = RequestDecoder::default();
        for _ in 0..2 {
            read(&mut other, &head("/open"));
        }
        assert!(guess(&other));
        assert!(whole(&first, &head("/secret")));
        assert!(!whole(&other, &head("/secret")));
    }

    #[test]
    fn a_section_that_has_not_come_whole_is_none() {
        let mut map = HeaderMap::new();
        let fields = "Host: part\r\n\r\n";
        let mut decoder = RequestDecoder::default();
        for _ in 0..3 {
            read(&mut decoder, &format!("GET / HTTP/1.1\r\n{fields}"));
        }
        let guess: Guess = decoder.guess();
        for len in 0..fields.len() {
            assert!(
                guess
                    .recall(&fields.as_bytes()[..len], 100, 9, &mut map)
                    .is_none()
            );
        }
        assert!(guess.recall(fields.as_bytes(), 100, 9, &mut map).is_some());
        assert_eq!(map.len(), 1);
    }
}
