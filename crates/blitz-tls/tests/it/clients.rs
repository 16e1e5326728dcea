//! What a client says of servers that it should not trust, each with a certificate made for it.

use std::sync::Arc;

use blitz_io::io::duplex;
use blitz_tls::rustls::crypto::aws_lc_rs;
use blitz_tls::rustls::pki_types::pem::PemObject;
use blitz_tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use blitz_tls::rustls::{AlertDescription, ServerConfig};
use blitz_tls::{CertificateProblem, ConfigError, Roots, TlsAcceptor, TlsConnector, TlsError};
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};

use crate::made::{Authority, Made, authority, connector, localhost, params, run};

/// A server that shows this certificate, though no `Identity` would take it.
fn showing(made: &Made) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_slice(made.cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config).into()
}

fn self_signed(is_authority: bool) -> Made {
    let mut params = params(&["localhost"]);
    if is_authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let key = KeyPair::generate().unwrap();
    Made {
        cert: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
        serial: 1_u64.into(),
    }
}

/// What the client says of the server, and the server of the client.
fn verdict(made: &Made, connector: &TlsConnector, name: &str) -> (TlsError, TlsError) {
    run(async {
        let (server, client) = duplex(1 << 16);
        let acceptor = showing(made);
        let (server, client) =
            futures::future::join(acceptor.accept(server), connector.connect(name, client)).await;
        (client.unwrap_err().into(), server.unwrap_err().into())
    })
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let ca = authority();
    let with = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
        let mut params = params(&["localhost"]);
        change(&mut params);
        ca.issue_by(params, KeyPair::generate().unwrap())
    };
    let expired = with(&|params| params.not_after = date_time_ymd(2021, 2, 3));
    let early = with(&|params| params.not_before = date_time_ymd(2119, 1, 1));
    let client = with(&|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let unknown = Authority::new("nobody knows").issue(&["localhost"]);
    let elsewhere = ca.issue(&["example.com"]);
    use AlertDescription as A;
    use CertificateProblem as P;
    for (made, problem, words, alert) in [
        (&expired, P::Expired, "has expired", A::CertificateExpired),
        (&early, P::NotYetValid, "clocks", A::CertificateExpired),
        (&elsewhere, P::WrongHost, "another name", A::BadCertificate),
        (&unknown, P::UnknownIssuer, "issuer", A::UnknownCA),
        (
            &self_signed(false),
            P::SelfSigned,
            "self-signed",
            A::CertificateUnknown,
        ),
        (
            &self_signed(true),
            P::SelfSigned,
            "self-signed",
            A::CertificateUnknown,
        ),
        (
            &client,
            P::WrongPurpose,
            "not for this use",
            A::BadCertificate,
        ),
    ] {
        let (client, server) = verdict(made, &connector(), "localhost");
        assert_eq!(client.certificate_problem(), Some(problem), "{client:?}");
        assert!(client.to_string().contains(words), "{client}");
        match server {
            TlsError::Refused(told) if told == alert => {}
            // Both of these words are used for a certificate of the wrong kind.
            TlsError::Refused(A::UnsupportedCertificate) if problem == P::WrongPurpose => {}
            server => panic!("{problem:?}: {server:?}"),
        }
        let error = std::io::Error::from(client);
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert!(TlsError::of(&error).is_some());
    }
    // The names are said, for who has to find out which machine it was.
    let (client, _) = verdict(&elsewhere, &connector(), "localhost");
    assert!(client.to_string().contains("example.com"), "{client}");
}

#[test]
fn addresses_are_names_too() {
    run(async {
        for (name, good) in [("127.0.0.1", true), ("127.0.0.2", false), ("::1", false)] {
            let (server, client) = duplex(1 << 16);
            let acceptor = showing(localhost());
            let connector = connector();
            let (_, client) =
                futures::future::join(acceptor.accept(server), connector.connect(name, client))
                    .await;
            match client {
                Ok(_) => assert!(good, "{name}"),
                Err(failed) => {
                    assert!(!good, "{name}: {failed}");
                    assert_eq!(
                        failed.error().certificate_problem(),
                        Some(CertificateProblem::WrongHost)
                    );
                }
            }
        }
    });
}

#[test]
fn revoked_servers_are_refused() {
    let ca = authority();
    let (good, bad) = (ca.issue(&["localhost"]), ca.issue(&["localhost"]));
    let mut roots = ca.roots();
    roots.add_crl_pem(ca.revoke(&[&bad]).as_bytes()).unwrap();
    let connector = TlsConnector::builder().only_roots(roots).build().unwrap();
    let (client, _) = verdict(&bad, &connector, "localhost");
    assert_eq!(
        client.certificate_problem(),
        Some(CertificateProblem::Revoked)
    );
    run(async {
        let (server, client) = duplex(1 << 16);
        let acceptor = showing(&good);
        let (server, client) = crate::made::meet(&acceptor, &connector, server, client).await;
        server.unwrap();
        client.unwrap();
    });
}

#[test]
fn the_platform_is_asked_by_default_and_roots_can_be_added() {
    // A machine without roots of its own has ours.
    let connector = TlsConnector::builder()
        .extra_roots(authority().roots())
        .build()
        .unwrap();
    run(async {
        let (server, client) = duplex(1 << 16);
        let acceptor = showing(localhost());
        let (server, client) = crate::made::meet(&acceptor, &connector, server, client).await;
        server.unwrap();
        client.unwrap();
    });
    let unknown = Authority::new("nobody knows").issue(&["localhost"]);
    for (made, problem) in [
        (&unknown, CertificateProblem::UnknownIssuer),
        (&self_signed(false), CertificateProblem::SelfSigned),
    ] {
        let (client, _) = verdict(made, &connector, "localhost");
        assert_eq!(client.certificate_problem(), Some(problem), "{client:?}");
    }
    match TlsConnector::builder().build() {
        Ok(platform) => {
            let (client, _) = verdict(localhost(), &platform, "localhost");
            assert_eq!(
                client.certificate_problem(),
                Some(CertificateProblem::UnknownIssuer)
            );
        }
        Err(error) => {
            assert!(matches!(error, ConfigError::NoRoots), "{error}");
            eprintln!("the platform's own roots are not tested: {error}");
        }
    }
}

#[test]
fn a_self_signed_certificate_among_the_roots_is_trusted() {
    let made = self_signed(false);
    let mut roots = Roots::new();
    roots.add_pem(made.cert.as_bytes()).unwrap();
    let connector = TlsConnector::builder().only_roots(roots).build().unwrap();
    run(async {
        let (server, client) = duplex(1 << 16);
        let acceptor = showing(&made);
        let (server, client) = crate::made::meet(&acceptor, &connector, server, client).await;
        server.unwrap();
        client.unwrap();
    });
}

#[test]
fn a_self_signed_certificate_with_the_name_of_a_root_is_still_self_signed() {
    let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    for key in [key, KeyPair::generate().unwrap()] {
        let root = params(&["localhost"]).self_signed(&key).unwrap().pem();
        let mut roots = Roots::new();
        roots.add_pem(root.as_bytes()).unwrap();
        let connector = TlsConnector::builder().only_roots(roots).build().unwrap();
        let (client, _) = verdict(&self_signed(false), &connector, "localhost");
        assert_eq!(
            client.certificate_problem(),
            Some(CertificateProblem::SelfSigned),
            "{client:?}"
        );
    }
}

#[test]
fn a_client_without_roots_is_not_built() {
    let error = TlsConnector::builder()
        .only_roots(Roots::new())
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("ca-certificates"), "{error}");
}

#[test]
fn a_dangerous_client_takes_every_certificate_but_no_forged_signature() {
    let connector = TlsConnector::builder()
        .dangerous()
        .accept_any_certificate()
        .build()
        .unwrap();
    run(async {
        let (server, client) = duplex(1 << 16);
        let acceptor = showing(&self_signed(false));
        let (server, client) = crate::made::meet(&acceptor, &connector, server, client).await;
        server.unwrap();
        client.unwrap();
    });
    // The certificate of somebody else, whose key this server has not.
    let (made, other) = (localhost(), authority().issue(&["localhost"]));
    let stolen = blitz_tls::rustls::sign::CertifiedKey::new(
        made.identity().chain().to_vec(),
        aws_lc_rs::default_provider()
            .key_provider
            .load_private_key(PrivateKeyDer::from_pem_slice(other.key.as_bytes()).unwrap())
            .unwrap(),
    );
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(blitz_tls::rustls::sign::SingleCertAndKey::from(
            stolen,
        )));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    run(async {
        let (server, client) = duplex(1 << 16);
        let (_, client) = crate::made::meet(&acceptor, &connector, server, client).await;
        let error = client.unwrap_err().into_error();
        assert_eq!(
            error.certificate_problem(),
            Some(CertificateProblem::BadSignature)
        );
    });
}
