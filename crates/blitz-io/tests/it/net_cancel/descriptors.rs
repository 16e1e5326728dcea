//! Descriptors of one's own: each kind of wait for readiness may be dropped, and no byte is lost by that.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use blitz_io::io::Interest;
use blitz_io::io::unix::AsyncFd;

use super::{Polls, byte_at};
use crate::harness::{on_every, run};

const TOTAL: usize = 300_000;

async fn writes(mut writer: AsyncFd<UnixStream>) {
    let (mut polls, mut place, mut turn) = (Polls::new(), 0, 0);
    while place < TOTAL {
        let end = TOTAL.min(place + 9001);
        let bytes: Vec<u8> = (place..end).map(byte_at).collect();
        let write = |mut stream: &UnixStream| stream.write(&bytes);
        turn += 1;
        let written = match turn % 3 {
            0 => {
                let Some(guard) = polls.give(writer.writable()).await else {
                    continue;
                };
                guard.unwrap().try_io(|fd| write(fd.get_ref()))
            }
            1 => {
                let Some(guard) = polls.give(writer.writable_mut()).await else {
                    continue;
                };
                guard.unwrap().try_io(|fd| write(fd.get_ref()))
            }
            _ => {
                let write = polls.give(writer.async_io(Interest::WRITABLE, write)).await;
                let Some(written) = write else { continue };
                Ok(written)
            }
        };
        // `Err` is a readiness that was over.
        if let Ok(written) = written {
            place += written.unwrap();
        }
    }
}

async fn reads(mut reader: AsyncFd<UnixStream>) {
    let (mut polls, mut place, mut turn) = (Polls::new(), 0, 0);
    let mut buffer = vec![0; 5003];
    loop {
        let mut read = |mut stream: &UnixStream| stream.read(&mut buffer);
        turn += 1;
        let read = match turn % 6 {
            0 => {
                let Some(guard) = polls.give(reader.readable()).await else {
                    continue;
                };
                guard.unwrap().try_io(|fd| read(fd.get_ref()))
            }
            1 => {
                let Some(guard) = polls.give(reader.readable_mut()).await else {
                    continue;
                };
                guard.unwrap().try_io(|fd| read(fd.get_ref()))
            }
            2 => {
                let Some(guard) = polls.give(reader.ready(Interest::READABLE)).await else {
                    continue;
                };
                guard.unwrap().try_io(|fd| read(fd.get_ref()))
            }
            3 => {
                let Some(guard) = polls.give(reader.ready_mut(Interest::READABLE)).await else {
                    continue;
                };
                guard.unwrap().try_io(|fd| read(fd.get_ref()))
            }
            4 => {
                let read = reader.async_io(Interest::READABLE, read);
                let Some(read) = polls.give(read).await else {
                    continue;
                };
                Ok(read)
            }
            _ => {
                let read = reader.async_io_mut(Interest::READABLE, |stream| read(stream));
                let Some(read) = polls.give(read).await else {
                    continue;
                };
                Ok(read)
            }
        };
        let Ok(read) = read else { continue };
        let read = read.unwrap();
        if read == 0 {
            break;
        }
        let expected = (place..place + read).map(byte_at);
        assert!(buffer[..read].iter().copied().eq(expected), "at {place}");
        place += read;
    }
    assert_eq!(place, TOTAL);
}

#[test]
fn by_every_kind_of_wait() {
    on_every(|runtime| {
        run(runtime, async {
            let (one, other) = UnixStream::pair().unwrap();
            for end in [&one, &other] {
                end.set_nonblocking(true).unwrap();
            }
            let writer = AsyncFd::new(one).unwrap();
            let reader = AsyncFd::new(other).unwrap();
            let task = blitz_io::spawn(writes(writer));
            reads(reader).await;
            task.await.unwrap();
        });
    });
}
