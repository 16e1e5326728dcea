//! Servers and clients of hyper, HTTP/1 and HTTP/2, and a connection that is upgraded.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use blitz_hyper::{BlitzExecutor, BlitzIo, BlitzLocalExecutor, BlitzTimer};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::header::UPGRADE;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};

use crate::harness::on_every;

/// Gives back what it was sent, and the path.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let mut response = Response::new(Full::new(body));
    response
        .headers_mut()
        .insert("path", path.parse().expect("a value"));
    Ok(response)
}

/// A listener, and a client's stream to it.
async fn pair() -> (BlitzIo<TcpStream>, BlitzIo<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr: SocketAddr = listener.local_addr().unwrap();
    let (client, server) = blitz_io::join!(TcpStream::connect(addr), listener.accept());
    (
        BlitzIo::new(client.unwrap()),
        BlitzIo::new(server.unwrap().0),
    )
}

fn post(path: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    Request::post(path)
        .header("host", "here")
        .body(Full::from(body))
        .unwrap()
}

#[test]
fn requests_are_answered_over_http_1() {
    on_every(|| async {
        let (client, server) = pair().await;
        let serve = hyper::server::conn::http1::Builder::new()
            .timer(BlitzTimer::new())
            .serve_connection(server, service_fn(echo));
        let served = blitz_io::spawn(serve);
        let (mut send, connection) = hyper::client::conn::http1::handshake(client).await.unwrap();
        let driven = blitz_io::spawn(connection);
        // Small, and more than the sockets' buffers hold.
        for size in [0, 10, 3_000_000] {
            let body = vec![b'x'; size];
            let answer = send
                .send_request(post("/over/one", body.clone()))
                .await
                .unwrap();
            assert_eq!(answer.headers()["path"], "/over/one");
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), body);
            send.ready().await.unwrap();
        }
        drop(send);
        driven.await.unwrap().unwrap();
        served.await.unwrap().unwrap();
    });
}

#[test]
fn streams_of_http_2_share_a_connection() {
    on_every(|| async {
        let (client, server) = pair().await;
        let serve = hyper::server::conn::http2::Builder::new(BlitzExecutor::new())
            .timer(BlitzTimer::new())
            .serve_connection(server, service_fn(echo));
        let served = blitz_io::spawn(serve);
        let (send, connection) = hyper::client::conn::http2::Builder::new(BlitzExecutor::new())
            .timer(BlitzTimer::new())
            .handshake(client)
            .await
            .unwrap();
        let driven = blitz_io::spawn(connection);
        let asked = (0..50).map(|number: usize| {
            let mut send = send.clone();
            blitz_io::spawn(async move {
                let body = vec![b'y'; number * 3000];
                let answer = send
                    .send_request(post("http://here/two", body.clone()))
                    .await
                    .unwrap();
                assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), body);
            })
        });
        for task in asked.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        drop(send);
        driven.await.unwrap().unwrap();
        served.await.unwrap().unwrap();
    });
}

/// hyper's tasks for a body that is not `Send` need a place that stays on a thread.
#[test]
fn http_2_without_send_runs_in_a_local_set() {
    use std::rc::Rc;
    on_every(|| async {
        let set = blitz_io::task::LocalSet::new();
        set.run_until(async {
            let (client, server) = pair().await;
            let own = Rc::new(());
            let service = service_fn(move |request| {
                let own = Rc::clone(&own);
                async move {
                    let answer = echo(request).await;
                    drop(own);
                    answer
                }
            });
            let serve = hyper::server::conn::http2::Builder::new(BlitzLocalExecutor::new())
                .serve_connection(server, service);
            let served = blitz_io::task::spawn_local(serve);
            let (mut send, connection) =
                hyper::client::conn::http2::handshake(BlitzExecutor::new(), client)
                    .await
                    .unwrap();
            let driven = blitz_io::spawn(connection);
            let answer = send
                .send_request(post("http://here/local", b"z".to_vec()))
                .await
                .unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "z");
            drop(send);
            driven.await.unwrap().unwrap();
            served.await.unwrap().unwrap();
        })
        .await;
    });
}

/// After an upgrade both ends have a stream of blitz-io again.
#[test]
fn an_upgraded_connection_is_a_stream_again() {
    async fn switch(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
        blitz_io::spawn(async move {
            let upgraded = hyper::upgrade::on(&mut request)
                .await
                .expect("the client agrees");
            let mut stream = BlitzIo::new(upgraded);
            let mut word = [0; 4];
            stream.read_exact(&mut word).await?;
            word.reverse();
            stream.write_all(&word).await?;
            stream.shutdown().await
        });
        let response = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(UPGRADE, "word");
        Ok(response.body(Empty::new()).expect("a response"))
    }
    on_every(|| async {
        let (client, server) = pair().await;
        let served = blitz_io::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(server, service_fn(switch))
                .with_upgrades(),
        );
        let (mut send, connection) = hyper::client::conn::http1::handshake(client).await.unwrap();
        blitz_io::spawn(connection.with_upgrades());
        let ask = Request::get("/")
            .header("host", "here")
            .header(UPGRADE, "word")
            .header("connection", "upgrade");
        let answer = send
            .send_request(ask.body(Empty::<Bytes>::new()).unwrap())
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        let mut stream = BlitzIo::new(hyper::upgrade::on(answer).await.unwrap());
        stream.write_all(b"abcd").await.unwrap();
        stream.flush().await.unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, b"dcba");
        served.await.unwrap().unwrap();
    });
}

#[test]
fn what_is_inside_can_be_had() {
    let mut io = BlitzIo::new(7);
    *io.inner_mut() += 1;
    assert_eq!((*io.inner(), io.into_inner()), (8, 8));
}

/// An error goes through both directions of the adapter as it is.
#[test]
fn errors_come_through() {
    on_every(|| async {
        let (client, server) = pair().await;
        let broken = server.into_inner();
        broken.set_zero_linger().unwrap();
        drop(broken);
        let mut stream = BlitzIo::new(client);
        let mut one = [0];
        let error = loop {
            // The reset may come after a read that was begun before it.
            match stream.read(&mut one).await {
                Err(error) => break error,
                Ok(read) => assert_eq!(read, 0, "nothing was sent"),
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}
