//! A response's head, known again.
//!
//! What a server says before its answers is the same from answer to answer, except for the date, which changes once a second. To see that takes
//! one comparison; to read it again takes a search, a look at each character and one at each name. So a decoder keeps the last head that came
//! twice, with what was made of it.
//!
//! What is the same to the last byte, and answers what the same follows from, means the same: nothing is accepted by this that would be refused
//! without it. It is compared with what the same connection said before, and with nothing else.

use super::again::fingerprint;
use super::framing::Asked;
use super::response::ReceivedResponse;
use crate::Limits;
use bytes::Bytes;

/// Longer ones are not kept: a connection that waits should own little.
const BYTES_MAX: usize = 1024;

/// The last head of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repeated {
    /// The last one's fingerprint, if it is not `known`. What comes twice is worth its memory.
    next: u64,
    known: Option<Box<Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    /// Goes on to the empty line.
    bytes: Bytes,
    asked: Asked,
    /// The values are views of `bytes`.
    response: ReceivedResponse,
}

impl Repeated {
    /// If `input` begins with the head that is known, its length and what it says.
    #[inline]
    pub(crate) fn recall(
        &self,
        input: &[u8],
        limits: &Limits,
        asked: Asked,
    ) -> Option<(usize, ReceivedResponse)> {
        let known = self.known.as_ref()?;
        let fits = known.asked == asked
            && known.bytes.len() <= limits.head_bytes
            && known.response.headers.len() <= limits.fields;
        if !fits || !input.starts_with(&known.bytes) {
            return None;
        }
        Some((known.bytes.len(), known.response.clone()))
    }

    /// `head` was read, which has memory of its own, and says `response`.
    pub(crate) fn note(&mut self, head: &Bytes, asked: Asked, response: &ReceivedResponse) {
        if head.len() > BYTES_MAX {
            return;
        }
        let print = fingerprint(head);
        if self.next != print {
            self.next = print;
            return;
        }
        self.known = Some(Box::new(Known {
            bytes: head.clone(),
            asked,
            response: response.clone(),
        }));
    }
}

#[cfg(test)]
impl Repeated {
    pub(crate) fn knows_a_head(&self) -> bool {
        self.known.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::BYTES_MAX;
    use crate::{Limits, ResponseDecoder};
    use bytes::BytesMut;
    use http::Method;

    /// What comes of a response to `method`, as text.
    fn read(decoder: &mut ResponseDecoder, method: &Method, response: &str) -> String {
        let mut input = BytesMut::from(response);
        decoder.asked(method);
        let mut said = String::new();
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(event)) => {
                    said += &format!("{event:?}\n");
                    if said.ends_with("End\n") || said.ends_with("Tunnel\n") {
                        return said;
                    }
                }
                other => return said + &format!("{other:?}"),
            }
        }
    }

    fn fresh(limits: Limits, method: &Method, response: &str) -> String {
        read(&mut ResponseDecoder::new(limits), method, response)
    }

    const HELLO: &str = "HTTP/1.1 200 OK\r\nServer: s\r\nX-A: 1\r\nContent-Length: 5\r\nX-A:\r\nX-a: 2\r\n\r\nhello";

    #[test]
    fn what_comes_again_means_what_it_meant() {
        let chunked =
            "HTTP/1.1 203 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n";
        let empty = "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: \"a\"\r\n\r\n";
        for response in [HELLO, chunked, empty] {
            let mut decoder = ResponseDecoder::default();
            for round in 0..5 {
                let said = read(&mut decoder, &Method::GET, response);
                assert_eq!(said, fresh(Limits::default(), &Method::GET, response));
                assert_eq!(decoder.knows_a_head(), round > 0, "{response}");
            }
        }
    }

    #[test]
    fn the_same_head_answers_another_question_otherwise() {
        let head = HELLO.strip_suffix("hello").expect("a body");
        let mut decoder = ResponseDecoder::default();
        for (method, response) in [
            (Method::GET, HELLO),
            (Method::GET, HELLO),
            (Method::HEAD, head),
            (Method::GET, HELLO),
            (Method::HEAD, head),
            (Method::HEAD, head),
            (Method::HEAD, head),
            (Method::POST, HELLO),
            (Method::CONNECT, head),
        ] {
            let expected = fresh(Limits::default(), &method, response);
            assert_eq!(read(&mut decoder, &method, response), expected, "{method}");
        }
    }

    #[test]
    fn one_that_only_begins_alike_is_read() {
        let mut decoder = ResponseDecoder::default();
        for response in [
            HELLO,
            HELLO,
            "HTTP/1.1 200 OK\r\nServer: s\r\nX-A: 1\r\nContent-Length: 2\r\nX-A:\r\nX-a: 2\r\n\r\nhe",
            "HTTP/1.0 200 OK\r\nServer: s\r\nX-A: 1\r\nContent-Length: 5\r\nX-A:\r\nX-a: 2\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nServer: s\r\nX-A: 1\r\nContent-Length: 5\r\nX-A:\r\nX-a: 2\r\nY: 1\r\n\r\nhello",
            HELLO,
            "HTTP/1.1 200 OK\r\nServer: s\r\nX-A: 1\r\nContent-Length: 5\r\nX-A:\r\nX-a: 2\r\n\n",
        ] {
            let expected = fresh(Limits::default(), &Method::GET, response);
            assert_eq!(read(&mut decoder, &Method::GET, response), expected);
        }
    }

    #[test]
    fn limits_hold_for_what_comes_again() {
        let narrow = [
            Limits {
                fields: 4,
                ..Limits::default()
            },
            Limits {
                head_bytes: 40,
                ..Limits::default()
            },
            Limits {
                body_bytes: 4,
                ..Limits::default()
            },
        ];
        for limits in narrow {
            let mut decoder = ResponseDecoder::default();
            for _ in 0..3 {
                read(&mut decoder, &Method::GET, HELLO);
            }
            assert!(decoder.knows_a_head());
            decoder.set_limits(limits);
            let expected = fresh(limits, &Method::GET, HELLO);
            assert!(expected.contains("Err"), "{expected}");
            assert_eq!(read(&mut decoder, &Method::GET, HELLO), expected);
        }
    }

    #[test]
    fn what_comes_once_is_not_kept_and_what_is_long_never() {
        let mut decoder = ResponseDecoder::default();
        let long = "x".repeat(BYTES_MAX);
        for n in 0..4 {
            for field in [n.to_string().as_str(), long.as_str()] {
                let response = format!("HTTP/1.1 204 No\r\nX: {field}\r\n\r\n");
                read(&mut decoder, &Method::GET, &response);
                assert!(!decoder.knows_a_head());
            }
        }
    }
}
