//! The halves of a socket, and the pump that writes what rooms have for it.
//!
//! All three write: the receiver answers pings. A stream knows one task that waits for room, so that task is [`Tasks`], which wakes those
//! that wait. What one has done for the others, it tells when it has put the lock down.

use super::outbox::{Outbox, Wire, keep};
use super::state::{Pumped, State};
use super::{CloseCode, Error, Message, Slow, TrySendError, WebSocket};
use blitz_io::stream::Stream;
use futures_sink::Sink;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

pub(super) fn halves(mut state: Box<State>) -> (Sender, Receiver) {
    state.is_shared(true);
    let tasks = Arc::new(Tasks::default());
    let shared = Arc::new(Shared {
        writes: Waker::from(Arc::clone(&tasks)),
        tasks,
        slow: state.parts.slow,
        wire: state.parts.wire,
        state: Mutex::new(Some(state)),
        outbox: OnceLock::new(),
    });
    let sender = Sender {
        shared: Arc::clone(&shared),
    };
    (sender, Receiver { shared })
}

pub(super) struct Shared {
    /// None once the halves are one again.
    state: Mutex<Option<Box<State>>>,
    tasks: Arc<Tasks>,
    /// The same as a waker.
    writes: Waker,
    slow: Slow,
    wire: Wire,
    /// There is one once it was in a room.
    outbox: OnceLock<Arc<Outbox>>,
}

/// Who polls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Sender,
    Receiver,
    Pump,
}

/// Who waits.
#[derive(Default)]
struct Tasks(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    wakers: [Option<Waker>; 3],
    /// It has something to write, or waits for that.
    writes: [bool; 3],
    gone: [bool; 3],
}

const ALL: [Who; 3] = [Who::Sender, Who::Receiver, Who::Pump];

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tasks {
    /// Wakes those that write, or all, but for one.
    fn wake_others(&self, one: Option<Who>, all: bool) {
        let mut waiting = lock(&self.0);
        let wakers = ALL.map(|who| {
            let writes = all || waiting.writes[who as usize];
            let others = writes && one != Some(who);
            others
                .then(|| waiting.wakers[who as usize].take())
                .flatten()
        });
        drop(waiting);
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }
}

impl Wake for Tasks {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_others(None, false);
    }
}

impl Shared {
    /// Polls for one of them; nothing if the halves are one again.
    fn poll<T>(
        &self,
        who: Who,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut State, &mut Context<'_>, &Waker) -> Poll<T>,
    ) -> Option<Poll<T>> {
        let mut waiting = lock(&self.tasks.0);
        let old = keep(&mut waiting.wakers[who as usize], cx.waker());
        waiting.writes[who as usize] = true;
        drop(waiting);
        drop(old);
        let mut guard = lock(&self.state);
        let state = &mut **guard.as_mut()?;
        let polled = poll(state, cx, &self.writes);
        let moved = std::mem::take(&mut state.moved);
        let turned = std::mem::take(&mut state.turned);
        let mut waiting = lock(&self.tasks.0);
        waiting.writes[who as usize] =
            polled.is_pending() && (who == Who::Sender || state.is_writing());
        let gone = if polled.is_ready() {
            waiting.wakers[who as usize].take()
        } else {
            None
        };
        drop(waiting);
        let spent = state.spent();
        drop(guard);
        drop((gone, spent));
        if moved || turned {
            self.tasks.wake_others(Some(who), turned);
        }
        Some(polled)
    }

    /// The same for one of the halves.
    fn half<T>(
        &self,
        who: Who,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut State, &mut Context<'_>, &Waker) -> Poll<T>,
    ) -> Poll<T> {
        self.poll(who, cx, poll).expect(WHOLE)
    }

    /// Looks at the state, for a half.
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let mut guard = lock(&self.state);
        let state = &mut **guard.as_mut().expect(WHOLE);
        let looked = look(state);
        let spent = state.spent();
        drop(guard);
        drop(spent);
        looked
    }

    /// For how many it waits in the queue of its rooms.
    pub(super) fn outbox(&self) -> &Arc<Outbox> {
        self.outbox
            .get_or_init(|| Arc::new(Outbox::new(self.slow, self.wire)))
    }

    /// One of the halves is dropped. With the second one the connection goes.
    fn is_without(&self, who: Who) {
        let mut waiting = lock(&self.tasks.0);
        waiting.gone[who as usize] = true;
        let waker = waiting.wakers[who as usize].take();
        let is_last = waiting.gone[Who::Sender as usize] && waiting.gone[Who::Receiver as usize];
        drop(waiting);
        drop(waker);
        if is_last && let Some(outbox) = self.outbox.get() {
            outbox.end();
        }
    }

    fn is_received_from(&self) -> bool {
        !lock(&self.tasks.0).gone[Who::Receiver as usize]
    }
}

const WHOLE: &str = "a half has its socket until both are one again";

/// Writes what rooms have for a socket, in a task of its own: a member that waits for room in the queue of another need not be polled for
/// its own queue to become empty.
pub(super) struct Pump {
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
    is_idle: bool,
}

impl Pump {
    pub(super) fn new(sender: &Sender) -> Pump {
        Pump {
            shared: Arc::clone(&sender.shared),
            outbox: Arc::clone(sender.outbox()),
            is_idle: false,
        }
    }
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let (shared, outbox) = (&this.shared, &*this.outbox);
        let mut taken = 0;
        let polled = shared.poll(Who::Pump, cx, |state, cx, writes| {
            let polled = state.poll_shared(cx, writes, outbox, &mut taken);
            if let Poll::Ready(Pumped::Slow) = polled {
                state.is_slow(shared.is_received_from());
            }
            polled
        });
        if taken > 0 {
            outbox.has_room(taken);
        }
        match polled {
            Some(Poll::Pending) => Poll::Pending,
            Some(Poll::Ready(pumped)) => {
                this.is_idle = pumped == Pumped::Idle;
                Poll::Ready(())
            }
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        if !self.is_idle {
            self.outbox.end();
        }
    }
}

/// The half that sends. Pings go out, and the end comes in good order, while its [`Receiver`] is received from.
///
/// With it a socket joins a [`Room`](super::Room).
pub struct Sender {
    shared: Arc<Shared>,
}

impl Sender {
    /// Sends a message, and returns when it is written; as [`WebSocket::send`](super::WebSocket::send).
    ///
    /// # Cancel safety
    /// A dropped call has sent all of the message or nothing: where it waited for room, nothing; where it waited for the connection
    /// to take the message, that goes out with what is sent or received next.
    ///
    /// # Errors
    /// When the socket is closed, the connection fails, or the peer takes nothing for too long.
    pub async fn send(&mut self, message: Message) -> Result<(), Error> {
        poll_fn(|cx| Pin::new(&mut *self).poll_ready(cx)).await?;
        Pin::new(&mut *self).start_send(message)?;
        poll_fn(|cx| Pin::new(&mut *self).poll_flush(cx)).await
    }

    /// Sends a message if there is room for it; as [`WebSocket::try_send`](super::WebSocket::try_send).
    ///
    /// # Errors
    /// When there is no room, or the socket is closed; the message comes back.
    pub fn try_send(&mut self, message: Message) -> Result<(), TrySendError> {
        let writes = &self.shared.writes;
        let (sent, all) = self.shared.with(|state| {
            let sent = state.try_send(message, writes);
            let turned = std::mem::take(&mut state.turned) | state.is_writing();
            state.moved = false;
            (sent, turned)
        });
        let sent = sent.map(drop);
        // Who receives writes what is left.
        self.shared.tasks.wake_others(Some(Who::Sender), all);
        sent
    }

    /// Says close. The [`Receiver`] goes on until the peer has closed too; where it was dropped, this waits for that.
    ///
    /// What rooms have sent and this peer has not taken is not sent any more.
    ///
    /// # Cancel safety
    /// Safe: a close that was begun goes on with the next call, or while messages are received.
    ///
    /// # Errors
    /// When the connection fails; where this waits for the peer, also when that does not close in time.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        poll_fn(|cx| self.poll_close_with(cx, code, reason)).await
    }

    fn poll_close_with(
        &mut self,
        cx: &mut Context<'_>,
        code: CloseCode,
        reason: &str,
    ) -> Poll<Result<(), Error>> {
        if !self.shared.is_received_from() {
            return self.shared.half(Who::Receiver, cx, |state, cx, writes| {
                state.begin_close(code, reason);
                state.poll_end(cx, writes)
            });
        }
        self.shared.half(Who::Sender, cx, |state, _, writes| {
            state.begin_close(code, reason);
            state.poll_flush(&mut Context::from_waker(writes))
        })
    }

    /// The whole again, out of both halves. It is in no [`Room`](super::Room) any more, and what those have sent and its peer has not taken
    /// is not sent.
    ///
    /// # Errors
    /// When the halves are of two sockets; both come back.
    pub fn reunite(self, receiver: Receiver) -> Result<WebSocket, ReuniteError> {
        if !Arc::ptr_eq(&self.shared, &receiver.shared) {
            return Err(ReuniteError(self, receiver));
        }
        let mut state = lock(&self.shared.state).take().expect(WHOLE);
        state.is_shared(false);
        // Dropping the halves ends the outbox.
        drop((self, receiver));
        Ok(WebSocket::of(state))
    }

    /// Bytes that wait to be written.
    pub fn bytes_waiting(&self) -> usize {
        self.shared.with(|state| state.bytes_waiting())
    }

    /// How long the last ping and its pong took together; none before the first.
    pub fn rtt(&self) -> Option<Duration> {
        self.shared.with(|state| state.rtt())
    }

    pub(super) fn outbox(&self) -> &Arc<Outbox> {
        self.shared.outbox()
    }
}

/// Closing it says close, with code 1000, as [`Sender::close`] does.
impl Sink<Message> for Sender {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.shared.half(Who::Sender, cx, |state, _, writes| {
            state.poll_ready(&mut Context::from_waker(writes))
        })
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let sent = self.shared.with(|state| state.start_send(message));
        sent.map(drop).map_err(Error::unsent)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.shared.half(Who::Sender, cx, |state, _, writes| {
            state.poll_flush(&mut Context::from_waker(writes))
        })
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_close_with(cx, CloseCode::NORMAL, "")
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.shared.is_without(Who::Sender);
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// The half that receives; a `Stream`, too.
pub struct Receiver {
    shared: Arc<Shared>,
}

impl Receiver {
    /// The next message; `None` when both ends have closed; as [`WebSocket::recv`](super::WebSocket::recv).
    ///
    /// # Cancel safety
    /// Safe: a message leaves the socket in the poll that returns it.
    ///
    /// # Errors
    /// When the socket ends otherwise than in good order.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_recv(cx)).await.transpose()
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        self.shared.half(Who::Receiver, cx, State::poll_next)
    }

    /// Why the peer has closed, if it has and says so.
    pub fn close_reason(&self) -> Option<(CloseCode, String)> {
        self.shared.with(|state| state.theirs())
    }

    /// How long the last ping and its pong took together; none before the first.
    pub fn rtt(&self) -> Option<Duration> {
        self.shared.with(|state| state.rtt())
    }
}

impl Stream for Receiver {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.is_without(Who::Receiver);
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// Halves of two sockets, which make none; both come back.
#[derive(Debug)]
pub struct ReuniteError(pub Sender, pub Receiver);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these are halves of two WebSockets")
    }
}

impl std::error::Error for ReuniteError {}
