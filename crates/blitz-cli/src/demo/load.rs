//! The load: connections that send and check every byte that comes back.
//!
//! ORDERING: every counter here is Relaxed. They are statistics, and read for good only after the
//! tasks that write them were joined; `stop` is a flag that publishes nothing else.

use crate::histogram::Histogram;
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::TcpStream;
use blitz_io::task::JoinSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How many connections are being opened at a time: less than any sensible backlog.
const OPENING_AT_ONCE: usize = 256;

/// An answer that takes longer is lost.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What all connections of one run share.
pub(crate) struct Load {
    address: SocketAddr,
    size: usize,
    pub(crate) latency: Histogram,
    /// Echoes that came back whole and right.
    pub(crate) echoes: AtomicU64,
    /// Bytes that came back, of those echoes.
    pub(crate) bytes: AtomicU64,
    /// Connections that were cut on purpose, by a reset.
    pub(crate) resets: AtomicU64,
    /// Connections that were closed on one side first, and drained.
    pub(crate) half_closes: AtomicU64,
    /// How many connections may be disturbed now; negative when some came late.
    disturbances: AtomicI64,
    stop: AtomicBool,
}

/// What a connection may do when it has a disturbance to spend.
#[derive(Clone, Copy)]
enum Disturbance {
    Reset,
    ResetUnread,
    HalfClose,
}

impl Load {
    pub(crate) fn new(address: SocketAddr, size: usize) -> Arc<Self> {
        Arc::new(Load {
            address,
            size,
            latency: Histogram::new(),
            echoes: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            resets: AtomicU64::new(0),
            half_closes: AtomicU64::new(0),
            disturbances: AtomicI64::new(0),
            stop: AtomicBool::new(false),
        })
    }

    /// Opens `count` connections, a few hundred at a time.
    ///
    /// # Errors
    /// The first failure, with the number of the connection.
    pub(crate) async fn connect(self: &Arc<Self>, count: usize) -> Result<Vec<TcpStream>, String> {
        let mut streams = Vec::with_capacity(count);
        let mut opening = JoinSet::new();
        let mut begun = 0;
        while streams.len() < count {
            while begun < count && opening.len() < OPENING_AT_ONCE {
                let address = self.address;
                opening.spawn(async move { open(address).await });
                begun += 1;
            }
            match opening.join_next().await {
                Some(Ok(Ok(stream))) => streams.push(stream),
                Some(Ok(Err(error))) => {
                    let number = streams.len() + 1;
                    return Err(format!(
                        "connection {number} of {count} to {} failed: {error}",
                        self.address
                    ));
                }
                Some(Err(error)) => return Err(format!("a connecting task ended: {error}")),
                None => break,
            }
        }
        Ok(streams)
    }

    /// Lets every connection send until [`stop`](Load::stop); each task gives its error, if any.
    pub(crate) fn start(self: &Arc<Self>, streams: Vec<TcpStream>) -> JoinSet<io::Result<()>> {
        let mut tasks = JoinSet::new();
        for (number, stream) in streams.into_iter().enumerate() {
            let load = Arc::clone(self);
            tasks.spawn(async move { load.drive(number as u64, stream).await });
        }
        tasks
    }

    /// Every connection ends after the echo it is at.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Lets `count` more connections be reset or half closed.
    pub(crate) fn disturb(&self, count: i64) {
        // What nobody took is not saved up: a pause must not be followed by a storm.
        if self.disturbances.load(Relaxed) < 4 * count {
            self.disturbances.fetch_add(count, Relaxed);
        }
    }

    /// One connection: sends, waits for the echo, checks it, and again.
    async fn drive(&self, number: u64, mut stream: TcpStream) -> io::Result<()> {
        let mut random = Random::new(number);
        let mut message = vec![0u8; self.size];
        let mut answer = vec![0u8; self.size];
        while !self.stop.load(Relaxed) {
            random.fill(&mut message);
            if let Some(disturbance) = self.take_disturbance(&mut random) {
                self.act(disturbance, stream, &message).await?;
                stream = open(self.address).await?;
                continue;
            }
            let sent = Instant::now();
            let exchange = exchange(&mut stream, &message, &mut answer);
            blitz_io::time::timeout(ANSWER_WITHIN, exchange)
                .await
                .map_err(|_| {
                    let text = format!("no answer within {} s", ANSWER_WITHIN.as_secs());
                    io::Error::new(io::ErrorKind::TimedOut, text)
                })??;
            self.latency.record(sent.elapsed());
            check(&message, &answer)?;
            self.echoes.fetch_add(1, Relaxed);
            self.bytes.fetch_add(self.size as u64, Relaxed);
        }
        Ok(())
    }

    fn take_disturbance(&self, random: &mut Random) -> Option<Disturbance> {
        if self.disturbances.load(Relaxed) <= 0 {
            return None;
        }
        // Not the first that comes: a fast connection would get all of them.
        if !random.next().is_multiple_of(16) {
            return None;
        }
        if self.disturbances.fetch_sub(1, Relaxed) <= 0 {
            return None;
        }
        Some(match random.next() % 4 {
            0 => Disturbance::Reset,
            1 => Disturbance::ResetUnread,
            _ => Disturbance::HalfClose,
        })
    }

    async fn act(
        &self,
        disturbance: Disturbance,
        mut stream: TcpStream,
        message: &[u8],
    ) -> io::Result<()> {
        match disturbance {
            Disturbance::Reset => {
                self.resets.fetch_add(1, Relaxed);
                stream.set_zero_linger()
            }
            Disturbance::ResetUnread => {
                self.resets.fetch_add(1, Relaxed);
                stream.write_all(message).await?;
                stream.set_zero_linger()
            }
            Disturbance::HalfClose => {
                self.half_closes.fetch_add(1, Relaxed);
                stream.write_all(message).await?;
                stream.shutdown().await?;
                let mut rest = Vec::with_capacity(message.len());
                stream.read_to_end(&mut rest).await?;
                check(message, &rest)
            }
        }
    }
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Small messages go out whole and come back; large ones need both directions at once, or both
/// sides would wait with full buffers.
async fn exchange(stream: &mut TcpStream, message: &[u8], answer: &mut [u8]) -> io::Result<()> {
    if message.len() <= 16 * 1024 {
        stream.write_all(message).await?;
        stream.read_exact(answer).await?;
        return Ok(());
    }
    for (out, back) in message.chunks(16 * 1024).zip(answer.chunks_mut(16 * 1024)) {
        stream.write_all(out).await?;
        stream.read_exact(back).await?;
    }
    Ok(())
}

/// Every byte is the one that was sent.
fn check(sent: &[u8], came: &[u8]) -> io::Result<()> {
    if sent == came {
        return Ok(());
    }
    let at = sent
        .iter()
        .zip(came)
        .position(|(a, b)| a != b)
        .unwrap_or(came.len());
    let text = format!(
        "{} bytes sent, {} came back, and byte {at} is not the one sent",
        sent.len(),
        came.len()
    );
    Err(io::Error::new(io::ErrorKind::InvalidData, text))
}

/// A small generator, so that no two messages are alike and a stale byte is seen.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_or_missing_byte_is_an_error() {
        assert!(check(b"abc", b"abc").is_ok());
        assert!(check(b"abc", b"abd").is_err());
        assert!(check(b"abc", b"ab").is_err());
    }

    #[test]
    fn messages_differ_from_one_to_the_next() {
        let mut random = Random::new(1);
        let (mut first, mut second) = ([0; 64], [0; 64]);
        random.fill(&mut first);
        random.fill(&mut second);
        assert_ne!(first, second);
    }
}
