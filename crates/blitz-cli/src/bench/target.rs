//! What is asked, and the way there: the address, the bytes of a request, TLS.

use super::options::Options;
use super::tally::Failure;
use blitz_http_proto::ws::{ClientHandshake, Encoder, Message};
use blitz_http_proto::{Limits, RequestHead, ResponseDecoder, ResponseEvent};
use blitz_io::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use blitz_io::net::{TcpStream, resolve};
use blitz_io::time::{sleep, timeout};
use blitz_tls::{HTTP_1_1, Roots, TlsConnector, TlsError, TlsStream};
use bytes::{Buf, BytesMut};
use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue, Method};
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
    /// What is asked for before the first message, and whether the answer grants it.
    handshake: Option<(Vec<u8>, ClientHandshake)>,
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
        let tls = matches!(url.scheme_str(), Some("https" | "wss"));
        let host = url.host().unwrap_or_default();
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let port = url.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let (request, handshake) = if options.websocket {
            let handshake =
                ClientHandshake::new(KEY, &[], None).map_err(|error| error.to_string())?;
            let head = head(options, handshake.headers());
            (message(&options.body), Some((head, handshake)))
        } else {
            (request(options), None)
        };
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
            handshake,
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
            handshake: None,
            method: Method::GET,
            batch: request.repeat(pipeline),
            request_len: request.len(),
            keep_alive,
            timeout: Duration::from_secs(5),
        }
    }

    /// Whether messages are what goes over its connections.
    pub(super) fn is_socket(&self) -> bool {
        self.handshake.is_some()
    }

    /// The same for messages.
    #[cfg(test)]
    pub(super) fn pretended_socket(pipeline: usize, body: &[u8]) -> Target {
        let handshake = ClientHandshake::new(KEY, &[], None).expect("no protocols");
        let request = message(body);
        Target {
            handshake: Some((Vec::new(), handshake)),
            batch: request.repeat(pipeline),
            request_len: request.len(),
            ..Target::pretended(pipeline, true)
        }
    }

    /// Opens a connection, its handshakes included.
    pub(super) async fn open(&self) -> Result<Io, NoConnection> {
        let io = self.connect().await?;
        let Some((head, handshake)) = &self.handshake else {
            return Ok(io);
        };
        match timeout(self.timeout, shake(io, head, handshake)).await {
            Ok(shaken) => shaken,
            Err(_) => Err((Failure::TimedOut, "no WebSocket in time".to_owned())),
        }
    }

    async fn connect(&self) -> Result<Io, NoConnection> {
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

/// The key of all handshakes: it protects nobody from a program that measures.
const KEY: [u8; 16] = *b"measuring a load";

/// The bytes of a request.
fn request(options: &Options) -> Vec<u8> {
    let mut headers = HeaderMap::new();
    if !options.keep_alive {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let mut bytes = head(options, headers);
    bytes.extend_from_slice(&options.body);
    bytes
}

/// The head of a request, with further fields.
fn head(options: &Options, further: HeaderMap) -> Vec<u8> {
    let mut headers = options.headers.clone();
    headers.extend(further);
    let body = if options.websocket {
        0
    } else {
        options.body.len()
    };
    let head = RequestHead {
        method: &options.method,
        target: (&options.url).into(),
        headers: &headers,
        length: Some(body as u64),
        to_proxy: false,
    };
    let mut bytes = BytesMut::new();
    // What is sent with its length is its own bytes.
    let _ = head.write(&mut bytes);
    bytes.to_vec()
}

/// The bytes of a message, with the same mask each time: a text, if it is one.
fn message(body: &[u8]) -> Vec<u8> {
    let message = match std::str::from_utf8(body) {
        Ok(text) => Message::text(text),
        Err(_) => Message::binary(body.to_vec()),
    };
    let mut bytes = BytesMut::new();
    Encoder::client(|| [0x5a, 0xc3, 0x96, 0x0f]).message(&message, &mut bytes);
    bytes.to_vec()
}

/// Asks for a WebSocket.
async fn shake(mut io: Io, head: &[u8], handshake: &ClientHandshake) -> Result<Io, NoConnection> {
    let failed = |error: &io::Error| (of_transfer(error), error.to_string());
    let sent = async {
        io.write_all(head).await?;
        io.flush().await
    };
    sent.await.map_err(|error| failed(&error))?;
    let mut decoder = ResponseDecoder::new(Limits::default());
    decoder.asked(&Method::GET);
    let mut input = BytesMut::new();
    let granted = loop {
        let event = decoder.decode(&mut input);
        match event.map_err(|error| (Failure::Garbled, error.to_string()))? {
            Some(ResponseEvent::Head(head)) => break handshake.agreed(head.status, &head.headers),
            Some(_) => {}
            None => match io.read_buf(&mut input).await {
                Ok(0) => return Err((Failure::Closed, "closed without an answer".to_owned())),
                Ok(_) => {}
                Err(error) => return Err(failed(&error)),
            },
        }
    };
    granted.map_err(|error| (Failure::Handshake, error.to_string()))?;
    Ok(if input.is_empty() {
        io
    } else {
        Io::Ahead(input, Box::new(io))
    })
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
    /// One that has sent something already, behind its answer to a handshake.
    Ahead(BytesMut, Box<Io>),
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
            Io::Ahead(bytes, io) if bytes.is_empty() => Pin::new(&mut **io).poll_read(cx, buf),
            Io::Ahead(bytes, _) => {
                let len = bytes.len().min(buf.remaining());
                buf.put_slice(&bytes[..len]);
                bytes.advance(len);
                Poll::Ready(Ok(()))
            }
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
            Io::Ahead(_, io) => Pin::new(&mut **io).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Plain(io) => Pin::new(io).poll_flush(cx),
            Io::Tls(io) => Pin::new(io).poll_flush(cx),
            Io::Ahead(_, io) => Pin::new(&mut **io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Io::Tls(io) => Pin::new(io).poll_shutdown(cx),
            Io::Ahead(_, io) => Pin::new(&mut **io).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_written_once() {
        let words = ["wss://h.test/a", "-d", "xyz", "-H", "A: b"];
        let options = Options::parse(&words).expect("it is right");
        let handshake = ClientHandshake::new(KEY, &[], None).expect("no protocols");
        let text = String::from_utf8(head(&options, handshake.headers())).expect("text");
        assert!(
            text.starts_with("GET /a HTTP/1.1\r\nhost: h.test\r\n"),
            "{text}"
        );
        assert!(text.contains("\r\na: b\r\n"), "{text}");
        assert!(text.contains("\r\nsec-websocket-version: 13\r\n"), "{text}");
        assert!(
            text.ends_with("\r\n\r\n") && !text.contains("content-length"),
            "{text}"
        );
        assert_eq!(message(b"xyz")[..2], [0x81, 0x83]);
        assert_eq!(message(&[0xff; 200])[..2], [0x82, 0xfe]);
    }

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
