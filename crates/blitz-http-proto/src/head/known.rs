//! A head that its client sends again and again, in the hands of who serves it.

use super::again::Guess;
use super::received::ReceivedHead;
use crate::Limits;
use bytes::Bytes;

/// A head that a client has sent several times, from its first byte to its last, and what follows from it.
///
/// Who has made something of it, a request that nobody changes say, need not make it again while the same bytes come:
/// [`RequestDecoder::decode_known`](crate::RequestDecoder::decode_known). A clone shares its memory.
#[derive(Clone, Debug)]
pub struct KnownHead {
    pub(super) bytes: Bytes,
    /// Of its fields, and of its first line.
    pub(super) mark: HeadMark,
    pub(super) path: usize,
    pub(super) fields: usize,
    pub(super) head: ReceivedHead,
}

/// Which head a client sent last, if it was known: heads that are alike have the same mark, and others mostly have another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadMark {
    pub(super) section: u64,
    pub(super) line: u64,
}

impl KnownHead {
    /// What follows from it.
    pub fn head(&self) -> ReceivedHead {
        self.head
    }

    /// Its mark.
    pub fn mark(&self) -> HeadMark {
        self.mark
    }

    /// Its length, if `input` begins with it, its client sent it last, and it is within `limits`.
    ///
    /// What a client did not send itself is not compared with what it sends: how long that takes would tell it of others.
    #[inline]
    pub(crate) fn begins(&self, input: &[u8], limits: &Limits, guess: Guess) -> Option<usize> {
        let fits = guess.is(self.mark)
            && self.bytes.len() <= limits.head_bytes
            && self.path <= limits.uri_bytes
            && self.fields <= limits.fields;
        (fits && input.starts_with(&self.bytes)).then_some(self.bytes.len())
    }
}

impl HeadMark {
    /// A number below `places`, the same for heads that are alike.
    ///
    /// # Panics
    /// Where `places` is 0.
    #[inline]
    pub fn place(&self, places: usize) -> usize {
        (self.section ^ self.line) as usize % places
    }
}

#[cfg(test)]
mod tests {
    use crate::{KnownHead, Limits, RequestDecoder};
    use bytes::BytesMut;
    use http::Request;

    const HEAD: &str = "GET /known HTTP/1.1\r\nHost: known\r\nA: 1\r\n\r\n";

    /// Sends a head until it is known.
    fn known(decoder: &mut RequestDecoder, head: &str) -> Option<KnownHead> {
        let mut request = Request::new(());
        (0..8).find_map(|_| {
            let head = decoder.decode_head(&mut BytesMut::from(head), &mut request);
            head.expect("a request").expect("a whole head");
            decoder.known()
        })
    }

    #[test]
    fn it_is_taken_off_where_it_comes_whole_and_as_it_was() {
        let mut decoder = RequestDecoder::default();
        let known = known(&mut decoder, HEAD).expect("it is known");
        let mut input = BytesMut::from(HEAD.repeat(2).as_str());
        input.extend_from_slice(b"GET");
        let looked_at = decoder.looked_at();
        assert!(decoder.decode_known(&mut input, &known));
        assert!(decoder.decode_known(&mut input, &known));
        assert_eq!(input, "GET");
        assert_eq!(decoder.looked_at(), looked_at + 2 * HEAD.len() as u64);
        for other in [
            &HEAD[..HEAD.len() - 1],
            "",
            "\r\n",
            "GET /knowm HTTP/1.1\r\nHost: known\r\nA: 1\r\n\r\n",
            "GET /known HTTP/1.1\r\nHost: known\r\nA: 1\r\nB: 2\r\n\r\n",
            "GET /known HTTP/1.0\r\nHost: known\r\nA: 1\r\n\r\n",
        ] {
            let mut input = BytesMut::from(other);
            assert!(!decoder.decode_known(&mut input, &known), "{other}");
            assert_eq!(input, other);
        }
    }

    #[test]
    fn it_is_a_whole_request() {
        for more in [
            "Content-Length: 3\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Connection: upgrade\r\nUpgrade: x\r\n",
        ] {
            let head = format!("POST /more HTTP/1.1\r\nHost: more\r\n{more}\r\n");
            let mut decoder = RequestDecoder::default();
            let mut request = Request::new(());
            for _ in 0..6 {
                let read = decoder.decode_head(&mut BytesMut::from(head.as_str()), &mut request);
                read.expect("a request").expect("a whole head");
                assert!(decoder.known().is_none(), "{more}");
                // Its body is not taken here.
                let mut again = RequestDecoder::default();
                again.guess_of(&decoder);
                decoder = again;
            }
        }
    }

    #[test]
    fn limits_hold_and_other_clients_are_not_compared() {
        let mut decoder = RequestDecoder::default();
        let known = known(&mut decoder, HEAD).expect("it is known");
        let narrow = [
            Limits {
                fields: 1,
                ..Limits::default()
            },
            Limits {
                head_bytes: HEAD.len() - 1,
                ..Limits::default()
            },
            Limits {
                uri_bytes: 5,
                ..Limits::default()
            },
        ];
        for limits in narrow {
            let mut other = RequestDecoder::new(limits);
            other.guess_of(&decoder);
            assert!(!other.decode_known(&mut BytesMut::from(HEAD), &known));
        }
        let mut other = RequestDecoder::default();
        assert!(!other.decode_known(&mut BytesMut::from(HEAD), &known));
        other.guess_of(&decoder);
        assert!(other.decode_known(&mut BytesMut::from(HEAD), &known));
    }

    /// What stands before a head, what is behind it, and what is no HTTP any more is for others to read.
    #[test]
    fn it_is_taken_off_between_two_requests_only() {
        let mut decoder = RequestDecoder::default();
        let known = known(&mut decoder, HEAD).expect("it is known");
        let mut request = Request::new(());
        let (begun, rest) = HEAD.split_at(9);
        let mut input = BytesMut::from(begun);
        let head = decoder.decode_head(&mut input, &mut request);
        assert!(head.expect("no error").is_none());
        input.extend_from_slice(rest.as_bytes());
        assert!(!decoder.decode_known(&mut input, &known));
        let head = decoder.decode_head(&mut input, &mut request);
        assert!(head.expect("no error").is_some());
        decoder.pause();
        assert!(!decoder.decode_known(&mut BytesMut::from(HEAD), &known));
        decoder.resume();
        let mut body = BytesMut::from("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n");
        let mut other = decoder.clone();
        let head = other.decode_head(&mut body, &mut request);
        assert!(head.expect("no error").is_some());
        other.guess_of(&decoder);
        assert!(!other.decode_known(&mut BytesMut::from(HEAD), &known));
        let mut bad = BytesMut::from("\0");
        assert!(decoder.decode_head(&mut bad, &mut request).is_err());
        assert!(!decoder.decode_known(&mut BytesMut::from(HEAD), &known));
    }
}
