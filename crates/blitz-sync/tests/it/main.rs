//! The public API, under an executor of another family and on plain threads.

mod allocations;
mod async_methods;
mod broadcast;
mod budgets;
mod cancel_channels;
mod cancel_everywhere;
mod cancel_table;
mod cancellation;
mod executors;
mod foreign_wakers;
mod harness;
mod mpmc;
mod mpsc;
mod mutex;
mod notes;
mod notify;
mod once;
mod oneshot;
mod regressions;
mod rwlock;
mod semaphore;
mod shapes;
mod stress;
mod unfair;
mod waiter_contract;
mod waiters;
mod watch;

use blitz_sync::WaiterQueue;
