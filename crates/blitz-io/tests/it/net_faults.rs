//! What goes wrong: refused, in use, out of descriptors, reset, shut down.

use std::fs::File;
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpSocket, TcpStream};
use blitz_io::runtime::Runtime;
use blitz_io::task;

use crate::child::{self, open_descriptors};
use crate::harness::{FLAVORS, each_case, on_every, within};

const LIMIT: Duration = Duration::from_secs(60);

/// An address where nobody listens, and nobody else can as long as the socket is kept.
fn closed_port() -> (TcpSocket, SocketAddr) {
    let bound = TcpSocket::new_v4().unwrap();
    bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = bound.local_addr().unwrap();
    (bound, addr)
}

#[test]
fn a_refused_connect_names_the_address() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let (_bound, addr) = closed_port();
            let error = TcpStream::connect(addr).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            assert!(error.to_string().contains(&addr.to_string()), "{error}");
            assert!(
                error.to_string().contains("nothing listens there"),
                "{error}"
            );
        });
    });
}

#[test]
fn of_several_addresses_the_first_that_answers_is_taken() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (_bound, closed) = closed_port();
            let addrs = [closed, listener.local_addr().unwrap()];
            let stream = TcpStream::connect(&addrs[..]).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), addrs[1]);
            let none: &[SocketAddr] = &[];
            assert_eq!(
                TcpStream::connect(none).await.unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
            let error = TcpStream::connect("no port").await.unwrap_err();
            assert!(error.to_string().contains("host:port"), "{error}");
        });
    });
}

#[test]
fn a_port_in_use_is_named() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            // Not through `bind`: on `thread_per_core` that shares ports on purpose.
            let first = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = first.local_addr().unwrap();
            let error = TcpListener::bind(addr).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
            assert!(error.to_string().contains(&addr.to_string()), "{error}");
            assert!(error.to_string().contains("port 0"), "{error}");
            let source = error.get_ref().and_then(std::error::Error::source).unwrap();
            let source = source.downcast_ref::<std::io::Error>().unwrap();
            assert!(source.raw_os_error().is_some());
        });
    });
}

#[test]
fn without_a_runtime_the_panic_names_the_call() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let panic = std::panic::catch_unwind(|| TcpListener::from_std(listener)).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(
        text.contains("no runtime here") && text.contains("TcpListener::from_std"),
        "{text}"
    );
}

#[test]
fn out_of_descriptors_accept_says_what_helps() {
    child::run("ulimit -n 100", "net_faults::out_of_descriptors");
}

#[test]
#[ignore = "run by out_of_descriptors_accept_says_what_helps, under its limit"]
fn out_of_descriptors() {
    on_every(|runtime| {
        within(runtime, LIMIT, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let client = TcpStream::connect(addr).await.unwrap();
            let mut fillers = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                fillers.push(file);
            }
            let error = listener.accept().await.unwrap_err();
            assert!(error.to_string().contains(&addr.to_string()), "{error}");
            assert!(error.to_string().contains("ulimit -n"), "{error}");
            let error = TcpStream::connect(addr).await.unwrap_err();
            assert!(error.to_string().contains("ulimit -n"), "{error}");
            let error = TcpListener::bind("127.0.0.1:0").await.unwrap_err();
            assert!(error.to_string().contains("ulimit -n"), "{error}");
            drop(fillers);
            let (_stream, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        });
    });
}

struct Bell(mpsc::Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

#[test]
fn a_read_that_outlives_its_runtime_ends_with_an_error() {
    each_case(&FLAVORS, |case| {
        let runtime = case.runtime();
        let (mut a, _b) = within(&runtime, LIMIT, pair());
        let (send, woken) = mpsc::channel();
        let waker = Waker::from(Arc::new(Bell(send)));
        let mut cx = Context::from_waker(&waker);
        let mut buf = [0; 8];
        {
            let mut read = std::pin::pin!(a.read(&mut buf));
            assert!(read.as_mut().poll(&mut cx).is_pending());
            drop(runtime);
            woken
                .recv_timeout(LIMIT)
                .expect("the waiting read is woken");
            let answer = read.as_mut().poll(&mut cx);
            let std::task::Poll::Ready(Err(error)) = answer else {
                panic!("{answer:?}")
            };
            assert!(error.to_string().contains("shut"), "{error}");
        }
        let again = futures::executor::block_on(a.read(&mut buf));
        assert!(again.is_err());
    });
}

#[test]
fn a_runtime_that_is_gone_makes_no_sockets() {
    each_case(&FLAVORS, |case| {
        let runtime = case.runtime();
        let handle = runtime.handle().clone();
        drop(runtime);
        let _guard = handle.enter();
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        for error in [
            futures::executor::block_on(TcpListener::bind(addr)).err(),
            futures::executor::block_on(TcpStream::connect(addr)).err(),
        ] {
            let error = error.expect("the runtime is gone");
            assert!(blitz_io::runtime::is_rt_shutdown_err(&error), "{error}");
        }
    });
}

#[test]
fn a_runtime_shuts_down_under_pending_reads() {
    each_case(&FLAVORS, |case| {
        let runtime = case.runtime();
        within(&runtime, LIMIT, async {
            for _ in 0..50 {
                let (mut a, mut b) = pair().await;
                task::spawn(async move { a.read(&mut [0; 8]).await });
                task::spawn(async move {
                    loop {
                        if b.write(&[1; 65_536]).await.is_err() {
                            return;
                        }
                    }
                });
                task::yield_now().await;
            }
        });
        let begun = Instant::now();
        drop(runtime);
        assert!(begun.elapsed() < LIMIT);
    });
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, server) = futures::join!(
        TcpStream::connect(listener.local_addr().unwrap()),
        listener.accept()
    );
    (client.unwrap(), server.unwrap().0)
}

#[test]
fn random_resets_and_half_closes_leave_no_descriptor_behind() {
    child::run("", "net_faults::random_ends");
}

#[test]
#[ignore = "run by random_resets_and_half_closes_leave_no_descriptor_behind, in its own process"]
fn random_ends() {
    let bare = open_descriptors();
    on_every(|runtime| {
        // Everything that is opened once is open after the first round.
        stress(runtime, 20);
        let before = open_descriptors();
        for round in 0..3 {
            stress(runtime, 200);
            let after = settled(runtime, before);
            assert!(
                after <= before,
                "round {round}: {after} descriptors open, {before} before"
            );
        }
    });
    assert_eq!(open_descriptors(), bare);
}

/// A closed socket leaves with its driver's next turns: waits for them, not for a time.
fn settled(runtime: &Runtime, before: usize) -> usize {
    let begun = Instant::now();
    loop {
        let now = open_descriptors();
        if now <= before || begun.elapsed() > LIMIT {
            return now;
        }
        runtime.block_on(async {
            for _ in 0..16 {
                task::spawn(task::yield_now()).await.unwrap();
            }
        });
    }
}

/// Connections that end in every way there is, at random places.
fn stress(runtime: &Runtime, connections: usize) {
    within(runtime, LIMIT, async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = task::spawn(async move {
            let mut tasks = Vec::new();
            for who in 0..connections {
                let (stream, _) = listener.accept().await.unwrap();
                tasks.push(task::spawn(echo_until_the_end(stream, who)));
            }
            for task in tasks {
                task.await.unwrap();
            }
        });
        let clients: Vec<_> = (0..connections)
            .map(|who| task::spawn(end_somehow(addr, who)))
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        server.await.unwrap();
    });
}

async fn echo_until_the_end(mut stream: TcpStream, who: usize) {
    let mut buf = [0; 2048];
    // Some servers give up first.
    let patience = if who % 7 == 3 { 2 } else { usize::MAX };
    for _ in 0..patience {
        match stream.read(&mut buf).await {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                if stream.write_all(&buf[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
    let _ = stream.set_zero_linger();
}

async fn end_somehow(addr: SocketAddr, who: usize) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let rounds = who * 7919 % 5;
    let mut buf = vec![0; 700];
    for _ in 0..rounds {
        if stream.write_all(&buf).await.is_err() || stream.read_exact(&mut buf).await.is_err() {
            return;
        }
    }
    match who % 5 {
        // A reset, with bytes on their way.
        0 => {
            let _ = stream.write_all(&buf).await;
            let _ = stream.set_zero_linger();
        }
        // A half close, then everything that is still to come.
        1 => {
            let _ = stream.write_all(&buf).await;
            let _ = stream.shutdown().await;
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
        // A half close, and gone.
        2 => {
            let _ = stream.shutdown().await;
        }
        // A read that is cancelled.
        3 => {
            let reader = task::spawn(async move { stream.read(&mut buf).await });
            task::yield_now().await;
            reader.abort();
            let _ = reader.await;
        }
        _ => {}
    }
}
