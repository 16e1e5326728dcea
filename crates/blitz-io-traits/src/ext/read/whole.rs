//! Reading all there is, into a vector or a string.

use std::future::Future;
use std::io;
use std::marker::PhantomPinned;
use std::mem::{self, MaybeUninit};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::faults::is_interrupted;
use crate::{AsyncRead, ReadBuf};

/// How much room a read has at least: with less, a vector grows, which at least doubles it.
const ROOM_MIN: usize = 32;

/// What is known of a vector's spare room from one poll to the next.
#[derive(Debug)]
struct Spare {
    /// So many bytes behind the vector's end were written, so a reader that wants initialised memory need not
    /// zero them again; with many short reads that would be quadratic.
    initialized: usize,
    /// The capacity that the caller chose. A caller who knew the size is not punished for it by a vector twice as
    /// large: before that room grows, a small read finds out whether the end is reached.
    chosen: usize,
}

impl Spare {
    fn of(vec: &Vec<u8>) -> Self {
        Spare {
            initialized: 0,
            chosen: vec.capacity(),
        }
    }
}

/// Reads once, appends to `vec` and returns how many bytes; zero is the end.
fn poll_read_into_spare<R: AsyncRead + ?Sized>(
    mut reader: Pin<&mut R>,
    cx: &mut Context<'_>,
    vec: &mut Vec<u8>,
    spare: &mut Spare,
) -> Poll<io::Result<usize>> {
    if vec.capacity() - vec.len() < ROOM_MIN {
        if vec.capacity() == spare.chosen && spare.chosen >= ROOM_MIN {
            let mut probe = [MaybeUninit::uninit(); ROOM_MIN];
            let mut buf = ReadBuf::uninit(&mut probe);
            ready!(reader.as_mut().poll_read(cx, &mut buf))?;
            vec.extend_from_slice(buf.filled());
            spare.initialized = 0;
            return Poll::Ready(Ok(buf.filled().len()));
        }
        vec.reserve(ROOM_MIN);
        spare.initialized = 0;
    }
    let len = vec.len();
    let mut buf = ReadBuf::uninit(vec.spare_capacity_mut());
    // SAFETY: the last call left so many written bytes behind the end, and the vector was ours alone since.
    unsafe { buf.assume_init(spare.initialized) };
    let before = buf.filled().as_ptr();
    let answer = reader.poll_read(cx, &mut buf);
    // Safe code may have put another `ReadBuf` in the place of ours.
    assert_eq!(
        before,
        buf.filled().as_ptr(),
        "the reader exchanged the buffer that it was given"
    );
    let (filled, initialized) = (buf.filled().len(), buf.initialized().len());
    // What an error or `Pending` left half done does not count.
    let n = if matches!(answer, Poll::Ready(Ok(()))) {
        filled
    } else {
        0
    };
    spare.initialized = initialized - n;
    // SAFETY: `n` bytes behind the end are filled.
    unsafe { vec.set_len(len + n) };
    answer.map_ok(|()| n)
}

/// Reads to the end, appends to `vec` and counts in `read`.
fn poll_read_to_end<R: AsyncRead + ?Sized>(
    mut reader: Pin<&mut R>,
    cx: &mut Context<'_>,
    vec: &mut Vec<u8>,
    spare: &mut Spare,
    read: &mut usize,
) -> Poll<io::Result<usize>> {
    loop {
        match ready!(poll_read_into_spare(reader.as_mut(), cx, vec, spare)) {
            Ok(0) => return Poll::Ready(Ok(mem::take(read))),
            Ok(n) => *read += n,
            Err(err) if is_interrupted(&err) => {}
            Err(err) => return Poll::Ready(Err(err)),
        }
    }
}

pin_project! {
    /// The future of [`AsyncReadExt::read_to_end`](crate::AsyncReadExt::read_to_end).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct ReadToEnd<'a, R: ?Sized> {
        reader: &'a mut R,
        vec: &'a mut Vec<u8>,
        spare: Spare,
        read: usize,
        #[pin]
        _pin: PhantomPinned,
    }
}

impl<'a, R: ?Sized> ReadToEnd<'a, R> {
    pub(super) fn new(reader: &'a mut R, vec: &'a mut Vec<u8>) -> Self {
        let spare = Spare::of(vec);
        ReadToEnd {
            reader,
            vec,
            spare,
            read: 0,
            _pin: PhantomPinned,
        }
    }
}

impl<R: AsyncRead + Unpin + ?Sized> Future for ReadToEnd<'_, R> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let me = self.project();
        poll_read_to_end(Pin::new(&mut **me.reader), cx, me.vec, me.spare, me.read)
    }
}

pin_project! {
    /// The future of [`AsyncReadExt::read_to_string`](crate::AsyncReadExt::read_to_string).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct ReadToString<'a, R: ?Sized> {
        reader: &'a mut R,
        text: Text<'a>,
        spare: Spare,
        read: usize,
        #[pin]
        _pin: PhantomPinned,
    }
}

impl<'a, R: ?Sized> ReadToString<'a, R> {
    pub(super) fn new(reader: &'a mut R, dst: &'a mut String) -> Self {
        let text = Text::borrow(dst);
        let spare = Spare::of(&text.bytes);
        ReadToString {
            reader,
            text,
            spare,
            read: 0,
            _pin: PhantomPinned,
        }
    }
}

impl<R: AsyncRead + Unpin + ?Sized> Future for ReadToString<'_, R> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let me = self.project();
        let reader = Pin::new(&mut **me.reader);
        let answer = ready!(poll_read_to_end(
            reader,
            cx,
            &mut me.text.bytes,
            me.spare,
            me.read
        ));
        Poll::Ready(match answer {
            Ok(n) => me.text.check().map(|()| n),
            Err(err) => {
                me.text.forget();
                Err(err)
            }
        })
    }
}

/// A string that is lent out as bytes while a future appends to it.
///
/// When it is dropped, the string has its bytes back, without what is not UTF-8 at their end.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    home: &'a mut String,
    pub(crate) bytes: Vec<u8>,
    /// So many bytes were there before, or were checked since.
    valid: usize,
}

impl<'a> Text<'a> {
    pub(crate) fn borrow(home: &'a mut String) -> Self {
        let bytes = mem::take(home).into_bytes();
        Text {
            home,
            valid: bytes.len(),
            bytes,
        }
    }

    /// Takes what was appended for good; all of it is forgotten if it is not UTF-8.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        if str::from_utf8(&self.bytes[self.valid..]).is_ok() {
            self.valid = self.bytes.len();
            return Ok(());
        }
        // Looked at whole, so that the error's offset is one in the whole string.
        let err = str::from_utf8(&self.bytes).expect_err("a part of it is not UTF-8");
        self.forget();
        Err(io::Error::new(io::ErrorKind::InvalidData, err))
    }

    /// Removes what was appended since it was checked last.
    pub(crate) fn forget(&mut self) {
        self.bytes.truncate(self.valid);
    }
}

impl Drop for Text<'_> {
    fn drop(&mut self) {
        let appended = &self.bytes[self.valid..];
        let good = str::from_utf8(appended).map_or_else(|err| err.valid_up_to(), str::len);
        let mut bytes = mem::take(&mut self.bytes);
        bytes.truncate(self.valid + good);
        // SAFETY: the first `valid` bytes were a string or were checked, `bytes` was only appended to since, and
        // the `good` ones behind were checked just now.
        *self.home = unsafe { String::from_utf8_unchecked(bytes) };
    }
}
