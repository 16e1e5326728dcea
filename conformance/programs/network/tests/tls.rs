//! tokio-rustls over TCP.

use network::{GUARD, tls};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

async fn echo(versions: &[&'static rustls::SupportedProtocolVersion]) {
    let (acceptor, connector) = tls::ends(versions);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(tls::serve(listener, acceptor));
    let clients = (0..10_usize).map(|client| {
        let connector = connector.clone();
        tokio::spawn(async move {
            let stream = TcpStream::connect(addr).await.unwrap();
            let stream = connector
                .connect("localhost".try_into().unwrap(), stream)
                .await
                .unwrap();
            let sent: Vec<u8> = (0..client * 50_000).map(|at| (at % 251) as u8).collect();
            let (mut from, mut to) = tokio::io::split(stream);
            let mut back = Vec::new();
            let write = async {
                to.write_all(&sent).await.unwrap();
                to.shutdown().await.unwrap();
            };
            let ((), read) = tokio::join!(write, from.read_to_end(&mut back));
            read.unwrap();
            assert!(back == sent);
        })
    });
    futures::future::try_join_all(clients).await.unwrap();
    // The certificate is for another name.
    let stream = TcpStream::connect(addr).await.unwrap();
    assert!(
        connector
            .connect("example.org".try_into().unwrap(), stream)
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_comes_back_over_tls_1_3() {
    timeout(GUARD, echo(&[&TLS13])).await.unwrap();
}

#[tokio::test]
async fn what_is_sent_comes_back_over_tls_1_2() {
    timeout(GUARD, echo(&[&TLS12])).await.unwrap();
}
