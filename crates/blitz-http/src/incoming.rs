//! A request's body on its way from the connection to whoever reads it, one frame at a time.
//!
//! The reader asks; the connection then decodes, and reads from the client if it must; so nothing is read that nobody wants,
//! and the client feels it. Both may be on one task or on two. The lock is held for a few lines, and wakers are called after it.

use crate::Error;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
pub(crate) struct Channel(Mutex<State>);

#[derive(Debug)]
struct State {
    next: Next,
    /// The reader waits for a frame.
    wanted: bool,
    /// The connection is polling: it looks at `wanted` afterwards, and need not be woken.
    polling: bool,
    reader_gone: bool,
    /// It was whole, and larger than its reader allowed.
    refused: bool,
    limit: u64,
    /// Bytes to come, where that is known.
    remaining: Option<u64>,
    reader: Option<Waker>,
    connection: Option<Waker>,
}

#[derive(Debug)]
enum Next {
    Nothing,
    Frame(Frame<Bytes>),
    /// All of it, which came with its head.
    Whole(Bytes),
    Failed(Error),
    /// The reader was told of a failure.
    Over,
    Ended,
}

/// What the connection should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Nobody waits.
    None,
    /// A frame, of a body of at most so many bytes.
    Frame { limit: u64 },
    /// The reader is gone.
    Gone,
}

impl State {
    fn demand(&self) -> Demand {
        if self.reader_gone {
            Demand::Gone
        } else if self.wanted {
            Demand::Frame { limit: self.limit }
        } else {
            Demand::None
        }
    }
}

impl Channel {
    pub(crate) fn new(limit: u64, remaining: Option<u64>) -> Arc<Channel> {
        Arc::new(Channel(Mutex::new(State {
            next: Next::Nothing,
            wanted: false,
            polling: true,
            reader_gone: false,
            refused: false,
            limit,
            remaining,
            reader: None,
            connection: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection's: what is asked for.
    pub(crate) fn demand(&self) -> Demand {
        self.state().demand()
    }

    /// The connection's: it is about to poll, and looks at the demand after that.
    pub(crate) fn poll_begins(&self) {
        self.state().polling = true;
    }

    /// The connection's: it will wait. Returns what is asked for by now; if that is not what it saw, it must look again.
    pub(crate) fn poll_ends(&self, waker: &Waker) -> Demand {
        let new = waker.clone();
        let mut state = self.state();
        state.polling = false;
        let old = state.connection.replace(new);
        let demand = state.demand();
        drop(state);
        drop(old);
        demand
    }

    fn put(&self, next: Next, remaining: Option<u64>) {
        let mut state = self.state();
        state.wanted = false;
        state.remaining = remaining;
        let old = std::mem::replace(&mut state.next, next);
        let reader = state.reader.take();
        drop(state);
        drop(old);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The connection's: the frame that was asked for.
    pub(crate) fn frame(&self, frame: Frame<Bytes>, remaining: Option<u64>) {
        self.put(Next::Frame(frame), remaining);
    }

    /// The connection's: the body is here, whole, before anybody has asked.
    pub(crate) fn whole(&self, bytes: Bytes) {
        let mut state = self.state();
        state.remaining = Some(0);
        let old = std::mem::replace(&mut state.next, Next::Whole(bytes));
        drop(state);
        drop(old);
    }

    /// The connection's: whether the whole body was larger than its reader allowed.
    pub(crate) fn is_refused(&self) -> bool {
        self.state().refused
    }

    /// The connection's: the body is whole.
    pub(crate) fn end(&self) {
        self.put(Next::Ended, Some(0));
    }

    /// The connection's: there will be no more.
    pub(crate) fn fail(&self, error: Error) {
        self.put(Next::Failed(error), None);
    }
}

/// The reader's side.
#[derive(Debug)]
pub(crate) struct Incoming(pub(crate) Arc<Channel>);

impl Incoming {
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut state = self.0.state();
        match std::mem::replace(&mut state.next, Next::Nothing) {
            Next::Frame(frame) => return Poll::Ready(Some(Ok(frame))),
            Next::Whole(bytes) if bytes.len() as u64 > state.limit => {
                (state.next, state.refused) = (Next::Over, true);
                drop(state);
                drop(bytes);
                let error = blitz_http_proto::Error::body_too_large();
                return Poll::Ready(Some(Err(Error::message(error))));
            }
            Next::Whole(bytes) => {
                state.next = Next::Ended;
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Next::Failed(error) => {
                state.next = Next::Over;
                return Poll::Ready(Some(Err(error)));
            }
            next @ (Next::Over | Next::Ended) => {
                state.next = next;
                return Poll::Ready(None);
            }
            Next::Nothing => {}
        }
        let fresh = state
            .reader
            .as_ref()
            .is_none_or(|old| !old.will_wake(cx.waker()));
        let mut old = None;
        if fresh {
            // A waker's clone is foreign code; it is taken before the lock where it has to be taken at all.
            drop(state);
            let new = cx.waker().clone();
            state = self.0.state();
            if !matches!(state.next, Next::Nothing) {
                drop(state);
                drop(new);
                return self.poll_frame(cx);
            }
            old = state.reader.replace(new);
        }
        state.wanted = true;
        let wake = if state.polling {
            None
        } else {
            state.connection.take()
        };
        drop(state);
        drop(old);
        if let Some(connection) = wake {
            connection.wake();
        }
        Poll::Pending
    }

    pub(crate) fn is_end(&self) -> bool {
        matches!(self.0.state().next, Next::Ended | Next::Over)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let state = self.0.state();
        let held = match &state.next {
            Next::Frame(frame) => frame.data_ref().map_or(0, |data| data.len() as u64),
            Next::Whole(bytes) => bytes.len() as u64,
            _ => 0,
        };
        let mut hint = SizeHint::new();
        hint.set_lower(held + state.remaining.unwrap_or(0));
        if let Some(remaining) = state.remaining {
            hint.set_upper(held + remaining);
        }
        hint
    }

    pub(crate) fn set_limit(&mut self, bytes: u64) {
        self.0.state().limit = bytes;
    }

    pub(crate) fn limit(&self) -> u64 {
        self.0.state().limit
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.reader_gone = true;
        let next = std::mem::replace(&mut state.next, Next::Over);
        let wake = if state.polling {
            None
        } else {
            state.connection.take()
        };
        let reader = state.reader.take();
        drop(state);
        drop((next, reader));
        if let Some(connection) = wake {
            connection.wake();
        }
    }
}
