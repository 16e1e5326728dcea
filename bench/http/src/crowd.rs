//! Many connections that ask once: and then wait, or go away without a word.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::generator::answer_length;

/// Connections that have been answered.
pub struct Crowd(Vec<TcpStream>);

impl Crowd {
    /// Connects so many, and has each answered once.
    pub fn gather(addr: SocketAddr, count: usize, request: &[u8]) -> Result<Crowd, String> {
        let told = |error: std::io::Error| error.to_string();
        let length = answer_length(request, addr)?;
        let mut streams = Vec::with_capacity(count);
        let mut answer = vec![0; length];
        while streams.len() < count {
            // In groups, so that a server's queue is not what is measured.
            let group = 100.min(count - streams.len());
            let first = streams.len();
            for _ in 0..group {
                let stream = connect(addr)?;
                let guard = Some(Duration::from_secs(20));
                stream.set_read_timeout(guard).map_err(told)?;
                streams.push(stream);
            }
            for stream in &mut streams[first..] {
                stream.write_all(request).map_err(told)?;
            }
            for stream in &mut streams[first..] {
                stream.read_exact(&mut answer).map_err(told)?;
            }
        }
        Ok(Crowd(streams))
    }

    /// Ends all of them by a reset.
    pub fn reset(self) {
        for stream in &self.0 {
            let linger = libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            // SAFETY: the option's value lives through the call and is as long as said.
            unsafe {
                libc::setsockopt(
                    stream.as_raw_fd(),
                    libc::SOL_SOCKET,
                    libc::SO_LINGER,
                    (&raw const linger).cast(),
                    size_of_val(&linger) as u32,
                )
            };
        }
    }
}

fn connect(addr: SocketAddr) -> Result<TcpStream, String> {
    let begun = Instant::now();
    loop {
        match TcpStream::connect(addr) {
            Ok(stream) => return Ok(stream),
            Err(error) if begun.elapsed() > Duration::from_secs(20) => {
                return Err(error.to_string());
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}
