//! Bodies: those that come, and those that handlers give.

use crate::incoming::Incoming;
use crate::{BoxError, Error};
use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A request's or a response's body.
///
/// A request's is read as it comes, and no faster than it is read. A response's is nothing, bytes that are there, or any other
/// [`http_body::Body`].
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Incoming(Incoming),
    Boxed(Pin<Box<dyn http_body::Body<Data = Bytes, Error = Error> + Send>>),
}

impl Body {
    /// Nothing.
    pub const fn empty() -> Body {
        Body(Kind::Empty)
    }

    /// Bytes that are there. Those that are shared or static are sent without a copy where they are many.
    pub fn full(bytes: impl Into<Bytes>) -> Body {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Body::empty()
        } else {
            Body(Kind::Full(bytes))
        }
    }

    /// Any other body. Its data is taken as it is where it is `Bytes`.
    pub fn new<B>(body: B) -> Body
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Body(Kind::Boxed(Box::pin(Foreign { body })))
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

    pub(crate) fn incoming(incoming: Incoming) -> Body {
        Body(Kind::Incoming(incoming))
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
        if let Kind::Incoming(incoming) = &mut self.0 {
            incoming.set_limit(bytes);
        }
    }

    /// Whether a length that is known already exceeds the limit.
    pub(crate) fn is_too_large(&self) -> bool {
        match &self.0 {
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
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Incoming(incoming) => incoming.poll_frame(cx),
            Kind::Boxed(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Incoming(incoming) => incoming.is_end(),
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Incoming(incoming) => incoming.size_hint(),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::Empty => "empty",
            Kind::Full(_) => "full",
            Kind::Incoming(_) => "incoming",
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
