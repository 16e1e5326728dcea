//! Requests in the making.

use super::Client;
use super::address;
use super::digest::Credentials;
use super::error::{Error, Kind};
use super::events::EventSource;
use super::exchange::Informed;
use super::multipart::Multipart;
use super::proxy::basic;
use super::redirect::RedirectPolicy;
use super::response::Response;
use super::timing::Timeouts;
use crate::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, EXPECT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What can be an address.
pub trait IntoUrl {
    /// The address.
    ///
    /// # Errors
    /// When it is malformed.
    fn into_url(self) -> Result<Url, Error>;
}

impl IntoUrl for &str {
    fn into_url(self) -> Result<Url, Error> {
        address::parse(self).map_err(|error| Kind::Url(error).into())
    }
}

impl IntoUrl for String {
    fn into_url(self) -> Result<Url, Error> {
        self.as_str().into_url()
    }
}

impl IntoUrl for &String {
    fn into_url(self) -> Result<Url, Error> {
        self.as_str().into_url()
    }
}

impl IntoUrl for Url {
    fn into_url(self) -> Result<Url, Error> {
        Ok(self)
    }
}

impl IntoUrl for &Url {
    fn into_url(self) -> Result<Url, Error> {
        Ok(self.clone())
    }
}

impl IntoUrl for &Uri {
    fn into_url(self) -> Result<Url, Error> {
        self.to_string().into_url()
    }
}

/// A request of a client: what [`RequestBuilder::build`] makes and [`Client::execute`] takes.
#[derive(Debug)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    pub(super) options: Options,
}

/// What is settled a request, with the client's settings as the default.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) timeouts: Arc<Timeouts>,
    pub(super) redirects: RedirectPolicy,
    pub(super) decompress: bool,
    pub(super) response_bytes_max: u64,
    pub(super) informed: Option<Informed>,
    pub(super) digest: Option<Arc<Credentials>>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("timeouts", &self.timeouts)
            .field("redirects", &self.redirects)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// What to do.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// To what.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The fields, to change them.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The same once more, unless its body is a stream.
    pub fn try_clone(&self) -> Option<Request> {
        Some(Request {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: self.body.try_clone()?,
            options: self.options.clone(),
        })
    }
}

/// A request in the making. What is wrong with it is said by [`send`](RequestBuilder::send).
#[derive(Debug)]
#[must_use = "nothing is sent before `send`"]
pub struct RequestBuilder {
    client: Client,
    request: Result<Request, Error>,
}

impl RequestBuilder {
    pub(super) fn new(client: Client, method: Method, url: Result<Url, Error>) -> RequestBuilder {
        let options = client.default_options();
        let request = url.map(|url| Request {
            method,
            url,
            headers: HeaderMap::new(),
            body: Body::empty(),
            options,
        });
        RequestBuilder { client, request }
    }

    fn with(mut self, change: impl FnOnce(&mut Request) -> Result<(), Kind>) -> RequestBuilder {
        if let Ok(request) = &mut self.request
            && let Err(kind) = change(request)
        {
            self.request = Err(kind.into());
        }
        self
    }

    /// Sets a field; one of that name that is there already goes.
    pub fn header<N, V>(self, name: N, value: V) -> RequestBuilder
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.with(|request| {
            let (name, value) = field(name, value)?;
            request.headers.insert(name, value);
            Ok(())
        })
    }

    /// Adds a field beside those of that name.
    pub fn header_append<N, V>(self, name: N, value: V) -> RequestBuilder
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.with(|request| {
            let (name, value) = field(name, value)?;
            request.headers.append(name, value);
            Ok(())
        })
    }

    /// Sets all these fields.
    pub fn headers(self, headers: HeaderMap) -> RequestBuilder {
        self.with(|request| {
            for name in headers.keys() {
                request.headers.remove(name);
            }
            request.headers.extend(headers);
            Ok(())
        })
    }

    /// Shows a user and a password (RFC 7617).
    pub fn basic_auth(self, user: &str, password: &str) -> RequestBuilder {
        self.header(AUTHORIZATION, basic(user, password))
    }

    /// Shows a user and that the password is known, but not the password itself (RFC 7616): where the server answers 401 and asks for it, the
    /// request is sent again with the proof, by SHA-256 or MD5. To no other origin, and not where the body is a stream, which cannot be sent
    /// again: then the 401 is the response.
    pub fn digest_auth(self, user: &str, password: &str) -> RequestBuilder {
        self.with(|request| {
            if user.contains(':') || user.contains(char::is_control) {
                return Err(wrong("the user cannot be shown"));
            }
            request.options.digest = Some(Arc::new(Credentials::new(user, password)));
            Ok(())
        })
    }

    /// Shows a token (RFC 6750).
    pub fn bearer_auth(self, token: &str) -> RequestBuilder {
        self.with(|request| {
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            let mut value = value.map_err(|_| wrong("the token cannot stand in a field"))?;
            value.set_sensitive(true);
            request.headers.insert(AUTHORIZATION, value);
            Ok(())
        })
    }

    /// Adds to the address what stands behind the `?`: pairs, or a structure with fields.
    pub fn query<T: Serialize + ?Sized>(self, query: &T) -> RequestBuilder {
        self.with(|request| {
            let text = serde_urlencoded::to_string(query);
            let text = text.map_err(|error| wrong(&format!("query: {error}")))?;
            if !text.is_empty() {
                let all = match request.url.query() {
                    Some(before) if !before.is_empty() => format!("{before}&{text}"),
                    _ => text,
                };
                request.url.set_query(Some(&all));
            }
            Ok(())
        })
    }

    /// Sends this.
    pub fn body(self, body: impl Into<Body>) -> RequestBuilder {
        self.with(|request| {
            request.body = body.into();
            Ok(())
        })
    }

    /// Sends a value as JSON.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> RequestBuilder {
        self.with(|request| {
            let json = serde_json::to_vec(value).map_err(Kind::Json)?;
            request.body = Body::full(json);
            let mime = HeaderValue::from_static("application/json");
            request.headers.entry(CONTENT_TYPE).or_insert(mime);
            Ok(())
        })
    }

    /// Sends pairs, or a structure with fields, as an HTML form does.
    pub fn form<T: Serialize + ?Sized>(self, form: &T) -> RequestBuilder {
        self.with(|request| {
            let text = serde_urlencoded::to_string(form);
            let text = text.map_err(|error| wrong(&format!("form: {error}")))?;
            request.body = Body::full(text);
            let mime = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers.entry(CONTENT_TYPE).or_insert(mime);
            Ok(())
        })
    }

    /// Sends a form with files in it.
    pub fn multipart(self, form: Multipart) -> RequestBuilder {
        self.with(|request| {
            request.headers.insert(CONTENT_TYPE, form.content_type());
            request.body = form.into_body();
            Ok(())
        })
    }

    /// How long all of it may take.
    pub fn timeout(self, total: Duration) -> RequestBuilder {
        self.with(|request| {
            Arc::make_mut(&mut request.options.timeouts).total = total;
            Ok(())
        })
    }

    /// How long each phase may take.
    pub fn timeouts(self, timeouts: Timeouts) -> RequestBuilder {
        self.with(|request| {
            request.options.timeouts = Arc::new(timeouts);
            Ok(())
        })
    }

    /// Which redirects are followed.
    pub fn redirects(self, policy: RedirectPolicy) -> RequestBuilder {
        self.with(|request| {
            request.options.redirects = policy;
            Ok(())
        })
    }

    /// How large the response's body may be, after decompression.
    pub fn response_bytes_max(self, bytes: u64) -> RequestBuilder {
        self.with(|request| {
            request.options.response_bytes_max = bytes;
            Ok(())
        })
    }

    /// Holds the body back until the server says `100 Continue`, or nothing for [`Timeouts::expect`]. A server that refuses by the head
    /// alone then never gets the body.
    pub fn expect_continue(self) -> RequestBuilder {
        self.header(EXPECT, HeaderValue::from_static("100-continue"))
    }

    /// Tells of heads that only inform: `103 Early Hints` and its like.
    pub fn on_informational<F>(self, informed: F) -> RequestBuilder
    where
        F: Fn(StatusCode, &HeaderMap) + Send + Sync + 'static,
    {
        self.with(|request| {
            request.options.informed = Some(Arc::new(informed));
            Ok(())
        })
    }

    /// The request, not sent.
    ///
    /// # Errors
    /// When something that was given cannot be sent.
    pub fn build(self) -> Result<Request, Error> {
        self.request
    }

    /// Sends it, and returns when the response's head is there.
    ///
    /// # Cancel safety
    /// Safe: a dropped request is given up, and its connection closed. The server may have seen it.
    ///
    /// # Errors
    /// When there is no response; the [`Error`] says in which phase that was decided.
    pub async fn send(self) -> Result<Response, Error> {
        self.client.execute(self.request?).await
    }

    /// Sends it for a stream of events, as a browser's `EventSource` does, but with any method and body.
    ///
    /// # Errors
    /// When something that was given cannot be sent.
    pub fn events(self) -> Result<EventSource, Error> {
        Ok(EventSource::new(self.client, self.request?))
    }
}

fn wrong(what: &str) -> Kind {
    Kind::Request(what.to_owned())
}

fn field<N, V>(name: N, value: V) -> Result<(HeaderName, HeaderValue), Kind>
where
    N: TryInto<HeaderName>,
    V: TryInto<HeaderValue>,
{
    let name = name
        .try_into()
        .map_err(|_| wrong("name of a field is malformed"))?;
    let value = value
        .try_into()
        .map_err(|_| wrong(&format!("value of the field `{name}` is malformed")))?;
    Ok((name, value))
}
