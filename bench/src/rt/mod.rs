//! The runtimes, each behind the same few names: `run spawn detach yield_now sleep timeout`.
//!
//! Each uses what its own users would: its own yield where it has one, its own timer. Where a runtime has no yield, the
//! neutral one of this module stands in.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Pending once, having woken itself.
pub struct Yield(bool);

/// A yield for runtimes that have none of their own.
pub fn neutral_yield() -> Yield {
    Yield(false)
}

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A runtime with tokio's API: tokio itself, and ours. One source, so that the two differ in nothing else.
macro_rules! tokio_shaped {
    ($module:ident, $root:ident, $spawn:path, |$workers:ident| $builder:expr) => {
        #[allow(unused_imports)] // each flavour serves only some rows
        pub mod $module {
            use std::time::Duration;
            pub use $root as root;
            pub use $root::io::{AsyncReadExt, AsyncWriteExt};
            pub use $root::net::TcpListener;
            pub use $root::task::yield_now;
            pub use $root::time::{sleep, timeout};
            pub use $spawn as spawn;

            pub fn detach(future: impl Future<Output = ()> + Send + 'static) {
                drop(spawn(future));
            }

            /// Runs `future` as a task on a runtime with `workers` worker threads.
            pub fn run_on<T: Send + 'static>(
                workers: usize,
                future: impl Future<Output = T> + Send + 'static,
            ) -> T {
                let $workers = workers;
                let runtime = $builder.enable_all().build().expect("a runtime");
                let value =
                    runtime.block_on(async move { $root::spawn(future).await.expect("no panic") });
                runtime.shutdown_timeout(Duration::from_secs(1));
                value
            }

            pub fn run<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
                run_on(2, future)
            }
        }
    };
}

tokio_shaped!(tokio_mt, tokio, tokio::spawn, |workers| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(workers);
    builder
});
tokio_shaped!(tokio_ct, tokio, tokio::spawn, |_workers| {
    tokio::runtime::Builder::new_current_thread()
});
tokio_shaped!(blitz_mt, blitz_io, blitz_io::spawn, |workers| {
    let mut builder = blitz_io::runtime::Builder::new_multi_thread();
    builder.worker_threads(workers);
    builder
});
tokio_shaped!(blitz_ct, blitz_io, blitz_io::spawn, |_workers| {
    blitz_io::runtime::Builder::new_current_thread()
});
tokio_shaped!(
    blitz_tpc,
    blitz_io,
    blitz_io::task::spawn_local,
    |_workers| {
        let mut builder = blitz_io::runtime::Builder::new_thread_per_core();
        builder.worker_threads(1);
        builder
    }
);

pub mod monoio {
    pub use super::neutral_yield as yield_now;
    pub use ::monoio::spawn;
    pub use ::monoio::time::{sleep, timeout};

    pub fn detach(future: impl Future<Output = ()> + 'static) {
        drop(spawn(future));
    }

    pub fn run<T: 'static>(future: impl Future<Output = T> + 'static) -> T {
        let mut runtime = ::monoio::RuntimeBuilder::<::monoio::IoUringDriver>::new()
            .enable_timer()
            .build()
            .expect("a runtime");
        runtime.block_on(async { spawn(future).await })
    }
}

pub mod glommio {
    use std::time::Duration;

    pub use ::glommio::spawn_local as spawn;
    pub use ::glommio::timer::sleep;

    pub async fn yield_now() {
        ::glommio::executor().yield_task_queue_now().await;
    }

    pub async fn timeout<T>(limit: Duration, future: impl Future<Output = T>) {
        let _ = ::glommio::timer::timeout(limit, async {
            Ok::<T, ::glommio::GlommioError<()>>(future.await)
        })
        .await;
    }

    pub fn detach(future: impl Future<Output = ()> + 'static) {
        spawn(future).detach();
    }

    pub fn run<T: 'static>(future: impl Future<Output = T> + 'static) -> T {
        ::glommio::LocalExecutor::default().run(async { spawn(future).await })
    }
}

pub mod compio {
    pub use super::neutral_yield as yield_now;
    pub use ::compio::runtime::spawn;
    pub use ::compio::time::{sleep, timeout};

    pub fn detach(future: impl Future<Output = ()> + 'static) {
        spawn(future).detach();
    }

    pub fn run<T: 'static>(future: impl Future<Output = T> + 'static) -> T {
        let runtime = ::compio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async { spawn(future).await.expect("no panic") })
    }
}

pub mod smol {
    use std::rc::Rc;
    use std::time::Duration;

    pub use ::smol::future::yield_now;

    thread_local! {
        static EXECUTOR: Rc<::smol::LocalExecutor<'static>> = Rc::new(::smol::LocalExecutor::new());
    }

    pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> ::smol::Task<T> {
        EXECUTOR.with(|executor| executor.spawn(future))
    }

    pub async fn sleep(time: Duration) {
        ::smol::Timer::after(time).await;
    }

    pub async fn timeout<T>(limit: Duration, future: impl Future<Output = T>) {
        let future = async { drop(future.await) };
        ::smol::future::or(future, async {
            ::smol::Timer::after(limit).await;
        })
        .await;
    }

    pub fn detach(future: impl Future<Output = ()> + 'static) {
        spawn(future).detach();
    }

    pub fn run<T: 'static>(future: impl Future<Output = T> + 'static) -> T {
        let executor = EXECUTOR.with(Rc::clone);
        ::smol::block_on(executor.run(async { spawn(future).await }))
    }
}
