//! What is *not* safe to drop, since the kernel has the buffer or the bytes: what was under way may be lost, but nothing comes twice,
//! nothing else is lost with it, and the stream ends as it should.

use std::collections::HashMap;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpStream, splice};

use super::Polls;
use super::streams::tcp_pair;
use crate::harness::{on_every, run};

/// So many parts are sent, each of so many bytes that are its number.
const PARTS: u8 = 60;
const LEN: usize = 2000;

/// A file that holds all parts, one after the other.
fn parts_file() -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    for number in 0..PARTS {
        std::io::Write::write_all(&mut file, &[number; LEN]).unwrap();
    }
    file
}

/// Sends each part by a call that may be dropped at any of its polls.
async fn sends(mut stream: TcpStream) {
    let file = parts_file();
    let mut polls = Polls::new();
    for number in 0..PARTS {
        let part = vec![number; LEN];
        let sent = match number % 5 {
            0 => polls.give(stream.write_owned(part)).await.map(|(n, _)| n),
            1 => {
                let all = polls.give(stream.write_all_owned(part)).await;
                all.map(|(done, _)| done.map(|()| LEN))
            }
            2 => polls.give(stream.send_zc(part)).await.map(|(n, _)| n),
            3 => {
                let parts = vec![part[..LEN / 2].to_vec(), part[LEN / 2..].to_vec()];
                let sent = polls.give(stream.send_zc_vectored(parts)).await;
                sent.map(|(n, _)| n)
            }
            _ => {
                let offset = u64::from(number) * LEN as u64;
                let sent = polls
                    .give(stream.send_file(&file, offset, LEN as u64))
                    .await;
                sent.map(|n| n.map(|n| n as usize))
            }
        };
        if let Some(sent) = sent {
            assert!((1..=LEN).contains(&sent.unwrap()));
        }
    }
    stream.shutdown().await.unwrap();
}

/// Moves what comes by calls that may be dropped, until it ends.
async fn relays(from: TcpStream, to: TcpStream) {
    let mut polls = Polls::new();
    while polls
        .give(splice(&from, &to, 3 * LEN as u64))
        .await
        .is_none_or(|moved| moved.unwrap() != 0)
    {}
}

/// Receives by calls that may be dropped, until the end.
async fn receives(mut stream: TcpStream) -> HashMap<u8, usize> {
    let mut file = tempfile::tempfile().unwrap();
    let mut polls = Polls::new();
    let mut seen = HashMap::new();
    for turn in 0.. {
        let mut part = vec![0; 777];
        let got = match turn % 3 {
            0 => {
                let read = polls.give(stream.read_owned(part)).await;
                read.map(|(n, part)| part[..n.unwrap()].to_vec())
            }
            1 => {
                let received = polls.give(stream.receive_file(&file, 0, 777)).await;
                received.map(|n| {
                    let n = n.unwrap() as usize;
                    std::io::Seek::rewind(&mut file).unwrap();
                    std::io::Read::read_exact(&mut file, &mut part[..n]).unwrap();
                    part.truncate(n);
                    part
                })
            }
            _ => {
                let read = polls.give(stream.read(&mut part)).await;
                read.map(|n| part[..n.unwrap()].to_vec())
            }
        };
        let Some(got) = got else { continue };
        if got.is_empty() {
            break;
        }
        for byte in got {
            *seen.entry(byte).or_default() += 1;
        }
    }
    seen
}

#[test]
fn nothing_comes_twice_and_the_end_comes() {
    on_every(|runtime| {
        run(runtime, async {
            let (client, near) = tcp_pair().await;
            let (far, server) = tcp_pair().await;
            let tasks = [
                blitz_io::spawn(sends(client)),
                blitz_io::spawn(relays(near, far)),
            ];
            let seen = receives(server).await;
            for task in tasks {
                task.await.unwrap();
            }
            for (number, count) in seen {
                assert!(number < PARTS && count <= LEN, "{number}: {count} times");
            }
        });
    });
}
