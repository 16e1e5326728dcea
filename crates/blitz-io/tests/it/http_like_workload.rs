//! HTTP-like workload: many connections, each with several requests, some pipelined, answers of any size, a time limit on
//! each, and a server that ends gracefully.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use blitz_io::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::task::JoinHandle;
use blitz_io::{task, time};

use crate::harness::{on_both, patient, within};

const LIMIT: Duration = Duration::from_secs(120);
const CLIENTS: usize = 64;
const REQUESTS: usize = 50;
const PIPELINED: usize = 8;

struct Request {
    path: String,
    body: Vec<u8>,
    closes: bool,
}

/// Reads a head and a body; `None` at the end of the connection.
async fn read_request<R>(stream: &mut BufReader<R>) -> Option<Request>
where
    R: blitz_io::io::AsyncRead + Unpin,
{
    let mut line = String::new();
    if stream.read_line(&mut line).await.unwrap() == 0 {
        return None;
    }
    let path = line
        .split(' ')
        .nth(1)
        .expect("method, path, version")
        .to_owned();
    let (mut length, mut closes) = (0, false);
    loop {
        line.clear();
        assert_ne!(
            stream.read_line(&mut line).await.unwrap(),
            0,
            "the head is cut"
        );
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse().unwrap(),
            Some(("Connection", "close")) => closes = true,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    Some(Request { path, body, closes })
}

async fn serve(stream: TcpStream, served: Arc<AtomicUsize>) {
    stream.set_nodelay(true).unwrap();
    let (read, write) = stream.into_split();
    let (mut read, mut write) = (BufReader::new(read), BufWriter::new(write));
    while let Some(request) = read_request(&mut read).await {
        let answer = match request.path.as_str() {
            "/echo" => request.body,
            path => {
                let size: usize = path.trim_start_matches("/size/").parse().unwrap();
                (0..size).map(|i| (i % 251) as u8).collect()
            }
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        write.write_all(head.as_bytes()).await.unwrap();
        write.write_all(&answer).await.unwrap();
        served.fetch_add(1, Ordering::Relaxed);
        // Pipelined requests that are here already are answered in one write.
        if read.buffer().is_empty() {
            write.flush().await.unwrap();
        }
        if request.closes {
            break;
        }
    }
    write.shutdown().await.unwrap();
}

async fn read_answer(stream: &mut BufReader<TcpStream>) -> Vec<u8> {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    let mut length = None;
    loop {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", value)) => length = Some(value.parse().unwrap()),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length.expect("a length")];
    stream.read_exact(&mut body).await.unwrap();
    body
}

/// One client: single requests, an echoed body, a pipelined batch, and a last one that closes.
async fn ask(addr: SocketAddr, who: usize) {
    let stream = TcpStream::connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut stream = BufReader::new(stream);
    for round in 0..REQUESTS {
        let exchange = async {
            match (who + round) % 3 {
                0 => {
                    let size = (who * 131 + round * 4099) % 100_000;
                    let head = format!("GET /size/{size} HTTP/1.1\r\nHost: test\r\n\r\n");
                    stream.write_all(head.as_bytes()).await.unwrap();
                    assert_eq!(read_answer(&mut stream).await.len(), size);
                }
                1 => {
                    let body = vec![round as u8; 1 + round * 97];
                    let head = format!(
                        "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n",
                        body.len()
                    );
                    // The head alone first: the server waits in the middle of a request.
                    stream.write_all(head.as_bytes()).await.unwrap();
                    task::yield_now().await;
                    stream.write_all(&body).await.unwrap();
                    assert_eq!(read_answer(&mut stream).await, body);
                }
                _ => {
                    let batch: String = (0..PIPELINED)
                        .map(|i| format!("GET /size/{} HTTP/1.1\r\nHost: test\r\n\r\n", i * 100))
                        .collect();
                    stream.write_all(batch.as_bytes()).await.unwrap();
                    for i in 0..PIPELINED {
                        assert_eq!(read_answer(&mut stream).await.len(), i * 100);
                    }
                }
            }
        };
        time::timeout(patient(Duration::from_secs(60)), exchange)
            .await
            .expect("an answer in time");
    }
    stream
        .write_all(b"GET /size/7 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(read_answer(&mut stream).await.len(), 7);
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
}

#[test]
fn every_request_is_answered() {
    on_both(|runtime| {
        within(runtime, LIMIT, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let served = Arc::new(AtomicUsize::new(0));
            let server: JoinHandle<()> = task::spawn({
                let served = Arc::clone(&served);
                async move {
                    let mut connections = Vec::new();
                    for _ in 0..CLIENTS {
                        let (stream, _) = listener.accept().await.unwrap();
                        connections.push(task::spawn(serve(stream, Arc::clone(&served))));
                    }
                    for connection in connections {
                        connection.await.unwrap();
                    }
                }
            });
            let clients: Vec<_> = (0..CLIENTS)
                .map(|who| task::spawn(ask(addr, who)))
                .collect();
            for client in clients {
                client.await.unwrap();
            }
            server.await.unwrap();
            let expected: usize = (0..CLIENTS)
                .flat_map(|who| {
                    (0..REQUESTS)
                        .map(move |round| if (who + round) % 3 == 2 { PIPELINED } else { 1 })
                })
                .sum::<usize>()
                + CLIENTS;
            assert_eq!(served.load(Ordering::Relaxed), expected);
        });
    });
}
