//! Every future is dropped after every number of polls, and what its *Cancel safety* promises has to hold.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use blitz_io::io::{AsyncReadExt, AsyncWriteExt, duplex};
use blitz_tls::{HANDSHAKE_TIMEOUT, TlsError};

use crate::made::{acceptor, connector, meet, pair, run};
use crate::tap::{Plan, Tap};

const STALLING: Plan = Plan {
    step: 300,
    stalls: true,
    ..Plan::OPEN
};

/// Ends with `None` after so many polls.
struct Until<F>(F, usize);

impl<F: Future + Unpin> Future for Until<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.1 == 0 {
            return Poll::Ready(None);
        }
        self.1 -= 1;
        match Pin::new(&mut self.0).poll(cx) {
            Poll::Pending if self.1 == 0 => Poll::Ready(None),
            polled => polled.map(Some),
        }
    }
}

#[test]
fn a_handshake_that_is_dropped_closes_its_stream() {
    let (acceptor, connector) = (acceptor(), connector());
    let mut ended = [false; 2];
    for polls in 0.. {
        for server_is_dropped in [true, false] {
            let succeeded = run(async {
                let (server, client) = duplex(128);
                let (server, client) = (Tap::new(server, STALLING), Tap::new(client, STALLING));
                let server = acceptor.accept(server);
                let client = connector.connect("localhost", client);
                if server_is_dropped {
                    let (dropped, other) =
                        futures::future::join(async { Until(server, polls).await }, async {
                            client.await.map_err(TlsError::from)
                        })
                        .await;
                    // A client that is through may learn of it later.
                    assert!(dropped.is_some() || other.is_ok() || is_closed(&other.unwrap_err()));
                    dropped.is_some_and(|outcome| outcome.is_ok())
                } else {
                    let (other, dropped) = futures::future::join(
                        async { server.await.map_err(TlsError::from) },
                        async { Until(client, polls).await },
                    )
                    .await;
                    assert!(dropped.is_some() || other.is_ok() || is_closed(&other.unwrap_err()));
                    dropped.is_some_and(|outcome| outcome.is_ok())
                }
            });
            ended[usize::from(server_is_dropped)] |= succeeded;
        }
        if ended == [true; 2] {
            assert!(polls > 4, "nothing waited");
            return;
        }
    }
}

fn is_closed(error: &TlsError) -> bool {
    match error {
        TlsError::Closed { .. } => true,
        TlsError::Io(error) => error.kind() == std::io::ErrorKind::BrokenPipe,
        _ => false,
    }
}

#[test]
fn a_handshake_that_is_left_goes_on() {
    run(async {
        let (server, client) = duplex(64);
        let (acceptor, connector) = (acceptor(), connector());
        let mut server = acceptor.accept(server);
        let client = blitz_io::spawn(connector.connect("localhost", client));
        // Each round gives it one poll by a future of its own.
        let mut rounds = 0;
        let server = loop {
            rounds += 1;
            if let Some(outcome) = Until(&mut server, 1).await {
                break outcome.unwrap();
            }
            blitz_io::task::yield_now().await;
        };
        assert!(rounds > 4, "nothing waited");
        client.await.unwrap().unwrap();
        drop(server);
    });
}

/// Makes the call anew for every poll, and drops it when it waits.
macro_rules! by_single_polls {
    ($call:expr) => {
        poll_fn(|cx| pin!($call).poll(cx)).await
    };
}

#[test]
fn calls_that_are_dropped_lose_nothing() {
    run(async {
        let (server, client) = duplex(500);
        let (server, client) = (Tap::new(server, STALLING), Tap::new(client, STALLING));
        let (server, client) = meet(&acceptor(), &connector(), server, client).await;
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        let sent: Vec<u8> = (0..50_000_u32).map(|n| (n % 249) as u8).collect();
        let write = async {
            let mut at = 0;
            while at < sent.len() {
                let end = sent.len().min(at + 7000);
                at += by_single_polls!(client.write(&sent[at..end])).unwrap();
                by_single_polls!(client.flush()).unwrap();
            }
            by_single_polls!(client.shutdown()).unwrap();
        };
        let read = async {
            let (mut all, mut part) = (Vec::new(), [0; 999]);
            loop {
                let count = by_single_polls!(server.read(&mut part)).unwrap();
                if count == 0 {
                    return all;
                }
                all.extend_from_slice(&part[..count]);
            }
        };
        let ((), all) = futures::future::join(write, read).await;
        assert!(all == sent);
    });
}

#[test]
fn a_write_that_waits_has_taken_nothing() {
    run(async {
        let (mut server, mut client) = pair(256).await;
        client.write_all(&[1; 2000]).await.unwrap();
        // What was taken before is not sent yet, so this one waits; then it is dropped.
        assert!(Until(Box::pin(client.write(&[2; 10])), 1).await.is_none());
        let rest = async {
            client.write_all(&[3; 10]).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let mut all = Vec::new();
        let (read, ()) = futures::future::join(server.read_to_end(&mut all), rest).await;
        read.unwrap();
        assert_eq!(all, [vec![1; 2000], vec![3; 10]].concat());
    });
}

#[test]
fn a_handshake_ends_at_its_deadline() {
    run(async {
        let begun = blitz_io::time::Instant::now();
        let (mut silent, server) = duplex(64);
        let failed = acceptor()
            .accept(server)
            .until(blitz_io::time::sleep(HANDSHAKE_TIMEOUT))
            .await
            .unwrap_err();
        assert!(matches!(failed.error(), TlsError::TimedOut));
        assert_eq!(begun.elapsed().as_secs(), 10);
        // The stream comes back whole.
        let mut stream = failed.into_stream();
        stream.write_all(b"late").await.unwrap();
        let mut word = [0; 4];
        silent.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"late");
        // One byte every second is no excuse.
        let (mut slow, server) = duplex(64);
        let drip = blitz_io::spawn(async move {
            for byte in [0x16, 3, 1, 2, 0].into_iter().chain([1; 600]) {
                if slow.write_all(&[byte]).await.is_err() {
                    return;
                }
                blitz_io::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        });
        let begun = blitz_io::time::Instant::now();
        let failed = acceptor()
            .accept(server)
            .until(blitz_io::time::sleep(HANDSHAKE_TIMEOUT))
            .await
            .unwrap_err();
        assert!(matches!(failed.error(), TlsError::TimedOut), "{failed}");
        assert_eq!(begun.elapsed().as_secs(), 10);
        drop(failed);
        drip.await.unwrap();
    });
}
