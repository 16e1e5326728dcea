//! The end of a server: what is done, what is waited for, what is cut.

use crate::harness::{Client, connect};
use blitz_http::{Body, Request, service_fn};
use blitz_io::time::sleep;
use std::time::Duration;

fn slow() -> Client {
    connect(service_fn(|_: Request| async {
        sleep(Duration::from_secs(5)).await;
        http::Response::new(Body::from("done"))
    }))
}

#[blitz_io::test(start_paused = true)]
async fn a_connection_that_waits_is_closed_at_once() {
    let mut client = slow();
    sleep(Duration::from_secs(1)).await;
    let begun = blitz_io::time::Instant::now();
    client.handle.shut_down(Duration::from_secs(10));
    assert_eq!(client.rest().await, "");
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[blitz_io::test(start_paused = true)]
async fn a_request_that_is_being_answered_is_answered_and_is_the_last() {
    let mut client = slow();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    sleep(Duration::from_secs(1)).await;
    client.handle.shut_down(Duration::from_secs(10));
    assert_eq!(
        client.rest().await,
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\ndone"
    );
}

#[blitz_io::test(start_paused = true)]
async fn a_head_that_was_begun_may_be_finished() {
    let mut client = slow();
    client.send("GET / HTT").await;
    sleep(Duration::from_secs(1)).await;
    client.handle.shut_down(Duration::from_secs(10));
    sleep(Duration::from_secs(1)).await;
    client.send("P/1.1\r\nHost: a\r\n\r\n").await;
    assert!(client.rest().await.ends_with("done"));
}
