//! Files over TCP, where the kernel sends them.

use super::{Answer, Tree, without_date};
use crate::events::everywhere;
use blitz_http::{Body, Request, Response, Server, service_fn};
use blitz_io::fs::File;
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::TcpStream;
use blitz_io::sync::mpsc;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Serves while a client does something, and ends.
async fn served<S>(service: S, client: impl AsyncFnOnce(SocketAddr))
where
    S: tower_service::Service<Request, Response = Response, Error = std::convert::Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    let server = Server::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .config(without_date());
    let (addr, handle) = (server.local_addrs()[0], server.handle());
    let serving = blitz_io::spawn(server.serve(service));
    client(addr).await;
    handle.shut_down(Duration::from_secs(60));
    assert!(serving.await.unwrap().cut.is_empty());
}

async fn ask(addr: SocketAddr, request: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(addr).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("an answer");
    bytes
}

/// Bytes of which no two pieces are alike.
fn pattern(len: usize) -> Vec<u8> {
    (0..len.div_ceil(4) as u32)
        .flat_map(u32::to_le_bytes)
        .take(len)
        .collect()
}

#[test]
fn large_files_arrive_whole_in_parts_and_one_after_the_other() {
    let tree = Tree::new();
    let large = pattern(5_000_001);
    tree.write("large.bin", &large);
    everywhere(|| async {
        served(tree.files(), async |addr| {
            let answer = ask(addr, "GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
            assert!(Answer::of(&answer).body == large);
            // Three at once: each begins where the one before has ended.
            let get = "GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n";
            let last = "GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\nRange: bytes=1000000-1000003,4-7,-2\r\n\r\n";
            let head = "HEAD /large.bin HTTP/1.1\r\nHost: a\r\n\r\n";
            let answers = ask(addr, &format!("{get}{head}{get}{last}")).await;
            let answers = String::from_utf8_lossy(&answers).into_owned();
            assert_eq!(answers.matches("\r\n\r\n0123456789abcdefHTTP/1.1 ").count(), 2, "{answers}");
            assert_eq!(answers.matches("content-length: 5000001\r\n").count(), 1, "{answers}");
            let parts = ask(addr, last).await;
            let answer = Answer::of(&parts);
            assert_eq!(answer.status, 206);
            let length = answer.field("content-length").expect("a length");
            assert_eq!(length, answer.body.len().to_string());
            for part in [&large[1_000_000..1_000_004], &large[4..8], &large[4_999_999..]] {
                let wanted = [b"\r\n\r\n", part, b"\r\n--"].concat();
                let found = answer.body.windows(wanted.len()).any(|window| window == wanted);
                assert!(found, "{part:?}");
            }
        })
        .await;
    });
}

#[test]
fn a_file_that_shrinks_ends_the_connection() {
    let tree = Tree::new();
    let path = tree.path().join("shrinking");
    everywhere(|| async {
        let len = 64 * 1024 * 1024;
        std::fs::File::create(&path).unwrap().set_len(len).unwrap();
        served(tree.files(), async |addr| {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            let request = b"GET /shrinking HTTP/1.1\r\nHost: a\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut some = vec![0; 1000];
            stream.read_exact(&mut some).await.unwrap();
            let claimed = format!("content-length: {len}\r\n");
            assert!(String::from_utf8_lossy(&some).contains(&claimed));
            // More is on its way than was read, and less than all.
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_len(1_000_000).unwrap();
            let mut rest = Vec::new();
            // An end, or a reset: no answer is made whole by bytes that are not the file's.
            let _ = stream.read_to_end(&mut rest).await;
            assert!((rest.len() as u64) < len / 2, "{} bytes came", rest.len());
        })
        .await;
    });
}

#[test]
fn who_watches_a_body_is_told_what_went() {
    let tree = Tree::new();
    tree.write("large.bin", pattern(3_000_000));
    let path = tree.path().join("large.bin");
    everywhere(|| async {
        let (send, mut told) = mpsc::unbounded_channel();
        let file = Arc::new(File::open(&path).await.expect("it is there"));
        let service = service_fn(move |request: Request| {
            let send = send.clone();
            let body = match request.uri().path() {
                "/file" => Body::file(Arc::clone(&file), 1, 2_000_000),
                _ => Body::from("four"),
            };
            // The test has ended when nobody is told.
            let body = body.watched(move |sent| {
                let _ = send.send(sent);
            });
            std::future::ready(Response::new(body))
        });
        served(service, async move |addr| {
            for (line, sent) in [("GET /file", 2_000_000), ("GET /", 4), ("HEAD /file", 0)] {
                let request = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                ask(addr, &request).await;
                assert_eq!(told.recv().await, Some(sent), "{line}");
            }
            // A client that goes away in between.
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream
                .write_all(b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .unwrap();
            stream.read_exact(&mut [0; 100]).await.unwrap();
            drop(stream);
            let sent = told.recv().await.expect("it is told");
            assert!(sent <= 2_000_000, "{sent}");
        })
        .await;
    });
}
