//! Other protocols on the same connection.

use crate::harness::connect;
use blitz_http::{Body, Request, Response, Router, now, service_fn, upgrade};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use http::StatusCode;
use std::time::Duration;

fn shouting(
    status: StatusCode,
) -> impl tower_service::Service<
    Request,
    Response = Response,
    Error = std::convert::Infallible,
    Future: Send,
> + Send {
    service_fn(move |mut request: Request| {
        let upgraded = upgrade(&mut request);
        blitz_io::spawn(async move {
            let mut stream = upgraded.await.expect("an upgrade");
            let mut word = [0; 5];
            stream.read_exact(&mut word).await.expect("a word");
            word.make_ascii_uppercase();
            stream.write_all(&word).await.expect("sent");
            // Until the client has gone, or the server cuts it.
            let _ = stream.read(&mut word).await;
        });
        let response = http::Response::builder().status(status);
        std::future::ready(response.body(Body::empty()).expect("a response"))
    })
}

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: loud\r\n\r\n";

#[blitz_io::test(start_paused = true)]
async fn a_handler_takes_the_stream_with_what_came_ahead() {
    let mut client = connect(shouting(StatusCode::SWITCHING_PROTOCOLS));
    client.send(format!("{UPGRADE}hel")).await;
    client
        .expect("HTTP/1.1 101 Switching Protocols\r\n\r\n")
        .await;
    client.send("lo").await;
    client.expect("HELLO").await;
}

#[blitz_io::test(start_paused = true)]
async fn connect_becomes_a_tunnel() {
    let mut client = connect(shouting(StatusCode::OK));
    client
        .send("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\nhello")
        .await;
    client.expect("HTTP/1.1 200 OK\r\n\r\nHELLO").await;
}

#[blitz_io::test(start_paused = true)]
async fn a_handler_that_does_not_want_to_goes_on_with_http() {
    let mut client = connect(Router::new().get("/", now(|_| StatusCode::NO_CONTENT)));
    client.send(format!("{UPGRADE}{UPGRADE}")).await;
    for _ in 0..2 {
        client.expect("HTTP/1.1 204 No Content\r\n\r\n").await;
    }
}

#[blitz_io::test(start_paused = true)]
async fn a_tunnel_that_was_refused_ends_the_connection() {
    let mut client = connect(Router::new().fallback(now(|_| StatusCode::FORBIDDEN)));
    client
        .send("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(client.rest().await.matches("HTTP/1.1").count(), 1);
}

#[blitz_io::test(start_paused = true)]
async fn without_a_wish_there_is_no_upgrade() {
    let service = service_fn(|mut request: Request| async move {
        assert!(upgrade(&mut request).await.is_err());
        http::Response::new(Body::from("x"))
    });
    let mut client = connect(service);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.expect("HTTP/1.1 200 OK").await;
}

#[blitz_io::test(start_paused = true)]
async fn what_was_upgraded_holds_its_place_until_it_ends() {
    let mut client = connect(shouting(StatusCode::SWITCHING_PROTOCOLS));
    client.send(UPGRADE).await;
    client
        .expect("HTTP/1.1 101 Switching Protocols\r\n\r\n")
        .await;
    blitz_io::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(client.handle.open(), 1);
    client.send("hello").await;
    client.expect("HELLO").await;
    drop(client.io);
    blitz_io::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(client.handle.open(), 0);
}

/// Where a body has not been read, it would be taken for the other protocol.
#[blitz_io::test(start_paused = true)]
async fn an_upgrade_with_its_body_unread_is_a_fault() {
    let mut client = connect(Router::new().post("/", now(|_| StatusCode::SWITCHING_PROTOCOLS)));
    let head = UPGRADE
        .replace("GET", "POST")
        .replace("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\n");
    client.send(format!("{head}abc")).await;
    client.expect("HTTP/1.1 500 ").await;
}
