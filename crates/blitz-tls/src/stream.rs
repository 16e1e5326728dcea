//! The stream that users read and write: what goes in comes out at the other end, and nowhere in between.

use std::fmt;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use blitz_io_traits::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use rustls::pki_types::CertificateDer;
use rustls::{Connection, HandshakeKind, NamedGroup, ProtocolVersion, SupportedCipherSuite};

use crate::session::Session;

/// A TLS session over the stream `S`, of either end. [`TlsAcceptor`](crate::TlsAcceptor) and [`TlsConnector`](crate::TlsConnector) make it.
///
/// **Reading.** A read ends with zero bytes once the peer has said `close_notify`. If the stream below ends without one, the read after
/// the last byte fails with [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) and [`TlsError::Truncated`](crate::TlsError::Truncated): somebody
/// may have cut it. Each further read says the same again. What was sent before an end or a failure is read before it is
/// reported.
///
/// **Writing.** A write takes at most 64 KiB, encrypts it and sends what the stream below takes at once; nothing more is taken before that is
/// sent. What is left behind is sent by [`flush`](blitz_io_traits::AsyncWriteExt::flush), by the next write, and by any read that waits; so a
/// program that writes and then waits for something else has to flush. Several slices are joined into one record
/// ([`write_vectored`](blitz_io_traits::AsyncWriteExt::write_vectored)).
///
/// **Ending.** [`shutdown`](blitz_io_traits::AsyncWriteExt::shutdown) sends what waits, then `close_notify`, then shuts the stream below down for
/// writing. The other direction stays open: the peer may go on sending, and is read until its end. A stream that is
/// dropped without it looks truncated to the peer.
///
/// **In two halves.** [`split`](blitz_io_traits::split) gives a half for reading and one for writing, for two tasks.
///
/// # Cancel safety
/// All of it is in the stream, nothing in the futures: a read, flush or shutdown that is dropped has lost nothing, and is continued by the
/// same call made again. A write that is dropped has taken nothing. As everywhere, `write_all` that is dropped has written an
/// unknown part.
///
/// # Examples
/// ```
/// use blitz_io_traits::{AsyncReadExt, AsyncWriteExt, duplex};
/// use blitz_tls::{CertificateStore, Identity, Roots, TlsAcceptor, TlsConnector};
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (cert_pem, key_pem) = (made.cert.pem(), made.signing_key.serialize_pem());
///
/// # futures::executor::block_on(async {
/// let acceptor = TlsAcceptor::builder(Identity::from_pem(cert_pem.as_bytes(), key_pem.as_bytes())?).build()?;
/// let mut roots = Roots::new();
/// roots.add_pem(cert_pem.as_bytes())?;
/// let connector = TlsConnector::builder().only_roots(roots).build()?;
///
/// let (here, there) = duplex(4096);
/// let (server, client) = futures::future::join(acceptor.accept(there), connector.connect("localhost", here)).await;
/// let (mut server, mut client) = (server?, client?);
/// client.write_all(b"ping").await?;
/// client.shutdown().await?;
/// let mut word = String::new();
/// server.read_to_string(&mut word).await?;
/// assert_eq!(word, "ping");
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct TlsStream<S> {
    session: Session<S>,
}

impl<S> TlsStream<S> {
    pub(crate) fn new(session: Session<S>) -> Self {
        TlsStream { session }
    }

    /// The stream below.
    pub fn get_ref(&self) -> &S {
        self.session.io()
    }

    /// The stream below. What is read from it or written to it breaks the session.
    pub fn get_mut(&mut self) -> &mut S {
        self.session.io_mut()
    }

    /// The protocol that both sides agreed on by ALPN (RFC 7301), if they did.
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.session.tls().alpn_protocol()
    }

    /// The name the client asked for (SNI); at a client's end there is none.
    pub fn server_name(&self) -> Option<&str> {
        match self.session.tls() {
            Connection::Server(server) => server.server_name(),
            Connection::Client(_) => None,
        }
    }

    /// The certificate that the peer showed and its chain, the own one first; none if it showed none.
    ///
    /// A resumed session has those of the session that it resumes.
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.session.tls().peer_certificates()
    }

    /// The version of TLS.
    pub fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.session.tls().protocol_version()
    }

    /// How it is encrypted.
    pub fn cipher_suite(&self) -> Option<SupportedCipherSuite> {
        self.session.tls().negotiated_cipher_suite()
    }

    /// How the keys were agreed on; unknown for a resumed session of TLS 1.2.
    pub fn key_exchange(&self) -> Option<NamedGroup> {
        let group = self.session.tls().negotiated_key_exchange_group()?;
        Some(group.name())
    }

    /// Whether the session was resumed from an earlier one.
    pub fn is_resumed(&self) -> bool {
        self.session.tls().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Key material for another protocol that is bound to this session (RFC 5705, RFC 8446 §7.5), as long as `output`.
    ///
    /// # Errors
    /// If `output` is empty or too long.
    ///
    /// # Examples
    /// ```no_run
    /// # fn bind(stream: &blitz_tls::TlsStream<std::io::Empty>) -> std::io::Result<[u8; 32]> {
    /// // The channel binding `tls-exporter` of RFC 9266.
    /// stream.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
    /// # }
    /// ```
    pub fn export_keying_material<T: AsMut<[u8]>>(
        &self,
        output: T,
        label: &[u8],
        context: Option<&[u8]>,
    ) -> io::Result<T> {
        self.session
            .tls()
            .export_keying_material(output, label, context)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let session = &mut self.get_mut().session;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        ready!(session.poll_readable(cx, buf.remaining()))?;
        while buf.remaining() > 0 {
            let chunk = session.plaintext();
            let count = chunk.len().min(buf.remaining());
            if count == 0 {
                if session.has_more(cx) {
                    continue;
                }
                break;
            }
            buf.put_slice(&chunk[..count]);
            session.consume(count);
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads without a copy: what is lent is the plaintext where it was decrypted.
impl<S: AsyncRead + AsyncWrite + Unpin> AsyncBufRead for TlsStream<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let session = &mut self.get_mut().session;
        ready!(session.poll_readable(cx, 0))?;
        Poll::Ready(Ok(session.plaintext()))
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        self.get_mut().session.consume(count);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let session = &mut self.get_mut().session;
        session.poll_write_by(cx, |writer| writer.write(buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().session.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().session.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let session = &mut self.get_mut().session;
        session.poll_write_by(cx, |writer| writer.write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

impl<S> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("version", &self.protocol_version())
            .field("end", &self.session.end())
            .finish_non_exhaustive()
    }
}
