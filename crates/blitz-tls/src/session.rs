//! One TLS session over one stream: ciphertext below, plaintext above, and what waits in between.
//!
//! rustls is the machine; this file moves bytes. It holds three promises:
//!
//! - **What waits is bounded.** Ciphertext is read only when no plaintext is left to be taken and none was read before: as much as the
//!   reader has room for, at least one record ([`READ_MIN`]) and at most [`READ_MAX`]. At most two records of plaintext wait. Plaintext is taken only when no ciphertext is left to be sent, at most [`WRITE_MAX`] at a time.
//! - **The two directions have one waker each.** A task that reads may have to send (an alert, what a write left behind), and the
//!   stream below knows one waker for sending. So it then wakes both tasks: see [`Both`].
//! - **An end is either clean or an error.** [`End`] is set once, and every read after the last byte says it again.

use std::future::Future;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

use blitz_io_traits::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use rustls::{Connection, InvalidMessage};

use crate::error::TlsError;

/// How much ciphertext a read asks for at least: about one record.
const READ_MIN: usize = 16 * 1024;

/// And at most, for a reader that has room for it.
const READ_MAX: usize = 256 * 1024;

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
    ahead: Ahead,
    end: Option<End>,
    /// The task that waits for ciphertext to be sent, if one does.
    writer: Option<Waker>,
    /// We have said close_notify.
    is_closing: bool,
    /// rustls's buffer has grown for a large record, and is given back when the peer pauses.
    has_grown: bool,
}

/// Bytes that are taken off the front.
#[derive(Default)]
struct Ahead {
    bytes: Vec<u8>,
    taken: usize,
}

impl Ahead {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// Puts back what was taken out, of which so much more is used up.
    fn put_back(&mut self, ahead: Ahead, used: usize) {
        if used < ahead.rest().len() {
            self.taken = ahead.taken + used;
            self.bytes = ahead.bytes;
        }
    }
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
            ahead: Ahead::default(),
            end: None,
            writer: None,
            is_closing: false,
            has_grown: false,
        }
    }

    /// Ciphertext that somebody has read from the stream before.
    pub(crate) fn has_read(&mut self, bytes: &[u8]) {
        self.ahead.bytes.extend_from_slice(bytes);
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

    /// Hands to rustls what it takes of what was read before.
    fn feed_ahead(&mut self, look: impl FnOnce(&[u8])) {
        let ahead = std::mem::take(&mut self.ahead);
        look(ahead.rest());
        let used = self.feed(ahead.rest());
        self.ahead.put_back(ahead, used);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Waits until there is plaintext, or the end: then [`plaintext`](Session::plaintext) is empty. The reader has `room` for so much.
    pub(crate) fn poll_readable(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
    ) -> Poll<io::Result<()>> {
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
            ready!(self.poll_receive(cx, room, |_| {}))?;
            if matches!(self.end, Some(End::Failed(_))) {
                // The alert that says why.
                self.send_aside(cx);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Decrypts more of what was read before; whether there is plaintext now.
    pub(crate) fn has_more(&mut self, cx: &mut Context<'_>) -> bool {
        if self.end.is_some() || self.ahead.rest().is_empty() {
            return false;
        }
        self.feed_ahead(|_| {});
        if matches!(self.end, Some(End::Failed(_))) {
            // The alert that says why. The next read tells the reader.
            self.send_aside(cx);
        }
        !self.plaintext().is_empty()
    }

    /// Reads ciphertext once, what was read before first, and decrypts it; `look` sees it before.
    pub(crate) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        look: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        if !self.ahead.rest().is_empty() {
            self.feed_ahead(look);
            return Poll::Ready(Ok(()));
        }
        if room > READ_MIN {
            return self.poll_receive_much(cx, room.min(READ_MAX), look);
        }
        let mut memory = [const { MaybeUninit::uninit() }; READ_MIN];
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
            let used = self.feed(bytes);
            self.has_read(&bytes[used..]);
        }
        Poll::Ready(Ok(()))
    }

    /// The same for a reader with room: fewer reads, each of many records, into memory that is there only as long as there is something in it.
    fn poll_receive_much(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        look: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        let mut bytes = Vec::with_capacity(room);
        match pin!(self.io.read_buf(&mut bytes)).poll(cx) {
            Poll::Ready(answer) => answer?,
            Poll::Pending => {
                self.send_aside(cx);
                self.shrink();
                return Poll::Pending;
            }
        };
        if bytes.is_empty() {
            look(&bytes);
            self.end.get_or_insert(End::Truncated);
        } else {
            self.ahead = Ahead { bytes, taken: 0 };
            self.feed_ahead(look);
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
