//! Bodies that are parts of a file: read in pieces that are bounded, or sent by the kernel where the connection can
//! ([`conn`](crate::conn)).

use crate::BoxError;
use blitz_io::fs::File;
use bytes::{Bytes, BytesMut};
use http_body::Frame;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// So much is read at a time.
pub(crate) const PIECE: usize = 64 * 1024;

/// A piece of such a body.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Bytes(Bytes),
    Range { offset: u64, len: u64 },
}

type Reading = Pin<Box<dyn Future<Output = (io::Result<usize>, BytesMut)> + Send>>;

/// Parts of one file, with bytes in between.
pub(crate) struct FileBody {
    file: Arc<File>,
    parts: VecDeque<Part>,
    left: u64,
    reading: Option<Reading>,
}

impl FileBody {
    pub(crate) fn new(file: Arc<File>, parts: impl IntoIterator<Item = Part>) -> FileBody {
        let parts: VecDeque<Part> = parts.into_iter().collect();
        let left = parts.iter().map(Part::len).sum();
        FileBody {
            file,
            parts,
            left,
            reading: None,
        }
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Bytes that are still to come.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// What comes next; no part of it is empty.
    pub(crate) fn next(&mut self) -> Option<&Part> {
        while self.parts.front().is_some_and(|part| part.len() == 0) {
            self.parts.pop_front();
        }
        self.parts.front()
    }

    /// So many bytes of what comes next are sent.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.left -= bytes;
        match self.parts.front_mut() {
            Some(Part::Range { offset, len }) if bytes < *len => {
                *offset += bytes;
                *len -= bytes;
            }
            _ => drop(self.parts.pop_front()),
        }
    }

    /// The next piece, read.
    pub(crate) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.reading.is_none() {
            match self.next() {
                None => return Poll::Ready(None),
                Some(Part::Bytes(bytes)) => {
                    let bytes = bytes.clone();
                    self.advance(bytes.len() as u64);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(&Part::Range { offset, len }) => {
                    self.reading = Some(read(Arc::clone(&self.file), offset, len));
                }
            }
        }
        let Some(reading) = &mut self.reading else {
            return Poll::Ready(None);
        };
        let (read, buffer) = ready!(reading.as_mut().poll(cx));
        self.reading = None;
        Poll::Ready(Some(match read {
            Ok(0) => Err(shrank().into()),
            Ok(n) => {
                self.advance(n as u64);
                Ok(Frame::data(buffer.freeze()))
            }
            Err(error) => Err(error.into()),
        }))
    }
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::Range { len, .. } => *len,
        }
    }
}

/// Reads the beginning of a range into a buffer of its own.
fn read(file: Arc<File>, offset: u64, len: u64) -> Reading {
    let len = usize::try_from(len).map_or(PIECE, |len| len.min(PIECE));
    Box::pin(async move {
        let (read, mut buffer) = file.read_at(BytesMut::with_capacity(len), offset).await;
        // The buffer may have more room than was asked for, of which the range knows nothing.
        buffer.truncate(len);
        (read.map(|read| read.min(len)), buffer)
    })
}

/// The file has become shorter than its head said.
pub(crate) fn shrank() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the file became shorter while it was sent",
    )
}

/// Tells, when a body is over, how many of its bytes went out.
pub(crate) struct Watch {
    pub(crate) sent: u64,
    end: Option<Box<dyn FnOnce(u64) + Send>>,
}

impl Watch {
    pub(crate) fn new(end: impl FnOnce(u64) + Send + 'static) -> Watch {
        Watch {
            sent: 0,
            end: Some(Box::new(end)),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end(self.sent);
        }
    }
}
