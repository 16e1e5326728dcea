//! Dropped in flight: nothing is freed before the kernel's last answer, and no result is lost to anyone.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use blitz_driver::completion::{
    Links, accept, connect, open, receive, send_zc, send_zc_vectored, sync, write_at,
};
use blitz_driver::{Config, Driver, RingUse};
use blitz_sys::completion::Opcode;

use crate::completion_support::{
    Watched, drain, drive, is_closed_by_peer, is_open, listener, poll_once,
};
use crate::support::{on_ring, pair, tcp_pair, turn_now, turn_until};

fn both_uses(test: impl Fn(&mut Driver)) {
    for ring in [RingUse::Shared, RingUse::SingleThread] {
        on_ring(
            Config {
                ring,
                ..Config::default()
            },
            |driver| test(driver),
        );
    }
}

#[test]
fn a_buffer_outlives_its_future_until_the_last_answer() {
    both_uses(|driver| {
        let (mine, mut peer) = tcp_pair(driver);
        let (buffer, dropped) = Watched::new(Vec::with_capacity(64));
        let mut op = receive(driver.handle(), mine.fd().clone(), buffer, false);
        assert!(poll_once(Pin::new(&mut op)).is_pending());
        turn_now(driver);
        drop(op);
        // The kernel may write now: into memory that is still there.
        peer.write_all(b"late").unwrap();
        assert_eq!(dropped.load(SeqCst), 0);
        drain(driver);
        assert_eq!(dropped.load(SeqCst), 1);
    });
}

#[test]
fn dropped_before_it_was_submitted_it_is_cancelled_all_the_same() {
    both_uses(|driver| {
        let (mine, _peer) = pair(driver);
        let (buffer, dropped) = Watched::new(Vec::with_capacity(64));
        let mut op = receive(driver.handle(), mine.fd().clone(), buffer, false);
        assert!(poll_once(Pin::new(&mut op)).is_pending());
        drop(op);
        assert_eq!(dropped.load(SeqCst), 0);
        drain(driver);
        assert_eq!(dropped.load(SeqCst), 1);
    });
}

#[test]
fn dropped_after_its_answer_came_the_dropper_destroys_the_result() {
    both_uses(|driver| {
        let (listener, address) = listener(driver);
        let mut op = accept(driver.handle(), listener.fd().clone());
        assert!(poll_once(Pin::new(&mut op)).is_pending());
        turn_now(driver);
        let client = TcpStream::connect(address).unwrap();
        let handle = driver.handle().clone();
        turn_until(driver, || handle.operations_in_flight().is_empty());
        assert!(!is_closed_by_peer(&client));
        drop(op);
        client.set_nonblocking(false).unwrap();
        client
            .set_read_timeout(Some(crate::support::GUARD))
            .unwrap();
        assert_eq!((&client).read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn an_orphaned_connection_is_closed() {
    both_uses(|driver| {
        let (listener, address) = listener(driver);
        let mut op = accept(driver.handle(), listener.fd().clone());
        assert!(poll_once(Pin::new(&mut op)).is_pending());
        turn_now(driver);
        // It is accepted by the kernel, perhaps, in the very moment in which the future goes.
        let client = TcpStream::connect(address).unwrap();
        drop(op);
        drain(driver);
        drop(listener);
        turn_now(driver);
        client
            .set_read_timeout(Some(crate::support::GUARD))
            .unwrap();
        match (&client).read(&mut [0]) {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    });
}

#[test]
fn an_orphaned_file_is_closed() {
    both_uses(|driver| {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..32 {
            let path = dir.path().join(format!("orphan-{round}"));
            let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
            let mut op = open(driver.handle(), name, libc::O_CREAT | libc::O_WRONLY, 0o600);
            assert!(poll_once(Pin::new(&mut op)).is_pending());
            for _ in 0..round % 4 {
                driver.turn(Some(Duration::ZERO));
            }
            drop(op);
            drain(driver);
            assert!(!is_open(&path));
        }
    });
}

#[test]
fn a_zero_copy_send_keeps_its_buffer_until_the_notification() {
    both_uses(|driver| {
        if !driver.handle().features().unwrap().send_zc {
            return;
        }
        let (mine, mut peer) = tcp_pair(driver);
        let (buffer, dropped) = Watched::new(vec![7; 1 << 20]);
        let mut op = send_zc(driver.handle(), mine.fd().clone(), buffer);
        assert!(poll_once(Pin::new(&mut op)).is_pending());
        turn_now(driver);
        drop(op);
        assert_eq!(dropped.load(SeqCst), 0);
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            peer.read_to_end(&mut got).unwrap();
            got
        });
        drain(driver);
        assert_eq!(dropped.load(SeqCst), 1);
        drop(mine);
        turn_now(driver);
        assert!(
            reader.join().unwrap().iter().all(|byte| *byte == 7),
            "sent from memory that was freed"
        );
    });
}

#[test]
fn a_zero_copy_send_of_many_parts_keeps_all_until_the_notification() {
    both_uses(|driver| {
        if !driver.handle().supports(Opcode::SENDMSG_ZC) {
            return;
        }
        let (mine, mut peer) = tcp_pair(driver);
        let (parts, dropped): (Vec<_>, Vec<_>) =
            (0..64).map(|_| Watched::new(vec![7; 1 << 14])).unzip();
        let alive = || dropped.iter().filter(|n| n.load(SeqCst) == 0).count();
        let mut op = send_zc_vectored(driver.handle(), mine.fd().clone(), parts);
        assert!(poll_once(Pin::new(&mut op)).is_pending());
        turn_now(driver);
        drop(op);
        assert_eq!(alive(), 64);
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            peer.read_to_end(&mut got).unwrap();
            got
        });
        drain(driver);
        assert_eq!(alive(), 0);
        drop(mine);
        turn_now(driver);
        assert!(
            reader.join().unwrap().iter().all(|byte| *byte == 7),
            "sent from memory that was freed"
        );
    });
}

#[test]
fn a_dropped_chain_frees_all_it_owned() {
    both_uses(|driver| {
        let dir = tempfile::tempdir().unwrap();
        let file = Arc::new(std::fs::File::create(dir.path().join("chain")).unwrap());
        let (mine, _peer) = pair(driver);
        let (first, first_dropped) = Watched::new(Vec::with_capacity(8));
        let (second, second_dropped) = Watched::new(b"never".to_vec());
        let handle = driver.handle().clone();
        let mut chain = receive(&handle, mine.fd().clone(), first, false)
            .link(write_at(&handle, file.clone(), second, Some(0)))
            .link(sync(&handle, file, true));
        assert!(poll_once(Pin::new(&mut chain)).is_pending());
        turn_now(driver);
        drop(chain);
        drain(driver);
        assert_eq!(
            (first_dropped.load(SeqCst), second_dropped.load(SeqCst)),
            (1, 1)
        );
        assert_eq!(
            std::fs::metadata(dir.path().join("chain")).unwrap().len(),
            0
        );
    });
}

#[test]
fn what_a_threads_exit_cancels_is_submitted_again() {
    on_ring(Config::default(), |driver| {
        driver.unbind();
        let (mine, mut peer) = tcp_pair(driver);
        let mut op = receive(
            driver.handle(),
            mine.fd().clone(),
            Vec::with_capacity(64),
            false,
        );
        std::thread::scope(|scope| {
            scope.spawn(|| {
                driver.bind();
                assert!(poll_once(Pin::new(&mut op)).is_pending());
                turn_now(driver);
                driver.unbind();
            });
        });
        driver.bind();
        let writer = std::thread::spawn(move || {
            peer.write_all(b"still there").unwrap();
            peer
        });
        let (received, buffer) = drive(driver, op);
        assert_eq!((received.unwrap(), &buffer[..]), (11, &b"still there"[..]));
        drop(writer.join().unwrap());
    });
}

/// The kernel goes on connecting for a thread that is gone, and gives the operation back when it has: asked again, it says that the
/// socket is connected.
#[test]
fn a_connect_under_way_outlives_the_thread_that_began_it() {
    on_ring(Config::default(), |driver| {
        driver.unbind();
        // A listener whose line is full lets nobody in, and does not refuse either: the client knocks again, a second later.
        let listener = blitz_sys::socket::stream(blitz_sys::socket::Domain::IPV4).unwrap();
        let listening = blitz_sys::socket::SockRef::from(&listener);
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        listening.bind(&any.into()).unwrap();
        listening.listen(0).unwrap();
        let address = listening.local_addr().unwrap().as_socket().unwrap();
        let in_line = TcpStream::connect(address).unwrap();
        let socket = blitz_sys::socket::stream(blitz_sys::socket::Domain::IPV4).unwrap();
        let mut op = connect(driver.handle(), Arc::new(socket), address.into());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                driver.bind();
                assert!(poll_once(Pin::new(&mut op)).is_pending());
                turn_now(driver);
                driver.unbind();
            });
        });
        driver.bind();
        let (first, _) = listening.accept().unwrap();
        drive(driver, op).unwrap();
        drop((first, in_line));
    });
}

#[test]
fn thousands_in_flight_end_with_the_driver() {
    both_uses(|driver| {
        let (mine, _peer) = pair(driver);
        let mut ops = Vec::new();
        let mut watches = Vec::new();
        for n in 0..5000 {
            let (buffer, dropped) = Watched::new(Vec::with_capacity(16));
            let mut op = receive(driver.handle(), mine.fd().clone(), buffer, false);
            assert!(poll_once(Pin::new(&mut op)).is_pending());
            watches.push(dropped);
            if n % 2 == 0 {
                ops.push(op);
            }
        }
        turn_now(driver);
        driver.shutdown();
        for mut op in ops {
            let std::task::Poll::Ready((result, _buffer)) = poll_once(Pin::new(&mut op)) else {
                panic!("waits for a driver that is gone");
            };
            assert!(result.unwrap_err().to_string().contains("shut"));
        }
        assert!(watches.iter().all(|dropped| dropped.load(SeqCst) == 1));
        assert!(driver.handle().operations_in_flight().is_empty());
    });
}

/// Dropped at every point between the first poll and the answer, while bytes come: each byte is either read by somebody
/// or died with a cancelled receive, and every buffer is freed once.
#[test]
fn dropped_at_every_point_nothing_leaks() {
    both_uses(|driver| {
        let (mine, mut peer) = tcp_pair(driver);
        let handle = driver.handle().clone();
        let mut watches = Vec::new();
        for round in 0..2000_usize {
            let (buffer, dropped) = Watched::new(Vec::with_capacity(8));
            watches.push(dropped);
            let mut op = receive(&handle, mine.fd().clone(), buffer, round % 3 == 0);
            let mut seed = round.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as usize);
            for _ in 0..seed % 5 {
                seed = seed.rotate_right(7);
                match seed % 3 {
                    0 => peer.write_all(b"x").unwrap(),
                    1 => driver.turn(Some(Duration::ZERO)),
                    _ => {
                        if poll_once(Pin::new(&mut op)).is_ready() {
                            op = receive(
                                &handle,
                                mine.fd().clone(),
                                Watched::new(Vec::with_capacity(8)).0,
                                false,
                            );
                        }
                    }
                }
            }
            drop(op);
        }
        drain(driver);
        assert!(watches.iter().all(|dropped| dropped.load(SeqCst) == 1));
    });
}
