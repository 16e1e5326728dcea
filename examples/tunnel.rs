//! A tunnel over UDP between two peers: of IP packets, by a TUN device, or of the datagrams of one port, which runs anywhere.
//!
//! A port, by two ends. What reaches `enter` comes out at `leave`, which sends it on; answers go back to whoever sent:
//!
//! ```text
//! cargo run --release --example tunnel -- leave --listen 127.0.0.1:7021 --to 127.0.0.1:7000
//! cargo run --release --example tunnel -- enter --listen 127.0.0.1:7020 --peer 127.0.0.1:7021
//! ```
//!
//! A device, on each of two machines, on Linux and with the right to make one:
//!
//! ```text
//! tunnel tun --device blitz0 --listen 0.0.0.0:7022 --peer OTHER:7022
//! ip addr add 10.9.0.1/30 dev blitz0 && ip link set blitz0 up mtu 1400
//! ```
//!
//! Prints `listening on …`; ends on Ctrl-C. It neither encrypts nor proves who speaks: a device takes packets from the peer's address
//! alone, a `leave` from anybody.

use blitz_io::net::UdpSocket;
use blitz_io::select;
use blitz_io::task::JoinSet;
use blitz_io::time::{Duration, timeout};
use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

const HELP: &str = "tunnel enter --listen ADDR --peer ADDR     datagrams to ADDR go through the tunnel to the peer
tunnel leave --listen ADDR --to ADDR       what comes through the tunnel goes on to ADDR
tunnel tun --listen ADDR --peer ADDR --device NAME
                                           IP packets of a TUN device (Linux; needs CAP_NET_ADMIN, or a device that is yours)
    --idle SECONDS                         when a sender that is silent is forgotten (60)";

/// Which sender a datagram is of: the first bytes of each that goes through the tunnel.
const HEAD: usize = 4;
const DATAGRAM_MAX: usize = 65_535;
/// Senders that are remembered at a time: each costs a descriptor.
const SESSIONS_MAX: usize = 256;

type Done = Result<(), Box<dyn Error + Send + Sync>>;

#[blitz_io::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tunnel: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Done {
    let mut args = std::env::args().skip(1);
    let mode = args.next().unwrap_or_default();
    if mode.is_empty() || mode == "--help" {
        println!("{HELP}");
        return Ok(());
    }
    if !["enter", "leave", "tun"].contains(&mode.as_str()) {
        return Err(format!("unknown mode {mode}\n{HELP}").into());
    }
    let mut options = HashMap::new();
    while let Some(arg) = args.next() {
        if arg == "--help" {
            println!("{HELP}");
            return Ok(());
        }
        let value = args.next().ok_or_else(|| format!("{arg} wants a value"))?;
        options.insert(arg, value);
    }
    let idle = options
        .remove("--idle")
        .map_or(Ok(60), |text| text.parse())
        .map_err(|error| format!("--idle wants a number of seconds: {error}"))?;
    let idle = Duration::from_secs(idle);
    let mut option = |name: &str| {
        options
            .remove(name)
            .ok_or_else(|| format!("{mode} wants {name}\n{HELP}"))
    };
    let listen = option("--listen")?;
    let socket = UdpSocket::bind(&listen)
        .await
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let socket = Arc::new(socket);
    let running = match mode.as_str() {
        "enter" => blitz_io::spawn(enter(
            Arc::clone(&socket),
            find(option("--peer")?).await?,
            idle,
        )),
        "leave" => blitz_io::spawn(leave(
            Arc::clone(&socket),
            find(option("--to")?).await?,
            idle,
        )),
        _ => {
            let peer = find(option("--peer")?).await?;
            let device = option("--device")?;
            blitz_io::spawn(device::join(
                Arc::clone(&socket),
                peer,
                device::open(&device)?,
            ))
        }
    };
    if let Some(unknown) = options.keys().next() {
        return Err(format!("unknown option {unknown}\n{HELP}").into());
    }
    println!("listening on {}", socket.local_addr()?);
    io::stdout().flush()?;
    select! {
        done = running => done?,
        stop = blitz_io::signal::ctrl_c() => Ok(stop?),
    }
}

async fn find(name: String) -> Result<SocketAddr, String> {
    let found = blitz_io::net::lookup_host(&name).await;
    let mut found = found.map_err(|error| format!("cannot find {name}: {error}"))?;
    found.next().ok_or_else(|| format!("{name} has no address"))
}

/// Any free port that can reach `peer`.
async fn beside(peer: SocketAddr) -> io::Result<UdpSocket> {
    let any = match peer {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    UdpSocket::bind(any).await
}

/// Whether an error of a datagram is about one that was sent before: somebody does not listen now, which may change.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable};
    let kinds = [
        ConnectionRefused,
        ConnectionReset,
        HostUnreachable,
        NetworkUnreachable,
    ];
    // A datagram that is too long for the way is lost, as on any other.
    kinds.contains(&error.kind()) || error.kind() == io::ErrorKind::InvalidInput
}

fn pass(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Err(error) if !is_passing(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Numbers each sender, and puts its number before what it sends.
async fn enter(socket: Arc<UdpSocket>, peer: SocketAddr, idle: Duration) -> Done {
    let way = beside(peer).await?;
    way.connect(peer).await?;
    let (mut numbers, mut senders) = (HashMap::new(), HashMap::new());
    let mut next = 0u32;
    let (mut up, mut down) = (vec![0; HEAD + DATAGRAM_MAX], vec![0; HEAD + DATAGRAM_MAX]);
    let mut sweep = blitz_io::time::interval(idle.max(Duration::from_millis(1)));
    loop {
        select! {
            received = socket.recv_from(&mut up[HEAD..]) => match received {
                Ok((len, sender)) => {
                    if !numbers.contains_key(&sender) && numbers.len() >= SESSIONS_MAX {
                        continue;
                    }
                    let number = *numbers.entry(sender).or_insert_with(|| {
                        next = next.wrapping_add(1);
                        next
                    });
                    senders.insert(number, (sender, true));
                    up[..HEAD].copy_from_slice(&number.to_be_bytes());
                    pass(way.send(&up[..HEAD + len]).await)?;
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error.into()),
            },
            received = way.recv(&mut down) => match received {
                Ok(len) if len >= HEAD => {
                    let (head, body) = down[..len].split_at(HEAD);
                    let number = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
                    if let Some((sender, is_active)) = senders.get_mut(&number) {
                        *is_active = true;
                        pass(socket.send_to(body, *sender).await)?;
                    }
                }
                Ok(_) => {}
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error.into()),
            },
            _ = sweep.tick() => {
                senders.retain(|_, (sender, is_active)| {
                    let stays = std::mem::replace(is_active, false);
                    if !stays {
                        numbers.remove(sender);
                    }
                    stays
                });
            }
        }
    }
}

/// Gives each sender a socket of its own, so that the answers know their way.
async fn leave(socket: Arc<UdpSocket>, to: SocketAddr, idle: Duration) -> Done {
    let mut sessions: HashMap<(SocketAddr, u32), Arc<UdpSocket>> = HashMap::new();
    let mut answers = JoinSet::new();
    let mut buffer = vec![0; HEAD + DATAGRAM_MAX];
    loop {
        select! {
            received = socket.recv_from(&mut buffer) => match received {
                Ok((len, peer)) if len >= HEAD => {
                    let (head, body) = buffer[..len].split_at(HEAD);
                    let key = (peer, u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
                    if !sessions.contains_key(&key) {
                        if sessions.len() >= SESSIONS_MAX {
                            continue;
                        }
                        let session = beside(to).await?;
                        session.connect(to).await?;
                        let session = Arc::new(session);
                        sessions.insert(key, Arc::clone(&session));
                        let socket = Arc::clone(&socket);
                        answers.spawn(async move { (key, answer(&session, &socket, key, idle).await) });
                    }
                    pass(sessions[&key].send(body).await)?;
                }
                Ok(_) => {}
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error.into()),
            },
            Some(ended) = answers.join_next() => {
                let (key, ended) = ended?;
                sessions.remove(&key);
                ended?;
            }
        }
    }
}

/// Sends what comes back to one sender through the tunnel, until nothing has come for a while.
async fn answer(
    session: &UdpSocket,
    socket: &UdpSocket,
    key: (SocketAddr, u32),
    idle: Duration,
) -> io::Result<()> {
    let mut buffer = vec![0; HEAD + DATAGRAM_MAX];
    buffer[..HEAD].copy_from_slice(&key.1.to_be_bytes());
    loop {
        match timeout(idle, session.recv(&mut buffer[HEAD..])).await {
            Ok(Ok(len)) => pass(socket.send_to(&buffer[..HEAD + len], key.0).await)?,
            Ok(Err(error)) if is_passing(&error) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok(()),
        }
    }
}

/// The TUN device: one packet for each read and write.
#[cfg(unix)]
mod device {
    use super::{DATAGRAM_MAX, Done, is_passing, pass};
    use blitz_io::io::Interest;
    use blitz_io::io::unix::AsyncFd;
    use blitz_io::net::UdpSocket;
    use std::fs::File;
    use std::io::{self, Read, Write};
    use std::net::SocketAddr;
    use std::sync::Arc;

    pub(super) type Device = AsyncFd<File>;

    pub(super) fn open(name: &str) -> Result<Device, String> {
        let device = blitz_sys::tunnel::open(name).map_err(|error| {
            let help = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    ": it needs CAP_NET_ADMIN, or `ip tuntap add mode tun user …`"
                }
                io::ErrorKind::NotFound => ": there is no /dev/net/tun (`modprobe tun`)",
                _ => "",
            };
            format!("cannot open the device {name}: {error}{help}")
        })?;
        AsyncFd::new(File::from(device)).map_err(|error| format!("cannot watch {name}: {error}"))
    }

    pub(super) async fn join(socket: Arc<UdpSocket>, peer: SocketAddr, device: Device) -> Done {
        let (mut up, mut down) = (vec![0; DATAGRAM_MAX], vec![0; DATAGRAM_MAX]);
        loop {
            blitz_io::select! {
                read = device.async_io(Interest::READABLE, |mut file| file.read(&mut up)) => {
                    // A device that is down has nothing to say; it fails until it is up.
                    pass(socket.send_to(&up[..read?], peer).await)?;
                }
                received = socket.recv_from(&mut down) => match received {
                    Ok((len, from)) if from == peer => {
                        let packet = &down[..len];
                        let written = device.async_io(Interest::WRITABLE, |mut file| file.write(packet)).await;
                        // What is no IP packet, or comes while the device is down, is lost.
                        if let Err(error) = written {
                            eprintln!("a packet of {len} bytes was refused: {error}");
                        }
                    }
                    Ok(_) => {}
                    Err(error) if is_passing(&error) => {}
                    Err(error) => return Err(error.into()),
                },
            }
        }
    }
}

/// No such devices here.
#[cfg(not(unix))]
mod device {
    use super::Done;
    use blitz_io::net::UdpSocket;
    use std::net::SocketAddr;
    use std::sync::Arc;

    pub(super) fn open(name: &str) -> Result<(), String> {
        Err(format!(
            "cannot open the device {name}: this system has none; use enter and leave"
        ))
    }

    pub(super) async fn join(_socket: Arc<UdpSocket>, _peer: SocketAddr, (): ()) -> Done {
        unreachable!("no device was opened")
    }
}
