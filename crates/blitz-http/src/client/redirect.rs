//! Redirects: where to go next, as what, and with which of the fields (RFC 9110 §15.4).

use super::error::Kind;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_TYPE, COOKIE, EXPECT, HOST, LOCATION, PROXY_AUTHORIZATION, TRANSFER_ENCODING,
};
use http::{HeaderMap, Method, StatusCode};
use std::fmt;
use std::sync::Arc;
use url::Url;

/// Which redirects are followed.
#[derive(Clone)]
pub struct RedirectPolicy {
    pub(super) max: usize,
    pub(super) downgrade: bool,
    decide: Option<Decide>,
}

type Decide = Arc<dyn Fn(&Redirect<'_>) -> bool + Send + Sync>;

/// A redirect that may be followed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Redirect<'a> {
    /// What the server said: 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// Where the request went that was answered so.
    pub from: &'a Url,
    /// Where the next one would go.
    pub to: &'a Url,
    /// How many were followed already.
    pub followed: usize,
}

impl RedirectPolicy {
    /// Follows none: a redirect is a response like others.
    pub fn none() -> RedirectPolicy {
        RedirectPolicy {
            max: 0,
            downgrade: false,
            decide: None,
        }
    }

    /// Follows so many, and then fails. The default is ten.
    pub fn limited(max: usize) -> RedirectPolicy {
        RedirectPolicy {
            max,
            ..RedirectPolicy::none()
        }
    }

    /// Asks `decide` too: where it says no, the redirect is the response.
    pub fn only_if<F>(mut self, decide: F) -> RedirectPolicy
    where
        F: Fn(&Redirect<'_>) -> bool + Send + Sync + 'static,
    {
        self.decide = Some(Arc::new(decide));
        self
    }

    /// Follows redirects from https to http, too, which fail otherwise: what was secret is read by everybody then.
    pub fn allow_downgrade(mut self, allow: bool) -> RedirectPolicy {
        self.downgrade = allow;
        self
    }
}

impl Default for RedirectPolicy {
    fn default() -> Self {
        RedirectPolicy::limited(10)
    }
}

impl fmt::Debug for RedirectPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedirectPolicy")
            .field("max", &self.max)
            .field("downgrade", &self.downgrade)
            .finish_non_exhaustive()
    }
}

/// What comes after a response.
#[derive(Debug)]
pub(super) enum Next {
    /// It is the answer.
    Stay,
    Go {
        to: Url,
        method: Method,
        keeps_body: bool,
    },
}

impl RedirectPolicy {
    /// `seen` is where the requests before this one went.
    pub(super) fn next(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        (method, from): (&Method, &Url),
        body_is_there: bool,
        seen: &[(Method, Url)],
    ) -> Result<Next, Kind> {
        let keeps_method = match status.as_u16() {
            301 | 302 => *method != Method::POST,
            303 => *method == Method::HEAD || *method == Method::GET,
            307 | 308 => true,
            _ => return Ok(Next::Stay),
        };
        let Some(location) = headers.get(LOCATION) else {
            return Ok(Next::Stay);
        };
        if self.max == 0 {
            return Ok(Next::Stay);
        }
        let shown = || String::from_utf8_lossy(location.as_bytes()).into_owned();
        let text = std::str::from_utf8(location.as_bytes());
        let to = text.ok().and_then(|text| from.join(text).ok());
        let mut to = to
            .filter(|to| matches!(to.scheme(), "http" | "https") && to.has_host())
            .ok_or_else(|| Kind::RedirectTarget(shown()))?;
        if to.fragment().is_none() {
            to.set_fragment(from.fragment());
        }
        let followed = seen.len();
        let redirect = Redirect {
            status,
            from,
            to: &to,
            followed,
        };
        if self
            .decide
            .as_ref()
            .is_some_and(|decide| !decide(&redirect))
        {
            return Ok(Next::Stay);
        }
        if from.scheme() == "https" && to.scheme() == "http" && !self.downgrade {
            return Err(Kind::RedirectDowngrade);
        }
        let keeps_body = keeps_method && *method != Method::GET && *method != Method::HEAD;
        if keeps_body && !body_is_there {
            // What was streamed cannot be said again.
            return Ok(Next::Stay);
        }
        let next = if keeps_method {
            method.clone()
        } else {
            Method::GET
        };
        if followed >= self.max {
            return Err(Kind::TooManyRedirects(self.max));
        }
        let seen = seen.iter().map(|(method, url)| (method, url));
        let again = |(seen, url): &(&Method, &Url)| **seen == next && same(url, &to);
        // Once may be a cookie's doing: it was set on the way. Twice is a circle.
        if seen.chain([(method, from)]).filter(again).count() > 1 {
            return Err(Kind::RedirectLoop);
        }
        Ok(Next::Go {
            to,
            method: next,
            keeps_body,
        })
    }
}

/// Whether two addresses are the same to a server.
fn same(one: &Url, other: &Url) -> bool {
    let (mut one, mut other) = (one.clone(), other.clone());
    one.set_fragment(None);
    other.set_fragment(None);
    one == other
}

/// The fields for the next request: none that was for one server goes to another, none of a body that is not sent any more.
pub(super) fn carry(headers: &mut HeaderMap, from: &Url, to: &Url, keeps_body: bool) {
    if from.origin() != to.origin() {
        for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
            headers.remove(name);
        }
        headers.remove("cookie2");
        headers.remove("www-authenticate");
        headers.remove(HOST);
    }
    if !keeps_body {
        for name in [
            CONTENT_ENCODING,
            CONTENT_LANGUAGE,
            CONTENT_LENGTH,
            CONTENT_LOCATION,
            CONTENT_TYPE,
            EXPECT,
            TRANSFER_ENCODING,
        ] {
            headers.remove(name);
        }
    }
}
