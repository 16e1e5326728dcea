//! What the machine says, as plain data: the judge's tests bring facts of their own.

use blitz_sys::completion::{self, Opcode};
use blitz_sys::cpu::{self, Quota};
use blitz_sys::limit::{self, Limit};
use blitz_sys::machine::{self, ClockFacts, Kernel, Seccomp};

/// One of the ring's three calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// The error by which it is refused.
    pub(crate) refused: Option<Refused>,
}

/// An error of the system: its number and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: i32,
    pub(crate) says: String,
}

impl Refused {
    fn new(error: &std::io::Error) -> Self {
        Self {
            code: error.raw_os_error().unwrap_or(0),
            says: error.to_string(),
        }
    }
}

/// What came of trying a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// It works; these are the operations that the kernel knows.
    Works {
        operations: Vec<&'static str>,
        unnamed: usize,
    },
    /// It does not: what was being done, and what the kernel said.
    Fails { step: String, error: Refused },
    /// A filter kills whoever tries.
    Kills,
}

/// Everything that was asked.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) kernel: Option<Kernel>,
    pub(crate) seccomp: Option<Seccomp>,
    pub(crate) filters: Option<u32>,
    pub(crate) may_lock_memory: Option<bool>,
    /// `kernel.io_uring_disabled`.
    pub(crate) rings_disabled: Option<u8>,
    pub(crate) calls: Vec<Call>,
    pub(crate) trial: Trial,
    pub(crate) locked_memory: Option<Limit>,
    pub(crate) open_files: Option<Limit>,
    /// Processors of the machine that are switched on.
    pub(crate) online: Option<usize>,
    /// Processors that this process may run on.
    pub(crate) allowed: Option<usize>,
    pub(crate) quota: Option<Quota>,
    pub(crate) clock: ClockFacts,
    /// Why the readiness interface cannot be used.
    pub(crate) readiness: Result<(), String>,
    pub(crate) driver_variable: Option<String>,
    pub(crate) workers_variable: Option<String>,
}

impl Facts {
    /// Asks the machine.
    pub(crate) fn collect() -> Self {
        let sandbox = machine::sandbox().unwrap_or_default();
        let kills = sandbox.seccomp == Some(Seccomp::Filter) && trial_is_killed();
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            kernel: machine::kernel().ok(),
            seccomp: sandbox.seccomp,
            filters: sandbox.filters,
            may_lock_memory: sandbox.may_lock_memory,
            rings_disabled: machine::rings_disabled(),
            calls: if kills { Vec::new() } else { calls() },
            trial: if kills { Trial::Kills } else { trial() },
            locked_memory: limit::locked_memory().ok(),
            open_files: limit::open_files().ok(),
            online: cpu::online(),
            allowed: cpu::affinity().ok().map(|cpus| cpus.len()),
            quota: cpu::quota(),
            clock: machine::clock(),
            readiness: blitz_sys::readiness::Selector::new(16, 16)
                .map(drop)
                .map_err(|error| error.to_string()),
            driver_variable: variable("BLITZ_IO_DRIVER"),
            workers_variable: variable("BLITZ_IO_WORKER_THREADS"),
        }
    }
}

fn calls() -> Vec<Call> {
    let calls = machine::ring_calls().into_iter();
    calls
        .map(|call| Call {
            name: call.name,
            refused: call.refused.as_ref().map(Refused::new),
        })
        .collect()
}

fn trial() -> Trial {
    match completion::probe() {
        Ok(features) => {
            let known = (0..128).filter(|code| features.has_opcode(*code));
            let names: Vec<&str> = known.map(|code| Opcode(code).name()).collect();
            let unnamed = names.iter().filter(|name| **name == "?").count();
            Trial::Works {
                operations: names.into_iter().filter(|name| *name != "?").collect(),
                unnamed,
            }
        }
        Err(refusal) => Trial::Fails {
            step: refusal.step.clone(),
            error: Refused::new(&refusal.error),
        },
    }
}

/// Lets a child make the calls, and sees whether a signal ended it.
#[cfg(unix)]
fn trial_is_killed() -> bool {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};
    let Ok(own) = std::env::current_exe() else {
        return false;
    };
    let status = Command::new(own)
        .arg(super::TRIAL_COMMAND)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.signal().is_some())
}

#[cfg(not(unix))]
fn trial_is_killed() -> bool {
    false
}
