//! Each operation against each fault.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use blitz_driver::Driver;
use blitz_driver::completion::{
    BufferPool, FixedPool, ToFill, ToWrite, accept, advise, allocate, close, connect, link,
    make_dir, open, poll, read_at, read_fixed, read_vectored_at, receive, rename, send, send_zc,
    send_zc_vectored, shut_down, splice, stat, symlink, sync, sync_range, truncate, unlink,
    write_at, write_fixed, write_vectored_at,
};
use blitz_sys::completion::Opcode;
use blitz_sys::completion::faults::Fault;
use blitz_sys::errno::{self, EINTR, is_undone};
use blitz_sys::file::{Advice, WriteBack};

use super::{CONTENT, REFUSALS, c_path, content, descriptors, file, on_tampered, received};
use crate::child;
use crate::completion_support::{drain, drive, is_closed_by_peer, is_open, listener};
use crate::support::{pair, tcp_pair, turn_now};

/// One operation in a little world of its own. It says how many bytes were moved, and has made sure of its effect, or, if it
/// failed, that there was none and that what it owned came back.
struct Case {
    opcode: Opcode,
    /// So many bytes when nothing is cut.
    whole: usize,
    run: fn(&mut Driver, &Path) -> io::Result<usize>,
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
        case(Opcode::READV, 16, |driver, dir| {
            let buffers = ToFill::new(vec![Vec::with_capacity(8), Vec::with_capacity(8)]);
            let op = read_vectored_at(driver.handle(), file(dir, CONTENT), buffers, 0);
            let (read, buffers) = drive(driver, op);
            assert_eq!(buffers.concat(), CONTENT[..*read.as_ref().unwrap_or(&0)]);
            assert_eq!(buffers.len(), 2);
            read
        }),
        case(Opcode::WRITEV, 16, |driver, dir| {
            let (front, back) = CONTENT.split_at(8);
            let buffers = ToWrite::new(vec![front.to_vec(), back.to_vec()]);
            let op = write_vectored_at(driver.handle(), file(dir, b""), buffers, 0);
            let (written, buffers) = drive(driver, op);
            assert_eq!(buffers.concat(), CONTENT);
            assert_eq!(content(dir), CONTENT[..*written.as_ref().unwrap_or(&0)]);
            written
        }),
        case(Opcode::FADVISE, 0, |driver, dir| {
            let file = file(dir, CONTENT);
            let op = advise(driver.handle(), file, 0, 8, Advice::WillNeed);
            drive(driver, op).map(|()| 0)
        }),
        case(Opcode::SYNC_FILE_RANGE, 0, |driver, dir| {
            let file = file(dir, CONTENT);
            let op = sync_range(driver.handle(), file, 0, 8, WriteBack::Whole);
            drive(driver, op).map(|()| 0)
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
        case(Opcode::LINKAT, 0, |driver, dir| {
            drop(file(dir, CONTENT));
            let (original, new) = (dir.join("file"), dir.join("linked"));
            let op = link(driver.handle(), c_path(&original), c_path(&new));
            let done = drive(driver, op);
            assert_eq!(std::fs::read(&new).is_ok(), done.is_ok());
            done.map(|()| 0)
        }),
        case(Opcode::SYMLINKAT, 0, |driver, dir| {
            let (target, new) = (dir.join("nowhere"), dir.join("symlink"));
            let done = drive(
                driver,
                symlink(driver.handle(), c_path(&target), c_path(&new)),
            );
            assert_eq!(
                std::fs::read_link(&new).ok(),
                done.is_ok().then_some(target)
            );
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
                if !driver.handle().supports(opcode) {
                    // Truncation, before Linux 6.9.
                    continue;
                }
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
    child::run(
        "faults::table::each_operation_meets_each_fault_in_a_child",
        &[],
    );
}
