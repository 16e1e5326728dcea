//! What the drivers say of themselves, through the runtime's figures.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::runtime::Runtime;
use blitz_io::sync::oneshot;

use crate::harness::{on_every, run};

/// One connection, one message back, for which the client waits: a socket that has its answer at once asks no driver.
fn echo_once(runtime: &Runtime) {
    run(runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (waits, answers) = oneshot::channel();
        let server = blitz_io::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut message = [0; 5];
            stream.read_exact(&mut message).await.unwrap();
            answers.await.unwrap();
            stream.write_all(&message).await.unwrap();
        });
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        {
            let mut read = pin!(stream.read_exact(&mut back));
            let waits_now = poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending())).await;
            assert!(waits_now);
            waits.send(()).unwrap();
            read.await.unwrap();
        }
        assert_eq!(&back, b"hello");
        server.await.unwrap();
    });
}

#[test]
fn each_worker_tells_of_its_driver() {
    on_every(|runtime| {
        echo_once(runtime);
        let metrics = runtime.metrics();
        let (mut turns, mut ready) = (0, 0);
        for worker in 0..metrics.num_workers() {
            let ring = metrics.worker_ring_metrics(worker);
            assert_eq!(ring.backend, runtime.handle().capabilities().backend());
            assert_eq!(ring.reason, runtime.handle().capabilities().reason());
            turns += ring.turns;
            ready += ring.ready_events;
        }
        assert!(turns > 0);
        assert!(ready > 0, "sockets were waited for");
        assert!(metrics.io_driver_ready_count() >= ready);
        // A socket is registered when it first has to wait.
        assert!(metrics.io_driver_fd_registered_count() >= 1);
        assert!(
            metrics.io_driver_fd_deregistered_count() <= metrics.io_driver_fd_registered_count()
        );
    });
}

#[test]
#[should_panic(expected = "worker 1 is out of range: the runtime has 1")]
fn a_worker_that_does_not_exist_is_a_panic() {
    let runtime = blitz_io::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _ = runtime.metrics().worker_ring_metrics(1);
}
