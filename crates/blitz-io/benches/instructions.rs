//! What `current_thread` costs in counted instructions: one row, so many times, to be run under callgrind.
//!
//! Two runs of one row, with N and 2 N, differ by N times the row: `docs/insight.md` has the command. Nothing here reads a
//! clock or draws a number, so the count is the same in each run.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::runtime::Builder;
use blitz_io::task::yield_now;

fn main() {
    let mut args = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"));
    let (Some(row), Some(count)) = (args.next(), args.next()) else {
        println!(
            "usage: instructions ROW COUNT, where ROW is spawn, burst, yield, wake, timeout or echo"
        );
        return;
    };
    let count: u32 = count.parse().expect("COUNT is a number");
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        match row.as_str() {
            "spawn" => spawn(count).await,
            "burst" => burst(count).await,
            "yield" => yields(count).await,
            "wake" => wakes(count).await,
            "timeout" => timeouts(count).await,
            "echo" => echo(count).await,
            _ => panic!("no such row: {row}"),
        }
    });
}

/// Spawn a task and join it.
async fn spawn(count: u32) {
    for i in 0..count {
        let answer = blitz_io::spawn(async move { black_box(i) }).await;
        assert_eq!(answer.ok(), Some(i));
    }
}

/// Spawn a hundred tasks, then join them.
async fn burst(count: u32) {
    for _ in 0..count / 100 {
        let tasks: Vec<_> = (0..100)
            .map(|i| blitz_io::spawn(async move { black_box(i) }))
            .collect();
        for task in tasks {
            assert!(task.await.is_ok());
        }
    }
}

/// A task that yields.
async fn yields(count: u32) {
    let task = blitz_io::spawn(async move {
        for _ in 0..count {
            yield_now().await;
        }
    });
    assert!(task.await.is_ok());
}

/// Two tasks that wake each other in turn.
async fn wakes(count: u32) {
    #[derive(Default)]
    struct Turn {
        who: u32,
        wakers: [Option<Waker>; 2],
    }
    let turn = Arc::new(Mutex::new(Turn::default()));
    let player = |me: u32| {
        let turn = Arc::clone(&turn);
        blitz_io::spawn(async move {
            for _ in 0..count / 2 {
                poll_fn(|cx| {
                    let mut turn = turn.lock().expect("nobody panics");
                    if turn.who != me {
                        turn.wakers[me as usize] = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                    Poll::Ready(())
                })
                .await;
                let other = {
                    let mut turn = turn.lock().expect("nobody panics");
                    turn.who = 1 - me;
                    turn.wakers[1 - me as usize].take()
                };
                if let Some(other) = other {
                    other.wake();
                }
            }
        })
    };
    let (first, second) = (player(0), player(1));
    assert!(first.await.is_ok() && second.await.is_ok());
}

/// A timeout around a yield, made and cancelled.
async fn timeouts(count: u32) {
    let task = blitz_io::spawn(async move {
        for _ in 0..count {
            let done = blitz_io::time::timeout(Duration::from_secs(60), yield_now()).await;
            assert!(done.is_ok());
        }
    });
    assert!(task.await.is_ok());
}

/// 64 bytes there and back over one connection.
async fn echo(count: u32) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("bound");
    let server = blitz_io::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a peer");
        let mut buf = [0; 64];
        for _ in 0..count {
            stream.read_exact(&mut buf).await.expect("64 bytes");
            stream.write_all(&buf).await.expect("the peer reads");
        }
    });
    let mut stream = TcpStream::connect(addr).await.expect("a server");
    let mut buf = [7; 64];
    for _ in 0..count {
        stream.write_all(&buf).await.expect("the peer reads");
        stream.read_exact(&mut buf).await.expect("64 bytes");
    }
    let mut server = pin!(server);
    poll_fn(|cx| server.as_mut().poll(cx))
        .await
        .expect("no panic");
}
