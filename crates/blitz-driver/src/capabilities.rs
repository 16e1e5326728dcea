//! Which back end runs, which features it has, and why not the others: in plain words.

use std::fmt;

use blitz_sys::completion::{Features, Opcode};

use crate::backend::Backend;

/// One feature of the kernel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Capability {
    /// Its short name.
    pub name: &'static str,
    /// Whether it is there.
    pub present: bool,
    /// What it is for, or what happens without it.
    pub meaning: &'static str,
}

/// What a driver found and chose.
///
/// Its [`Display`](fmt::Display) is a report of a few lines.
#[derive(Clone, Debug)]
pub struct Capabilities {
    backend: Backend,
    reason: String,
    features: Vec<Capability>,
}

impl Capabilities {
    pub(crate) fn new(backend: Backend, reason: String, features: Option<&Features>) -> Self {
        Self {
            backend,
            reason,
            features: features.map(list).unwrap_or_default(),
        }
    }

    /// The back end that runs.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Why this one: a sentence.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The features of the ring; empty on other back ends.
    pub fn features(&self) -> &[Capability] {
        &self.features
    }

    /// Whether the feature of this name is there.
    pub fn has(&self, name: &str) -> bool {
        self.features
            .iter()
            .any(|feature| feature.name == name && feature.present)
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "back end {}: {}", self.backend, self.reason)?;
        for Capability {
            name,
            present,
            meaning,
        } in &self.features
        {
            let mark = if *present { "yes" } else { "no " };
            write!(f, "\n  {mark} {name}: {meaning}")?;
        }
        Ok(())
    }
}

fn list(features: &Features) -> Vec<Capability> {
    let feature = |present, name, with, without| Capability {
        name,
        present,
        meaning: if present { with } else { without },
    };
    vec![
        feature(
            features.multishot_poll,
            "multishot poll",
            "a socket is armed once and reports each change",
            "not on this kernel",
        ),
        feature(
            features.multishot_accept,
            "multishot accept",
            "a listener hands out connections without a call for each",
            "streams of connections accept one at a time",
        ),
        feature(
            features.multishot_recv,
            "multishot receive",
            "leased receives are armed once a connection",
            "leased receives are armed one at a time",
        ),
        feature(
            features.buffer_ring,
            "provided buffers",
            "idle connections hold no buffer",
            "leases come from the pool",
        ),
        feature(
            features.poll_first,
            "poll first",
            "a receive on a socket that was found empty waits without another try",
            "a receive on a socket that was found empty tries it once more",
        ),
        feature(
            features.send_zc,
            "zero-copy send",
            "large sends leave the user's memory uncopied",
            "large sends are copied by the kernel",
        ),
        feature(
            features.defer_taskrun,
            "deferred completion",
            "completions run in the driver's wait alone",
            "not asked for, or not on this kernel",
        ),
        feature(
            features.coop_taskrun,
            "cooperative completion",
            "completions do not interrupt a running thread",
            "not asked for, or not on this kernel",
        ),
        feature(
            features.no_iowait,
            "no iowait",
            "an idle driver does not count as waiting for a disk",
            "an idle driver shows up as iowait in top and in pressure figures; it costs nothing",
        ),
        feature(
            features.cancel_any,
            "cancel all",
            "one entry cancels everything at shutdown",
            "each operation is cancelled by itself at shutdown",
        ),
        feature(
            features.has_opcode(Opcode::FUTEX_WAIT.0),
            "futex wait",
            "a ring for one thread can be woken by a word in memory, if that is asked for",
            "a ring for one thread is woken by a counter",
        ),
        feature(
            features.no_sqarray,
            "no index array",
            "submissions need no second look-up",
            "each submission is looked up twice",
        ),
    ]
}
