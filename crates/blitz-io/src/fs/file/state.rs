//! What is under way on a file, and what is held for its streams.
//!
//! ```text
//!  state      move                      to         what is held then
//!  Idle       a read finds no page      Reading    -
//!  Reading    its answer                Idle       `read`: bytes that the next read takes
//!  Idle       a write is taken          Writing    the operation holds the bytes
//!  Writing    all is written            Idle       -
//!  Writing    a part is written         Writing    the rest goes on
//!  Writing    an error                  Idle       `failed`, and in `unsent` what a retry may still write
//!  Idle       a flush with `unsent`     Writing    -
//! ```
//!
//! On the ring every operation says where it works: of one that moves the file's own position (offset -1) the kernel forgets
//! the move when it did a part and then failed, and the retry would overwrite that part (seen on 6.18, full tmpfs). So a write
//! moves the position when it is taken, and its bytes keep their place in the file from then on, also through a
//! retry. What has no position (a pipe), or ignores it (append), is written where it is.
//!
//! A dropped read or write future changes nothing here: the operation belongs to the file.

use std::fs::File as StdFile;
use std::io::{self, Seek as _, SeekFrom};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use blitz_driver::completion::{Op, ReadAt, WriteAt, read_at, write_at};
use blitz_exec::task::JoinHandle;
use blitz_io_traits::{IoBuf, ReadBuf, Slice};
use blitz_sys::completion::Opcode;
use blitz_sys::descriptor::AsRawFd;
use blitz_sys::errno::Class;

use super::bell::Bell;
use super::unsent::Unsent;
use crate::context;
use crate::fs::job::{Job, goes_by_ring, of_pool};

/// What one write takes, and one read asks for, at most, unless it is set.
const MAX_BUF_SIZE: usize = 2 * 1024 * 1024;

pub(super) struct State {
    under_way: UnderWay,
    /// Bytes that were read before anyone asked for them, from `read_at` on.
    read: Vec<u8>,
    read_at: usize,
    /// The last read has found the end, and nobody was told.
    has_ended: bool,
    /// Bytes that were taken and could not be written yet, from `unsent_at` on.
    unsent: Vec<u8>,
    unsent_at: usize,
    /// Where in the file the first byte of `unsent` belongs.
    unsent_base: Option<u64>,
    /// An error that nobody has been told.
    failed: Option<io::Error>,
    /// So many bytes that were taken went down with it.
    lost: usize,
    /// Memory for the next operation.
    spare: Vec<u8>,
    /// Where the last seek has led.
    pub(super) position: u64,
    pub(super) max_buf_size: usize,
    /// False once the file system has said that it cannot tell what is cached.
    pub(super) may_read_now: bool,
    pub(super) may_write_now: bool,
    /// Asked at the first write that is not made on the spot.
    is_positioned: Option<bool>,
    /// What the operation wakes.
    bell: Arc<Bell>,
}

enum UnderWay {
    Idle,
    /// From where.
    Reading(Job<ReadAt<StdFile, Vec<u8>>>, Option<u64>),
    /// And where in the file the first byte of the whole belongs.
    Writing(Op<WriteAt<StdFile, Slice<Vec<u8>>>>, Option<u64>),
    WritingOnPool(JoinHandle<(io::Result<()>, Unsent)>),
}

impl State {
    pub(super) fn new(is_direct: bool) -> Self {
        Self {
            under_way: UnderWay::Idle,
            read: Vec::new(),
            read_at: 0,
            has_ended: false,
            unsent: Vec::new(),
            unsent_at: 0,
            unsent_base: None,
            failed: None,
            lost: 0,
            spare: Vec::new(),
            position: 0,
            max_buf_size: MAX_BUF_SIZE,
            // Past the cache every call on the spot would wait for the disk.
            may_read_now: !is_direct,
            may_write_now: !is_direct,
            is_positioned: None,
            bell: Arc::default(),
        }
    }

    /// True while an operation is under way.
    pub(super) const fn is_busy(&self) -> bool {
        !matches!(self.under_way, UnderWay::Idle)
    }

    /// True while bytes are held that the system has not taken.
    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Polls what is under way; its error is kept for whoever asks next. Who waits is told by the bell.
    fn poll_settle(&mut self, file: &Arc<StdFile>) -> Poll<()> {
        if !self.is_busy() {
            return Poll::Ready(());
        }
        let bell = Waker::from(Arc::clone(&self.bell));
        let cx = &mut Context::from_waker(&bell);
        loop {
            match &mut self.under_way {
                UnderWay::Idle => return Poll::Ready(()),
                UnderWay::Reading(job, from) => {
                    let from = *from;
                    let done = ready!(Pin::new(job).poll(cx));
                    self.under_way = UnderWay::Idle;
                    self.end_read(done, from, file);
                }
                UnderWay::Writing(op, base) => {
                    let base = *base;
                    let (written, part) = ready!(Pin::new(op).poll(cx));
                    self.under_way = UnderWay::Idle;
                    let at = part.begin();
                    self.end_write(written, part.into_inner(), at, base, file);
                }
                UnderWay::WritingOnPool(call) => {
                    let done = ready!(Pin::new(call).poll(cx));
                    self.under_way = UnderWay::Idle;
                    self.end_pool_write(done, file);
                }
            }
        }
    }

    fn end_read(
        &mut self,
        done: io::Result<(io::Result<usize>, Vec<u8>)>,
        from: Option<u64>,
        file: &StdFile,
    ) {
        match done {
            Ok((Ok(n), bytes)) => {
                self.has_ended = n == 0;
                if let Some(from) = from {
                    self.failed = move_to(file, from + n as u64).err();
                }
                self.read = bytes;
                self.read_at = 0;
            }
            Ok((Err(error), bytes)) => {
                self.spare = bytes;
                self.failed = Some(error);
            }
            Err(error) => self.failed = Some(error),
        }
    }

    fn end_write(
        &mut self,
        written: io::Result<usize>,
        bytes: Vec<u8>,
        at: usize,
        base: Option<u64>,
        file: &Arc<StdFile>,
    ) {
        match written {
            Ok(n) if at + n >= bytes.len() => self.keep_spare(bytes),
            Ok(0) => self.keep_unsent(io::ErrorKind::WriteZero.into(), bytes, at, base, file),
            Ok(n) => self.begin_write(bytes, at + n, base, file),
            Err(error) => self.keep_unsent(error, bytes, at, base, file),
        }
    }

    fn end_pool_write(
        &mut self,
        done: Result<(io::Result<()>, Unsent), blitz_exec::task::JoinError>,
        file: &StdFile,
    ) {
        match done {
            Ok((result, mut unsent)) => {
                let (bytes, sent, base) =
                    (std::mem::take(&mut unsent.bytes), unsent.sent, unsent.base);
                unsent.is_reported = true;
                match result {
                    Ok(()) => self.keep_spare(bytes),
                    Err(error) => self.keep_unsent(error, bytes, sent, base, file),
                }
            }
            Err(error) => self.failed = Some(of_pool(error)),
        }
    }

    fn keep_unsent(
        &mut self,
        error: io::Error,
        bytes: Vec<u8>,
        at: usize,
        base: Option<u64>,
        file: &StdFile,
    ) {
        use io::ErrorKind::{QuotaExceeded, StorageFull, WriteZero};
        // Where room may be made, the other end may read, or the kernel be less short of memory, a retry makes sense, and where
        // only the runtime has ended, so that the drop writes them. All else would fail for ever.
        if matches!(error.kind(), StorageFull | QuotaExceeded | WriteZero)
            || Class::of(&error).is_recoverable()
            || blitz_driver::is_shutting_down(&error)
        {
            self.unsent = bytes;
            self.unsent_at = at;
            self.unsent_base = base;
        } else {
            if let Some(base) = base {
                // Back to where the bytes end that are there. The error that is reported is the write's.
                let _ = move_to(file, base + at as u64);
            }
            self.lost = bytes.len() - at;
            self.keep_spare(bytes);
        }
        self.failed = Some(error);
    }

    fn keep_spare(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        self.spare = bytes;
    }

    /// Begins to write `bytes` from `at` on; the first of them belongs to `base`.
    fn begin_write(&mut self, bytes: Vec<u8>, at: usize, base: Option<u64>, file: &Arc<StdFile>) {
        let end = bytes.len();
        let driver = context::driver("fs::File");
        if goes_by_ring(driver.supports(Opcode::WRITE)) {
            let place = base.map(|base| base + at as u64);
            let op = write_at(&driver, Arc::clone(file), bytes.slice(at..end), place);
            self.under_way = UnderWay::Writing(op, base);
            return;
        }
        let mut unsent = Unsent::new(Arc::clone(file), bytes, at, base);
        let call = context::spawn_blocking("fs::File", move || (unsent.write_all(), unsent));
        self.under_way = UnderWay::WritingOnPool(call);
    }

    /// Takes a copy of the front of `bytes` and begins to write it; how much was taken.
    pub(super) fn take_to_write(&mut self, bytes: &[u8], file: &Arc<StdFile>) -> io::Result<usize> {
        let len = bytes.len().min(self.max_buf_size);
        let base = match self.is_positioned(file) {
            true => Some(position_of(file)?),
            false => None,
        };
        if let Some(base) = base {
            move_to(file, base + len as u64)?;
        }
        let mut copy = std::mem::take(&mut self.spare);
        copy.clear();
        copy.extend_from_slice(&bytes[..len]);
        self.begin_write(copy, 0, base, file);
        // On the ring it begins with the first poll. If it is done at once, the next call finds that.
        let _ = self.poll_settle(file);
        Ok(len)
    }

    /// Whether writes go to a position that can be told.
    fn is_positioned(&mut self, file: &StdFile) -> bool {
        *self.is_positioned.get_or_insert_with(|| {
            position_of(file).is_ok() && !blitz_sys::file::is_append(file.as_raw_fd())
        })
    }

    /// Begins to read up to `len` bytes.
    pub(super) fn begin_read(&mut self, len: usize, file: &Arc<StdFile>) {
        let mut memory = std::mem::take(&mut self.spare);
        memory.clear();
        memory.reserve_exact(len.min(self.max_buf_size));
        // What has no position is read where it is.
        let from = position_of(file).ok();
        let file = Arc::clone(file);
        let job = Job::new("fs::File", |driver| read_at(driver, file, memory, from));
        self.under_way = UnderWay::Reading(job, from);
    }

    /// Gives what was read before; false if there is nothing.
    pub(super) fn take_read(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let rest = &self.read[self.read_at..];
        if rest.is_empty() {
            return false;
        }
        let len = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..len]);
        self.read_at += len;
        if self.read_at == self.read.len() {
            let bytes = std::mem::take(&mut self.read);
            self.read_at = 0;
            self.keep_spare(bytes);
        }
        true
    }

    /// Whether the last read has found the end: to be told once.
    pub(super) fn take_ended(&mut self) -> bool {
        std::mem::take(&mut self.has_ended)
    }

    /// How many bytes were read and not taken.
    pub(super) fn unread(&self) -> usize {
        self.read.len() - self.read_at
    }

    /// Forgets what was read and not taken, and takes the file's position back to it.
    pub(super) fn unread_to_position(&mut self, file: &StdFile) -> io::Result<()> {
        let unread = self.unread();
        if unread > 0 {
            let mut file = file;
            file.seek(SeekFrom::Current(-(unread as i64)))?;
        }
        self.read.clear();
        self.read_at = 0;
        self.has_ended = false;
        Ok(())
    }

    /// Polls until everything taken is written, trying again what failed, or reports why not. Who waits is told by the bell.
    fn poll_flush(&mut self, file: &Arc<StdFile>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_settle(file));
            if let Some(error) = self.failed.take() {
                self.lost = 0;
                return Poll::Ready(Err(error));
            }
            if !self.has_unsent() {
                return Poll::Ready(Ok(()));
            }
            let (bytes, at) = (std::mem::take(&mut self.unsent), self.unsent_at);
            self.begin_write(bytes, at, self.unsent_base, file);
        }
    }

    /// The same for whoever holds the file alone: nobody else waits.
    pub(super) fn poll_flush_alone(
        &mut self,
        cx: &mut Context<'_>,
        file: &Arc<StdFile>,
    ) -> Poll<io::Result<()>> {
        if !self.is_settled() {
            self.bell.only(cx.waker());
        }
        self.poll_flush(file)
    }

    /// The same for one of many, under the file's lock: to be dropped after it comes the waker, if it is known already.
    pub(super) fn poll_flush_shared(
        &mut self,
        waker: Waker,
        file: &Arc<StdFile>,
    ) -> (Poll<io::Result<()>>, Option<Waker>) {
        let known = self.bell.add(waker);
        (self.poll_flush(file), known)
    }

    /// Whether nothing is under way, held back or to be reported.
    pub(super) fn is_settled(&self) -> bool {
        !self.is_busy() && !self.has_unsent() && self.failed.is_none()
    }

    /// What wakes those who wait.
    pub(super) fn bell(&self) -> Waker {
        Waker::from(Arc::clone(&self.bell))
    }

    /// The file goes to another owner, who is told of no error: what is unsent is written here.
    pub(super) fn give_up_unsent(&mut self, file: &Arc<StdFile>) {
        if self.has_unsent() {
            let bytes = std::mem::take(&mut self.unsent);
            drop(Unsent::new(
                Arc::clone(file),
                bytes,
                self.unsent_at,
                self.unsent_base,
            ));
        }
        self.failed = None;
    }

    /// The file is dropped: what was taken is written to its end without it.
    pub(super) fn finish_alone(&mut self, file: &Arc<StdFile>) {
        match std::mem::replace(&mut self.under_way, UnderWay::Idle) {
            UnderWay::Writing(op, _) => op.detach(),
            // The call goes on, and says by itself what is lost.
            UnderWay::WritingOnPool(_) | UnderWay::Reading(..) | UnderWay::Idle => {}
        }
        // Whoever was told of the error has decided; a first telling is made here.
        if let Some(error) = self.failed.take() {
            blitz_sys::file::report_loss(std::mem::take(&mut self.lost), &error);
            self.give_up_unsent(file);
        }
    }
}

fn position_of(mut file: &StdFile) -> io::Result<u64> {
    file.stream_position()
}

fn move_to(mut file: &StdFile, position: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(position)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a failure that no retry cures has cost is known until somebody is told of it: the drop tells, if nobody asked.
    #[test]
    fn what_a_failed_write_lost_is_counted_until_it_is_told() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let mut state = State::new(false);
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        state.end_write(Err(broken()), b"taken".to_vec(), 2, None, &file);
        assert_eq!((state.lost, state.has_unsent()), (3, false));
        let told = state.poll_flush(&file);
        assert!(
            matches!(told, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe)
        );
        assert_eq!(state.lost, 0);
        assert!(matches!(state.poll_flush(&file), Poll::Ready(Ok(()))));
    }
}
