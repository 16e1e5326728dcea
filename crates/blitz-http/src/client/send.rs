//! What happens to a request, from its first attempt to the response that its caller gets.

use super::arriving::Arriving;
use super::decode::{ACCEPTED, Decoding};
use super::dial::Route;
use super::error::{Error, Kind};
use super::exchange::{Ask, Exchange};
use super::pool::{Key, Lease};
use super::proxy::basic;
use super::redirect::{Next, carry};
use super::request::{Options, Request};
use super::response::Response;
use super::retry::{is_busy, is_idempotent};
use super::timing::{Phase, Watch};
use super::{Client, Fields, Inner};
use crate::Body;
use blitz_http_proto::{Framing, Limits, ReceivedResponse, Target};
use blitz_io::pool::Acquired;
use blitz_io::time::{Instant, sleep};
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, COOKIE, EXPECT,
    HOST, PROXY_AUTHORIZATION, RANGE, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use url::{Position, Url};

/// Proofs of a password for one address: a server that calls each nonce too old has its way twice.
const PROOFS_MAX: u32 = 3;

/// What is asked of one server.
struct Hop {
    method: Method,
    url: Url,
    headers: Arc<HeaderMap>,
    /// The response is decompressed, because we have asked for that.
    decompress: bool,
    /// `Cookie` is the jar's affair.
    jar: bool,
}

/// An answer that has begun.
struct Begun {
    head: ReceivedResponse,
    /// Boxed: it is large, and goes from hand to hand.
    exchange: Box<Exchange>,
}

/// Why there is none.
struct Failed {
    kind: Kind,
    /// The server cannot have begun to do anything.
    unseen: bool,
}

impl Client {
    /// Sends a request, and returns when the response's head is there.
    ///
    /// # Cancel safety
    /// Safe: a dropped request is given up, and its connection closed. The server may have seen it.
    ///
    /// # Errors
    /// When there is no response; the [`Error`] says in which phase that was decided.
    pub async fn execute(&self, request: Request) -> Result<Response, Error> {
        let Request {
            method,
            url,
            headers,
            mut body,
            options,
        } = request;
        let mut watch = Watch::new(Arc::clone(&options.timeouts));
        let mut hop = self.0.first(method, url, headers, &options)?;
        let mut seen = Vec::new();
        let home = options.digest.as_ref().map(|_| hop.url.origin());
        let mut proofs = 0;
        loop {
            let again = body.try_clone();
            let sent = std::mem::take(&mut body);
            let begun = self.0.answer(&mut hop, sent, &options, &mut watch).await;
            let begun = match begun {
                Ok(begun) => begun,
                Err(kind) => return Err(failed(kind, &watch, &hop.url)),
            };
            if let Some(jar) = &self.0.cookies {
                jar.take_from(&hop.url, &begun.head.headers);
            }
            if let (Some(digest), Some(home), Some(_)) = (&options.digest, &home, &again)
                && begun.head.status == StatusCode::UNAUTHORIZED
                && proofs < PROOFS_MAX
                && hop.url.origin() == *home
                && let Some(proof) = digest.answer(
                    &begun.head.headers,
                    hop.method.as_str(),
                    &hop.url[Position::BeforePath..Position::AfterQuery],
                    proofs > 0,
                )
            {
                proofs += 1;
                drain(begun);
                Arc::make_mut(&mut hop.headers).insert(AUTHORIZATION, proof);
                body = again.unwrap_or_default();
                continue;
            }
            let next = options.redirects.next(
                begun.head.status,
                &begun.head.headers,
                (&hop.method, &hop.url),
                again.is_some(),
                &seen,
            );
            let (to, method, keeps_body) = match next {
                Ok(Next::Stay) => {
                    let redirects = seen.into_iter().map(|(_, url)| url).collect();
                    return self.0.response(begun, hop, &options, redirects);
                }
                Ok(Next::Go {
                    to,
                    method,
                    keeps_body,
                }) => (to, method, keeps_body),
                Err(kind) => return Err(failed(kind, &begun.exchange.watch, &hop.url)),
            };
            drain(begun);
            let headers = Arc::make_mut(&mut hop.headers);
            carry(headers, &hop.url, &to, keeps_body);
            if hop.jar {
                headers.remove(COOKIE);
            }
            if proofs > 0 {
                // It was for that address.
                headers.remove(AUTHORIZATION);
                proofs = 0;
            }
            body = again.filter(|_| keeps_body).unwrap_or_default();
            let before = std::mem::replace(&mut hop.method, method);
            seen.push((before, std::mem::replace(&mut hop.url, to)));
        }
    }
}

impl Fields {
    pub(super) fn new(plain: HeaderMap) -> Fields {
        let plain = Arc::new(plain);
        let mut accepting = HeaderMap::clone(&plain);
        let accepting = match accept(&mut accepting) {
            true => Arc::new(accepting),
            false => Arc::clone(&plain),
        };
        Fields { plain, accepting }
    }
}

/// Asks for the codings that we can undo, unless some are asked for already, or a part, which could not be undone.
fn accept(headers: &mut HeaderMap) -> bool {
    if headers.contains_key(ACCEPT_ENCODING) || headers.contains_key(RANGE) {
        return false;
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
    true
}

/// What a request's fields say that concerns its way: one walk, for most of them are not there.
#[derive(Clone, Copy, Debug, Default)]
struct Named {
    upgrade: bool,
    expect: bool,
    closes: bool,
    empty_host: bool,
    proxy_authorization: bool,
}

impl Named {
    fn of(headers: &HeaderMap) -> Named {
        let mut named = Named::default();
        for (name, value) in headers {
            named.upgrade |= name == UPGRADE;
            named.expect |= name == EXPECT;
            named.closes |= name == CONNECTION && says_close(value);
            named.empty_host |= name == HOST && value.is_empty();
            named.proxy_authorization |= name == PROXY_AUTHORIZATION;
        }
        named
    }
}

fn says_close(value: &HeaderValue) -> bool {
    let value = value.to_str().unwrap_or_default();
    let mut tokens = value.split(',');
    tokens.any(|token| token.trim().eq_ignore_ascii_case("close"))
}

/// The fields that are sent, with those that depend on the way.
fn fields_for<'a>(headers: &'a HeaderMap, named: &Named, route: &Route) -> Cow<'a, HeaderMap> {
    let mut headers = Cow::Borrowed(headers);
    // The one of a proxy is for that proxy alone.
    if named.proxy_authorization {
        headers.to_mut().remove(PROXY_AUTHORIZATION);
    }
    if let (true, Some(proxy)) = (route.is_forwarded(), &route.proxy)
        && let Some(credentials) = proxy.authorization()
    {
        headers.to_mut().insert(PROXY_AUTHORIZATION, credentials);
    }
    if named.empty_host {
        headers.to_mut().remove(HOST);
    }
    headers
}

fn failed(kind: Kind, watch: &Watch, url: &Url) -> Error {
    Error::during(kind, watch.phase, &watch.timings, url)
}

/// Reads the rest of a response that nobody wants where that is little and there already, so that its connection can be used again.
fn drain(begun: Begun) {
    let mut exchange = begun.exchange;
    // What takes a wait costs more than a new connection would.
    if exchange.settle() {
        exchange.give_back();
    }
}

impl Inner {
    /// The first hop, with all that requests have.
    fn first(
        &self,
        method: Method,
        mut url: Url,
        mut headers: HeaderMap,
        options: &Options,
    ) -> Result<Hop, Error> {
        let wrong = |why: &str| Error::from(Kind::Request(why.to_owned())).at(&url);
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("its address is neither http nor https"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(wrong("its address has no host"));
        }
        if method == Method::CONNECT {
            return Err(wrong("CONNECT is for proxies, which have a setting"));
        }
        if url.password().is_some() || !url.username().is_empty() {
            let value = basic(url.username(), url.password().unwrap_or_default());
            headers.entry(AUTHORIZATION).or_insert(value);
            // An address without a user can always be made of one with.
            let _ = url.set_username("");
            let _ = url.set_password(None);
        }
        let (headers, decompress) = if headers.is_empty() {
            let chosen = match options.decompress {
                true => &self.headers.accepting,
                false => &self.headers.plain,
            };
            let accepts = !Arc::ptr_eq(chosen, &self.headers.plain);
            (Arc::clone(chosen), accepts)
        } else {
            let ours = &*self.headers.plain;
            for name in ours.keys() {
                if !headers.contains_key(name) {
                    for value in ours.get_all(name) {
                        headers.append(name, value.clone());
                    }
                }
            }
            let decompress = options.decompress && accept(&mut headers);
            (Arc::new(headers), decompress)
        };
        Ok(Hop {
            jar: self.cookies.is_some() && !headers.contains_key(COOKIE),
            method,
            url,
            headers,
            decompress,
        })
    }

    /// An answer of one server, after as many attempts as are allowed.
    async fn answer(
        &self,
        hop: &mut Hop,
        mut body: Body,
        options: &Options,
        watch: &mut Watch,
    ) -> Result<Begun, Kind> {
        self.budget.request(&self.retries);
        if hop.jar
            && let Some(jar) = &self.cookies
            && let Some(value) = jar.get(&hop.url)
        {
            Arc::make_mut(&mut hop.headers).insert(COOKIE, value);
        }
        let mut retry = 0;
        loop {
            let again = body.try_clone();
            let sent = std::mem::take(&mut body);
            let attempted = self.attempt(hop, sent, options, watch).await;
            let safe = is_idempotent(&hop.method);
            let (wait, attempted) = match attempted {
                Ok(begun)
                    if begun.head.status == StatusCode::EXPECTATION_FAILED
                        && again.is_some()
                        && hop.headers.contains_key(EXPECT) =>
                {
                    Arc::make_mut(&mut hop.headers).remove(EXPECT);
                    // It does not know what to expect; asked plainly it may.
                    drain(begun);
                    body = again.unwrap_or_default();
                    continue;
                }
                Ok(begun) if safe && is_busy(begun.head.status) => {
                    let wait = self.retries.wait_before(retry, Some(&begun.head.headers));
                    (wait, Ok(begun))
                }
                Ok(begun) => return Ok(begun),
                Err(failed) if failed.unseen || safe => {
                    (self.retries.wait_before(retry, None), Err(failed.kind))
                }
                Err(failed) => return Err(failed.kind),
            };
            let in_time = |wait| {
                let then = Instant::now().checked_add(wait);
                watch
                    .deadline
                    .is_none_or(|end| then.is_some_and(|then| then < end))
            };
            let allowed = retry < self.retries.retries_max
                && attempted.as_ref().err().is_none_or(Kind::is_passing);
            let (Some(wait), Some(again), true) =
                (wait.filter(|wait| in_time(*wait)), again, allowed)
            else {
                return attempted;
            };
            if !self.budget.retry() {
                return attempted;
            }
            if let Ok(begun) = attempted {
                drain(begun);
            }
            sleep(wait).await;
            body = again;
            retry += 1;
        }
    }

    /// One attempt; two, where a kept connection turns out to have been closed.
    async fn attempt(
        &self,
        hop: &Hop,
        body: Body,
        options: &Options,
        watch: &mut Watch,
    ) -> Result<Begun, Failed> {
        let unseen = |kind| Failed { kind, unseen: true };
        let named = Named::of(&hop.headers);
        let route = self.route(&hop.url, named.upgrade);
        let key = route.key();
        let headers = fields_for(&hop.headers, &named, &route);
        let target = Target {
            scheme: hop.url.scheme(),
            authority: &hop.url[Position::BeforeHost..Position::AfterPort],
            path: &hop.url[Position::BeforePath..Position::AfterQuery],
        };
        let mut body = Some(body);
        let mut fresh = false;
        loop {
            watch.begin();
            let wire = match self.kept(&key, fresh) {
                // Mostly there is one, and then there is nothing to wait for.
                Some(wire) => {
                    watch.timings.reused = true;
                    watch.skip_to(Phase::Send);
                    wire
                }
                None => {
                    // Boxed: it is large, and every request would carry it along.
                    let made = Box::pin(self.connection(&route, &key, fresh, watch)).await;
                    let wire = made.map_err(unseen)?;
                    watch.enter(Phase::Send);
                    wire
                }
            };
            let again = body.as_ref().and_then(Body::try_clone);
            let ask = Ask {
                method: &hop.method,
                target,
                headers: &headers,
                expects: named.expect,
                closes: named.closes,
                to_proxy: route.is_forwarded(),
                body: body.take().unwrap_or_default(),
                informed: options.informed.clone(),
            };
            let mut limits: Limits = self.limits;
            limits.body_bytes = options.response_bytes_max;
            let mut exchange = Box::new(Exchange::new(wire, ask, limits, watch.clone()));
            let head = poll_fn(|cx| exchange.poll_head(cx)).await;
            let kind = match head {
                Ok(head) => {
                    watch.clone_from(&exchange.watch);
                    return Ok(Begun { head, exchange });
                }
                Err(kind) => kind,
            };
            exchange.watch.stop();
            watch.clone_from(&exchange.watch);
            let closed = matches!(kind, Kind::Closed | Kind::Io(_)) && exchange.is_unanswered();
            let unseen = closed && exchange.is_unsent();
            let stale = closed && exchange.is_reused();
            if stale && (unseen || is_idempotent(&hop.method)) && again.is_some() {
                body = again;
                fresh = true;
                continue;
            }
            return Err(Failed { kind, unseen });
        }
    }

    fn kept(&self, key: &Key, fresh: bool) -> Option<Lease> {
        if fresh { None } else { self.pool.kept(key) }
    }

    /// A connection that was kept, unless it has to be `fresh`, or one that is made when there may be one more.
    pub(super) async fn connection(
        &self,
        route: &Route,
        key: &Key,
        fresh: bool,
        watch: &mut Watch,
    ) -> Result<Lease, Kind> {
        let acquired = watch.run(Phase::Pool, self.pool.acquire(key, fresh)).await;
        match acquired? {
            Acquired::Lease(wire) => {
                watch.timings.reused = true;
                Ok(wire)
            }
            Acquired::Place(place) => {
                let wire = self.dialer.dial(route, watch).await?;
                Ok(place.fill(Box::new(wire)))
            }
        }
    }

    pub(super) fn route(&self, url: &Url, upgrades: bool) -> Route {
        Route {
            host: url.host_str().unwrap_or_default().into(),
            port: url.port_or_known_default().unwrap_or_default(),
            tls: url.scheme() == "https",
            upgrades,
            proxy: self.proxies.of(url),
            socket: self.unix_socket.clone(),
        }
    }

    fn response(
        &self,
        begun: Begun,
        hop: Hop,
        options: &Options,
        redirects: Vec<Url>,
    ) -> Result<Response, Error> {
        let Begun { head, exchange } = begun;
        let (mut parts, ()) = http::Response::new(()).into_parts();
        (parts.status, parts.version) = (head.status, head.version);
        parts.headers = head.headers;
        let (decoding, remaining) = match head.framing {
            Framing::None => (None, Some(0)),
            framing => {
                let decoding = self.decoding(&mut parts.headers, hop.decompress);
                let decoding = decoding.map_err(|kind| failed(kind, &exchange.watch, &hop.url))?;
                let remaining = match framing {
                    Framing::Length(length) => Some(length),
                    _ => None,
                };
                (decoding, remaining)
            }
        };
        let peer = exchange.peer();
        let limit = options.response_bytes_max;
        let body = Arriving::new(exchange, decoding, remaining, limit, hop.url);
        Ok(Response::new(
            parts,
            body,
            peer,
            redirects,
            self.collect_bytes_max,
        ))
    }

    /// The decoders for a body, whose fields then tell of what comes out of them.
    fn decoding(
        &self,
        headers: &mut HeaderMap,
        decompress: bool,
    ) -> Result<Option<Decoding>, Kind> {
        if !decompress || !headers.contains_key(CONTENT_ENCODING) {
            return Ok(None);
        }
        let mut codings = String::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            let value = value.to_str();
            let value = value.map_err(|_| Kind::UnknownCoding("not even text".to_owned()))?;
            codings.push_str(value);
            codings.push(',');
        }
        let decoding = Decoding::new(codings.trim_end_matches(','), self.measure)?;
        if decoding.is_some() {
            headers.remove(CONTENT_ENCODING);
            headers.remove(CONTENT_LENGTH);
        }
        Ok(decoding)
    }
}
