//! Readers of an inspection socket, each on a thread of its own, and the limits that keep them from doing harm.
//!
//! | limit | what happens beyond it |
//! |---|---|
//! | [`READERS_MAX`] readers at once | one more is told so and turned away |
//! | [`REQUEST_LEN_MAX`] bytes in a request | an error, and the connection ends |
//! | [`SILENCE_MAX`] without a request | the connection ends |
//! | [`STALL_MAX`] without a byte of the answer taken | the connection ends |
//! | 10,000 traced tasks, 10 s until they are polled | a request for more is an error |
//! | one list of tasks at a time | the next reader waits for its turn, no longer than `STALL_MAX` |

use std::fmt;
use std::io::{self, BufWriter, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use blitz_sys::socket::private::PrivateListener;

use super::answer::{self, Request};
use crate::context::{Handle, Inner};

const READERS_MAX: usize = 16;
const REQUEST_LEN_MAX: usize = 4096;
const SILENCE_MAX: Duration = Duration::from_secs(600);
const STALL_MAX: Duration = Duration::from_secs(5);
/// An answer leaves in pieces of this size.
const PIECE: usize = 64 << 10;
/// A reader's thread needs little, but for the standard library's look at debug information, which a trace takes.
const STACK: usize = 512 << 10;
/// A failed accept, most likely for want of descriptors, is tried again after this.
const RETRY: Duration = Duration::from_millis(100);

/// One socket and its readers.
pub(super) struct Served {
    listener: PrivateListener,
    /// A reader does not keep the runtime alive.
    runtime: Weak<Inner>,
    ended: AtomicBool,
    next: AtomicUsize,
    /// Those who are connected, by number, to be cut off at the end. No other lock is taken under this one.
    readers: Mutex<Vec<(usize, UnixStream)>>,
    /// A list of tasks is in memory.
    listing: Mutex<bool>,
    listed: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves `listener` from a thread until [`end`](Served::end).
pub(super) fn start(listener: PrivateListener, handle: &Handle) -> io::Result<Arc<Served>> {
    let served = Arc::new(Served {
        listener,
        runtime: Arc::downgrade(handle.inner()),
        ended: AtomicBool::new(false),
        next: AtomicUsize::new(0),
        readers: Mutex::new(Vec::new()),
        listing: Mutex::new(false),
        listed: Condvar::new(),
    });
    let acceptor = Arc::clone(&served);
    thread::Builder::new()
        .name("blitz-io-inspect".to_owned())
        .stack_size(STACK)
        .spawn(move || acceptor.accept())?;
    Ok(served)
}

impl Served {
    pub(super) fn path(&self) -> &Path {
        self.listener.path()
    }

    /// Takes the name away and cuts every reader off. Their threads end by themselves.
    pub(super) fn end(&self) {
        if self.listener.is_foreign() {
            return;
        }
        // ORDERING: Release pairs with the Acquire in `has_ended`: whoever accepts after this sees it, or is in the list below.
        self.ended.store(true, Ordering::Release);
        self.listener.remove_name();
        self.listener.end_accepts();
        for (_, stream) in lock(&self.readers).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn has_ended(&self) -> bool {
        // ORDERING: see `end`.
        self.ended.load(Ordering::Acquire)
    }

    fn accept(self: &Arc<Self>) {
        while !self.has_ended() {
            match self.listener.accept() {
                Ok(stream) => {
                    // A reader that cannot be served has no other way to learn of it than the end of its connection.
                    let _ = self.admit(stream);
                }
                Err(_) if self.has_ended() => return,
                Err(_) => thread::sleep(RETRY),
            }
        }
    }

    /// Gives a new reader a thread, or turns it away.
    fn admit(self: &Arc<Self>, stream: UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(STALL_MAX))?;
        let number = {
            let mut readers = lock(&self.readers);
            if readers.len() >= READERS_MAX {
                drop(readers);
                return answer::error(
                    &mut &stream,
                    "too many readers: try again when one has gone",
                );
            }
            // ORDERING: Relaxed: only unlike the others.
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            readers.push((number, stream.try_clone()?));
            number
        };
        // `end` has gone through the list before this reader stood in it, or cuts it off.
        if self.has_ended() {
            self.forget(number);
            return Ok(());
        }
        let served = Arc::clone(self);
        let spawned = thread::Builder::new()
            .name("blitz-io-reader".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                // However it ended: by the reader's leave, a limit, or the runtime's end.
                let _ = served.read(&stream);
                served.forget(number);
            });
        if spawned.is_err() {
            self.forget(number);
        }
        spawned.map(drop)
    }

    fn forget(&self, number: usize) {
        lock(&self.readers).retain(|(known, _)| *known != number);
    }

    /// Serves one reader, request after request.
    fn read(&self, stream: &UnixStream) -> io::Result<()> {
        let mut lines = Lines::new(stream);
        while let Some(line) = lines.next()? {
            let mut out = BufWriter::with_capacity(PIECE, stream);
            match Request::parse(line) {
                Ok(request) => self.serve(&request, &mut out)?,
                Err(why) => answer::error(&mut out, &why)?,
            }
            out.flush()?;
        }
        if lines.is_too_long() {
            answer::error(&mut &*stream, "a request has 4096 bytes at most")?;
        }
        Ok(())
    }

    fn serve(&self, request: &Request, out: &mut BufWriter<&UnixStream>) -> io::Result<()> {
        let Some(every) = request.every() else {
            return self.once(request, out);
        };
        // Until the reader leaves: its end of the connection then takes nothing more.
        loop {
            self.once(request, out)?;
            out.flush()?;
            if !self.pause(every, out.get_ref())? {
                return Ok(());
            }
        }
    }

    /// Waits for the next moment of a watch; false if the reader has said something, or left.
    fn pause(&self, every: Duration, stream: &UnixStream) -> io::Result<bool> {
        stream.set_read_timeout(Some(every))?;
        let mut byte = [0];
        let said = (&mut &*stream).read(&mut byte);
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        match said {
            Err(error) if is_over_time(&error) => Ok(!self.has_ended()),
            // Whatever it said ends the watch; the rest of its line goes with it.
            _ => Ok(false),
        }
    }

    fn once(&self, request: &Request, out: &mut impl Write) -> io::Result<()> {
        let Some(inner) = self.runtime.upgrade() else {
            return answer::error(out, "the runtime has ended");
        };
        let handle = Handle::new(inner);
        if !request.is_long() {
            return answer::write(&handle, request, out);
        }
        let Some(_turn) = self.turn() else {
            return answer::error(
                out,
                "another reader takes its time over a list of tasks: try again",
            );
        };
        answer::write(&handle, request, out)
    }

    /// The right to have a list of tasks in memory, until the turn is dropped; `None` if another reader keeps it too long.
    fn turn(&self) -> Option<Turn<'_>> {
        let listing = lock(&self.listing);
        let (mut listing, _) = self
            .listed
            .wait_timeout_while(listing, STALL_MAX, |listing| *listing)
            .unwrap_or_else(PoisonError::into_inner);
        let is_mine = !*listing;
        *listing = true;
        is_mine.then_some(Turn(self))
    }
}

/// See [`Served::turn`].
struct Turn<'a>(&'a Served);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *lock(&self.0.listing) = false;
        self.0.listed.notify_one();
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

fn is_over_time(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// The lines of a reader, of bounded length.
struct Lines<'a> {
    stream: &'a UnixStream,
    buffer: Vec<u8>,
    /// So much of the buffer was handed out.
    taken: usize,
    too_long: bool,
}

impl<'a> Lines<'a> {
    fn new(stream: &'a UnixStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            taken: 0,
            too_long: false,
        }
    }

    fn is_too_long(&self) -> bool {
        self.too_long
    }

    /// The next line without its end; `None` when there are no more, or one is too long.
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                self.taken = end + 1;
                return Ok(Some(&self.buffer[..end]));
            }
            if self.buffer.len() >= REQUEST_LEN_MAX {
                self.too_long = true;
                return Ok(None);
            }
            let mut piece = [0; 1024];
            match (&mut &*self.stream).read(&mut piece) {
                // A last line without an end counts too.
                Ok(0) if self.buffer.is_empty() => return Ok(None),
                Ok(0) => {
                    self.taken = self.buffer.len();
                    return Ok(Some(&self.buffer));
                }
                Ok(count) => self.buffer.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_over_time(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}
