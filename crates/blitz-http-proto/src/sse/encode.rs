//! Events on their way out.

use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;
use std::time::Duration;

/// An event, or a comment, as it goes over the wire.
///
/// What would break the stream is refused when it is set, not when it is sent: a name or an id with a line's end in it.
/// Data may have as many lines as it likes.
///
/// ```
/// use blitz_http_proto::sse::Event;
///
/// let event = Event::new().id("7")?.event("news")?.data("two\nlines");
/// assert_eq!(event.encode(), "id: 7\nevent: news\ndata: two\ndata: lines\n\n");
/// assert!(Event::new().id("7\ndata: forged").is_err());
/// # Ok::<(), blitz_http_proto::sse::InvalidField>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    text: BytesMut,
}

/// A name or an id that has a line's end in it, or an id that has a NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidField(());

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event's name and id are single lines, and an id has no NUL")
    }
}

impl std::error::Error for InvalidField {}

impl Event {
    /// An event without anything yet. Without data a client ignores it, but for its id and its retry time.
    pub fn new() -> Event {
        Event::default()
    }

    /// Adds data, line by line; a second call adds further lines.
    #[must_use]
    pub fn data(mut self, data: impl AsRef<str>) -> Event {
        for line in lines(data.as_ref()) {
            self.field("data", line);
        }
        self
    }

    /// Names the kind of event that clients listen for; `message` without one.
    ///
    /// # Errors
    /// When `name` has more than one line.
    pub fn event(mut self, name: impl AsRef<str>) -> Result<Event, InvalidField> {
        self.field("event", single(name.as_ref())?);
        Ok(self)
    }

    /// Sets what a client that comes back says in `Last-Event-ID`.
    ///
    /// # Errors
    /// When `id` has more than one line, or a NUL, which clients ignore.
    pub fn id(mut self, id: impl AsRef<str>) -> Result<Event, InvalidField> {
        let id = single(id.as_ref())?;
        if id.contains('\0') {
            return Err(InvalidField(()));
        }
        self.field("id", id);
        Ok(self)
    }

    /// Tells the client how long to wait before it connects again; in milliseconds on the wire.
    #[must_use]
    pub fn retry(mut self, wait: Duration) -> Event {
        self.field("retry", &wait.as_millis().to_string());
        self
    }

    /// Adds a comment, which clients ignore: it keeps a connection alive.
    #[must_use]
    pub fn comment(mut self, text: impl AsRef<str>) -> Event {
        for line in lines(text.as_ref()) {
            self.field("", line);
        }
        self
    }

    /// The bytes to send, with the empty line that ends the event.
    pub fn encode(mut self) -> Bytes {
        self.text.put_u8(b'\n');
        self.text.freeze()
    }

    fn field(&mut self, name: &str, value: &str) {
        self.text.reserve(name.len() + value.len() + 4);
        self.text.put_slice(name.as_bytes());
        self.text.put_slice(b": ");
        self.text.put_slice(value.as_bytes());
        self.text.put_u8(b'\n');
    }
}

fn single(text: &str) -> Result<&str, InvalidField> {
    if text.contains(['\r', '\n']) {
        Err(InvalidField(()))
    } else {
        Ok(text)
    }
}

/// The lines as a client will see them: CR LF, CR and LF each end one.
fn lines(mut text: &str) -> impl Iterator<Item = &str> {
    let mut more = true;
    std::iter::from_fn(move || {
        if !more {
            return None;
        }
        let Some(end) = text.find(['\r', '\n']) else {
            more = false;
            return Some(text);
        };
        let line = &text[..end];
        let end = end
            + if text[end..].starts_with("\r\n") {
                2
            } else {
                1
            };
        text = &text[end..];
        Some(line)
    })
}
