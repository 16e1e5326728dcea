//! Parts of files that the kernel sends, past this program's memory: where the connection is a plain TCP stream.

use super::core::{Core, Life};
use super::socket;
use crate::Body;
use crate::file_body::{FileBody, Part, Watch, shrank};
use blitz_http_proto::Framing;
use blitz_io::fs::File;
use blitz_io::io::{AsyncRead, AsyncWrite, Interest};
use blitz_io::net::TcpStream;
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// One call moves so much at most, so that no task keeps its worker for long.
const CHUNK: u64 = 256 * 1024;

type Warming = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// A file on its way.
pub(super) struct Sending {
    body: Box<FileBody>,
    watch: Option<Box<Watch>>,
    /// Bytes that are not in memory are being brought there.
    warming: Option<Warming>,
    /// They were; if they are not there even so, the send waits for the disk.
    warmed: bool,
    /// The kernel cannot send this file: it is read.
    copies: bool,
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("left", &self.body.left())
            .field("copies", &self.copies)
            .finish_non_exhaustive()
    }
}

/// What a step came to.
enum Step {
    Sent(u64),
    /// The client has to take something first.
    Full,
    /// The disk.
    Waits,
}

impl<I: AsyncRead + AsyncWrite + Unpin + 'static> Core<I> {
    /// Takes a body over that is parts of a file, if this is a stream that the kernel can send them to.
    pub(super) fn take_file<B: 'static>(&mut self, body: &mut B) {
        let Some(body) = (body as &mut dyn Any).downcast_mut::<Body>() else {
            return;
        };
        let framing = self.turn.as_ref().and_then(|turn| turn.encoder.as_ref());
        let framed = framing.is_some_and(|encoder| {
            encoder.sends() && !matches!(encoder.framing(), Framing::Chunked)
        });
        let is_fit = cfg!(unix) && self.io.as_ref().and_then(socket::tcp).is_some();
        if !framed || !is_fit {
            return;
        }
        self.file = body.take_file().map(|(body, watch)| {
            Box::new(Sending {
                body,
                watch,
                warming: None,
                warmed: false,
                copies: false,
            })
        });
    }

    /// Sends of the file what goes, once all before it has gone. `true` if anything did.
    pub(super) fn send_file(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        // What was written goes before what the kernel sends.
        if self.file.is_none() || !self.out.is_empty() || !self.is_sent(cx)? {
            return Ok(false);
        }
        let Some(sending) = &mut self.file else {
            return Ok(false);
        };
        let Some(stream) = self.io.as_ref().and_then(socket::tcp) else {
            return Ok(false);
        };
        let step = match sending.body.next() {
            None => {
                // The body that is left in the exchange is empty, and ends the message.
                self.file = None;
                return Ok(true);
            }
            Some(Part::Bytes(bytes)) => {
                let bytes = bytes.clone();
                let len = bytes.len() as u64;
                self.out.push(bytes);
                Ok(Step::Sent(len))
            }
            Some(_) if sending.copies => match sending.body.poll_piece(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let bytes = frame.into_data().unwrap_or_default();
                    let len = bytes.len();
                    self.out.push(bytes);
                    return self.sent(len as u64).map(|()| true);
                }
                Poll::Ready(Some(Err(error))) => Err(io::Error::other(error)),
                Poll::Ready(None) => Ok(Step::Sent(0)),
                Poll::Pending => Ok(Step::Waits),
            },
            Some(&Part::Range { offset, len }) => sending.step(stream, offset, len.min(CHUNK), cx),
        };
        match step {
            Ok(Step::Sent(n)) => {
                sending.body.advance(n);
                if self.out.is_empty() {
                    self.waits.to_client.count(n as usize);
                }
                self.sent(n).map(|()| true)
            }
            Ok(Step::Full) => {
                self.blocked = true;
                Ok(false)
            }
            Ok(Step::Waits) => Ok(false),
            // The file is not what its head said: the connection's end has to say so.
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "a file was not sent whole"
                );
                self.file = None;
                self.life = Life::Flushing;
                Ok(true)
            }
        }
    }

    /// So much of the body is on its way.
    fn sent(&mut self, bytes: u64) -> io::Result<()> {
        let encoder = self.turn.as_mut().and_then(|turn| turn.encoder.as_mut());
        if let Some(encoder) = encoder {
            // A length was framed so before; nothing is written for it.
            let counted = encoder.before(bytes as usize, self.out.tail());
            counted.map_err(io::Error::other)?;
        }
        if let Some(watch) = self.file.as_mut().and_then(|file| file.watch.as_mut()) {
            watch.sent += bytes;
        }
        Ok(())
    }
}

impl Sending {
    fn step(
        &mut self,
        stream: &TcpStream,
        offset: u64,
        len: u64,
        cx: &mut Context<'_>,
    ) -> io::Result<Step> {
        if let Some(warming) = &mut self.warming {
            match warming.as_mut().poll(cx) {
                Poll::Ready(warmed) => warmed?,
                Poll::Pending => return Ok(Step::Waits),
            }
            (self.warming, self.warmed) = (None, true);
        }
        if !self.warmed && !kernel::is_resident(self.body.file(), offset + len - 1) {
            self.warming = Some(warm(Arc::clone(self.body.file()), offset, len));
            return self.step(stream, offset, len, cx);
        }
        match kernel::poll_send(stream, self.body.file(), offset, len, cx) {
            Poll::Pending => Ok(Step::Full),
            Poll::Ready(Ok(0)) => Err(shrank()),
            Poll::Ready(Ok(n)) => {
                self.warmed = false;
                Ok(Step::Sent(n as u64))
            }
            Poll::Ready(Err(error)) if kernel::cannot(&error) => {
                self.copies = true;
                Ok(Step::Sent(0))
            }
            Poll::Ready(Err(error)) => Err(error),
        }
    }
}

/// Has the bytes brought into memory, by a read whose bytes nobody wants.
fn warm(file: Arc<File>, offset: u64, len: u64) -> Warming {
    Box::pin(async move {
        let buffer = Vec::with_capacity(len as usize);
        file.read_at(buffer, offset).await.0.map(drop)
    })
}

#[cfg(unix)]
mod kernel {
    use super::*;
    use blitz_sys::descriptor::AsFd;
    use blitz_sys::{errno, socket};

    pub(super) fn is_resident(file: &File, last: u64) -> bool {
        socket::is_resident(file.as_fd(), last)
    }

    pub(super) fn poll_send(
        stream: &TcpStream,
        file: &File,
        offset: u64,
        len: u64,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let call = || socket::send_file(stream.as_fd(), file.as_fd(), offset, len as usize);
        loop {
            ready!(stream.poll_write_ready(cx))?;
            match stream.try_io(Interest::WRITABLE, call) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    /// This kind of file cannot be sent so.
    pub(super) fn cannot(error: &io::Error) -> bool {
        errno::is_unsupported(error) || error.raw_os_error() == Some(errno::EINVAL)
    }
}

#[cfg(not(unix))]
mod kernel {
    use super::*;

    pub(super) fn is_resident(_: &File, _: u64) -> bool {
        true
    }

    pub(super) fn poll_send(
        _: &TcpStream,
        _: &File,
        _: u64,
        _: u64,
        _: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    pub(super) fn cannot(_: &io::Error) -> bool {
        true
    }
}
