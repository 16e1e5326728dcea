//! TLS: whom a client trusts, and what it says where it does not.

use super::paused;
use blitz_http::client::{BoxStream, ClientBuilder, Connecting, Phase, Proxy};
use blitz_http::{Client, Config, Connection, Handle, Peer, Router, now};
use blitz_io::io::{AsyncWriteExt, DuplexStream, duplex};
use blitz_tls::rustls;
use blitz_tls::{
    CertificateProblem, ClientAuth, Identity, Roots, TlsAcceptor, TlsError, TlsVersion,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use std::error::Error as _;
use std::future::ready;
use std::sync::{Arc, Mutex};

pub(super) type Authority = CertifiedIssuer<'static, KeyPair>;

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

pub(super) fn authority() -> Authority {
    named("authority of a test")
}

fn named(name: &str) -> Authority {
    let mut params = params(&[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, key()).expect("an authority")
}

pub(super) fn roots(authority: &Authority) -> Roots {
    let mut roots = Roots::new();
    roots.add_pem(authority.pem().as_bytes()).expect("a root");
    roots
}

pub(super) fn issue(authority: &Authority, params: CertificateParams) -> Identity {
    let key = key();
    let cert = params
        .signed_by(&key, authority)
        .expect("a certificate")
        .pem();
    Identity::from_pem(cert.as_bytes(), key.serialize_pem().as_bytes()).expect("an identity")
}

/// A server that does not look at its own certificate, as `Identity` does.
fn careless(authority: &Authority, params: CertificateParams) -> TlsAcceptor {
    let key = key();
    let cert = params.signed_by(&key, authority).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .expect("a key to the certificate");
    Arc::new(config).into()
}

/// A certificate for localhost and 127.0.0.1.
pub(super) fn localhost(authority: &Authority) -> Identity {
    issue(authority, params(&["localhost", "127.0.0.1"]))
}

/// Serves one connection, if the client agrees.
async fn serve(acceptor: TlsAcceptor, io: DuplexStream) {
    let Ok(session) = acceptor.accept(io).await else {
        return;
    };
    let router = Router::new().get("/", now(|_| "secret"));
    let handle = Handle::new(Config::default());
    // A client that has got what it wants may go at any time.
    let _ = Connection::new(session, router, &handle, Peer::default()).await;
}

/// A client whose connections lead to a server with that identity.
fn client(identity: Identity) -> ClientBuilder {
    let acceptor = TlsAcceptor::builder(identity).build().expect("an acceptor");
    of_acceptor(acceptor)
}

fn of_acceptor(acceptor: TlsAcceptor) -> ClientBuilder {
    Client::builder().connector(move |_: &str, _: u16| -> Connecting {
        let (ours, theirs) = duplex(64 * 1024);
        drop(blitz_io::spawn(serve(acceptor.clone(), theirs)));
        Box::pin(ready(Ok(Box::new(ours) as BoxStream)))
    })
}

async fn get(client: &Client, url: &str) -> Result<String, blitz_http::client::Error> {
    client.get(url).send().await?.text().await
}

#[test]
fn a_server_that_is_trusted_is_talked_to() {
    let authority = authority();
    let client = client(localhost(&authority))
        .only_roots(roots(&authority))
        .build()
        .expect("a client");
    paused(async {
        assert_eq!(
            get(&client, "https://localhost/").await.expect("an answer"),
            "secret"
        );
        let response = client
            .get("https://localhost/")
            .send()
            .await
            .expect("an answer");
        assert!(response.timings().reused, "the session is kept");
        assert_eq!(
            get(&client, "https://127.0.0.1/").await.expect("an answer"),
            "secret"
        );
        assert_eq!(client.pool_state().opened, 2);
    });
}

#[test]
fn versions_are_bounded_from_both_sides() {
    let authority = authority();
    for (server_min, server_max, min, max, fits) in [
        (
            TlsVersion::Tls12,
            TlsVersion::Tls12,
            TlsVersion::Tls12,
            TlsVersion::Tls13,
            true,
        ),
        (
            TlsVersion::Tls12,
            TlsVersion::Tls12,
            TlsVersion::Tls13,
            TlsVersion::Tls13,
            false,
        ),
        (
            TlsVersion::Tls13,
            TlsVersion::Tls13,
            TlsVersion::Tls12,
            TlsVersion::Tls12,
            false,
        ),
        (
            TlsVersion::Tls12,
            TlsVersion::Tls13,
            TlsVersion::Tls12,
            TlsVersion::Tls12,
            true,
        ),
        // There is none to speak.
        (
            TlsVersion::Tls12,
            TlsVersion::Tls13,
            TlsVersion::Tls13,
            TlsVersion::Tls12,
            false,
        ),
    ] {
        let acceptor = TlsAcceptor::builder(localhost(&authority))
            .min_version(server_min)
            .max_version(server_max)
            .build()
            .expect("an acceptor");
        let client = of_acceptor(acceptor)
            .only_roots(roots(&authority))
            .min_tls_version(min)
            .max_tls_version(max)
            .build()
            .expect("a client");
        let case = format!("{server_min:?} to {server_max:?}, {min:?} to {max:?}");
        paused(async {
            let answer = get(&client, "https://localhost/").await;
            match answer {
                Ok(body) => assert!(fits && body == "secret", "{case}"),
                Err(error) => assert!(
                    !fits && error.phase() == Some(Phase::Tls),
                    "{case}: {error}"
                ),
            }
        });
    }
}

#[test]
fn a_session_is_resumed_where_its_connection_is_not_kept() {
    let authority = authority();
    let acceptor = TlsAcceptor::builder(localhost(&authority))
        .build()
        .expect("an acceptor");
    let resumed = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&resumed);
    let builder = Client::builder().connector(move |_: &str, _: u16| -> Connecting {
        let (ours, theirs) = duplex(64 * 1024);
        let (acceptor, told) = (acceptor.clone(), Arc::clone(&told));
        drop(blitz_io::spawn(async move {
            let session = acceptor.accept(theirs).await.expect("a session");
            told.lock().expect("no panic").push(session.is_resumed());
            let router = Router::new().get("/", now(|_| "secret"));
            let handle = Handle::new(Config::default());
            // As above.
            let _ = Connection::new(session, router, &handle, Peer::default()).await;
        }));
        Box::pin(ready(Ok(Box::new(ours) as BoxStream)))
    });
    let client = builder
        .only_roots(roots(&authority))
        .build()
        .expect("a client");
    paused(async {
        for (url, n) in [
            ("https://localhost/", 1),
            ("https://localhost/", 2),
            ("https://localhost:8443/", 3),
            // What is kept is of one name.
            ("https://127.0.0.1/", 4),
        ] {
            assert_eq!(get(&client, url).await.expect("an answer"), "secret");
            client.drop_idle();
            assert_eq!(client.pool_state().opened, n);
        }
    });
    assert_eq!(
        *resumed.lock().expect("no panic"),
        [false, true, true, false]
    );
}

#[test]
fn each_bad_certificate_has_an_error_of_its_own() {
    let ours = authority();
    let mut expired = params(&["localhost"]);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let mut early = params(&["localhost"]);
    early.not_before = date_time_ymd(2110, 1, 1);
    let own = key();
    let cert = params(&["localhost"])
        .self_signed(&own)
        .expect("a certificate")
        .pem();
    let self_signed = Identity::from_pem(cert.as_bytes(), own.serialize_pem().as_bytes());
    use CertificateProblem as P;
    let of = |identity| TlsAcceptor::builder(identity).build().expect("an acceptor");
    for (acceptor, problem, said) in [
        (careless(&ours, expired), P::Expired, "has expired"),
        (careless(&ours, early), P::NotYetValid, "not valid yet"),
        (
            careless(&ours, params(&["other.example"])),
            P::WrongHost,
            "for another name",
        ),
        (
            of(localhost(&named("a stranger"))),
            P::UnknownIssuer,
            "issuer that is not trusted",
        ),
        (
            of(self_signed.expect("an identity")),
            P::SelfSigned,
            "self-signed",
        ),
    ] {
        let client = of_acceptor(acceptor)
            .only_roots(roots(&ours))
            .build()
            .expect("a client");
        let error = paused(get(&client, "https://localhost/")).expect_err(said);
        assert_eq!(error.certificate_problem(), Some(problem), "{error:?}");
        assert_eq!((error.name(), error.phase()), ("tls", Some(Phase::Tls)));
        assert!(
            error.is_connect() && error.chain().contains(said),
            "{}",
            error.chain()
        );
        assert_eq!(
            (client.pool_state().leased, client.pool_state().idle),
            (0, 0)
        );
    }
}

#[test]
fn the_platform_decides_unless_it_is_told_otherwise() {
    let authority = authority();
    let identity = localhost(&authority);
    let plain = client(identity.clone()).build().expect("a client");
    let error = paused(get(&plain, "https://localhost/")).expect_err("it is nobody's");
    // A system without any roots says that.
    assert_eq!(error.name(), "tls", "{error:?}");
    let extra = client(identity.clone())
        .extra_roots(roots(&authority))
        .build()
        .expect("a client");
    assert_eq!(
        paused(get(&extra, "https://localhost/")).expect("trusted"),
        "secret"
    );
    let any = client(identity)
        .dangerous_accept_any_certificate()
        .build()
        .expect("a client");
    assert_eq!(
        paused(get(&any, "https://other.example/")).expect("as it was asked for"),
        "secret"
    );
}

#[test]
fn a_client_shows_its_certificate_where_one_is_wanted() {
    let authority = authority();
    let acceptor = || {
        let builder = TlsAcceptor::builder(localhost(&authority));
        let builder = builder.client_auth(ClientAuth::Required(roots(&authority)));
        builder.build().expect("an acceptor")
    };
    let known = of_acceptor(acceptor()).only_roots(roots(&authority));
    let known = known
        .identity(issue(&authority, params(&["me"])))
        .build()
        .expect("a client");
    assert_eq!(
        paused(get(&known, "https://localhost/")).expect("known"),
        "secret"
    );
    let unknown = of_acceptor(acceptor())
        .only_roots(roots(&authority))
        .build()
        .expect("a client");
    let error = paused(get(&unknown, "https://localhost/")).expect_err("unknown");
    assert_eq!(error.name(), "tls", "{error:?}");
    assert!(
        error.chain().contains("it wants a client certificate"),
        "{}",
        error.chain()
    );
}

#[test]
fn what_is_no_tls_says_so() {
    let authority = authority();
    let plain = Client::builder().connector(|_: &str, _: u16| -> Connecting {
        let (ours, mut theirs) = duplex(64 * 1024);
        drop(blitz_io::spawn(async move {
            let said = theirs.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            said.expect("sent");
        }));
        Box::pin(ready(Ok(Box::new(ours) as BoxStream)))
    });
    let client = plain
        .only_roots(roots(&authority))
        .build()
        .expect("a client");
    let error = paused(get(&client, "https://localhost/")).expect_err("no TLS");
    assert_eq!((error.name(), error.phase()), ("tls", Some(Phase::Tls)));
    let source = error
        .source()
        .and_then(|source| source.downcast_ref::<TlsError>());
    assert!(source.is_some(), "{error:?}");
}

#[test]
fn a_body_that_ends_without_a_farewell_is_cut_off() {
    let authority = authority();
    let acceptor = TlsAcceptor::builder(localhost(&authority))
        .build()
        .expect("an acceptor");
    let builder = Client::builder().connector(move |_: &str, _: u16| -> Connecting {
        let (ours, theirs) = duplex(64 * 1024);
        let acceptor = acceptor.clone();
        drop(blitz_io::spawn(async move {
            let mut session = acceptor.accept(theirs).await.expect("a session");
            session
                .write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
                .await
                .expect("sent");
            session.flush().await.expect("sent");
            // The stream below ends, the session has not said so.
        }));
        Box::pin(ready(Ok(Box::new(ours) as BoxStream)))
    });
    let client = builder
        .only_roots(roots(&authority))
        .build()
        .expect("a client");
    let error = paused(get(&client, "https://localhost/")).expect_err("cut off");
    assert_eq!((error.name(), error.phase()), ("tls", Some(Phase::Body)));
    assert!(error.chain().contains("close_notify"), "{}", error.chain());
}

#[test]
fn a_session_goes_through_proxies_and_within_another_one() {
    let authority = authority();
    for proxy in [
        "http://proxy.example",
        "https://proxy.example",
        "socks5h://proxy.example",
    ] {
        let outer = issue(&authority, params(&["proxy.example"]));
        let outer = TlsAcceptor::builder(outer).build().expect("an acceptor");
        let inner = TlsAcceptor::builder(localhost(&authority))
            .build()
            .expect("an acceptor");
        let builder = Client::builder().connector(move |_: &str, _: u16| -> Connecting {
            let (ours, theirs) = duplex(64 * 1024);
            let (outer, inner) = (outer.clone(), inner.clone());
            drop(blitz_io::spawn(async move {
                let mut io: BoxStream = Box::new(theirs);
                if proxy.starts_with("https") {
                    io = Box::new(outer.accept(io).await.expect("a session"));
                }
                opens(&mut io, proxy.starts_with("socks")).await;
                let session = inner.accept(io).await.expect("a session");
                let router = Router::new().get("/", now(|_| "secret"));
                let handle = Handle::new(Config::default());
                // As above.
                let _ = Connection::new(session, router, &handle, Peer::default()).await;
            }));
            Box::pin(ready(Ok(Box::new(ours) as BoxStream)))
        });
        let proxy = Proxy::new(proxy).expect("a proxy");
        let client = builder
            .proxy(proxy)
            .only_roots(roots(&authority))
            .build()
            .expect("a client");
        assert_eq!(
            paused(get(&client, "https://localhost/")).expect("through"),
            "secret"
        );
    }
}

/// The proxy's part.
async fn opens(io: &mut BoxStream, socks: bool) {
    use blitz_io::io::AsyncReadExt;
    if socks {
        let mut hello = [0; 3];
        io.read_exact(&mut hello).await.expect("a hello");
        io.write_all(&[5, 0]).await.expect("sent");
        let mut asked = [0; 4 + 1 + 9 + 2];
        io.read_exact(&mut asked).await.expect("a request");
        assert_eq!(&asked[5..14], b"localhost");
        io.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
            .await
            .expect("sent");
    } else {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(io.read_u8().await.expect("a request"));
        }
        assert!(head.starts_with(b"CONNECT localhost:443 HTTP/1.1\r\n"));
        io.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .await
            .expect("sent");
    }
    io.flush().await.expect("sent");
}
