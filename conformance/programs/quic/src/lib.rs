//! A QUIC echo with quinn: every stream that a client opens comes back to it, and so does every datagram.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, Incoming, ServerConfig};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// The name that the certificate is for.
pub const NAME: &str = "localhost";

/// An endpoint that listens on a free port of the loopback address, and the certificate that it shows.
pub fn listen() -> (Endpoint, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a plain name");
    let certificate = CertificateDer::from(made.cert);
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::with_single_cert(vec![certificate.clone()], key.into())
        .expect("the key is the certificate's");
    (
        Endpoint::server(config, any_port()).expect("a free port"),
        certificate,
    )
}

/// An endpoint that connects, and trusts `certificate` alone.
pub fn client(certificate: CertificateDer<'static>) -> Endpoint {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider knows TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = QuicClientConfig::try_from(config).expect("TLS 1.3 has QUIC's first cipher");
    let mut endpoint = Endpoint::client(any_port()).expect("a free port");
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(config)));
    endpoint
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Serves until the endpoint is closed.
pub async fn serve(endpoint: Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(greet(incoming));
    }
}

async fn greet(incoming: Incoming) {
    // A handshake that fails is the client's affair.
    let Ok(connection) = incoming.await else {
        return;
    };
    tokio::join!(echo_streams(connection.clone()), echo_datagrams(connection));
}

async fn echo_streams(connection: Connection) {
    while let Ok((mut to, mut from)) = connection.accept_bi().await {
        tokio::spawn(async move {
            tokio::io::copy(&mut from, &mut to).await?;
            to.finish().map_err(std::io::Error::other)
        });
    }
}

async fn echo_datagrams(connection: Connection) {
    while let Ok(datagram) = connection.read_datagram().await {
        if connection.send_datagram(datagram).is_err() {
            return;
        }
    }
}
