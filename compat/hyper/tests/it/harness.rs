//! Runs a test on every back end and flavour; `BLITZ_IO_DRIVER` narrows the back ends to one.

use std::time::Duration;

use blitz_io::runtime::{Backend, Builder};

/// How long anything may take that should take no time.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

fn backends() -> Vec<Backend> {
    if let Some(backend) = Backend::from_env().expect("BLITZ_IO_DRIVER names a back end") {
        return vec![backend];
    }
    let ring = Builder::new_current_thread()
        .driver_backend(Backend::IoUring)
        .build();
    match ring {
        Ok(_) => vec![Backend::IoUring, Backend::Epoll],
        Err(error) => {
            eprintln!("io_uring is not tested: {error}");
            vec![Backend::Epoll]
        }
    }
}

/// Calls `test` in a runtime of each kind, and gives it no longer than [`GUARD`].
pub(crate) fn on_every<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for backend in backends() {
        let builders = [
            Builder::new_current_thread(),
            Builder::new_multi_thread(),
            Builder::new_thread_per_core(),
        ];
        for mut builder in builders {
            builder.worker_threads(2).driver_backend(backend);
            let runtime = builder.build().expect("a runtime");
            let done = runtime.block_on(async { blitz_io::time::timeout(GUARD, test()).await });
            assert!(done.is_ok(), "{backend}, {builder:?}: it hangs");
        }
    }
}
