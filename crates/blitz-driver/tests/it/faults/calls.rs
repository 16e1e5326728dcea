//! The readiness path: each call against each fault, and all of them by chance. The plan stands before the calls of the whole
//! process, so these run in children.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::task::{Context, Poll};

use blitz_driver::{Direction, Driver, Registration};
use blitz_sys::errno::{self, EAGAIN, EINTR};
use blitz_sys::readiness::faults::{Call, Fault, Plan, possible};
use blitz_sys::socket::{self, Connect, Domain};

use super::descriptors;
use crate::child;
use crate::completion_support::listener;
use crate::support::{Counter, GUARD, configs, pair, register, tcp_pair, turn_now, turn_until};

/// Polls `io` in `direction` until it is ready, turning meanwhile.
#[track_caller]
fn drive<R>(
    driver: &mut Driver,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<R>>,
) -> io::Result<R> {
    let (counter, waker) = Counter::new();
    let mut done = None;
    let mut polled_at = usize::MAX;
    turn_until(driver, || {
        if polled_at != counter.count() {
            polled_at = counter.count();
            if let Poll::Ready(ready) = poll(&mut Context::from_waker(&waker)) {
                done = Some(ready);
            }
        }
        done.is_some()
    });
    done.expect("it was waited for")
}

fn receive(driver: &mut Driver, from: &Registration, buf: &mut [u8]) -> io::Result<usize> {
    let len = buf.len();
    drive(driver, |cx| {
        from.poll_transfer(cx, Direction::Read, len, || {
            socket::read(from.fd().as_fd(), buf)
        })
    })
}

fn send(driver: &mut Driver, to: &Registration, bytes: &[u8]) -> io::Result<usize> {
    drive(driver, |cx| {
        to.poll_transfer(cx, Direction::Write, bytes.len(), || {
            socket::send(to.fd().as_fd(), bytes)
        })
    })
}

fn accept(driver: &mut Driver, listener: &Registration) -> io::Result<()> {
    let accepted = drive(driver, |cx| {
        listener.poll_io(cx, Direction::Read, || {
            socket::accept(listener.fd().as_fd())
        })
    });
    accepted.map(drop)
}

fn connect(driver: &mut Driver, address: std::net::SocketAddr) -> io::Result<()> {
    let fd = socket::stream(Domain::IPV4)?;
    if socket::connect(fd.as_fd(), address)? == Connect::Pending {
        let connecting = register(driver, fd);
        drive(driver, |cx| {
            connecting.poll_io(cx, Direction::Write, || {
                match socket::take_error(connecting.fd().as_fd())? {
                    Some(error) => Err(error),
                    None => match socket::peer_addr(connecting.fd().as_fd()) {
                        Err(_) => Err(io::ErrorKind::WouldBlock.into()),
                        Ok(_) => Ok(()),
                    },
                }
            })
        })?;
    }
    Ok(())
}

/// Does `call` once, in a little world of its own, after `add` has said what it is to meet.
fn once(driver: &mut Driver, call: Call, add: &dyn Fn()) -> io::Result<()> {
    match call {
        Call::Wait => {
            let (mine, mut peer) = pair(driver);
            mine.arm().unwrap();
            turn_now(driver);
            peer.write_all(b"x").unwrap();
            add();
            let mut byte = [0; 2];
            assert_eq!(receive(driver, &mine, &mut byte).unwrap(), 1);
            Ok(())
        }
        Call::Watch => {
            let (mine, mut peer) = pair(driver);
            add();
            let armed = mine.arm();
            if armed.is_err() {
                mine.arm().expect("it was refused once");
            }
            peer.write_all(b"x").unwrap();
            assert_eq!(receive(driver, &mine, &mut [0; 2]).unwrap(), 1);
            armed
        }
        Call::Socket | Call::Connect => {
            let (_listener, address) = listener(driver);
            add();
            connect(driver, address)
        }
        Call::Accept => {
            let (listener, address) = listener(driver);
            listener.arm().unwrap();
            turn_now(driver);
            let mut client = TcpStream::connect(address).unwrap();
            add();
            let accepted = accept(driver, &listener);
            if accepted.is_err() {
                // The connection is still there, and no new event tells of it.
                accept(driver, &listener).expect("it was refused once");
            }
            client.set_read_timeout(Some(GUARD)).unwrap();
            assert_eq!(client.read(&mut [0]).unwrap(), 0, "accepted, and closed");
            accepted
        }
        Call::Receive => {
            let (mine, mut peer) = tcp_pair(driver);
            mine.arm().unwrap();
            turn_now(driver);
            peer.write_all(b"0123456789abcdef").unwrap();
            let mut got = Vec::new();
            add();
            while got.len() < 16 {
                let mut part = [0; 16];
                let len = receive(driver, &mine, &mut part)?;
                got.extend_from_slice(&part[..len]);
            }
            assert_eq!(got, b"0123456789abcdef");
            Ok(())
        }
        Call::Send => {
            let (mine, mut peer) = tcp_pair(driver);
            mine.arm().unwrap();
            turn_now(driver);
            add();
            let mut rest = &b"0123456789abcdef"[..];
            while !rest.is_empty() {
                let len = send(driver, &mine, rest)?;
                rest = &rest[len..];
            }
            let mut got = [0; 16];
            peer.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"0123456789abcdef");
            Ok(())
        }
    }
}

const CALLS: [Call; 7] = [
    Call::Wait,
    Call::Watch,
    Call::Socket,
    Call::Connect,
    Call::Accept,
    Call::Receive,
    Call::Send,
];

/// What the caller is told of, as it came; nothing else.
fn is_told(call: Call, number: i32) -> bool {
    match call {
        Call::Wait | Call::Receive | Call::Send => false,
        Call::Watch | Call::Socket => true,
        Call::Connect => number != EINTR,
        Call::Accept => ![EINTR, EAGAIN, libc::ECONNABORTED].contains(&number),
    }
}

#[test]
#[ignore = "puts faults before every call of its process: run in a child by `each_call_meets_each_fault`"]
fn each_call_meets_each_fault_in_a_child() {
    for config in configs() {
        let plan = Plan::none();
        let _in_use = plan.install();
        let mut driver = Driver::new(config.clone()).unwrap();
        driver.bind();
        let has_selector = !driver.handle().is_ring()
            || (config.ring == blitz_driver::RingUse::Shared && blitz_sys::readiness::EDGE);
        turn_now(&mut driver);
        let before = descriptors();
        for call in CALLS {
            for fault in possible(call) {
                let what = format!(
                    "{call:?} with {fault:?} on {:?} {:?}",
                    config.backend, config.ring
                );
                let needs_selector = matches!(call, Call::Wait | Call::Watch)
                    || matches!(fault, Fault::Short | Fault::Refuse(EAGAIN));
                if needs_selector && !has_selector {
                    continue;
                }
                let met = plan.injected_count();
                let done = once(&mut driver, call, &|| plan.add(call, *fault));
                assert_eq!(plan.injected_count(), met + 1, "{what}: not met");
                match fault {
                    Fault::Refuse(number) if is_told(call, *number) => {
                        let error = done.expect_err(&what);
                        assert_eq!(error.raw_os_error(), Some(*number), "{what}");
                        assert_eq!(error.kind(), errno::error(*number).kind(), "{what}");
                    }
                    _ => done.expect(&what),
                }
                once(&mut driver, call, &|| ()).expect(&what);
            }
        }
        turn_now(&mut driver);
        assert_eq!(descriptors(), before, "descriptors were left open");
    }
}

#[test]
fn each_call_meets_each_fault() {
    child::run("faults::calls::each_call_meets_each_fault_in_a_child", &[]);
}

/// A connection through which `to` sends what `from` receives.
struct Stream {
    from: Registration,
    to: Registration,
    /// So many bytes were sent, and received.
    sent: usize,
    got: usize,
}

const BYTES: usize = 100_000;

fn byte(who: usize, at: usize) -> u8 {
    (at.wrapping_mul(2_654_435_761) >> 13) as u8 ^ who as u8
}

impl Stream {
    /// Sends and receives until both would block; true once everything is through.
    fn go_on(&mut self, who: usize, cx: &mut Context<'_>) -> bool {
        while self.sent < BYTES {
            let end = BYTES.min(self.sent + 1 + (self.sent * 7 + who) % 3000);
            let part: Vec<u8> = (self.sent..end).map(|at| byte(who, at)).collect();
            let to = &self.to;
            let sent = to.poll_transfer(cx, Direction::Write, part.len(), || {
                socket::send(to.fd().as_fd(), &part)
            });
            match sent {
                Poll::Ready(sent) => self.sent += sent.unwrap(),
                Poll::Pending => break,
            }
        }
        while self.got < BYTES {
            let mut part = [0; 1000];
            let from = &self.from;
            let got = from.poll_transfer(cx, Direction::Read, part.len(), || {
                socket::read(from.fd().as_fd(), &mut part)
            });
            let Poll::Ready(got) = got else { break };
            let got = got.unwrap();
            assert!(got > 0, "{who}: the end, at {}", self.got);
            for (n, is) in part[..got].iter().enumerate() {
                assert_eq!(*is, byte(who, self.got + n), "{who}: at {}", self.got + n);
            }
            self.got += got;
        }
        self.got == BYTES
    }
}

#[test]
#[ignore = "puts faults before every call of its process: run in a child by `by_chance_no_event_is_lost`"]
fn by_chance_in_a_child() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match (number("BLITZ_FAULT_SEED"), number("BLITZ_FAULT_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(10),
    };
    for seed in seeds {
        for config in configs() {
            eprintln!(
                "BLITZ_FAULT_SEED={seed} on {:?} {:?}",
                config.backend, config.ring
            );
            // What is told to a caller is the other test's.
            let plan = Plan::random(seed, 150).sparing(&[Call::Watch, Call::Socket, Call::Connect]);
            let _in_use = plan.install();
            let mut driver = Driver::new(config).unwrap();
            driver.bind();
            let mut streams: Vec<_> = (0..8)
                .map(|_| {
                    let (from, peer) = tcp_pair(&driver);
                    peer.set_nonblocking(true).unwrap();
                    let to = register(&driver, peer);
                    // Full sooner than it wants to be, so that senders wait.
                    let small = socket::SockRef::from(to.fd().as_ref());
                    small.set_send_buffer_size(4096).unwrap();
                    let (counter, waker) = Counter::new();
                    let (sent, got) = (0, 0);
                    (
                        Stream {
                            from,
                            to,
                            sent,
                            got,
                        },
                        counter,
                        waker,
                        usize::MAX,
                    )
                })
                .collect();
            turn_until(&mut driver, || {
                let mut all = true;
                for (who, (stream, counter, waker, polled_at)) in streams.iter_mut().enumerate() {
                    let is_through = stream.got == BYTES;
                    if !is_through && *polled_at != counter.count() {
                        *polled_at = counter.count();
                        all &= stream.go_on(who, &mut Context::from_waker(waker));
                    } else {
                        all &= is_through;
                    }
                }
                all
            });
            assert!(plan.injected_count() > 50, "{:?}", plan.injected());
            drop(streams);
            turn_now(&mut driver);
        }
    }
}

#[test]
fn by_chance_no_event_is_lost() {
    child::run("faults::calls::by_chance_in_a_child", &[]);
}

#[test]
fn without_a_plan_in_use_nothing_is_met() {
    let plan = Plan::random(1, 1000);
    let mut driver = Driver::new(configs().remove(0)).unwrap();
    driver.bind();
    for call in CALLS {
        once(&mut driver, call, &|| ()).unwrap();
    }
    assert_eq!(plan.injected_count(), 0);
    drop(Arc::new(plan));
}
