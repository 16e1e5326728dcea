//! A driver that cannot be made, or cannot enter its ring.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Write as _};
use std::task::{Context, Poll};

use blitz_driver::completion::{BufferPool, FixedPool, Leases, read_at};
use blitz_driver::{Config, Driver, RingUse};
use blitz_sys::completion::faults::Plan;
use blitz_sys::errno::{ECANCELED, EINTR, EMFILE, ENOMEM};

use super::{CONTENT, descriptors, file, on_tampered, tampered};
use crate::child;
use crate::completion_support::drive;
use crate::support::{Counter, ring_allowed, tcp_pair, turn_until};

/// A ring that cannot have buffers serves leases from the pool, and says why it registers none.
#[test]
fn refused_registrations_are_told_or_made_up_for() {
    on_tampered(|driver, plan| {
        plan.refuse_registrations(Some(ENOMEM));
        let pool = BufferPool::new(1, 16);
        let refused = FixedPool::register(driver.handle(), &pool).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(ENOMEM));
        assert_eq!(pool.in_use(), 0);
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
        // With poll(2) one descriptor is all that a driver needs: how many steps fail depends on the back end.
        assert!(
            failures > 0,
            "with no descriptor left it was made all the same"
        );
        assert_eq!(descriptors(), before);
    }
    drop(fillers);
}

#[test]
fn a_setup_that_fails_half_way_leaves_nothing_behind() {
    child::run("faults::setup::a_setup_that_fails_half_way_in_a_child", &[]);
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
        }
    }
}
