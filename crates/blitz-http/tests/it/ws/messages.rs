//! Messages both ways, whole and halved, however often somebody changes his mind.

use super::{Raw, by_hand, pair};
use blitz_http::ws::{
    Agreed, CloseCode, Config, Deflate, DeflateParams, Message, Receiver, Role, WebSocket,
};
use blitz_http_proto::ws::Event;
use blitz_io::io::duplex;
use blitz_io::sync::oneshot;
use blitz_io::time::sleep;
use bytes::Bytes;
use futures::{FutureExt, SinkExt, StreamExt};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn messages() -> Vec<Message> {
    vec![
        Message::text("hello"),
        Message::text(""),
        Message::binary(vec![0, 159, 146, 150]),
        Message::text("grüße ".repeat(40_000)),
        Message::binary(vec![7; 1 << 20]),
    ]
}

async fn echo(mut socket: WebSocket) {
    while let Some(message) = socket.recv().await.expect("a message") {
        socket.send(message).await.expect("sent");
    }
}

async fn asks_echo(mut socket: WebSocket) {
    for message in messages() {
        socket.send(message.clone()).await.expect("sent");
        let back = socket.recv().await.expect("a message");
        assert!(
            back == Some(message),
            "{} bytes differ",
            socket.bytes_waiting()
        );
    }
    socket
        .close(CloseCode::NORMAL, "done")
        .await
        .expect("closed");
    assert_eq!(socket.recv().await.expect("no error"), None);
}

#[blitz_io::test(start_paused = true)]
async fn they_come_back_as_they_went() {
    for room in [1 << 16, 100] {
        let (server, client) = pair(room);
        let echo = blitz_io::spawn(echo(server));
        asks_echo(client).await;
        echo.await.expect("no panic");
    }
}

#[blitz_io::test(start_paused = true)]
async fn compressed_they_take_less_and_come_back_the_same() {
    for keeps in [false, true] {
        let mut deflate = Deflate::default();
        deflate.server_no_context_takeover = !keeps;
        deflate.client_no_context_takeover = !keeps;
        let params = DeflateParams {
            server_no_context_takeover: !keeps,
            client_no_context_takeover: !keeps,
            server_max_window_bits: 15,
            client_max_window_bits: 12,
        };
        let mut agreed = Agreed::default();
        agreed.deflate = Some(params);
        let mut config = Config::default();
        config.deflate = Some(deflate);
        let (ours, theirs) = duplex(1 << 16);
        let server = WebSocket::over(ours, Role::Server, agreed.clone(), config.clone());
        let client = WebSocket::over(theirs, Role::Client, agreed, config);
        assert_eq!(client.deflate(), Some(&params));
        let echo = blitz_io::spawn(echo(server));
        asks_echo(client).await;
        echo.await.expect("no panic");
    }
}

/// A message that says its number, in more bytes than one.
fn numbered(n: u32) -> Message {
    Message::binary(n.to_be_bytes().repeat(1 + n as usize % 40))
}

/// Each poll of a call that receives is its last, and so is each of one that sends.
#[blitz_io::test(start_paused = true)]
async fn a_call_that_is_dropped_at_any_poll_has_done_all_or_nothing() {
    for room in [1, 7, 64, 4096] {
        let mut config = Config::default();
        config.buffer_bytes = 200;
        let (ours, theirs) = duplex(room);
        let mut server = WebSocket::over(ours, Role::Server, Agreed::default(), config.clone());
        let mut client = WebSocket::over(theirs, Role::Client, Agreed::default(), config);
        let sending = blitz_io::spawn(async move {
            let mut sent = Vec::new();
            for n in 0..300 {
                match client.send(numbered(n)).now_or_never() {
                    Some(done) => {
                        done.expect("sent");
                        sent.push(n);
                    }
                    None => blitz_io::task::yield_now().await,
                }
            }
            client.close(CloseCode::NORMAL, "").await.expect("closed");
            sent
        });
        let (mut came, mut dropped) = (Vec::new(), 0);
        loop {
            match server.recv().now_or_never() {
                Some(message) => {
                    let Some(message) = message.expect("no error") else {
                        break;
                    };
                    let n = u32::from_be_bytes(message.payload()[..4].try_into().expect("four"));
                    assert_eq!(message, numbered(n));
                    assert!(
                        came.last().is_none_or(|last| *last < n),
                        "{n} after {came:?}"
                    );
                    came.push(n);
                }
                None => {
                    dropped += 1;
                    blitz_io::task::yield_now().await;
                }
            }
        }
        assert!(dropped > 0, "nothing was dropped");
        let sent = sending.await.expect("no panic");
        assert!(
            sent.iter().all(|n| came.contains(n)),
            "{sent:?} but {came:?}"
        );
        assert!(room > 64 || sent.len() < came.len(), "nothing was dropped");
    }
}

#[blitz_io::test(start_paused = true)]
async fn halves_work_at_the_same_time_in_both_directions() {
    for room in [5, 100, 1 << 16] {
        let (server, client) = pair(room);
        let mut tasks = Vec::new();
        for socket in [server, client] {
            let (mut sender, mut receiver) = socket.split();
            let (all, came) = oneshot::channel();
            tasks.push(blitz_io::spawn(async move {
                for n in 0..500 {
                    sender.send(numbered(n)).await.expect("sent");
                }
                came.await.expect("all came");
                sender.close(CloseCode::NORMAL, "").await.expect("closed");
                let late = sender.send(Message::text("late")).await;
                assert!(late.expect_err("it is closed").is_closed());
            }));
            tasks.push(blitz_io::spawn(async move {
                for n in 0..500 {
                    let message = receiver.recv().await.expect("no error");
                    assert_eq!(message, Some(numbered(n)));
                }
                all.send(()).expect("it is waited for");
                assert_eq!(receiver.recv().await.expect("no error"), None);
                let (code, _) = receiver.close_reason().expect("a reason");
                assert_eq!(code, CloseCode::NORMAL);
            }));
        }
        for task in tasks {
            task.await.expect("no panic");
        }
    }
}

/// The task that sends learns at once that there is room, whoever has made it.
#[blitz_io::test(start_paused = true)]
async fn a_half_that_waits_for_room_is_woken_by_the_other_ones_writing() {
    let (socket, mut raw) = by_hand(Config::default(), 64);
    let (mut sender, mut receiver) = socket.split();
    let receiving = blitz_io::spawn(async move { receiver.recv().await.map(|_| receiver) });
    let sending = blitz_io::spawn(async move {
        sender
            .send(Message::binary(vec![1; 10_000]))
            .await
            .expect("sent");
        sender
    });
    sleep(Duration::from_millis(1)).await;
    raw.send(|encoder, out| encoder.ping(b"x", out)).await;
    let Some(Event::Message(message)) = raw.event().await else {
        panic!("no message");
    };
    assert_eq!(message.payload().len(), 10_000);
    assert_eq!(raw.event().await, Some(Event::Pong("x".into())));
    sending.await.expect("no panic");
    raw.send(|encoder, out| encoder.message(&Message::text("end"), out))
        .await;
    receiving.await.expect("no panic").expect("received");
}

#[blitz_io::test(start_paused = true)]
async fn it_is_a_stream_and_a_sink() {
    let (server, client) = pair(1 << 16);
    let (sender, receiver) = server.split();
    let forwarding = blitz_io::spawn(receiver.forward(sender));
    let (mut sender, receiver) = client.split();
    let mut all = futures::stream::iter((0..20).map(|n| Ok(Message::text(n.to_string()))));
    sender.send_all(&mut all).await.expect("sent");
    SinkExt::close(&mut sender).await.expect("closed");
    let back: Vec<_> = receiver
        .map(|message| message.expect("a message"))
        .collect()
        .await;
    let expected: Vec<_> = (0..20).map(|n| Message::text(n.to_string())).collect();
    assert_eq!(back, expected);
    forwarding.await.expect("no panic").expect("in good order");
}

#[blitz_io::test(start_paused = true)]
async fn each_ping_is_answered_in_its_turn() {
    let (mut socket, mut raw) = by_hand(Config::default(), 1 << 16);
    let receiving = blitz_io::spawn(async move { socket.recv().await });
    raw.send(|encoder, out| (0..10_u8).for_each(|n| encoder.ping(&[n; 125], out)))
        .await;
    for n in 0..10_u8 {
        assert_eq!(raw.event().await, Some(Event::Pong(vec![n; 125].into())));
    }
    // Pongs that nobody asked for are signs of life and nothing else; a ping within a message is answered within it.
    raw.send(|encoder, out| encoder.pong(b"unasked", out)).await;
    raw.bytes(&[0x01, 0x82, 0, 0, 0, 0, b'h', b'e']).await;
    raw.send(|encoder, out| encoder.ping(b"", out)).await;
    assert_eq!(raw.event().await, Some(Event::Pong("".into())));
    raw.bytes(&[0x80, 0x83, 0, 0, 0, 0, b'l', b'l', b'o']).await;
    let message = receiving.await.expect("no panic").expect("no error");
    assert_eq!(message, Some(Message::text("hello")));
}

/// Long messages go from where they are, short ones and answers from a buffer, and all in the order in which they were said.
#[blitz_io::test(start_paused = true)]
async fn short_and_long_ones_keep_their_order() {
    let lens = [10, 5000, 20, 9000, 70_000, 0, 4096, 4097, 30];
    let message = move |n: usize| Message::binary(vec![n as u8; lens[n]]);
    for room in [1, 100, 4099, 1 << 20] {
        let mut config = Config::default();
        config.buffer_bytes = 1 << 20;
        let (mut socket, mut raw) = by_hand(config, room);
        let saying = blitz_io::spawn(async move {
            for n in 0..lens.len() {
                socket.feed(message(n)).await.expect("taken");
            }
            assert!(socket.bytes_waiting() > 85_000, "nothing is written yet");
            SinkExt::flush(&mut socket).await.expect("written");
            // Received, that a ping comes in between.
            let asked = socket.recv().await.expect("no fault");
            assert_eq!(asked, Some(Message::text("again")));
            for n in 0..lens.len() {
                socket.send(message(n)).await.expect("sent");
            }
        });
        for n in 0..lens.len() {
            assert_eq!(raw.event().await, Some(Event::Message(message(n))), "{n}");
        }
        raw.send(|encoder, out| {
            encoder.ping(b"first", out);
            encoder.message(&Message::text("again"), out);
        })
        .await;
        assert_eq!(raw.event().await, Some(Event::Pong("first".into())));
        for n in 0..lens.len() {
            assert_eq!(raw.event().await, Some(Event::Message(message(n))), "{n}");
        }
        saying.await.expect("no panic");
    }
}

/// Bytes that look at the socket they were sent on when they are dropped: under its lock that would be the end.
struct Looks(Arc<Mutex<Option<Receiver>>>, Vec<u8>);

impl AsRef<[u8]> for Looks {
    fn as_ref(&self) -> &[u8] {
        &self.1
    }
}

impl Drop for Looks {
    fn drop(&mut self) {
        let receiver = self.0.lock().expect("no panic");
        assert!(receiver.as_ref().expect("it is there").rtt().is_none());
    }
}

#[blitz_io::test(start_paused = true)]
async fn what_was_sent_is_dropped_without_the_lock() {
    for room in [100, 1 << 20] {
        let (socket, mut raw) = by_hand(Config::default(), room);
        let (mut sender, receiver) = socket.split();
        let seen = Arc::new(Mutex::new(Some(receiver)));
        let bytes = |len| Bytes::from_owner(Looks(Arc::clone(&seen), vec![7; len]));
        let messages = [10, 10_000, 20_000, 5].map(|len| Message::binary(bytes(len)));
        let sending = blitz_io::spawn(async move {
            for message in messages {
                sender.send(message).await.expect("sent");
            }
            sender
        });
        for len in [10, 10_000, 20_000, 5] {
            let same = Message::binary(vec![7; len]);
            assert_eq!(raw.event().await, Some(Event::Message(same)));
        }
        let mut sender = sending.await.expect("no panic");
        assert_eq!(Arc::strong_count(&seen), 1, "all is written");
        if room > 100_000 {
            for len in [10, 10_000, 20_000, 5] {
                let message = Message::binary(bytes(len));
                sender.try_send(message).expect("there is room");
                assert_eq!(Arc::strong_count(&seen), 1, "it is written at once");
            }
        }
        let receiver = seen.lock().expect("no panic").take();
        drop((sender, receiver));
    }
}

/// Who pings and takes no answers gets the last one, when he takes some.
#[blitz_io::test(start_paused = true)]
async fn answers_to_pings_are_bounded() {
    let mut config = Config::default();
    config.buffer_bytes = 1000;
    let (ours, theirs) = duplex(64);
    let (socket, mut raw) = (
        WebSocket::over(ours, Role::Server, Agreed::default(), config),
        Raw::new(theirs, Role::Client),
    );
    let (sender, mut receiver) = socket.split();
    let receiving = blitz_io::spawn(async move { receiver.recv().await });
    for n in 0..1000_u32 {
        raw.send(|encoder, out| encoder.ping(&n.to_be_bytes(), out))
            .await;
    }
    sleep(Duration::from_millis(1)).await;
    assert!(
        sender.bytes_waiting() < 1100,
        "{} bytes wait",
        sender.bytes_waiting()
    );
    let mut last = None;
    while last != Some(Event::Pong(999_u32.to_be_bytes().to_vec().into())) {
        last = raw.event().await;
        assert!(matches!(last, Some(Event::Pong(_))), "{last:?}");
    }
    raw.send(|encoder, out| encoder.message(&Message::text("end"), out))
        .await;
    receiving.await.expect("no panic").expect("received");
}
