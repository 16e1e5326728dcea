//! A response, put together.

use super::codings::{QUICK, SMALL, Wishes, is_worth_coding};
use super::compress::Compressed;
use super::conditions::{Outcome, Validators};
use super::open::{Opened, open, with_extension};
use super::path::{Refused, taken_apart};
use super::ranges::{Asked, asked};
use super::{Settings, listing};
use crate::file_body::{FileBody, Part};
use crate::{Body, Reply, Response};
use blitz_http_proto::HttpDate;
use blitz_io::fs::File;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderName, LAST_MODIFIED, LOCATION, RANGE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Shorter files are sent as they are: the fields would weigh more than what is saved.
const CODED_MIN: u64 = 1024;

/// So much of a file is looked at, whose name does not tell what it is.
const LOOK: usize = 512;

/// What is asked of an opened file.
struct Ask<'a> {
    settings: &'a Settings,
    method: &'a Method,
    headers: &'a HeaderMap,
}

pub(super) async fn to(settings: &Settings, request: &Parts) -> Response {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        let status = match request.method {
            Method::OPTIONS => StatusCode::NO_CONTENT,
            _ => StatusCode::METHOD_NOT_ALLOWED,
        };
        let mut response = plain(status);
        set(&mut response, ALLOW, "GET, HEAD, OPTIONS");
        return response;
    }
    let ask = Ask {
        settings,
        method: &request.method,
        headers: &request.headers,
    };
    match ask.answer(&request.uri).await {
        Ok(response) => response,
        Err(error) => failed(&error),
    }
}

impl Ask<'_> {
    async fn answer(&self, uri: &http::Uri) -> io::Result<Response> {
        let whole = uri.path();
        let Some(path) = whole.strip_prefix(self.settings.prefix.as_str()) else {
            return self.missing().await;
        };
        // The prefix alone is the directory without its slash.
        if path.is_empty() {
            return Ok(redirect(uri));
        }
        let wanted = match taken_apart(path, self.settings.dotfiles) {
            Ok(wanted) => wanted,
            Err(Refused::Malformed) => return Ok(plain(StatusCode::BAD_REQUEST)),
            Err(Refused::NotServed) => return self.missing().await,
        };
        let opened = match open(&self.settings.root, &wanted.path).await {
            Ok(opened) => opened,
            Err(error) if is_missing(&error) => return self.missing().await,
            Err(error) => return Err(error),
        };
        match (opened.is_dir, wanted.is_dir) {
            (false, false) => self.file(&wanted.path, opened).await,
            (false, true) => self.missing().await,
            (true, false) => Ok(redirect(uri)),
            (true, true) => {
                let index = wanted.path.join("index.html");
                match open(&self.settings.root, &index).await {
                    Ok(opened) if !opened.is_dir => return self.file(&index, opened).await,
                    Err(error) if !is_missing(&error) => return Err(error),
                    _ if !self.settings.listing => return self.missing().await,
                    _ => {}
                }
                let settings = self.settings;
                let entries =
                    listing::entries(&settings.root, &wanted.path, settings.dotfiles).await?;
                Ok(listing::page(&entries, &settings.prefix, &wanted.path))
            }
        }
    }

    /// The answer where there is nothing.
    async fn missing(&self) -> io::Result<Response> {
        let Some(fallback) = &self.settings.fallback else {
            return Ok(plain(StatusCode::NOT_FOUND));
        };
        match open(&self.settings.root, fallback).await {
            Ok(opened) if !opened.is_dir => self.file(fallback, opened).await,
            Err(error) if !is_missing(&error) => Err(error),
            _ => Ok(plain(StatusCode::NOT_FOUND)),
        }
    }

    async fn file(&self, path: &Path, plain_file: Opened) -> io::Result<Response> {
        let settings = self.settings;
        let kind = content_type(path, &plain_file.file).await?;
        let wishes = Wishes::of(self.headers);
        let varies = settings.precompressed || settings.compression && is_worth_coding(&kind);
        let (mut chosen, mut coding, mut made) = (plain_file, None, false);
        if settings.precompressed {
            for wanted in wishes.wanted(SMALL) {
                let beside = with_extension(path, wanted.extension());
                match open(&settings.root, &beside).await {
                    // One that is older is of a file that is no more.
                    Ok(beside) if !beside.is_dir && beside.modified >= chosen.modified => {
                        (chosen, coding) = (beside, Some(wanted));
                        break;
                    }
                    _ => {}
                }
            }
        }
        // What is made on the way has no length, so no part of it can be named.
        let could = settings.compression && coding.is_none() && chosen.len >= CODED_MIN;
        if could && is_worth_coding(&kind) && !self.headers.contains_key(RANGE) {
            coding = wishes.wanted(QUICK).next();
            made = coding.is_some();
        }
        if coding.is_none() && wishes.identity == 0 {
            let mut response = plain(StatusCode::NOT_ACCEPTABLE);
            vary(&mut response, varies);
            return Ok(response);
        }
        let now = SystemTime::now();
        let name = coding.map(|coding| coding.name());
        let validators = Validators::new(chosen.len, chosen.modified, name, made, now);
        let mut response = match validators.judge(self.headers) {
            Outcome::Failed => plain(StatusCode::PRECONDITION_FAILED),
            Outcome::NotModified => StatusCode::NOT_MODIFIED.into_response(),
            Outcome::Proceed => {
                let file = chosen.file;
                let mut response = match coding.filter(|_| made) {
                    Some(_) if *self.method == Method::HEAD => Body::new(Unsent).into_response(),
                    Some(coding) => {
                        Body::new(Compressed::new(file, chosen.len, coding)?).into_response()
                    }
                    None => self.whole_or_part(file, chosen.len, &kind, &validators),
                };
                if let Some(name) = name.filter(|_| response.status().is_success()) {
                    set(&mut response, CONTENT_ENCODING, name);
                }
                if !made {
                    set(&mut response, ACCEPT_RANGES, "bytes");
                }
                if !response.headers().contains_key(CONTENT_TYPE) {
                    set(&mut response, CONTENT_TYPE, &kind);
                }
                set(&mut response, X_CONTENT_TYPE_OPTIONS, "nosniff");
                response
            }
        };
        set(&mut response, ETAG, &validators.etag());
        if let Some(modified) = validators.modified() {
            let date = HttpDate::from_unix(modified);
            set(&mut response, LAST_MODIFIED, date.as_str());
        }
        if let Some(value) = &settings.cache_control {
            response.headers_mut().insert(CACHE_CONTROL, value.clone());
        }
        vary(&mut response, varies);
        Ok(response)
    }

    /// The file, or the parts of it that were asked for.
    fn whole_or_part(
        &self,
        file: Arc<File>,
        len: u64,
        kind: &str,
        validators: &Validators,
    ) -> Response {
        // Ranges are defined for GET alone.
        let field = self
            .headers
            .get(RANGE)
            .filter(|_| *self.method == Method::GET);
        let field = field.filter(|_| validators.allows_range(self.headers));
        match field.map_or(Asked::Whole, |field| asked(field.as_bytes(), len)) {
            Asked::Whole => Body::file(file, 0, len).into_response(),
            Asked::Nothing => {
                let mut response = plain(StatusCode::RANGE_NOT_SATISFIABLE);
                set(&mut response, CONTENT_RANGE, &format!("bytes */{len}"));
                response
            }
            Asked::One(range) => {
                let body = Body::file(file, range.start, range.end - range.start);
                let mut response = (StatusCode::PARTIAL_CONTENT, body).into_response();
                set(&mut response, CONTENT_RANGE, &content_range(&range, len));
                response
            }
            Asked::Many(ranges) => {
                let boundary = boundary();
                let body = Body::parts(FileBody::new(file, parts(&ranges, len, kind, &boundary)));
                let mut response = (StatusCode::PARTIAL_CONTENT, body).into_response();
                let kind = format!("multipart/byteranges; boundary={boundary}");
                set(&mut response, CONTENT_TYPE, &kind);
                response
            }
        }
    }
}

/// A body of unknown length that HEAD tells of: whoever polls it gets nothing.
struct Unsent;

impl http_body::Body for Unsent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
        std::task::Poll::Ready(None)
    }
}

/// Each range with a head of its own, and the boundary around all (RFC 9110 section 14.6).
fn parts(ranges: &[Range<u64>], len: u64, kind: &str, boundary: &str) -> Vec<Part> {
    let mut parts = Vec::with_capacity(2 * ranges.len() + 1);
    for range in ranges {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {}\r\n\r\n",
            content_range(range, len)
        );
        parts.push(Part::Bytes(head.into()));
        parts.push(Part::Range {
            offset: range.start,
            len: range.end - range.start,
        });
    }
    parts.push(Part::Bytes(format!("\r\n--{boundary}--\r\n").into()));
    parts
}

/// What stands in no file but by chance.
fn boundary() -> String {
    let random = || RandomState::new().hash_one(0u8);
    format!("{:016x}{:016x}", random(), random())
}

fn content_range(range: &Range<u64>, len: u64) -> String {
    format!("bytes {}-{}/{len}", range.start, range.end - 1)
}

/// The type that a name's end tells, or where it tells none, whether the file begins as text; text is taken for UTF-8.
async fn content_type(path: &Path, file: &File) -> io::Result<String> {
    let Some(kind) = mime_guess::from_path(path).first_raw() else {
        let (read, begin) = file.read_at(Vec::with_capacity(LOOK), 0).await;
        read?;
        let kind = match is_text(&begin) {
            true => "text/plain; charset=utf-8",
            false => "application/octet-stream",
        };
        return Ok(kind.to_owned());
    };
    Ok(
        if kind.starts_with("text/") || kind == "application/javascript" {
            format!("{kind}; charset=utf-8")
        } else {
            kind.to_owned()
        },
    )
}

/// Whether these are characters that a page of text has; the last of them may be cut.
fn is_text(begin: &[u8]) -> bool {
    let whole = match std::str::from_utf8(begin) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&begin[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let shown = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}');
    !whole.is_empty() && whole.chars().all(shown)
}

/// The same path with a slash behind it. It begins with one slash and not two, so it names no other host.
fn redirect(uri: &http::Uri) -> Response {
    let query = uri.query().map(|query| format!("?{query}"));
    let to = format!("{}/{}", uri.path(), query.unwrap_or_default());
    let mut response = plain(StatusCode::MOVED_PERMANENTLY);
    set(&mut response, LOCATION, &to);
    response
}

/// A status and its phrase.
fn plain(status: StatusCode) -> Response {
    let phrase = status.canonical_reason().unwrap_or_default();
    match status {
        StatusCode::NO_CONTENT => status.into_response(),
        _ => (status, format!("{phrase}\n")).into_response(),
    }
}

fn failed(error: &io::Error) -> Response {
    let status = match error.kind() {
        io::ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
        _ if blitz_sys::errno::is_out_of_descriptors(error) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if status.is_server_error() {
        let error: &dyn std::error::Error = error;
        tracing::warn!(error, "a file cannot be served");
    }
    plain(status)
}

/// Whether there is no such file below the directory.
fn is_missing(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, InvalidFilename, InvalidInput, NotADirectory, NotFound};
    // Too many links are named by no kind yet: what goes in circles is nowhere.
    matches!(
        error.kind(),
        NotFound | NotADirectory | CrossesDevices | InvalidInput | InvalidFilename
    ) || blitz_sys::beneath::is_loop(error)
}

fn vary(response: &mut Response, varies: bool) {
    if varies {
        set(response, VARY, "accept-encoding");
    }
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    // Made of numbers, names of types, and a target that was one: all of it visible ASCII.
    let value = HeaderValue::from_str(value).expect("a field's value");
    response.headers_mut().insert(name, value);
}
