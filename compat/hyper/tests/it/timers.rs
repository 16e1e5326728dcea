//! hyper's timeouts on the runtime's time.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use blitz_hyper::{BlitzIo, BlitzTimer};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::time::{self, Instant};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::rt::{Sleep, Timer};
use hyper::service::service_fn;
use hyper::{Request, Response};

const HOUR: Duration = Duration::from_secs(3600);

#[blitz_io::test(start_paused = true)]
async fn a_sleep_ends_at_its_deadline() {
    let timer = BlitzTimer::new();
    let start = timer.now();
    timer.sleep(HOUR).await;
    assert_eq!(timer.now() - start, HOUR);
    timer.sleep_until(start + 3 * HOUR).await;
    assert_eq!(timer.now() - start, 3 * HOUR);
}

#[blitz_io::test(start_paused = true)]
async fn a_reset_moves_a_sleep_and_makes_no_other() {
    let timer = BlitzTimer::new();
    let start = timer.now();
    let mut sleep = timer.sleep(HOUR);
    let place = std::ptr::from_ref(&*sleep).addr();
    assert!(
        sleep
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    timer.reset(&mut sleep, start + 2 * HOUR);
    assert_eq!(std::ptr::from_ref(&*sleep).addr(), place);
    sleep.await;
    assert_eq!(timer.now() - start, 2 * HOUR);
}

/// As a sleep of another timer is: it cannot be moved, and is replaced.
struct Foreign;

impl Future for Foreign {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl Sleep for Foreign {}

#[blitz_io::test(start_paused = true)]
async fn a_reset_replaces_what_is_not_its_own() {
    let timer = BlitzTimer::new();
    let start = timer.now();
    let mut sleep: Pin<Box<dyn Sleep>> = Box::pin(Foreign);
    timer.reset(&mut sleep, start + HOUR);
    sleep.await;
    assert_eq!(timer.now() - start, HOUR);
}

/// With the timer hyper's own limits run: whoever sends half a head and no more is sent away.
#[blitz_io::test(start_paused = true)]
async fn a_client_that_stops_in_its_head_is_timed_out() {
    let (mut client, server) = blitz_io::io::duplex(1024);
    let nobody = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let start = Instant::now();
    let served = blitz_io::spawn(
        hyper::server::conn::http1::Builder::new()
            .timer(BlitzTimer::new())
            .header_read_timeout(Duration::from_secs(30))
            .serve_connection(BlitzIo::new(server), nobody),
    );
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: he")
        .await
        .unwrap();
    let mut rest = Vec::new();
    time::timeout(HOUR, client.read_to_end(&mut rest))
        .await
        .expect("it hangs up")
        .unwrap();
    assert!(served.await.unwrap().unwrap_err().is_timeout());
    assert_eq!(start.elapsed(), Duration::from_secs(30));
}
