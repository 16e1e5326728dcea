//! The small router: a method and a path choose a handler. [`exact`] and [`tree`] find paths; [`handler`] is what stands at their ends.

mod exact;
mod handler;
mod tree;

pub use handler::{Handler, Limited, Look, Looker, Now, RouterFuture, limited, look, now};

use self::exact::Exact;
use self::handler::Mounted;
use self::tree::{Found, Node};
use crate::{Body, BoxError, Reply, Request, Response};
use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode};
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use tower_service::Service;

/// Routes, by method and path.
///
/// A path is made of segments: as they are, `{name}` for any one that is not empty, and at the end `{*name}` for all that follow. As they
/// are goes before a name, and that before the rest. What no path matches gets 404; what matches with another method gets 405
/// with `Allow`. HEAD is answered by GET's handler, OPTIONS by the methods there are, `OPTIONS *` by all that are known.
///
/// ```
/// use blitz_http::{Request, Router, now};
///
/// let users = Router::new().get("/{id}", |request: Request| async move {
///     blitz_http::param(&request, "id").unwrap_or_default().to_owned()
/// });
/// let router = Router::new().get("/", now(|_| "Hello, World!")).nest("/users", users);
/// # let _ = router;
/// ```
#[derive(Clone, Default)]
pub struct Router {
    routes: Arc<Routes>,
}

#[derive(Clone, Default)]
pub(crate) struct Routes {
    root: Node,
    /// Those without names: as they are goes before a name at every segment, so what is here is what a search would find.
    exact: Exact,
    fallback: Option<Arc<dyn Handler>>,
}

/// What stood in the names of a path.
#[derive(Clone, Debug)]
struct Params(Vec<(Arc<str>, String)>);

/// What stood in the path where the route has `{name}` or `{*name}`, decoded.
pub fn param<'a, B>(request: &'a http::Request<B>, name: &str) -> Option<&'a str> {
    let params = request.extensions().get::<Params>()?;
    let (_, value) = params.0.iter().find(|(key, _)| **key == *name)?;
    Some(value)
}

macro_rules! methods {
    ($($name:ident $method:ident),*) => { $(
        #[doc = concat!("Adds a handler for ", stringify!($method), ".\n\n# Panics\nAs [`route`](Router::route).")]
        #[must_use]
        #[track_caller]
        pub fn $name(self, path: &str, handler: impl Handler) -> Router {
            self.route(Method::$method, path, handler)
        }
    )* };
}

impl Router {
    /// No routes.
    pub fn new() -> Router {
        Router::default()
    }

    methods!(get GET, post POST, put PUT, patch PATCH, delete DELETE, head HEAD, options OPTIONS);

    /// Adds a handler for a method.
    ///
    /// # Panics
    /// When `path` does not begin with `/`, has a name that is not closed, is empty, stands twice or under another one in its
    /// place, or when the route is there already.
    #[must_use]
    #[track_caller]
    pub fn route(self, method: Method, path: &str, handler: impl Handler) -> Router {
        self.add(Some(method), path, Arc::new(handler))
    }

    /// Adds a handler for every method that has none of its own.
    ///
    /// # Panics
    /// As [`route`](Router::route).
    #[must_use]
    #[track_caller]
    pub fn any(self, path: &str, handler: impl Handler) -> Router {
        self.add(None, path, Arc::new(handler))
    }

    /// Hands all that begins with `path` to a service of another kind, with the path as it came.
    ///
    /// # Panics
    /// As [`route`](Router::route).
    #[must_use]
    #[track_caller]
    pub fn mount<S, B>(self, path: &str, service: S) -> Router
    where
        S: Service<Request, Response = http::Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let handler: Arc<dyn Handler> = Arc::new(Mounted(service));
        let path = path.trim_end_matches('/');
        let rest = format!("{path}/{{*}}");
        let router = self.add(None, &rest, Arc::clone(&handler));
        if path.is_empty() {
            router
        } else {
            router.add(None, path, handler)
        }
    }

    /// Adds all routes of another router behind `path`, and its fallback for what else begins so.
    ///
    /// # Panics
    /// As [`route`](Router::route).
    #[must_use]
    #[track_caller]
    pub fn nest(mut self, path: &str, inner: Router) -> Router {
        let prefix = path.trim_end_matches('/');
        inner.routes.root.each(&mut |below, method, handler| {
            let whole = match below {
                "/" if !prefix.is_empty() => prefix.to_owned(),
                below => format!("{prefix}{below}"),
            };
            let router = std::mem::take(&mut self);
            self = router.add(method.cloned(), &whole, Arc::clone(handler));
        });
        match &inner.routes.fallback {
            Some(fallback) => self.add(None, &format!("{prefix}/{{*}}"), Arc::clone(fallback)),
            None => self,
        }
    }

    /// Answers what no path matches, in place of 404.
    #[must_use]
    pub fn fallback(mut self, handler: impl Handler) -> Router {
        Arc::make_mut(&mut self.routes).fallback = Some(Arc::new(handler));
        self
    }

    #[track_caller]
    fn add(mut self, method: Option<Method>, path: &str, handler: Arc<dyn Handler>) -> Router {
        let routes = Arc::make_mut(&mut self.routes);
        match routes.root.add(path, method, handler) {
            Ok(leaf) if !path.contains('{') => routes.exact.set(path, leaf),
            Ok(_) => {}
            Err(why) => panic!("the route {path} cannot be added: {why}"),
        }
        self
    }

    /// The place of the handler of a request, if its path has no names in it and its method is the handler's own. HEAD has none.
    pub(crate) fn place(&self, request: &Request) -> Option<Place> {
        let path = self.routes.exact.place(request.uri().path())?;
        let method = self.routes.exact.at(path)?.place(request.method())?;
        (request.method() != Method::HEAD).then(|| Place {
            routes: Arc::downgrade(&self.routes),
            path,
            method,
        })
    }

    /// The handler at a place, if that is one of this router's.
    #[inline]
    pub(crate) fn is_at(&self, place: &Place) -> Option<&dyn Handler> {
        if !std::ptr::eq(place.routes.as_ptr(), Arc::as_ptr(&self.routes)) {
            return None;
        }
        self.routes.exact.at(place.path)?.handler_at(place.method)
    }

    /// The request is looked at where it stands: to hand it on costs a copy each time.
    #[inline]
    pub(crate) fn choose(&self, request: &mut Request) -> Choice<'_> {
        let path = request.uri().path();
        if let Some(leaf) = self.routes.exact.find(path)
            && let Some(handler) = leaf.handler(request.method())
        {
            return admit(handler, request);
        }
        self.search(request)
    }

    /// The same of a path that is not found at once.
    #[inline(never)]
    fn search(&self, request: &mut Request) -> Choice<'_> {
        let path = request.uri().path();
        if path == "*" {
            return Choice::Answer(allow("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        let Some(Found { leaf, values }) = self.routes.root.find(path) else {
            return match &self.routes.fallback {
                Some(fallback) => admit(&**fallback, request),
                None if request.method() == Method::CONNECT => Choice::Answer(not_allowed("")),
                None => Choice::Answer((StatusCode::NOT_FOUND, "Not Found\n").into_response()),
            };
        };
        let Some(handler) = leaf.handler(request.method()) else {
            let methods = leaf.methods();
            return Choice::Answer(if request.method() == Method::OPTIONS {
                allow(&methods)
            } else {
                not_allowed(&methods)
            });
        };
        if !values.is_empty() {
            let Some(params) = leaf.params(&values) else {
                let response = (StatusCode::BAD_REQUEST, "the path is not UTF-8\n");
                return Choice::Answer(response.into_response());
            };
            request.extensions_mut().insert(Params(params));
        }
        admit(handler, request)
    }
}

/// Where a handler is in a router. It keeps the place of the routes and not the routes, so that another router is never taken for theirs.
#[derive(Debug)]
pub(crate) struct Place {
    routes: Weak<Routes>,
    path: (usize, usize),
    method: usize,
}

/// Who answers a request.
pub(crate) enum Choice<'a> {
    Handler(&'a dyn Handler),
    /// The router itself.
    Answer(Response),
}

#[inline]
fn admit<'a>(handler: &'a dyn Handler, request: &mut Request) -> Choice<'a> {
    if let Some(limit) = handler.body_limit() {
        request.body_mut().set_limit(limit);
    }
    // A length that is known is refused before anything is sent for it.
    if request.body().is_too_large() {
        let response = (StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large\n");
        return Choice::Answer(response.into_response());
    }
    Choice::Handler(handler)
}

fn allow(methods: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    // Methods are tokens.
    let value = HeaderValue::from_str(methods).expect("tokens and commas");
    response.headers_mut().insert(ALLOW, value);
    response
}

fn not_allowed(methods: &str) -> Response {
    let mut response = (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n").into_response();
    let value = HeaderValue::from_str(methods).expect("tokens and commas");
    response.headers_mut().insert(ALLOW, value);
    response
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

impl Service<Request> for Router {
    type Response = Response;
    type Error = Infallible;
    type Future = RouterFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, mut request: Request) -> RouterFuture {
        match self.choose(&mut request) {
            Choice::Handler(handler) => handler.call(request),
            Choice::Answer(response) => RouterFuture::ready(response),
        }
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut routes = f.debug_list();
        self.routes.root.each(&mut |path, method, _| {
            routes.entry(&format_args!(
                "{} {path}",
                method.map_or("*", Method::as_str)
            ));
        });
        routes.finish()
    }
}
