//! The halves of a socket.
//!
//! Both write: the receiver answers pings. A stream knows one task that waits for room, so that task is [`Tasks`], which wakes the halves
//! that wait. What one half has done for the other, it tells when it has put the lock down.

use super::state::State;
use super::{CloseCode, Error, Message};
use blitz_io::stream::Stream;
use futures_sink::Sink;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

pub(super) fn halves(state: State) -> (Sender, Receiver) {
    let tasks = Arc::new(Tasks::default());
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        writes: Waker::from(Arc::clone(&tasks)),
        tasks,
    });
    let sender = Sender {
        shared: Arc::clone(&shared),
    };
    (sender, Receiver { shared })
}

struct Shared {
    state: Mutex<State>,
    tasks: Arc<Tasks>,
    /// The same as a waker.
    writes: Waker,
}

/// Who waits.
#[derive(Default)]
struct Tasks(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    sender: Option<Waker>,
    receiver: Option<Waker>,
    /// The receiver has something to write.
    receiver_writes: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a waker, and gives back the one that it takes the place of: that is dropped without the lock.
fn keep(slot: &mut Option<Waker>, waker: &Waker) -> Option<Waker> {
    match slot {
        Some(kept) if kept.will_wake(waker) => None,
        slot => slot.replace(waker.clone()),
    }
}

impl Tasks {
    fn wake_those(&self, sender: bool, receiver: bool) {
        let mut waiting = lock(&self.0);
        let sender = sender.then(|| waiting.sender.take()).flatten();
        let receiver = receiver.then(|| waiting.receiver.take()).flatten();
        drop(waiting);
        for waker in [sender, receiver].into_iter().flatten() {
            waker.wake();
        }
    }
}

impl Wake for Tasks {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let receiver = lock(&self.0).receiver_writes;
        self.wake_those(true, receiver);
    }
}

impl Shared {
    /// Polls for the receiver.
    fn receive<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut State, &mut Context<'_>, &Waker) -> Poll<T>,
    ) -> Poll<T> {
        let mut waiting = lock(&self.tasks.0);
        let old = keep(&mut waiting.receiver, cx.waker());
        waiting.receiver_writes = true;
        drop(waiting);
        drop(old);
        let mut state = lock(&self.state);
        let polled = poll(&mut state, cx, &self.writes);
        let moved = std::mem::take(&mut state.moved) | std::mem::take(&mut state.turned);
        let mut waiting = lock(&self.tasks.0);
        waiting.receiver_writes = polled.is_pending() && state.is_writing();
        let gone = if polled.is_ready() {
            waiting.receiver.take()
        } else {
            None
        };
        drop(waiting);
        drop(state);
        drop(gone);
        if moved {
            self.tasks.wake_those(true, false);
        }
        polled
    }

    /// Polls for the sender.
    fn send<T>(
        &self,
        waker: &Waker,
        poll: impl FnOnce(&mut State, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let old = keep(&mut lock(&self.tasks.0).sender, waker);
        drop(old);
        let mut state = lock(&self.state);
        let polled = poll(&mut state, &mut Context::from_waker(&self.writes));
        let moved = std::mem::take(&mut state.moved);
        let turned = std::mem::take(&mut state.turned);
        drop(state);
        let mut waiting = lock(&self.tasks.0);
        let gone = if polled.is_ready() {
            waiting.sender.take()
        } else {
            None
        };
        let receiver = turned || (moved && waiting.receiver_writes);
        drop(waiting);
        drop(gone);
        if receiver {
            self.tasks.wake_those(false, true);
        }
        polled
    }
}

/// The half that sends. Pings go out, and the end comes in good order, while its [`Receiver`] is received from.
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

    /// Says close. The [`Receiver`] goes on until the peer has closed too; where it was dropped, this waits for that.
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
        let shared = &*self.shared;
        if Arc::strong_count(&self.shared) == 1 {
            return shared.receive(cx, |state, cx, writes| {
                state.begin_close(code, reason);
                state.poll_end(cx, writes)
            });
        }
        shared.send(cx.waker(), |state, cx| {
            state.begin_close(code, reason);
            state.poll_flush(cx)
        })
    }

    /// Bytes that wait to be written.
    pub fn bytes_waiting(&self) -> usize {
        lock(&self.shared.state).bytes_waiting()
    }

    /// How long the last ping and its pong took together; none before the first.
    pub fn rtt(&self) -> Option<Duration> {
        lock(&self.shared.state).rtt()
    }
}

/// Closing it says close, with code 1000, as [`Sender::close`] does.
impl Sink<Message> for Sender {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.shared.send(cx.waker(), State::poll_ready)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        lock(&self.shared.state).start_send(&message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.shared.send(cx.waker(), State::poll_flush)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_close_with(cx, CloseCode::NORMAL, "")
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let waker = lock(&self.shared.tasks.0).sender.take();
        drop(waker);
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
        self.shared.receive(cx, State::poll_next)
    }

    /// Why the peer has closed, if it has and says so.
    pub fn close_reason(&self) -> Option<(CloseCode, String)> {
        lock(&self.shared.state).theirs()
    }

    /// How long the last ping and its pong took together; none before the first.
    pub fn rtt(&self) -> Option<Duration> {
        lock(&self.shared.state).rtt()
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
        let waker = lock(&self.shared.tasks.0).receiver.take();
        drop(waker);
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
