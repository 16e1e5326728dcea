//! Which back end is taken, and what is said when one is refused.

use blitz_driver::{Backend, Config, Driver, RingUse};

use crate::child;
use crate::support::*;

const fn op(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

/// From now on the kernel answers `errno` to every attempt of this thread to set up a ring.
fn forbid_rings(errno: i32) {
    install(&mut [
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        op(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            libc::SYS_io_uring_setup as u32,
            0,
            1,
        ),
        op(
            libc::BPF_RET | libc::BPF_K,
            0x0005_0000 | errno as u32,
            0,
            0,
        ),
        op(libc::BPF_RET | libc::BPF_K, 0x7fff_0000, 0, 0),
    ]);
}

/// From now on every wait of this thread in a ring that has a limit of its own ends with `errno`.
fn break_limited_waits(errno: i32) {
    let flags = 16 + 3 * 8;
    let ext_arg = 1 << 3;
    install(&mut [
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        op(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            libc::SYS_io_uring_enter as u32,
            0,
            3,
        ),
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, flags, 0, 0),
        op(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, ext_arg, 0, 1),
        op(
            libc::BPF_RET | libc::BPF_K,
            0x0005_0000 | errno as u32,
            0,
            0,
        ),
        op(libc::BPF_RET | libc::BPF_K, 0x7fff_0000, 0, 0),
    ]);
}

fn install(filter: &mut [libc::sock_filter]) {
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: no pointers.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(result, 0);
    // SAFETY: the program is read during the call.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, 2, &raw const program) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

fn works(driver: &mut Driver) {
    use std::io::Write;
    use std::task::Context;
    driver.bind();
    let (socket, mut peer) = pair(driver);
    let (counter, waker) = Counter::new();
    let polled = socket.poll_ready(
        &mut Context::from_waker(&waker),
        blitz_driver::Direction::Read,
    );
    assert!(polled.is_pending());
    peer.write_all(b"x").unwrap();
    turn_until(driver, || counter.count() == 1);
}

/// Whether `blitz-sys` has rings for this machine; where it has none, that is the reason whatever the kernel says.
const HAS_RINGS: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
const NO_RINGS: &str = "this platform has no completion ring";

fn falls_back(errno: i32, words: &str) {
    forbid_rings(errno);
    let (words, kind) = if HAS_RINGS {
        (words, std::io::Error::from_raw_os_error(errno).kind())
    } else {
        (NO_RINGS, std::io::ErrorKind::Unsupported)
    };
    let mut driver = Driver::new(Config::default()).unwrap();
    assert_eq!(driver.handle().backend(), Backend::Epoll);
    let capabilities = driver.handle().capabilities();
    assert!(capabilities.reason().contains(words), "{capabilities}");
    assert!(capabilities.features().is_empty());
    works(&mut driver);
    let forced = Config {
        backend: Some(Backend::IoUring),
        ..Config::default()
    };
    let error = Driver::new(forced).unwrap_err();
    assert_eq!(error.kind(), kind);
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn without_the_system_call_it_falls_back() {
    child::run("refusal::child_enosys", &[("BLITZ_IO_DRIVER", "")]);
}

#[test]
#[ignore = "forbids rings to its process by a seccomp filter: run in a child by `without_the_system_call_it_falls_back`"]
fn child_enosys() {
    falls_back(libc::ENOSYS, "this kernel has no io_uring");
}

#[test]
fn where_a_sandbox_forbids_it_it_falls_back() {
    child::run("refusal::child_eperm", &[("BLITZ_IO_DRIVER", "")]);
}

#[test]
#[ignore = "forbids rings to its process by a seccomp filter: run in a child by `where_a_sandbox_forbids_it_it_falls_back`"]
fn child_eperm() {
    falls_back(libc::EPERM, "seccomp profile or the sysctl");
}

#[test]
fn without_locked_memory_it_falls_back() {
    child::run("refusal::child_enomem", &[("BLITZ_IO_DRIVER", "")]);
}

/// Takes root's exemption away, and leaves `bytes` of memory to lock.
///
/// The kernel counts what all of a user's processes have locked, and what those that ended had until it is given back: so this
/// becomes a user whom no other process is.
fn limit_locked_memory(bytes: libc::rlim_t) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: the limit is read during the call.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
    assert_eq!(result, 0);
    // SAFETY: no pointers.
    if unsafe { libc::geteuid() } == 0 {
        let id = 10_000 + std::process::id() % 50_000;
        // SAFETY: no pointers.
        assert_eq!(unsafe { libc::setresgid(id, id, id) }, 0);
        // SAFETY: no pointers.
        assert_eq!(unsafe { libc::setresuid(id, id, id) }, 0);
    }
}

#[test]
#[ignore = "limits its process and leaves root: run in a child by `without_locked_memory_it_falls_back`"]
fn child_enomem() {
    limit_locked_memory(0);
    let mut driver = Driver::new(Config::default()).unwrap();
    // Kernels differ: some count rings against the limit, some do not.
    if driver.handle().backend() == Backend::Epoll {
        let reason = driver.handle().capabilities().reason();
        let words = if HAS_RINGS {
            "locked memory is too low"
        } else {
            NO_RINGS
        };
        assert!(reason.contains(words), "{reason}");
    }
    works(&mut driver);
}

#[test]
fn with_little_locked_memory_the_ring_is_smaller() {
    child::run("refusal::child_little_memory", &[("BLITZ_IO_DRIVER", "")]);
}

#[test]
#[ignore = "limits its process and leaves root: run in a child by `with_little_locked_memory_the_ring_is_smaller`"]
fn child_little_memory() {
    let allowed = ring_allowed();
    limit_locked_memory(64 << 10);
    let mut driver = Driver::new(Config {
        sq_entries: 4096,
        cq_entries: 32768,
        ..Config::default()
    })
    .unwrap();
    assert_eq!(driver.handle().backend() == Backend::IoUring, allowed);
    works(&mut driver);
}

#[test]
fn what_a_closed_ring_had_locked_is_waited_for() {
    child::run("refusal::child_ring_after_ring", &[("BLITZ_IO_DRIVER", "")]);
}

#[test]
#[ignore = "limits its process and leaves root: run in a child by `what_a_closed_ring_had_locked_is_waited_for`"]
fn child_ring_after_ring() {
    let allowed = ring_allowed();
    // Enough for one ring of this size, and not for two.
    limit_locked_memory(64 << 10);
    for round in 0..5 {
        let mut driver = Driver::new(Config {
            sq_entries: 256,
            cq_entries: 2048,
            ..Config::default()
        })
        .unwrap();
        let backend = driver.handle().backend();
        assert_eq!(backend == Backend::IoUring, allowed, "round {round}");
        works(&mut driver);
    }
}

#[test]
fn a_kernel_that_takes_nothing_now_is_asked_again() {
    child::run("refusal::child_ebusy", &[]);
    child::run("refusal::child_eagain", &[]);
}

fn asks_again(errno: i32) {
    use std::io::Write;
    use std::task::Context;
    // The one that waits in the ring for its sockets.
    let config = Config {
        ring: RingUse::SingleThread,
        ..Config::default()
    };
    on_ring(config, |driver| {
        break_limited_waits(errno);
        let (socket, mut peer) = pair(driver);
        let (counter, waker) = Counter::new();
        let mut cx = Context::from_waker(&waker);
        let direction = blitz_driver::Direction::Read;
        assert!(socket.poll_ready(&mut cx, direction).is_pending());
        peer.write_all(b"x").unwrap();
        // Neither a hang nor a panic, and what was to be submitted still is.
        turn_until(driver, || counter.count() == 1);
    });
}

#[test]
#[ignore = "breaks waits by a seccomp filter: run in a child by `a_kernel_that_takes_nothing_now_is_asked_again`"]
fn child_ebusy() {
    asks_again(libc::EBUSY);
}

#[test]
#[ignore = "breaks waits by a seccomp filter: run in a child by `a_kernel_that_takes_nothing_now_is_asked_again`"]
fn child_eagain() {
    asks_again(libc::EAGAIN);
}

#[test]
fn the_environment_decides_unless_the_builder_does() {
    child::run(
        "refusal::child_environment",
        &[("BLITZ_IO_DRIVER", "epoll")],
    );
}

#[test]
#[ignore = "reads an environment of its own: run in a child by `the_environment_decides_unless_the_builder_does`"]
fn child_environment() {
    let driver = Driver::new(Config::default()).unwrap();
    assert_eq!(driver.handle().backend(), Backend::Epoll);
    assert!(
        driver
            .handle()
            .capabilities()
            .reason()
            .contains("BLITZ_IO_DRIVER")
    );
    if ring_allowed() {
        let driver = Driver::new(Config {
            backend: Some(Backend::IoUring),
            ..Config::default()
        });
        assert_eq!(driver.unwrap().handle().backend(), Backend::IoUring);
    }
}

#[test]
fn a_wrong_word_in_the_environment_is_an_error() {
    child::run("refusal::child_wrong_word", &[("BLITZ_IO_DRIVER", "uring")]);
}

#[test]
#[ignore = "reads an environment of its own: run in a child by `a_wrong_word_in_the_environment_is_an_error`"]
fn child_wrong_word() {
    let error = Driver::new(Config::default()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(
        text.contains("\"uring\"") && text.contains("io_uring") && text.contains("epoll"),
        "{text}"
    );
}

#[test]
fn what_was_probed_is_told_in_words() {
    on_ring(Config::default(), |driver| {
        let capabilities = driver.handle().capabilities();
        assert_eq!(capabilities.backend(), Backend::IoUring);
        let text = capabilities.to_string();
        assert!(
            text.starts_with("back end io_uring: the builder asked for it"),
            "{text}"
        );
        for feature in capabilities.features() {
            assert!(text.contains(feature.name) && text.contains(feature.meaning));
        }
        assert!(
            capabilities.has("multishot poll"),
            "without it there is no ring"
        );
        // Each of these came with one version of the kernel, so that who has the later has the earlier.
        let by_age = ["multishot receive", "multishot accept", "provided buffers"];
        for pair in by_age.windows(2) {
            assert!(
                !capabilities.has(pair[0]) || capabilities.has(pair[1]),
                "{text}"
            );
        }
        if driver
            .handle()
            .supports(blitz_sys::completion::Opcode::SEND_ZC)
        {
            assert!(
                capabilities.has("multishot receive"),
                "6.0 brought both: {text}"
            );
        }
        // What was found by trying agrees with what the kernel says of itself.
        let features = driver.handle().features().unwrap();
        assert!(features.no_drop && features.ext_arg);
        if features.send_zc {
            assert!(
                driver
                    .handle()
                    .supports(blitz_sys::completion::Opcode::SEND_ZC)
            );
        }
    });
}
