//! What is received, accepted, heard and read, as streams, on every back end.

use std::collections::HashSet;
use std::time::Duration;

use blitz_io::fs;
use blitz_io::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::stream::wrappers::errors::BroadcastStreamRecvError::Lagged;
use blitz_io::stream::wrappers::{
    BroadcastStream, IntervalStream, JoinSetStream, LinesStream, ReadDirStream, ReceiverStream,
    SplitStream, TcpListenerStream, UnboundedReceiverStream, WatchStream,
};
use blitz_io::stream::{Stream, StreamExt};
use blitz_io::sync::{broadcast, mpsc, oneshot, watch};
use blitz_io::task::JoinSet;
use blitz_io::time::{Instant, interval_at};

use super::Count;
use crate::harness::{on_every, run};

#[test]
fn connections_come_one_by_one() {
    on_every(|runtime| {
        run(runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let mut connections = TcpListenerStream::new(listener);
            let mut clients = Vec::new();
            for _ in 0..5 {
                clients.push(TcpStream::connect(addr).await.unwrap());
            }
            let mut seen = HashSet::new();
            for _ in 0..5 {
                let connection = connections.next().await.unwrap().unwrap();
                seen.insert(connection.peer_addr().unwrap());
            }
            let ours = clients.iter().map(|client| client.local_addr().unwrap());
            assert_eq!(seen, ours.collect::<HashSet<_>>());
            assert_eq!(connections.as_ref().local_addr().unwrap(), addr);
            connections.into_inner();
        });
    });
}

#[cfg(unix)]
#[test]
fn unix_connections_and_their_lines() {
    use blitz_io::net::{UnixListener, UnixStream};
    use blitz_io::stream::wrappers::UnixListenerStream;
    on_every(|runtime| {
        let folder = tempfile::tempdir().unwrap();
        run(runtime, async {
            let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
            let mut connections = UnixListenerStream::new(listener);
            let mut client = UnixStream::connect(folder.path().join("socket"))
                .await
                .unwrap();
            client.write_all(b"one\ntwo\r\nrest").await.unwrap();
            drop(client);
            let server = connections.next().await.unwrap().unwrap();
            let lines = LinesStream::new(BufReader::new(server).lines());
            let lines: Result<Vec<_>, _> = lines.collect().await;
            assert_eq!(lines.unwrap(), ["one", "two", "rest"]);
        });
    });
}

/// Signals belong to the process: the test has one to itself.
#[cfg(unix)]
#[test]
fn signals_come_as_items() {
    crate::child::run("", "stream::wrappers::signals");
}

#[cfg(unix)]
#[test]
#[ignore = "sends signals to its process: run in a child by `signals_come_as_items`"]
fn signals() {
    use blitz_io::signal::unix::{SignalKind, signal};
    use blitz_io::stream::wrappers::SignalStream;
    on_every(|runtime| {
        run(runtime, async {
            let mut signals = SignalStream::new(signal(SignalKind::user_defined1()).unwrap());
            let id = std::process::id().to_string();
            let sent = std::process::Command::new("kill")
                .args(["-USR1", &id])
                .status();
            assert!(sent.unwrap().success());
            assert_eq!(signals.next().await, Some(()));
        });
    });
}

#[test]
fn entries_of_a_directory_come_once_each() {
    on_every(|runtime| {
        let folder = tempfile::tempdir().unwrap();
        // More than one look at the directory brings.
        let names: HashSet<String> = (0..500).map(|number| number.to_string()).collect();
        for name in &names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        run(runtime, async {
            let entries = ReadDirStream::new(fs::read_dir(folder.path()).await.unwrap());
            let seen = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let seen: Vec<String> = seen.collect().await;
            assert_eq!(seen.len(), names.len());
            assert_eq!(seen.into_iter().collect::<HashSet<_>>(), names);
        });
    });
}

#[blitz_io::test]
async fn segments_come_as_items() {
    let segments = SplitStream::new(BufReader::new(&b"a,b,,c"[..]).split(b','));
    let segments: Result<Vec<_>, _> = segments.collect().await;
    assert_eq!(segments.unwrap(), [&b"a"[..], b"b", b"", b"c"]);
}

#[blitz_io::test(start_paused = true)]
async fn ticks_come_as_items() {
    let period = Duration::from_secs(5);
    let begin = Instant::now() + period;
    let ticks = IntervalStream::new(interval_at(begin, period));
    let due: Vec<_> = ticks.take(3).collect().await;
    assert_eq!(due, [begin, begin + period, begin + period * 2]);
}

#[blitz_io::test]
async fn channels_end_with_their_senders_or_when_they_are_closed() {
    let (sender, receiver) = mpsc::channel(4);
    let mut stream = ReceiverStream::new(receiver);
    sender.send(1).await.unwrap();
    sender.send(2).await.unwrap();
    assert_eq!(stream.size_hint(), (2, None));
    stream.close();
    assert!(sender.send(3).await.is_err());
    assert_eq!(stream.collect::<Vec<_>>().await, [1, 2]);

    let (sender, receiver) = mpsc::unbounded_channel();
    sender.send(1).unwrap();
    drop(sender);
    let stream = UnboundedReceiverStream::from(receiver);
    assert_eq!(stream.collect::<Vec<_>>().await, [1]);
}

#[test]
fn a_broadcast_that_was_too_fast_says_how_much_was_missed() {
    on_every(|runtime| {
        run(runtime, async {
            let (sender, receiver) = broadcast::channel(4);
            let mut stream = BroadcastStream::new(receiver);
            let task = blitz_io::spawn(async move {
                let first = stream.next().await;
                (first, stream)
            });
            sender.send(0).unwrap();
            let (first, stream) = task.await.unwrap();
            assert_eq!(first, Some(Ok(0)));
            for value in 1..=9 {
                sender.send(value).unwrap();
            }
            drop(sender);
            let all: Vec<_> = stream.collect().await;
            assert_eq!(all, [Err(Lagged(5)), Ok(6), Ok(7), Ok(8), Ok(9)]);
        });
    });
}

#[blitz_io::test]
async fn a_dropped_next_loses_no_value() {
    let (sender, receiver) = broadcast::channel(4);
    let mut stream = BroadcastStream::new(receiver);
    let (count, waker) = Count::new();
    let mut cx = std::task::Context::from_waker(&waker);
    for value in 0..5 {
        {
            let mut next = stream.next();
            assert!(std::pin::Pin::new(&mut next).poll(&mut cx).is_pending());
        }
        sender.send(value).unwrap();
        assert_eq!(count.get(), value + 1);
        assert_eq!(stream.next().await, Some(Ok(value)));
    }
    drop(sender);
    assert_eq!(stream.next().await, None);
    assert_eq!(stream.next().await, None);
}

#[blitz_io::test]
async fn a_watched_value_and_its_changes() {
    let (sender, receiver) = watch::channel(0);
    let mut changes = WatchStream::from_changes(receiver.clone());
    let mut values = WatchStream::new(receiver);
    assert_eq!(values.next().await, Some(0));
    for value in 1..4 {
        sender.send(value).unwrap();
        assert_eq!(values.next().await, Some(value));
        assert_eq!(changes.next().await, Some(value));
    }
    sender.send(4).unwrap();
    sender.send(5).unwrap();
    drop(sender);
    assert_eq!(values.next().await, Some(5), "the last, and no other");
    assert_eq!(values.next().await, None);
    assert_eq!(changes.collect::<Vec<_>>().await, [5]);
}

/// Once nothing more can be sent, the streams know how much there is at most.
#[blitz_io::test]
async fn channels_that_are_closed_have_a_bound() {
    let (sender, receiver) = mpsc::channel(4);
    sender.send(1).await.unwrap();
    let (one, other) = (sender.try_reserve().unwrap(), sender.try_reserve().unwrap());
    let mut stream = ReceiverStream::new(receiver);
    assert_eq!(stream.size_hint(), (1, None));
    stream.close();
    assert_eq!(stream.size_hint(), (1, Some(3)));
    one.send(2);
    assert_eq!(stream.size_hint(), (2, Some(3)));
    assert_eq!(stream.next().await, Some(1));
    assert_eq!(stream.size_hint(), (1, Some(2)));
    drop(other);
    assert_eq!(stream.size_hint(), (1, Some(1)));
    assert_eq!(stream.next().await, Some(2));
    assert_eq!(stream.size_hint(), (0, Some(0)));
    assert_eq!(stream.next().await, None);

    let (sender, receiver) = mpsc::unbounded_channel();
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    let mut stream = UnboundedReceiverStream::new(receiver);
    assert_eq!(stream.size_hint(), (2, None));
    drop(sender);
    assert_eq!(stream.size_hint(), (2, Some(2)));
    assert_eq!(stream.next().await, Some(1));
    assert_eq!(stream.size_hint(), (1, Some(1)));
}

/// In the order in which they end, each once, whoever drops the wait for it; a panic is one's own.
#[test]
fn what_tasks_give_is_a_stream() {
    on_every(|runtime| {
        run(runtime, async {
            let (mut set, mut ends) = (JoinSet::new(), Vec::new());
            for number in 0..6 {
                let (end, turn) = oneshot::channel::<()>();
                ends.push(end);
                set.spawn(async move {
                    turn.await.unwrap();
                    assert_ne!(number, 3, "as this test wants it");
                    number
                });
            }
            let mut stream = JoinSetStream::from(set);
            assert_eq!(stream.size_hint(), (6, Some(6)));
            for (number, end) in ends.into_iter().enumerate() {
                {
                    let mut waits = std::pin::pin!(stream.next());
                    let polled = std::future::poll_fn(|cx| {
                        std::task::Poll::Ready(waits.as_mut().poll(cx).is_pending())
                    });
                    assert!(polled.await, "it waits for its turn");
                }
                end.send(()).unwrap();
                let output = stream.next().await.unwrap();
                match number {
                    3 => assert!(output.unwrap_err().is_panic()),
                    _ => assert_eq!(output.unwrap(), number),
                }
                assert_eq!(stream.as_ref().len(), 5 - number);
            }
            assert!(stream.next().await.is_none());
            stream.as_mut().spawn(async { 6 });
            assert_eq!(stream.into_inner().join_next().await.unwrap().unwrap(), 6);
        });
    });
}

#[test]
fn wrappers_are_shared_and_sent_as_what_they_hold() {
    fn is<T: Send + Sync + Unpin>() {}
    is::<ReceiverStream<u8>>();
    is::<BroadcastStream<std::cell::Cell<u8>>>();
    is::<WatchStream<u8>>();
    is::<TcpListenerStream>();
    is::<IntervalStream>();
    is::<blitz_io::stream::StreamMap<u8, ReceiverStream<u8>>>();
}
