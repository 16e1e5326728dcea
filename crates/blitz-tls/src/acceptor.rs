//! The server's end: its configuration, and how it takes a client.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{Connection, KeyLogFile, ServerConfig, ServerConnection};

use crate::certificates::{CertificateStore, Resolver};
use crate::error::{ConfigError, TlsError};
use crate::handshake::Handshake;
use crate::provider::{TlsVersion, Versions, default_provider, ticketer};
use crate::roots::Roots;

/// Makes TLS sessions of streams that clients opened. It clones cheaply.
///
/// # Examples
/// ```no_run
/// use blitz_io::net::TcpListener;
/// use blitz_io::time::sleep;
/// use blitz_tls::{CertificateStore, HANDSHAKE_TIMEOUT, HTTP_1_1, Identity, TlsAcceptor};
///
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let store = CertificateStore::new(Identity::from_files("cert.pem", "key.pem")?);
/// let acceptor = TlsAcceptor::builder(store.clone()).alpn([HTTP_1_1]).build()?;
/// let listener = TcpListener::bind("[::]:8443").await?;
/// loop {
///     let (stream, peer) = listener.accept().await?;
///     let acceptor = acceptor.clone();
///     blitz_io::spawn(async move {
///         match acceptor.accept(stream).until(sleep(HANDSHAKE_TIMEOUT)).await {
///             Ok(session) => println!("{peer} asks for {:?}", session.server_name()),
///             Err(failed) => println!("{peer}: {failed}"),
///         }
///     });
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct TlsAcceptor {
    config: Arc<ServerConfig>,
}

impl TlsAcceptor {
    /// Begins a configuration with safe defaults: TLS 1.3 and 1.2, no client certificates, no ALPN, sessions are resumed.
    pub fn builder(certificates: impl Into<CertificateStore>) -> AcceptorBuilder {
        AcceptorBuilder {
            certificates: certificates.into(),
            alpn: Vec::new(),
            versions: Versions::ALL,
            client_auth: ClientAuth::None,
            refuse_unknown_names: false,
            resumption: true,
            key_log: false,
            provider: None,
        }
    }

    /// Takes a client's handshake on `stream`. Give it a deadline by [`until`](Handshake::until).
    ///
    /// # Cancel safety
    /// A handshake that is dropped has closed its stream.
    ///
    /// # Errors
    /// [`HandshakeError`](crate::HandshakeError) says why, and has the stream.
    pub fn accept<S>(&self, stream: S) -> Handshake<S> {
        let connection = ServerConnection::new(Arc::clone(&self.config))
            .map(Connection::from)
            .map_err(TlsError::from);
        Handshake::new(stream, connection)
    }

    /// The configuration, as rustls knows it.
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }
}

/// For a configuration that was made with rustls itself, with everything that it can do.
impl From<Arc<ServerConfig>> for TlsAcceptor {
    fn from(config: Arc<ServerConfig>) -> Self {
        TlsAcceptor { config }
    }
}

impl fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptor").finish_non_exhaustive()
    }
}

/// Whether clients show a certificate.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They are asked; who shows none is let in, and who shows one that does not lead to these roots is not.
    Optional(Roots),
    /// Who shows none that leads to these roots is not let in.
    Required(Roots),
}

/// A server's configuration in the making.
#[derive(Debug)]
#[must_use = "it does nothing before `build`"]
pub struct AcceptorBuilder {
    certificates: CertificateStore,
    alpn: Vec<Vec<u8>>,
    versions: Versions,
    client_auth: ClientAuth,
    refuse_unknown_names: bool,
    resumption: bool,
    key_log: bool,
    provider: Option<Arc<CryptoProvider>>,
}

impl AcceptorBuilder {
    /// Which protocols are spoken (ALPN), the preferred first. A client that names some, and none of these, is refused.
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = names(protocols);
        self
    }

    /// The oldest version that is allowed; TLS 1.2 if nothing is said.
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.versions.min = version;
        self
    }

    /// The newest version that is allowed; TLS 1.3 if nothing is said. For a peer that gets a newer one wrong.
    pub fn max_version(mut self, version: TlsVersion) -> Self {
        self.versions.max = version;
        self
    }

    /// Whether clients show a certificate.
    ///
    /// A client that resumes a session is not asked again: it was let in up to twelve hours before. Where revocation has to be
    /// quicker, switch [`resumption`](AcceptorBuilder::resumption) off.
    pub fn client_auth(mut self, auth: ClientAuth) -> Self {
        self.client_auth = auth;
        self
    }

    /// Refuses clients that ask for a name that no certificate has, instead of showing them the default one.
    ///
    /// Who asks for no name, or connects by an address, still gets the default.
    pub fn refuse_unknown_names(mut self, refuse: bool) -> Self {
        self.refuse_unknown_names = refuse;
        self
    }

    /// Whether sessions are resumed; they are if nothing is said.
    ///
    /// The state is with the clients, in tickets (RFC 8446 §2.2, RFC 5077) whose keys are made when the acceptor is, replaced every
    /// six hours and forgotten after twelve.
    pub fn resumption(mut self, resume: bool) -> Self {
        self.resumption = resume;
        self
    }

    /// Writes the keys of each session to the file that the environment variable `SSLKEYLOGFILE` names, for debuggers.
    ///
    /// Who has that file reads the sessions.
    pub fn key_log(mut self, log: bool) -> Self {
        self.key_log = log;
        self
    }

    /// Another crypto provider than the one that comes along.
    pub fn crypto_provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Makes the acceptor.
    ///
    /// # Errors
    /// If clients cannot be verified with the roots and lists that were given, no version is allowed, or the provider cannot do what
    /// was asked.
    pub fn build(self) -> Result<TlsAcceptor, ConfigError> {
        let provider = self.provider.unwrap_or_else(default_provider);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(self.versions.list()?)
            .map_err(ConfigError::Provider)?;
        let builder = match client_verifier(self.client_auth, provider)? {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Resolver {
            store: self.certificates,
            refuse_unknown_names: self.refuse_unknown_names,
        }));
        config.alpn_protocols = self.alpn;
        // With tickets nothing has to be remembered here.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if self.resumption {
            config.ticketer = ticketer().map_err(ConfigError::Provider)?;
        } else {
            config.send_tls13_tickets = 0;
        }
        if self.key_log {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(TlsAcceptor {
            config: Arc::new(config),
        })
    }
}

fn client_verifier(
    auth: ClientAuth,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, ConfigError> {
    let (roots, is_optional) = match auth {
        ClientAuth::None => return Ok(None),
        ClientAuth::Optional(roots) => (roots, true),
        ClientAuth::Required(roots) => (roots, false),
    };
    let (store, lists) = roots.into_store();
    let mut builder = WebPkiClientVerifier::builder_with_provider(store, provider)
        .with_crls(lists)
        .enforce_revocation_expiration();
    if is_optional {
        builder = builder.allow_unauthenticated();
    }
    match builder.build() {
        Ok(verifier) => Ok(Some(verifier)),
        Err(error) => Err(ConfigError::Verifier(Box::new(error))),
    }
}

/// Protocols, as rustls keeps them.
pub(crate) fn names<P: AsRef<[u8]>>(protocols: impl IntoIterator<Item = P>) -> Vec<Vec<u8>> {
    protocols
        .into_iter()
        .map(|protocol| protocol.as_ref().to_vec())
        .collect()
}
