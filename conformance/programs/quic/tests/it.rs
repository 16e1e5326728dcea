//! A QUIC echo over UDP sockets.

use std::time::Duration;

use futures::future::join_all;
use quinn::{ConnectionError, VarInt};
use tokio::time::timeout;

const GUARD: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_come_back_whole_and_side_by_side() {
    timeout(GUARD, async {
        let (server, certificate) = quic::listen();
        let addr = server.local_addr().unwrap();
        let serving = tokio::spawn(quic::serve(server.clone()));
        let endpoint = quic::client(certificate);
        let connection = endpoint.connect(addr, quic::NAME).unwrap().await.unwrap();
        let echoes = (0..20_usize).map(|stream| {
            let connection = connection.clone();
            async move {
                let sent: Vec<u8> = (0..stream * 20_000).map(|at| (at + stream) as u8).collect();
                let (mut to, mut from) = connection.open_bi().await.unwrap();
                let write = async {
                    to.write_all(&sent).await.unwrap();
                    to.finish().unwrap();
                };
                let ((), back) =
                    tokio::join!(write, async { from.read_to_end(1 << 20).await.unwrap() });
                assert!(back == sent, "stream {stream} came back changed");
            }
        });
        join_all(echoes).await;
        connection.close(VarInt::from_u32(7), b"enough");
        endpoint.wait_idle().await;
        server.close(VarInt::from_u32(0), b"");
        serving.await.unwrap();
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn datagrams_come_back() {
    timeout(GUARD, async {
        let (server, certificate) = quic::listen();
        let addr = server.local_addr().unwrap();
        tokio::spawn(quic::serve(server));
        let endpoint = quic::client(certificate);
        let connection = endpoint.connect(addr, quic::NAME).unwrap().await.unwrap();
        for number in 0..50_u8 {
            // They may be lost, on loopback too: then they are sent again.
            loop {
                connection.send_datagram(vec![number; 1000].into()).unwrap();
                match timeout(Duration::from_secs(2), connection.read_datagram()).await {
                    Ok(back) => {
                        let back = back.unwrap();
                        // A late one of before is no answer.
                        if back[0] == number {
                            assert_eq!(back, vec![number; 1000]);
                            break;
                        }
                    }
                    Err(_) => continue,
                }
            }
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_certificate_of_someone_else_is_refused() {
    timeout(GUARD, async {
        let (server, _) = quic::listen();
        let (_, other) = quic::listen();
        let addr = server.local_addr().unwrap();
        tokio::spawn(quic::serve(server));
        let error = quic::client(other)
            .connect(addr, quic::NAME)
            .unwrap()
            .await
            .unwrap_err();
        assert!(
            matches!(error, ConnectionError::TransportError(_)),
            "{error}"
        );
    })
    .await
    .unwrap();
}
