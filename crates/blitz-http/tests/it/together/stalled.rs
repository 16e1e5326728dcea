//! An answer that is short, was queued, and finds no room in the socket. The test fills that before.

use super::{HOUR, answer, get, in_a_task, patient};
use blitz_http::files::Files;
use blitz_http::{Config, Connection, Handle, Peer, Phase, Request, Router, now, upgrade};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpSocket, TcpStream};
use blitz_io::task::{JoinHandle, yield_now};
use blitz_io::time::sleep;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

const FILLER: u8 = b'.';

/// A connection whose socket has no room for an answer.
struct Brimful {
    client: TcpStream,
    filled: usize,
    handle: Handle,
    served: JoinHandle<io::Result<()>>,
}

/// Fills a socket until the kernel takes nothing more, time and again: it keeps a last part of a window for 200 ms, and then uses it.
async fn fill(mut socket: &std::net::TcpStream) -> usize {
    let (mut filled, mut still) = (0, 0);
    while still < 40 {
        let wrote = socket
            .write(&[FILLER; 1000])
            .or_else(|_| socket.write(&[FILLER]));
        match wrote {
            Ok(n) => (filled, still) = (filled + n, 0),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                still += 1;
                sleep(Duration::from_millis(10)).await;
            }
        }
    }
    filled
}

fn router() -> Router {
    Router::new()
        .get("/", now(|_| "hello"))
        .get("/upgrade", |mut request: Request| {
            let upgraded = upgrade(&mut request);
            blitz_io::spawn(async move {
                let mut stream = upgraded.await.expect("an upgrade");
                stream.write_all(b"first").await.expect("sent");
                let mut asked = [0; 3];
                stream.read_exact(&mut asked).await.expect("asked");
                stream.write_all(&asked).await.expect("sent");
                stream.shutdown().await.expect("an end");
            });
            std::future::ready(http::StatusCode::SWITCHING_PROTOCOLS)
        })
}

/// Asks for `/`, and comes when the answer has been made.
async fn brimful(router: Router, config: Config, ask: &str) -> Brimful {
    let listener = TcpSocket::new_v4().expect("a socket");
    listener.set_send_buffer_size(4096).expect("set");
    listener.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let listener = listener.listen(1).expect("it listens");
    let client = TcpSocket::new_v4().expect("a socket");
    client.set_recv_buffer_size(4096).expect("set");
    let client = client.connect(listener.local_addr().expect("an address"));
    let (client, accepted) = futures::join!(client, listener.accept());
    let (mut client, stream) = (client.expect("connected"), accepted.expect("accepted").0);
    let socket = stream.as_fd().try_clone_to_owned().expect("a duplicate");
    let filled = fill(&socket.into()).await;
    let handle = Handle::new(config);
    let connection = Connection::new(stream.into_batched(), router, &handle, Peer::default());
    let served = blitz_io::spawn(connection);
    client.write_all(ask.as_bytes()).await.expect("sent");
    while handle.counters().requests() == 0 {
        yield_now().await;
    }
    Brimful {
        client,
        filled,
        handle,
        served,
    }
}

impl Brimful {
    /// The server sees that nothing goes.
    async fn stalls(&self) {
        for _ in 0..10 {
            sleep(Duration::from_millis(2)).await;
        }
        assert!(!self.served.is_finished());
    }

    /// What stood before the answer.
    async fn filler(&mut self) {
        let mut bytes = vec![0; self.filled];
        self.client.read_exact(&mut bytes).await.expect("filler");
        assert!(bytes.iter().all(|byte| *byte == FILLER));
    }

    async fn expect(&mut self, text: &str) {
        super::expect(&mut self.client, text).await;
    }

    async fn ends(mut self) {
        assert_eq!(self.client.read(&mut [0]).await.expect("an end"), 0);
        drop(self.client);
        self.served.await.expect("no panic").expect("in good order");
    }

    /// The server ends it by a limit.
    async fn ends_by(mut self, by: Phase) {
        self.served.await.expect("no panic").expect("in good order");
        assert_eq!(self.handle.counters().timeouts(by), 1);
        // What is queued goes if there is room at the very end; so none is made until that is over.
        sleep(Duration::from_millis(50)).await;
        let mut came = Vec::new();
        // A reset, or an end: whatever came of the answer is not all of it.
        let _ = self.client.read_to_end(&mut came).await;
        assert!(came.len() < self.filled + answer("hello").len());
    }
}

#[test]
fn it_has_the_time_of_an_answer() {
    in_a_task(|_| async {
        let mut config = patient();
        config.timeouts.response = Duration::from_millis(100);
        let brimful = brimful(router(), config, &get("/")).await;
        brimful.ends_by(Phase::Response).await;
    });
}

/// It was queued, and has not gone: its bytes earn the client no time.
#[test]
fn it_has_to_be_taken_fast_enough() {
    in_a_task(|_| async {
        let mut config = patient();
        (config.timeouts.rate_min, config.timeouts.rate_grace) = (1, Duration::from_millis(100));
        let brimful = brimful(router(), config, &get("/")).await;
        brimful.ends_by(Phase::ResponseRate).await;
    });
}

#[test]
fn it_goes_when_there_is_room_and_so_do_those_behind_it() {
    in_a_task(|_| async {
        let mut brimful = brimful(router(), patient(), &get("/")).await;
        brimful.stalls().await;
        let more = get("/").repeat(100);
        brimful
            .client
            .write_all(more.as_bytes())
            .await
            .expect("sent");
        brimful.stalls().await;
        brimful.filler().await;
        for _ in 0..101 {
            brimful.expect(&answer("hello")).await;
        }
        let again = get("/");
        brimful
            .client
            .write_all(again.as_bytes())
            .await
            .expect("sent");
        brimful.expect(&answer("hello")).await;
        brimful.client.shutdown().await.expect("shut down");
        brimful.ends().await;
    });
}

#[test]
fn it_is_not_lost_to_an_end() {
    in_a_task(|_| async {
        let mut config = patient();
        // The answer is waited for as an answer, and not as long as a client is that has all.
        config.timeouts.linger = Duration::from_millis(1);
        let close = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        for (ask, refused) in [(get("/"), false), (get("/"), true), (close.into(), false)] {
            let mut brimful = brimful(router(), config.clone(), &ask).await;
            brimful.stalls().await;
            if refused {
                brimful
                    .client
                    .write_all(b"nonsense\r\n\r\n")
                    .await
                    .expect("sent");
            } else {
                brimful.client.shutdown().await.expect("shut down");
            }
            brimful.stalls().await;
            brimful.filler().await;
            let mut rest = String::new();
            brimful
                .client
                .read_to_string(&mut rest)
                .await
                .expect("an end");
            assert!(rest.starts_with("HTTP/1.1 200 OK\r\n"), "{rest}");
            assert!(rest.contains("\r\n\r\nhello"), "{rest}");
            assert_eq!(rest.contains("HTTP/1.1 400 "), refused, "{rest}");
            drop(brimful.client);
            brimful
                .served
                .await
                .expect("no panic")
                .expect("in good order");
        }
    });
}

#[test]
fn it_is_not_lost_to_a_server_that_stops() {
    in_a_task(|_| async {
        let mut brimful = brimful(router(), patient(), &get("/")).await;
        brimful.stalls().await;
        brimful.handle.shut_down(HOUR);
        brimful.stalls().await;
        brimful.filler().await;
        brimful.expect(&answer("hello")).await;
        brimful.ends().await;
    });
}

#[test]
fn a_reset_ends_it() {
    in_a_task(|_| async {
        let brimful = brimful(router(), patient(), &get("/")).await;
        brimful.stalls().await;
        brimful.client.set_zero_linger().expect("set");
        drop(brimful.client);
        let ended = brimful.served.await.expect("no panic");
        assert!(ended.is_err(), "nobody has the answer");
    });
}

#[test]
fn a_file_comes_behind_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = super::letters(0, 200_000);
    std::fs::create_dir(folder.path().join("files")).expect("made");
    std::fs::write(folder.path().join("files/file"), &file).expect("written");
    in_a_task(|_| {
        let files = Files::new(folder.path()).expect("a directory");
        let router = router().mount("/files", files);
        let file = file.clone();
        async move {
            let mut brimful = brimful(router, patient(), &get("/")).await;
            brimful.stalls().await;
            let ask = get("/files/file");
            brimful
                .client
                .write_all(ask.as_bytes())
                .await
                .expect("sent");
            brimful.stalls().await;
            brimful.filler().await;
            brimful.expect(&answer("hello")).await;
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                head.push(brimful.client.read_u8().await.expect("a head").into());
            }
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            brimful.expect(&file).await;
            brimful.client.shutdown().await.expect("shut down");
            brimful.ends().await;
        }
    });
}

#[test]
fn another_protocol_begins_behind_it() {
    in_a_task(|_| async {
        let ask = "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
        let mut brimful = brimful(router(), patient(), ask).await;
        brimful.filler().await;
        let head = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
        brimful.expect(head).await;
        brimful.expect("first").await;
        brimful.client.write_all(b"abc").await.expect("sent");
        brimful.expect("abc").await;
        brimful.ends().await;
    });
}
