//! Mixed I/O: TCP, files, timers and blocking calls in one program, all at once and depending on each other.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::{fs, task, time};

use crate::harness::{on_both, patient, within};

const LIMIT: Duration = Duration::from_secs(120);
const UPLOADS: usize = 40;
const SIZE: usize = 150_000;

fn content(who: usize) -> Vec<u8> {
    (0..SIZE)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 ^ who as u8)
        .collect()
}

/// What a processor-bound step makes of a file.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// Receives a file over TCP, stores it, sums it up on a blocking thread, and answers with the sum.
async fn store(mut stream: TcpStream, path: PathBuf) {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    fs::write(&path, &bytes).await.unwrap();
    let stored = fs::read(&path).await.unwrap();
    assert_eq!(stored.len(), SIZE);
    let sum = task::spawn_blocking(move || checksum(&stored))
        .await
        .unwrap();
    stream.write_all(&sum.to_le_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

#[test]
fn uploads_are_stored_summed_and_timed() {
    on_both(|runtime| {
        let folder = tempfile::tempdir().unwrap();
        within(runtime, LIMIT, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();

            // A clock that must go on while everything else works.
            let done = Arc::new(AtomicBool::new(false));
            let ticks = Arc::new(AtomicUsize::new(0));
            let clock = task::spawn({
                let (done, ticks) = (Arc::clone(&done), Arc::clone(&ticks));
                async move {
                    let mut interval = time::interval(Duration::from_millis(1));
                    while !done.load(Ordering::Relaxed) {
                        interval.tick().await;
                        ticks.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });

            let root = folder.path().to_owned();
            let server = task::spawn(async move {
                let mut tasks = Vec::new();
                for who in 0..UPLOADS {
                    let (stream, _) = listener.accept().await.unwrap();
                    tasks.push(task::spawn(store(
                        stream,
                        root.join(format!("upload-{who}")),
                    )));
                }
                for task in tasks {
                    task.await.unwrap();
                }
            });

            let clients: Vec<_> = (0..UPLOADS)
                .map(|who| {
                    task::spawn(async move {
                        time::sleep(Duration::from_millis(who as u64 % 7)).await;
                        let bytes = content(who);
                        let mut stream = TcpStream::connect(addr).await.unwrap();
                        for part in bytes.chunks(30_000) {
                            stream.write_all(part).await.unwrap();
                            time::sleep(Duration::from_micros(300)).await;
                        }
                        stream.shutdown().await.unwrap();
                        let mut sum = [0; 8];
                        let limit = patient(Duration::from_secs(60));
                        let answer = time::timeout(limit, stream.read_exact(&mut sum));
                        answer.await.expect("an answer in time").unwrap();
                        assert_eq!(u64::from_le_bytes(sum), checksum(&bytes));
                    })
                })
                .collect();
            for client in clients {
                client.await.unwrap();
            }
            server.await.unwrap();
            done.store(true, Ordering::Relaxed);
            clock.await.unwrap();
            assert!(ticks.load(Ordering::Relaxed) >= 2);

            let mut sizes = Vec::new();
            for who in 0..UPLOADS {
                sizes.push(
                    fs::metadata(folder.path().join(format!("upload-{who}")))
                        .await
                        .unwrap()
                        .len(),
                );
            }
            assert!(sizes.iter().all(|size| *size == SIZE as u64));
        });
    });
}
