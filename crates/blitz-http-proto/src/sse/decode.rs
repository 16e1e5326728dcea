//! Events on their way in, as a browser reads them.

use std::fmt;
use std::time::Duration;

/// An event that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The kind; `message` where the server named none.
    pub event: String,
    /// The data, its lines joined by LF.
    pub data: String,
    /// The last id that the server gave, with this event or before.
    pub id: String,
}

/// Reads a stream of events from pieces of any size.
///
/// ```
/// use blitz_http_proto::sse::Decoder;
///
/// let mut decoder = Decoder::new(64 * 1024);
/// let mut events = Vec::new();
/// for piece in [&b"id: 1\nda"[..], b"ta: a\r\n", b"\r\n: nothing\n\n"] {
///     decoder.decode(piece, |event| events.push(event))?;
/// }
/// assert_eq!(events.len(), 1);
/// assert_eq!((events[0].data.as_str(), events[0].id.as_str()), ("a", "1"));
///
/// assert!(Decoder::new(4).decode(b"data: too long", |_| ()).is_err());
/// # Ok::<(), blitz_http_proto::sse::TooLarge>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    size_max: usize,
    line: Vec<u8>,
    /// A CR ended the last line; an LF right behind it belongs to it.
    after_cr: bool,
    begun: bool,
    event: String,
    data: String,
    id: String,
    /// The id of the last event that was whole.
    committed: String,
    retry: Option<Duration>,
}

/// An event that is larger than the decoder takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge(());

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("event is too large")
    }
}

impl std::error::Error for TooLarge {}

impl Decoder {
    /// A decoder that keeps at most `size_max` bytes of one event.
    pub fn new(size_max: usize) -> Decoder {
        Decoder {
            size_max,
            line: Vec::new(),
            after_cr: false,
            begun: false,
            event: String::new(),
            data: String::new(),
            id: String::new(),
            committed: String::new(),
            retry: None,
        }
    }

    /// Reads the next piece, and hands each event that it completes to `take`.
    ///
    /// An event whose empty line has not come is no event: a stream that ends within one loses it, as it should.
    ///
    /// # Errors
    /// When an event is larger than the decoder takes. The stream is of no use after that.
    pub fn decode(&mut self, piece: &[u8], mut take: impl FnMut(Received)) -> Result<(), TooLarge> {
        let mut rest = piece;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = memchr::memchr2(b'\r', b'\n', rest) {
            self.keep(&rest[..end])?;
            let cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            if cr {
                match rest.strip_prefix(b"\n") {
                    Some(behind) => rest = behind,
                    None => self.after_cr = rest.is_empty(),
                }
            }
            let line = std::mem::take(&mut self.line);
            self.line(&line, &mut take);
            self.line = line;
            self.line.clear();
        }
        self.keep(rest)
    }

    /// The id of the last event that was whole: what to send as `Last-Event-ID` when connecting again. That of an event that was cut
    /// off does not count: it has to come again.
    pub fn last_event_id(&self) -> &str {
        &self.committed
    }

    /// The stream has ended and another follows, of the same events: what was not whole is forgotten, the last id is not.
    pub fn restart(&mut self) {
        self.line.clear();
        self.event.clear();
        self.data.clear();
        (self.after_cr, self.begun) = (false, false);
        self.id.clone_from(&self.committed);
    }

    /// How long the server asks to wait before connecting again, if it does.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        let kept = self.line.len() + self.data.len() + self.event.len();
        if kept.saturating_add(bytes.len()) > self.size_max {
            return Err(TooLarge(()));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn line(&mut self, line: &[u8], take: &mut impl FnMut(Received)) {
        let mut line = line;
        if !self.begun {
            self.begun = true;
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch(take);
        }
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        let value = String::from_utf8_lossy(value);
        match name {
            b"event" => self.event = value.into_owned(),
            b"data" => {
                self.data.push_str(&value);
                self.data.push('\n');
            }
            b"id" if !value.contains('\0') => self.id = value.into_owned(),
            b"retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                // A number that is too large for u64 is no time to wait.
                if let Ok(ms) = value.parse() {
                    self.retry = Some(Duration::from_millis(ms));
                }
            }
            // A comment, or a field of the future.
            _ => {}
        }
    }

    fn dispatch(&mut self, take: &mut impl FnMut(Received)) {
        let event = std::mem::take(&mut self.event);
        if self.committed != self.id {
            self.committed.clone_from(&self.id);
        }
        if self.data.is_empty() {
            return;
        }
        let mut data = std::mem::take(&mut self.data);
        data.pop();
        take(Received {
            event: if event.is_empty() {
                "message".to_owned()
            } else {
                event
            },
            data,
            id: self.id.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::Decoder;

    #[test]
    fn an_event_that_is_cut_off_comes_again() {
        let mut decoder = Decoder::new(1024);
        let mut data = Vec::new();
        let cut = b"id: 1\ndata: a\n\nid: 2\ndata: lost\n";
        decoder
            .decode(cut, |event| data.push(event.data))
            .expect("small");
        assert_eq!(decoder.last_event_id(), "1");
        decoder.restart();
        let next = b"data: b\n\nid: 3\n\n";
        decoder
            .decode(next, |event| data.push(event.id + &event.data))
            .expect("small");
        assert_eq!(data, ["a", "1b"]);
        assert_eq!(decoder.last_event_id(), "3", "an event without data counts");
    }
}
