//! reqwest asks a service in tower-http's layers.

use futures::StreamExt;
use network::GUARD;
use network::files::{self, BODY_LEN_MAX};
use reqwest::{Body, Client, StatusCode, header};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// A service with one file in its folder, and its address.
async fn service() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..10_000).map(|number| format!("{number}\n")).collect();
    std::fs::write(folder.path().join("numbers.txt"), lines).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let path = folder.path().to_owned();
    tokio::spawn(async move { files::serve(listener, &path).await });
    (folder, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_comes_whole_compressed_or_in_part() {
    timeout(GUARD, async {
        let (_folder, url) = service().await;
        let file = format!("{url}/numbers.txt");
        let plain = Client::builder().no_gzip().build().unwrap();
        let text = plain.get(&file).send().await.unwrap().text().await.unwrap();
        assert_eq!(text.lines().count(), 10_000);
        let part = plain
            .get(&file)
            .header(header::RANGE, "bytes=10-19")
            .send()
            .await
            .unwrap();
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.bytes().await.unwrap(), text.as_bytes()[10..20]);

        let squeezed = plain
            .get(&file)
            .header(header::ACCEPT_ENCODING, "gzip")
            .send()
            .await
            .unwrap();
        assert_eq!(squeezed.headers()[header::CONTENT_ENCODING], "gzip");
        assert!(squeezed.bytes().await.unwrap().len() < text.len() / 2);
        let client = Client::new();
        for _ in 0..10 {
            let mut stream = client.get(&file).send().await.unwrap().bytes_stream();
            let mut whole = Vec::new();
            while let Some(part) = stream.next().await {
                whole.extend_from_slice(&part.unwrap());
            }
            assert!(whole == text.as_bytes());
        }
        assert_eq!(
            client
                .get(format!("{url}/nothing"))
                .send()
                .await
                .unwrap()
                .status(),
            StatusCode::NOT_FOUND
        );
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn limits_hold() {
    timeout(GUARD, async {
        let (_folder, url) = service().await;
        let client = Client::new();
        let parts =
            futures::stream::iter((0..10).map(|_| Ok::<_, std::io::Error>(vec![1_u8; 5000])));
        let counted = client
            .post(format!("{url}/count"))
            .body(Body::wrap_stream(parts))
            .send()
            .await
            .unwrap();
        assert_eq!(counted.text().await.unwrap(), "50000");
        let large = client
            .post(format!("{url}/count"))
            .body(vec![1; BODY_LEN_MAX + 1])
            .send()
            .await
            .unwrap();
        assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let late = client.get(format!("{url}/never")).send().await.unwrap();
        assert_eq!(late.status(), StatusCode::REQUEST_TIMEOUT);
    })
    .await
    .unwrap();
}
