//! Bodies: those that come, and those that handlers give.

use crate::file_body::{FileBody, Part, Watch};
use crate::incoming::Incoming;
use crate::{BoxError, Error};
use blitz_http_proto::Kept;
use blitz_io::fs::File;
use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A request's or a response's body.
///
/// A request's is read as it comes, and no faster than it is read. A response's is nothing, bytes that are there, or any other
/// [`http_body::Body`].
#[derive(Default)]
pub struct Body {
    kind: Kind,
}

/// Two kinds, so that it is as large as the bytes: requests and responses go from hand to hand, and each move is a copy.
enum Kind {
    Full(Bytes),
    Other(Other),
}

enum Other {
    /// Nothing. Of a request: what of its head lies in memory of its own.
    Empty(Kept),
    Incoming(Incoming),
    File(Box<FileBody>),
    Boxed(Pin<Box<dyn http_body::Body<Data = Bytes, Error = Error> + Send>>),
    Watched(Box<Watched>),
}

/// A body that tells of its end.
struct Watched {
    body: Body,
    watch: Box<Watch>,
}

impl Default for Kind {
    fn default() -> Kind {
        Kind::Other(Other::Empty(Kept::Nothing))
    }
}

impl Body {
    const fn of(other: Other) -> Body {
        let kind = Kind::Other(other);
        Body { kind }
    }

    /// Nothing.
    pub const fn empty() -> Body {
        Body::none(Kept::Nothing)
    }

    /// Nothing, of a request of whose head so much lies in memory of its own.
    #[inline]
    pub(crate) const fn none(kept: Kept) -> Body {
        Body::of(Other::Empty(kept))
    }

    /// What of the head of its request lies in memory of its own. `None` if this is something.
    #[inline]
    pub(crate) fn kept(&self) -> Option<Kept> {
        match self.kind {
            Kind::Other(Other::Empty(kept)) => Some(kept),
            _ => None,
        }
    }

    /// Bytes that are there. Those that are shared or static are sent without a copy where they are many.
    pub fn full(bytes: impl Into<Bytes>) -> Body {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Body::empty()
        } else {
            let kind = Kind::Full(bytes);
            Body { kind }
        }
    }

    /// Any other body. Its data is taken as it is where it is `Bytes`.
    pub fn new<B>(body: B) -> Body
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Body::of(Other::Boxed(Box::pin(Foreign { body })))
    }

    /// `len` bytes of a file, from `offset` on.
    ///
    /// On a plain TCP connection the kernel sends them from the file to the socket, past this program's memory; elsewhere they are read in
    /// pieces of at most 64 KiB, as fast as the client takes them. Where the file has become shorter meanwhile, the connection ends before
    /// the message does, and so says that it is not whole.
    ///
    /// ```
    /// use blitz_http::Body;
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// # let path = std::env::temp_dir().join(format!("blitz-body-file-{}", std::process::id()));
    /// std::fs::write(&path, "0123456789")?;
    /// let file = blitz_io::fs::File::open(&path).await?;
    /// # std::fs::remove_file(&path)?;
    /// assert_eq!(Body::file(file, 3, 4).collect().await.unwrap(), "3456");
    /// # Ok(())
    /// # }
    /// ```
    pub fn file(file: impl Into<Arc<File>>, offset: u64, len: u64) -> Body {
        Body::parts(FileBody::new(file.into(), [Part::Range { offset, len }]))
    }

    pub(crate) fn parts(file: FileBody) -> Body {
        Body::of(Other::File(Box::new(file)))
    }

    /// Whether it is nothing but bytes that are there, or nothing, and nobody watches.
    #[inline]
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.kind, Kind::Full(_) | Kind::Other(Other::Empty(_)))
    }

    /// Its bytes, if it is nothing but bytes that are there and nobody watches.
    #[inline]
    pub(crate) fn whole(&self) -> Option<&Bytes> {
        match &self.kind {
            Kind::Full(bytes) => Some(bytes),
            Kind::Other(_) => None,
        }
    }

    /// Its bytes, if it is nothing but bytes that are there, or nothing, and nobody watches; it is empty then.
    #[inline]
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        match &mut self.kind {
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                // It was taken out: there is nothing to be freed.
                std::mem::forget(std::mem::take(&mut self.kind));
                Some(bytes)
            }
            Kind::Other(Other::Empty(_)) => Some(Bytes::new()),
            Kind::Other(_) => None,
        }
    }

    /// Calls `end` when the body is over, sent or given up, with the number of its bytes that were handed to the connection.
    #[must_use]
    pub fn watched(self, end: impl FnOnce(u64) + Send + 'static) -> Body {
        let watch = Box::new(Watch::new(end));
        Body::of(Other::Watched(Box::new(Watched { body: self, watch })))
    }

    /// The parts of a file that this body is, and who watches it; the body is empty then.
    pub(crate) fn take_file(&mut self) -> Option<(Box<FileBody>, Option<Box<Watch>>)> {
        let is_file = match &self.kind {
            Kind::Other(Other::File(_)) => true,
            Kind::Other(Other::Watched(watched)) => {
                matches!(watched.body.kind, Kind::Other(Other::File(_)))
            }
            _ => false,
        };
        if !is_file {
            return None;
        }
        let (kind, watch) = match std::mem::take(&mut self.kind) {
            Kind::Other(Other::Watched(watched)) => (watched.body.kind, Some(watched.watch)),
            kind => (kind, None),
        };
        match kind {
            Kind::Other(Other::File(file)) => Some((file, watch)),
            _ => None,
        }
    }

    /// Frames that a function makes: it is polled until it returns `None`.
    pub fn from_fn<F>(poll: F) -> Body
    where
        F: FnMut(&mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>
            + Send
            + Unpin
            + 'static,
    {
        Body::new(Polled(poll))
    }

    /// The same body once more, where that can be had without reading it: of nothing, and of bytes that are there.
    pub fn try_clone(&self) -> Option<Body> {
        match &self.kind {
            Kind::Full(bytes) => Some(Body::full(bytes.clone())),
            Kind::Other(Other::Empty(_)) => Some(Body::empty()),
            Kind::Other(_) => None,
        }
    }

    pub(crate) fn incoming(incoming: Incoming) -> Body {
        Body::of(Other::Incoming(incoming))
    }

    /// The next piece or the trailers; `None` at the end.
    ///
    /// # Cancel safety
    /// Safe: a frame leaves the body in the poll that returns it.
    ///
    /// # Errors
    /// When the client sends what is no body or too much of one, is too slow, or goes away.
    pub async fn frame(&mut self) -> Option<Result<Frame<Bytes>, Error>> {
        poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut *self), cx)).await
    }

    /// All of it, joined, without the trailers. Its limit bounds what that costs.
    ///
    /// # Cancel safety
    /// **Not safe**: what came is lost with the future.
    ///
    /// # Errors
    /// As [`frame`](Body::frame).
    pub async fn collect(self) -> Result<Bytes, Error> {
        self.collect_with_trailers().await.map(|(bytes, _)| bytes)
    }

    /// All of it, joined, and the trailers.
    ///
    /// # Cancel safety
    /// **Not safe**: what came is lost with the future.
    ///
    /// # Errors
    /// As [`frame`](Body::frame).
    pub async fn collect_with_trailers(mut self) -> Result<(Bytes, Option<HeaderMap>), Error> {
        let (mut first, mut all, mut trailers) = (Bytes::new(), BytesMut::new(), None);
        while let Some(frame) = self.frame().await {
            match frame?.into_data() {
                Ok(data) if first.is_empty() && all.is_empty() => first = data,
                Ok(data) => {
                    all.extend_from_slice(&std::mem::take(&mut first));
                    all.extend_from_slice(&data);
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        let bytes = if all.is_empty() { first } else { all.freeze() };
        Ok((bytes, trailers))
    }

    /// Sets how many bytes a request's body may have; before its first read.
    pub fn set_limit(&mut self, bytes: u64) {
        if let Kind::Other(Other::Incoming(incoming)) = &mut self.kind {
            incoming.set_limit(bytes);
        }
    }

    /// Whether a length that is known already exceeds the limit.
    #[inline]
    pub(crate) fn is_too_large(&self) -> bool {
        match &self.kind {
            Kind::Other(Other::Incoming(incoming)) => {
                incoming.size_hint().lower() > incoming.limit()
            }
            _ => false,
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let other = match &mut self.kind {
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.kind = Kind::default();
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Kind::Other(other) => other,
        };
        match other {
            Other::Empty(_) => Poll::Ready(None),
            Other::Incoming(incoming) => incoming.poll_frame(cx),
            Other::File(file) => file
                .poll_piece(cx)
                .map(|piece| piece.map(|piece| piece.map_err(Error::other))),
            Other::Boxed(body) => body.as_mut().poll_frame(cx),
            Other::Watched(watched) => {
                let frame = ready!(Pin::new(&mut watched.body).poll_frame(cx));
                if let Some(Ok(frame)) = &frame {
                    watched.watch.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
                Poll::Ready(frame)
            }
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full(_) => false,
            Kind::Other(Other::Empty(_)) => true,
            Kind::Other(Other::Incoming(incoming)) => incoming.is_end(),
            Kind::Other(Other::File(file)) => file.left() == 0,
            Kind::Other(Other::Boxed(body)) => body.is_end_stream(),
            Kind::Other(Other::Watched(watched)) => watched.body.is_end_stream(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Other(Other::Empty(_)) => SizeHint::with_exact(0),
            Kind::Other(Other::Incoming(incoming)) => incoming.size_hint(),
            Kind::Other(Other::File(file)) => SizeHint::with_exact(file.left()),
            Kind::Other(Other::Boxed(body)) => body.size_hint(),
            Kind::Other(Other::Watched(watched)) => watched.body.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Full(_) => "full",
            Kind::Other(Other::Empty(_)) => "empty",
            Kind::Other(Other::Incoming(_)) => "incoming",
            Kind::Other(Other::File(_)) => "file",
            Kind::Other(Other::Boxed(_)) => "boxed",
            Kind::Other(Other::Watched(watched)) => return watched.body.fmt(f),
        };
        f.debug_tuple("Body").field(&kind).finish()
    }
}

macro_rules! from {
    ($($type:ty),*) => { $(
        impl From<$type> for Body {
            fn from(bytes: $type) -> Body {
                Body::full(bytes)
            }
        }
    )* };
}
from!(Bytes, String, Vec<u8>, &'static str, &'static [u8]);

impl From<()> for Body {
    fn from((): ()) -> Body {
        Body::empty()
    }
}

struct Polled<F>(F);

impl<F> http_body::Body for Polled<F>
where
    F: FnMut(&mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        (self.0)(cx)
    }
}

pin_project_lite::pin_project! {
    /// A body of others, whose data and errors become ours.
    struct Foreign<B> {
        #[pin]
        body: B,
    }
}

impl<B> http_body::Body for Foreign<B>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(match ready!(self.project().body.poll_frame(cx)) {
            Some(Ok(frame)) => Some(Ok(
                frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
            )),
            Some(Err(error)) => Some(Err(Error::other(error.into()))),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::Body;

    /// Each move is a copy.
    #[test]
    fn a_body_is_as_large_as_its_bytes() {
        assert_eq!(size_of::<Body>(), size_of::<bytes::Bytes>());
        assert!(size_of::<crate::Request>() <= 256);
    }
}
