//! redis against a real server, over a Unix socket.

use futures::StreamExt;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use stores::{GUARD, Server, start, until};
use tokio::time::timeout;

async fn server() -> Option<(Server, redis::Client)> {
    let server = start("redis-server", |folder| {
        let socket = format!("{folder}/socket");
        [
            "--port",
            "0",
            "--save",
            "",
            "--appendonly",
            "no",
            "--unixsocket",
            &socket,
        ]
        .map(str::to_owned)
        .into()
    })?;
    let url = format!("redis+unix://{}/socket", server.folder.path().display());
    let client = redis::Client::open(url).unwrap();
    until(async || client.get_multiplexed_async_connection().await).await;
    Some((server, client))
}

async fn connect(client: &redis::Client) -> MultiplexedConnection {
    client.get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_set_counted_and_read_side_by_side() {
    timeout(GUARD, async {
        let Some((_server, client)) = server().await else {
            return;
        };
        let connection = connect(&client).await;
        let tasks = (0..50_u64).map(|task| {
            let mut connection = connection.clone();
            tokio::spawn(async move {
                let key = format!("key {task}");
                let value = vec![task as u8; 10_000];
                let () = connection.set(&key, &value).await.unwrap();
                let back: Vec<u8> = connection.get(&key).await.unwrap();
                assert_eq!(back, value);
                let () = connection.incr("count", task).await.unwrap();
            })
        });
        futures::future::try_join_all(tasks).await.unwrap();
        let mut connection = connection;
        let (count, kept): (u64, u64) = redis::pipe()
            .atomic()
            .get("count")
            .cmd("DBSIZE")
            .query_async(&mut connection)
            .await
            .unwrap();
        assert_eq!((count, kept), ((0..50).sum(), 51));
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_is_published_is_heard() {
    timeout(GUARD, async {
        let Some((_server, client)) = server().await else {
            return;
        };
        let mut listener = client.get_async_pubsub().await.unwrap();
        listener.subscribe("news").await.unwrap();
        let mut connection = connect(&client).await;
        for number in 0..10 {
            let heard: u64 = connection.publish("news", number).await.unwrap();
            assert_eq!(heard, 1);
        }
        let mut messages = listener.on_message();
        for number in 0..10 {
            let message = messages.next().await.unwrap();
            assert_eq!(message.get_payload::<i32>().unwrap(), number);
        }
    })
    .await
    .unwrap();
}
