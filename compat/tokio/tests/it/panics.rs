//! What tokio refuses, and blitz-io does not, is refused under tokio's name.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, UnixDatagram, UnixListener};
use tokio::process::Command;
use tokio::runtime::{Builder, LocalOptions, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{self, Instant};

/// What `f` panics with.
#[track_caller]
fn panics_with(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast::<&'static str>().expect("a text")).to_owned(),
    }
}

const NO_IO: &str = "A Tokio 1.x context was found, but IO is disabled. Call `enable_io` on the runtime builder to enable IO.";
const NO_TIME: &str = "A Tokio 1.x context was found, but timers are disabled. Call `enable_time` on the runtime builder to enable timers.";

fn each_flavor(enable: impl Fn(&mut Builder) -> &mut Builder, test: impl Fn(&Runtime)) {
    let mut many = Builder::new_multi_thread();
    for builder in [&mut Builder::new_current_thread(), many.worker_threads(1)] {
        test(&enable(builder).build().unwrap());
    }
}

#[test]
fn sockets_need_io() {
    each_flavor(Builder::enable_time, |runtime| {
        let std = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = std.local_addr().unwrap();
        let says = |what: &str, said: String| assert!(said.starts_with(NO_IO), "{what}: {said}");
        let fails = |what: &str, future: std::pin::Pin<Box<dyn Future<Output = ()>>>| {
            says(what, panics_with(|| runtime.block_on(future)));
        };
        fails(
            "bind",
            Box::pin(async { drop(TcpListener::bind("127.0.0.1:0").await) }),
        );
        fails(
            "connect",
            Box::pin(async move { drop(TcpStream::connect(addr).await) }),
        );
        fails(
            "udp",
            Box::pin(async { drop(UdpSocket::bind("127.0.0.1:0").await) }),
        );
        fails(
            "unix",
            Box::pin(async { drop(UnixListener::bind("/nowhere/at/all")) }),
        );
        fails("pair", Box::pin(async { drop(UnixDatagram::pair()) }));
        fails(
            "signal",
            Box::pin(async { drop(signal(SignalKind::hangup())) }),
        );
        fails(
            "child",
            Box::pin(async { drop(Command::new("true").spawn()) }),
        );
        let _inside = runtime.enter();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        says("listen", panics_with(|| drop(socket.listen(1))));
        says(
            "AsyncFd",
            panics_with(|| drop(AsyncFd::new(std.try_clone().unwrap()))),
        );
        std.set_nonblocking(true).unwrap();
        says(
            "from_std",
            panics_with(|| drop(TcpListener::from_std(std.try_clone().unwrap()))),
        );
    });
}

#[test]
fn timers_need_time() {
    each_flavor(Builder::enable_io, |runtime| {
        let _inside = runtime.enter();
        let second = Duration::from_secs(1);
        let each: [&dyn Fn(); 6] = [
            &|| drop(time::sleep(second)),
            &|| drop(time::sleep_until(Instant::now())),
            &|| drop(time::timeout(second, async {})),
            &|| drop(time::timeout_at(Instant::now(), async {})),
            &|| drop(time::interval(second)),
            &|| drop(time::interval_at(Instant::now(), second)),
        ];
        for (index, call) in each.into_iter().enumerate() {
            let said = panics_with(call);
            assert!(said.starts_with(NO_TIME), "{index}: {said}");
        }
    });
}

#[test]
fn a_panic_points_to_the_call() {
    let seen = Arc::new(Mutex::new(None));
    let (note, before) = (Arc::clone(&seen), std::panic::take_hook());
    let thread = std::thread::current().id();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == thread {
            *note.lock().unwrap() = info.location().map(|at| at.file().to_owned());
        } else {
            before(info);
        }
    }));
    let runtime = Builder::new_current_thread().build().unwrap();
    let _inside = runtime.enter();
    let place = || seen.lock().unwrap().take();
    panics_with(|| drop(time::sleep(Duration::ZERO)));
    assert_eq!(place().as_deref(), Some(file!()));
    panics_with(|| drop(UnixDatagram::unbound()));
    assert_eq!(place().as_deref(), Some(file!()));
}

#[test]
fn what_is_enabled_works() {
    each_flavor(Builder::enable_io, |runtime| {
        let address = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        });
        assert!(address.ip().is_loopback());
    });
    each_flavor(Builder::enable_time, |runtime| {
        runtime
            .block_on(async { time::timeout(Duration::from_secs(60), async {}).await })
            .ok()
            .unwrap();
    });
    each_flavor(Builder::enable_alt_timer, |runtime| {
        runtime.block_on(async { time::sleep(Duration::from_millis(1)).await });
    });
    // Files, tasks and locks need nothing.
    each_flavor(
        |builder| builder,
        |runtime| {
            let here = runtime.block_on(async {
                tokio::spawn(tokio::fs::try_exists("/"))
                    .await
                    .unwrap()
                    .unwrap()
            });
            assert!(here);
        },
    );
    // As `Runtime::new` and the macros have it.
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        drop(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        time::sleep(Duration::from_millis(1)).await;
    });
}

#[test]
fn time_stands_still_on_one_thread_alone() {
    let many = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let said = panics_with(|| many.block_on(async { time::pause() }));
    assert!(said.contains("`current_thread`"), "{said}");
    let said = panics_with(|| drop(Builder::new_multi_thread().start_paused(true).build()));
    assert!(said.contains("`current_thread`"), "{said}");
    let said = panics_with(time::pause);
    assert!(said.contains("no runtime here"), "{said}");
    let one = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    one.block_on(async {
        let start = Instant::now();
        time::advance(Duration::from_secs(5)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        time::resume();
        time::pause();
    });
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build_local(LocalOptions::default())
        .unwrap()
        .block_on(async { time::sleep(Duration::from_secs(3600)).await });
}

#[test]
fn what_both_refuse_is_refused() {
    let said =
        panics_with(|| drop(Builder::new_multi_thread().build_local(LocalOptions::default())));
    assert!(said.contains("local runtime"), "{said}");
    let calls: [&dyn Fn(); 5] = [
        &|| drop(Builder::new_multi_thread().worker_threads(0).build()),
        &|| drop(Builder::new_multi_thread().max_blocking_threads(0).build()),
        &|| drop(Builder::new_multi_thread().event_interval(0).build()),
        &|| drop(Builder::new_multi_thread().global_queue_interval(0).build()),
        &|| drop(time::interval(Duration::ZERO)),
    ];
    for call in calls {
        panics_with(call);
    }
}
