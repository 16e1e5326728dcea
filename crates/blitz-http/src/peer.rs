//! Who is at the other end.

use blitz_tls::TlsStream;
use blitz_tls::rustls::ProtocolVersion;
use blitz_tls::rustls::pki_types::CertificateDer;
use http::Extensions;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The ends of the connection that a request came by; every request has it as an extension.
///
/// Behind a proxy that speaks the PROXY protocol they are those of the connection that the proxy took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The client's address; none on a Unix socket.
    pub addr: Option<SocketAddr>,
    /// The address that it connected to.
    pub local: Option<SocketAddr>,
}

impl Peer {
    /// The ends of a TCP connection.
    pub fn new(addr: SocketAddr, local: SocketAddr) -> Peer {
        Peer {
            addr: Some(addr),
            local: Some(local),
        }
    }
}

/// What TLS knows of a client; every request that came by TLS has it as an extension.
///
/// ```
/// use blitz_http::{Request, TlsPeer};
///
/// fn asked_for(request: &Request) -> Option<&str> {
///     request.extensions().get::<TlsPeer>()?.server_name()
/// }
/// # let _ = asked_for;
/// ```
#[derive(Clone)]
pub struct TlsPeer(Arc<Told>);

struct Told {
    server_name: Option<String>,
    certificates: Vec<CertificateDer<'static>>,
    version: Option<ProtocolVersion>,
    is_resumed: bool,
}

impl TlsPeer {
    pub(crate) fn of<S>(stream: &TlsStream<S>) -> TlsPeer {
        TlsPeer(Arc::new(Told {
            server_name: stream.server_name().map(str::to_owned),
            certificates: stream
                .peer_certificates()
                .map(<[_]>::to_vec)
                .unwrap_or_default(),
            version: stream.protocol_version(),
            is_resumed: stream.is_resumed(),
        }))
    }

    /// The name that the client asked for (SNI). A request's `Host` may be another one.
    pub fn server_name(&self) -> Option<&str> {
        self.0.server_name.as_deref()
    }

    /// The certificate that the client showed, and its chain behind it; nothing if it showed none. It was verified against the roots of
    /// the listener's acceptor.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0.certificates
    }

    /// The version of TLS.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.0.version
    }

    /// Whether the session was resumed from an earlier one.
    pub fn is_resumed(&self) -> bool {
        self.0.is_resumed
    }
}

impl fmt::Debug for TlsPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsPeer")
            .field("server_name", &self.0.server_name)
            .field("certificates", &self.0.certificates.len())
            .field("version", &self.0.version)
            .finish_non_exhaustive()
    }
}

/// What every request of a connection has among its extensions.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) peer: Peer,
    pub(crate) tls: Option<TlsPeer>,
    /// Whatever else.
    pub(crate) more: Extensions,
}

impl Ends {
    pub(crate) fn new(peer: Peer) -> Ends {
        Ends {
            peer,
            ..Ends::default()
        }
    }

    /// The extensions of a new request.
    pub(crate) fn extensions(&self) -> Extensions {
        let mut extensions = self.more.clone();
        extensions.insert(self.peer);
        if let Some(tls) = &self.tls {
            extensions.insert(tls.clone());
        }
        extensions
    }

    /// Makes these, which may have come back from a request of another connection, those of a new request.
    #[inline]
    pub(crate) fn claim(&self, extensions: &mut Extensions) {
        if self.tls.is_none()
            && self.more.is_empty()
            && extensions.len() == 1
            && let Some(peer) = extensions.get_mut::<Peer>()
        {
            *peer = self.peer;
        } else {
            self.claim_more(extensions);
        }
    }

    #[inline(never)]
    fn claim_more(&self, extensions: &mut Extensions) {
        if self.more.is_empty()
            && extensions.len() == 2
            && let Some(tls) = &self.tls
            && let Some(theirs) = extensions.get_mut::<TlsPeer>()
        {
            theirs.clone_from(tls);
            if let Some(peer) = extensions.get_mut::<Peer>() {
                *peer = self.peer;
                return;
            }
        }
        *extensions = self.extensions();
    }
}
