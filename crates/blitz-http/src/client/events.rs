//! Streams of events that the server sends, as WHATWG's HTML standard reads them (§9.2), with any method.

use super::Client;
use super::error::{Error, Kind};
use super::request::Request;
use super::response::Response;
use blitz_http_proto::sse::{Decoder, Received};
use blitz_io::time::sleep;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, StatusCode};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Events of a server, over as many connections as it takes.
///
/// When a connection ends it waits as long as the server has asked for, and connects again with the id of the last event that came. It
/// ends for good when the server answers `204 No Content`.
///
/// ```no_run
/// # async fn listen() -> Result<(), blitz_http::client::Error> {
/// let client = blitz_http::Client::new();
/// let mut events = client.get("https://example.com/events").events()?;
/// while let Some(event) = events.next().await {
///     let event = event?;
///     println!("{}: {}", event.event, event.data);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EventSource {
    client: Client,
    /// What is asked each time. None: its body was a stream, and is gone.
    request: Option<Request>,
    decoder: Decoder,
    response: Option<Response>,
    ready: VecDeque<Received>,
    wait: Duration,
    /// Connections that failed, one after the other.
    failed: u32,
    failures_max: u32,
    connected: bool,
    over: bool,
}

impl EventSource {
    pub(super) fn new(client: Client, mut request: Request) -> EventSource {
        let headers = &mut request.headers;
        let accepts = HeaderValue::from_static("text/event-stream");
        headers.entry(ACCEPT).or_insert(accepts);
        let no_store = HeaderValue::from_static("no-store");
        headers.entry(CACHE_CONTROL).or_insert(no_store);
        // It is meant to last. A server that is silent for so long may be gone, which a new connection finds out.
        let timeouts = Arc::make_mut(&mut request.options.timeouts);
        timeouts.total = Duration::MAX;
        timeouts.body_idle = Duration::from_secs(300);
        EventSource {
            client,
            request: Some(request),
            decoder: Decoder::new(1024 * 1024),
            response: None,
            ready: VecDeque::new(),
            wait: Duration::from_secs(3),
            failed: 0,
            failures_max: 10,
            connected: false,
            over: false,
        }
    }

    /// How large an event may be. 1 MiB.
    pub fn event_bytes_max(mut self, bytes: usize) -> EventSource {
        self.decoder = Decoder::new(bytes);
        self
    }

    /// How many connections in a row may fail before the last failure is told. 10.
    pub fn failures_max(mut self, failures: u32) -> EventSource {
        self.failures_max = failures;
        self
    }

    /// How long to wait before connecting again, where the server says nothing else; doubled with each failure up to a minute. 3 s.
    pub fn reconnect_after(mut self, wait: Duration) -> EventSource {
        self.wait = wait;
        self
    }

    /// How long the server may say nothing before the connection counts as lost. 5 min.
    pub fn silence_max(mut self, silence: Duration) -> EventSource {
        if let Some(request) = &mut self.request {
            Arc::make_mut(&mut request.options.timeouts).body_idle = silence;
        }
        self
    }

    /// The id of the last event that came whole.
    pub fn last_event_id(&self) -> &str {
        self.decoder.last_event_id()
    }

    /// The next event; `None` when the server has no more for anybody.
    ///
    /// # Cancel safety
    /// Safe: no event is lost. A wait before connecting again begins anew, and so does a connection that was being opened.
    ///
    /// # Errors
    /// When the server answers with something else than events, an event is too large, or too many connections have failed. That is the end.
    pub async fn next(&mut self) -> Option<Result<Received, Error>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.over {
                return None;
            }
            match self.advance().await {
                Ok(true) => {}
                Ok(false) => self.over = true,
                Err(error) => {
                    self.over = true;
                    self.response = None;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Reads some more, or connects. `false`: that was all, for good.
    async fn advance(&mut self) -> Result<bool, Error> {
        let Some(response) = &mut self.response else {
            return self.connect().await;
        };
        match response.chunk().await {
            Ok(Some(data)) => {
                let ready = &mut self.ready;
                let decoded = self.decoder.decode(&data, |event| ready.push_back(event));
                decoded
                    .map_err(|error| Error::from(Kind::EventTooLarge(error)).at(response.url()))?;
                self.failed = 0;
            }
            Ok(None) => self.lost(),
            Err(error) => {
                self.lost();
                self.fails(error)?;
            }
        }
        Ok(true)
    }

    fn lost(&mut self) {
        self.response = None;
        self.decoder.restart();
    }

    fn fails(&mut self, error: Error) -> Result<(), Error> {
        self.failed += 1;
        if self.failed >= self.failures_max {
            Err(error)
        } else {
            Ok(())
        }
    }

    async fn connect(&mut self) -> Result<bool, Error> {
        if self.connected {
            let wait = self.decoder.retry().unwrap_or(self.wait);
            let longest = wait.max(Duration::from_secs(60));
            let doubled = wait.saturating_mul(1 << self.failed.min(10));
            sleep(doubled.min(longest)).await;
        }
        let ended = "its request was a stream, and cannot be sent again";
        let again = self.request.as_ref().and_then(Request::try_clone);
        let request = again.or_else(|| self.request.take());
        let mut request = request.ok_or_else(|| Error::from(Kind::Events(ended.to_owned())))?;
        self.connected = true;
        let id = self.decoder.last_event_id();
        if !id.is_empty()
            && let Ok(id) = HeaderValue::from_bytes(id.as_bytes())
        {
            request.headers.insert(LAST_EVENT_ID, id);
        }
        let response = match self.client.execute(request).await {
            Ok(response) => response,
            Err(error) if error.is_redirect() || error.name() == "request" => return Err(error),
            Err(error) => {
                self.fails(error)?;
                return Ok(true);
            }
        };
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(false);
        }
        let response = response.error_for_status()?;
        let mime = response.headers().get(CONTENT_TYPE);
        let mime = mime.and_then(|mime| mime.to_str().ok()).unwrap_or_default();
        let essence = mime.split(';').next().unwrap_or_default().trim();
        if response.status() != StatusCode::OK || !essence.eq_ignore_ascii_case("text/event-stream")
        {
            let why = format!("server answered {} with {mime:?}", response.status());
            return Err(Error::from(Kind::Events(why)).at(response.url()));
        }
        self.response = Some(response);
        Ok(true)
    }
}
