//! What a server can be told: names, protocols, versions, client certificates, resumption, new certificates.

use blitz_io::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use blitz_tls::rustls::pki_types::SignatureVerificationAlgorithm;
use blitz_tls::rustls::{AlertDescription, HandshakeKind, ProtocolVersion, SignatureScheme};
use blitz_tls::{
    CertificateProblem, CertificateStore, ClientAuth, ConfigError, HTTP_1_1, Roots, TlsAcceptor,
    TlsConnector, TlsError, TlsStream, TlsVersion,
};
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use std::sync::OnceLock;

use crate::made::{
    Authority, acceptor, authority, connector, connector_12, localhost, meet, pair_by, params, run,
};

type Ends = (
    Result<TlsStream<DuplexStream>, TlsError>,
    Result<TlsStream<DuplexStream>, TlsError>,
);

/// What verifies signatures of one kind.
type Verifiers = (
    SignatureScheme,
    &'static [&'static dyn SignatureVerificationAlgorithm],
);

fn both(acceptor: &TlsAcceptor, connector: &TlsConnector) -> Ends {
    run(async {
        let (server, client) = duplex(1 << 16);
        let (server, client) = meet(acceptor, connector, server, client).await;
        (
            server.map_err(TlsError::from),
            client.map_err(TlsError::from),
        )
    })
}

/// The certificate that a client gets who asks for `name`; it does not look whether it is for that name.
async fn shown(acceptor: &TlsAcceptor, name: &str) -> Result<Vec<u8>, TlsError> {
    let connector = TlsConnector::builder()
        .dangerous()
        .accept_any_certificate()
        .build()
        .unwrap();
    let (server, client) = duplex(1 << 16);
    let (_, client) =
        futures::future::join(acceptor.accept(server), connector.connect(name, client)).await;
    let client = client.map_err(TlsError::from)?;
    Ok(client.peer_certificates().unwrap()[0].to_vec())
}

#[test]
fn the_certificate_is_chosen_by_name() {
    let ca = authority();
    let made = [
        &["default.test"][..],
        &["www.example.com", "Example.COM"],
        &["*.example.com"],
    ]
    .map(|names| ca.issue(names).identity());
    let [default, exact, wild] = made.clone();
    let store = CertificateStore::with_default(default, vec![exact, wild]);
    let acceptor = TlsAcceptor::builder(store.clone()).build().unwrap();
    let strict = TlsAcceptor::builder(store)
        .refuse_unknown_names(true)
        .build()
        .unwrap();
    run(async {
        for (name, expected) in [
            ("default.test", 0),
            ("www.example.com", 1),
            ("WWW.example.com", 1),
            ("example.com", 1),
            ("other.example.com", 2),
            ("a.b.example.com", 0),
            ("com", 0),
            ("elsewhere.test", 0),
            // No SNI is sent for an address.
            ("127.0.0.1", 0),
        ] {
            let got = shown(&acceptor, name).await.unwrap();
            assert_eq!(got, made[expected].chain()[0].to_vec(), "{name}");
            let refused = expected == 0 && name != "default.test" && name != "127.0.0.1";
            match shown(&strict, name).await {
                Ok(_) => assert!(!refused, "{name}"),
                Err(error) => {
                    assert!(refused, "{name}: {error}");
                    assert!(matches!(error, TlsError::Refused(_)), "{error}");
                }
            }
        }
    });
}

#[test]
fn of_two_kinds_of_keys_the_client_gets_the_one_it_can_verify() {
    let ca = authority();
    let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let rsa = ca.issue_by(params(&["localhost"]), rsa).identity();
    let ec = ca.issue(&["localhost"]).identity();
    let store = CertificateStore::with_default(ec.clone(), vec![rsa.clone()]);
    let acceptor = TlsAcceptor::builder(store).build().unwrap();
    let (_, client) = both(&acceptor, &connector());
    assert_eq!(
        client.unwrap().peer_certificates().unwrap()[0],
        ec.chain()[0]
    );
    // A client that knows RSA alone.
    let mut provider = blitz_tls::rustls::crypto::aws_lc_rs::default_provider();
    let known = &mut provider.signature_verification_algorithms;
    let is_rsa = |scheme: &SignatureScheme| format!("{scheme:?}").starts_with("RSA");
    // It is kept for good, so a static has it: what nobody points to would be a leak.
    static RSA: OnceLock<Vec<Verifiers>> = OnceLock::new();
    known.mapping = RSA.get_or_init(|| {
        let all = known.mapping.iter();
        all.filter(|(scheme, _)| is_rsa(scheme)).copied().collect()
    });
    let only_rsa = TlsConnector::builder()
        .only_roots(ca.roots())
        .crypto_provider(provider.into())
        .build()
        .unwrap();
    let (_, client) = both(&acceptor, &only_rsa);
    assert_eq!(
        client.unwrap().peer_certificates().unwrap()[0],
        rsa.chain()[0]
    );
}

#[test]
fn protocols_are_agreed_on_or_refused() {
    let build = |protocols: &[&[u8]]| {
        TlsAcceptor::builder(localhost().identity())
            .alpn(protocols)
            .build()
            .unwrap()
    };
    let ask = |protocols: &[&[u8]]| {
        TlsConnector::builder()
            .only_roots(authority().roots())
            .alpn(protocols)
            .build()
            .unwrap()
    };
    let http = build(&[HTTP_1_1]);
    for (acceptor, connector, agreed) in [
        (&http, ask(&[b"h2", HTTP_1_1]), Some(HTTP_1_1)),
        (&http, ask(&[]), None),
        (&build(&[]), ask(&[HTTP_1_1]), None),
        (
            &build(&[b"h2", HTTP_1_1]),
            ask(&[HTTP_1_1, b"h2"]),
            Some(&b"h2"[..]),
        ),
    ] {
        let (server, client) = both(acceptor, &connector);
        assert_eq!(server.unwrap().alpn_protocol(), agreed);
        assert_eq!(client.unwrap().alpn_protocol(), agreed);
    }
    let (server, client) = both(&http, &ask(&[b"h2"]));
    assert!(matches!(server.unwrap_err(), TlsError::NoCommonProtocol));
    assert!(matches!(
        client.unwrap_err(),
        TlsError::Refused(AlertDescription::NoApplicationProtocol)
    ));
}

#[test]
fn the_oldest_version_can_be_raised() {
    let (server, client) = both(&acceptor(), &connector_12());
    assert_eq!(
        server.unwrap().protocol_version(),
        Some(ProtocolVersion::TLSv1_2)
    );
    client.unwrap();
    let strict = TlsAcceptor::builder(localhost().identity())
        .min_version(TlsVersion::Tls13)
        .build()
        .unwrap();
    both(&strict, &connector()).0.unwrap();
    let (server, client) = both(&strict, &connector_12());
    assert!(matches!(server.unwrap_err(), TlsError::NoCommonVersion));
    assert!(matches!(
        client.unwrap_err(),
        TlsError::Refused(AlertDescription::ProtocolVersion)
    ));
}

#[test]
fn the_newest_version_can_be_lowered() {
    for (server_max, client_max) in [
        (TlsVersion::Tls12, TlsVersion::Tls13),
        (TlsVersion::Tls13, TlsVersion::Tls12),
        (TlsVersion::Tls13, TlsVersion::Tls13),
    ] {
        let acceptor = TlsAcceptor::builder(localhost().identity())
            .max_version(server_max)
            .build()
            .unwrap();
        let connector = TlsConnector::builder()
            .only_roots(authority().roots())
            .max_version(client_max)
            .build()
            .unwrap();
        let (server, client) = both(&acceptor, &connector);
        let agreed = match server_max.min(client_max) {
            TlsVersion::Tls13 => ProtocolVersion::TLSv1_3,
            _ => ProtocolVersion::TLSv1_2,
        };
        assert_eq!(server.unwrap().protocol_version(), Some(agreed));
        assert_eq!(client.unwrap().protocol_version(), Some(agreed));
    }
}

#[test]
fn a_range_without_a_version_is_refused() {
    let acceptor = TlsAcceptor::builder(localhost().identity())
        .min_version(TlsVersion::Tls13)
        .max_version(TlsVersion::Tls12)
        .build();
    let connector = TlsConnector::builder()
        .only_roots(authority().roots())
        .min_version(TlsVersion::Tls13)
        .max_version(TlsVersion::Tls12)
        .build();
    for error in [acceptor.unwrap_err(), connector.unwrap_err()] {
        assert!(matches!(error, ConfigError::NoVersion));
        assert!(error.to_string().contains("min_version"), "{error}");
    }
}

fn asking(auth: ClientAuth) -> TlsAcceptor {
    TlsAcceptor::builder(localhost().identity())
        .client_auth(auth)
        .build()
        .unwrap()
}

fn showing(made: &crate::made::Made) -> TlsConnector {
    TlsConnector::builder()
        .only_roots(authority().roots())
        .identity(made.identity())
        .build()
        .unwrap()
}

/// What the server says of the client, and the client of its first read.
fn verdict(acceptor: &TlsAcceptor, connector: &TlsConnector) -> (TlsError, TlsError) {
    let (server, client) = both(acceptor, connector);
    let server = server.unwrap_err();
    // With TLS 1.3 a client is through before it is judged.
    let client = match client {
        Err(error) => error,
        Ok(mut stream) => {
            let error = run(async { stream.read_u8().await.unwrap_err() });
            match TlsError::of(&error) {
                Some(TlsError::Refused(alert)) => TlsError::Refused(*alert),
                _ => panic!("{error}"),
            }
        }
    };
    (server, client)
}

#[test]
fn clients_show_certificates_where_they_have_to() {
    let (ca, other) = (Authority::new("clients"), Authority::new("somebody else"));
    let (good, bad) = (ca.issue(&["client.test"]), other.issue(&["client.test"]));
    let required = asking(ClientAuth::Required(ca.roots()));
    let optional = asking(ClientAuth::Optional(ca.roots()));
    for acceptor in [&required, &optional] {
        let (server, client) = both(acceptor, &showing(&good));
        let server = server.unwrap();
        assert_eq!(
            server.peer_certificates().unwrap()[0],
            good.identity().chain()[0]
        );
        client.unwrap();
        let (server, client) = verdict(acceptor, &showing(&bad));
        assert_eq!(
            server.certificate_problem(),
            Some(CertificateProblem::UnknownIssuer)
        );
        assert!(matches!(
            client,
            TlsError::Refused(AlertDescription::UnknownCA)
        ));
    }
    let (server, _) = both(&optional, &connector());
    assert!(server.unwrap().peer_certificates().is_none());
    let (server, client) = verdict(&required, &connector());
    assert!(matches!(server, TlsError::NoCertificate), "{server}");
    assert!(matches!(
        client,
        TlsError::Refused(AlertDescription::CertificateRequired)
    ));
    // With TLS 1.2 the client learns it in its handshake.
    let (server, client) = verdict(&required, &connector_12());
    assert!(matches!(server, TlsError::NoCertificate), "{server}");
    assert!(matches!(client, TlsError::Refused(_)));
}

#[test]
fn revoked_clients_are_refused() {
    let ca = Authority::new("clients");
    let (good, bad) = (ca.issue(&["good.test"]), ca.issue(&["bad.test"]));
    let mut roots = ca.roots();
    roots.add_crl_pem(ca.revoke(&[&bad]).as_bytes()).unwrap();
    let acceptor = asking(ClientAuth::Required(roots));
    both(&acceptor, &showing(&good)).0.unwrap();
    let (server, client) = verdict(&acceptor, &showing(&bad));
    assert_eq!(
        server.certificate_problem(),
        Some(CertificateProblem::Revoked)
    );
    assert!(matches!(
        client,
        TlsError::Refused(AlertDescription::CertificateRevoked)
    ));
}

#[test]
fn a_server_without_anybody_to_trust_is_not_built() {
    let error = TlsAcceptor::builder(localhost().identity())
        .client_auth(ClientAuth::Required(Roots::new()))
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("cannot be verified"), "{error}");
}

/// Connects, so that tickets arrive, and says whether the session was resumed.
async fn is_resumed(acceptor: &TlsAcceptor, connector: &TlsConnector) -> bool {
    let (mut server, mut client) = pair_by(acceptor, connector, 1 << 16).await;
    server.write_u8(1).await.unwrap();
    server.flush().await.unwrap();
    client.read_u8().await.unwrap();
    assert_eq!(server.is_resumed(), client.is_resumed());
    server.is_resumed()
}

#[test]
fn sessions_are_resumed_unless_somebody_does_not_want_it() {
    assert_ne!(HandshakeKind::Full, HandshakeKind::Resumed);
    let never = TlsAcceptor::builder(localhost().identity())
        .resumption(false)
        .build()
        .unwrap();
    let unwilling = TlsConnector::builder()
        .only_roots(authority().roots())
        .resumption(false)
        .build()
        .unwrap();
    run(async {
        for connector in [connector(), connector_12()] {
            let acceptor = acceptor();
            assert!(!is_resumed(&acceptor, &connector).await);
            assert!(is_resumed(&acceptor, &connector).await);
            assert!(is_resumed(&acceptor, &connector.clone()).await);
            // A server that was started anew has other keys for its tickets: that is no error.
            assert!(!is_resumed(&crate::made::acceptor(), &connector).await);
            for _ in 0..2 {
                assert!(!is_resumed(&never, &connector).await);
            }
        }
        let acceptor = acceptor();
        for _ in 0..2 {
            assert!(!is_resumed(&acceptor, &unwilling).await);
        }
    });
}

#[test]
fn a_resumed_client_is_still_known() {
    let ca = Authority::new("clients");
    let made = ca.issue(&["client.test"]);
    let acceptor = asking(ClientAuth::Required(ca.roots()));
    let connector = showing(&made);
    run(async {
        assert!(!is_resumed(&acceptor, &connector).await);
        let (server, _client) = pair_by(&acceptor, &connector, 1 << 16).await;
        assert!(server.is_resumed());
        assert_eq!(
            server.peer_certificates().unwrap()[0],
            made.identity().chain()[0]
        );
    });
}

#[test]
fn new_certificates_are_for_new_sessions() {
    let ca = authority();
    let (old, new) = (ca.issue(&["localhost"]), ca.issue(&["localhost"]));
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&cert, &old.cert).unwrap();
    std::fs::write(&key, &old.key).unwrap();
    let identity = blitz_tls::Identity::from_files(&cert, &key).unwrap();
    let store = CertificateStore::new(identity);
    let acceptor = TlsAcceptor::builder(store.clone()).build().unwrap();
    run(async {
        let (mut server, mut client) = pair_by(&acceptor, &connector(), 1 << 16).await;
        // The new certificate is there, its key is not yet.
        std::fs::write(&cert, &new.cert).unwrap();
        let error = store.reload().unwrap_err();
        assert_eq!(error.file(), Some(&*key));
        assert!(error.to_string().contains("not the key"), "{error}");
        let got = shown(&acceptor, "localhost").await.unwrap();
        assert_eq!(got, old.identity().chain()[0].to_vec());
        // Now it is.
        std::fs::write(&key, &new.key).unwrap();
        store.reload().unwrap();
        let got = shown(&acceptor, "localhost").await.unwrap();
        assert_eq!(got, new.identity().chain()[0].to_vec());
        // A session from before goes on.
        client.write_all(b"still here").await.unwrap();
        client.shutdown().await.unwrap();
        let mut word = String::new();
        server.read_to_string(&mut word).await.unwrap();
        assert_eq!(word, "still here");
        // Gone files change nothing either.
        std::fs::remove_file(&cert).unwrap();
        let error = store.reload().unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "{error}");
        let got = shown(&acceptor, "localhost").await.unwrap();
        assert_eq!(got, new.identity().chain()[0].to_vec());
        store.replace(old.identity(), vec![]);
        let got = shown(&acceptor, "localhost").await.unwrap();
        assert_eq!(got, old.identity().chain()[0].to_vec());
    });
}
