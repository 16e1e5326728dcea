//! Every target that `xtask cross` knows, and what each needs of the machine.

/// The runtime, from the ground up.
pub(crate) const RUNTIME: [&str; 7] = [
    "blitz-core",
    "blitz-sys",
    "blitz-driver",
    "blitz-exec",
    "blitz-io-traits",
    "blitz-sync",
    "blitz-io",
];

/// One target.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) triple: &'static str,
    pub(crate) does: Does,
    /// What a run of it shows.
    pub(crate) shows: &'static str,
}

/// What can be done for a target here.
#[derive(Debug)]
pub(crate) enum Does {
    /// Its tests run.
    Run(How),
    /// It is type-checked: there is nothing to link it with, or nothing to run it on.
    Check,
}

/// How tests are linked and run.
#[derive(Debug)]
pub(crate) struct How {
    /// Links for the target; its first word is asked for on the path.
    pub(crate) linker: &'static str,
    /// Starts a program; empty where the machine can.
    pub(crate) runner: &'static [&'static str],
    /// Debian's packages with the two.
    pub(crate) packages: &'static str,
    pub(crate) crates: &'static [&'static str],
    /// `(program, filter, reason)`: tests that cannot work there.
    pub(crate) without: &'static [(&'static str, &'static str, &'static str)],
}

/// The runtime, the protocols above it, and the command with its examples. TLS brings in C.
const ALL: &[&str] = &[
    "blitz-core",
    "blitz-sys",
    "blitz-driver",
    "blitz-exec",
    "blitz-io-traits",
    "blitz-sync",
    "blitz-io",
    "blitz-http-proto",
    "blitz-tls",
    "blitz-http",
    "blitz-cli",
];

/// All but the command: its tests start it, which the machine cannot.
const LIBRARIES: &[&str] = ALL.split_last().expect("the command").1;

/// Those of them that stand on no C.
const WITHOUT_C: &[&str] = ALL.split_at(RUNTIME.len() + 1).0;

/// What qemu's user mode cannot do.
const EMULATED: &[(&str, &str, &str)] = &[
    (
        "blitz-driver/it",
        "refusal::",
        "qemu's user mode takes no seccomp filter",
    ),
    (
        "blitz-io/it",
        "fs_mapped::an_operation_on_what_was_cut_off",
        "qemu's user mode says yes to every advice on memory, and loads no page",
    ),
    (
        "blitz-io/it",
        "net_udp::options_are_kept",
        "qemu's user mode knows no option for the interface of a group",
    ),
    ("blitz-io/it", "net_udp_groups::groups_of_v", "the same"),
    (
        "blitz-io/it",
        "process::statuses_and_outputs",
        "`vfork` is a `fork` there: that a program cannot be started is not told",
    ),
    (
        "blitz-io/it",
        "process::a_child_has_a_group",
        "the same: the child is not waited for until it has its group",
    ),
    (
        "blitz-io/it",
        "stuck::stacks::a_signal_that_the_program_handles",
        "real-time signals have other numbers there than for this machine's `kill`",
    ),
];

/// And where bytes have the other order: control messages are handed on as the guest has written them.
const OTHER_ORDER: [(&str, &str, &str); EMULATED.len() + 3] = {
    let swapped = "qemu's user mode does not turn the bytes of a mark or a segment's length beside a datagram";
    let mut all = [("blitz-io/it", "net_udp::marks_arrive", swapped); EMULATED.len() + 3];
    all[1].1 = "net_udp::long_sends_are_cut";
    all[2].1 = "net_udp::a_socket_of_both_families";
    let mut at = 0;
    while at < EMULATED.len() {
        all[3 + at] = EMULATED[at];
        at += 1;
    }
    all
};

pub(crate) const TARGETS: [Target; 8] = [
    Target {
        name: "aarch64",
        triple: "aarch64-unknown-linux-gnu",
        shows: "another instruction set; io_uring answers ENOSYS there, so epoll is chosen by itself",
        does: Does::Run(How {
            linker: "aarch64-linux-gnu-gcc",
            runner: &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
            packages: "gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user",
            crates: LIBRARIES,
            without: EMULATED,
        }),
    },
    Target {
        name: "i686",
        triple: "i686-unknown-linux-gnu",
        shows: "words of 32 bits; no ring there, which is broken on such kernels",
        does: Does::Run(How {
            linker: "i686-linux-gnu-gcc",
            runner: &[],
            packages: "gcc-i686-linux-gnu libc6-dev-i386-cross libc6-i386",
            crates: ALL,
            without: &[],
        }),
    },
    Target {
        name: "s390x",
        triple: "s390x-unknown-linux-gnu",
        shows: "bytes in the other order, in words and buffers",
        does: Does::Run(How {
            linker: "s390x-linux-gnu-gcc",
            runner: &["qemu-s390x", "-L", "/usr/s390x-linux-gnu"],
            packages: "gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user",
            crates: WITHOUT_C,
            without: &OTHER_ORDER,
        }),
    },
    Target {
        name: "musl",
        triple: "x86_64-unknown-linux-musl",
        shows: "another C library, linked statically; with the ring",
        does: Does::Run(How {
            linker: "musl-gcc",
            runner: &[],
            packages: "musl-tools libunwind-22-dev",
            crates: ALL,
            without: &[],
        }),
    },
    Target {
        name: "windows",
        triple: "x86_64-pc-windows-gnu",
        shows: "type check",
        does: Does::Check,
    },
    Target {
        name: "mac-x86_64",
        triple: "x86_64-apple-darwin",
        shows: "type check",
        does: Does::Check,
    },
    Target {
        name: "mac-aarch64",
        triple: "aarch64-apple-darwin",
        shows: "type check",
        does: Does::Check,
    },
    Target {
        name: "freebsd",
        triple: "x86_64-unknown-freebsd",
        shows: "type check",
        does: Does::Check,
    },
];
