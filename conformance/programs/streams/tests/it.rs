//! tokio-util and tokio-stream over real sockets.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::timeout;
use tokio_stream::StreamMap;
use tokio_stream::wrappers::{BroadcastStream, ReceiverStream, UnixListenerStream, WatchStream};
use tokio_util::codec::{BytesCodec, FramedRead, FramedWrite, LengthDelimitedCodec, LinesCodec};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};
use tokio_util::io::{ReaderStream, StreamReader};
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;
use tokio_util::udp::UdpFramed;

const GUARD: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_are_told_and_the_end_is_orderly() {
    timeout(GUARD, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let server = tokio::spawn(streams::serve(listener, stop.clone()));
        let clients: Vec<_> = (0..20_i64)
            .map(|client| async move {
                let stream = TcpStream::connect(addr).await.unwrap();
                let (from, to) = stream.into_split();
                let mut answers = FramedRead::new(from, LinesCodec::new());
                let mut questions = FramedWrite::new(to, LinesCodec::new());
                for number in 0..50 {
                    questions
                        .send(format!("{client} {number} 1"))
                        .await
                        .unwrap();
                    let answer = answers.next().await.unwrap().unwrap();
                    assert_eq!(answer, (client + number + 1).to_string());
                }
                (answers, questions)
            })
            .collect();
        let mut clients = futures::future::join_all(clients).await;
        stop.cancel();
        // What is open is served on.
        let (answers, questions) = &mut clients[7];
        questions.send("x".repeat(2000)).await.unwrap();
        assert_eq!(answers.next().await.unwrap().unwrap(), "too long");
        assert!(!server.is_finished());
        drop(clients);
        server.await.unwrap();
        assert!(TcpStream::connect(addr).await.is_err());
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn frames_go_through_a_unix_socket() {
    timeout(GUARD, async {
        let folder = std::env::temp_dir().join(format!("blitz-frames-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        let mut listener = UnixListenerStream::new(UnixListener::bind(&path).unwrap());
        let client = UnixStream::connect(&path).await.unwrap();
        let server = listener.next().await.unwrap().unwrap();
        let mut to = LengthDelimitedCodec::builder()
            .length_field_type::<u16>()
            .new_write(client);
        let mut from = LengthDelimitedCodec::builder()
            .length_field_type::<u16>()
            .new_read(server);
        let sender = tokio::spawn(async move {
            for len in [0, 1, 65_535, 300] {
                to.send(Bytes::from(vec![7; len])).await.unwrap();
            }
        });
        for len in [0, 1, 65_535, 300] {
            assert_eq!(from.next().await.unwrap().unwrap().len(), len);
        }
        sender.await.unwrap();
        assert!(from.next().await.is_none());
        std::fs::remove_dir_all(&folder).unwrap();
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn datagrams_are_frames() {
    timeout(GUARD, async {
        let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let two = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (from, to) = (one.local_addr().unwrap(), two.local_addr().unwrap());
        let mut one = UdpFramed::new(one, BytesCodec::new());
        let mut two = UdpFramed::new(two, BytesCodec::new());
        for number in 0..100_u8 {
            one.send((Bytes::from(vec![number; 100]), to))
                .await
                .unwrap();
            let (bytes, peer) = two.next().await.unwrap().unwrap();
            assert_eq!((bytes, peer), (BytesMut::from(&[number; 100][..]), from));
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn readers_are_streams_and_back_and_the_other_family() {
    timeout(GUARD, async {
        let (mut near, far) = tokio::io::duplex(1000);
        let writer = tokio::spawn(async move {
            near.write_all(&vec![3; 100_000]).await.unwrap();
        });
        // tokio's reader, as a stream, as a reader, as the futures crate's reader.
        let mut reader = StreamReader::new(ReaderStream::new(far)).compat();
        let mut sink = Vec::new().compat_write();
        let copied = futures::io::copy(&mut reader, &mut sink).await.unwrap();
        assert_eq!(copied, 100_000);
        writer.await.unwrap();
        assert!(sink.into_inner().into_iter().all(|byte| byte == 3));
        let mut text = String::new();
        (&b"as it is"[..]).read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "as it is");
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn channels_are_streams() {
    timeout(GUARD, async {
        let (sender, receiver) = mpsc::channel(2);
        let (news, heard) = broadcast::channel(16);
        let (state, seen) = watch::channel(0);
        let mut all = StreamMap::new();
        all.insert("mpsc", ReceiverStream::new(receiver).boxed());
        all.insert(
            "broadcast",
            BroadcastStream::new(heard).map(Result::unwrap).boxed(),
        );
        let tasks = tokio::spawn(async move {
            for number in 1..=10 {
                sender.send(number).await.unwrap();
                news.send(number * 100).unwrap();
            }
            state.send(7).unwrap();
        });
        let (mut sum, mut count) = (0, 0);
        while let Some((_, number)) = all.next().await {
            (sum, count) = (sum + number, count + 1);
        }
        assert_eq!((sum, count), (55 + 5500, 20));
        tasks.await.unwrap();
        assert_eq!(WatchStream::new(seen).collect::<Vec<_>>().await, [7]);
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_delay_queue_gives_in_the_order_of_time() {
    let mut queue = DelayQueue::new();
    let begun = tokio::time::Instant::now();
    for ms in [300, 100, 200] {
        queue.insert(ms, Duration::from_millis(ms));
    }
    let last = queue.insert(900, Duration::from_millis(900));
    queue.remove(&last);
    for ms in [100, 200, 300] {
        let expired = queue.next().await.unwrap();
        assert_eq!(*expired.get_ref(), ms);
        assert!(begun.elapsed() >= Duration::from_millis(ms));
    }
    assert!(queue.next().await.is_none());
}
