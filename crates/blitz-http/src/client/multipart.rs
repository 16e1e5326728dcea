//! Forms with files in them: `multipart/form-data` (RFC 7578), written as browsers do.

use crate::{Body, BoxError};
use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use http_body::{Body as _, Frame, SizeHint};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A form of several parts, each a text or a file.
///
/// ```
/// use blitz_http::client::{Multipart, Part};
///
/// let form = Multipart::new()
///     .text("name", "Ada")
///     .part("photo", Part::bytes(&b"not really"[..]).file_name("me.png").content_type("image/png"));
/// # drop(form);
/// ```
#[derive(Debug)]
pub struct Multipart {
    boundary: String,
    parts: VecDeque<(Bytes, Body)>,
}

/// What stands in one part of a form.
#[derive(Debug)]
pub struct Part {
    body: Body,
    file_name: Option<String>,
    content_type: Option<String>,
}

impl Part {
    /// A text.
    pub fn text(text: impl Into<String>) -> Part {
        Part::body(Body::full(text.into()))
    }

    /// Bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Part {
        Part::body(Body::full(bytes))
    }

    /// Anything; if its length is not known the form goes in chunks.
    pub fn body(body: Body) -> Part {
        Part {
            body,
            file_name: None,
            content_type: None,
        }
    }

    /// The name of the file that it is.
    pub fn file_name(mut self, name: impl Into<String>) -> Part {
        self.file_name = Some(name.into());
        self
    }

    /// What it is of. What cannot stand in a field is left out of it.
    pub fn content_type(mut self, mime: impl Into<String>) -> Part {
        self.content_type = Some(mime.into());
        self
    }
}

impl Multipart {
    /// A form without parts.
    pub fn new() -> Multipart {
        let random = || fastrand::u64(..);
        Multipart {
            boundary: format!("blitz-{:016x}{:016x}", random(), random()),
            parts: VecDeque::new(),
        }
    }

    /// Adds a text.
    pub fn text(self, name: &str, text: impl Into<String>) -> Multipart {
        self.part(name, Part::text(text))
    }

    /// Adds a part.
    pub fn part(mut self, name: &str, part: Part) -> Multipart {
        let mut head = String::new();
        head.push_str(if self.parts.is_empty() {
            "--"
        } else {
            "\r\n--"
        });
        head.push_str(&self.boundary);
        head.push_str("\r\nContent-Disposition: form-data; name=\"");
        escape(name, &mut head);
        head.push('"');
        if let Some(name) = &part.file_name {
            head.push_str("; filename=\"");
            escape(name, &mut head);
            head.push('"');
        }
        head.push_str("\r\n");
        if let Some(mime) = part.content_type {
            head.push_str("Content-Type: ");
            head.extend(mime.chars().filter(|c| !c.is_control()));
            head.push_str("\r\n");
        } else if part.file_name.is_some() {
            head.push_str("Content-Type: application/octet-stream\r\n");
        }
        head.push_str("\r\n");
        self.parts.push_back((Bytes::from(head), part.body));
        self
    }

    pub(super) fn content_type(&self) -> HeaderValue {
        let value = format!("multipart/form-data; boundary={}", self.boundary);
        HeaderValue::try_from(value).expect("a boundary is ASCII")
    }

    pub(super) fn into_body(mut self) -> Body {
        let start = if self.parts.is_empty() {
            "--"
        } else {
            "\r\n--"
        };
        let end = Bytes::from(format!("{start}{}--\r\n", self.boundary));
        self.parts.push_back((end, Body::empty()));
        if self
            .parts
            .iter()
            .all(|(_, body)| body.try_clone().is_some())
        {
            return self.joined();
        }
        Body::new(Streamed(self.parts))
    }

    /// In one piece, so that it can be sent again.
    fn joined(self) -> Body {
        let mut all = BytesMut::new();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        for (head, mut body) in self.parts {
            all.extend_from_slice(&head);
            while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut cx) {
                all.extend(frame.into_data());
            }
        }
        Body::full(all.freeze())
    }
}

impl Default for Multipart {
    fn default() -> Self {
        Multipart::new()
    }
}

/// As the standard of HTML has it: these three, and nothing else.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("%22"),
            '\r' => out.push_str("%0D"),
            '\n' => out.push_str("%0A"),
            c => out.push(c),
        }
    }
}

/// Parts, one after the other.
struct Streamed(VecDeque<(Bytes, Body)>);

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while let Some((head, body)) = self.0.front_mut() {
            if !head.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(head)))));
            }
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_data() => return Poll::Ready(Some(Ok(frame))),
                // Trailers of a part have no place in a form.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => drop(self.0.pop_front()),
            }
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        let lengths = self.0.iter().map(|(head, body)| {
            let body = body.size_hint().exact()?;
            body.checked_add(head.len() as u64)
        });
        let all = lengths.sum::<Option<u64>>();
        all.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::{Multipart, Part};
    use crate::Body;
    use http_body::Body as _;

    fn collect(body: Body) -> String {
        let runtime = blitz_io::runtime::Builder::new_current_thread().build();
        let bytes = runtime.expect("a runtime").block_on(body.collect());
        String::from_utf8(bytes.expect("all of it").to_vec()).expect("text")
    }

    fn form(streamed: bool) -> (String, Multipart) {
        let photo = if streamed {
            Part::body(Body::new(Body::full("data")))
        } else {
            Part::bytes("data")
        };
        let form = Multipart::new()
            .text("a \"quoted\"\r\nname", "value")
            .part(
                "file",
                photo
                    .file_name("x\n.png")
                    .content_type("image/png\r\nEvil: 1"),
            )
            .part("other", Part::bytes("1").file_name("o"));
        (form.boundary.clone(), form)
    }

    #[test]
    fn parts_are_written_and_cannot_break_out() {
        for streamed in [false, true] {
            let (boundary, form) = form(streamed);
            let body = form.into_body();
            assert_eq!(body.try_clone().is_some(), !streamed);
            let length = body.size_hint().exact().expect("a length");
            let text = collect(body);
            assert_eq!(text.len() as u64, length);
            assert_eq!(
                text.replace(&boundary, "B"),
                "--B\r\nContent-Disposition: form-data; name=\"a %22quoted%22%0D%0Aname\"\r\n\r\nvalue\
                 \r\n--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x%0A.png\"\r\n\
                 Content-Type: image/pngEvil: 1\r\n\r\ndata\
                 \r\n--B\r\nContent-Disposition: form-data; name=\"other\"; filename=\"o\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n1\r\n--B--\r\n"
            );
        }
        assert!(collect(Multipart::new().into_body()).starts_with("--blitz-"));
    }
}
