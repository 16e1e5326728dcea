//! The macros, in a crate in which no other name of ours is known.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::{self, Instant};

#[tokio::test]
async fn a_test_runs_on_one_thread() {
    assert_eq!(
        Handle::current().runtime_flavor(),
        RuntimeFlavor::CurrentThread
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_has_the_workers_that_it_asks_for() {
    assert_eq!(Handle::current().metrics().num_workers(), 2);
    let task = tokio::spawn(async { tokio::task::block_in_place(|| 7) });
    assert_eq!(task.await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_paused_hour_takes_no_time() {
    let start = Instant::now();
    time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(3600));
}

#[tokio::test]
#[should_panic(expected = "as told")]
async fn a_panic_is_seen_by_the_test() {
    panic!("as told");
}

#[test]
fn main_is_a_plain_function() {
    #[tokio::main]
    async fn many(number: u32) -> Result<u32, String> {
        assert_eq!(
            Handle::current().runtime_flavor(),
            RuntimeFlavor::MultiThread
        );
        tokio::spawn(async move { Ok(number + 1) }).await.unwrap()
    }
    #[tokio::main(flavor = "current_thread")]
    async fn one() -> &'static str {
        time::sleep(Duration::from_millis(1)).await;
        "one"
    }
    #[tokio::main(flavor = "local")]
    async fn local() -> usize {
        let here = std::rc::Rc::new(3);
        let task = tokio::task::spawn_local(async move { *here });
        task.await.unwrap()
    }
    assert_eq!(many(1), Ok(2));
    assert_eq!(one(), "one");
    assert_eq!(local(), 3);
}

tokio::task_local! {
    static REQUEST: u32;
}

#[tokio::test]
async fn the_other_macros_name_nothing_that_is_not_there() {
    let (a, b) = tokio::join!(async { 1 }, async { 2 });
    assert_eq!((a, b), (1, 2));
    let both = tokio::try_join!(async { Ok::<_, String>(1) }, async {
        Err::<u8, _>("no".to_owned())
    });
    assert_eq!(both, Err("no".to_owned()));
    let first = tokio::select! {
        biased;
        () = std::future::pending() => 0,
        value = std::future::ready(5), if a == 1 => value,
        else => 9,
    };
    assert_eq!(first, 5);
    let late = time::sleep(Duration::from_millis(1));
    tokio::pin!(late);
    late.as_mut().await;
    tokio::pin! {
        let pinned = async { REQUEST.get() };
    }
    assert_eq!(REQUEST.scope(8, pinned).await, 8);
}

#[tokio::test]
async fn bytes_go_through_a_socket() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    client.write_all(b"through the name").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = String::new();
    server.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "through the name");
}
