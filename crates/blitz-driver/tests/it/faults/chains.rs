//! What falls back on something else, and what fails together.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use blitz_driver::completion::{
    Links, connect, receive_owned, send_owned, send_zc_owned, send_zc_vectored_owned, sync,
    write_at,
};
use blitz_sys::completion::Opcode;
use blitz_sys::completion::faults::Fault;
use blitz_sys::errno::{EAGAIN, EALREADY, ECANCELED, EINTR, EISCONN, ENOBUFS, ENOMEM};
use blitz_sys::socket::{Domain, peer_addr, stream};

use super::{REFUSALS, content, file, on_tampered, received};
use crate::completion_support::{drain, drive, listener, poll_once};
use crate::support::{tcp_pair, turn_now};

/// What is asked for with readiness at hand never says that it would block.
#[test]
fn what_can_wait_for_readiness_does_not_say_that_it_would_block() {
    on_tampered(|driver, plan| {
        for fault in [EAGAIN, EINTR, ECANCELED].map(Fault::Refuse) {
            let (mine, mut peer) = tcp_pair(driver);
            plan.add(Opcode::RECV, fault);
            let mut receives = Box::pin(receive_owned(&mine, Vec::with_capacity(8)));
            assert!(poll_once(receives.as_mut()).is_pending());
            turn_now(driver);
            peer.write_all(b"late").unwrap();
            let (got, buffer) = drive(driver, receives);
            assert_eq!((got.unwrap(), &buffer[..]), (4, &b"late"[..]), "{fault:?}");

            // Full, so that it goes to the ring; then it is emptied.
            let filled = fill(&mine);
            plan.add(Opcode::SEND, fault);
            let mut sends = Box::pin(send_owned(&mine, b"the end".to_vec()));
            assert!(poll_once(sends.as_mut()).is_pending());
            turn_now(driver);
            let reader = std::thread::spawn(move || received(&mut peer, filled + 7));
            let (sent, buffer) = drive(driver, sends);
            assert_eq!(
                (sent.unwrap(), &buffer[..]),
                (7, &b"the end"[..]),
                "{fault:?}"
            );
            assert!(reader.join().unwrap().ends_with(b"the end"));
        }
    });
}

/// Writes until the socket is full; how many bytes that took.
fn fill(socket: &blitz_driver::Registration) -> usize {
    let mut filled = 0;
    while let Ok(n) = crate::support::write(socket, &[b'.'; 4096]) {
        filled += n;
    }
    filled
}

/// Where the kernel cannot send without a copy at this moment, it is sent with one.
#[test]
fn zero_copy_falls_back_on_a_copy() {
    on_tampered(|driver, plan| {
        for number in [EAGAIN, ENOMEM, ENOBUFS, libc::EOPNOTSUPP] {
            let (mine, mut peer) = tcp_pair(driver);
            let bytes = vec![7; 1 << 15];
            plan.add(Opcode::SEND_ZC, Fault::Refuse(number));
            let (sent, back) = drive(driver, send_zc_owned(&mine, bytes.clone()));
            let sent = sent.unwrap();
            assert!(sent.is_copied && sent.len > 0 && back == bytes, "{number}");
            received(&mut peer, sent.len);
            plan.add(Opcode::SENDMSG_ZC, Fault::Refuse(number));
            let (sent, _) = drive(driver, send_zc_vectored_owned(&mine, vec![bytes.clone()]));
            assert!(sent.unwrap().is_copied, "{number}");
        }
    });
}

/// Bytes that were given to a write which nobody waits for are not lost because the ring is short of something.
#[test]
fn a_detached_write_is_written_though_the_ring_refuses_it() {
    on_tampered(|driver, plan| {
        for number in [EAGAIN, EINTR, ECANCELED, ENOMEM, ENOBUFS] {
            let dir = tempfile::tempdir().unwrap();
            plan.add(Opcode::WRITE, Fault::Refuse(number));
            let target = file(dir.path(), b"");
            let mut op = write_at(driver.handle(), target, b"kept".to_vec(), Some(0));
            assert!(poll_once(std::pin::Pin::new(&mut op)).is_pending());
            op.detach();
            drain(driver);
            turn_now(driver);
            assert_eq!(content(dir.path()), b"kept", "{number}");
        }
    });
}

/// The head of a chain that fails, even by a cancel that nobody asked for, fails those behind it, and each gives back what it has.
#[test]
fn a_refused_chain_fails_whole() {
    on_tampered(|driver, plan| {
        for number in REFUSALS {
            let dir = tempfile::tempdir().unwrap();
            let target = file(dir.path(), b"");
            plan.add(Opcode::WRITE, Fault::Refuse(number));
            let handle = driver.handle().clone();
            let first = write_at(&handle, target.clone(), b"one".to_vec(), Some(0));
            let second = write_at(&handle, target.clone(), b"two".to_vec(), Some(3));
            let chain = first.link(second).link(sync(&handle, target, true));
            let (((a, one), (b, two)), c) = drive(driver, chain);
            assert_eq!(a.unwrap_err().raw_os_error(), Some(number));
            assert_eq!(b.unwrap_err().raw_os_error(), Some(ECANCELED));
            assert_eq!(c.unwrap_err().raw_os_error(), Some(ECANCELED));
            assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]));
            assert!(content(dir.path()).is_empty());
        }
    });
}

/// A connect that was begun goes on, whatever interrupts its operation: its end is waited for, and told.
#[test]
fn an_interrupted_connect_ends_as_the_connection_does() {
    on_tampered(|driver, plan| {
        // Connected meanwhile; still under way when it is asked for again; and that wait interrupted, too.
        let connected: &[Fault] = &[Fault::Refuse(EINTR)];
        let under_way = &[Fault::Refuse(EINTR), Fault::Refuse(EALREADY)];
        for (faults, poll) in [
            (connected, None),
            (under_way, None),
            (under_way, Some(Fault::Refuse(EINTR))),
            (under_way, Some(Fault::Late(2))),
        ] {
            let (listener, address) = listener(driver);
            let socket = stream(Domain::IPV4).unwrap();
            let socket = Arc::new(socket);
            let met = plan.injected_count();
            for fault in faults {
                plan.add(Opcode::CONNECT, *fault);
            }
            if let Some(fault) = poll {
                plan.add(Opcode::POLL_ADD, fault);
            }
            drive(
                driver,
                connect(driver.handle(), socket.clone(), address.into()),
            )
            .unwrap();
            let expected = faults.len() + usize::from(poll.is_some());
            assert_eq!(plan.injected_count() - met, expected as u64, "{faults:?}");
            assert_eq!(peer_addr(socket.as_fd()).unwrap(), address);
            drop(listener);
        }
        // Who asks for it a second time is told so, and so is who never asked before.
        let (_listener, address) = listener(driver);
        let socket = Arc::new(stream(Domain::IPV4).unwrap());
        plan.add(Opcode::CONNECT, Fault::Refuse(EALREADY));
        let early = drive(
            driver,
            connect(driver.handle(), socket.clone(), address.into()),
        );
        assert_eq!(early.unwrap_err().raw_os_error(), Some(EALREADY));
        drive(
            driver,
            connect(driver.handle(), socket.clone(), address.into()),
        )
        .unwrap();
        let twice = drive(driver, connect(driver.handle(), socket, address.into()));
        assert_eq!(twice.unwrap_err().raw_os_error(), Some(EISCONN));
    });
}
