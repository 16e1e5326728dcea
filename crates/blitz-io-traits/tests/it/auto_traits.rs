//! Which public types are `Send`, `Sync` and `Unpin`, and that every future is `Send` when its stream is, also in code that
//! is generic over the stream.

use std::cell::Cell;
use std::rc::Rc;

use blitz_io_traits::compat::Compat;
use blitz_io_traits::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, AsyncWrite,
    AsyncWriteExt, BufReader, BufStream, BufWriter, Chain, DuplexStream, Empty, IoBuf, Join, Lines,
    ReadBuf, ReadHalf, Repeat, SeekFrom, SimplexStream, Sink, Slice, Split, Take, WriteHalf, copy,
    copy_bidirectional, copy_buf,
};

fn is_send<T: Send>() {}
fn is_sync<T: Sync>() {}
fn is_unpin<T: Unpin>() {}

macro_rules! all_three {
    ($($type:ty),+ $(,)?) => {$( is_send::<$type>(); is_sync::<$type>(); is_unpin::<$type>(); )+};
}

/// Fails to compile, by two candidates for `probe`, if the type has the trait.
macro_rules! is_not {
    ($trait:path: $($type:ty),+ $(,)?) => {$({
        trait Ambiguous<A> { fn probe() {} }
        impl<T: ?Sized> Ambiguous<()> for T {}
        struct HasIt;
        impl<T: ?Sized + $trait> Ambiguous<HasIt> for T {}
        <$type as Ambiguous<_>>::probe();
    })+};
}

/// Neither `Send` nor `Sync`.
type Local = Rc<()>;

#[test]
fn types_are_as_shareable_as_what_is_inside() {
    type Io = DuplexStream;
    all_three!(
        BufReader<Io>, BufStream<Io>, BufWriter<Io>, Chain<Io, Io>, DuplexStream, Empty, Join<Io, Io>,
        Lines<Io>, ReadBuf<'static>, ReadHalf<Io>, Repeat, SimplexStream, Sink, Slice<Vec<u8>>, Split<Io>,
        Take<Io>, WriteHalf<Io>, Compat<Io>,
    );
    // The lock makes halves of what is `Send` also `Sync`.
    is_sync::<ReadHalf<Cell<u8>>>();
    is_sync::<WriteHalf<Cell<u8>>>();
    is_not!(Send: BufReader<Local>, BufWriter<Local>, BufStream<Local>, Chain<Io, Local>, Join<Local, Io>,
        Lines<Local>, Split<Local>, Take<Local>, ReadHalf<Local>, WriteHalf<Local>, Compat<Local>);
    is_not!(Sync: BufReader<Local>, BufWriter<Local>, Take<Local>, ReadHalf<Local>, WriteHalf<Local>);
}

#[test]
fn owned_buffers_go_to_other_threads() {
    fn buffers_are_send<B: IoBuf>() {
        is_send::<B>();
        is_unpin::<B>();
    }
    buffers_are_send::<Vec<u8>>();
}

fn send_and_sync<T: Send + Sync>(_: T) {}

/// Never run: that it compiles for any such stream is the test.
#[expect(dead_code)]
fn futures_over_any_stream<R, W, S>(
    mut r: R,
    mut w: W,
    mut s: S,
    mut both: DuplexStream,
    mut other: DuplexStream,
) where
    R: AsyncBufRead + Unpin + Send + Sync,
    W: AsyncWrite + Unpin + Send + Sync,
    S: AsyncSeek + Unpin + Send + Sync,
{
    let (mut bytes, mut text) = (Vec::new(), String::new());
    send_and_sync(r.read(&mut []));
    send_and_sync(r.read_buf(&mut bytes));
    send_and_sync(r.read_exact(&mut []));
    send_and_sync(r.read_u16());
    send_and_sync(r.read_f64_le());
    send_and_sync(r.read_to_end(&mut bytes));
    send_and_sync(r.read_to_string(&mut text));
    send_and_sync(r.read_until(0, &mut bytes));
    send_and_sync(r.read_line(&mut text));
    send_and_sync(r.fill_buf());
    send_and_sync(w.write(&[]));
    send_and_sync(w.write_vectored(&[]));
    send_and_sync(w.write_buf(&mut &b""[..]));
    send_and_sync(w.write_all_buf(&mut &b""[..]));
    send_and_sync(w.write_all(&[]));
    send_and_sync(w.write_u128(1));
    send_and_sync(w.flush());
    send_and_sync(w.shutdown());
    send_and_sync(s.seek(SeekFrom::Start(0)));
    send_and_sync(copy(&mut r, &mut w));
    send_and_sync(copy_buf(&mut r, &mut w));
    send_and_sync(copy_bidirectional(&mut both, &mut other));
    send_and_sync((&mut r).lines().next_line());
    send_and_sync((&mut r).split(0).next_segment());
}

/// The traits can be used as objects, and their methods on the objects.
#[test]
fn traits_make_objects() {
    let mut reader: Box<dyn AsyncRead + Send + Unpin> = Box::new(&b"ab"[..]);
    let mut writer: Box<dyn AsyncWrite + Send + Unpin> = Box::new(Vec::new());
    let copied = crate::script::block_on(copy(&mut *reader, &mut *writer)).unwrap();
    assert_eq!(copied, 2);
    let pinned: std::pin::Pin<Box<dyn AsyncBufRead>> = Box::pin(&b"line\n"[..]);
    let line = crate::script::block_on(pinned.lines().next_line()).unwrap();
    assert_eq!(line.as_deref(), Some("line"));
}
