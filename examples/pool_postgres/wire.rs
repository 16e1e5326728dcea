//! As much of PostgreSQL's and Redis' languages as the example speaks: questions in text, one at a time.

use std::fmt;
use std::io;
use std::path::Path;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpStream, UnixStream};
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// No answer of a server is longer.
const ANSWER_MAX: usize = 16 << 20;

#[derive(Debug)]
pub(crate) enum Failure {
    Io(io::Error),
    /// The server says no.
    Refused(String),
    /// The server says what this does not understand.
    Unknown(&'static str),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the connection failed: {error}"),
            Self::Refused(why) => write!(f, "the server refuses: {why}"),
            Self::Unknown(what) => write!(f, "the server sent {what}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    async fn connect(address: &str) -> io::Result<Self> {
        if Path::new(address).is_absolute() {
            UnixStream::connect(address).await.map(Self::Unix)
        } else {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Self::Tcp(stream))
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Unix(stream) => stream.write_all(bytes).await,
        }
    }

    async fn read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read_buf(into).await,
            Self::Unix(stream) => stream.read_buf(into).await,
        }
    }

    fn try_read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(into),
            Self::Unix(stream) => stream.try_read(into),
        }
    }
}

/// Rows of columns, in text; an absent value is empty.
pub(crate) type Rows = Vec<Vec<String>>;

pub(crate) struct Connection {
    socket: Socket,
    inbox: BytesMut,
    is_postgres: bool,
    /// A question was asked, and its answer has not ended.
    is_midway: bool,
    in_transaction: bool,
    /// What tells this connection from others.
    peer: u64,
}

impl Connection {
    async fn new(address: &str, is_postgres: bool) -> Result<Self, Failure> {
        Ok(Self {
            socket: Socket::connect(address).await?,
            inbox: BytesMut::new(),
            is_postgres,
            is_midway: false,
            in_transaction: false,
            peer: 0,
        })
    }

    pub(crate) async fn postgres(address: &str, user: &str) -> Result<Self, Failure> {
        let mut this = Self::new(address, true).await?;
        let words = [
            "user",
            user,
            "database",
            "postgres",
            "application_name",
            "pool_postgres",
        ];
        let mut hello = BytesMut::new();
        let len = 9 + words.iter().map(|word| word.len() + 1).sum::<usize>();
        hello.put_u32(len as u32);
        // Version 3.0 of the protocol.
        hello.put_u32(3 << 16);
        for word in words {
            hello.put_slice(word.as_bytes());
            hello.put_u8(0);
        }
        hello.put_u8(0);
        this.socket.write_all(&hello).await?;
        this.answer().await?;
        Ok(this)
    }

    pub(crate) async fn redis(address: &str) -> Result<Self, Failure> {
        let mut this = Self::new(address, false).await?;
        let id = this.command(&["CLIENT", "ID"]).await?;
        this.peer = id.parse().map_err(|_| Failure::Unknown("no number"))?;
        Ok(this)
    }

    pub(crate) fn is_midway(&self) -> bool {
        self.is_midway
    }

    pub(crate) fn is_in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Between two questions a server says nothing: whatever is there, an end or a word, means that it has done with us.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let read = self.socket.try_read(&mut [0]);
        self.inbox.is_empty() && read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    pub(crate) async fn ping(&mut self) -> Result<(), Failure> {
        if self.is_postgres {
            self.query("").await.map(drop)
        } else {
            self.command(&["PING"]).await.map(drop)
        }
    }

    /// Has the server add two numbers; gives the number of the connection and the sum.
    pub(crate) async fn add(&mut self, one: u64, other: u64) -> Result<(u64, u64), Failure> {
        let number = |word: &str| word.parse().map_err(|_| Failure::Unknown("no number"));
        if self.is_postgres {
            let rows = self
                .query(&format!("SELECT pg_backend_pid(), {one} + {other}"))
                .await?;
            return match rows.first().map(Vec::as_slice) {
                Some([peer, sum]) => Ok((number(peer)?, number(sum)?)),
                _ => Err(Failure::Unknown("no row of two")),
            };
        }
        let sum = format!("return {one} + {other}");
        let sum = number(&self.command(&["EVAL", &sum, "0"]).await?)?;
        Ok((self.peer, sum))
    }

    pub(crate) async fn take_leave(&mut self) {
        let word: &[u8] = if self.is_postgres {
            b"X\0\0\0\x04"
        } else {
            b"*1\r\n$4\r\nQUIT\r\n"
        };
        // Who does not hear it sees the end of the connection.
        let _ = self.socket.write_all(word).await;
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        if self.inbox.len() > ANSWER_MAX {
            return Err(Failure::Unknown("an answer without end"));
        }
        match self.socket.read(&mut self.inbox).await? {
            0 => Err(Failure::Io(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }

    /// Asks PostgreSQL.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Rows, Failure> {
        let mut question = BytesMut::with_capacity(sql.len() + 6);
        question.put_u8(b'Q');
        question.put_u32(sql.len() as u32 + 5);
        question.put_slice(sql.as_bytes());
        question.put_u8(0);
        self.is_midway = true;
        self.socket.write_all(&question).await?;
        self.answer().await
    }

    /// Reads until PostgreSQL is ready for the next question.
    async fn answer(&mut self) -> Result<Rows, Failure> {
        self.is_midway = true;
        let (mut rows, mut refused) = (Rows::new(), None);
        loop {
            let (kind, mut body) = self.message().await?;
            match kind {
                b'Z' => {
                    self.in_transaction = body.first() != Some(&b'I');
                    self.is_midway = false;
                    return refused.map_or(Ok(rows), |why| Err(Failure::Refused(why)));
                }
                b'E' => {
                    let why = field(&body, b'M');
                    if !self.is_midway || field(&body, b'S') == "FATAL" {
                        return Err(Failure::Refused(why));
                    }
                    refused = Some(why);
                }
                b'R' if body.try_get_u32() != Ok(0) => {
                    let why = "it wants a password, and this example has none";
                    return Err(Failure::Refused(why.to_owned()));
                }
                b'D' => rows.push(columns(body).ok_or(Failure::Unknown("half a row"))?),
                // Parameters, notices, the shape of rows, ends of commands.
                _ => {}
            }
        }
    }

    async fn message(&mut self) -> Result<(u8, Bytes), Failure> {
        loop {
            if let [kind, a, b, c, d, ..] = self.inbox[..] {
                let len = u32::from_be_bytes([a, b, c, d]) as usize;
                if !(4..ANSWER_MAX).contains(&len) {
                    return Err(Failure::Unknown("a message of no length"));
                }
                if self.inbox.len() > len {
                    let mut message = self.inbox.split_to(len + 1).freeze();
                    message.advance(5);
                    return Ok((kind, message));
                }
            }
            self.fill().await?;
        }
    }

    /// Asks Redis for something short.
    async fn command(&mut self, words: &[&str]) -> Result<String, Failure> {
        let mut question = format!("*{}\r\n", words.len());
        for word in words {
            question.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.is_midway = true;
        self.socket.write_all(question.as_bytes()).await?;
        let line = self.line().await?;
        let (kind, rest) = line
            .split_at_checked(1)
            .ok_or(Failure::Unknown("an empty line"))?;
        let answer = match kind {
            "+" | ":" => Ok(rest.to_owned()),
            "-" => Err(Failure::Refused(rest.to_owned())),
            "$" => Ok(self.line().await?),
            _ => return Err(Failure::Unknown("another kind of answer")),
        };
        self.is_midway = false;
        answer
    }

    async fn line(&mut self) -> Result<String, Failure> {
        let mut seen = 0;
        loop {
            if let Some(at) = self.inbox[seen..].windows(2).position(|two| two == b"\r\n") {
                let line = self.inbox.split_to(seen + at);
                self.inbox.advance(2);
                return String::from_utf8(line.to_vec()).map_err(|_| Failure::Unknown("no text"));
            }
            seen = self.inbox.len().saturating_sub(1);
            self.fill().await?;
        }
    }
}

/// A field of PostgreSQL's error.
fn field(body: &[u8], kind: u8) -> String {
    let field = body
        .split(|byte| *byte == 0)
        .find(|field| field.first() == Some(&kind));
    field.map_or_else(String::new, |field| {
        String::from_utf8_lossy(&field[1..]).into_owned()
    })
}

fn columns(mut body: Bytes) -> Option<Vec<String>> {
    let count = body.try_get_u16().ok()?;
    let mut columns = Vec::with_capacity(count.into());
    for _ in 0..count {
        let len = usize::try_from(body.try_get_i32().ok()?).unwrap_or(0);
        if body.len() < len {
            return None;
        }
        columns.push(String::from_utf8_lossy(&body.split_to(len)).into_owned());
    }
    Some(columns)
}
