//! Authorities, certificates and pairs of peers, made for a test.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use blitz_io::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};
use blitz_io::runtime::Builder;
use blitz_io::time::timeout;
use blitz_tls::rustls::crypto::aws_lc_rs;
use blitz_tls::rustls::{ClientConfig, RootCertStore};
use blitz_tls::{HandshakeError, Identity, Roots, TlsAcceptor, TlsConnector, TlsStream};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// An authority of our own.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, as text.
pub(crate) struct Made {
    pub(crate) cert: String,
    pub(crate) key: String,
    /// The serial number, by which it is revoked.
    pub(crate) serial: rcgen::SerialNumber,
}

impl Made {
    pub(crate) fn identity(&self) -> Identity {
        Identity::from_pem(self.cert.as_bytes(), self.key.as_bytes()).unwrap()
    }
}

/// Parameters of a certificate for `names`, valid now and for long.
pub(crate) fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "one of the tests");
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Authority {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn roots(&self) -> Roots {
        let mut roots = Roots::new();
        roots.add_pem(self.pem().as_bytes()).unwrap();
        roots
    }

    /// A certificate for `names`.
    pub(crate) fn issue(&self, names: &[&str]) -> Made {
        self.issue_by(params(names), KeyPair::generate().unwrap())
    }

    pub(crate) fn issue_by(&self, mut params: CertificateParams, key: KeyPair) -> Made {
        static SERIAL: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        // ORDERING: a number that is given out once; it orders nothing else.
        let serial = SERIAL.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let serial = rcgen::SerialNumber::from(serial);
        params.serial_number = Some(serial.clone());
        Made {
            cert: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
            serial,
        }
    }

    /// A list that revokes these.
    pub(crate) fn revoke(&self, made: &[&Made]) -> String {
        let revoked = made.iter().map(|made| rcgen::RevokedCertParams {
            serial_number: made.serial.clone(),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = rcgen::CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 1),
            next_update: date_time_ymd(2120, 1, 1),
            crl_number: rcgen::SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// The authority that most tests share.
pub(crate) fn authority() -> &'static Authority {
    static SHARED: OnceLock<Authority> = OnceLock::new();
    SHARED.get_or_init(|| Authority::new("the authority of the tests"))
}

/// A certificate for localhost by [`authority`].
pub(crate) fn localhost() -> &'static Made {
    static SHARED: OnceLock<Made> = OnceLock::new();
    SHARED.get_or_init(|| authority().issue(&["localhost", "127.0.0.1"]))
}

pub(crate) fn acceptor() -> TlsAcceptor {
    TlsAcceptor::builder(localhost().identity())
        .build()
        .unwrap()
}

pub(crate) fn connector() -> TlsConnector {
    TlsConnector::builder()
        .only_roots(authority().roots())
        .build()
        .unwrap()
}

/// A client that knows TLS 1.2 only.
pub(crate) fn connector_12() -> TlsConnector {
    use blitz_tls::rustls::pki_types::CertificateDer;
    use blitz_tls::rustls::pki_types::pem::PemObject;

    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority().pem().as_bytes()).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&blitz_tls::rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config).into()
}

/// Both ends of a session over `server` and `client`.
pub(crate) async fn meet<S, C>(
    acceptor: &TlsAcceptor,
    connector: &TlsConnector,
    server: S,
    client: C,
) -> (
    Result<TlsStream<S>, HandshakeError<S>>,
    Result<TlsStream<C>, HandshakeError<C>>,
)
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: AsyncRead + AsyncWrite + Unpin,
{
    futures::future::join(
        acceptor.accept(server),
        connector.connect("localhost", client),
    )
    .await
}

/// Both ends of a session over a pipe of `capacity` bytes: the server's, the client's.
pub(crate) async fn pair_by(
    acceptor: &TlsAcceptor,
    connector: &TlsConnector,
    capacity: usize,
) -> (TlsStream<DuplexStream>, TlsStream<DuplexStream>) {
    let (server, client) = duplex(capacity);
    let (server, client) = meet(acceptor, connector, server, client).await;
    (server.unwrap(), client.unwrap())
}

/// The same with the usual configurations.
pub(crate) async fn pair(capacity: usize) -> (TlsStream<DuplexStream>, TlsStream<DuplexStream>) {
    pair_by(&acceptor(), &connector(), capacity).await
}

/// Runs `future` in virtual time: what hangs is noticed at once.
#[track_caller]
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    match runtime.block_on(async { timeout(Duration::from_secs(3600), future).await }) {
        Ok(output) => output,
        Err(_) => panic!("it waits for what will never come"),
    }
}
