//! What can go wrong with a request, in which phase, and how long the phases before it took.

use super::timing::{Phase, Timings};
use crate::BoxError;
use blitz_tls::{CertificateProblem, ConfigError, TlsError};
use http::StatusCode;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Why a request failed.
///
/// It says in which [phase](Error::phase) that was, and how long the [earlier ones](Error::timings) took. What the server
/// answered is no error, whatever its status: [`Response::error_for_status`](super::Response::error_for_status) makes it one.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    phase: Option<Phase>,
    url: Option<Url>,
    timings: Timings,
}

/// What went wrong. One row each in `says`, and a word in `name`.
#[derive(Debug)]
pub(super) enum Kind {
    /// The request cannot be made of what was given.
    Request(String),
    /// An address that is none.
    Url(url::ParseError),
    Timeout {
        limit: Duration,
    },
    TotalTimeout {
        limit: Duration,
    },
    Dns(io::Error),
    NoAddress,
    NotPublic(IpAddr),
    Connect(io::Error),
    TlsConfig(Arc<ConfigError>),
    Tls(TlsError),
    Proxy(String),
    ProxyIo(io::Error),
    ProxyStatus(StatusCode),
    /// The connection ended, and nothing of a response had come.
    Closed,
    /// It failed.
    Io(io::Error),
    /// What came is no response, or too much of one.
    Message(blitz_http_proto::Error),
    /// The request's own body.
    Upload(BoxError),
    UploadLength(blitz_http_proto::Error),
    TooLarge {
        limit: u64,
    },
    Bomb {
        encoded: u64,
        decoded: u64,
    },
    Coding(&'static str, io::Error),
    UnknownCoding(String),
    TooManyRedirects(usize),
    RedirectLoop,
    RedirectTarget(String),
    RedirectDowngrade,
    Json(serde_json::Error),
    Status(StatusCode),
    /// A stream of events that is none, or ended for good.
    Events(String),
    EventTooLarge(blitz_http_proto::sse::TooLarge),
    NoUpgrade,
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Kind::Request(_) | Kind::Url(_) => "request",
            Kind::Timeout { .. } | Kind::TotalTimeout { .. } => "timeout",
            Kind::Dns(_) | Kind::NoAddress => "dns",
            Kind::NotPublic(_) => "not_public",
            Kind::Connect(_) => "connect",
            Kind::TlsConfig(_) | Kind::Tls(_) => "tls",
            Kind::Proxy(_) | Kind::ProxyIo(_) | Kind::ProxyStatus(_) => "proxy",
            Kind::Closed => "closed",
            Kind::Io(_) => "io",
            Kind::Message(error) if error.is_truncated() => "truncated",
            Kind::Message(error) if error.is_too_large() => "too_large",
            Kind::Message(_) => "malformed",
            Kind::Upload(_) | Kind::UploadLength(_) => "upload",
            Kind::TooLarge { .. } | Kind::Bomb { .. } => "too_large",
            Kind::Coding(..) | Kind::UnknownCoding(_) => "coding",
            Kind::TooManyRedirects(_)
            | Kind::RedirectLoop
            | Kind::RedirectTarget(_)
            | Kind::RedirectDowngrade => "redirect",
            Kind::Json(_) => "json",
            Kind::Status(_) => "status",
            Kind::Events(_) | Kind::EventTooLarge(_) => "events",
            Kind::NoUpgrade => "upgrade",
        }
    }

    /// Whether it may go better in a moment.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Kind::Dns(_) | Kind::Connect(_) | Kind::ProxyIo(_) | Kind::Closed | Kind::Io(_) => true,
            Kind::Timeout { .. } => true,
            Kind::Tls(error) => error.certificate_problem().is_none(),
            Kind::ProxyStatus(status) => status.is_server_error(),
            Kind::Message(error) => error.is_truncated(),
            _ => false,
        }
    }

    /// What an error of a stream is: that of its TLS session, if it has one.
    pub(super) fn of_io(error: io::Error, other: impl FnOnce(io::Error) -> Kind) -> Kind {
        if TlsError::of(&error).is_none() {
            return other(error);
        }
        let kind = error.kind();
        let inner = error.into_inner().and_then(|inner| inner.downcast().ok());
        match inner {
            Some(error) => Kind::Tls(*error),
            None => other(kind.into()),
        }
    }

    /// The phrase, and what is behind it.
    fn says(&self, phase: Option<Phase>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Request(why) => write!(f, "request cannot be made: {why}"),
            Kind::Url(_) => f.write_str("request cannot be made: its address is malformed"),
            Kind::Timeout { limit } => {
                let what = match phase {
                    Some(Phase::Pool) => "no connection became free",
                    Some(Phase::Dns) => "name was not resolved",
                    Some(Phase::Connect) => "no connection was opened",
                    Some(Phase::Proxy) => "proxy opened no way through",
                    Some(Phase::Tls) => "TLS handshake was not done",
                    Some(Phase::Send) => "server took nothing more of the request",
                    Some(Phase::Body) => "nothing more of the response came",
                    _ => "response did not begin",
                };
                write!(f, "{what} within {limit:?}")
            }
            Kind::TotalTimeout { limit } => {
                let phase = phase.map_or("end", Phase::name);
                write!(
                    f,
                    "request was not done within {limit:?}, and ended in phase {phase}"
                )
            }
            Kind::Dns(_) => f.write_str("name could not be resolved"),
            Kind::NoAddress => f.write_str("name has no address"),
            Kind::NotPublic(address) => write!(
                f,
                "address {address} is not public, and this client goes to public ones only"
            ),
            Kind::Connect(_) => f.write_str("connection could not be opened"),
            Kind::TlsConfig(_) => f.write_str("TLS cannot be spoken"),
            Kind::Tls(_) => f.write_str("TLS failed"),
            Kind::Proxy(why) => write!(f, "proxy failed: {why}"),
            Kind::ProxyIo(_) => f.write_str("connection to the proxy failed"),
            Kind::ProxyStatus(status) => write!(f, "proxy refused with {status}"),
            Kind::Closed => f.write_str("connection was closed before a response came"),
            Kind::Io(_) => f.write_str("connection failed"),
            Kind::Message(_) => f.write_str("response is malformed, cut off or too large"),
            Kind::Upload(_) => f.write_str("request's body failed"),
            Kind::UploadLength(_) => f.write_str("request's body has another length than it said"),
            Kind::TooLarge { limit } => {
                write!(f, "response is larger than {limit} bytes")
            }
            Kind::Bomb { encoded, decoded } => write!(
                f,
                "response grows without measure: {encoded} bytes have become {decoded}"
            ),
            Kind::Coding(name, _) => {
                write!(f, "response's {name} coding is malformed or cut off")
            }
            Kind::UnknownCoding(name) => write!(f, "response has the unknown coding {name:?}"),
            Kind::TooManyRedirects(max) => write!(f, "server redirected more than {max} times"),
            Kind::RedirectLoop => f.write_str("server redirects in a circle"),
            Kind::RedirectTarget(target) => {
                write!(f, "server redirects to {target:?}, which is no address")
            }
            Kind::RedirectDowngrade => f.write_str("server redirects from https to http"),
            Kind::Json(_) => f.write_str("JSON is malformed, or not what was expected"),
            Kind::Status(status) => write!(f, "server answered {status}"),
            Kind::Events(why) => write!(f, "stream of events failed: {why}"),
            Kind::EventTooLarge(_) => f.write_str("stream of events failed"),
            Kind::NoUpgrade => f.write_str("server did not switch protocols"),
        }
    }
}

impl Error {
    pub(super) fn new(kind: Kind) -> Error {
        Error(Box::new(Inner {
            kind,
            phase: None,
            url: None,
            timings: Timings::default(),
        }))
    }

    pub(super) fn during(kind: Kind, phase: Phase, timings: &Timings, url: &Url) -> Error {
        Error(Box::new(Inner {
            kind,
            phase: Some(phase),
            url: Some(url.clone()),
            timings: timings.clone(),
        }))
    }

    pub(super) fn at(mut self, url: &Url) -> Error {
        self.0.url = Some(url.clone());
        self
    }

    /// In which phase it failed; none where nothing had begun or all was done.
    pub fn phase(&self) -> Option<Phase> {
        self.0.phase
    }

    /// How long the phases took, that it failed in included.
    pub fn timings(&self) -> &Timings {
        &self.0.timings
    }

    /// Where the request went that failed: after redirects not where the first one went.
    pub fn url(&self) -> Option<&Url> {
        self.0.url.as_ref()
    }

    /// What went wrong, in one word that stays the same: `request`, `timeout`, `dns`, `not_public`, `connect`, `tls`, `proxy`,
    /// `closed`, `io`, `truncated`, `malformed`, `upload`, `too_large`, `coding`, `redirect`, `json`, `status`, `events`
    /// or `upgrade`.
    pub fn name(&self) -> &'static str {
        self.0.kind.name()
    }

    /// Whether a limit of time was reached.
    pub fn is_timeout(&self) -> bool {
        self.name() == "timeout"
    }

    /// Whether no connection came about: nothing of the request was sent.
    pub fn is_connect(&self) -> bool {
        matches!(
            self.0.phase,
            Some(Phase::Pool | Phase::Dns | Phase::Connect | Phase::Proxy | Phase::Tls)
        )
    }

    /// Whether the response was larger than allowed, its head or its body.
    pub fn is_too_large(&self) -> bool {
        match &self.0.kind {
            Kind::TooLarge { .. } | Kind::Bomb { .. } => true,
            Kind::Message(error) => error.is_too_large(),
            _ => false,
        }
    }

    /// Whether following redirects failed.
    pub fn is_redirect(&self) -> bool {
        self.name() == "redirect"
    }

    /// The status of an answer that [`error_for_status`](super::Response::error_for_status) took for a failure, or of a proxy that refused.
    pub fn status(&self) -> Option<StatusCode> {
        match &self.0.kind {
            Kind::Status(status) | Kind::ProxyStatus(status) => Some(*status),
            _ => None,
        }
    }

    /// What is wrong with the server's certificate, if that is what failed.
    pub fn certificate_problem(&self) -> Option<CertificateProblem> {
        match &self.0.kind {
            Kind::Tls(error) => error.certificate_problem(),
            _ => None,
        }
    }

    /// All of it in one line, with what is behind it: what `{:#}` of some libraries prints.
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            let said = error.to_string();
            if !line.ends_with(&said) {
                line.push_str(": ");
                line.push_str(&said);
            }
            source = error.source();
        }
        line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.kind.says(self.0.phase, f)?;
        if let Some(url) = &self.0.url {
            // A password in an address is not for logs, and neither is what stands behind the `?`.
            let host = url.host_str().unwrap_or_default();
            write!(f, " ({}://{host}", url.scheme())?;
            if let Some(port) = url.port() {
                write!(f, ":{port}")?;
            }
            write!(f, "{}", url.path())?;
            let mut before = "; before: ";
            let failed = self.0.phase;
            for (phase, took) in self.0.timings.phases() {
                if Some(phase) != failed {
                    write!(f, "{before}{phase} {took:.1?}")?;
                    before = ", ";
                }
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("phase", &self.0.phase)
            .field("url", &self.0.url.as_ref().map(Url::as_str))
            .field("timings", &self.0.timings)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(match &self.0.kind {
            Kind::Url(error) => error,
            Kind::Dns(error)
            | Kind::Connect(error)
            | Kind::ProxyIo(error)
            | Kind::Io(error)
            | Kind::Coding(_, error) => error,
            Kind::TlsConfig(error) => &**error,
            Kind::Tls(error) => error,
            Kind::Message(error) | Kind::UploadLength(error) => error,
            Kind::Upload(error) => &**error,
            Kind::EventTooLarge(error) => error,
            Kind::Json(error) => error,
            _ => return None,
        })
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Error {
        Error::new(kind)
    }
}
