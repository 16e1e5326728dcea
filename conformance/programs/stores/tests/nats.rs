//! async-nats against a real server, over TCP.

use std::path::Path;

use async_nats::Client;
use futures::StreamExt;
use stores::{GUARD, Server, start, until};
use tokio::time::timeout;

async fn server() -> Option<(Server, Client)> {
    let server = start("nats-server", |folder| {
        ["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", folder]
            .map(str::to_owned)
            .into()
    })?;
    let addr =
        until(async || address(server.folder.path()).ok_or("it has not said its port")).await;
    let client = until(async || async_nats::connect(&addr).await).await;
    Some((server, client))
}

/// The server takes a free port and writes it down: `{"nats":["nats://127.0.0.1:4222"], …}`.
fn address(folder: &Path) -> Option<String> {
    let ports = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .find(|entry| entry.path().extension().is_some_and(|e| e == "ports"))?;
    let text = std::fs::read_to_string(ports.path()).ok()?;
    let start = text.find("nats://")?;
    let rest = &text[start..];
    Some(rest[..rest.find('"')?].to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_is_heard_in_order() {
    timeout(GUARD, async {
        let Some((_server, client)) = server().await else {
            return;
        };
        let mut heard = client.subscribe("numbers.*").await.unwrap();
        client.flush().await.unwrap();
        let sender = client.clone();
        let sending = tokio::spawn(async move {
            for number in 0..1000 {
                sender
                    .publish(format!("numbers.{}", number % 3), number.to_string().into())
                    .await
                    .unwrap();
            }
            sender.flush().await.unwrap();
        });
        for number in 0..1000 {
            let message = heard.next().await.unwrap();
            assert_eq!(message.payload, number.to_string());
            assert_eq!(message.subject.as_str(), format!("numbers.{}", number % 3));
        }
        sending.await.unwrap();
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn requests_are_answered() {
    timeout(GUARD, async {
        let Some((_server, client)) = server().await else {
            return;
        };
        let mut questions = client.subscribe("double").await.unwrap();
        client.flush().await.unwrap();
        let answering = client.clone();
        tokio::spawn(async move {
            while let Some(question) = questions.next().await {
                let number: u64 = std::str::from_utf8(&question.payload)
                    .unwrap()
                    .parse()
                    .unwrap();
                let answer = (2 * number).to_string();
                answering
                    .publish(question.reply.unwrap(), answer.into())
                    .await
                    .unwrap();
            }
        });
        for number in 0..100_u64 {
            let answer = client
                .request("double", number.to_string().into())
                .await
                .unwrap();
            assert_eq!(answer.payload, (2 * number).to_string());
        }
        // Nobody listens there, and the server says so at once.
        assert!(client.request("nobody", "".into()).await.is_err());
    })
    .await
    .unwrap();
}
