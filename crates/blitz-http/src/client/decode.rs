//! Bodies that were made smaller on the way: gzip, deflate, br, zstd (RFC 9110 §8.4.1, RFC 7932, RFC 8878).
//!
//! The decoders are readers, and what they read ends for now where the connection has brought no more: such a reader answers
//! `WouldBlock` and goes on there. What comes out is bounded a piece at a time, and against what went in.

use super::error::Kind;
use bytes::{Buf, Bytes, BytesMut};
use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is asked for: all that can be decoded.
#[cfg(feature = "compression")]
pub(super) const ACCEPTED: &str = "gzip, br, zstd, deflate";
#[cfg(not(feature = "compression"))]
pub(super) const ACCEPTED: &str = "gzip, deflate";
/// Bytes that come out at a time.
const PIECE: usize = 16 * 1024;
/// One coding over another over another is as much as anybody has a use for.
const CODINGS_MAX: usize = 3;
/// RFC 9659: a window of 8 MiB.
#[cfg(feature = "compression")]
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How much may come out of how little.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    /// Bytes that are always allowed.
    pub(super) free: u64,
    /// Times what came, beyond that.
    pub(super) ratio: u64,
}

/// A body on its way through its decoders.
pub(super) struct Decoding {
    feed: Arc<Mutex<Feed>>,
    reader: Box<dyn Read + Send>,
    name: &'static str,
    measure: Measure,
    encoded: u64,
    decoded: u64,
    over: bool,
}

/// What comes out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Out {
    Data(Bytes),
    /// More has to go in.
    Hungry,
    End,
}

impl Decoding {
    /// The decoders for what `Content-Encoding` says; none where it says nothing.
    pub(super) fn new(codings: &str, measure: Measure) -> Result<Option<Decoding>, Kind> {
        let names = codings
            .split(',')
            .map(|name| name.trim().to_ascii_lowercase());
        let names = names.filter(|name| !name.is_empty() && name != "identity");
        let names: Vec<String> = names.collect();
        if names.is_empty() {
            return Ok(None);
        }
        if names.len() > CODINGS_MAX {
            return Err(Kind::UnknownCoding(codings.to_owned()));
        }
        let feed = Arc::new(Mutex::new(Feed::default()));
        let mut input: Box<dyn BufRead + Send> = Box::new(FeedReader {
            feed: Arc::clone(&feed),
            current: Bytes::new(),
        });
        let mut outer = "";
        let mut reader = None;
        for name in names.iter().rev() {
            if let Some(reader) = reader.take() {
                input = Box::new(BufReader::new(reader));
            }
            let (name, decoder): (_, Box<dyn Read + Send>) = match name.as_str() {
                "gzip" | "x-gzip" => (
                    "gzip",
                    Box::new(flate2::bufread::MultiGzDecoder::new(input)),
                ),
                "deflate" => ("deflate", Box::new(Deflate::Unknown(Some(input)))),
                #[cfg(feature = "compression")]
                "br" => (
                    "br",
                    Box::new(brotli_decompressor::Decompressor::new(input, PIECE)),
                ),
                #[cfg(feature = "compression")]
                "zstd" => {
                    let decoder = zstd::stream::read::Decoder::with_buffer(input);
                    let mut decoder = decoder.map_err(|error| Kind::Coding("zstd", error))?;
                    let window = decoder.window_log_max(ZSTD_WINDOW_LOG_MAX);
                    window.map_err(|error| Kind::Coding("zstd", error))?;
                    ("zstd", Box::new(decoder))
                }
                _ => return Err(Kind::UnknownCoding(codings.to_owned())),
            };
            outer = name;
            reader = Some(decoder);
            input = Box::new(io::empty());
        }
        Ok(reader.map(|reader| Decoding {
            feed,
            reader,
            name: outer,
            measure,
            encoded: 0,
            decoded: 0,
            over: false,
        }))
    }

    fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// More has come.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.encoded += bytes.len() as u64;
        self.feed().push(bytes);
    }

    /// No more will come.
    pub(super) fn finish(&mut self) {
        self.feed().ended = true;
    }

    /// The next piece.
    pub(super) fn pull(&mut self) -> Result<Out, Kind> {
        if self.over {
            return Ok(Out::End);
        }
        if self.encoded == 0 {
            // An empty body is one in any coding.
            return Ok(if self.feed().ended {
                Out::End
            } else {
                Out::Hungry
            });
        }
        let mut piece = BytesMut::zeroed(PIECE);
        match self.reader.read(&mut piece) {
            Ok(0) => {
                // Some readers say only when they are asked again that something follows their end.
                let again = self.reader.read(&mut piece);
                let left = self.feed().left;
                match again {
                    Ok(0) if left == 0 && self.feed().ended => {
                        self.over = true;
                        Ok(Out::End)
                    }
                    Ok(0) if left == 0 => Ok(Out::Hungry),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Out::Hungry),
                    Err(error) => Err(Kind::Coding(self.name, error)),
                    Ok(_) => {
                        let behind =
                            io::Error::new(io::ErrorKind::InvalidData, "something follows its end");
                        Err(Kind::Coding(self.name, behind))
                    }
                }
            }
            Ok(n) => {
                piece.truncate(n);
                self.decoded += n as u64;
                let allowed = self.measure.ratio.saturating_mul(self.encoded);
                if self.decoded > allowed.saturating_add(self.measure.free) {
                    return Err(Kind::Bomb {
                        encoded: self.encoded,
                        decoded: self.decoded,
                    });
                }
                Ok(Out::Data(piece.freeze()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Out::Hungry),
            Err(error) => Err(Kind::Coding(self.name, error)),
        }
    }
}

/// What has come and was not read.
#[derive(Debug, Default)]
struct Feed {
    bytes: Bytes,
    /// Bytes that the reader has not used, those that it holds included.
    left: usize,
    ended: bool,
}

impl Feed {
    fn push(&mut self, bytes: Bytes) {
        self.left += bytes.len();
        if self.bytes.is_empty() {
            self.bytes = bytes;
        } else {
            let mut joined = BytesMut::with_capacity(self.bytes.len() + bytes.len());
            joined.extend_from_slice(&self.bytes);
            joined.extend_from_slice(&bytes);
            self.bytes = joined.freeze();
        }
    }
}

#[derive(Debug)]
struct FeedReader {
    feed: Arc<Mutex<Feed>>,
    current: Bytes,
}

impl BufRead for FeedReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.current.is_empty() {
            let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
            if feed.bytes.is_empty() && !feed.ended {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.current = std::mem::take(&mut feed.bytes);
        }
        Ok(&self.current)
    }

    fn consume(&mut self, n: usize) {
        self.current.advance(n);
        self.feed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .left -= n;
    }
}

impl Read for FeedReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let n = from.len().min(into.len());
        into[..n].copy_from_slice(&from[..n]);
        self.consume(n);
        Ok(n)
    }
}

/// `deflate` is the format of zlib; some servers took the name by its word. The first byte tells them apart.
enum Deflate {
    Unknown(Option<Box<dyn BufRead + Send>>),
    Zlib(flate2::bufread::ZlibDecoder<Box<dyn BufRead + Send>>),
    Raw(flate2::bufread::DeflateDecoder<Box<dyn BufRead + Send>>),
}

impl Read for Deflate {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self {
                Deflate::Zlib(reader) => return reader.read(into),
                Deflate::Raw(reader) => return reader.read(into),
                Deflate::Unknown(input) => {
                    let Some(reader) = input else {
                        return Ok(0);
                    };
                    // Method 8 and a window that exists (RFC 1950 §2.2); as raw deflate that would be a stored block of nonsense.
                    let first = reader.fill_buf()?.first().copied().unwrap_or_default();
                    let zlib = first & 0x0f == 8 && first >> 4 <= 7;
                    let Some(input) = input.take() else {
                        return Ok(0);
                    };
                    *self = if zlib {
                        Deflate::Zlib(flate2::bufread::ZlibDecoder::new(input))
                    } else {
                        Deflate::Raw(flate2::bufread::DeflateDecoder::new(input))
                    };
                }
            }
        }
    }
}

#[cfg(all(test, feature = "compression"))]
mod tests {
    use super::{Decoding, Measure, Out};
    use crate::client::error::Kind;
    use bytes::Bytes;
    use std::io::Write;

    const MEASURE: Measure = Measure {
        free: 1 << 20,
        ratio: 100,
    };

    fn text() -> Vec<u8> {
        (0..40_000u32)
            .flat_map(|n| (n * n % 1009).to_string().into_bytes())
            .collect()
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).expect("it is encoded");
        encoder.finish().expect("it is encoded")
    }

    fn zlib(plain: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).expect("it is encoded");
        encoder.finish().expect("it is encoded")
    }

    fn raw(plain: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).expect("it is encoded");
        encoder.finish().expect("it is encoded")
    }

    fn zstd(plain: &[u8]) -> Vec<u8> {
        zstd::encode_all(plain, 3).expect("it is encoded")
    }

    /// Decodes what comes in pieces of `step` bytes.
    fn decode(codings: &str, encoded: &[u8], step: usize) -> Result<Vec<u8>, Kind> {
        let mut decoding = Decoding::new(codings, MEASURE)?.expect("a coding");
        let (mut plain, mut pieces) = (Vec::new(), encoded.chunks(step));
        loop {
            match decoding.pull()? {
                Out::Data(data) => plain.extend_from_slice(&data),
                Out::End => return Ok(plain),
                Out::Hungry => match pieces.next() {
                    Some(piece) => decoding.push(Bytes::copy_from_slice(piece)),
                    None => decoding.finish(),
                },
            }
        }
    }

    /// "blitz " a hundred times, by the reference encoder of brotli.
    const BROTLI: &[u8] = &[
        27, 87, 2, 248, 141, 84, 181, 191, 20, 99, 163, 75, 144, 52, 189, 168, 45, 14, 192, 64, 61,
    ];

    #[test]
    fn all_codings_give_back_what_went_in_however_it_is_cut() {
        let plain = text();
        for step in [1, 7, 1000, 1 << 20] {
            for (coding, encoded) in [
                ("gzip", gzip(&plain)),
                ("x-gzip", gzip(&plain)),
                ("deflate", zlib(&plain)),
                ("deflate", raw(&plain)),
                ("zstd", zstd(&plain)),
                ("identity, gzip", gzip(&plain)),
                ("zstd, gzip", gzip(&zstd(&plain))),
            ] {
                let decoded = decode(coding, &encoded, step).expect(coding);
                assert!(decoded == plain, "{coding} by {step}: {}", decoded.len());
            }
        }
    }

    #[test]
    fn all_members_count_and_a_cut_off_one_is_an_error() {
        let two = [gzip(b"one "), gzip(b"two")].concat();
        for step in [1, 5, 1000] {
            assert_eq!(decode("gzip", &two, step).expect("both"), b"one two");
        }
        for (coding, encoded) in [
            ("gzip", gzip(b"hello hello hello")),
            ("deflate", zlib(b"hello hello hello")),
            ("zstd", zstd(b"hello hello hello")),
        ] {
            for len in 1..encoded.len() {
                let cut = decode(coding, &encoded[..len], 4);
                assert!(
                    matches!(cut, Err(Kind::Coding(..))),
                    "{coding}, {len}: {cut:?}"
                );
            }
            let longer = [&encoded[..], b"more"].concat();
            for step in [1, 1000] {
                let longer = decode(coding, &longer, step);
                assert!(
                    matches!(longer, Err(Kind::Coding(..))),
                    "{coding}: {longer:?}"
                );
            }
            assert_eq!(decode(coding, b"", 1).expect("an empty body"), b"");
        }
    }

    #[test]
    fn a_bomb_is_found_before_it_has_gone_off() {
        let zeros = vec![0; 16 << 20];
        for (coding, encoded) in [
            ("gzip", gzip(&zeros)),
            ("zstd", zstd(&zeros)),
            ("gzip, gzip", gzip(&gzip(&zeros))),
        ] {
            match decode(coding, &encoded, 1000) {
                Err(Kind::Bomb { encoded, decoded }) => {
                    assert!(
                        decoded <= (1 << 20) + 100 * encoded + 20_000,
                        "{coding}: {decoded}"
                    );
                }
                other => panic!("{coding}: {:?}", other.map(|plain| plain.len())),
            }
        }
    }

    #[test]
    fn codings_that_nobody_knows_are_errors() {
        for coding in ["compress", "gzip, x", "gzip,gzip,gzip,gzip"] {
            let unknown = Decoding::new(coding, MEASURE);
            assert!(matches!(unknown, Err(Kind::UnknownCoding(_))), "{coding}");
        }
        assert!(
            Decoding::new("identity", MEASURE)
                .expect("nothing")
                .is_none()
        );
        assert!(Decoding::new(" , ", MEASURE).expect("nothing").is_none());
    }

    #[test]
    fn brotli_is_read() {
        for step in [1, 3, 100] {
            let plain = decode("br", BROTLI, step).expect("whole");
            assert_eq!(plain, b"blitz ".repeat(100));
        }
        for len in 1..BROTLI.len() {
            assert!(decode("br", &BROTLI[..len], 2).is_err(), "{len}");
        }
        assert!(decode("br", &[BROTLI, b"more"].concat(), 100).is_err());
    }
}
