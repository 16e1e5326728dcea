//! Files of a directory as a service: [`Files`].
//!
//! Within, `path` makes names of a target, `open` opens them and never leaves the directory, `codings` and `compress` choose and make what is
//! compressed, `conditions` and `ranges` answer what a client has already or wants a part of, `answer` puts a response together, and
//! `listing` shows a directory.

mod answer;
mod codings;
mod compress;
mod conditions;
mod listing;
mod open;
mod path;
mod ranges;
#[cfg(test)]
mod tests;

pub use listing::{Entries, Entry};

use crate::router::{Handler, RouterFuture};
use crate::{Request, Response};
use blitz_sys::beneath::Root;
use http::HeaderValue;
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// Serves the files of a directory, for GET and HEAD: a service, and a handler of a [`Router`](crate::Router).
///
/// - A path names files below the directory, and nothing else: symbolic links are followed as long as they stay below it
///   (`openat2` with `RESOLVE_BENEATH`), and not at all on kernels before 5.6. Names that begin with a dot are hidden, but for `/.well-known/`.
/// - Conditional requests (RFC 9110 section 13) by `ETag` and `Last-Modified`, ranges (section 14; up to 16 in one request) with `If-Range`.
///   A file that was changed in the last two seconds has a weak tag, since a further change might not show.
/// - A file beside the wanted one with `.br`, `.zst` or `.gz` behind its name, and not older, is sent in its place to clients that want
///   it; else text and the like of 1 KiB and more is compressed on the way, on threads that compute.
/// - A directory is answered by its `index.html`, or if that is asked for by a listing; without a slash at the end, by a redirect.
/// - On plain TCP the kernel sends the bytes from the file to the socket; see [`Body::file`](crate::Body::file).
///
/// ```
/// use blitz_http::files::Files;
/// use blitz_http::{Router, Server};
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = std::env::temp_dir();
/// let files = Files::new(&dir)?.prefix("/static").cache_control("max-age=3600");
/// let router = Router::new().mount("/static", files);
/// let server = Server::bind("127.0.0.1:0").await?;
/// # let _ = (router, server);
/// assert!(Files::new(dir.join("of which there is none")).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Files(Arc<Settings>);

#[derive(Clone, Debug)]
struct Settings {
    root: Arc<Root>,
    prefix: String,
    dotfiles: bool,
    precompressed: bool,
    compression: bool,
    listing: bool,
    fallback: Option<PathBuf>,
    cache_control: Option<HeaderValue>,
}

impl Files {
    /// The files below `dir`, which is opened now: it may be moved later.
    ///
    /// # Errors
    /// Those of `open(2)`; `NotADirectory` when it is none.
    pub fn new(dir: impl AsRef<Path>) -> io::Result<Files> {
        Ok(Files(Arc::new(Settings {
            root: Arc::new(Root::new(dir.as_ref())?),
            prefix: String::new(),
            dotfiles: false,
            precompressed: true,
            compression: true,
            listing: false,
            fallback: None,
            cache_control: None,
        })))
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Files {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// What the paths of requests begin with, and the names of files do not.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Files {
        self.set(|to| prefix.trim_end_matches('/').clone_into(&mut to.prefix))
    }

    /// Whether names that begin with a dot are served. No.
    #[must_use]
    pub fn dotfiles(self, yes: bool) -> Files {
        self.set(|to| to.dotfiles = yes)
    }

    /// Whether `.br`, `.zst` and `.gz` files stand for those beside them. Yes.
    #[must_use]
    pub fn precompressed(self, yes: bool) -> Files {
        self.set(|to| to.precompressed = yes)
    }

    /// Whether files are compressed on the way. Yes; without the crate's feature `compression` by gzip alone.
    #[must_use]
    pub fn compression(self, yes: bool) -> Files {
        self.set(|to| to.compression = yes)
    }

    /// Whether a directory without `index.html` is answered by a page that lists it. No.
    #[must_use]
    pub fn listing(self, yes: bool) -> Files {
        self.set(|to| to.listing = yes)
    }

    /// The file that answers what there is not, with 200: for programs in the browser that have paths of their own.
    #[must_use]
    pub fn fallback(self, file: impl Into<PathBuf>) -> Files {
        self.set(|to| to.fallback = Some(file.into()))
    }

    /// Sets `Cache-Control` of files. None is sent without it, and clients guess.
    ///
    /// # Panics
    /// When `value` is none of a field.
    #[must_use]
    #[track_caller]
    pub fn cache_control(self, value: &str) -> Files {
        let value = HeaderValue::from_str(value).expect("Cache-Control is visible ASCII");
        self.set(|to| to.cache_control = Some(value))
    }

    /// Answers a request: what the service does.
    ///
    /// # Cancel safety
    /// Safe: nothing is changed.
    pub async fn answer(&self, request: Request) -> Response {
        answer::to(&self.0, &request.into_parts().0).await
    }

    /// Whether a path, as a request has it, names a file that is served.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn contains(&self, path: &str) -> bool {
        let Ok(wanted) = path::taken_apart(path, self.0.dotfiles) else {
            return false;
        };
        let opened = open::open(&self.0.root, &wanted.path).await;
        opened.is_ok_and(|opened| !opened.is_dir && !wanted.is_dir)
    }

    /// What is in the directory that a path names: what a listing shows.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Errors
    /// `NotFound` for what is no directory, or is not served; those of the file system.
    pub async fn entries(&self, path: &str) -> io::Result<Entries> {
        let wanted = path::taken_apart(path, self.0.dotfiles);
        let wanted = wanted.map_err(|_| io::ErrorKind::NotFound)?;
        listing::entries(&self.0.root, &wanted.path, self.0.dotfiles).await
    }
}

impl Service<Request> for Files {
    type Response = Response;
    type Error = Infallible;
    type Future = RouterFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> RouterFuture {
        Handler::call(self, request)
    }
}

impl Handler for Files {
    fn call(&self, request: Request) -> RouterFuture {
        let settings = Arc::clone(&self.0);
        let (request, _) = request.into_parts();
        RouterFuture::later(async move { answer::to(&settings, &request).await })
    }
}
