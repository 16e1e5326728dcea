//! What blitz-io does on this machine: the runtime that a program would get is built, and asked.

use std::time::Duration;

use blitz_io::runtime::{Backend, Builder, RingMetrics};

use super::facts::{Facts, Trial};

/// A runtime's drivers, or why there is no runtime.
pub(crate) type Outcome = Result<Drivers, String>;

/// What the drivers of one runtime are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drivers {
    pub(crate) workers: usize,
    /// Each back end in use, on how many workers, and why.
    pub(crate) backends: Vec<(Backend, usize, String)>,
    /// The smallest ring's entries, if there are rings.
    pub(crate) ring: Option<(u32, u32)>,
    /// Each feature of the first worker's ring, whether it is there, and what that means.
    pub(crate) features: Vec<(&'static str, bool, &'static str)>,
}

/// The runtimes with rings that travel between threads, and with rings that stay on theirs.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) multi_thread: Outcome,
    pub(crate) thread_per_core: Outcome,
}

impl Plan {
    pub(crate) fn make(facts: &Facts) -> Self {
        let forced = facts.driver_variable.as_deref() == Some("epoll");
        if facts.trial == Trial::Kills && !forced {
            let killed =
                || Err("the filter kills a program that tries to set up a ring".to_owned());
            return Self {
                multi_thread: killed(),
                thread_per_core: killed(),
            };
        }
        let multi_thread = drivers(Builder::new_multi_thread());
        // The kernel gives locked memory back some time after a ring is closed: the second runtime is not to suffer for the first.
        let mut thread_per_core = drivers(Builder::new_thread_per_core());
        for _ in 0..ATTEMPTS_MAX {
            if rings(&thread_per_core) >= rings(&multi_thread) {
                break;
            }
            std::thread::sleep(BETWEEN_ATTEMPTS);
            thread_per_core = drivers(Builder::new_thread_per_core());
        }
        Self {
            multi_thread,
            thread_per_core,
        }
    }
}

const ATTEMPTS_MAX: usize = 10;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(50);

/// On how many workers there is a ring, and how large the smallest is.
fn rings(outcome: &Outcome) -> (usize, Option<(u32, u32)>) {
    let Ok(drivers) = outcome else {
        return (0, None);
    };
    let on_ring = drivers
        .backends
        .iter()
        .filter(|(backend, ..)| *backend == Backend::IoUring);
    (on_ring.map(|(_, count, _)| count).sum(), drivers.ring)
}

fn drivers(mut builder: Builder) -> Outcome {
    let runtime = builder.enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let metrics = runtime.metrics();
    let workers = metrics.num_workers();
    let rings: Vec<RingMetrics> = (0..workers)
        .map(|worker| metrics.worker_ring_metrics(worker))
        .collect();
    let mut backends: Vec<(Backend, usize, String)> = Vec::new();
    for ring in &rings {
        let same = |known: &&mut (Backend, usize, String)| {
            known.0 == ring.backend && known.2 == ring.reason
        };
        match backends.iter_mut().find(same) {
            Some((_, count, _)) => *count += 1,
            None => backends.push((ring.backend, 1, ring.reason.clone())),
        }
    }
    let sizes = rings.iter().filter(|ring| ring.sq_entries > 0);
    let features = runtime.handle().capabilities().features().iter();
    Ok(Drivers {
        workers,
        backends,
        ring: sizes.map(|ring| (ring.sq_entries, ring.cq_entries)).min(),
        features: features
            .map(|feature| (feature.name, feature.present, feature.meaning))
            .collect(),
    })
}
