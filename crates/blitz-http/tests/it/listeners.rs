//! Sockets that listen: shared or one for each worker, full, out of descriptors, given by whoever started us.

use crate::backends::{FLAVORS, Flavor, GUARD, each_case, patient};
use crate::harness::without_date;
use crate::sockets::everywhere;
use blitz_http::{ListenOptions, Listener, PortSharing, Router, Server, now};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::TcpStream;
use blitz_io::time::timeout;
use std::time::{Duration, Instant};

fn router() -> Router {
    Router::new().get("/", now(|_| "hello"))
}

async fn ask(addr: std::net::SocketAddr) -> String {
    let mut client = TcpStream::connect(addr).await.expect("connected");
    client
        .write_all(b"GET / HTTP/1.0\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("an answer");
    answer
}

fn sharing(sharing: PortSharing) -> ListenOptions {
    let mut options = ListenOptions::default();
    options.sharing = sharing;
    options
}

#[cfg(unix)]
#[test]
fn a_port_is_shared_as_it_is_asked_for() {
    each_case(&FLAVORS, |case| {
        let per_core = case.flavor == Flavor::ThreadPerCore;
        case.runtime().block_on(async {
            for (how, joined) in [
                (PortSharing::Auto, per_core),
                (PortSharing::One, false),
                // Without a second worker there is nobody to share with.
                (
                    PortSharing::EachWorker,
                    case.flavor != Flavor::CurrentThread,
                ),
            ] {
                let test = async {
                    let listener = Listener::bind_with("127.0.0.1:0", &sharing(how)).await;
                    let listener = listener.expect("a port");
                    let addr = listener.local_addr().expect("an address");
                    let second = Listener::bind_with(addr, &sharing(PortSharing::EachWorker)).await;
                    assert_eq!(second.is_ok(), joined, "{how:?}");
                    drop(second);
                    let server = Server::new().listen(listener).config(without_date());
                    let handle = server.handle();
                    assert_eq!(server.local_addrs(), [addr]);
                    let serving = blitz_io::spawn(server.serve(router()));
                    for _ in 0..20 {
                        assert!(ask(addr).await.ends_with("hello"));
                    }
                    assert_eq!(handle.counters().connections(), 20);
                    handle.shut_down(Duration::from_secs(30));
                    assert_eq!(serving.await.expect("no panic").cut, []);
                    assert!(TcpStream::connect(addr).await.is_err(), "all have closed");
                };
                timeout(patient(GUARD), test).await.expect("in time");
            }
        });
    });
}

#[test]
fn a_full_server_counts_that_it_was() {
    everywhere(|| async {
        let mut config = without_date();
        config.connections_max = 2;
        let server = Server::bind("127.0.0.1:0")
            .await
            .expect("a port")
            .config(config);
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let serving = blitz_io::spawn(server.serve(router()));
        let first = TcpStream::connect(addr).await.expect("connected");
        let second = TcpStream::connect(addr).await.expect("connected");
        // Sockets of two workers keep no order.
        while handle.open() < 2 {
            blitz_io::task::yield_now().await;
        }
        let third = blitz_io::spawn(ask(addr));
        while handle.counters().full() == 0 {
            blitz_io::task::yield_now().await;
        }
        assert_eq!((handle.open(), handle.counters().connections()), (2, 2));
        drop((first, second));
        assert!(third.await.expect("no panic").ends_with("hello"));
        handle.shut_down(Duration::from_secs(30));
        serving.await.expect("no panic");
    });
}

#[cfg(unix)]
#[test]
fn who_comes_by_a_unix_socket_is_known() {
    use blitz_http::{Body, Request, service_fn};
    use blitz_io::net::unix::UCred;

    everywhere(|| async {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let listener = blitz_io::net::UnixListener::bind(&path).expect("bound");
        let server = Server::new().listen(listener).config(without_date());
        let handle = server.handle();
        let serving = blitz_io::spawn(server.serve(service_fn(|request: Request| async move {
            let credentials = request.extensions().get::<UCred>().copied();
            let user = credentials.map(|credentials| credentials.uid());
            http::Response::new(Body::from(format!("{user:?}")))
        })));
        let mut client = blitz_io::net::UnixStream::connect(&path)
            .await
            .expect("connected");
        let own = client.peer_cred().expect("credentials").uid();
        for _ in 0..2 {
            let told = format!("Some({own})");
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", told.len());
            client
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .expect("sent");
            let mut answer = vec![0; head.len() + told.len()];
            client.read_exact(&mut answer).await.expect("an answer");
            assert_eq!(String::from_utf8_lossy(&answer), head + &told);
        }
        drop(client);
        handle.shut_down(Duration::from_secs(30));
        assert_eq!(serving.await.expect("no panic").cut, []);
    });
}

#[test]
fn connections_come_at_the_pace_that_is_set() {
    each_case(&[Flavor::MultiThread], |case| {
        case.runtime().block_on(async {
            let mut config = without_date();
            config.connections_per_second = 1;
            let server = Server::bind("127.0.0.1:0")
                .await
                .expect("a port")
                .config(config);
            let (addr, handle) = (server.local_addrs()[0], server.handle());
            // Both are there before the first is taken.
            let clients = [addr; 2].map(|addr| TcpStream::connect(addr));
            let mut connected = Vec::new();
            for client in clients {
                connected.push(client.await.expect("connected"));
            }
            let begun = Instant::now();
            let serving = blitz_io::spawn(server.serve(router()));
            for mut client in connected {
                client
                    .write_all(b"GET / HTTP/1.0\r\n\r\n")
                    .await
                    .expect("sent");
                let mut answer = String::new();
                let read = client.read_to_string(&mut answer);
                timeout(patient(GUARD), read)
                    .await
                    .expect("in time")
                    .expect("an answer");
                assert!(answer.ends_with("hello"), "{answer}");
            }
            // Whether it had to wait for that is not certain where both are taken late; that it is not served sooner is.
            assert!(begun.elapsed() >= Duration::from_secs(1));
            assert!(handle.counters().paced() <= 1);
            handle.shut_down(Duration::from_secs(30));
            serving.await.expect("no panic");
        });
    });
}

#[test]
fn a_connection_has_what_it_was_greeted_with_for_as_long_as_it_lives() {
    use blitz_http::{Peer, Request};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    /// Counts those that are there.
    #[derive(Clone)]
    struct Here(
        #[allow(dead_code, reason = "it is there to be dropped")] Arc<Guard>,
        u32,
    );
    struct Guard(Arc<AtomicU32>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }

    everywhere(|| async {
        let (here, ever) = (Arc::new(AtomicU32::new(0)), AtomicU32::new(0));
        let count = Arc::clone(&here);
        let server = Server::bind("127.0.0.1:0").await.expect("a port");
        let server = server.config(without_date()).on_connect(move |extensions| {
            assert!(
                extensions
                    .get::<Peer>()
                    .is_some_and(|peer| peer.addr.is_some())
            );
            count.fetch_add(1, SeqCst);
            let number = ever.fetch_add(1, SeqCst);
            assert!(number != 1, "a greeting that panics");
            extensions.insert(Here(Arc::new(Guard(Arc::clone(&count))), number));
        });
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let router = Router::new().get("/", |request: Request| async move {
            let Here(_, number) = request
                .extensions()
                .get::<Here>()
                .expect("it was put there");
            number.to_string()
        });
        let serving = blitz_io::spawn(server.serve(router));
        let mut first = TcpStream::connect(addr).await.expect("connected");
        for _ in 0..2 {
            first
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .expect("sent");
            let mut answer = [0; 85];
            let told = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 1\r\n\r\n0";
            first
                .read_exact(&mut answer[..told.len()])
                .await
                .expect("an answer");
            assert_eq!(String::from_utf8_lossy(&answer[..told.len()]), told);
        }
        let mut second = TcpStream::connect(addr).await.expect("connected");
        let mut rest = Vec::new();
        // A reset ends it as well.
        let _ = second.read_to_end(&mut rest).await;
        assert_eq!(
            (rest.len(), here.load(SeqCst)),
            (0, 2),
            "it had no guard yet"
        );
        assert!(ask(addr).await.ends_with("\r\n\r\n2"), "the server goes on");
        drop((first, second));
        handle.shut_down(Duration::from_secs(30));
        serving.await.expect("no panic");
        assert_eq!(here.load(SeqCst), 1, "the one that had no guard");
    });
}
