//! What programs written for tokio may rely on, found by running its published tests against this crate: a test per finding.

use std::future::poll_fn;
use std::io::IoSlice;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use blitz_io::fs::{File, FileTimes};
use blitz_io::io::{AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt};
use blitz_io::runtime::{Builder, UnhandledPanic};
use blitz_io::task::{self, LocalSet};

use crate::harness::{FLAVORS, Flavor, GUARD, each_case, guarded, on_both, on_every, run};

/// Notes, when it is dropped, whether its thread panics.
struct Witness(Arc<Mutex<Vec<bool>>>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(std::thread::panicking());
    }
}

/// (It was dropped after the panic was caught.)
#[test]
fn what_a_panicking_task_owns_is_dropped_while_it_panics() {
    on_every(|runtime| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (captured, on_the_stack) = (Witness(seen.clone()), Witness(seen.clone()));
        run(runtime, async {
            let future = std::future::poll_fn(move |_| -> Poll<()> {
                let _ = &captured;
                panic!("as this test wants it");
            });
            let task = blitz_io::spawn(async move {
                let _on_the_stack = on_the_stack;
                future.await;
            });
            assert!(task.await.unwrap_err().is_panic());
        });
        assert_eq!(*seen.lock().unwrap(), [true, true]);
    });
}

fn ends_at_a_panic() -> blitz_io::runtime::Runtime {
    Builder::new_current_thread()
        .unhandled_panic(UnhandledPanic::ShutdownRuntime)
        .build()
        .unwrap()
}

/// (What was spawned later waited for ever.)
#[test]
fn a_runtime_that_a_panic_has_ended_takes_no_more_tasks() {
    let runtime = ends_at_a_panic();
    let waits = runtime.spawn(std::future::pending::<()>());
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            blitz_io::spawn(async { panic!("as this test wants it") });
            std::future::pending::<()>().await;
        });
    }));
    assert!(ended.is_err());
    let late = runtime.spawn(async {});
    guarded(GUARD, || {
        for task in [waits, late] {
            let error = futures::executor::block_on(task).unwrap_err();
            assert!(error.is_cancelled(), "{error:?}");
        }
    });
}

/// (The future that waited for the task was polled first, and `block_on` returned as if nothing had happened.)
#[test]
fn a_panic_that_ends_the_runtime_goes_before_the_answer() {
    let runtime = ends_at_a_panic();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let _ = blitz_io::spawn(async { panic!("as this test wants it") }).await;
        });
    }));
    assert!(ended.is_err());
}

/// (It panicked on the flavours whose workers may not block, although this thread is none.)
#[test]
fn whoever_blocks_on_a_handle_may_block_in_place() {
    on_every(|runtime| {
        let handle = runtime.handle();
        guarded(GUARD, || {
            let answer = handle.block_on(async {
                task::block_in_place(|| {
                    handle.block_on(task::yield_now());
                    7
                })
            });
            assert_eq!(answer, 7);
        });
    });
}

/// Blocks when it is dropped.
struct BlocksAtItsEnd;

impl Future for BlocksAtItsEnd {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Drop for BlocksAtItsEnd {
    fn drop(&mut self) {
        task::block_in_place(|| {});
    }
}

/// (On `multi_thread` they were let.)
#[test]
fn tasks_of_a_local_set_may_not_block_when_it_ends() {
    on_every(|runtime| {
        run(runtime, async {
            let set = LocalSet::new();
            let task = set.spawn_local(BlocksAtItsEnd);
            set.run_until(task::yield_now()).await;
            drop(set);
            assert!(task.await.unwrap_err().is_panic());
        });
    });
}

/// (What was left of the poll had no bound.)
#[test]
fn a_task_that_has_blocked_yields_when_its_budget_is_spent() {
    each_case(&[Flavor::MultiThread], |case| {
        run(&case.runtime(), async {
            let task = blitz_io::spawn(async {
                task::block_in_place(|| {});
                poll_fn(|cx| {
                    let mut spent = || pin!(task::consume_budget()).poll(cx).is_pending();
                    Poll::Ready((0..1000).any(|_| spent()))
                })
                .await
            });
            assert!(task.await.unwrap());
        });
    });
}

/// (A thread that had ended its work took the call and cancelled it, although another was on its way for it.)
#[test]
fn a_call_that_a_thread_was_started_for_runs_although_the_runtime_ends() {
    each_case(&FLAVORS, |case| {
        for _ in 0..20 {
            let runtime = case.builder().worker_threads(4).build().unwrap();
            let call = runtime.spawn_blocking(|| 7);
            runtime.shutdown_timeout(GUARD);
            let answer = guarded(GUARD, || futures::executor::block_on(call));
            assert_eq!(answer.unwrap(), 7);
        }
    });
}

#[test]
fn a_runtimes_name_is_not_blank() {
    let set = |name: &str| {
        catch_unwind(AssertUnwindSafe(|| {
            Builder::new_current_thread().name(name);
        }))
    };
    assert!(set("").is_err());
    assert!(set(" ").is_err());
    assert!(set("mine").is_ok());
}

/// (Only the first buffer was taken.)
#[test]
fn a_file_takes_all_buffers_in_one_write() {
    on_both(|runtime| {
        let dir = tempfile::tempdir().unwrap();
        run(runtime, async {
            let mut file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .open(dir.path().join("file"))
                .await
                .unwrap();
            assert!(file.is_write_vectored());
            let buffers = [b"".as_slice(), b"one", b"", b" two", b" three"].map(IoSlice::new);
            assert_eq!(file.write_vectored(&buffers).await.unwrap(), 13);
            assert_eq!(file.write_vectored(&[]).await.unwrap(), 0);
            file.set_max_buf_size(5);
            assert_eq!(file.write_vectored(&buffers).await.unwrap(), 5);
            file.flush().await.unwrap();
            file.rewind().await.unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "one two threeone t");
        });
    });
}

/// (It had the default.)
#[test]
fn a_files_clone_has_its_limit() {
    on_both(|runtime| {
        run(runtime, async {
            let mut file = File::from_std(tempfile::tempfile().unwrap());
            file.set_max_buf_size(128);
            assert_eq!(file.try_clone().await.unwrap().max_buf_size(), 128);
        });
    });
}

/// (There was no way to.)
#[test]
fn a_files_times_are_set_after_what_was_written() {
    use std::time::{Duration, SystemTime};
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    on_both(|runtime| {
        run(runtime, async {
            let mut file = File::from_std(tempfile::tempfile().unwrap());
            file.write_all(b"something").await.unwrap();
            let times = FileTimes::new().set_accessed(at(2)).set_modified(at(3));
            file.set_times(times).await.unwrap();
            let metadata = file.metadata().await.unwrap();
            assert_eq!(metadata.accessed().unwrap(), at(2));
            assert_eq!(metadata.modified().unwrap(), at(3));
            file.set_modified(at(4)).await.unwrap();
            assert_eq!(file.metadata().await.unwrap().modified().unwrap(), at(4));
        });
    });
}

#[test]
fn local_sets_and_runtimes_have_numbers_of_their_own() {
    let (first, second) = (LocalSet::new(), LocalSet::default());
    let runtime = Builder::new_current_thread().build().unwrap();
    assert_ne!(first.id(), second.id());
    assert_ne!(first.id(), runtime.handle().id());
    assert_ne!(second.id(), runtime.handle().id());
}

#[test]
fn knobs_that_need_no_turning_here_are_accepted() {
    let runtime = Builder::new_multi_thread()
        .enable_alt_timer()
        .enable_eager_driver_handoff()
        .enable_sharded_blocking_queue()
        .worker_threads(1)
        .build()
        .unwrap();
    run(&runtime, task::yield_now());
}

/// Nobody has to look for events first: nothing was sent yet.
#[test]
fn both_ends_of_a_pair_are_writable_from_the_start() {
    on_every(|runtime| {
        run(runtime, async {
            let mut context = Context::from_waker(std::task::Waker::noop());
            let (one, mut other) = blitz_io::net::UnixStream::pair().unwrap();
            assert!(pin!(one.writable()).poll(&mut context).is_ready());
            assert!(pin!(one.readable()).poll(&mut context).is_pending());
            assert_eq!(one.try_write(b"to").unwrap(), 2);
            let mut got = [0; 2];
            other.read_exact(&mut got).await.unwrap();
            // And is waited for when there is no room any more.
            let sent = std::iter::repeat_with(|| one.try_write(&[0; 4096]))
                .map_while(Result::ok)
                .sum::<usize>();
            assert!(pin!(one.writable()).poll(&mut context).is_pending());
            let mut all = vec![0; sent];
            other.read_exact(&mut all).await.unwrap();
            one.writable().await.unwrap();

            let (one, other) = blitz_io::net::UnixDatagram::pair().unwrap();
            assert!(one.poll_send_ready(&mut context).is_ready());
            assert!(one.poll_recv_ready(&mut context).is_pending());
            assert_eq!(other.try_send(b"to").unwrap(), 2);
            assert_eq!(one.recv(&mut got).await.unwrap(), 2);
        });
    });
}

/// What a panic says, in the words that programs' tests wait for.
#[test]
fn some_panics_say_it_in_tokios_words_too() {
    let says = |panics: Box<dyn FnOnce()>, words: &str| {
        let payload = catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
        let text = payload.downcast::<String>().map(|text| *text);
        let text = text.unwrap_or_else(|other| (*other.downcast::<&str>().unwrap()).to_owned());
        assert!(text.contains(words), "{text}");
    };
    says(
        Box::new(|| drop(blitz_io::time::sleep(Duration::ZERO))),
        "there is no reactor running, must be called from the context of a Tokio 1.x runtime",
    );
    each_case(&FLAVORS, |case| {
        let runtime = case.runtime();
        let mut sleep = {
            let _inside = runtime.enter();
            Box::pin(blitz_io::time::sleep(Duration::from_secs(3600)))
        };
        drop(runtime);
        says(
            Box::new(move || {
                let mut context = Context::from_waker(std::task::Waker::noop());
                assert!(sleep.as_mut().poll(&mut context).is_ready());
            }),
            "A Tokio 1.x context was found, but it is being shutdown.",
        );
    });
    let (send, receive) = std::sync::mpsc::channel();
    let (done, end) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread()
            .build_local(Default::default())
            .unwrap();
        send.send(runtime.handle().clone()).unwrap();
        // An error says that the other side is gone.
        let _ = end.recv();
    });
    let elsewhere = receive.recv().unwrap();
    let _inside = elsewhere.enter();
    says(
        Box::new(|| drop(task::spawn_local(async {}))),
        "Local tasks can only be spawned on a LocalRuntime from the thread the runtime was created on",
    );
    drop(done);
    thread.join().unwrap();
    let mut set = LocalSet::new();
    set.unhandled_panic(UnhandledPanic::ShutdownRuntime);
    let runtime = Builder::new_current_thread().build().unwrap();
    says(
        Box::new(move || {
            runtime.block_on(set.run_until(async {
                task::spawn_local(async { panic!("as this test wants it") });
                std::future::pending::<()>().await;
            }));
        }),
        "a spawned task panicked and the LocalSet is configured to shutdown on unhandled panic",
    );
}

/// (It was taken, and did not hold for those that ran already.)
#[test]
fn a_local_sets_answer_to_panics_is_given_before_its_tasks() {
    const WORDS: &str = "Unhandled Panic behavior modified after starting LocalSet";
    let words = |set: &mut LocalSet| {
        let give = AssertUnwindSafe(|| {
            set.unhandled_panic(UnhandledPanic::Ignore);
        });
        let panic = catch_unwind(give).err()?;
        panic.downcast_ref::<&str>().map(|text| (*text).to_owned())
    };
    let mut set = LocalSet::new();
    assert_eq!(words(&mut set), None);
    let entered = set.enter();
    assert!(words(&mut set).unwrap().starts_with(WORDS));
    drop(entered);
    assert_eq!(words(&mut set), None);
    let task = set.spawn_local(async {});
    assert!(words(&mut set).unwrap().starts_with(WORDS));
    let runtime = Builder::new_current_thread().build().unwrap();
    set.block_on(&runtime, task).unwrap();
}

/// (Each future cost a pointer more.)
#[cfg(target_pointer_width = "64")]
#[test]
fn select_and_try_join_are_no_larger() {
    use std::future::ready;
    let (one, three) = (
        async {
            blitz_io::select! { _ = ready(0_i32) => {} }
        },
        async {
            blitz_io::select! {
                _ = ready(0_i32) => {}
                _ = ready(0_i32) => {}
                _ = ready(0_i32) => {}
            }
        },
    );
    assert_eq!((size_of_val(&one), size_of_val(&three)), (32, 48));
    fn ok() -> std::future::Ready<Result<i32, ()>> {
        ready(Ok(0))
    }
    let (biased, fair) = (async { blitz_io::try_join!(biased; ok(), ok()) }, async {
        blitz_io::try_join!(ok(), ok())
    });
    assert_eq!((size_of_val(&biased), size_of_val(&fair)), (40, 48));
}

/// (Programs ask for the number, which an error that names its path has not.)
#[test]
fn errors_are_the_kernels_where_a_runtime_is_not_to_explain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing");
    let number = |explains: bool| {
        let runtime = Builder::new_current_thread()
            .explain_errors(explains)
            .build()
            .unwrap();
        runtime.block_on(async {
            let file = blitz_io::fs::metadata(&path).await.unwrap_err();
            let pooled = blitz_io::fs::canonicalize(&path).await.unwrap_err();
            let renamed = blitz_io::fs::rename(&path, &path).await.unwrap_err();
            // A port that somebody listens on cannot be had twice.
            let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = taken.local_addr().unwrap();
            let bound = blitz_io::net::TcpListener::bind(addr).await.unwrap_err();
            assert_eq!(bound.kind(), std::io::ErrorKind::AddrInUse);
            [file, pooled, renamed, bound].map(|error| error.raw_os_error().is_some())
        })
    };
    assert_eq!(number(false), [true; 4]);
    assert_eq!(number(true), [false; 4]);
}

/// (It told the figure of its last turn.)
#[test]
fn the_worker_itself_knows_how_many_tasks_wait() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let metrics = runtime.metrics();
    runtime.block_on(async {
        for _ in 0..100 {
            blitz_io::spawn(async {});
        }
        assert_eq!(metrics.worker_local_queue_depth(0), 100);
    });
}

/// (Each refusal counted.)
#[test]
fn a_poll_that_is_refused_twice_yields_once() {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let spend = || async {
            for _ in 0..=blitz_core::budget::UNITS {
                blitz_io::task::coop::consume_budget().await;
            }
        };
        blitz_io::join!(biased; spend(), spend());
    });
    // 258 units, of which a poll has 128.
    assert_eq!(runtime.metrics().budget_forced_yield_count(), 2);
}
