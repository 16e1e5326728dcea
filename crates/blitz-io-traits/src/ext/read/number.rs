//! Reading a number of a known width and byte order.

use std::future::Future;
use std::io;
use std::marker::{PhantomData, PhantomPinned};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::faults::{early_eof, is_interrupted};
use crate::{AsyncRead, ReadBuf};

/// The widest number.
const WIDTH_MAX: usize = 16;

/// How a number stands in bytes.
pub trait Encoding {
    /// What is read.
    type Number;
    /// How many bytes it takes.
    const WIDTH: usize;
    /// Makes the number from its first [`WIDTH`](Encoding::WIDTH) bytes.
    fn decode(bytes: &[u8; WIDTH_MAX]) -> Self::Number;
}

/// A number whose highest byte comes first.
#[derive(Debug)]
pub struct Big<N>(PhantomData<fn() -> N>);

/// A number whose lowest byte comes first.
#[derive(Debug)]
pub struct Little<N>(PhantomData<fn() -> N>);

macro_rules! encodings {
    ($($number:ty),+) => {$(
        impl Encoding for Big<$number> {
            type Number = $number;
            const WIDTH: usize = size_of::<$number>();
            fn decode(bytes: &[u8; WIDTH_MAX]) -> $number {
                <$number>::from_be_bytes(*bytes.first_chunk().expect("no number is wider"))
            }
        }

        impl Encoding for Little<$number> {
            type Number = $number;
            const WIDTH: usize = size_of::<$number>();
            fn decode(bytes: &[u8; WIDTH_MAX]) -> $number {
                <$number>::from_le_bytes(*bytes.first_chunk().expect("no number is wider"))
            }
        }
    )+};
}

encodings!(u8, i8, u16, i16, u32, i32, u64, i64, u128, i128, f32, f64);

pin_project! {
    /// The future of [`AsyncReadExt::read_u16`](crate::AsyncReadExt::read_u16) and its siblings.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct ReadNumber<'a, R: ?Sized, E> {
        reader: &'a mut R,
        bytes: [u8; WIDTH_MAX],
        len: usize,
        encoding: PhantomData<fn() -> E>,
        #[pin]
        _pin: PhantomPinned,
    }
}

impl<'a, R: ?Sized, E> ReadNumber<'a, R, E> {
    pub(super) fn new(reader: &'a mut R) -> Self {
        ReadNumber {
            reader,
            bytes: [0; WIDTH_MAX],
            len: 0,
            encoding: PhantomData,
            _pin: PhantomPinned,
        }
    }
}

impl<R: AsyncRead + Unpin + ?Sized, E: Encoding> Future for ReadNumber<'_, R, E> {
    type Output = io::Result<E::Number>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let me = self.project();
        while *me.len < E::WIDTH {
            let mut buf = ReadBuf::new(&mut me.bytes[*me.len..E::WIDTH]);
            match ready!(Pin::new(&mut **me.reader).poll_read(cx, &mut buf)) {
                Ok(()) if buf.filled().is_empty() => return Poll::Ready(Err(early_eof())),
                Ok(()) => *me.len += buf.filled().len(),
                Err(err) if is_interrupted(&err) => {}
                Err(err) => return Poll::Ready(Err(err)),
            }
        }
        Poll::Ready(Ok(E::decode(me.bytes)))
    }
}
