//! Foreign code in the runtime's own paths: hooks that wait or panic, wakers that panic, guards of other runtimes, and threads
//! that the system does not give.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::runtime::{Builder, Handle, Runtime};
use blitz_io::task::{block_in_place, yield_now};
use blitz_io::time::sleep;

use crate::child;
use crate::harness::{
    FLAVORS, Flavor, GUARD, NO_ROOM, each_case, guarded, on_both, on_every, patient, run,
};

/// A thread in its start hook is not one that other calls may count on. (They waited for it, and it for them.)
#[test]
fn a_start_hook_may_wait_for_another_thread() {
    each_case(&FLAVORS, |case| {
        let (done, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(Some(wait));
        let mut builder = case.builder();
        builder.on_thread_start(move || {
            // One thread, whichever comes first: a worker, or one for blocking calls.
            let wait = wait.lock().unwrap().take();
            if let Some(wait) = wait {
                wait.recv().unwrap();
            }
        });
        let runtime = builder.build().unwrap();
        let first = runtime.spawn_blocking(|| ());
        let second = runtime.spawn_blocking(move || done.send(()).unwrap());
        run(&runtime, async {
            second.await.unwrap();
            first.await.unwrap();
            blitz_io::spawn(yield_now()).await.unwrap();
        });
        guarded(GUARD, || drop(runtime));
    });
}

/// The function that names threads runs without the pool's lock: others push their calls meanwhile.
#[test]
fn naming_a_thread_holds_nobody_up() {
    each_case(&FLAVORS, |case| {
        let (pushed, wait) = mpsc::channel::<()>();
        let (naming, begun) = mpsc::channel::<()>();
        let once = Mutex::new(None);
        let place = Arc::new(once);
        let named = Arc::clone(&place);
        let mut builder = case.builder();
        builder.thread_name_fn(move || {
            let once: Option<(mpsc::Sender<()>, mpsc::Receiver<()>)> = named.lock().unwrap().take();
            if let Some((naming, wait)) = once {
                naming.send(()).unwrap();
                wait.recv().unwrap();
            }
            "named".to_owned()
        });
        let runtime = builder.build().unwrap();
        *place.lock().unwrap() = Some((naming, wait));
        guarded(GUARD, || {
            std::thread::scope(|scope| {
                let first = scope.spawn(|| runtime.spawn_blocking(name_here));
                begun.recv().unwrap();
                let second = runtime.spawn_blocking(name_here);
                pushed.send(()).unwrap();
                assert_eq!(run(&runtime, second).unwrap(), "named");
                let first = first.join().unwrap();
                assert_eq!(run(&runtime, first).unwrap(), "named");
            });
        });
    });
}

fn name_here() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

/// A name that cannot be had is no reason not to run.
#[test]
fn a_thread_whose_naming_panics_has_the_default_name() {
    let runtime = Builder::new_current_thread()
        .thread_name_fn(|| panic!("no name today"))
        .build()
        .unwrap();
    let name = run(&runtime, runtime.spawn_blocking(name_here)).unwrap();
    assert_eq!(name, "blitz-io-worker");
}

/// Every hook that runs beside somebody else's work may panic: the panic hook tells, and nothing else is lost.
#[test]
fn hooks_that_panic_cost_no_worker_and_no_task() {
    each_case(&FLAVORS, |case| {
        let count = Arc::new(AtomicUsize::new(0));
        let hook = |count: &Arc<AtomicUsize>| {
            let count = Arc::clone(count);
            move || {
                count.fetch_add(1, SeqCst);
                panic!("a hook's own panic");
            }
        };
        let mut builder = case.builder();
        builder
            .on_thread_start(hook(&count))
            .on_thread_stop(hook(&count))
            .on_thread_park(hook(&count))
            .on_thread_unpark(hook(&count));
        let with_task = |count: &Arc<AtomicUsize>| {
            let hook = hook(count);
            move |_: &blitz_io::runtime::TaskMeta<'_>| hook()
        };
        builder
            .on_before_task_poll(with_task(&count))
            .on_after_task_poll(with_task(&count))
            .on_task_terminate(with_task(&count));
        let runtime = builder.build().unwrap();
        run(&runtime, async {
            for _ in 0..3 {
                let tasks: Vec<_> = (0..4)
                    .map(|n| {
                        blitz_io::spawn(async move {
                            yield_now().await;
                            sleep(Duration::from_millis(1)).await;
                            n
                        })
                    })
                    .collect();
                for (n, task) in tasks.into_iter().enumerate() {
                    assert_eq!(task.await.unwrap(), n);
                }
                blitz_io::task::spawn_blocking(|| ()).await.unwrap();
            }
        });
        guarded(GUARD, || drop(runtime));
        assert!(count.load(SeqCst) > 20);
    });
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker's own panic");
    }
}

fn is_pending_for<F: Future>(waker: &Waker, future: std::pin::Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(waker)).is_pending()
}

/// A waker that panics in the driver's turn takes neither the driver along nor the wakes and answers behind its own.
#[test]
fn a_waker_that_panics_costs_the_driver_nothing() {
    on_every(|runtime| {
        let wait = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            for _ in 0..3 {
                let peer = TcpStream::connect(address).await.unwrap();
                let (other, _) = listener.accept().await.unwrap();
                let panics = Waker::from(Arc::new(Panics));
                {
                    // Longer where the machine is away for so long before the first poll.
                    let mut after = Duration::from_millis(2);
                    let poisoned = loop {
                        let mut poisoned = Box::pin(sleep(after));
                        if is_pending_for(&panics, poisoned.as_mut()) {
                            break poisoned;
                        }
                        after *= 2;
                    };
                    sleep(2 * after).await;
                    poisoned.await;
                }
                {
                    // Nothing there: from here on the driver is asked.
                    other.try_read(&mut [0]).unwrap_err();
                    let mut poisoned = pin!(other.readable());
                    assert!(is_pending_for(&panics, poisoned.as_mut()));
                    let also = other.readable();
                    assert_eq!(peer.try_write(b"x").unwrap(), 1);
                    also.await.unwrap();
                }
            }
        };
        // On a worker where there are workers, and on the thread in `block_on`.
        run(runtime, async { blitz_io::spawn(wait).await.unwrap() });
    });
}

/// As on tokio, if that is wanted: out of `block_on`, when whatever else the turn had to wake is woken.
#[test]
fn a_waker_that_panics_unwinds_out_of_block_on_where_it_is_to() {
    each_case(&[Flavor::CurrentThread, Flavor::MultiThread], |case| {
        let mut builder = case.builder();
        builder.unwind_waker_panics(true).start_paused(true);
        let runtime = builder.build().unwrap();
        let unwinds = case.flavor == Flavor::CurrentThread;
        for _ in 0..3 {
            let (mut poisoned, also) = {
                let _guard = runtime.enter();
                let after = Duration::from_millis(50);
                (Box::pin(sleep(after)), sleep(after))
            };
            let woken = runtime.spawn(also);
            let panics = Waker::from(Arc::new(Panics));
            let done = catch_unwind(AssertUnwindSafe(|| {
                run(&runtime, async {
                    assert!(is_pending_for(&panics, poisoned.as_mut()));
                    sleep(Duration::from_millis(100)).await;
                });
            }));
            assert_eq!(done.is_err(), unwinds, "{case}");
            run(&runtime, async {
                woken.await.unwrap();
                poisoned.await;
            });
        }
    });
}

/// What is made under a guard of another runtime is that runtime's, whatever this thread holds, gives up and takes back.
#[test]
fn a_guard_of_another_runtime_decides_whose_a_socket_is() {
    fn listener() -> TcpListener {
        let std = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        std.set_nonblocking(true).unwrap();
        TcpListener::from_std(std).unwrap()
    }
    fn works(runtime: &Runtime, listener: &TcpListener) {
        let address = listener.local_addr().unwrap();
        let peer = std::net::TcpStream::connect(address).unwrap();
        run(runtime, async {
            // More than once: the first try may succeed without the driver.
            listener.accept().await.unwrap();
            let later = blitz_io::task::spawn_blocking(move || {
                std::net::TcpStream::connect(address).unwrap();
            });
            listener.accept().await.unwrap();
            later.await.unwrap();
        });
        drop(peer);
    }
    each_case(&[Flavor::MultiThread], |case| {
        let ends = case.builder().worker_threads(1).build().unwrap();
        let stays = case.builder().worker_threads(1).build().unwrap();
        let handle: Handle = stays.handle().clone();
        let own = ends.handle().clone();
        let made = run(&ends, async move {
            let task = blitz_io::spawn(async move {
                let _stays = handle.enter();
                let mut made = vec![listener()];
                // The core goes and comes back, or does not.
                made.push(block_in_place(listener));
                made.push(listener());
                {
                    let _own = own.enter();
                    drop(listener());
                    let _stays = handle.enter();
                    made.push(listener());
                }
                made.push(block_in_place(|| {
                    block_in_place(|| ());
                    listener()
                }));
                made.push(listener());
                made
            });
            task.await.unwrap()
        });
        guarded(GUARD, || drop(ends));
        for listener in made {
            works(&stays, &listener);
        }
    });
}

/// Threads that the system does not give: an error, and everything that had started is gone again.
#[test]
fn a_runtime_that_gets_no_thread_leaves_nothing_behind() {
    child::run("", "hooks::no_thread_at_all");
    // Room for a few stacks of a gigabyte, and not for all.
    child::run("ulimit -v 6000000", "hooks::no_thread_for_some");
}

fn refused(stack: usize, workers: usize) {
    // What stays for good, once: the back ends' probing. A thread of theirs may still be on its way out.
    on_both(|_| ());
    let before = (child::open_descriptors(), threads());
    for case in crate::harness::cases(&[Flavor::MultiThread, Flavor::ThreadPerCore]) {
        for _ in 0..3 {
            let built = guarded(GUARD, || {
                case.builder()
                    .worker_threads(workers)
                    .thread_stack_size(stack)
                    .build()
            });
            assert!(built.is_err(), "{case}: there were threads");
        }
    }
    let begun = std::time::Instant::now();
    loop {
        let after = (child::open_descriptors(), threads());
        if after.0 <= before.0 && after.1 <= before.1 {
            return;
        }
        assert!(
            begun.elapsed() < patient(GUARD),
            "{before:?}, and then {after:?}"
        );
        std::thread::yield_now();
    }
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

#[test]
#[ignore = "run by a_runtime_that_gets_no_thread_leaves_nothing_behind"]
fn no_thread_at_all() {
    refused(NO_ROOM, 2);
}

#[test]
#[ignore = "run by a_runtime_that_gets_no_thread_leaves_nothing_behind, under its limit"]
fn no_thread_for_some() {
    refused(1 << 30, 16);
}
