//! The crew of the bridge: a pool of rayon's, on threads that the runtime starts and counts.

use std::error::Error;
use std::io;

use blitz_exec::compute::{Crew, Job, Threads};
use rayon::{ThreadPool, ThreadPoolBuilder};

struct Pool(ThreadPool);

impl Crew for Pool {
    fn submit(&self, job: Job) {
        self.0.spawn(move || job.run());
    }
}

/// Starts the pool.
pub(crate) fn hire(threads: &Threads) -> io::Result<Box<dyn Crew>> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads.count())
        // A panic in a `rayon::spawn` of the user's: the hook has told of it, and nobody waits for the result. Without
        // this, rayon aborts the process.
        .panic_handler(drop)
        .spawn_handler(|thread| threads.start(thread.index(), move || thread.run()))
        .build()
        .map_err(|error| {
            let cause = error
                .source()
                .and_then(|source| source.downcast_ref::<io::Error>());
            io::Error::new(cause.map_or(io::ErrorKind::Other, io::Error::kind), error)
        })?;
    Ok(Box::new(Pool(pool)))
}
