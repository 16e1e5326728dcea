//! `accept` and any number of streams of connections on one listener: each connection comes out at one of them, and none is left in a
//! stream that nobody reads.

use std::collections::HashSet;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::sync::mpsc;
use blitz_io::task;
use futures::{FutureExt as _, Stream};

use crate::harness::{on_every, run};
use crate::net_cancel::Polls;

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// Polls the stream once, which finds nothing: from now on it may accept ahead.
async fn begin(incoming: impl Stream) {
    let mut incoming = pin!(incoming);
    poll_fn(|cx| {
        assert!(incoming.as_mut().poll_next(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// So many connections, and the addresses of their ends here.
async fn connect(addr: SocketAddr, count: usize) -> (Vec<TcpStream>, HashSet<SocketAddr>) {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(TcpStream::connect(addr).await.unwrap());
    }
    let ends = clients.iter().map(|client| client.local_addr().unwrap());
    let ends = ends.collect();
    (clients, ends)
}

#[test]
fn accept_gets_what_a_stream_has_accepted_that_nobody_reads() {
    on_every(|runtime| {
        run(runtime, async {
            let (listener, addr) = listener().await;
            let mut incoming = listener.incoming();
            begin(&mut incoming).await;
            // Fewer and more than it takes ahead.
            for count in [1, 5, 200] {
                let (_clients, mut ends) = connect(addr, count).await;
                while !ends.is_empty() {
                    let (_, peer) = listener.accept().await.unwrap();
                    assert!(ends.remove(&peer), "nobody's: {peer}");
                }
            }
        });
    });
}

#[test]
fn accept_that_waits_is_woken_by_what_a_later_stream_accepts() {
    on_every(|runtime| {
        run(runtime, async {
            let (listener, addr) = listener().await;
            let mut accepts = pin!(listener.accept());
            assert!(accepts.as_mut().now_or_never().is_none());
            let mut polled = pin!(poll_fn(|cx| listener.poll_accept(cx)));
            let (mut first, mut second) = (listener.incoming(), listener.incoming());
            begin(&mut first).await;
            begin(&mut second).await;
            let (_clients, mut ends) = connect(addr, 2).await;
            for accepted in [accepts.await, polled.as_mut().await] {
                assert!(ends.remove(&accepted.unwrap().1));
            }
        });
    });
}

#[test]
fn a_stream_gets_what_another_has_accepted() {
    on_every(|runtime| {
        run(runtime, async {
            let (listener, addr) = listener().await;
            let (mut idle, mut reader) = (listener.incoming(), listener.incoming());
            begin(&mut idle).await;
            for count in [3, 100] {
                let (_clients, mut ends) = connect(addr, count).await;
                while !ends.is_empty() {
                    let (_, peer) = reader.accept().await.unwrap();
                    assert!(ends.remove(&peer));
                }
            }
        });
    });
}

#[test]
fn a_dropped_stream_gives_back_what_it_has_accepted() {
    on_every(|runtime| {
        run(runtime, async {
            let (listener, addr) = listener().await;
            for round in 0..20 {
                let mut incoming = listener.incoming();
                begin(&mut incoming).await;
                let (_before, mut ends) = connect(addr, round % 7).await;
                // Its driver has a turn, or has none.
                if round % 2 == 0 {
                    task::yield_now().await;
                }
                drop(incoming);
                let (_after, more) = connect(addr, 3).await;
                ends.extend(more);
                let mut next = listener.incoming();
                while !ends.is_empty() {
                    let (_, peer) = match round % 3 {
                        0 => next.accept().await.unwrap(),
                        _ => listener.accept().await.unwrap(),
                    };
                    assert!(ends.remove(&peer));
                }
            }
        });
    });
}

#[test]
fn a_listener_is_given_back_after_its_streams() {
    on_every(|runtime| {
        run(runtime, async {
            let (listener, addr) = listener().await;
            begin(&mut listener.incoming()).await;
            let mut clients = vec![connect(addr, 1).await];
            let listener = TcpListener::from_std(listener.into_std().unwrap()).unwrap();
            // Connections are closed until the kernel has heard of it, and those after it are accepted.
            let accepted = task::spawn(async move {
                let (_, peer) = listener.accept().await.unwrap();
                // Kept open for the connection that is being made meanwhile.
                (peer, listener)
            });
            while !accepted.is_finished() {
                clients.push(connect(addr, 1).await);
                task::yield_now().await;
            }
            let (peer, _listener) = accepted.await.unwrap();
            assert!(clients.iter().any(|(_, ends)| ends.contains(&peer)));
        });
    });
}

/// Takes connections in one way or another, and drops whatever it waits with after some polls.
async fn reader(listener: Arc<TcpListener>, way: usize, out: mpsc::UnboundedSender<SocketAddr>) {
    let mut polls = Polls::new();
    loop {
        let mut incoming = listener.incoming();
        for _ in 0..way * 5 + 1 {
            let accepted = match way {
                0 => polls.give(listener.accept()).await,
                _ => polls.give(incoming.accept()).await,
            };
            let Some(accepted) = accepted else { continue };
            if out.send(accepted.unwrap().1).is_err() {
                return;
            }
        }
    }
}

#[test]
fn all_at_once_lose_no_connection() {
    const TOTAL: usize = 300;
    on_every(|runtime| {
        run(runtime, async {
            let (listener, addr) = listener().await;
            let listener = Arc::new(listener);
            let (out, mut taken) = mpsc::unbounded_channel();
            for way in [0, 0, 1, 2] {
                task::spawn(reader(Arc::clone(&listener), way, out.clone()));
            }
            let clients = task::spawn(connect(addr, TOTAL));
            let mut peers = HashSet::new();
            while peers.len() < TOTAL {
                assert!(peers.insert(taken.recv().await.unwrap()), "twice");
            }
            assert_eq!(clients.await.unwrap().1, peers);
        });
    });
}

/// Those who only wait, in every way, all get something in the end: nobody's wake is lost.
#[test]
fn everyone_who_waits_is_served() {
    on_every(|runtime| {
        run(runtime, async {
            let (listener, addr) = listener().await;
            let listener = Arc::new(listener);
            let mut waits = task::JoinSet::new();
            for who in 0..12 {
                let listener = Arc::clone(&listener);
                waits.spawn(async move {
                    match who % 3 {
                        0 => listener.accept().await.map(drop),
                        _ => listener.incoming().accept().await.map(drop),
                    }
                });
            }
            let mut clients = Vec::new();
            while !waits.is_empty() {
                clients.push(connect(addr, 1).await);
                waits.join_next().await.unwrap().unwrap().unwrap();
            }
        });
    });
}
