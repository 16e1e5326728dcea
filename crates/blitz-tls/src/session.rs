//! One TLS session over one stream: ciphertext below, plaintext above, and what waits in between.
//!
//! rustls is the machine; this file moves bytes. It holds three promises:
//!
//! - **What waits is bounded.** Ciphertext is read only when no plaintext is left to be taken, at most [`READ_MAX`] at a time, so at most two
//!   records of plaintext wait. Plaintext is taken only when no ciphertext is left to be sent, at most [`WRITE_MAX`] at a time.
//! - **The two directions have one waker each.** A task that reads may have to send (an alert, what a write left behind), and the
//!   stream below knows one waker for sending. So it then wakes both tasks: see [`Both`].
//! - **An end is either clean or an error.** [`End`] is set once, and every read after the last byte says it again.

use std::io::{self, BufRead, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

use blitz_io_traits::{AsyncRead, AsyncWrite, ReadBuf};
use rustls::{Connection, InvalidMessage};

use crate::error::TlsError;

/// How much ciphertext one read asks for: about one record.
const READ_MAX: usize = 16 * 1024;

/// How much plaintext may wait before no more is decrypted. rustls has the same limit.
const PLAINTEXT_MAX: usize = 16 * 1024;

/// How much plaintext one write takes: four records.
pub(crate) const WRITE_MAX: usize = 64 * 1024;

/// How many reads a poll may make that bring no plaintext (tickets, new keys, parts of records).
const ROUNDS_MAX: u32 = 32;

/// A session, and the stream that it runs over.
pub(crate) struct Session<S> {
    io: S,
    /// Boxed: it is large, and sessions are moved from task to task.
    tls: Box<Connection>,
    /// Ciphertext that was read and that rustls has not taken, because enough plaintext waits.
    ahead: Vec<u8>,
    end: Option<End>,
    /// The task that waits for ciphertext to be sent, if one does.
    writer: Option<Waker>,
    /// We have said close_notify.
    is_closing: bool,
    /// rustls's buffer has grown for a large record, and is given back when the peer pauses.
    has_grown: bool,
}

/// How the peer's side ended.
#[derive(Debug)]
pub(crate) enum End {
    /// By close_notify.
    Clean,
    /// The stream below just ended.
    Truncated,
    /// The session is broken.
    Failed(rustls::Error),
}

impl<S> Session<S> {
    pub(crate) fn new(io: S, mut tls: Connection) -> Self {
        tls.set_buffer_limit(Some(WRITE_MAX));
        Session {
            io,
            tls: Box::new(tls),
            ahead: Vec::new(),
            end: None,
            writer: None,
            is_closing: false,
            has_grown: false,
        }
    }

    /// Ciphertext that somebody has read from the stream before.
    pub(crate) fn has_read(&mut self, bytes: &[u8]) {
        self.ahead.extend_from_slice(bytes);
    }

    pub(crate) fn io(&self) -> &S {
        &self.io
    }

    pub(crate) fn io_mut(&mut self) -> &mut S {
        &mut self.io
    }

    pub(crate) fn into_io(self) -> S {
        self.io
    }

    pub(crate) fn tls(&self) -> &Connection {
        &self.tls
    }

    pub(crate) fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Plaintext that can be taken now.
    pub(crate) fn plaintext(&mut self) -> &[u8] {
        // Without plaintext rustls says by an error why there is none; `end` knows that too.
        self.tls.reader().into_first_chunk().unwrap_or_default()
    }

    pub(crate) fn consume(&mut self, count: usize) {
        if count > 0 {
            self.tls.reader().consume(count);
        }
    }

    /// Hands ciphertext to rustls, until enough plaintext waits; returns how much was taken.
    fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() && self.end.is_none() {
            if self.tls.read_tls(&mut rest).is_err() {
                // Plaintext is below its limit, so it is the other buffer: a message that does not end.
                self.end = Some(End::Failed(InvalidMessage::HandshakePayloadTooLarge.into()));
                break;
            }
            match self.tls.process_new_packets() {
                Ok(state) if state.peer_has_closed() => {
                    // What follows a close_notify is ignored (RFC 8446 §6.1).
                    self.end = Some(End::Clean);
                    return bytes.len();
                }
                Ok(state) => {
                    let waiting = state.plaintext_bytes_to_read();
                    self.has_grown |= waiting == 0;
                    if waiting > PLAINTEXT_MAX {
                        break;
                    }
                }
                Err(error) => self.end = Some(End::Failed(error)),
            }
        }
        bytes.len() - rest.len()
    }

    /// Hands to rustls what it takes of `bytes`, and keeps the rest.
    fn feed_first(&mut self, bytes: &[u8]) {
        let taken = self.feed(bytes);
        self.ahead.extend_from_slice(&bytes[taken..]);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Waits until there is plaintext, or the end: then [`plaintext`](Session::plaintext) is empty.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..ROUNDS_MAX {
            if !self.plaintext().is_empty() {
                return Poll::Ready(Ok(()));
            }
            match &self.end {
                None => {}
                Some(End::Clean) => return Poll::Ready(Ok(())),
                Some(End::Truncated) => return Poll::Ready(Err(TlsError::Truncated.into())),
                Some(End::Failed(error)) => {
                    return Poll::Ready(Err(TlsError::from(error.clone()).into()));
                }
            }
            ready!(self.poll_receive(cx, |_| {}))?;
            if matches!(self.end, Some(End::Failed(_))) {
                // The alert that says why.
                self.send_aside(cx);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads ciphertext once, what was read before first, and decrypts it; `look` sees it before.
    pub(crate) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        look: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let ahead = std::mem::take(&mut self.ahead);
            look(&ahead);
            self.feed_first(&ahead);
            return Poll::Ready(Ok(()));
        }
        let mut memory = [const { MaybeUninit::uninit() }; READ_MAX];
        let mut bytes = ReadBuf::uninit(&mut memory);
        match Pin::new(&mut self.io).poll_read(cx, &mut bytes) {
            Poll::Ready(answer) => answer?,
            Poll::Pending => {
                self.send_aside(cx);
                self.shrink();
                return Poll::Pending;
            }
        }
        let bytes = bytes.filled();
        look(bytes);
        if bytes.is_empty() {
            self.end.get_or_insert(End::Truncated);
        } else {
            self.feed_first(bytes);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what waits, on behalf of a task that reads.
    fn send_aside(&mut self, cx: &mut Context<'_>) {
        if !self.tls.wants_write() {
            return;
        }
        let both = match &self.writer {
            Some(writer) if !writer.will_wake(cx.waker()) => Waker::from(Arc::new(Both {
                reader: cx.waker().clone(),
                writer: writer.clone(),
            })),
            _ => cx.waker().clone(),
        };
        // An error is not the reader's: what waits goes on waiting, and whoever writes next meets it.
        let _ = self.poll_send_all(&mut Context::from_waker(&both));
    }

    /// Gives back what rustls's buffer has grown by, while the peer pauses.
    fn shrink(&mut self) {
        if self.has_grown {
            self.has_grown = false;
            // It looks at its size before it reads. That there is nothing to read is no news.
            let _ = self.tls.read_tls(&mut Nothing);
        }
    }

    /// Sends the ciphertext that waits.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tls.wants_write() {
            let mut below = Below {
                io: &mut self.io,
                cx,
            };
            match self.tls.write_tls(&mut below) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the ciphertext that waits, and flushes the stream below.
    pub(crate) fn poll_send_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Takes plaintext through `write`, if all that was taken before is sent.
    pub(crate) fn poll_write_by(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut rustls::Writer<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if self.is_closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if let Some(End::Failed(error)) = &self.end {
            return Poll::Ready(Err(TlsError::from(error.clone()).into()));
        }
        let before = self.poll_send(cx);
        self.note_writer(cx, before.is_pending());
        ready!(before)?;
        let count = write(&mut self.tls.writer())?;
        let after = self.poll_send(cx);
        self.note_writer(cx, after.is_pending());
        match after {
            // It is taken; the next call goes on sending it.
            Poll::Pending | Poll::Ready(Ok(())) => Poll::Ready(Ok(count)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let answer = self.poll_send_all(cx);
        self.note_writer(cx, answer.is_pending());
        answer
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_closing {
            self.is_closing = true;
            self.tls.send_close_notify();
        }
        let answer = match self.poll_send_all(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.io).poll_shutdown(cx),
            answer => answer,
        };
        self.note_writer(cx, answer.is_pending());
        match answer {
            // A peer that has said its last word need not wait for ours (RFC 8446 §6.1).
            Poll::Ready(Err(error)) if self.is_gone(&error) => Poll::Ready(Ok(())),
            answer => answer,
        }
    }

    fn is_gone(&self, error: &io::Error) -> bool {
        let kinds = [
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::NotConnected,
        ];
        matches!(self.end, Some(End::Clean)) && kinds.contains(&error.kind())
    }

    /// Keeps the waker of a task that waits for sending, for as long as it does.
    fn note_writer(&mut self, cx: &Context<'_>, waits: bool) {
        if !waits {
            self.writer = None;
        } else if !self
            .writer
            .as_ref()
            .is_some_and(|writer| writer.will_wake(cx.waker()))
        {
            self.writer = Some(cx.waker().clone());
        }
    }
}

/// Wakes the task that reads and the one that writes.
struct Both {
    reader: Waker,
    writer: Waker,
}

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.reader.wake_by_ref();
        self.writer.wake_by_ref();
    }
}

/// The stream below, as rustls writes to it.
struct Below<'a, 'b, S> {
    io: &'a mut S,
    cx: &'a mut Context<'b>,
}

impl<S: AsyncWrite + Unpin> Below<'_, '_, S> {
    fn answer(polled: Poll<io::Result<usize>>) -> io::Result<usize> {
        match polled {
            Poll::Ready(answer) => answer,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<S: AsyncWrite + Unpin> Write for Below<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::answer(Pin::new(&mut *self.io).poll_write(self.cx, bytes))
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        Self::answer(Pin::new(&mut *self.io).poll_write_vectored(self.cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A source that never has anything.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}
