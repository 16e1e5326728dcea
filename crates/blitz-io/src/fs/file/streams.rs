//! A file as a stream to read, to write and to seek in.

use std::io::{self, IoSlice, Seek as _, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use blitz_core::budget;
use blitz_io_traits::{AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};
use blitz_sys::descriptor::AsRawFd;
use blitz_sys::errno;
use blitz_sys::file::{read_now, write_now};

use super::File;
use super::direct::explain;

impl AsyncRead for File {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let coop = ready!(budget::poll_proceed(cx));
        let this = self.get_mut();
        let is_direct = this.is_direct;
        let state = this.state.get_mut();
        loop {
            if buf.remaining() == 0 || state.take_read(buf) {
                coop.made_progress();
                return Poll::Ready(Ok(()));
            }
            // What was written comes first, also if it failed before.
            ready!(state.poll_flush_alone(cx, &this.std)).map_err(explain(is_direct))?;
            if state.unread() > 0 {
                continue;
            }
            if state.take_ended() {
                coop.made_progress();
                return Poll::Ready(Ok(()));
            }
            if state.may_read_now {
                match read_now(this.std.as_raw_fd(), buf, state.max_buf_size, None) {
                    n if n >= 0 => {
                        coop.made_progress();
                        return Poll::Ready(Ok(()));
                    }
                    n if n == -errno::EINTR => continue,
                    n if n == -errno::EAGAIN => {}
                    n if n == -errno::EOPNOTSUPP => state.may_read_now = false,
                    n => return Poll::Ready(Err(errno::error(-n))),
                }
            }
            state.begin_read(buf.remaining(), &this.std);
        }
    }
}

impl AsyncWrite for File {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let coop = ready!(budget::poll_proceed(cx));
        let this = self.get_mut();
        let is_direct = this.is_direct;
        let state = this.state.get_mut();
        ready!(state.poll_flush_alone(cx, &this.std)).map_err(explain(is_direct))?;
        state.unread_to_position(&this.std)?;
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        while state.may_write_now {
            let front = &buf[..buf.len().min(state.max_buf_size)];
            match write_now(this.std.as_raw_fd(), front, None) {
                n if n > 0 => {
                    coop.made_progress();
                    return Poll::Ready(Ok(n as usize));
                }
                n if n == -errno::EINTR => {}
                n if n == 0 || n == -errno::EAGAIN => break,
                n if n == -errno::EOPNOTSUPP => state.may_write_now = false,
                n => return Poll::Ready(Err(errno::error(-n))),
            }
        }
        coop.made_progress();
        Poll::Ready(state.take_to_write(buf, &this.std))
    }

    /// All of them as one write: it costs a copy, and saves the calls.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let max_buf_size = self.state.get_mut().max_buf_size;
        let mut filled = bufs.iter().filter(|buf| !buf.is_empty());
        let first: &[u8] = filled.next().map_or(&[], |buf| buf);
        if first.len() >= max_buf_size || filled.next().is_none() {
            return self.poll_write(cx, first);
        }
        let len = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        let mut all = Vec::with_capacity(len.min(max_buf_size));
        for buf in bufs {
            let room = max_buf_size - all.len();
            all.extend_from_slice(&buf[..buf.len().min(room)]);
        }
        self.poll_write(cx, &all)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = this.state.get_mut().poll_flush_alone(cx, &this.std);
        flushed.map_err(explain(this.is_direct))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl AsyncSeek for File {
    fn start_seek(self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        let this = self.get_mut();
        let state = this.state.get_mut();
        if state.is_busy() || state.has_unsent() {
            return Err(io::Error::other(
                "an operation on this file is under way: await `poll_complete`, or flush, before the next seek",
            ));
        }
        state.unread_to_position(&this.std)?;
        let mut file = &*this.std;
        state.position = file.seek(position)?;
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let this = self.get_mut();
        let state = this.state.get_mut();
        ready!(state.poll_flush_alone(cx, &this.std))?;
        Poll::Ready(Ok(state.position))
    }
}
