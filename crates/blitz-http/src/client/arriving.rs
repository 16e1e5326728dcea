//! A response's body on its way in: off the wire, through its decoders, within its limits; and the connection back to its pool.

use super::decode::{Decoding, Out};
use super::error::{Error, Kind};
use super::exchange::{Exchange, Piece};
use super::timing::{Phase, Timings};
use crate::Upgraded;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use url::Url;

pub(super) struct Arriving {
    /// Until the response is whole, or will never be.
    going: Option<Box<Exchange>>,
    decoding: Option<Decoding>,
    /// Those that came, until the data before them is through.
    trailers: Option<HeaderMap>,
    url: Url,
    timings: Timings,
    limit: u64,
    taken: u64,
    /// Bytes to come, where that is known.
    remaining: Option<u64>,
    over: bool,
}

impl Arriving {
    pub(super) fn new(
        exchange: Box<Exchange>,
        decoding: Option<Decoding>,
        remaining: Option<u64>,
        limit: u64,
        url: Url,
    ) -> Arriving {
        let mut arriving = Arriving {
            timings: exchange.watch.timings.clone(),
            remaining: remaining.filter(|_| decoding.is_none()),
            going: Some(exchange),
            decoding,
            trailers: None,
            url,
            limit,
            taken: 0,
            over: false,
        };
        if remaining == Some(0) {
            arriving.settle();
        }
        arriving
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// How long things took; the body too, once it is whole.
    pub(super) fn timings(&self) -> &Timings {
        &self.timings
    }

    /// What has come already is the rest, perhaps: then the connection is free.
    fn settle(&mut self) {
        if let Some(exchange) = &mut self.going
            && exchange.settle()
        {
            self.release();
        }
    }

    /// The connection goes back, or is closed.
    fn release(&mut self) {
        let Some(exchange) = self.going.take() else {
            return;
        };
        self.timings = exchange.watch.timings.clone();
        exchange.give_back();
    }

    /// Another protocol follows, after 101 or a success to CONNECT.
    pub(super) fn into_upgraded(mut self) -> Option<Upgraded> {
        Some(self.going.take()?.into_upgraded())
    }

    fn fails(&mut self, kind: Kind) -> Error {
        self.over = true;
        self.decoding = None;
        if let Some(mut exchange) = self.going.take() {
            exchange.watch.stop();
            self.timings = exchange.watch.timings.clone();
        }
        Error::during(kind, Phase::Body, &self.timings, &self.url)
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Kind>> {
        match &mut self.going {
            Some(exchange) => exchange.poll_piece(cx),
            None => Poll::Ready(Ok(Piece::End)),
        }
    }

    fn data(&mut self, data: Bytes) -> Result<Frame<Bytes>, Kind> {
        self.taken += data.len() as u64;
        if self.taken > self.limit {
            return Err(Kind::TooLarge { limit: self.limit });
        }
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(data.len() as u64);
        }
        Ok(Frame::data(data))
    }

    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Kind>>> {
        loop {
            if let Some(decoding) = &mut self.decoding {
                match decoding.pull() {
                    Err(kind) => return Poll::Ready(Some(Err(kind))),
                    Ok(Out::Data(data)) => return Poll::Ready(Some(self.data(data))),
                    Ok(Out::End) => {
                        self.decoding = None;
                        continue;
                    }
                    Ok(Out::Hungry) => {}
                }
            }
            if self.going.is_none() && self.decoding.is_none() {
                let trailers = self.trailers.take().map(Frame::trailers);
                self.over = trailers.is_none();
                return Poll::Ready(trailers.map(Ok));
            }
            let piece = match self.poll_piece(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(kind)) => return Poll::Ready(Some(Err(kind))),
                Poll::Ready(Ok(piece)) => piece,
            };
            match (piece, &mut self.decoding) {
                (Piece::Data(data), Some(decoding)) => decoding.push(data),
                (Piece::Data(data), None) => return Poll::Ready(Some(self.data(data))),
                (Piece::Trailers(fields), _) => self.trailers = Some(fields),
                (Piece::End, decoding) => {
                    if let Some(decoding) = decoding {
                        decoding.finish();
                    }
                    self.release();
                }
            }
        }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        match this.advance(cx) {
            Poll::Ready(Some(Err(kind))) => Poll::Ready(Some(Err(this.fails(kind)))),
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over || (self.going.is_none() && self.decoding.is_none() && self.trailers.is_none())
    }

    fn size_hint(&self) -> SizeHint {
        match self.remaining {
            Some(remaining) => SizeHint::with_exact(remaining),
            None => SizeHint::new(),
        }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.settle();
    }
}

impl fmt::Debug for Arriving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arriving")
            .field("url", &self.url.as_str())
            .field("taken", &self.taken)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}
