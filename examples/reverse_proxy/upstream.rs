//! The server behind the proxy: connections to it, one request at a time on each.
//!
//! An exchange has a task of its own, which sends the request's body and takes the answer at the same time. A connection is kept
//! for the next one only if both messages were whole, both sides would go on, and nothing came that nobody asked for.

use blitz_http::{Body, BoxError};
use blitz_http_proto::{
    BodyEncoder, Framing, Limits, ReceivedResponse, RequestHead, ResponseDecoder, ResponseEvent,
};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::TcpStream;
use blitz_io::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use blitz_io::sync::{mpsc, oneshot};
use blitz_io::time::timeout;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body::{Body as _, Frame};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Connections that are kept.
const KEPT: usize = 64;
/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(5);

pub(crate) struct Upstream {
    addr: String,
    timeout: Duration,
    idle: Mutex<Vec<TcpStream>>,
}

/// A request for the server.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
}

type Frames = mpsc::Receiver<Result<Frame<Bytes>, BoxError>>;

/// What follows the head.
pub(crate) enum Content {
    Nothing,
    Frames(Frames),
    Tunnel(Tunnel),
}

/// Another protocol's connection, and what came of it behind the head.
pub(crate) struct Tunnel {
    pub(crate) ahead: Bytes,
    pub(crate) stream: TcpStream,
}

#[derive(Debug)]
pub(crate) enum Failure {
    Unreachable,
    /// The connection ended before the answer began; `unseen` if it was one that waited, and may have been closed meanwhile.
    Gone {
        unseen: bool,
    },
    Nonsense,
    Late,
    /// The client's body did not come whole.
    Client(StatusCode),
}

impl Upstream {
    pub(crate) fn new(addr: String, timeout: Duration) -> Upstream {
        Upstream {
            addr,
            timeout,
            idle: Mutex::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.addr
    }

    /// Asks the server. What may be asked twice without harm is, if a connection that had waited turns out to be closed.
    pub(crate) async fn ask(self: &Arc<Self>, asked: Asked, body: Body) -> Result<Answer, Failure> {
        let empty = body.is_end_stream();
        if empty
            && is_idempotent(&asked.method)
            && let Some(stream) = self.take()
        {
            match self
                .exchange(stream, true, asked.clone(), Body::empty())
                .await
            {
                Err(Failure::Gone { unseen: true }) => {}
                answer => return answer,
            }
        }
        let stream = match timeout(CONNECT, TcpStream::connect(&self.addr)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) => return Err(Failure::Unreachable),
            Err(_) => return Err(Failure::Late),
        };
        // Without it the head would wait for the body; a stream that takes no options is broken, as its first use will say.
        let _ = stream.set_nodelay(true);
        self.exchange(stream, false, asked, body).await
    }

    async fn exchange(
        self: &Arc<Self>,
        stream: TcpStream,
        waited: bool,
        asked: Asked,
        body: Body,
    ) -> Result<Answer, Failure> {
        let (answer, wait) = oneshot::channel();
        let (read, write) = stream.into_split();
        // Answers only pass through here.
        let mut limits = Limits::default();
        limits.body_bytes = u64::MAX;
        let exchange = Exchange {
            upstream: Arc::clone(self),
            waited,
            sent: Arc::default(),
            read,
            input: BytesMut::new(),
            came: false,
            decoder: ResponseDecoder::new(limits),
        };
        blitz_io::spawn(exchange.run(write, asked, body, answer));
        // A task that ends without a word has lost its runtime.
        wait.await.unwrap_or(Err(Failure::Unreachable))
    }

    /// A connection that waits and has nothing to say.
    fn take(&self) -> Option<TcpStream> {
        loop {
            let stream = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop()?;
            match stream.try_read(&mut [0]) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    return Some(stream);
                }
                // It was closed, or the server speaks without being asked.
                _ => {}
            }
        }
    }

    fn keep(&self, stream: TcpStream) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(stream);
        }
    }
}

/// RFC 9110 §9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    )
}

type Say = oneshot::Sender<Result<Answer, Failure>>;

/// One request and its answer on a connection.
struct Exchange {
    upstream: Arc<Upstream>,
    /// The connection was used before.
    waited: bool,
    /// Bytes that went to the server: who still sends makes progress.
    sent: Arc<AtomicU64>,
    read: OwnedReadHalf,
    input: BytesMut,
    /// Something of the answer came.
    came: bool,
    decoder: ResponseDecoder,
}

/// How an answer ended.
enum Ended {
    /// It was whole, and the server would go on.
    Clean,
    Otherwise,
    /// What follows is another protocol; the client has not been told yet.
    Tunnel(Say, StatusCode, HeaderMap),
}

impl Exchange {
    async fn run(mut self, mut write: OwnedWriteHalf, asked: Asked, body: Body, say: Say) {
        let sent = Arc::clone(&self.sent);
        let method = asked.method.clone();
        let (stop, stopped) = oneshot::channel::<Failure>();
        let sending = async {
            match send(&mut write, asked, body, &sent).await {
                Ok(()) => true,
                Err(failure) => {
                    // A server may answer before it has read all, and close: its answer tells. A client that breaks off is told so.
                    if matches!(failure, Failure::Client(_)) {
                        let _ = stop.send(failure);
                    }
                    false
                }
            }
        };
        let (whole, ended) = {
            let (mut sending, mut receiving) =
                (pin!(sending), pin!(self.receive(&method, say, stopped)));
            blitz_io::select! {
                biased;
                whole = &mut sending => (whole, receiving.await),
                // An answer that is over before its request: nobody wants the rest, and a server that reads nothing would never let go.
                ended = &mut receiving => (false, ended),
            }
        };
        match ended {
            Ended::Clean if whole && self.input.is_empty() => {
                if let Ok(stream) = self.read.reunite(write) {
                    self.upstream.keep(stream);
                }
            }
            Ended::Tunnel(say, status, headers) => {
                let Ok(stream) = self.read.reunite(write) else {
                    return;
                };
                let content = Content::Tunnel(Tunnel {
                    ahead: self.input.freeze(),
                    stream,
                });
                // A client that is gone needs no tunnel.
                let _ = say.send(Ok(Answer {
                    status,
                    headers,
                    content,
                }));
            }
            _ => {}
        }
    }

    /// Takes the answer, and hands it on as it comes.
    async fn receive(
        &mut self,
        method: &Method,
        mut say: Say,
        mut stopped: oneshot::Receiver<Failure>,
    ) -> Ended {
        self.decoder.asked(method);
        // The head; the handler goes away with its client, and a body that fails ends the wait.
        let head = blitz_io::select! {
            head = self.head() => head,
            Ok(failure) = &mut stopped => Err(failure),
            () = say.closed() => return Ended::Otherwise,
        };
        let head = match head {
            Ok(head) => head,
            Err(failure) => {
                // As above.
                let _ = say.send(Err(failure));
                return Ended::Otherwise;
            }
        };
        let (status, headers) = (head.status, head.headers);
        if head.framing == Framing::Tunnel {
            return Ended::Tunnel(say, status, headers);
        }
        let keep = head.keep_alive;
        let (frames, content) = if head.framing == Framing::None {
            (None, Content::Nothing)
        } else {
            // One at a time: the server feels how fast the client takes them.
            let (sender, receiver) = mpsc::channel(1);
            (Some(sender), Content::Frames(receiver))
        };
        let answer = Answer {
            status,
            headers,
            content,
        };
        if say.send(Ok(answer)).is_err() {
            return Ended::Otherwise;
        }
        loop {
            let frame = match self.next().await {
                Ok(ResponseEvent::Data(data)) => Frame::data(data),
                Ok(ResponseEvent::Trailers(map)) => Frame::trailers(map),
                Ok(ResponseEvent::End) if keep => return Ended::Clean,
                Ok(ResponseEvent::End) => return Ended::Otherwise,
                other => {
                    let why = match other {
                        Err(Failure::Late) => "the server makes no progress",
                        _ => "the server's answer is cut off or malformed",
                    };
                    if let Some(frames) = frames {
                        // A client that is gone has nothing to be told.
                        let _ = frames.send(Err(why.into())).await;
                    }
                    return Ended::Otherwise;
                }
            };
            match &frames {
                Some(frames) if frames.send(Ok(frame)).await.is_ok() => {}
                // The client is gone.
                _ => return Ended::Otherwise,
            }
        }
    }

    /// The head of the answer, behind those that only inform.
    async fn head(&mut self) -> Result<ReceivedResponse, Failure> {
        loop {
            match self.next().await? {
                ResponseEvent::Informational(_) => {}
                ResponseEvent::Head(head) => return Ok(head),
                _ => return Err(Failure::Nonsense),
            }
        }
    }

    /// What comes next of the answer. Late if for the whole of the timeout nothing came, and nothing went either.
    async fn next(&mut self) -> Result<ResponseEvent, Failure> {
        // ORDERING: Relaxed throughout: whether a number has changed is all that is asked.
        let mut sent = self.sent.load(Relaxed);
        loop {
            match self.decoder.decode(&mut self.input) {
                Ok(Some(event)) => return Ok(event),
                Ok(None) => {}
                Err(_) => return Err(Failure::Nonsense),
            }
            self.input.reserve(16 * 1024);
            let read = self.read.read_buf(&mut self.input);
            match timeout(self.upstream.timeout, read).await {
                Ok(Ok(1..)) => self.came = true,
                Ok(Ok(0)) => match self.decoder.finish(&self.input) {
                    // Its end is the connection's, and comes next.
                    Ok(true) => {}
                    _ => return Err(self.gone()),
                },
                Ok(Err(_)) => return Err(self.gone()),
                Err(_) => {
                    // ORDERING: as above.
                    let now = self.sent.load(Relaxed);
                    if now == sent {
                        return Err(Failure::Late);
                    }
                    sent = now;
                }
            }
        }
    }

    fn gone(&self) -> Failure {
        Failure::Gone {
            unseen: self.waited && !self.came,
        }
    }
}

/// Sends a request with its body, as it comes from the client.
async fn send(
    write: &mut OwnedWriteHalf,
    asked: Asked,
    mut body: Body,
    sent: &AtomicU64,
) -> Result<(), Failure> {
    let mut out = BytesMut::new();
    let head = RequestHead {
        method: &asked.method,
        target: (&asked.uri).into(),
        headers: &asked.headers,
        length: body.size_hint().exact(),
        to_proxy: false,
    };
    let mut encoder = head.write(&mut out);
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Client(error.status()))?;
        match frame.into_data() {
            Ok(data) => {
                let broken = |_| Failure::Client(StatusCode::BAD_REQUEST);
                encoder.before(data.len(), &mut out).map_err(broken)?;
                flush(write, &mut out, sent).await?;
                write.write_all(&data).await.map_err(|_| WRITE_FAILED)?;
                // ORDERING: as in `next`.
                sent.fetch_add(data.len() as u64, Relaxed);
                encoder.after(&mut out);
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    let broken = |_| Failure::Client(StatusCode::BAD_REQUEST);
    let end: &mut BodyEncoder = &mut encoder;
    end.finish(trailers.as_ref(), &mut out).map_err(broken)?;
    flush(write, &mut out, sent).await
}

const WRITE_FAILED: Failure = Failure::Gone { unseen: false };

async fn flush(
    write: &mut OwnedWriteHalf,
    out: &mut BytesMut,
    sent: &AtomicU64,
) -> Result<(), Failure> {
    write.write_all(out).await.map_err(|_| WRITE_FAILED)?;
    // ORDERING: as in `next`.
    sent.fetch_add(out.len() as u64, Relaxed);
    out.clear();
    Ok(())
}
