//! Processes as the kernel sees them: what they have used, where they may run, what they may open.
//!
//! `bench/web` takes this file, and those of the load, by their path.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// What a process and the processes below it have used so far.
#[derive(Clone, Copy)]
pub struct Usage {
    pub cpu_us: f64,
    pub memory_kib: f64,
}

/// What it and the processes below it have used.
pub fn usage(process: u32) -> Usage {
    let mut sum = Usage {
        cpu_us: 0.0,
        memory_kib: 0.0,
    };
    for process in family(process) {
        // One that has ended meanwhile uses nothing.
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        sum.cpu_us += ticks(&stat) * 10_000.0;
        let memory =
            std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
        sum.memory_kib += pss(&memory);
    }
    sum
}

/// A process and its children; no server here has grandchildren.
fn family(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let children = std::fs::read_to_string(format!("/proc/{root}/task/{root}/children"));
    let children = children.unwrap_or_default();
    all.extend(
        children
            .split_whitespace()
            .filter_map(|id| id.parse::<u32>().ok()),
    );
    all
}

/// CPU time in hundredths of a second: fields 14 and 15, counted behind the name, which may have spaces.
fn ticks(stat: &str) -> f64 {
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    let fields = behind.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum()
}

/// Its share of memory that it may have in common with others.
fn pss(rollup: &str) -> f64 {
    let line = rollup.lines().find(|line| line.starts_with("Pss:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

/// Binds this thread, and what it starts later, to one processor.
pub fn pin(cpu: usize) {
    // SAFETY: an all-zero cpu_set_t is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `cpu` is far below the set's size.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the set lives through the call. A machine with one processor refuses, which is fine.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
}

/// Binds a process that is about to start, and all of its threads, to one processor.
pub fn pin_child(command: &mut Command, cpu: usize) {
    let bind = move || {
        pin(cpu);
        Ok(())
    };
    // SAFETY: nothing but one system call is made between fork and exec, and no memory is asked for.
    unsafe { command.pre_exec(bind) };
}

/// Lets this process have as many descriptors as it may.
pub fn raise_descriptor_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is ours to write.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    limit.rlim_max
}

/// An address for a server that is about to start.
pub fn free_addr() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}

/// Returns when the server `child` takes connections.
pub fn wait_until_it_listens(child: &mut Child, addr: SocketAddr) -> Result<(), String> {
    let begun = Instant::now();
    while TcpStream::connect(addr).is_err() {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("it ended with {status}"));
        }
        if begun.elapsed() > Duration::from_secs(20) {
            return Err("it does not listen".to_owned());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
