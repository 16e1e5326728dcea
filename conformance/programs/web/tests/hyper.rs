//! hyper, both ends, HTTP/1 and HTTP/2, over TCP.

use bytes::Bytes;
use futures::future::join_all;
use http_body_util::{BodyExt, Empty, Full};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use web::{GUARD, answers};

async fn server() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(answers::serve(listener));
    addr
}

fn echo(addr: std::net::SocketAddr, body: Bytes) -> Request<Full<Bytes>> {
    Request::post(format!("http://{addr}/echo"))
        .header(header::HOST, addr.to_string())
        .body(Full::new(body))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_serves_many_requests_over_http1() {
    timeout(GUARD, async {
        let addr = server().await;
        let stream = TcpStream::connect(addr).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        for size in [0, 1, 1000, 100_000, 1_000_000] {
            let body = Bytes::from(vec![b'x'; size]);
            sender.ready().await.unwrap();
            let answer = sender.send_request(echo(addr, body.clone())).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), body);
        }
        drop(sender);
        connection.await.unwrap().unwrap();
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_carries_many_streams_over_http2() {
    timeout(GUARD, async {
        let addr = server().await;
        let stream = TcpStream::connect(addr).await.unwrap();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        let connection = tokio::spawn(connection);
        let answers = (0..100_usize).map(|number| {
            let mut sender = sender.clone();
            async move {
                let body = Bytes::from(vec![b'y'; number * 1000]);
                let answer = sender.send_request(echo(addr, body.clone())).await.unwrap();
                assert_eq!(answer.version(), hyper::Version::HTTP_2);
                assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), body);
            }
        });
        join_all(answers).await;
        drop(sender);
        connection.await.unwrap().unwrap();
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_streamed_body_comes_whole() {
    timeout(GUARD, async {
        let addr = server().await;
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .build_http::<Empty<Bytes>>();
        for _ in 0..3 {
            let answer = client
                .get(format!("http://{addr}/numbers").parse().unwrap())
                .await
                .unwrap();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let numbers: Vec<u32> = std::str::from_utf8(&body)
                .unwrap()
                .lines()
                .map(|line| line.parse().unwrap())
                .collect();
            assert!(numbers.into_iter().eq(0..1000));
        }
        let answer = client
            .get(format!("http://{addr}/nowhere").parse().unwrap())
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_connection_is_taken_over() {
    timeout(GUARD, async {
        let addr = server().await;
        let stream = TcpStream::connect(addr).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection.with_upgrades());
        let request = Request::get("/raw")
            .header(header::HOST, addr.to_string())
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, "raw")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        let mut raw = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
        raw.write_all(b"no HTTP any more").await.unwrap();
        let mut back = [0; 16];
        raw.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"no HTTP any more");
    })
    .await
    .unwrap();
}
