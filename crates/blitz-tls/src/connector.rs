//! The client's end: its configuration, and how it reaches a server.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ClientConnection, Connection, KeyLogFile};
use rustls_platform_verifier::Verifier;

use crate::acceptor::names;
use crate::error::{ConfigError, TlsError};
use crate::handshake::Handshake;
use crate::identity::Identity;
use crate::provider::{TlsVersion, Versions, default_provider};
use crate::roots::Roots;
use crate::verify::{Anyone, Explained};

/// Makes TLS sessions of streams that were opened to servers. It clones cheaply, and clones resume each other's sessions.
///
/// # Examples
/// ```no_run
/// use blitz_io::net::TcpStream;
/// use blitz_io::time::sleep;
/// use blitz_tls::{HANDSHAKE_TIMEOUT, TlsConnector};
///
/// # async fn reach() -> Result<(), Box<dyn std::error::Error>> {
/// let connector = TlsConnector::builder().build()?;
/// let stream = TcpStream::connect("example.com:443").await?;
/// let session = connector.connect("example.com", stream).until(sleep(HANDSHAKE_TIMEOUT)).await?;
/// println!("{:?}", session.protocol_version());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TlsConnector {
    config: Arc<ClientConfig>,
}

impl TlsConnector {
    /// Begins a configuration with safe defaults: TLS 1.3 and 1.2; servers are verified as the platform does it; no certificate of our
    /// own, no ALPN, sessions are resumed.
    pub fn builder() -> ConnectorBuilder {
        ConnectorBuilder {
            trust: Trust::Platform(Roots::new()),
            identity: None,
            alpn: Vec::new(),
            versions: Versions::ALL,
            sni: true,
            resumption: true,
            key_log: false,
            provider: None,
        }
    }

    /// Makes the handshake with the server `name` on `stream`. Give it a deadline by [`until`](Handshake::until).
    ///
    /// `name` is a DNS name or an IP address, as a user wrote it, without brackets and port: the server's certificate must be for it.
    ///
    /// With TLS 1.3 the handshake of a client ends before the server has judged the client's certificate: that it was refused is then told
    /// by the first read, as [`TlsError::Refused`].
    ///
    /// # Cancel safety
    /// A handshake that is dropped has closed its stream.
    ///
    /// # Errors
    /// [`HandshakeError`](crate::HandshakeError) says why, and has the stream.
    pub fn connect<S>(&self, name: &str, stream: S) -> Handshake<S> {
        let connection = match ServerName::try_from(name) {
            Ok(name) => ClientConnection::new(Arc::clone(&self.config), name.to_owned())
                .map(Connection::from)
                .map_err(TlsError::from),
            Err(_) => Err(TlsError::InvalidName(name.to_owned())),
        };
        Handshake::new(stream, connection)
    }

    /// The configuration, as rustls knows it.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }
}

/// For a configuration that was made with rustls itself, with everything that it can do.
impl From<Arc<ClientConfig>> for TlsConnector {
    fn from(config: Arc<ClientConfig>) -> Self {
        TlsConnector { config }
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").finish_non_exhaustive()
    }
}

/// A client's configuration in the making.
#[derive(Debug)]
#[must_use = "it does nothing before `build`"]
pub struct ConnectorBuilder {
    trust: Trust,
    identity: Option<Identity>,
    alpn: Vec<Vec<u8>>,
    versions: Versions,
    sni: bool,
    resumption: bool,
    key_log: bool,
    provider: Option<Arc<CryptoProvider>>,
}

#[derive(Debug)]
enum Trust {
    /// The platform's verifier, and these besides.
    Platform(Roots),
    Only(Roots),
    Anyone,
}

impl ConnectorBuilder {
    /// Trusts these roots besides the platform's. Revocation lists among them are not looked at: the platform has its own.
    pub fn extra_roots(mut self, roots: Roots) -> Self {
        self.trust = Trust::Platform(roots);
        self
    }

    /// Trusts these roots and no others, and refuses what their revocation lists name.
    pub fn only_roots(mut self, roots: Roots) -> Self {
        self.trust = Trust::Only(roots);
        self
    }

    /// What makes a session unsafe, behind a word that one sees in a review.
    pub fn dangerous(self) -> DangerousConnectorBuilder {
        DangerousConnectorBuilder { builder: self }
    }

    /// Shows this certificate to servers that ask for one.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Which protocols are spoken (ALPN), the preferred first.
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

    /// Whether the server is told the name (SNI); it is if nothing is said, and its certificate must be for the name in any case.
    pub fn sni(mut self, send: bool) -> Self {
        self.sni = send;
        self
    }

    /// Whether sessions are resumed; they are if nothing is said. What is needed for it is kept for the last 256 servers.
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

    /// Makes the connector. On systems whose roots are files these are read now, on this thread.
    ///
    /// # Errors
    /// If there are no roots to trust, no version is allowed, or the provider cannot do what was asked.
    pub fn build(self) -> Result<TlsConnector, ConfigError> {
        let provider = self.provider.unwrap_or_else(default_provider);
        let verifier = server_verifier(self.trust, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions.list()?)
            .map_err(ConfigError::Provider)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(
                Arc::clone(identity.certified()),
            ))),
        };
        config.alpn_protocols = self.alpn;
        config.enable_sni = self.sni;
        if !self.resumption {
            config.resumption = Resumption::disabled();
        }
        if self.key_log {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(TlsConnector {
            config: Arc::new(config),
        })
    }
}

fn server_verifier(
    trust: Trust,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, ConfigError> {
    let provider = Arc::clone(provider);
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Anyone => return Ok(Arc::new(Anyone(provider))),
        Trust::Only(roots) if roots.is_empty() => return Err(ConfigError::NoRoots),
        Trust::Only(roots) => {
            let (store, lists) = roots.into_store();
            WebPkiServerVerifier::builder_with_provider(store, provider)
                .with_crls(lists)
                .enforce_revocation_expiration()
                .build()
                .map_err(|error| ConfigError::Verifier(Box::new(error)))?
        }
        Trust::Platform(roots) => {
            match Verifier::new_with_extra_roots(roots.into_certificates(), provider) {
                Ok(verifier) => Arc::new(verifier),
                // It says so in words only; each root was looked at when it was added.
                Err(rustls::Error::General(_)) => return Err(ConfigError::NoRoots),
                Err(error) => return Err(ConfigError::Verifier(Box::new(error))),
            }
        }
    };
    Ok(Arc::new(Explained(verifier)))
}

/// A client's configuration, and what makes its sessions unsafe.
#[derive(Debug)]
#[must_use = "it does nothing before `build`"]
pub struct DangerousConnectorBuilder {
    builder: ConnectorBuilder,
}

impl DangerousConnectorBuilder {
    /// Takes every certificate: whoever sits on the way can read and change everything. For tests against a machine of one's own.
    pub fn accept_any_certificate(mut self) -> ConnectorBuilder {
        self.builder.trust = Trust::Anyone;
        self.builder
    }
}

#[cfg(test)]
mod tests {
    use super::{Trust, server_verifier};
    use crate::error::{CertificateProblem, ConfigError, TlsError};
    use crate::provider::default_provider;
    use crate::roots::Roots;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use std::sync::Arc;
    use std::time::Duration;

    /// 2026-08-12: both chains were valid then.
    const THEN: u64 = 1_786_492_800;
    const DAY: u64 = 24 * 60 * 60;

    /// What public sites showed, the site's own certificate first; and the last day of that.
    const SITES: [(&str, &[u8], u64); 2] = [
        (
            "aws.amazon.com",
            include_bytes!("../tests/data/aws.amazon.com.pem"),
            1_792_281_599,
        ),
        (
            "letsencrypt.org",
            include_bytes!("../tests/data/letsencrypt.org.pem"),
            1_791_127_473,
        ),
    ];

    type Chain = Vec<CertificateDer<'static>>;

    fn chain(pem: &[u8]) -> Chain {
        let chain: Result<Chain, _> = CertificateDer::pem_slice_iter(pem).collect();
        chain.expect("certificates")
    }

    /// The platform's verifier, with these roots besides.
    fn platform(extra: Roots) -> Result<Arc<dyn ServerCertVerifier>, ConfigError> {
        server_verifier(Trust::Platform(extra), &default_provider())
    }

    /// What is wrong with a chain for a name at a time, if anything is.
    fn problem(
        verifier: &Arc<dyn ServerCertVerifier>,
        chain: &[CertificateDer<'_>],
        name: &'static str,
        at: u64,
    ) -> Option<CertificateProblem> {
        let (first, others) = chain.split_first().expect("a certificate");
        let name = ServerName::try_from(name).expect("a name");
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        let verdict = verifier.verify_server_cert(first, others, &name, &[], at);
        let error = TlsError::from(verdict.err()?);
        Some(error.certificate_problem().expect("a verdict"))
    }

    /// With the chain's own last certificate as a root, so that it does not matter which ones the machine has.
    #[test]
    fn chains_of_public_sites_are_verified_by_the_platforms_verifier() {
        use CertificateProblem as P;
        for (name, pem, last) in SITES {
            let mut chain = chain(pem);
            let mut roots = Roots::new();
            let root = chain.pop().expect("a root");
            roots.add_der(root).expect("a root");
            let verifier = platform(roots).expect("a verifier with a root");
            let at = |at| problem(&verifier, &chain, name, at);
            assert_eq!(at(THEN), None, "{name}");
            assert_eq!(at(last), None, "{name}");
            assert_eq!(at(last + DAY), Some(P::Expired), "{name}");
            assert_eq!(at(THEN - 2 * 365 * DAY), Some(P::NotYetValid), "{name}");
            let elsewhere = problem(&verifier, &chain, "example.com", THEN);
            assert_eq!(elsewhere, Some(P::WrongHost));
            let alone = problem(&verifier, &chain[..1], name, THEN);
            assert_eq!(alone, Some(P::UnknownIssuer), "{name}");
            // Its last bytes are the issuer's signature.
            let mut forged = chain[0].to_vec();
            *forged.last_mut().expect("bytes") ^= 1;
            let forged = [forged.into(), chain[1].clone()];
            let forged = problem(&verifier, &forged, name, THEN);
            assert_eq!(forged, Some(P::BadSignature), "{name}");
        }
    }

    #[test]
    fn chains_of_public_sites_lead_to_the_platforms_own_roots() {
        let verifier = match platform(Roots::new()) {
            Ok(verifier) => verifier,
            Err(error) => {
                assert!(matches!(error, ConfigError::NoRoots), "{error}");
                eprintln!("skipped: {error}");
                return;
            }
        };
        let verdicts = SITES.map(|(name, pem, _)| problem(&verifier, &chain(pem), name, THEN));
        if verdicts == [Some(CertificateProblem::UnknownIssuer); 2] {
            eprintln!(
                "skipped: this machine trusts neither Amazon's nor ISRG's root, so it has no public ones"
            );
            return;
        }
        assert_eq!(verdicts, [None, None]);
    }
}
