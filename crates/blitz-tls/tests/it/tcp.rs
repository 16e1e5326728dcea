//! Sessions over TCP, on each back end and scheduler.

use blitz_io::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::runtime::Runtime;
use blitz_tls::{CertificateStore, TlsAcceptor, TlsError};

use crate::harness::{on_both, on_every, run};
use crate::made::{acceptor, authority, connector, localhost};

/// A server that echoes until it is dropped; its address.
async fn echo_server(acceptor: TlsAcceptor) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    blitz_io::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            blitz_io::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let (mut reading, mut writing) = split(stream);
                if copy(&mut reading, &mut writing).await.is_ok() {
                    // A client that has gone without waiting for the end misses nothing.
                    let _ = writing.shutdown().await;
                }
            });
        }
    });
    addr
}

async fn echoed(addr: std::net::SocketAddr, connector: &blitz_tls::TlsConnector, sent: &[u8]) {
    let stream = TcpStream::connect(addr).await.unwrap();
    let stream = connector.connect("localhost", stream).await.unwrap();
    let (mut reading, mut writing) = split(stream);
    let write = async {
        writing.write_all(sent).await.unwrap();
        writing.shutdown().await.unwrap();
    };
    let mut all = Vec::new();
    let (read, ()) = futures::future::join(reading.read_to_end(&mut all), write).await;
    read.unwrap();
    assert!(all == sent);
}

#[test]
fn much_goes_there_and_back() {
    on_every(|runtime: &Runtime| {
        run(runtime, async {
            let addr = echo_server(acceptor()).await;
            let sent: Vec<u8> = (0..2_000_000_u32).map(|n| (n % 253) as u8).collect();
            echoed(addr, &connector(), &sent).await;
            echoed(addr, &connector(), b"").await;
        });
    });
}

#[test]
fn many_at_once_while_certificates_change() {
    on_both(|runtime: &Runtime| {
        run(runtime, async {
            let store = CertificateStore::new(localhost().identity());
            let addr = echo_server(TlsAcceptor::builder(store.clone()).build().unwrap()).await;
            let connector = connector();
            let clients: Vec<_> = (0..100_usize)
                .map(|number| {
                    let connector = connector.clone();
                    blitz_io::spawn(async move {
                        let sent = vec![number as u8; 1000 + 300 * number];
                        for _ in 0..2 {
                            echoed(addr, &connector, &sent).await;
                        }
                    })
                })
                .collect();
            while clients.iter().any(|client| !client.is_finished()) {
                store.replace(authority().issue(&["localhost"]).identity(), vec![]);
                blitz_io::task::yield_now().await;
            }
            for client in clients {
                client.await.unwrap();
            }
        });
    });
}

#[test]
fn a_connection_that_breaks_off_is_an_error() {
    on_every(|runtime: &Runtime| {
        run(runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let (acceptor, connector) = (acceptor(), connector());
            let server = blitz_io::spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = acceptor.accept(stream).await.unwrap();
                let mut all = Vec::new();
                let error = stream.read_to_end(&mut all).await.unwrap_err();
                (all, error)
            });
            let stream = TcpStream::connect(addr).await.unwrap();
            let mut client = connector.connect("localhost", stream).await.unwrap();
            // The tickets, so that nothing unread resets the connection: they come with the server's first word, or not at all.
            client.write_all(b"half a wo").await.unwrap();
            client.flush().await.unwrap();
            client.get_mut().shutdown().await.unwrap();
            let (all, error) = server.await.unwrap();
            assert_eq!(all, b"half a wo");
            assert!(
                matches!(TlsError::of(&error), Some(TlsError::Truncated)),
                "{error}"
            );
            drop(client);
        });
    });
}
