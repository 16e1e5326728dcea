//! A client's side of the handshake.

use super::{Config, HandshakeError, Role, WebSocket, masks};
use crate::Client;
use crate::client::{Error as ClientError, IntoUrl, RedirectPolicy, RequestBuilder, Url};
use blitz_http_proto::ws::ClientHandshake;
use http::{HeaderName, HeaderValue, StatusCode};
use std::error::Error as StdError;
use std::fmt;

/// Opens a socket to `ws://` or `wss://`, with the defaults of a client and of [`Config`].
///
/// # Cancel safety
/// Safe: what was begun is closed.
///
/// # Errors
/// When there is no connection, or the server wants none of it.
pub async fn connect(url: impl IntoUrl) -> Result<WebSocket, ConnectError> {
    let client = Client::builder().build().map_err(ConnectError::client)?;
    client.websocket(url).connect().await
}

impl Client {
    /// A WebSocket in the making, to `ws://` or `wss://`: by this client's resolver, proxies and TLS, with its times for each phase.
    pub fn websocket(&self, url: impl IntoUrl) -> Connect {
        let url = url.into_url().map(|mut url: Url| {
            let scheme = match url.scheme() {
                "ws" => Some("http"),
                "wss" => Some("https"),
                _ => None,
            };
            if let Some(scheme) = scheme {
                // One of these for another of them is always allowed.
                let _ = url.set_scheme(scheme);
            }
            url
        });
        Connect {
            request: url.map(|url| self.get(url).redirects(RedirectPolicy::none())),
            protocols: Vec::new(),
            config: Config::default(),
        }
    }
}

/// A socket in the making; see [`Client::websocket`].
#[derive(Debug)]
#[must_use = "nothing is sent before `connect`"]
pub struct Connect {
    request: Result<RequestBuilder, ClientError>,
    protocols: Vec<String>,
    config: Config,
}

impl Connect {
    /// Limits, times, and the compression that is offered.
    pub fn config(mut self, config: Config) -> Connect {
        self.config = config;
        self
    }

    /// The subprotocols that are spoken here, the dearest first.
    pub fn protocols(mut self, names: &[&str]) -> Connect {
        self.protocols = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Sets a field of the request; one of that name that is there already goes.
    pub fn header<N, V>(mut self, name: N, value: V) -> Connect
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.request = self.request.map(|request| request.header(name, value));
        self
    }

    /// Opens it. Redirects are not followed.
    ///
    /// # Cancel safety
    /// Safe: what was begun is closed.
    ///
    /// # Errors
    /// When there is no connection, or the server wants none of it.
    pub async fn connect(self) -> Result<WebSocket, ConnectError> {
        let request = self.request.map_err(ConnectError::client)?;
        let protocols: Vec<&str> = self.protocols.iter().map(String::as_str).collect();
        let handshake = ClientHandshake::new(masks::nonce(), &protocols, self.config.deflate);
        let handshake = handshake.map_err(|error| ConnectError(Kind::Handshake(error, None)))?;
        let response = request.headers(handshake.headers()).send().await;
        let response = response.map_err(ConnectError::client)?;
        let status = response.status();
        let agreed = handshake
            .agreed(status, response.headers())
            .map_err(|error| ConnectError(Kind::Handshake(error, Some(status))))?;
        let upgraded = response.upgrade().map_err(ConnectError::client)?;
        Ok(WebSocket::over_upgraded(
            upgraded,
            Role::Client,
            agreed,
            self.config,
        ))
    }
}

/// Why there is no socket.
#[derive(Debug)]
pub struct ConnectError(Kind);

#[derive(Debug)]
enum Kind {
    Client(ClientError),
    Handshake(HandshakeError, Option<StatusCode>),
}

impl ConnectError {
    fn client(error: ClientError) -> ConnectError {
        ConnectError(Kind::Client(error))
    }

    /// What the server answered, if it did.
    pub fn status(&self) -> Option<StatusCode> {
        match &self.0 {
            Kind::Client(_) => None,
            Kind::Handshake(_, status) => *status,
        }
    }

    /// Why no answer came, if none did.
    pub fn as_client(&self) -> Option<&ClientError> {
        match &self.0 {
            Kind::Client(error) => Some(error),
            Kind::Handshake(..) => None,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Client(_) => f.write_str("request for a WebSocket failed"),
            Kind::Handshake(_, None) => f.write_str("WebSocket cannot be asked for"),
            Kind::Handshake(_, Some(StatusCode::SWITCHING_PROTOCOLS)) => {
                f.write_str("server agreed to a WebSocket in a way that is none")
            }
            Kind::Handshake(_, Some(status)) => {
                write!(f, "server refused a WebSocket with {status}")
            }
        }
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Kind::Client(error) => Some(error),
            Kind::Handshake(error, _) => Some(error),
        }
    }
}
