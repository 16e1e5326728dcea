//! Rooms: one message for many, and those who are too slow for it. In virtual time, and on sockets on each back end.

use super::{Raw, compressed};
use crate::sockets::everywhere;
use blitz_http::ws::{
    Agreed, CloseCode, Config, Deflate, DeflateParams, Error, Member, Message, Receiver, Role,
    Room, Sender, Slow, WebSocket, accept,
};
use blitz_http::{Client, Request, Router, Server, now};
use blitz_http_proto::ws::{Decoder, Event, Limits};
use blitz_io::io::duplex;
use blitz_io::sync::Notify;
use blitz_io::time::{Instant, sleep, timeout};
use futures::FutureExt;
use std::sync::Arc;
use std::time::Duration;

/// A member of a room, and its peer.
struct Seat {
    sender: Sender,
    receiver: Receiver,
    member: Member,
    raw: Raw,
}

fn sits_with(room: &Room, config: Config, agreed: Agreed, pipe: usize) -> Seat {
    let (ours, theirs) = duplex(pipe);
    let mut raw = Raw::new(theirs, Role::Client);
    let decoder = Decoder::new(Role::Client, Limits::default());
    raw.decoder = decoder.with_deflate(agreed.deflate.as_ref());
    let socket = WebSocket::over(ours, Role::Server, agreed, config);
    let (sender, receiver) = socket.split();
    let member = room.join(&sender);
    Seat {
        sender,
        receiver,
        member,
        raw,
    }
}

fn sits(room: &Room, slow: Slow, pipe: usize) -> Seat {
    let mut config = Config::default();
    config.slow = slow;
    sits_with(room, config, Agreed::default(), pipe)
}

fn number(n: u32) -> Message {
    Message::text(n.to_string())
}

impl Raw {
    async fn number(&mut self) -> u32 {
        match self.event().await {
            Some(Event::Message(message)) => message.as_text().unwrap().parse().unwrap(),
            other => panic!("no message but {other:?}"),
        }
    }
}

/// Lets all tasks do what they can: time is virtual, and goes on only when nobody can do anything.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[blitz_io::test(start_paused = true)]
async fn one_message_is_made_once_for_each_kind_of_member() {
    let room = Room::new();
    let mut seats = Vec::new();
    for (bits, forgets) in [
        (None, true),
        (Some(15), true),
        (Some(15), true),
        (Some(15), false),
        (Some(10), false),
        // The library has no such windows.
        (Some(8), true),
    ] {
        let mut agreed = Agreed::default();
        agreed.deflate = bits.map(|bits| DeflateParams {
            server_no_context_takeover: forgets,
            client_no_context_takeover: forgets,
            server_max_window_bits: bits,
            client_max_window_bits: 15,
        });
        seats.push(sits_with(&room, compressed(), agreed, 1 << 20));
    }
    assert_eq!(room.len(), 6);
    let text = |n: u32| Message::text(format!("{n} and {n} ").repeat(20));
    let short = Message::text("short");
    for n in 0..20 {
        // Own messages between those of the room: the context of neither gets into the other.
        for seat in &mut seats {
            seat.sender.send(text(n)).await.expect("sent");
        }
        assert_eq!(room.send(text(n + 1)).await, 6);
        settle().await;
        assert_eq!(room.send(short.clone()).await, 6);
        let long = Message::binary(vec![n as u8; 50_000]);
        assert_eq!(room.send(long.clone()).await, 6);
        for seat in &mut seats {
            for expected in [text(n), text(n + 1), short.clone(), long.clone()] {
                assert_eq!(seat.raw.event().await, Some(Event::Message(expected)));
            }
        }
    }
    let counters = room.counters();
    // Two kinds, and the short one not at all.
    assert_eq!(counters.deflated, 2 * 2 * 20);
    assert_eq!((counters.sent, counters.delivered), (60, 360));
    assert_eq!((counters.dropped, counters.waited), (0, 0));
}

#[blitz_io::test(start_paused = true)]
async fn the_oldest_go_where_the_policy_says_so() {
    for (slow, kept) in [(Slow::DropOldest(3), 3), (Slow::Latest, 1)] {
        let room = Room::new();
        let mut fast = sits(&room, slow, 1 << 16);
        let mut stuck = sits(&room, slow, 4);
        for n in 0..10 {
            assert_eq!(room.send(number(n)).await, 2);
            settle().await;
            assert_eq!(fast.raw.number().await, n);
        }
        assert_eq!(stuck.member.messages_waiting(), kept);
        assert_eq!(fast.member.dropped(), 0);
        let dropped = stuck.member.dropped();
        assert_eq!(room.counters().dropped, dropped);
        // What was on its way already comes whole, then what was kept.
        let written = 10 - kept as u32 - dropped as u32;
        assert!((1..=2).contains(&written), "{written} were written");
        for n in (0..written).chain(10 - kept as u32..10) {
            assert_eq!(stuck.raw.number().await, n);
        }
        room.send(number(10)).await;
        assert_eq!(stuck.raw.number().await, 10);
    }
}

#[blitz_io::test(start_paused = true)]
async fn who_is_too_slow_is_closed_where_the_policy_says_so() {
    let room = Room::new();
    let mut fast = sits(&room, Slow::Disconnect(3), 1 << 16);
    let mut stuck = sits(&room, Slow::Disconnect(3), 4);
    let receiving = blitz_io::spawn(async move {
        let end = stuck.receiver.recv().await;
        (end, stuck.receiver)
    });
    let mut sent = Vec::new();
    for n in 0..10 {
        sent.push(room.send(number(n)).await);
        settle().await;
        assert_eq!(fast.raw.number().await, n);
    }
    let both = sent.iter().filter(|got| **got == 2).count();
    assert!(
        (4..=5).contains(&both),
        "its queue has room for three: {sent:?}"
    );
    assert!(sent[both..].iter().all(|got| *got == 1), "{sent:?}");
    assert_eq!(room.counters().disconnected, 1);
    assert_eq!(stuck.member.messages_waiting(), 0, "nothing is kept for it");
    // Its peer finds the messages that were on their way, and why there are no more.
    let mut last = stuck.raw.event().await;
    while let Some(Event::Message(_)) = last {
        last = stuck.raw.event().await;
    }
    let why = Some((CloseCode::POLICY, "too slow".to_owned()));
    assert_eq!(last, Some(Event::Close(why)));
    drop(stuck.raw);
    let (end, mut receiver) = receiving.await.expect("no panic");
    let error = end.expect_err("it is over");
    assert!(error.is_slow(), "{error}");
    assert_eq!(error.close_code(), Some(CloseCode::POLICY));
    assert_eq!(receiver.recv().await.expect("it was said"), None);
    let late = stuck.sender.send(number(0)).await;
    assert!(late.expect_err("it is closed").is_closed());
}

#[blitz_io::test(start_paused = true)]
async fn who_sends_waits_where_the_policy_says_so() {
    let room = Room::new();
    let mut fast = sits(&room, Slow::Block(2), 1 << 16);
    let mut slow = sits(&room, Slow::Block(2), 4);
    let sending = blitz_io::spawn({
        let room = room.clone();
        async move {
            for n in 0..50 {
                assert_eq!(room.send(number(n)).await, 2);
            }
        }
    });
    settle().await;
    assert!(!sending.is_finished());
    assert_eq!(slow.member.messages_waiting(), 2);
    for n in 0..50 {
        assert_eq!(slow.raw.number().await, n);
        assert_eq!(fast.raw.number().await, n);
    }
    sending.await.expect("no panic");
    let counters = room.counters();
    assert!(counters.waited > 10, "{counters:?}");
    assert_eq!((counters.delivered, counters.dropped), (100, 0));
}

/// A call that waits has given nobody anything.
#[blitz_io::test(start_paused = true)]
async fn a_call_that_is_dropped_while_it_waits_has_sent_to_nobody() {
    let room = Room::new();
    let mut fast = sits(&room, Slow::Block(1), 1 << 16);
    let mut slow = sits(&room, Slow::Block(1), 4);
    let (mut sent, mut dropped) = (Vec::new(), 0);
    for n in 0..40 {
        settle().await;
        match room.send(number(n)).now_or_never() {
            Some(_) => sent.push(n),
            None => dropped += 1,
        }
        if n % 4 == 3 {
            let wait = Duration::from_millis(1);
            // Some of what waits.
            while let Ok(Some(Event::Message(_))) = timeout(wait, slow.raw.event()).await {}
        }
    }
    assert!(dropped > 0 && sent.len() > 5, "{sent:?}");
    for n in sent {
        assert_eq!(fast.raw.number().await, n);
    }
    room.send(number(77)).await;
    assert_eq!(fast.raw.number().await, 77);
}

#[blitz_io::test(start_paused = true)]
async fn nobody_waits_for_the_dead() {
    let room = Room::new();
    let _stuck = sits(&room, Slow::Block(1), 4);
    let mut fast = sits(&room, Slow::Block(1), 1 << 16);
    let begun = Instant::now();
    for n in 0..5 {
        room.send(number(n)).await;
        assert_eq!(fast.raw.number().await, n);
    }
    assert_eq!(begun.elapsed().as_secs(), 40);
}

/// Each sends to one room what it holds places in the other's for.
#[blitz_io::test(start_paused = true)]
async fn rooms_with_the_same_members_do_not_wait_for_each_other() {
    let rooms = [Room::new(), Room::new()];
    let mut seats: Vec<_> = (0..4)
        .map(|n| sits(&rooms[n % 2], Slow::Block(1), 4))
        .collect();
    let others: Vec<_> = (0..4)
        .map(|n| rooms[(n + 1) % 2].join(&seats[n].sender))
        .collect();
    let sending = rooms.clone().map(|room| {
        blitz_io::spawn(async move {
            for n in 0..50 {
                assert_eq!(room.send(number(n)).await, 4);
            }
        })
    });
    let reading = seats.iter_mut().map(|seat| async move {
        let mut next = 0;
        for _ in 0..100 {
            next += seat.raw.number().await;
        }
        assert_eq!(next, 2 * (0..50).sum::<u32>());
    });
    let all = futures::future::join_all(reading);
    timeout(Duration::from_secs(20), all)
        .await
        .expect("no deadlock");
    for sending in sending {
        sending.await.expect("no panic");
    }
    drop(others);
    assert_eq!((rooms[0].len(), rooms[1].len()), (2, 2));
}

/// Who sends to the room that he is in waits for his own peer, too; that one is written to meanwhile.
#[blitz_io::test(start_paused = true)]
async fn a_member_may_wait_for_itself() {
    let room = Room::new();
    let Seat {
        mut receiver,
        member,
        mut raw,
        sender,
    } = sits(&room, Slow::Block(1), 16);
    let serving = blitz_io::spawn(async move {
        while let Some(message) = receiver.recv().await.expect("no error") {
            member.room().send(message).await;
        }
        drop(sender);
    });
    for n in 0..100 {
        raw.send(|encoder, out| {
            encoder.message(&number(n), out);
            encoder.message(&number(n), out);
        })
        .await;
        assert_eq!((raw.number().await, raw.number().await), (n, n));
    }
    raw.send(|encoder, out| encoder.close(None, out)).await;
    assert_eq!(raw.event().await, Some(Event::Close(None)));
    serving.await.expect("no panic");
    assert!(room.is_empty());
}

#[blitz_io::test(start_paused = true)]
async fn who_has_left_gets_nothing_more_and_may_come_back() {
    let room = Room::new();
    let mut seat = sits(&room, Slow::Latest, 1 << 16);
    let twice = room.join(&seat.sender);
    assert_eq!(room.send(number(1)).await, 1, "once is enough");
    drop(twice);
    assert_eq!(seat.member.send_to_others(number(9)).await, 0);
    assert_eq!(room.send(number(2)).await, 1);
    // What was sent before goes out still.
    drop(seat.member);
    assert_eq!(room.send(number(9)).await, 0);
    assert!(room.is_empty());
    assert_eq!(seat.raw.number().await, 2, "the latest");
    settle().await;
    seat.member = room.join(&seat.sender);
    room.send(number(3)).await;
    assert_eq!(seat.raw.number().await, 3);
}

#[blitz_io::test(start_paused = true)]
async fn a_socket_that_is_over_takes_nothing_and_holds_nobody_up() {
    for how in ["dropped", "closed", "reunited"] {
        let room = Room::new();
        let mut other = sits(&room, Slow::Block(1), 1 << 16);
        let Seat {
            mut sender,
            receiver,
            member,
            mut raw,
        } = sits(&room, Slow::Block(1), 1 << 16);
        room.send(number(0)).await;
        assert_eq!(raw.number().await, 0);
        let mut whole = None;
        match how {
            "dropped" => drop((sender, receiver)),
            "closed" => sender.close(CloseCode::NORMAL, "").await.expect("said"),
            _ => whole = Some(sender.reunite(receiver).expect("halves of one")),
        }
        for n in 1..5 {
            let got = room.send(number(n)).await;
            assert!(n < 2 || got == 1, "{how}: {n} went to {got}");
            settle().await;
        }
        other.raw.number().await;
        match &mut whole {
            None if how == "dropped" => assert_eq!(raw.event().await, None),
            None => assert!(matches!(raw.event().await, Some(Event::Close(_)))),
            Some(socket) => {
                socket.send(number(7)).await.expect("sent");
                assert_eq!(raw.number().await, 7);
            }
        }
        drop(member);
        assert_eq!(room.len(), 1);
    }
}

#[blitz_io::test(start_paused = true)]
async fn halves_of_two_sockets_make_none() {
    let room = Room::new();
    let one = sits(&room, Slow::Latest, 100);
    let two = sits(&room, Slow::Latest, 100);
    let error = one.sender.reunite(two.receiver).expect_err("two sockets");
    let whole = error.0.reunite(one.receiver).expect("one socket");
    let whole = two.sender.reunite(error.1).map(|other| (whole, other));
    assert!(whole.is_ok());
}

#[blitz_io::test(start_paused = true)]
async fn a_client_may_have_a_room_too() {
    let room = Room::new();
    let (ours, theirs) = duplex(1 << 16);
    let socket = WebSocket::over(ours, Role::Client, Agreed::default(), Config::default());
    let mut raw = Raw::new(theirs, Role::Server);
    let (sender, _receiver) = socket.split();
    let _member = room.join(&sender);
    for message in [
        Message::text("masked"),
        Message::binary(vec![0, 200, 7]),
        Message::binary(vec![1; 10_000]),
    ] {
        room.send(message.clone()).await;
        assert_eq!(raw.event().await, Some(Event::Message(message)));
    }
}

#[blitz_io::test(start_paused = true)]
async fn what_finds_no_room_comes_back_at_once() {
    let mut config = Config::default();
    config.buffer_bytes = 100;
    let (ours, theirs) = duplex(10);
    let mut socket = WebSocket::over(ours, Role::Server, Agreed::default(), config);
    let mut raw = Raw::new(theirs, Role::Client);
    let mut sent = 0;
    let full = loop {
        match socket.try_send(number(sent)) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(full.is_full() && !full.is_closed(), "{full}");
    assert_eq!(full.into_message(), number(sent));
    assert!((100..110).contains(&socket.bytes_waiting()));
    // The other half writes it, and then there is room.
    let (mut sender, mut receiver) = socket.split();
    let receiving = blitz_io::spawn(async move { receiver.recv().await });
    for n in 0..sent {
        assert_eq!(raw.number().await, n);
    }
    // Who receives is told that there is something to write.
    for n in 0..20 {
        sender.try_send(number(n)).expect("there is room");
    }
    for n in 0..20 {
        assert_eq!(raw.number().await, n);
    }
    raw.send(|encoder, out| encoder.close(None, out)).await;
    assert_eq!(receiving.await.expect("no panic").expect("closed"), None);
    let closed = sender.try_send(number(0)).expect_err("closed");
    assert!(closed.is_closed());
}

#[test]
fn many_sockets_in_a_room_get_what_one_says() {
    const MEMBERS: usize = 30;
    const SAID: u32 = 20;
    everywhere(|| async {
        let (room, joined) = (Room::new(), Arc::new(Notify::new()));
        let route = {
            let (room, joined) = (room.clone(), Arc::clone(&joined));
            now(move |mut request: Request| {
                let (room, joined) = (room.clone(), Arc::clone(&joined));
                let socket = accept(&mut request).config(compressed());
                socket
                    .slow(Slow::Block(4))
                    .run(async move |socket: WebSocket| {
                        let (sender, mut receiver) = socket.split();
                        let _member = room.join(&sender);
                        joined.notify_one();
                        while let Some(message) = receiver.recv().await? {
                            room.send(message).await;
                        }
                        Ok::<_, Error>(())
                    })
            })
        };
        let server = Server::bind("127.0.0.1:0").await.expect("a port");
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let serving = blitz_io::spawn(server.serve(Router::new().get("/", route)));
        let client = Client::builder().no_proxy().build().expect("a client");
        let mut sockets = Vec::new();
        for n in 0..MEMBERS {
            let mut config = Config::default();
            config.deflate = (n % 3 > 0).then(Deflate::default);
            let connecting = client.websocket(format!("ws://{addr}/")).config(config);
            sockets.push(connecting.connect().await.expect("a socket"));
        }
        while room.len() < MEMBERS {
            joined.notified().await;
        }
        let mut tasks = Vec::new();
        for (number, mut socket) in sockets.into_iter().enumerate() {
            tasks.push(blitz_io::spawn(async move {
                let mut heard = Vec::new();
                for n in 0..SAID {
                    if number < 2 {
                        let text = format!("{number} says {n} ").repeat(30);
                        socket.send(Message::text(text)).await.expect("sent");
                    }
                    for _ in 0..2 {
                        let message = socket.recv().await.expect("no error");
                        heard.push(message.expect("a message"));
                    }
                }
                socket.close(CloseCode::NORMAL, "").await.expect("closed");
                heard
            }));
        }
        let mut heard = Vec::new();
        for task in tasks {
            heard.push(task.await.expect("no panic"));
        }
        let first = &heard[0];
        assert!(
            heard.iter().all(|other| other == first),
            "one order for all"
        );
        let counters = room.counters();
        assert_eq!((counters.sent, counters.deflated), (40, 40));
        assert_eq!(counters.delivered, 40 * MEMBERS as u64);
        handle.shut_down(Duration::from_secs(10));
        assert_eq!(serving.await.expect("no panic").cut, []);
        let sockets = handle.counters().sockets();
        assert_eq!((sockets.opened(), sockets.open()), (MEMBERS as u64, 0));
        assert_eq!(
            (sockets.received(), sockets.sent()),
            (40, counters.delivered)
        );
        let idle = (sockets.dead(), sockets.slow(), sockets.bytes_waiting());
        assert_eq!(idle, (0, 0, 0));
        assert!(room.is_empty());
    });
}
