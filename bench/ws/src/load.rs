//! The load: connections that send a message, wait for its bytes, and send again. What comes back is compared with what came back at first.

use crate::Row;
use blitz_http_proto::ws::{Deflate, DeflateParams, Encoder, Message};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::TcpStream;
use blitz_io::runtime::{Builder, LocalOptions, LocalRuntime};
use blitz_io::task::JoinSet;
use blitz_io::time::timeout;
use bytes::BytesMut;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

const GUARD: Duration = Duration::from_secs(60);
/// How the frame of a ping begins.
const PING: u8 = 0x89;

/// What a run came to.
pub struct Load {
    /// Messages that came: of a broadcast, at all of them.
    pub messages: u64,
    pub elapsed: Duration,
    /// Of each message; of a broadcast, until the last one has it. In nanoseconds.
    pub latencies: Vec<u64>,
}

/// Connections that stand.
pub struct Crowd {
    runtime: LocalRuntime,
    streams: Vec<TcpStream>,
    frame: Rc<[u8]>,
    /// What comes back, once it is known.
    back: Rc<[u8]>,
    to_all: bool,
}

/// A client's frame of a message that deflates to a third or so.
fn frame(row: &Row) -> Vec<u8> {
    let mut number = 1_u32;
    let mut letter = || {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (number >> 28) as u8 % 8)
    };
    let message = Message::text((0..row.size).map(|_| letter()).collect::<String>());
    let mut encoder = Encoder::client(|| [0x5a, 0xc3, 0x96, 0x0f]);
    if row.deflated {
        let params = DeflateParams {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        };
        encoder = encoder.with_deflate(Some(&params), &Deflate::default());
    }
    let mut bytes = BytesMut::new();
    encoder.message(&message, &mut bytes);
    bytes.to_vec()
}

async fn open(addr: SocketAddr, deflated: bool) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let offer = if deflated {
        "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n"
    } else {
        ""
    };
    let ask = format!(
        "GET / HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offer}\r\n"
    );
    stream.write_all(ask.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    if !head.starts_with("http/1.1 101 ") || head.contains("permessage-deflate") != deflated {
        return Err(std::io::Error::other(format!(
            "the handshake failed: {head}"
        )));
    }
    Ok(stream)
}

/// Reads one frame of a server, as it is.
async fn read_frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; 2];
    stream.read_exact(&mut bytes).await?;
    let further = match bytes[1] {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    bytes.resize(2 + further, 0);
    stream.read_exact(&mut bytes[2..]).await?;
    let len = match further {
        0 => usize::from(bytes[1]),
        _ => bytes[2..]
            .iter()
            .fold(0, |len, byte| len << 8 | usize::from(*byte)),
    };
    let begin = bytes.len();
    bytes.resize(begin + len, 0);
    stream.read_exact(&mut bytes[begin..]).await?;
    Ok(bytes)
}

/// Reads a message, and lets pings pass that stand before it: whoever talks is alive, and need not answer each.
async fn receive(stream: &mut TcpStream, room: &mut [u8]) -> std::io::Result<()> {
    stream.read_exact(room).await?;
    while room[0] == PING {
        let ping = 2 + usize::from(room[1]);
        let kept = room.len().checked_sub(ping);
        let kept = kept.ok_or_else(|| std::io::Error::other("a message shorter than a ping"))?;
        room.copy_within(ping.., 0);
        stream.read_exact(&mut room[kept..]).await?;
    }
    Ok(())
}

/// Sends, and reads until it has come back.
async fn exchange(
    stream: &mut TcpStream,
    frame: &[u8],
    back: &[u8],
    room: &mut [u8],
) -> std::io::Result<()> {
    // A server may wait for the whole of it before it answers, and a long one does not fit into the socket.
    stream.write_all(frame).await?;
    receive(stream, room).await?;
    if room != back {
        return Err(std::io::Error::other(
            "what came back is not what came back before",
        ));
    }
    Ok(())
}

impl Crowd {
    pub fn enter(addr: SocketAddr, row: &Row) -> Result<Crowd, String> {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().build_local(LocalOptions::default());
        let runtime = runtime.map_err(|error| error.to_string())?;
        let frame = frame(row);
        let entering = async {
            let mut streams = Vec::new();
            for _ in 0..row.connections {
                streams.push(open(addr, row.deflated).await?);
            }
            streams[0].write_all(&frame).await?;
            let mut back = read_frame(&mut streams[0]).await?;
            while back[0] == PING {
                back = read_frame(&mut streams[0]).await?;
            }
            for stream in streams.iter_mut().skip(1) {
                // Each has served once, and the server holds what it holds for one that has.
                if !row.to_all {
                    stream.write_all(&frame).await?;
                }
                let mut same = back.clone();
                receive(stream, &mut same).await?;
                if same != back {
                    return Err(std::io::Error::other("two connections get two things"));
                }
            }
            Ok((streams, back))
        };
        let entered = runtime.block_on(async { timeout(GUARD, entering).await });
        let (streams, back) = entered
            .map_err(|_| "not all have connected in time".to_owned())?
            .map_err(|error: std::io::Error| error.to_string())?;
        Ok(Crowd {
            runtime,
            streams,
            frame: frame.into(),
            back: back.into(),
            to_all: row.to_all,
        })
    }

    pub fn run(&mut self, time: Duration) -> Result<Load, String> {
        let streams = std::mem::take(&mut self.streams);
        let (frame, back) = (Rc::clone(&self.frame), Rc::clone(&self.back));
        let running = async {
            match self.to_all {
                true => broadcast(streams, frame, back, time).await,
                false => echo(streams, frame, back, time).await,
            }
        };
        let done = self
            .runtime
            .block_on(async { timeout(time + GUARD, running).await });
        let (streams, load) = done
            .map_err(|_| "it did not end in time".to_owned())?
            .map_err(|error| error.to_string())?;
        self.streams = streams;
        Ok(load)
    }
}

type Done = std::io::Result<(Vec<TcpStream>, Load)>;

async fn echo(streams: Vec<TcpStream>, frame: Rc<[u8]>, back: Rc<[u8]>, time: Duration) -> Done {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for mut stream in streams {
        let (frame, back) = (Rc::clone(&frame), Rc::clone(&back));
        tasks.spawn_local(async move {
            let mut room = vec![0; back.len()];
            let mut latencies = Vec::new();
            let mut from = Instant::now();
            while begun.elapsed() < time {
                exchange(&mut stream, &frame, &back, &mut room).await?;
                let now = Instant::now();
                latencies.push((now - from).as_nanos() as u64);
                from = now;
            }
            Ok::<_, std::io::Error>((stream, latencies))
        });
    }
    let (mut streams, mut latencies) = (Vec::new(), Vec::new());
    while let Some(one) = tasks.join_next().await {
        let (stream, some) = one.map_err(std::io::Error::other)??;
        streams.push(stream);
        latencies.extend(some);
    }
    let load = Load {
        messages: latencies.len() as u64,
        elapsed: begun.elapsed(),
        latencies,
    };
    Ok((streams, load))
}

/// One says something, and when all have it, says something again.
async fn broadcast(
    mut streams: Vec<TcpStream>,
    frame: Rc<[u8]>,
    back: Rc<[u8]>,
    time: Duration,
) -> Done {
    let begun = Instant::now();
    let mut room = vec![0; back.len()];
    let (mut messages, mut latencies) = (0, Vec::new());
    while begun.elapsed() < time {
        let from = Instant::now();
        streams[0].write_all(&frame).await?;
        for stream in &mut streams {
            receive(stream, &mut room).await?;
            if *room != *back {
                return Err(std::io::Error::other("somebody got something else"));
            }
            messages += 1;
        }
        latencies.push(from.elapsed().as_nanos() as u64);
    }
    let load = Load {
        messages,
        elapsed: begun.elapsed(),
        latencies,
    };
    Ok((streams, load))
}
