//! What is asked, and the way there: the address, the bytes of a request, TLS.

use super::options::Options;
use super::tally::Failure;
use blitz_http_proto::RequestHead;
use blitz_io::io::{AsyncRead, AsyncWrite, ReadBuf};
use blitz_io::net::{TcpStream, resolve};
use blitz_io::time::{sleep, timeout};
use blitz_tls::{HTTP_1_1, Roots, TlsConnector, TlsError, TlsStream};
use bytes::BytesMut;
use http::header::CONNECTION;
use http::{HeaderValue, Method};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// More is not kept ready to be sent.
const READY_MAX: usize = 256 << 20;

/// A server, and what it is asked.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) addr: SocketAddr,
    /// The name without brackets, as a certificate must have it.
    name: String,
    tls: Option<TlsConnector>,
    pub(super) method: Method,
    /// As many requests as may be under way on a connection, one behind the other.
    pub(super) batch: Vec<u8>,
    pub(super) request_len: usize,
    pub(super) keep_alive: bool,
    pub(super) timeout: Duration,
}

/// Why there is no connection, and in which words.
pub(super) type NoConnection = (Failure, String);

impl Target {
    /// Finds the server, and makes sure that it takes connections: what is wrong with all of them is better said at once.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub(super) async fn find(options: &Options) -> Result<Target, String> {
        let url = &options.url;
        let tls = url.scheme_str() == Some("https");
        let host = url.host().unwrap_or_default();
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let port = url.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let request = request(options);
        if request.len().saturating_mul(options.pipeline) > READY_MAX {
            return Err(format!(
                "{} requests of {} bytes are more than is kept ready to be sent: ask for fewer at a time with --pipeline",
                options.pipeline,
                request.len()
            ));
        }
        let tls = tls.then(|| connector(options)).transpose()?;
        let addresses = timeout(options.timeout, resolve(name))
            .await
            .map_err(|_| format!("{name}: no address was found in time"))?
            .map_err(|error| format!("{name}: {error}"))?;
        let mut target = Target {
            addr: SocketAddr::from(([0, 0, 0, 0], port)),
            name: name.trim_end_matches('.').to_owned(),
            tls,
            method: options.method.clone(),
            batch: request.repeat(options.pipeline),
            request_len: request.len(),
            keep_alive: options.keep_alive,
            timeout: options.timeout,
        };
        let mut problem = format!("{name} has no address");
        for address in addresses {
            target.addr = SocketAddr::new(address, port);
            let opened = target.open().await;
            match opened {
                Ok(_) => return Ok(target),
                Err((_, words)) => problem = format!("no connection to {}: {words}", target.addr),
            }
        }
        Err(problem)
    }

    /// One that is nowhere, for tests: as many requests on a connection, and five seconds of patience.
    #[cfg(test)]
    pub(super) fn pretended(pipeline: usize, keep_alive: bool) -> Target {
        let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        Target {
            addr: SocketAddr::from(([127, 0, 0, 1], 9)),
            name: "a".to_owned(),
            tls: None,
            method: Method::GET,
            batch: request.repeat(pipeline),
            request_len: request.len(),
            keep_alive,
            timeout: Duration::from_secs(5),
        }
    }

    /// Opens a connection, its handshake included.
    pub(super) async fn open(&self) -> Result<Io, NoConnection> {
        let connected = timeout(self.timeout, TcpStream::connect(self.addr)).await;
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err((of_connect(&error), error.to_string())),
            Err(_) => return Err((Failure::TimedOut, "not connected in time".to_owned())),
        };
        // Without it requests are only later.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return Ok(Io::Plain(stream));
        };
        let shaken = tls.connect(&self.name, stream).until(sleep(self.timeout));
        match shaken.await {
            Ok(stream) => Ok(Io::Tls(Box::new(stream))),
            Err(failed) => {
                let error = failed.into_error();
                let failure = match &error {
                    TlsError::TimedOut => Failure::TimedOut,
                    TlsError::Io(error) => of_transfer(error),
                    _ => Failure::Tls,
                };
                Err((failure, error.to_string()))
            }
        }
    }
}

/// The bytes of a request.
fn request(options: &Options) -> Vec<u8> {
    let mut headers = options.headers.clone();
    if !options.keep_alive {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let head = RequestHead {
        method: &options.method,
        uri: &options.url,
        headers: &headers,
        length: Some(options.body.len() as u64),
        to_proxy: false,
    };
    let mut bytes = BytesMut::new();
    // What is sent with its length is its own bytes.
    let _ = head.write(&mut bytes);
    bytes.extend_from_slice(&options.body);
    bytes.to_vec()
}

fn connector(options: &Options) -> Result<TlsConnector, String> {
    let mut builder = TlsConnector::builder().alpn([HTTP_1_1]);
    if options.insecure {
        builder = builder.dangerous().accept_any_certificate();
    } else if let Some(file) = &options.cacert {
        let mut roots = Roots::new();
        roots
            .add_pem_file(file)
            .map_err(|error| error.to_string())?;
        builder = builder.only_roots(roots);
    }
    builder.build().map_err(|error| error.to_string())
}

fn of_connect(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::ConnectionRefused => Failure::Refused,
        ErrorKind::TimedOut => Failure::TimedOut,
        ErrorKind::ConnectionReset => Failure::Reset,
        _ => Failure::Connect,
    }
}

/// Why bytes could not be moved.
pub(super) fn of_transfer(error: &io::Error) -> Failure {
    if TlsError::of(error).is_some_and(|error| !matches!(error, TlsError::Truncated)) {
        return Failure::Tls;
    }
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Failure::Reset
        }
        ErrorKind::UnexpectedEof => Failure::Closed,
        ErrorKind::TimedOut => Failure::TimedOut,
        _ => Failure::Io,
    }
}

/// A connection.
pub(super) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Io::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Plain(io) => Pin::new(io).poll_flush(cx),
            Io::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Io::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_once() {
        let words = [
            "http://h.test:81/a?b",
            "-d",
            "xyz",
            "-H",
            "A: b",
            "--no-keepalive",
        ];
        let options = Options::parse(&words).expect("it is right");
        let text = String::from_utf8(request(&options)).expect("text");
        assert!(
            text.starts_with("POST /a?b HTTP/1.1\r\nhost: h.test:81\r\n"),
            "{text}"
        );
        assert!(text.contains("\r\na: b\r\n"), "{text}");
        assert!(text.contains("\r\nconnection: close\r\n"), "{text}");
        assert!(text.ends_with("content-length: 3\r\n\r\nxyz"), "{text}");
    }
}
