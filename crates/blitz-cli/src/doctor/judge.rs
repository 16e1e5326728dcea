//! From facts to sentences: what is good, what is worth knowing, what is missing and what to do about it.

use blitz_io::runtime::Backend;
use blitz_sys::limit::Limit;
use blitz_sys::machine::Seccomp;

use super::facts::{Call, Facts, Refused, Trial};
use super::plan::{Outcome, Plan};

/// How a finding is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grade {
    /// As it should be.
    Good,
    /// Worth knowing; nothing has to be done.
    Note,
    /// Something is missing, and there is a remedy.
    Missing,
}

/// One sentence about the machine, or about what blitz-io does there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) about: &'static str,
    pub(crate) grade: Grade,
    pub(crate) says: String,
    pub(crate) remedy: Option<String>,
}

/// What a driver asks for when the program sets nothing: `Builder::ring_submission_entries` and `ring_completion_entries`.
const ASKED: (u32, u32) = (256, 4096);

/// Below this the memory that may be locked is noteworthy: two rings of the default size and their buffers' slots.
const LOCKED_BYTES_MIN: u64 = 256 << 10;

/// Fewer connections than this run out of descriptors sooner than of anything else.
const FILES_MIN: u64 = 10_000;

const EPERM: i32 = 1;
const ENOMEM: i32 = 12;
const EACCES: i32 = 13;
const ENOSYS: i32 = 38;

/// The list under construction.
struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, about: &'static str, says: impl Into<String>) {
        self.add(about, Grade::Good, says.into(), None);
    }

    fn note(&mut self, about: &'static str, says: impl Into<String>) {
        self.add(about, Grade::Note, says.into(), None);
    }

    fn missing(&mut self, about: &'static str, says: impl Into<String>, remedy: impl Into<String>) {
        self.add(about, Grade::Missing, says.into(), Some(remedy.into()));
    }

    fn add(&mut self, about: &'static str, grade: Grade, says: String, remedy: Option<String>) {
        self.0.push(Finding {
            about,
            grade,
            says,
            remedy,
        });
    }
}

/// All there is to say, the machine first and then what blitz-io does.
pub(crate) fn findings(facts: &Facts, plan: &Plan) -> Vec<Finding> {
    let mut list = Findings(Vec::new());
    kernel(facts, &mut list);
    ring(facts, &mut list);
    sandbox(facts, &mut list);
    switch(facts, &mut list);
    epoll(facts, &mut list);
    locked_memory(facts, &mut list);
    open_files(facts, &mut list);
    processors(facts, &mut list);
    clock(facts, &mut list);
    decision("multi_thread", &plan.multi_thread, facts, &mut list);
    decision("thread_per_core", &plan.thread_per_core, facts, &mut list);
    list.0
}

fn kernel(facts: &Facts, list: &mut Findings) {
    let Some(kernel) = &facts.kernel else {
        list.note("kernel", "The system does not say which kernel it runs.");
        return;
    };
    list.good(
        "kernel",
        format!(
            "{} {} on {}.",
            kernel.system, kernel.release, kernel.machine
        ),
    );
}

fn ring(facts: &Facts, list: &mut Findings) {
    match &facts.trial {
        Trial::Works { operations, unnamed } => list.good(
            "io_uring",
            format!(
                "A ring was set up and tried: the kernel knows {} operations.",
                operations.len() + unnamed
            ),
        ),
        Trial::Kills => list.missing(
            "io_uring",
            "A seccomp filter kills a process that calls io_uring.",
            format!(
                "Until then set BLITZ_IO_DRIVER=epoll for every program of blitz-io, or it is killed at its start. {}",
                pass_the_filter()
            ),
        ),
        Trial::Fails { step, error } => {
            let says = format!("There is no ring: {step} failed with \"{}\".", error.says);
            let (because, remedy) = why_no_ring(facts, error);
            list.missing("io_uring", format!("{says} {because}"), remedy);
        }
    }
}

/// Why a ring is refused, and what helps.
fn why_no_ring(facts: &Facts, error: &Refused) -> (String, String) {
    let filtered = facts.seccomp == Some(Seccomp::Filter);
    let refused: Vec<&Call> = facts
        .calls
        .iter()
        .filter(|call| call.refused.is_some())
        .collect();
    let by_switch = match facts.rings_disabled {
        Some(2) => Some("which forbids rings to everyone"),
        Some(1) => {
            Some("which leaves rings to the privileged and to the group of kernel.io_uring_group")
        }
        _ => None,
    };
    // The switch stands before io_uring_setup alone; a filter may stand before any of the three.
    if let Some(what) = by_switch
        && matches!(error.code, EPERM | EACCES)
        && refused.iter().all(|call| call.name == "io_uring_setup")
    {
        let value = facts.rings_disabled.unwrap_or_default();
        return (
            format!("The cause is the sysctl kernel.io_uring_disabled={value}, {what}."),
            "As root: `sysctl -w kernel.io_uring_disabled=0`, and a line in /etc/sysctl.d for the next start; or 1, with \
             kernel.io_uring_group set to a group of the program's."
                .to_owned(),
        );
    }
    match error.code {
        _ if filtered && !refused.is_empty() => {
            let names: Vec<&str> = refused.iter().map(|call| call.name).collect();
            (
                format!(
                    "The cause is the seccomp filter of this process, which does not let {} pass.",
                    all_of(&names)
                ),
                pass_the_filter(),
            )
        }
        ENOSYS => (
            "This kernel has no io_uring: it was built without it, is older than 5.1, or is a sandbox that plays a kernel."
                .to_owned(),
            "Run a Linux kernel of 5.13 or later, built with CONFIG_IO_URING.".to_owned(),
        ),
        EPERM | EACCES => (
            "Neither the sysctl nor a seccomp filter is the cause, so a security module is.".to_owned(),
            "Look into the audit log (`ausearch -m avc`, `dmesg`) for the rule that forbids io_uring, and allow it.".to_owned(),
        ),
        ENOMEM => (
            "The limit of locked memory is too low even for the smallest ring.".to_owned(),
            raise_locked_memory(),
        ),
        _ if facts.calls.is_empty() => (
            "On this platform blitz-io uses no ring.".to_owned(),
            "None is needed: the readiness interface serves.".to_owned(),
        ),
        _ => (
            "The kernel is too old for what the driver needs, or short of something.".to_owned(),
            "Run a Linux kernel of 5.13 or later.".to_owned(),
        ),
    }
}

fn pass_the_filter() -> String {
    "Let the filter pass io_uring_setup, io_uring_enter and io_uring_register. Docker and containerd forbid them by default: \
     copy their profile, add the three names, and start with `--security-opt seccomp=profile.json`; in Kubernetes set a \
     `seccompProfile` of type Localhost."
        .to_owned()
}

fn raise_locked_memory() -> String {
    "Raise it: `ulimit -l` in the shell, `LimitMEMLOCK=` in a systemd unit, `--ulimit memlock=-1` for Docker, memlock in \
     /etc/security/limits.conf; or give the program CAP_IPC_LOCK."
        .to_owned()
}

fn sandbox(facts: &Facts, list: &mut Findings) {
    let refused: Vec<&str> = facts
        .calls
        .iter()
        .filter(|call| call.refused.is_some())
        .map(|call| call.name)
        .collect();
    match facts.seccomp {
        Some(Seccomp::Off) => list.good(
            "seccomp",
            "No filter stands before this process's system calls.",
        ),
        Some(Seccomp::Filter) => {
            let filters = match facts.filters {
                Some(1) => "One seccomp filter stands".to_owned(),
                Some(count) => format!("{count} seccomp filters stand"),
                None => "A seccomp filter stands".to_owned(),
            };
            let verb = if facts.trial == Trial::Kills {
                "it kills who calls io_uring".to_owned()
            } else if refused.is_empty() {
                "the calls of io_uring pass".to_owned()
            } else {
                format!(
                    "{} {} refused",
                    all_of(&refused),
                    if refused.len() == 1 { "is" } else { "are" }
                )
            };
            list.note(
                "seccomp",
                format!("{filters} before this process's system calls: {verb}."),
            );
        }
        Some(Seccomp::Strict) => {
            list.note("seccomp", "The strict mode leaves hardly a system call.")
        }
        None => list.note(
            "seccomp",
            "The system does not say whether calls are filtered.",
        ),
    }
}

fn switch(facts: &Facts, list: &mut Findings) {
    match facts.rings_disabled {
        Some(0) => list.good("io_uring_disabled", "kernel.io_uring_disabled is 0: everyone may have rings."),
        Some(1) => list.note(
            "io_uring_disabled",
            "kernel.io_uring_disabled is 1: the privileged and the group of kernel.io_uring_group may have rings.",
        ),
        Some(value) => list.note(
            "io_uring_disabled",
            format!("kernel.io_uring_disabled is {value}: nobody may have rings."),
        ),
        None => {}
    }
}

fn epoll(facts: &Facts, list: &mut Findings) {
    match &facts.readiness {
        Ok(()) => list.good("epoll", "The readiness interface works: what io_uring does not serve, it does."),
        Err(error) => list.missing(
            "epoll",
            format!("The readiness interface cannot be used: {error}."),
            "Without it and without io_uring no runtime can be built. If the descriptors have run out, raise `ulimit -n`.",
        ),
    }
}

fn locked_memory(facts: &Facts, list: &mut Findings) {
    let about = "memlock";
    let Some(limit) = facts.locked_memory else {
        return;
    };
    let exempt = facts.may_lock_memory == Some(true);
    let says = match limit.soft {
        None => "Memory may be locked without a limit.".to_owned(),
        Some(bytes) if exempt => format!(
            "The limit of locked memory is {}, and does not bind this process (CAP_IPC_LOCK).",
            size(bytes)
        ),
        Some(bytes) => format!("The limit of locked memory is {}.", size(bytes)),
    };
    match limit.soft {
        Some(bytes) if bytes < LOCKED_BYTES_MIN && !exempt => list.missing(
            about,
            format!(
                "{says} Kernels before 5.12 count rings against it, and so do recent ones (6.18 was seen to): rings \
                 may come out smaller, or not at all."
            ),
            raise_locked_memory(),
        ),
        _ => list.good(about, says),
    }
}

fn open_files(facts: &Facts, list: &mut Findings) {
    let Some(limit) = facts.open_files else {
        return;
    };
    let about = "descriptors";
    let Limit { soft, hard } = limit;
    match (soft, hard) {
        (None, _) => list.good(about, "Descriptors may be opened without a limit."),
        (Some(soft), _) if soft >= FILES_MIN => list.good(
            about,
            format!("{soft} descriptors may be open at once; each connection takes one."),
        ),
        (Some(soft), hard) => {
            let more = hard.is_none_or(|hard| hard > soft);
            let raise = if more {
                format!(
                    "A server may raise it itself, up to {}: `ulimit -n` in the shell that starts it, or setrlimit(2).",
                    hard.map_or("no limit".to_owned(), |hard| hard.to_string())
                )
            } else {
                "The hard limit is no higher: `LimitNOFILE=` in a systemd unit, `--ulimit nofile=` for Docker, nofile in \
                 /etc/security/limits.conf."
                    .to_owned()
            };
            list.missing(
                about,
                format!(
                    "Only {soft} descriptors may be open at once, and each connection takes one."
                ),
                raise,
            );
        }
    }
}

fn processors(facts: &Facts, list: &mut Findings) {
    let about = "processors";
    let count = |count: usize| match count {
        1 => "one processor".to_owned(),
        count => format!("{count} processors"),
    };
    let online = facts
        .online
        .map_or("an unknown number of processors".to_owned(), count);
    let allowed = match facts.allowed {
        Some(allowed) if Some(allowed) != facts.online => {
            format!(", and this process may run on {allowed} of them")
        }
        _ => String::new(),
    };
    let says = format!("The machine has {online}{allowed}.");
    match &facts.quota {
        None => list.good(about, format!("{says} No control group limits their time.")),
        Some(quota) => {
            let version = quota.version;
            let says = format!(
                "{says} The control group {} (version {version}) allows the time of {} processors.",
                quota.group, quota.cpus
            );
            if quota.cpus < 1.0 {
                list.missing(
                    about,
                    format!("{says} Whatever runs is stopped for a part of each period, so every answer may be late by that."),
                    "Allow a whole processor at least.",
                );
            } else {
                list.good(about, says);
            }
        }
    }
}

fn clock(facts: &Facts, list: &mut Findings) {
    let about = "clock";
    let clock = &facts.clock;
    let Some(resolution) = clock.resolution_ns else {
        list.note(about, "The system does not say what measures time.");
        return;
    };
    let source = clock.source.as_deref().unwrap_or("unknown");
    let slack = clock.timer_slack_ns.map_or(String::new(), |ns| {
        format!(
            " The kernel may end a thread's wait {} later than asked (timer slack).",
            duration(ns)
        )
    });
    let says = format!(
        "The source of time is {source}, its step {}.{slack}",
        duration(resolution)
    );
    if matches!(source, "hpet" | "acpi_pm" | "jiffies" | "refined-jiffies") {
        list.missing(
            about,
            format!("{says} Reading it is a slow call into the kernel, and timers read it often."),
            "Where the processor's counter is reliable, boot with `clocksource=tsc`; ask the host's operator in a virtual machine.",
        );
    } else if resolution >= 1_000_000 {
        list.missing(
            about,
            format!("{says} Timers are no finer than that."),
            "Run a kernel with high-resolution timers (CONFIG_HIGH_RES_TIMERS, no `highres=off`).",
        );
    } else {
        list.good(about, says);
    }
}

/// What a runtime of the flavour gets.
fn decision(flavor: &'static str, outcome: &Outcome, facts: &Facts, list: &mut Findings) {
    let drivers = match outcome {
        Ok(drivers) => drivers,
        Err(error) => {
            list.missing(
                flavor,
                format!("No runtime can be built: {error}."),
                match &facts.driver_variable {
                    Some(value) => format!("The environment sets BLITZ_IO_DRIVER={value}: unset it, and blitz-io chooses."),
                    None => "See what is missing above.".to_owned(),
                },
            );
            return;
        }
    };
    let set = facts.workers_variable.is_some();
    let chosen = if set {
        " (BLITZ_IO_WORKER_THREADS)"
    } else {
        ""
    };
    let workers = match drivers.workers {
        1 => format!("One worker{chosen}"),
        count => format!("{count} workers{chosen}"),
    };
    for (backend, count, reason) in &drivers.backends {
        let who = if *count == drivers.workers {
            workers.clone()
        } else {
            format!("{count} of {workers}")
        };
        let says = format!("{who} on {backend}: {reason}.");
        match backend {
            Backend::IoUring => list.good(flavor, says),
            _ => list.note(flavor, says),
        }
    }
    if let Some((sq, cq)) = drivers.ring {
        let says = format!("Each ring has {sq} submission and {cq} completion entries");
        if (sq, cq) < ASKED {
            list.missing(
                flavor,
                format!(
                    "{says}, where {} and {} were asked for: memory was short.",
                    ASKED.0, ASKED.1
                ),
                raise_locked_memory(),
            );
        } else {
            list.good(flavor, format!("{says}."));
        }
    }
    let has = |wanted: &str| {
        drivers
            .features
            .iter()
            .any(|(name, present, _)| *name == wanted && *present)
    };
    // Of these two a ring has one.
    let instead = |name: &str| match name {
        "deferred completion" => has("cooperative completion"),
        "cooperative completion" => has("deferred completion"),
        _ => false,
    };
    let without: Vec<String> = drivers
        .features
        .iter()
        .filter(|(name, present, _)| !present && !instead(name))
        .map(|(name, _, meaning)| format!("{name} ({meaning})"))
        .collect();
    if !without.is_empty() {
        list.note(flavor, format!("Not used: {}.", without.join("; ")));
    }
}

/// `a`, `a and b`, `a, b and c`.
fn all_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        0x400..0x10_0000 => format!("{} KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

fn duration(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} µs", ns / 1_000),
        _ => format!("{} ms", ns / 1_000_000),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
