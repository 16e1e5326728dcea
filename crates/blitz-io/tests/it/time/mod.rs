//! Time: real and paused, on every flavour and both back ends.

mod accuracy;
mod interval;
mod paused;
mod real;

use std::future::Future;
use std::io;
use std::time::Duration;

use blitz_io::runtime::{Backend, Builder, LocalOptions};

/// Nothing here takes this long unless it hangs.
const GUARD: Duration = Duration::from_secs(60);

/// A flavour by its name and the way to it.
type Flavor = (&'static str, fn() -> Builder);

const FLAVORS: [Flavor; 4] = [
    ("multi_thread", || with_workers(Builder::new_multi_thread())),
    ("current_thread", Builder::new_current_thread),
    ("thread_per_core", || {
        with_workers(Builder::new_thread_per_core())
    }),
    ("local", Builder::new_current_thread),
];

fn with_workers(mut builder: Builder) -> Builder {
    builder.worker_threads(2);
    builder
}

/// The back ends that this machine allows.
fn backends() -> Vec<Backend> {
    let ring = Builder::new_current_thread()
        .driver_backend(Backend::IoUring)
        .build();
    if ring.is_err() {
        eprintln!("no rings on this machine: epoll alone");
    }
    let ring = ring.is_ok().then_some(Backend::IoUring);
    ring.into_iter().chain([Backend::Epoll]).collect()
}

/// Runs `test` by `block_on` on every flavour and back end.
fn on_every<F: Future<Output = ()>>(paused: bool, test: impl Fn() -> F) {
    for backend in backends() {
        for (name, builder) in FLAVORS {
            eprintln!("on {name}, {backend}");
            run(
                name,
                builder()
                    .enable_all()
                    .driver_backend(backend)
                    .start_paused(paused),
                &test,
            )
            .expect("a runtime");
        }
    }
}

fn run<F: Future<Output = ()>>(
    name: &str,
    builder: &mut Builder,
    test: impl Fn() -> F,
) -> io::Result<()> {
    if name == "local" {
        builder
            .build_local(LocalOptions::default())?
            .block_on(test());
    } else {
        builder.build()?.block_on(test());
    }
    Ok(())
}

/// What a panic of `f` said.
fn panic_of(f: impl FnOnce()) -> String {
    let panic =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).expect_err("it should panic");
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => (*panic.downcast::<&str>().expect("a message")).to_owned(),
    }
}
