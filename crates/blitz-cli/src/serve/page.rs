//! The start page, and what it loads: all of it is in the program, and nothing comes from elsewhere.

use super::figures;
use super::log::Log;
use blitz_http::files::Entries;
use blitz_http::sse::{Event, Events};
use blitz_http::ws::{self, WebSocket};
use blitz_http::{Handle, Reply, Request, Response};
use blitz_io::runtime;
use blitz_io::stream::StreamExt;
use blitz_io::stream::wrappers::IntervalStream;
use blitz_io::time::{MissedTickBehavior, interval};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// What its paths begin with. A name that begins with a dot is hidden in the directory, so no file is hidden by it.
pub(super) const PATH: &str = "/.blitz/";

const HTML: &str = include_str!("page.html");
const CSS: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What the socket of the page takes, in bytes.
const ECHO_MAX: usize = 64 * 1024;
/// Between two readings of the figures.
const EVERY: Duration = Duration::from_secs(1);

/// The page of one server.
pub(super) struct Page {
    /// With everything in it but the files.
    html: String,
    begun: Instant,
    server: Handle,
}

impl Page {
    /// The page of a server of `dir`. Within a runtime, of which it tells.
    pub(super) fn new(dir: &Path, server: &Handle) -> Page {
        let handle = runtime::Handle::current();
        let capabilities = handle.capabilities();
        let html = HTML
            .replace("{dir}", &escaped(&dir.display().to_string()))
            .replace("{version}", env!("CARGO_PKG_VERSION"))
            .replace("{backend}", &escaped(&capabilities.backend().to_string()))
            .replace("{reason}", &escaped(capabilities.reason()))
            .replace("{workers}", &handle.metrics().num_workers().to_string());
        Page {
            html,
            begun: Instant::now(),
            server: server.clone(),
        }
    }

    /// What stands below [`PATH`].
    pub(super) fn answer(&self, name: &str, request: &mut Request, log: &Log) -> Response {
        match name {
            "" => self.start(None),
            "page.css" => typed(CSS, "text/css; charset=utf-8"),
            "page.js" => typed(SCRIPT, "text/javascript; charset=utf-8"),
            "ping" => typed("pong\n", "text/plain; charset=utf-8"),
            "figures" => {
                let figures = figures::now(self.begun, &self.server, log);
                typed(format!("{figures}\n"), "application/json")
            }
            "live" if request.method() == http::Method::GET => self.live(log),
            "echo" => echo(request),
            "live" => StatusCode::NO_CONTENT.into_response(),
            _ => (StatusCode::NOT_FOUND, "Not Found\n").into_response(),
        }
    }

    /// The page, with the files of the directory if they are given.
    pub(super) fn start(&self, entries: Option<io::Result<Entries>>) -> Response {
        let files = match entries {
            None => "<p><a href=\"/\">To the files</a></p>".to_owned(),
            Some(Ok(entries)) => entries.html_table(),
            Some(Err(error)) => format!(
                "<p>The folder cannot be listed: {}.</p>",
                escaped(&error.to_string())
            ),
        };
        typed(
            self.html.replace("{files}", &files),
            "text/html; charset=utf-8",
        )
    }

    /// The figures, once a second, while somebody looks.
    fn live(&self, log: &Log) -> Response {
        let (begun, server, log) = (self.begun, self.server.clone(), log.clone());
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let events = IntervalStream::new(ticks).map(move |_| {
            let figures = figures::now(begun, &server, &log);
            Event::new().data(figures.to_string())
        });
        Events::new(events)
            .retry(EVERY)
            .end_with(&self.server)
            .into_response()
    }
}

/// A WebSocket that sends back what comes, for pages of this server.
fn echo(request: &mut Request) -> Response {
    let mut config = ws::Config::default();
    config.deflate = Some(ws::Deflate::default());
    config.limits.message = ECHO_MAX;
    ws::accept(request)
        .config(config)
        .run(async |mut socket: WebSocket| {
            while let Some(message) = socket.recv().await? {
                socket.send(message).await?;
            }
            Ok::<_, ws::Error>(())
        })
}

fn typed(body: impl Reply, kind: &'static str) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Text that is only text in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('{', "&#123;")
}
