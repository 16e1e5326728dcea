//! The contract of the line of waiters, over what a thread sleeps in without a runtime.

use std::future::Future;

use crate::waiter_contract::{Sleeper, contract};

/// std's park, which on Linux is futex(2), by futures' executor.
mod park {
    use super::*;

    struct Park;

    impl Sleeper for Park {
        fn block_on<F: Future>(&self, future: F) -> F::Output {
            futures::executor::block_on(future)
        }
    }

    contract!([Park]);
}

/// A task of a pool of threads, by futures' own.
mod local_pool {
    use super::*;

    struct Pool;

    impl Sleeper for Pool {
        fn block_on<F: Future>(&self, future: F) -> F::Output {
            futures::executor::LocalPool::new().run_until(future)
        }
    }

    contract!([Pool]);
}
