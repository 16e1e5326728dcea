//! Each operation on each back end: by the ring, or called on the spot.

use std::ffi::CString;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use blitz_driver::completion::{
    BufferPool, FixedPool, Links, allocate, close, connect, make_dir, open, poll, read_at,
    read_fixed, receive, receive_owned, rename, send_owned, send_zc_owned, send_zc_vectored_owned,
    shut_down, splice, stat, sync, truncate, unlink, write_at, write_fixed,
};
use blitz_driver::{Config, Driver, RingUse};
use blitz_sys::file::open_flags::{O_CREAT, O_RDONLY, O_RDWR};

use crate::completion_support::{drain, drive, listener, poll_once, run};
use crate::support::{on_each, on_ring, tcp_pair};

fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).unwrap()
}

fn scratch(driver: &mut Driver, dir: &Path, name: &str) -> Arc<OwnedFd> {
    let op = open(driver.handle(), c(&dir.join(name)), O_CREAT | O_RDWR, 0o644);
    Arc::new(run(driver, op).unwrap().into())
}

#[test]
fn files_are_made_written_read_and_removed() {
    on_each(|driver| {
        let dir = tempfile::tempdir().unwrap();
        let handle = driver.handle().clone();
        let made = dir.path().join("made");
        run(driver, make_dir(&handle, c(&made), 0o755)).unwrap();
        let again = run(driver, make_dir(&handle, c(&made), 0o755)).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);

        let file = scratch(driver, &made, "a");
        let (written, buffer) = run(
            driver,
            write_at(&handle, file.clone(), b"0123456789".to_vec(), Some(0)),
        );
        assert_eq!((written.unwrap(), buffer.len()), (10, 10));
        run(driver, sync(&handle, file.clone(), true)).unwrap();
        run(driver, sync(&handle, file.clone(), false)).unwrap();
        let (read, buffer) = run(
            driver,
            read_at(&handle, file.clone(), Vec::with_capacity(4), Some(3)),
        );
        assert_eq!((read.unwrap(), &buffer[..]), (4, &b"3456"[..]));
        let (read, buffer) = run(
            driver,
            read_at(&handle, file.clone(), Vec::with_capacity(16), Some(8)),
        );
        assert_eq!(
            (read.unwrap(), &buffer[..]),
            (2, &b"89"[..]),
            "a short read at the end"
        );
        let (read, _) = run(
            driver,
            read_at(&handle, file.clone(), Vec::with_capacity(16), Some(10)),
        );
        assert_eq!(read.unwrap(), 0, "nothing behind the end");
        run(driver, truncate(&handle, file.clone(), 4)).unwrap();
        run(driver, allocate(&handle, file.clone(), 0, 0, 64)).unwrap();
        let (at_position, buffer) = run(
            driver,
            read_at(&handle, file.clone(), Vec::with_capacity(2), None),
        );
        assert_eq!((at_position.unwrap(), &buffer[..]), (2, &b"01"[..]));

        run(
            driver,
            rename(&handle, c(&made.join("a")), c(&made.join("b")), 0),
        )
        .unwrap();
        let facts = run(driver, stat(&handle, c(&made.join("b")), false)).unwrap();
        assert_eq!((facts.size(), facts.is_file()), (64, true));
        let missing = run(driver, open(&handle, c(&made.join("a")), O_RDONLY, 0)).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        run(driver, unlink(&handle, c(&made.join("b")), false)).unwrap();
        run(driver, unlink(&handle, c(&made), true)).unwrap();
        run(driver, close(&handle, Arc::into_inner(file).unwrap())).unwrap();
    });
}

#[test]
fn a_full_disk_is_an_error_and_the_buffer_comes_back() {
    on_each(|driver| {
        let full = Arc::new(
            std::fs::File::options()
                .write(true)
                .open("/dev/full")
                .unwrap(),
        );
        let op = write_at(driver.handle(), full, b"x".to_vec(), None);
        let (written, buffer) = run(driver, op);
        assert_eq!(
            (written.unwrap_err().kind(), &buffer[..]),
            (ErrorKind::StorageFull, &b"x"[..])
        );
    });
}

#[test]
fn owned_bytes_go_there_and_back_on_sockets() {
    on_each(|driver| {
        let (mine, mut peer) = tcp_pair(driver);
        let (sent, buffer) = drive(driver, send_owned(&mine, b"ping".to_vec()));
        assert_eq!((sent.unwrap(), buffer.len()), (4, 4));
        let mut got = [0; 4];
        peer.read_exact(&mut got).unwrap();
        peer.write_all(b"pong!").unwrap();
        let (received, buffer) = drive(driver, receive_owned(&mine, Vec::with_capacity(16)));
        assert_eq!((received.unwrap(), &buffer[..]), (5, &b"pong!"[..]));

        let sender = std::thread::spawn(move || {
            peer.write_all(b"later").unwrap();
            peer
        });
        let (received, buffer) = drive(driver, receive_owned(&mine, Vec::with_capacity(16)));
        assert_eq!((received.unwrap(), &buffer[..]), (5, &b"later"[..]));
        drop(sender.join().unwrap());
        let (received, _) = drive(driver, receive_owned(&mine, Vec::with_capacity(16)));
        assert_eq!(received.unwrap(), 0, "the peer has ended");
    });
}

#[test]
fn large_sends_without_a_copy_arrive_whole_and_say_whether_they_were_copied() {
    on_each(|driver| {
        let (mine, mut peer) = tcp_pair(driver);
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            peer.read_to_end(&mut got).unwrap();
            got
        });
        let mut rest = (0..1 << 20).map(|n: u32| n as u8).collect::<Vec<u8>>();
        let expected = rest.clone();
        while !rest.is_empty() {
            let (sent, back) = drive(driver, send_zc_owned(&mine, rest));
            let sent = sent.unwrap();
            assert!(sent.len > 0);
            if !driver.handle().is_ring() {
                assert!(sent.is_copied);
            }
            rest = back;
            rest.drain(..sent.len);
        }
        drop(mine);
        crate::completion_support::drain(driver);
        assert!(reader.join().unwrap() == expected);
    });
}

#[test]
fn many_parts_are_sent_without_a_copy_in_order() {
    on_each(|driver| {
        let (mine, mut peer) = tcp_pair(driver);
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            peer.read_to_end(&mut got).unwrap();
            got
        });
        // Parts of every length, some empty; then few bytes, which are copied everywhere.
        let part = |n: usize| (0..n * 37 % 2_000).map(move |m| (n + m) as u8).collect();
        let mut rest: Vec<Vec<u8>> = (0..1_500).map(part).collect();
        rest.push(b"the end".to_vec());
        let expected = rest.concat();
        while !rest.is_empty() {
            let (sent, back) = drive(driver, send_zc_vectored_owned(&mine, rest));
            let mut sent = sent.unwrap();
            let left = back.iter().map(Vec::len).sum::<usize>();
            assert!(sent.len > 0 || left == 0);
            if !driver.handle().is_ring() || left < 16 * 1024 {
                assert!(sent.is_copied);
            }
            rest = back;
            while let Some(first) = rest.first_mut() {
                let taken = sent.len.min(first.len());
                first.drain(..taken);
                sent.len -= taken;
                if !first.is_empty() {
                    break;
                }
                rest.remove(0);
            }
        }
        drop(mine);
        crate::completion_support::drain(driver);
        assert!(reader.join().unwrap() == expected);
    });
}

#[test]
fn connects_polls_and_shuts_down_by_the_ring() {
    on_ring(Config::default(), |driver| {
        let (listener, address) = listener(driver);
        let handle = driver.handle().clone();
        let socket = blitz_sys::socket::stream(blitz_sys::socket::Domain::IPV4).unwrap();
        let socket = Arc::new(socket);
        drive(driver, connect(&handle, socket.clone(), address.into())).unwrap();
        let events = drive(
            driver,
            poll(&handle, listener.fd().clone(), libc::POLLIN as u32),
        )
        .unwrap();
        assert_eq!(events as i16 & libc::POLLIN, libc::POLLIN);
        let op = blitz_driver::completion::accept(&handle, listener.fd().clone());
        let accepted = Arc::new(drive(driver, op).unwrap());
        drive(driver, shut_down(&handle, socket, libc::SHUT_WR)).unwrap();
        let (received, _) = drive(
            driver,
            receive(&handle, accepted, Vec::with_capacity(8), true),
        );
        assert_eq!(received.unwrap(), 0);

        // Bound, so that no other test gets the port, and not listening.
        let taken = blitz_sys::socket::stream(blitz_sys::socket::Domain::IPV4).unwrap();
        let taken = blitz_sys::socket::SockRef::from(&taken);
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        taken.bind(&any.into()).unwrap();
        let nobody = taken.local_addr().unwrap().as_socket().unwrap();
        let socket = Arc::new(blitz_sys::socket::stream(blitz_sys::socket::Domain::IPV4).unwrap());
        let refused = drive(driver, connect(&handle, socket, nobody.into())).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_pipe_is_spliced_into_a_file() {
    on_each(|driver| {
        let dir = tempfile::tempdir().unwrap();
        let file = scratch(driver, dir.path(), "to");
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"through the kernel").unwrap();
        let op = splice(
            driver.handle(),
            (Arc::new(OwnedFd::from(reader)), None),
            (file, Some(0)),
            1 << 16,
        );
        assert_eq!(run(driver, op).unwrap(), 18);
        assert_eq!(
            std::fs::read(dir.path().join("to")).unwrap(),
            b"through the kernel"
        );
    });
}

#[test]
fn a_chain_runs_in_order_and_stops_at_the_first_failure() {
    on_ring(Config::default(), |driver| {
        let dir = tempfile::tempdir().unwrap();
        let handle = driver.handle().clone();
        let file = scratch(driver, dir.path(), "chained");
        let first = write_at(&handle, file.clone(), b"one".to_vec(), Some(0));
        let second = write_at(&handle, file.clone(), b"two".to_vec(), Some(1));
        let chain = first.link(second).link(sync(&handle, file.clone(), true));
        let (((a, _), (b, _)), c) = drive(driver, chain);
        assert_eq!((a.unwrap(), b.unwrap()), (3, 3));
        c.unwrap();
        assert_eq!(std::fs::read(dir.path().join("chained")).unwrap(), b"otwo");

        let closed = Arc::new(std::fs::File::open("/dev/null").unwrap());
        let fails = write_at(&handle, closed, b"x".to_vec(), None);
        let never = write_at(&handle, file.clone(), b"never".to_vec(), Some(0));
        let ((failed, _), (cancelled, back)) = drive(driver, fails.link(never));
        assert!(failed.is_err());
        assert_eq!(cancelled.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
        assert_eq!(back, b"never");
        assert_eq!(std::fs::read(dir.path().join("chained")).unwrap(), b"otwo");
    });
}

/// Each operation of a chain asks its own driver for its answer: with another's it took the answer of whoever has that
/// place there, and the kernel wrote on to memory that was free. And one that has begun would be queued twice.
#[test]
fn a_chain_is_of_one_driver_and_has_not_begun() {
    on_ring(Config::default(), |driver| {
        let dir = tempfile::tempdir().unwrap();
        let handle = driver.handle().clone();
        let file = scratch(driver, dir.path(), "chained");
        let other = blitz_driver::Driver::new(Config::default()).unwrap();
        let mut begun = sync(&handle, file.clone(), true);
        assert!(poll_once(std::pin::Pin::new(&mut begun)).is_pending());
        let fresh = || sync(&handle, file.clone(), true);
        let links = [
            catch_unwind(AssertUnwindSafe(|| {
                drop(fresh().link(sync(other.handle(), file.clone(), true)))
            })),
            catch_unwind(AssertUnwindSafe(|| drop(fresh().link(begun)))),
        ];
        for link in links {
            let panic = link.unwrap_err();
            let message = panic.downcast_ref::<&str>().copied().unwrap_or_default();
            assert!(
                message.contains("chain") || message.contains("linked"),
                "{message}"
            );
        }
        drain(driver);

        // As long as anyone likes.
        let chain = fresh()
            .link(fresh())
            .link(fresh())
            .link(fresh())
            .link(fresh())
            .link(fresh());
        let chain = chain
            .link(fresh())
            .link(fresh())
            .link(fresh())
            .link(fresh())
            .link(fresh());
        let chain = chain
            .link(fresh())
            .link(fresh())
            .link(fresh())
            .link(fresh())
            .link(fresh());
        let (_, last) = drive(driver, chain.link(fresh()));
        last.unwrap();
    });
}

#[test]
fn registered_buffers_are_set_up_used_and_torn_down() {
    for ring in [RingUse::Shared, RingUse::SingleThread] {
        on_ring(
            Config {
                ring,
                ..Config::default()
            },
            |driver| {
                let dir = tempfile::tempdir().unwrap();
                let handle = driver.handle().clone();
                let file = scratch(driver, dir.path(), "fixed");
                let pool = BufferPool::new(4, 4096);
                let fixed = FixedPool::register(&handle, &pool).unwrap();
                let twice = FixedPool::register(&handle, &pool).unwrap_err();
                assert_eq!(twice.kind(), ErrorKind::AlreadyExists);
                let mut lease = pool.try_lease().unwrap();
                lease.as_mut_slice().fill(7);
                let (read, lease) = drive(driver, read_fixed(&fixed, file.clone(), lease, 0));
                assert_eq!(read.unwrap(), 0);
                // A buffer of another pool is a plain one.
                let other = BufferPool::new(1, 8).try_lease().unwrap();
                let (written, _) = drive(driver, write_fixed(&fixed, file.clone(), other, 0));
                assert_eq!(written.unwrap(), 0);
                drop(lease);
                std::fs::write(dir.path().join("fixed"), [9; 5000]).unwrap();
                let (read, lease) = drive(
                    driver,
                    read_fixed(&fixed, file.clone(), pool.try_lease().unwrap(), 0),
                );
                assert_eq!(read.unwrap(), 4096);
                let (written, lease) =
                    drive(driver, write_fixed(&fixed, file.clone(), lease, 5000));
                assert_eq!(written.unwrap(), 4096);
                assert_eq!(
                    std::fs::metadata(dir.path().join("fixed")).unwrap().len(),
                    9096
                );
                assert!(lease.freeze(4096).iter().all(|byte| *byte == 9));
                drop(fixed);
                let again = FixedPool::register(&handle, &pool).unwrap();
                drop(again);
                assert_eq!(pool.in_use(), 0);
            },
        );
    }
}

#[test]
fn an_operation_may_be_submitted_from_any_thread() {
    on_each(|driver| {
        if !driver.handle().is_ring() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let file = scratch(driver, dir.path(), "far");
        let handle = driver.handle().clone();
        assert!(file.as_raw_fd() >= 0);
        let far = std::thread::spawn(move || {
            let mut op = write_at(&handle, file, b"from afar".to_vec(), Some(0));
            let begun = crate::completion_support::poll_once(std::pin::Pin::new(&mut op));
            assert!(begun.is_pending());
            op
        });
        let op = far.join().unwrap();
        let (written, _) = drive(driver, op);
        assert_eq!(written.unwrap(), 9);
    });
}
