//! Each operation against each fault that a kernel may answer with: asked for again, or its caller's with all that it owned.
//!
//! The faults come by `blitz_sys::completion::faults`, which stands in for the ring. What counts descriptors runs in a child.

use std::ffi::CString;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use blitz_driver::completion::{
    Accepts, BufferConfig, BufferPool, FixedPool, Leases, Links, accept, allocate, close, connect,
    make_dir, open, poll, read_at, read_fixed, receive, receive_owned, rename, send, send_owned,
    send_zc, send_zc_owned, send_zc_vectored, send_zc_vectored_owned, shut_down, splice, stat,
    sync, truncate, unlink, write_at, write_fixed,
};
use blitz_driver::{Backend, Config, Direction, Driver, RingUse};
use blitz_sys::completion::faults::{Fault, Plan};
use blitz_sys::completion::{Faults, Opcode};
use blitz_sys::errno::{self, EAGAIN, ECANCELED, EINTR, EMFILE, ENOBUFS, ENOMEM, EPERM, is_undone};

use crate::child;
use crate::completion_support::{drain, drive, is_closed_by_peer, is_open, listener, poll_once};
use crate::support::{
    Counter, GUARD, pair, register, ring_allowed, tcp_pair, turn_now, turn_until,
};

const REFUSALS: [i32; 7] = [EAGAIN, EINTR, ECANCELED, EPERM, ENOMEM, ENOBUFS, EMFILE];
const CONTENT: &[u8] = b"0123456789abcdef";

/// Runs `test` with a bound driver on a ring that `plan` tampers with, for either use of rings.
fn on_tampered(test: impl Fn(&mut Driver, &Plan)) {
    for ring in [RingUse::Shared, RingUse::SingleThread] {
        if !ring_allowed() {
            eprintln!("no rings on this machine: nothing tested");
            return;
        }
        let plan = Plan::none();
        let mut driver = Driver::new(tampered(&plan, ring)).unwrap();
        driver.bind();
        test(&mut driver, &plan);
    }
}

fn tampered(plan: &Plan, ring: RingUse) -> Config {
    Config {
        backend: Some(Backend::IoUring),
        ring,
        buffers: BufferConfig {
            count: 16,
            size: 64,
            ..BufferConfig::default()
        },
        faults: Some(Faults::Plan(plan.clone())),
        ..Config::default()
    }
}

/// One operation in a little world of its own. It says how many bytes were moved, and has made sure of its effect, or, if it
/// failed, that there was none and that what it owned came back.
struct Case {
    opcode: Opcode,
    /// So many bytes when nothing is cut.
    whole: usize,
    run: fn(&mut Driver, &Path) -> io::Result<usize>,
}

fn file(dir: &Path, content: &[u8]) -> Arc<File> {
    let path = dir.join("file");
    std::fs::write(&path, content).unwrap();
    let file = File::options().read(true).write(true).open(path).unwrap();
    Arc::new(file)
}

fn content(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join("file")).unwrap()
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).unwrap()
}

/// What was sent, read from its peer.
fn received(peer: &mut impl io::Read, len: usize) -> Vec<u8> {
    let mut got = vec![0; len];
    peer.read_exact(&mut got).unwrap();
    got
}

fn cases() -> Vec<Case> {
    let case = |opcode, whole, run| Case { opcode, whole, run };
    vec![
        case(Opcode::READ, 16, |driver, dir| {
            let op = read_at(
                driver.handle(),
                file(dir, CONTENT),
                Vec::with_capacity(16),
                Some(0),
            );
            let (read, buffer) = drive(driver, op);
            assert_eq!(buffer, CONTENT[..*read.as_ref().unwrap_or(&0)]);
            assert_eq!(buffer.capacity(), 16);
            read
        }),
        case(Opcode::WRITE, 16, |driver, dir| {
            let op = write_at(driver.handle(), file(dir, b""), CONTENT.to_vec(), Some(0));
            let (written, buffer) = drive(driver, op);
            assert_eq!(buffer, CONTENT);
            assert_eq!(content(dir), CONTENT[..*written.as_ref().unwrap_or(&0)]);
            written
        }),
        case(Opcode::READ_FIXED, 16, |driver, dir| {
            let pool = BufferPool::new(1, 16);
            let fixed = FixedPool::register(driver.handle(), &pool).unwrap();
            let lease = pool.try_lease().unwrap();
            let (read, lease) = drive(driver, read_fixed(&fixed, file(dir, CONTENT), lease, 0));
            let len = *read.as_ref().unwrap_or(&0);
            assert_eq!(lease.freeze(len)[..], CONTENT[..len]);
            assert_eq!(pool.in_use(), 0);
            read
        }),
        case(Opcode::WRITE_FIXED, 16, |driver, dir| {
            let pool = BufferPool::new(1, 16);
            let fixed = FixedPool::register(driver.handle(), &pool).unwrap();
            let (read, lease) = drive(
                driver,
                read_fixed(&fixed, file(dir, CONTENT), pool.try_lease().unwrap(), 0),
            );
            assert_eq!(read.unwrap(), 16);
            let (written, lease) = drive(driver, write_fixed(&fixed, file(dir, b""), lease, 0));
            assert_eq!(content(dir), CONTENT[..*written.as_ref().unwrap_or(&0)]);
            drop(lease);
            assert_eq!(pool.in_use(), 0);
            written
        }),
        case(Opcode::FSYNC, 0, |driver, dir| {
            drive(driver, sync(driver.handle(), file(dir, b"x"), true)).map(|()| 0)
        }),
        case(Opcode::FTRUNCATE, 0, |driver, dir| {
            let done = drive(driver, truncate(driver.handle(), file(dir, CONTENT), 4));
            assert_eq!(content(dir).len(), if done.is_ok() { 4 } else { 16 });
            done.map(|()| 0)
        }),
        case(Opcode::FALLOCATE, 0, |driver, dir| {
            let done = drive(
                driver,
                allocate(driver.handle(), file(dir, b""), 0, 0, 4096),
            );
            assert_eq!(content(dir).len(), if done.is_ok() { 4096 } else { 0 });
            done.map(|()| 0)
        }),
        case(Opcode::CLOSE, 0, |driver, dir| {
            drop(file(dir, b""));
            let opened = OwnedFd::from(File::open(dir.join("file")).unwrap());
            let done = drive(driver, close(driver.handle(), opened));
            assert!(
                !is_open(&dir.join("file")),
                "however a close ends, it is closed"
            );
            done.map(|()| 0)
        }),
        case(Opcode::OPENAT, 0, |driver, dir| {
            drop(file(dir, CONTENT));
            let op = open(
                driver.handle(),
                c_path(&dir.join("file")),
                libc::O_RDONLY,
                0,
            );
            let opened = drive(driver, op);
            assert_eq!(is_open(&dir.join("file")), opened.is_ok());
            opened.map(|_| 0)
        }),
        case(Opcode::STATX, 0, |driver, dir| {
            drop(file(dir, CONTENT));
            let op = stat(driver.handle(), c_path(&dir.join("file")), false);
            drive(driver, op).map(|_| 0)
        }),
        case(Opcode::RENAMEAT, 0, |driver, dir| {
            drop(file(dir, CONTENT));
            let (from, to) = (dir.join("file"), dir.join("renamed"));
            let op = rename(driver.handle(), c_path(&from), c_path(&to), 0);
            let done = drive(driver, op);
            assert_eq!((from.exists(), to.exists()), (done.is_err(), done.is_ok()));
            done.map(|()| 0)
        }),
        case(Opcode::UNLINKAT, 0, |driver, dir| {
            drop(file(dir, CONTENT));
            let op = unlink(driver.handle(), c_path(&dir.join("file")), false);
            let done = drive(driver, op);
            assert_eq!(dir.join("file").exists(), done.is_err());
            done.map(|()| 0)
        }),
        case(Opcode::MKDIRAT, 0, |driver, dir| {
            let made = dir.join("made");
            let done = drive(driver, make_dir(driver.handle(), c_path(&made), 0o700));
            assert_eq!(made.exists(), done.is_ok());
            done.map(|()| 0)
        }),
        case(Opcode::RECV, 16, |driver, _| {
            let (mine, mut peer) = pair(driver);
            peer.write_all(CONTENT).unwrap();
            let op = receive(
                driver.handle(),
                mine.fd().clone(),
                Vec::with_capacity(16),
                false,
            );
            let (got, buffer) = drive(driver, op);
            assert_eq!(buffer, CONTENT[..*got.as_ref().unwrap_or(&0)]);
            got
        }),
        case(Opcode::SEND, 16, |driver, _| {
            let (mine, mut peer) = pair(driver);
            let op = send(driver.handle(), mine.fd().clone(), CONTENT.to_vec());
            let (sent, buffer) = drive(driver, op);
            assert_eq!(buffer, CONTENT);
            drop(mine);
            drain(driver);
            let mut got = Vec::new();
            peer.set_nonblocking(false).unwrap();
            peer.read_to_end(&mut got).unwrap();
            assert_eq!(got, CONTENT[..*sent.as_ref().unwrap_or(&0)]);
            sent
        }),
        case(Opcode::SEND_ZC, 1 << 15, |driver, _| {
            let (mine, mut peer) = tcp_pair(driver);
            let bytes: Vec<u8> = (0..1 << 15).map(|n: u32| n as u8).collect();
            let op = send_zc(driver.handle(), mine.fd().clone(), bytes.clone());
            let (sent, buffer) = drive(driver, op);
            assert!(buffer == bytes);
            let len = sent.as_ref().map_or(0, |sent| sent.len);
            assert!(received(&mut peer, len) == bytes[..len]);
            sent.map(|sent| sent.len)
        }),
        case(Opcode::SENDMSG_ZC, 1 << 15, |driver, _| {
            let (mine, mut peer) = tcp_pair(driver);
            let part = |n: u8| vec![n; 1 << 12];
            let parts: Vec<_> = (0..8).map(part).collect();
            let op = send_zc_vectored(driver.handle(), mine.fd().clone(), parts.clone());
            let (sent, back) = drive(driver, op);
            assert!(back == parts);
            let len = sent.as_ref().map_or(0, |sent| sent.len);
            assert!(received(&mut peer, len) == parts.concat()[..len]);
            sent.map(|sent| sent.len)
        }),
        case(Opcode::ACCEPT, 0, |driver, _| {
            let (listener, address) = listener(driver);
            let client = TcpStream::connect(address).unwrap();
            let accepted = drive(driver, accept(driver.handle(), listener.fd().clone()));
            assert!(accepted.is_err() || !is_closed_by_peer(&client));
            accepted.map(|_| 0)
        }),
        case(Opcode::CONNECT, 0, |driver, _| {
            let (_listener, address) = listener(driver);
            let socket = blitz_sys::socket::stream(blitz_sys::socket::Domain::IPV4).unwrap();
            let op = connect(driver.handle(), Arc::new(socket), address.into());
            drive(driver, op).map(|()| 0)
        }),
        case(Opcode::SHUTDOWN, 0, |driver, _| {
            let (mine, mut peer) = pair(driver);
            let op = shut_down(driver.handle(), mine.fd().clone(), libc::SHUT_WR);
            let done = drive(driver, op);
            assert_eq!(matches!(peer.read(&mut [0]), Ok(0)), done.is_ok());
            done.map(|()| 0)
        }),
        case(Opcode::POLL_ADD, 0, |driver, _| {
            let (mine, mut peer) = pair(driver);
            peer.write_all(b"x").unwrap();
            let op = poll(driver.handle(), mine.fd().clone(), libc::POLLIN as u32);
            drive(driver, op).map(|events| {
                assert_ne!(events & libc::POLLIN as u32, 0);
                0
            })
        }),
        case(Opcode::SPLICE, 16, |driver, dir| {
            let (reader, mut writer) = io::pipe().unwrap();
            writer.write_all(CONTENT).unwrap();
            let from = (Arc::new(OwnedFd::from(reader)), None);
            let to = (file(dir, b""), Some(0));
            let moved = drive(driver, splice(driver.handle(), from, to, 16));
            assert_eq!(content(dir), CONTENT[..*moved.as_ref().unwrap_or(&0)]);
            moved
        }),
    ]
}

/// What the table of errors promises: undone is done again, everything else is the caller's as it came; and no fault outlives
/// itself: the next operation succeeds.
#[test]
#[ignore = "counts the process's descriptors: run in a child by `each_operation_meets_each_fault`"]
fn each_operation_meets_each_fault_in_a_child() {
    on_tampered(|driver, plan| {
        turn_now(driver); // its bell is armed
        let before = descriptors();
        let refusals = REFUSALS.map(Fault::Refuse);
        for fault in refusals.into_iter().chain([Fault::Short, Fault::Late(3)]) {
            for Case { opcode, whole, run } in cases() {
                let what = format!("{} with {fault:?}", opcode.name());
                let met = plan.injected_count();
                plan.add(opcode, fault);
                let dir = tempfile::tempdir().unwrap();
                let done = run(driver, dir.path());
                let is_met = plan.injected_count() > met;
                match fault {
                    Fault::Refuse(number) if is_undone(-number) => {
                        let is_close = opcode == Opcode::CLOSE && number == EINTR;
                        assert_eq!(done.is_err(), is_close, "{what}: {done:?}");
                    }
                    Fault::Refuse(number) => {
                        let error = done.expect_err(&what);
                        assert_eq!(error.raw_os_error(), Some(number), "{what}");
                        assert_eq!(error.kind(), errno::error(number).kind(), "{what}");
                    }
                    Fault::Short if is_met => assert_eq!(done.unwrap(), whole / 2, "{what}"),
                    _ => assert_eq!(done.unwrap(), whole, "{what}"),
                }
                assert!(is_met || fault == Fault::Short, "{what}: not met");
                let dir = tempfile::tempdir().unwrap();
                let again = run(driver, dir.path());
                assert_eq!(again.expect(&what), whole, "{what}, then without");
            }
        }
        drain(driver);
        turn_now(driver);
        assert_eq!(descriptors(), before, "descriptors were left open");
    });
}

#[test]
fn each_operation_meets_each_fault() {
    child::run("faults::each_operation_meets_each_fault_in_a_child", &[]);
}

/// How many descriptors this process has.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

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

/// A refusal of the multishot accept is told once, if it is one that can be told; no connection is lost.
#[test]
fn streams_of_connections_survive_each_fault() {
    on_tampered(|driver, plan| {
        let refusals = REFUSALS.map(Fault::Refuse);
        for fault in refusals.into_iter().chain([Fault::Once, Fault::Late(4)]) {
            let (listener, address) = listener(driver);
            let accepts = Accepts::new();
            plan.add(Opcode::ACCEPT, fault);
            let mut clients = Vec::new();
            let mut errors = Vec::new();
            for _ in 0..5 {
                clients.push(TcpStream::connect(address).unwrap());
                loop {
                    match drive(driver, poll_fn(|cx| accepts.poll_next(cx, &listener))) {
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
                Fault::Refuse(number) => vec![Some(number)],
                Fault::Short => unreachable!("not one of them"),
            };
            assert_eq!(errors, told, "{fault:?}");
            drop(accepts);
            drain(driver);
        }
    });
}

/// The same for received bytes: none is lost, none comes twice, and the buffers all come home.
#[test]
fn streams_of_bytes_survive_each_fault() {
    on_tampered(|driver, plan| {
        let refusals = REFUSALS.map(Fault::Refuse);
        for fault in refusals.into_iter().chain([Fault::Once, Fault::Late(4)]) {
            let (mine, mut peer) = tcp_pair(driver);
            let leases = Leases::new();
            plan.add(Opcode::RECV, fault);
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
                Fault::Refuse(number) => vec![Some(number)],
                _ => vec![],
            };
            assert_eq!(errors, told, "{fault:?}");
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

/// A ring that cannot have buffers serves leases from the pool, and says why it registers none.
#[test]
fn refused_registrations_are_told_or_made_up_for() {
    on_tampered(|driver, plan| {
        plan.refuse_registrations(Some(ENOMEM));
        let pool = BufferPool::new(1, 16);
        let refused = FixedPool::register(driver.handle(), &pool).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(ENOMEM));
        assert_eq!(Arc::new(pool).in_use(), 0);
        let (mine, mut peer) = tcp_pair(driver);
        let leases = Leases::new();
        peer.write_all(CONTENT).unwrap();
        let view = drive(driver, poll_fn(|cx| leases.poll_next(cx, &mine))).unwrap();
        assert_eq!(&view[..], CONTENT);
        plan.refuse_registrations(None);
    });
}

#[test]
#[should_panic(expected = "bound by another one")]
fn a_ring_that_cannot_be_enabled_says_so() {
    if !ring_allowed() {
        panic!("no rings here, so as if bound by another one");
    }
    let plan = Plan::none();
    plan.refuse_enabling(Some(libc::EEXIST));
    let mut driver = Driver::new(tampered(&plan, RingUse::SingleThread)).unwrap();
    driver.bind();
}

#[test]
#[ignore = "takes the process's descriptors away: run in a child by `a_setup_that_fails_half_way_leaves_nothing_behind`"]
fn a_setup_that_fails_half_way_in_a_child() {
    // What is made once a process is there before.
    for config in crate::support::configs() {
        drop(Driver::new(config).unwrap());
    }
    let limit = |soft: usize| {
        let limit = libc::rlimit {
            rlim_cur: soft as libc::rlim_t,
            rlim_max: 4096,
        };
        // SAFETY: the limit is read during the call.
        let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
    };
    // The limit is on numbers: those below the first that is to be refused are all taken.
    let numbers = std::fs::read_dir("/proc/self/fd").unwrap();
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<usize>().ok();
    let highest = numbers.flatten().filter_map(number).max().unwrap();
    let fillers: Vec<File> = std::iter::repeat_with(|| File::open("/dev/null").unwrap())
        .take_while(|file| (std::os::fd::AsRawFd::as_raw_fd(file) as usize) < highest)
        .collect();
    let before = descriptors();
    let used = highest;
    for config in crate::support::configs() {
        let mut failures = 0;
        for room in 0.. {
            limit(used + room);
            let made = Driver::new(config.clone());
            limit(4096);
            match made {
                Err(error) => {
                    failures += 1;
                    assert!(room < 12, "never enough");
                    let number = error.raw_os_error().unwrap_or(EMFILE);
                    assert_eq!(number, EMFILE, "{error}");
                    assert_eq!(descriptors(), before, "left behind with room for {room}");
                }
                Ok(driver) => {
                    drop(driver);
                    break;
                }
            }
        }
        assert!(failures > 1, "each step was to fail: {failures}");
        assert_eq!(descriptors(), before);
    }
    drop(fillers);
}

#[test]
fn a_setup_that_fails_half_way_leaves_nothing_behind() {
    child::run("faults::a_setup_that_fails_half_way_in_a_child", &[]);
}

/// Calls that are interrupted, that the kernel takes nothing of, or part of, and a queue that is full again and again.
#[test]
fn entering_survives_each_fault() {
    for seed in 0..20 {
        if !ring_allowed() {
            return;
        }
        for ring in [RingUse::Shared, RingUse::SingleThread] {
            let plan = Plan::random(seed, 300).refusing(&[EINTR, ECANCELED]);
            let config = Config {
                sq_entries: 16,
                cq_entries: 16,
                ..tampered(&plan, ring)
            };
            let mut driver = Driver::new(config).unwrap();
            driver.bind();
            let dir = tempfile::tempdir().unwrap();
            let target = file(dir.path(), CONTENT);
            let (counter, waker) = Counter::new();
            let mut ops: Vec<_> = (0..200)
                .map(|n| {
                    let op = read_at(driver.handle(), target.clone(), vec![0; 4], Some(n % 12));
                    Some(Box::pin(op))
                })
                .collect();
            let mut polled_at = usize::MAX;
            let mut left = ops.len();
            turn_until(&mut driver, || {
                if polled_at != counter.count() {
                    polled_at = counter.count();
                    for (n, slot) in ops.iter_mut().enumerate() {
                        let Some(op) = slot else { continue };
                        let mut cx = Context::from_waker(&waker);
                        if let Poll::Ready((read, buffer)) = op.as_mut().poll(&mut cx) {
                            let (read, at) = (read.unwrap(), n % 12);
                            assert!(read == 4 || read == 2, "seed {seed}: {read}");
                            assert_eq!(buffer[..read], CONTENT[at..at + read], "seed {seed}");
                            *slot = None;
                            left -= 1;
                        }
                    }
                }
                left == 0
            });
            assert!(plan.injected_count() > 10, "seed {seed}");
            let _unused = register(&driver, File::open("/dev/null").unwrap());
        }
    }
}
