//! What answers many times, and what answers nobody.

use std::future::poll_fn;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use blitz_driver::completion::{Accepts, Leases, accept, open};
use blitz_driver::{Direction, Driver, RingUse};
use blitz_sys::completion::Opcode;
use blitz_sys::completion::faults::{Fault, Plan};
use blitz_sys::errno::{EAGAIN, ECANCELED, EINTR, ENOBUFS, ENOMEM, EPERM};

use super::{CONTENT, REFUSALS, c_path, on_tampered, tampered};
use crate::completion_support::{drain, drive, is_open, listener, poll_once};
use crate::support::{Counter, GUARD, pair, ring_allowed, tcp_pair, turn_now, turn_until};

/// A refusal of the multishot accept is told once, if it is one that can be told; no connection is lost. A kernel without one
/// is asked by `accept4`, which no plan is for.
#[test]
fn streams_of_connections_survive_each_fault() {
    on_tampered(|driver, plan| {
        let is_in_ring = driver.handle().features().unwrap().multishot_accept;
        let refusals = REFUSALS.map(Fault::Refuse);
        for fault in refusals.into_iter().chain([Fault::Once, Fault::Late(4)]) {
            let (listener, address) = listener(driver);
            let accepts = Accepts::new();
            let mut stream = accepts.stream(&listener);
            plan.add(Opcode::ACCEPT, fault);
            let met = plan.injected_count();
            let mut clients = Vec::new();
            let mut errors = Vec::new();
            for _ in 0..5 {
                clients.push(TcpStream::connect(address).unwrap());
                loop {
                    match drive(driver, poll_fn(|cx| stream.poll_next(cx))) {
                        Ok(socket) => {
                            drop(socket);
                            break;
                        }
                        Err(error) => errors.push(error.raw_os_error()),
                    }
                }
            }
            let told = match fault {
                Fault::Refuse(EAGAIN | EINTR | ECANCELED) | Fault::Once | Fault::Late(_) => vec![],
                Fault::Refuse(_) if !is_in_ring => vec![],
                Fault::Refuse(number) => vec![Some(number)],
                Fault::Short => unreachable!("not one of them"),
            };
            assert_eq!(errors, told, "{fault:?}");
            assert_eq!(plan.injected_count(), met + u64::from(is_in_ring));
            drop(stream);
            drop(accepts);
            drain(driver);
        }
    });
}

/// The same for received bytes: none is lost, none comes twice, and the buffers all come home.
#[test]
fn streams_of_bytes_survive_each_fault() {
    on_tampered(|driver, plan| {
        let handle = driver.handle();
        let features = handle.features().unwrap();
        let is_in_ring = features.multishot_recv && features.buffer_ring;
        let refusals = REFUSALS.map(Fault::Refuse);
        for fault in refusals.into_iter().chain([Fault::Once, Fault::Late(4)]) {
            let (mine, mut peer) = tcp_pair(driver);
            let leases = Leases::new();
            plan.add(Opcode::RECV, fault);
            let met = plan.injected_count();
            let mut got = Vec::new();
            let mut errors = Vec::new();
            for n in 0..200_u32 {
                peer.write_all(&n.to_le_bytes()).unwrap();
                if n % 50 != 49 {
                    continue;
                }
                while got.len() < (n as usize + 1) * 4 {
                    match drive(driver, poll_fn(|cx| leases.poll_next(cx, &mine))) {
                        Ok(view) => got.extend_from_slice(&view),
                        Err(error) => errors.push(error.raw_os_error()),
                    }
                }
            }
            let expected: Vec<u8> = (0..200_u32).flat_map(u32::to_le_bytes).collect();
            assert!(got == expected, "{fault:?}");
            let told = match fault {
                // ENOBUFS says that the provided buffers are out: the pool serves.
                Fault::Refuse(EAGAIN | EINTR | ECANCELED | ENOBUFS) => vec![],
                Fault::Refuse(number) if is_in_ring => vec![Some(number)],
                _ => vec![],
            };
            assert_eq!(errors, told, "{fault:?}");
            assert_eq!(plan.injected_count(), met + u64::from(is_in_ring));
            drop(leases);
            drain(driver);
            turn_now(driver);
            assert_eq!(driver.handle().buffer_pool().in_use(), 0);
        }
    });
}

/// A poll that the kernel could not do now is armed again; one that it cannot do at all is told to everyone.
#[test]
fn readiness_survives_what_is_worth_another_try() {
    if !ring_allowed() {
        return;
    }
    let plan = Plan::none();
    let mut driver = Driver::new(tampered(&plan, RingUse::SingleThread)).unwrap();
    driver.bind();
    turn_now(&mut driver);
    for fault in [EAGAIN, EINTR, ECANCELED, ENOMEM, ENOBUFS].map(Fault::Refuse) {
        for fault in [fault, Fault::Once, Fault::Late(3)] {
            let (mine, mut peer) = pair(&driver);
            plan.add(Opcode::POLL_ADD, fault);
            let met = plan.injected_count();
            let (counter, waker) = Counter::new();
            let mut cx = Context::from_waker(&waker);
            for round in 1..4 {
                assert!(mine.poll_ready(&mut cx, Direction::Read).is_pending());
                peer.write_all(b"x").unwrap();
                turn_until(&mut driver, || counter.count() >= round);
                let Poll::Ready(Ok(event)) = mine.poll_ready(&mut cx, Direction::Read) else {
                    panic!("{fault:?}: woken, and not ready");
                };
                assert_eq!(crate::support::read(&mine, &mut [0; 8]).unwrap(), 1);
                mine.clear(event);
            }
            assert_eq!(plan.injected_count(), met + 1, "{fault:?}");
        }
    }
    let (mine, _peer) = pair(&driver);
    plan.add(Opcode::POLL_ADD, Fault::Refuse(EPERM));
    let (counter, waker) = Counter::new();
    let mut cx = Context::from_waker(&waker);
    assert!(mine.poll_ready(&mut cx, Direction::Read).is_pending());
    turn_until(&mut driver, || counter.count() == 1);
    let Poll::Ready(Err(error)) = mine.poll_ready(&mut cx, Direction::Read) else {
        panic!("it cannot be polled");
    };
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}

/// The kernel's answer to a future that is gone is destroyed, however late it is.
#[test]
fn late_answers_to_nobody_are_destroyed() {
    on_tampered(|driver, plan| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, CONTENT).unwrap();
        let (listener, address) = listener(driver);
        for looks in [1, 5] {
            plan.add(Opcode::OPENAT, Fault::Late(looks));
            let mut opens = open(driver.handle(), c_path(&path), libc::O_RDONLY, 0);
            assert!(poll_once(Pin::new(&mut opens)).is_pending());
            plan.add(Opcode::ACCEPT, Fault::Late(looks));
            let mut client = TcpStream::connect(address).unwrap();
            let mut accepts = accept(driver.handle(), listener.fd().clone());
            assert!(poll_once(Pin::new(&mut accepts)).is_pending());
            driver.turn(Some(std::time::Duration::ZERO));
            drop((opens, accepts));
            drain(driver);
            assert!(!is_open(&path));
            client.set_read_timeout(Some(GUARD)).unwrap();
            assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
        }
    });
}
