//! What a connection goes through before HTTP: the header of a proxy, and the handshake of TLS, each in its time.

use crate::conn::Arrived;
use crate::conn::watch::{self, Watch};
use crate::counters::{Phase, add};
use crate::handle::Seat;
use crate::peer::{Ends, TlsPeer};
use crate::{BoxError, Connection, Handle, Peer, Request, Trusted};
use blitz_http_proto::{PROXY_HEADER_MAX, ProxyError, ProxyHeader};
use blitz_io::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use blitz_io::time::{sleep, timeout};
use blitz_tls::rustls::ServerConfig;
use blitz_tls::{HTTP_1_1, TlsAcceptor, TlsError, TlsStream};
use bytes::BytesMut;
use http::Extensions;
use std::fmt;
use std::io;
use std::sync::Arc;
use tower_service::Service;

/// What is asked of a connection before it is served.
#[derive(Clone, Debug, Default)]
pub(super) struct Door {
    tls: Option<TlsAcceptor>,
    proxies: Trusted,
    greeting: Greeting,
}

/// What is called with the extensions of a connection.
type Greet = dyn Fn(&mut Extensions) + Send + Sync;

/// What is called for each connection, if anything.
#[derive(Clone, Default)]
pub(super) struct Greeting(pub(super) Option<Arc<Greet>>);

impl fmt::Debug for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Greeting").field(&self.0.is_some()).finish()
    }
}

impl Greeting {
    fn greet(&self, ends: &mut Ends) {
        if let Some(greet) = &self.0 {
            let mut extensions = ends.extensions();
            greet(&mut extensions);
            ends.more = extensions;
        }
    }
}

/// What who speaks HTTP in clear to a port of TLS is told.
pub(super) const IN_CLEAR: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 39\r\n\
    connection: close\r\n\r\n\
    this port speaks TLS: ask with https://";

impl Door {
    pub(super) fn speak_tls(&mut self, acceptor: &TlsAcceptor) {
        let mut config = ServerConfig::clone(acceptor.config());
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        self.tls = Some(Arc::new(config).into());
    }

    pub(super) fn expect_header(&mut self, from: Trusted) {
        self.proxies = from;
    }

    pub(super) fn greet(&mut self, greeting: &Greeting) {
        self.greeting = greeting.clone();
    }

    /// Whether connections are served as they come.
    pub(super) fn is_open(&self) -> bool {
        self.tls.is_none() && self.proxies.is_nobody() && self.greeting.0.is_none()
    }

    pub(super) fn speaks_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Lets a connection in, and serves it to its end.
    pub(super) async fn enter<I, S, B>(
        self,
        mut stream: I,
        watch: Watch<I>,
        mut ends: Ends,
        service: S,
        handle: Handle,
        seat: Seat,
    ) -> io::Result<()>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request, Response = http::Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let header = self.header(&mut stream, &mut ends, &handle, &seat);
        let Some(ahead) = header.await? else {
            return Ok(());
        };
        self.greeting.greet(&mut ends);
        let arrived = Arrived { ends, seat, ahead };
        Connection::arrived(stream, service, &handle, arrived)
            .watched(watch)
            .await
    }

    /// The same of a connection that speaks TLS. Its answers are records, each written at once.
    pub(super) async fn enter_by_tls<I, S, B>(
        self,
        mut stream: I,
        mut ends: Ends,
        service: S,
        handle: Handle,
        seat: Seat,
    ) -> io::Result<()>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request, Response = http::Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Some(acceptor) = &self.tls else {
            return Ok(());
        };
        let header = self.header(&mut stream, &mut ends, &handle, &seat);
        let Some(ahead) = header.await? else {
            return Ok(());
        };
        let Some(stream) = handshake(acceptor, stream, ahead, &handle, &seat).await? else {
            return Ok(());
        };
        ends.tls = Some(TlsPeer::of(&stream));
        self.greeting.greet(&mut ends);
        let ahead = BytesMut::new();
        let arrived = Arrived { ends, seat, ahead };
        Connection::arrived(stream, service, &handle, arrived)
            .watched(watch::tls)
            .await
    }

    /// Takes the header of a proxy that is to say for whom it connects; returns what came behind it. `None` if there is nobody to serve.
    async fn header<I: AsyncRead + Unpin>(
        &self,
        stream: &mut I,
        ends: &mut Ends,
        handle: &Handle,
        seat: &Seat,
    ) -> io::Result<Option<BytesMut>> {
        let mut ahead = BytesMut::new();
        if !self.proxies.trusts(&ends.peer) {
            return Ok(Some(ahead));
        }
        seat.is_in(Phase::ProxyHeader);
        let header = proxy_header(stream, &mut ahead);
        let within = handle.config().timeouts.proxy_header;
        // A connection that has not begun is nobody's request.
        let Some(header) = handle.unless_stopping(timeout(within, header)).await else {
            return Ok(None);
        };
        match header {
            Ok(Ok(Some((from, to)))) => {
                ends.peer = Peer::new(from, to);
                seat.is_of(ends.peer);
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => {
                add(&handle.counters().proxy_headers_refused);
                return Err(error);
            }
            Err(_) => {
                handle.counters().timed_out(Phase::ProxyHeader);
                return Ok(None);
            }
        }
        Ok(Some(ahead))
    }
}

/// Reads the header, and leaves what came behind it in `ahead`.
async fn proxy_header<I: AsyncRead + Unpin>(
    stream: &mut I,
    ahead: &mut BytesMut,
) -> io::Result<Option<(std::net::SocketAddr, std::net::SocketAddr)>> {
    let bad = |error: ProxyError| io::Error::new(io::ErrorKind::InvalidData, error);
    loop {
        if let Some((header, taken)) = ProxyHeader::decode(ahead).map_err(bad)? {
            let _header = ahead.split_to(taken);
            return Ok(header.ends);
        }
        ahead.reserve(PROXY_HEADER_MAX / 8);
        if stream.read_buf(ahead).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Takes the client's handshake, in its time. `None` if there is nobody to serve.
async fn handshake<I: AsyncRead + AsyncWrite + Unpin>(
    acceptor: &TlsAcceptor,
    stream: I,
    ahead: BytesMut,
    handle: &Handle,
    seat: &Seat,
) -> io::Result<Option<TlsStream<I>>> {
    seat.is_in(Phase::Handshake);
    let timeouts = &handle.config().timeouts;
    let handshake = acceptor
        .accept(stream)
        .having_read(&ahead)
        .until(sleep(timeouts.handshake));
    let failed = match handle.unless_stopping(handshake).await {
        None => return Ok(None),
        Some(Ok(stream)) => return Ok(Some(stream)),
        Some(Err(failed)) => failed,
    };
    let (error, mut stream) = failed.into_parts();
    match error {
        TlsError::TimedOut => {
            handle.counters().timed_out(Phase::Handshake);
            return Ok(None);
        }
        // Somebody who only looks whether the port is open.
        TlsError::Closed { received: 0 } => return Ok(None),
        _ => add(&handle.counters().handshakes_failed),
    }
    seat.is_in(Phase::Linger);
    let goodbye = async {
        if matches!(error, TlsError::PlainHttp) {
            stream.write_all(IN_CLEAR).await?;
        }
        farewell(&mut stream).await
    };
    // Whoever is told why must not lose that to a reset. It is the last word either way.
    let _ = timeout(timeouts.linger, goodbye).await;
    Err(error.into())
}

/// Ends the sending side, and reads until the client has ended its own.
async fn farewell<I: AsyncRead + AsyncWrite + Unpin>(stream: &mut I) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
