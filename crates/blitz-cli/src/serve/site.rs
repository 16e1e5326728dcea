//! What answers: files, and what stands below `/.blitz/`.

use super::log::Log;
use super::page::{self, Page};
use blitz_http::files::Files;
use blitz_http::{Reply, Request, Response};
use http::header::{ALLOW, HOST};
use http::{HeaderValue, Method, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;

/// All that a request is answered from.
pub(super) struct Site {
    pub(super) files: Files,
    pub(super) log: Log,
    pub(super) page: Page,
    pub(super) listing: bool,
    /// On a loopback address: the names by which it may be asked, beside its own.
    pub(super) hosts: Option<Vec<String>>,
}

/// Answers one request, and has it logged.
pub(super) async fn answer(site: Arc<Site>, request: Request) -> Response {
    let line = site.log.begin(&request);
    let response = site.respond(request).await;
    line.follow(response)
}

impl Site {
    async fn respond(&self, mut request: Request) -> Response {
        if !self.knows_host(&request) {
            // Else a page of strangers could have its own name lead here, and read what this machine's user serves to nobody else.
            let why = "This server listens for its own machine only, and is not known by this name; --allow-host NAME changes that.\n";
            return (StatusCode::MISDIRECTED_REQUEST, why).into_response();
        }
        let path = request.uri().path().to_owned();
        let ours = path.strip_prefix(page::PATH);
        let is_files = path != "/" || self.files.contains("/index.html").await;
        if ours.is_none() && is_files {
            return self.files.answer(request).await;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response =
                (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n").into_response();
            let methods = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, methods);
            return response;
        }
        match ours {
            Some(name) => self.page.answer(name, &mut request, &self.log),
            None => {
                // Of a folder that cannot be listed the page says so.
                let entries = match self.listing {
                    true => Some(self.files.entries("/").await),
                    false => None,
                };
                self.page.start(entries)
            }
        }
    }

    /// Whether the request says a name that is ours: an address, `localhost`, or one that was allowed.
    fn knows_host(&self, request: &Request) -> bool {
        let Some(allowed) = &self.hosts else {
            return true;
        };
        let host = match request.uri().host() {
            Some(host) => host,
            None => match request.headers().get(HOST).map(HeaderValue::to_str) {
                Some(Ok(host)) => without_port(host),
                Some(Err(_)) => return false,
                // HTTP/1.0: no browser speaks it.
                None => return true,
            },
        };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || address.parse::<IpAddr>().is_ok()
            || allowed.contains(&host)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}
