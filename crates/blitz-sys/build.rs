//! Which kernel interfaces this target has: the one place that spells `target_os`.
//!
//! | cfg | what stands behind it |
//! |---|---|
//! | `uring` | `completion/uring.rs`: io_uring. Not on Android and not on 32-bit kernels, where it is forbidden or broken |
//! | `epoll` | `readiness/` may use a timerfd for exact waits |
//! | `eventfd` | `wakeup/eventfd.rs` |
//! | `linux` | what `cpu/`, `file/` and `socket/` find on Linux alone: affinity, control groups, sendfile, splice |
//! | `android` | of these, what std has under another path there |
//! | `gnu` | the C library is glibc, whose calls with offsets of 64 bits have names of their own |
//! | `accept4` | a socket is made, and a connection accepted, non-blocking in one call |
//! | `nosignal` | `send` takes MSG_NOSIGNAL |
//! | `tsc` | `cpu/ticks/`: the processor's counter is one that programs may read, and the kernel says whether it can be trusted |
//! | `stacks` | `stack/` can ask a thread for its stack: Linux, on the machines whose registers it knows |

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in [
        "uring", "epoll", "eventfd", "linux", "android", "gnu", "accept4", "nosignal", "stacks",
        "tsc",
    ] {
        println!("cargo::rustc-check-cfg=cfg({name})");
    }
    let var = |name: &str| std::env::var(name).unwrap_or_default();
    let (os, arch) = (var("CARGO_CFG_TARGET_OS"), var("CARGO_CFG_TARGET_ARCH"));
    let linux = os == "linux";
    let force_poll = std::env::var_os("CARGO_CFG_MIO_UNSUPPORTED_FORCE_POLL_POLL").is_some();
    if linux && ["x86_64", "aarch64", "riscv64", "loongarch64"].contains(&arch.as_str()) {
        println!("cargo::rustc-cfg=uring");
    }
    let is_64 = var("CARGO_CFG_TARGET_POINTER_WIDTH") == "64";
    let little = var("CARGO_CFG_TARGET_ENDIAN") == "little";
    if linux && is_64 && little && ["x86_64", "aarch64"].contains(&arch.as_str()) {
        println!("cargo::rustc-cfg=stacks");
    }
    if linux && arch == "x86_64" {
        println!("cargo::rustc-cfg=tsc");
    }
    if linux && !force_poll {
        println!("cargo::rustc-cfg=epoll");
    }
    if linux {
        println!("cargo::rustc-cfg=eventfd");
    }
    if linux || os == "android" {
        println!("cargo::rustc-cfg=linux");
    }
    if os == "android" {
        println!("cargo::rustc-cfg=android");
    }
    if linux && var("CARGO_CFG_TARGET_ENV") == "gnu" {
        println!("cargo::rustc-cfg=gnu");
    }
    let unix = std::env::var_os("CARGO_CFG_UNIX").is_some();
    if unix && !["macos", "ios", "tvos", "watchos", "visionos"].contains(&os.as_str()) {
        println!("cargo::rustc-cfg=accept4");
    }
    if [
        "linux",
        "android",
        "freebsd",
        "netbsd",
        "openbsd",
        "dragonfly",
    ]
    .contains(&os.as_str())
    {
        println!("cargo::rustc-cfg=nosignal");
    }
}
