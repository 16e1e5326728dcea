//! Bodies: those that come, and those that handlers give.

use crate::file_body::{FileBody, Part, Watch};
use crate::incoming::Incoming;
use crate::{BoxError, Error};
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
    watch: Option<Box<Watch>>,
}

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Incoming(Incoming),
    File(Box<FileBody>),
    Boxed(Pin<Box<dyn http_body::Body<Data = Bytes, Error = Error> + Send>>),
}

impl Body {
    const fn of(kind: Kind) -> Body {
        Body { kind, watch: None }
    }

    /// Nothing.
    pub const fn empty() -> Body {
        Body::of(Kind::Empty)
    }

    /// Bytes that are there. Those that are shared or static are sent without a copy where they are many.
    pub fn full(bytes: impl Into<Bytes>) -> Body {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Body::empty()
        } else {
            Body::of(Kind::Full(bytes))
        }
    }

    /// Any other body. Its data is taken as it is where it is `Bytes`.
    pub fn new<B>(body: B) -> Body
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Body::of(Kind::Boxed(Box::pin(Foreign { body })))
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
        Body::of(Kind::File(Box::new(file)))
    }

    /// Its bytes, if it is nothing but bytes that are there, or nothing, and nobody watches; it is empty then.
    #[inline]
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        match &mut self.kind {
            Kind::Empty if self.watch.is_none() => Some(Bytes::new()),
            Kind::Full(bytes) if self.watch.is_none() => Some(std::mem::take(bytes)),
            _ => None,
        }
    }

    /// Calls `end` when the body is over, sent or given up, with the number of its bytes that were handed to the connection.
    #[must_use]
    pub fn watched(mut self, end: impl FnOnce(u64) + Send + 'static) -> Body {
        self.watch = Some(Box::new(Watch::new(end)));
        self
    }

    /// The parts of a file that this body is, and who watches it; the body is empty then.
    pub(crate) fn take_file(&mut self) -> Option<(Box<FileBody>, Option<Box<Watch>>)> {
        if !matches!(self.kind, Kind::File(_)) {
            return None;
        }
        match std::mem::take(&mut self.kind) {
            Kind::File(file) => Some((file, self.watch.take())),
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
            Kind::Empty => Some(Body::empty()),
            Kind::Full(bytes) => Some(Body::of(Kind::Full(bytes.clone()))),
            Kind::Incoming(_) | Kind::File(_) | Kind::Boxed(_) => None,
        }
    }

    pub(crate) fn incoming(incoming: Incoming) -> Body {
        Body::of(Kind::Incoming(incoming))
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
        if let Kind::Incoming(incoming) = &mut self.kind {
            incoming.set_limit(bytes);
        }
    }

    /// Whether a length that is known already exceeds the limit.
    pub(crate) fn is_too_large(&self) -> bool {
        match &self.kind {
            Kind::Incoming(incoming) => incoming.size_hint().lower() > incoming.limit(),
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
        let frame = match &mut self.kind {
            Kind::Empty => return Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.kind = Kind::Empty;
                Some(Ok(Frame::data(bytes)))
            }
            Kind::Incoming(incoming) => ready!(incoming.poll_frame(cx)),
            Kind::File(file) => {
                ready!(file.poll_piece(cx)).map(|piece| piece.map_err(Error::other))
            }
            Kind::Boxed(body) => ready!(body.as_mut().poll_frame(cx)),
        };
        if let (Some(watch), Some(Ok(frame))) = (&mut self.watch, &frame) {
            watch.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame)
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Incoming(incoming) => incoming.is_end(),
            Kind::File(file) => file.left() == 0,
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Incoming(incoming) => incoming.size_hint(),
            Kind::File(file) => SizeHint::with_exact(file.left()),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Empty => "empty",
            Kind::Full(_) => "full",
            Kind::Incoming(_) => "incoming",
            Kind::File(_) => "file",
            Kind::Boxed(_) => "boxed",
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
