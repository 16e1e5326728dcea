//! The line of waiters over what this runtime's threads sleep in: a driver's one wait, and a thread without a driver.
//!
//! The suite is the one of `blitz-sync`, which runs it over threads that sleep without a runtime.

use std::future::Future;
use std::thread;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::runtime::Runtime;

use crate::harness::{self, Case, Flavor};
use crate::waiter_contract::{Sleeper, contract};

/// The thread sleeps in its driver.
mod driver {
    use super::*;

    impl Sleeper for Case {
        fn block_on<F: Future>(&self, future: F) -> F::Output {
            self.runtime().block_on(future)
        }
    }

    contract!(harness::cases(&[Flavor::CurrentThread]));
}

/// The thread sleeps in its own ring, which is woken by a word or by a counter.
mod ring {
    use blitz_io::runtime::{Backend, Builder, LocalOptions, LocalRuntime, RingWakeup};

    use super::*;

    struct Ring(RingWakeup);

    impl Ring {
        fn runtime(&self) -> LocalRuntime {
            let mut builder = Builder::new_current_thread();
            builder
                .driver_backend(Backend::IoUring)
                .ring_wakeup(self.0)
                .enable_all();
            builder.build_local(LocalOptions::default()).unwrap()
        }
    }

    impl Sleeper for Ring {
        fn block_on<F: Future>(&self, future: F) -> F::Output {
            self.runtime().block_on(future)
        }
    }

    fn rings() -> Vec<Ring> {
        if harness::backends().contains(&Backend::IoUring) {
            vec![Ring(RingWakeup::Futex), Ring(RingWakeup::EventFd)]
        } else {
            Vec::new()
        }
    }

    contract!(rings());
}

/// The thread waits beside a runtime whose workers have the drivers.
mod beside {
    use super::*;

    struct Beside(Runtime);

    impl Sleeper for Beside {
        fn block_on<F: Future>(&self, future: F) -> F::Output {
            self.0.block_on(future)
        }
    }

    fn beside() -> impl Iterator<Item = Beside> {
        let cases = harness::cases(&[Flavor::MultiThread]);
        cases.into_iter().map(|case| Beside(case.runtime()))
    }

    contract!(beside());
}

/// One thread in one wait: for a socket and for a line of waiters at once, and each ends it.
#[test]
fn a_thread_waits_for_io_and_for_the_line_at_once() {
    harness::each_case(&[Flavor::CurrentThread], one_wait_for_both);
}

fn one_wait_for_both(case: Case) {
    const ROUNDS: u8 = 50;
    let queue = crate::WaiterQueue::new();
    let (announce, address) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let (queue, announce) = (&queue, announce);
        scope.spawn(move || {
            case.runtime().block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                announce.send(listener.local_addr().unwrap()).unwrap();
                let (mut stream, _) = listener.accept().await.unwrap();
                for round in 0..ROUNDS {
                    let both = futures::future::join(
                        async {
                            let byte = stream.read_u8().await.unwrap();
                            // The other side wakes the line only when it has this.
                            stream.write_u8(byte).await.unwrap();
                            byte
                        },
                        queue.add_waiter_if(|| true),
                    );
                    assert_eq!(both.await, (round, true));
                }
            });
        });
        let address = address.recv().unwrap();
        case.runtime().block_on(async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            for round in 0..ROUNDS {
                stream.write_u8(round).await.unwrap();
                assert_eq!(stream.read_u8().await.unwrap(), round);
                while !queue.wake_one() {
                    thread::yield_now();
                }
            }
        });
    });
}
