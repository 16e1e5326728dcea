//! Server-sent events as an answer: [`Events`] sends what a stream gives, and keeps the connection alive in between.

use crate::{Body, BoxError, Handle, Reply, Response};
use blitz_io::stream::Stream;
use blitz_io::sync::WaitForCancellationFutureOwned;
use blitz_io::time::{Instant, Sleep, sleep};
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http_body::Frame;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

pub use blitz_http_proto::sse::{Event, InvalidField};

/// The interval, where none is set.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// An answer of `text/event-stream` (HTML standard, section 9.2): each [`Event`] of a stream goes out when it comes.
///
/// While none comes, comments go out, which clients ignore and proxies count as life. A client that has closed its connection
/// is noticed within one [`keep_alive`](Events::keep_alive) interval; then the stream is dropped. One whose machine
/// has vanished without a word is noticed when the kernel gives up sending to it.
///
/// A stream that ends, ends the answer; clients come back then, after [`retry`](Events::retry), and say by
/// [`last_event_id`] what they have seen. A client that is answered 204 does not come back.
///
/// ```
/// use blitz_http::sse::{Event, Events, last_event_id};
/// use blitz_http::{Request, Router, now};
/// use blitz_io::stream::StreamExt;
/// use blitz_io::stream::wrappers::IntervalStream;
/// use blitz_io::time::interval;
/// use std::time::Duration;
///
/// let router = Router::new().get("/clock", now(|request: Request| {
///     // Who comes back goes on behind what it has seen.
///     let seen = last_event_id(&request).and_then(|id| id.parse::<u64>().ok());
///     let mut next = seen.map_or(0, |seen| seen + 1);
///     let ticks = IntervalStream::new(interval(Duration::from_secs(1)));
///     Events::new(ticks.map(move |_| {
///         let event = Event::new().id(next.to_string()).expect("digits").data("tick");
///         next += 1;
///         event
///     }))
///     .retry(Duration::from_secs(2))
/// }));
/// # let _ = router;
/// ```
#[must_use = "it is an answer"]
pub struct Events<S> {
    stream: S,
    interval: Duration,
    retry: Option<Duration>,
    server: Option<Handle>,
}

impl<S> Events<S>
where
    S: Stream<Item = Event> + Send + 'static,
{
    /// Sends what `stream` gives.
    pub fn new(stream: S) -> Events<S> {
        Events {
            stream,
            interval: KEEP_ALIVE,
            retry: None,
            server: None,
        }
    }

    /// Sets within what time a client that has gone is noticed; 15 s. A comment goes out when nothing else went for half of it: the
    /// first write to a client that has gone makes its system say so, and the second one hears it.
    pub fn keep_alive(mut self, interval: Duration) -> Events<S> {
        self.interval = interval;
        self
    }

    /// Tells the client, before the first event, how long to wait before it connects again.
    pub fn retry(mut self, wait: Duration) -> Events<S> {
        self.retry = Some(wait);
        self
    }

    /// Ends the answer in good order when the server of this handle is told to end, in place of being cut at its deadline.
    pub fn end_with(mut self, server: &Handle) -> Events<S> {
        self.server = Some(server.clone());
        self
    }
}

impl<S> Reply for Events<S>
where
    S: Stream<Item = Event> + Send + 'static,
{
    fn into_response(self) -> Response {
        let half = (self.interval / 2).max(Duration::from_millis(1));
        let body = Body::new(Sending {
            first: self.retry.map(|wait| Event::new().retry(wait).encode()),
            stream: self.stream,
            quiet: sleep(half),
            half,
            stopping: self.server.map(|server| Box::pin(server.stopping())),
        });
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // What proxies of nginx's kind are asked by not to gather events.
        headers.insert(
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        );
        response
    }
}

impl<S> fmt::Debug for Events<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("interval", &self.interval)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// The id of the last event that the client has seen, if it comes back and says so (`Last-Event-ID`).
pub fn last_event_id<B>(request: &http::Request<B>) -> Option<&str> {
    let id = request.headers().get("last-event-id")?;
    std::str::from_utf8(id.as_bytes()).ok()
}

pin_project_lite::pin_project! {
    struct Sending<S> {
        first: Option<Bytes>,
        #[pin]
        stream: S,
        #[pin]
        quiet: Sleep,
        half: Duration,
        stopping: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    }
}

impl<S> http_body::Body for Sending<S>
where
    S: Stream<Item = Event>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if let Some(stopping) = this.stopping
            && stopping.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(None);
        }
        let bytes = match this.stream.poll_next(cx) {
            Poll::Ready(Some(event)) => event.encode(),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending if this.quiet.as_mut().poll(cx).is_ready() => {
                Bytes::from_static(b":\n\n")
            }
            Poll::Pending => return Poll::Pending,
        };
        // Where that is beyond all time, no comment is wanted.
        if let Some(next) = Instant::now().checked_add(*this.half) {
            this.quiet.reset(next);
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}
