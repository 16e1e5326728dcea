//! A file that is compressed while it is sent: a piece is read, a thread that computes codes it, and it goes out before the next.

use super::codings::Coding;
use crate::file_body::shrank;
use blitz_io::fs::File;
use bytes::Bytes;
use http_body::Frame;
use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Bytes of the file for each step: enough that the way to the other thread is small beside it.
const STEP: usize = 128 * 1024;
/// Levels that keep up with a network: what is higher costs several times as much for some per cent.
#[cfg(feature = "compression")]
const BROTLI_QUALITY: u32 = 4;
#[cfg(feature = "compression")]
const BROTLI_WINDOW: u32 = 20;
#[cfg(feature = "compression")]
const ZSTD_LEVEL: i32 = 3;
const GZIP_LEVEL: u32 = 5;

enum Coder {
    #[cfg(feature = "compression")]
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    #[cfg(feature = "compression")]
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
}

impl Coder {
    fn new(coding: Coding) -> io::Result<Coder> {
        Ok(match coding {
            #[cfg(feature = "compression")]
            Coding::Brotli => Coder::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                4096,
                BROTLI_QUALITY,
                BROTLI_WINDOW,
            ))),
            #[cfg(feature = "compression")]
            Coding::Zstd => Coder::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?),
            Coding::Gzip => Coder::Gzip(flate2::write::GzEncoder::new(
                Vec::new(),
                flate2::Compression::new(GZIP_LEVEL),
            )),
            // Not among what is chosen from.
            #[cfg(not(feature = "compression"))]
            Coding::Brotli | Coding::Zstd => return Err(io::ErrorKind::Unsupported.into()),
        })
    }

    /// Codes some more; returns what is ready.
    fn step(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let out = match self {
            #[cfg(feature = "compression")]
            Coder::Brotli(coder) => {
                coder.write_all(bytes)?;
                coder.get_mut()
            }
            #[cfg(feature = "compression")]
            Coder::Zstd(coder) => {
                coder.write_all(bytes)?;
                coder.get_mut()
            }
            Coder::Gzip(coder) => {
                coder.write_all(bytes)?;
                coder.get_mut()
            }
        };
        Ok(std::mem::take(out))
    }

    /// What is left, and the end.
    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            #[cfg(feature = "compression")]
            Coder::Brotli(coder) => Ok(coder.into_inner()),
            #[cfg(feature = "compression")]
            Coder::Zstd(coder) => coder.finish(),
            Coder::Gzip(coder) => coder.finish(),
        }
    }
}

/// Where the work is.
struct Work {
    file: Arc<File>,
    offset: u64,
    len: u64,
    coder: Coder,
}

type Step = Pin<Box<dyn Future<Output = io::Result<(Vec<u8>, Option<Work>)>> + Send>>;

/// The body.
pub(super) struct Compressed {
    step: Option<Step>,
}

impl Compressed {
    /// `len` bytes of `file`, coded.
    pub(super) fn new(file: Arc<File>, len: u64, coding: Coding) -> io::Result<Compressed> {
        let work = Work {
            file,
            offset: 0,
            len,
            coder: Coder::new(coding)?,
        };
        Ok(Compressed {
            step: Some(Box::pin(work.step())),
        })
    }
}

impl Work {
    /// Goes on until something has come out, or it is done.
    async fn step(mut self) -> io::Result<(Vec<u8>, Option<Work>)> {
        loop {
            let left = self.len - self.offset;
            let wanted = usize::try_from(left).map_or(STEP, |left| left.min(STEP));
            let buffer = Vec::with_capacity(wanted);
            let (read, mut buffer) = self.file.read_at(buffer, self.offset).await;
            if read? == 0 && wanted > 0 {
                return Err(shrank());
            }
            buffer.truncate(wanted);
            self.offset += buffer.len() as u64;
            let is_last = self.offset == self.len;
            let mut coder = self.coder;
            let coded = blitz_io::compute(move || -> io::Result<_> {
                let mut out = coder.step(&buffer)?;
                if is_last {
                    out.append(&mut coder.finish()?);
                    return Ok((out, None));
                }
                Ok((out, Some(coder)))
            });
            let (out, coder) = coded.await?;
            let Some(coder) = coder else {
                return Ok((out, None));
            };
            self.coder = coder;
            if !out.is_empty() {
                return Ok((out, Some(self)));
            }
        }
    }
}

impl http_body::Body for Compressed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(step) = &mut self.step else {
            return Poll::Ready(None);
        };
        let done = ready!(step.as_mut().poll(cx));
        self.step = None;
        Poll::Ready(Some(done.map(|(out, work)| {
            self.step = work.map(|work| Box::pin(work.step()) as Step);
            Frame::data(Bytes::from(out))
        })))
    }
}
