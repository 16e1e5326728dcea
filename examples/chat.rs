//! A chat server: rooms, a policy for those who read too slowly, and an end that lets everybody finish.
//!
//! ```text
//! cargo run --release --example chat -- --addr 127.0.0.1:7010
//! nc 127.0.0.1 7010
//! ```
//!
//! Prints `listening on …`. The first line that a client sends is its name. Then each line is said in its room, but for
//! those that begin with a slash: `/join ROOM`, `/who` and `/quit`. A room keeps its last messages for those who are behind (`--backlog`): who is further behind has
//! missed some and is told so, or is sent away (`--slow skip|leave`). Whose socket takes nothing for `--patience` is sent away in any case.
//! On Ctrl-C or SIGTERM nobody new is let in, everybody gets what was said and a farewell, and the server ends within 5 seconds.

use blitz_io::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Take};
use blitz_io::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::select;
use blitz_io::sync::CancellationToken;
use blitz_io::sync::broadcast::{self, error::RecvError};
use blitz_io::task::TaskTracker;
use blitz_io::time::{Duration, sleep, timeout};
use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

const HELP: &str = "chat [--addr ADDR] [--backlog N] [--slow skip|leave] [--patience SECONDS]
    --addr ADDR    where to listen (127.0.0.1:7010)
    --backlog N    messages that a room keeps for those who are behind (64)
    --slow WHAT    who is further behind: skip what was missed, or leave (skip)
    --patience S   whose socket takes nothing for so many seconds is sent away (10)";

const LINE_MAX: u64 = 4096;
const FAREWELL_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
enum Slow {
    Skip,
    Leave,
}

/// One room: what is said in it, and by whom it is heard.
struct Room {
    said: broadcast::Sender<Arc<str>>,
    names: BTreeSet<String>,
}

struct Server {
    rooms: Mutex<HashMap<String, Room>>,
    backlog: usize,
    slow: Slow,
    patience: Duration,
    closing: CancellationToken,
}

/// A client's sending side, and how long it may take nothing.
struct Writer {
    stream: OwnedWriteHalf,
    patience: Duration,
}

impl Writer {
    async fn line(&mut self, text: &str) -> io::Result<()> {
        let line = format!("{text}\n");
        timeout(self.patience, self.stream.write_all(line.as_bytes()))
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it takes nothing"))?
    }

    /// Says why its line was not read, if there is somebody to be told.
    async fn refuse(&mut self, error: io::Error) -> io::Result<()> {
        if error.kind() == io::ErrorKind::InvalidData {
            self.line(&format!("* {error}")).await?;
        }
        Err(error)
    }
}

/// A place in a room; leaving is dropping it.
struct Place<'a> {
    server: &'a Server,
    room: String,
    name: String,
    said: broadcast::Sender<Arc<str>>,
    hears: broadcast::Receiver<Arc<str>>,
}

impl Server {
    /// Enters a room, which is made if need be. None if the name is taken there.
    fn enter(&self, room: &str, name: &str) -> Option<Place<'_>> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = rooms.entry(room.to_owned()).or_insert_with(|| Room {
            said: broadcast::channel(self.backlog).0,
            names: BTreeSet::new(),
        });
        if !entry.names.insert(name.to_owned()) {
            return None;
        }
        let (said, hears) = (entry.said.clone(), entry.said.subscribe());
        drop(rooms);
        let place = Place {
            server: self,
            room: room.to_owned(),
            name: name.to_owned(),
            said,
            hears,
        };
        place.say(format!("* {name} is here"));
        Some(place)
    }

    fn names(&self, room: &str) -> String {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let names = rooms.get(room).map(|room| room.names.iter());
        let names: Vec<_> = names.into_iter().flatten().map(String::as_str).collect();
        names.join(", ")
    }
}

impl Place<'_> {
    fn say(&self, text: String) {
        // Nobody there to hear it is no error.
        let _ = self.said.send(text.into());
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut rooms = self
            .server
            .rooms
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = rooms.get_mut(&self.room) {
            room.names.remove(&self.name);
            if room.names.is_empty() {
                rooms.remove(&self.room);
            }
        }
        drop(rooms);
        self.say(format!("* {} has left", self.name));
    }
}

/// One client, from its name to its end.
async fn serve(stream: TcpStream, server: Arc<Server>) -> io::Result<()> {
    let (reader, writer) = stream.into_split();
    let mut writer = Writer {
        stream: writer,
        patience: server.patience,
    };
    // A line without an end must not fill the memory: each has so many bytes to end in.
    let mut lines = BufReader::new(reader.take(LINE_MAX));
    let mut line = Vec::new();
    writer.line("* your name?").await?;
    let name = select! {
        read = read_line(&mut lines, &mut line) => match read {
            Ok(true) => String::from_utf8_lossy(&line).trim().to_owned(),
            Ok(false) => return Ok(()),
            Err(error) => return writer.refuse(error).await,
        },
        () = server.closing.cancelled() => return writer.line("* the server closes").await,
    };
    line.clear();
    if name.is_empty() || name.starts_with(['/', '*']) {
        return writer.line("* that is no name").await;
    }
    let Some(mut place) = server.enter("lobby", &name) else {
        return writer.line("* that name is taken").await;
    };
    loop {
        // Both are cancel safe: what has come of a line stays in `line`, a message is taken by the poll that returns it.
        select! {
            read = read_line(&mut lines, &mut line) => {
                match read {
                    Ok(true) => {}
                    Ok(false) => return Ok(()),
                    Err(error) => return writer.refuse(error).await,
                }
                let bytes = std::mem::take(&mut line);
                let text = String::from_utf8_lossy(&bytes);
                let text = text.trim_end();
                if text == "/quit" {
                    return writer.line("* goodbye").await;
                } else if text == "/who" {
                    writer.line(&format!("* {}: {}", place.room, server.names(&place.room))).await?;
                } else if let Some(room) = text.strip_prefix("/join ") {
                    match server.enter(room.trim(), &name) {
                        Some(entered) => place = entered,
                        None => writer.line("* that name is taken there").await?,
                    }
                } else if text.starts_with('/') {
                    writer.line("* there is /join ROOM, /who and /quit").await?;
                } else if !text.is_empty() {
                    place.say(format!("{name}: {text}"));
                }
            }
            message = place.hears.recv() => match (message, server.slow) {
                (Ok(text), _) => writer.line(&text).await?,
                (Err(RecvError::Lagged(missed)), Slow::Skip) => {
                    writer.line(&format!("* you have missed {missed} messages")).await?;
                }
                (Err(RecvError::Lagged(_)), Slow::Leave) => {
                    return writer.line("* you are too slow").await;
                }
                (Err(RecvError::Closed), _) => unreachable!("the place holds a sender"),
            },
            () = server.closing.cancelled() => break,
        }
    }
    // What was said before the end still arrives.
    while let Ok(text) = place.hears.try_recv() {
        writer.line(&text).await?;
    }
    writer.line("* the server closes").await?;
    writer.stream.shutdown().await
}

/// Reads a line, or to the end: false then. What it has read when it is dropped stays in `line`.
async fn read_line(
    lines: &mut BufReader<Take<OwnedReadHalf>>,
    line: &mut Vec<u8>,
) -> io::Result<bool> {
    lines.read_until(b'\n', line).await?;
    if line.ends_with(b"\n") {
        lines.get_mut().set_limit(LINE_MAX);
        return Ok(true);
    }
    if lines.get_ref().limit() == 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the line is too long",
        ));
    }
    Ok(false)
}

#[blitz_io::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The number that is the value of an option.
fn number<T: FromStr>(option: &str, value: &str) -> Result<T, String>
where
    T::Err: Display,
{
    let number = value.parse();
    number.map_err(|error| format!("{option} wants a number, and {value:?} is none: {error}"))
}

async fn run() -> Result<(), Box<dyn Error>> {
    let (mut addr, mut backlog, mut slow) = ("127.0.0.1:7010".to_owned(), 64, Slow::Skip);
    let mut patience = Duration::from_secs(10);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--help" {
            println!("{HELP}");
            return Ok(());
        }
        let value = args
            .next()
            .ok_or_else(|| format!("{arg} wants a value, or is unknown\n{HELP}"))?;
        match (arg.as_str(), value.as_str()) {
            ("--addr", _) => addr = value,
            ("--backlog", _) => backlog = number(&arg, &value)?,
            ("--patience", _) => patience = Duration::from_secs(number(&arg, &value)?),
            ("--slow", "skip") => slow = Slow::Skip,
            ("--slow", "leave") => slow = Slow::Leave,
            _ => return Err(format!("unknown: {arg} {value}\n{HELP}").into()),
        }
    }
    if backlog == 0 {
        return Err("--backlog is at least 1".into());
    }
    let listener = TcpListener::bind(&addr)
        .await
        .map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    let server = Arc::new(Server {
        rooms: Mutex::default(),
        backlog,
        slow,
        patience,
        closing: CancellationToken::new(),
    });
    let stop = stop_signal()?;
    println!("listening on {}", listener.local_addr()?);
    io::stdout().flush()?;

    let clients = TaskTracker::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let server = Arc::clone(&server);
                    clients.spawn(async move {
                        if let Err(error) = serve(stream, server).await {
                            eprintln!("{peer}: {error}");
                        }
                    });
                }
                Err(error) => {
                    eprintln!("cannot accept: {error}");
                    sleep(Duration::from_millis(50)).await;
                }
            },
            () = &mut stop => break,
        }
    }
    drop(listener);
    server.closing.cancel();
    clients.close();
    match timeout(FAREWELL_MAX, clients.wait()).await {
        Ok(()) => println!("everybody has left"),
        Err(_) => println!("{} are left behind", clients.len()),
    }
    Ok(())
}

/// Listens from now on; ready once the program is told to end.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use blitz_io::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Listens once it is polled; ready once the program is told to end.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a signal it runs until it is killed.
        if blitz_io::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
