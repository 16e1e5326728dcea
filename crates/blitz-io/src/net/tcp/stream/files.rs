//! Files to sockets and back, past this program's memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use blitz_core::waiting::{Resource, Site};
use blitz_driver::completion;
use blitz_sys::descriptor::{AsFd, BorrowedFd, OwnedFd};
use blitz_sys::socket::{self, Pipe};

use super::TcpStream;
use crate::context::{self, call};
use crate::io::Interest;
use crate::net::copied;
use crate::net::transfer::{COPY_LEN, Unspliceable, cannot, fill_pipe, read, write_all};

/// One call moves so much at most, so that no task keeps its worker for long.
const CHUNK_LEN: usize = 256 * 1024;

impl TcpStream {
    /// Sends up to `len` bytes of a file from `offset` on, from the page cache to the socket (`sendfile(2)`); returns how
    /// many went, which is less when the file ends before.
    ///
    /// Bytes that are not in memory are waited for on the blocking pool. A file that cannot be sent so is
    /// read there, and its bytes are copied and [counted](crate::net::bytes_copied).
    ///
    /// # Cancel safety
    /// **Not safe**: how much a dropped call has sent is not known.
    ///
    /// # Errors
    /// The socket's, and the file's.
    ///
    /// # Panics
    /// Outside a runtime, when the blocking pool is needed.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::io::AsyncReadExt;
    /// use blitz_io::net::{TcpListener, TcpStream};
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// # let path = std::env::temp_dir().join(format!("blitz-send-file-{}", std::process::id()));
    /// std::fs::write(&path, "0123456789")?;
    /// let file = std::fs::File::open(&path)?;
    /// # std::fs::remove_file(&path)?;
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut server, _) = listener.accept().await?;
    ///
    /// assert_eq!(client.send_file(&file, 4, u64::MAX).await?, 6);
    /// let mut buf = [0; 6];
    /// server.read_exact(&mut buf).await?;
    /// assert_eq!(&buf, b"456789");
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn send_file<F: AsFd>(
        &self,
        file: &F,
        offset: u64,
        len: u64,
    ) -> impl Future<Output = io::Result<u64>> {
        static CALL: Site = Site::new("TcpStream::send_file", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            let file = file.as_fd();
            let mut sent = 0;
            while sent < len {
                let at = offset
                    .checked_add(sent)
                    .ok_or(io::ErrorKind::InvalidInput)?;
                let chunk = clamped(len - sent, CHUNK_LEN);
                let went = if socket::is_resident(file, at + chunk as u64 - 1) {
                    let call = || socket::send_file(self.as_fd(), file, at, chunk);
                    self.io.async_io(Interest::WRITABLE, call).await
                } else {
                    self.send_cold(file, at, chunk).await
                };
                match went {
                    Ok(0) => break,
                    Ok(n) => sent += n as u64,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.io_writable().await?
                    }
                    Err(error) if cannot(&error) => {
                        return self.send_copied(file, offset, sent, len).await;
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(sent)
        })
    }

    /// Sends from where the device has to be waited for: on the blocking pool.
    async fn send_cold(&self, file: BorrowedFd<'_>, at: u64, chunk: usize) -> io::Result<usize> {
        let stream = Arc::clone(self.io.fd());
        let file = file.try_clone_to_owned()?;
        let call = move || socket::send_file(stream.as_fd(), file.as_fd(), at, chunk);
        context::spawn_blocking("TcpStream::send_file", call).await?
    }

    /// The socket was full on another thread: only an event says that it is not any more.
    async fn io_writable(&self) -> io::Result<()> {
        let event = self.io.source.look(Interest::WRITABLE)?;
        self.io.source.clear(event);
        self.io.ready(Interest::WRITABLE).await.map(drop)
    }

    async fn send_copied(
        &self,
        file: BorrowedFd<'_>,
        offset: u64,
        sent: u64,
        len: u64,
    ) -> io::Result<u64> {
        let file = Arc::new(File::from(file.try_clone_to_owned()?));
        let (mut sent, mut buf) = (sent, vec![0; COPY_LEN]);
        while sent < len {
            let chunk = clamped(len - sent, COPY_LEN);
            let (source, at) = (Arc::clone(&file), offset + sent);
            let reading = context::spawn_blocking("TcpStream::send_file", move || {
                let read = source.read_at(&mut buf[..chunk], at);
                read.map(|n| (n, buf))
            });
            let n;
            (n, buf) = reading.await??;
            if n == 0 {
                break;
            }
            copied::count(n);
            write_all(self, &buf[..n]).await?;
            sent += n as u64;
        }
        Ok(sent)
    }

    /// Receives up to `len` bytes into a file at `offset`, past this program's memory (`splice(2)`); returns how many came,
    /// which is less when the stream ends before.
    ///
    /// The file's side, which may wait for a device, goes through the ring, or the blocking pool. Where the
    /// bytes cannot be moved so they are copied and [counted](crate::net::bytes_copied).
    ///
    /// # Cancel safety
    /// **Not safe**: bytes on their way when the future is dropped are lost.
    ///
    /// # Errors
    /// The socket's, and the file's.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn receive_file<F: AsFd>(
        &self,
        file: &F,
        offset: u64,
        len: u64,
    ) -> impl Future<Output = io::Result<u64>> {
        static CALL: Site = Site::new("TcpStream::receive_file", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            let file = Arc::new(file.as_fd().try_clone_to_owned()?);
            let pipe = match self.pipe() {
                Ok(pipe) => pipe,
                Err(error) if cannot(&error) => {
                    return self.receive_copied(file, offset, 0, len).await;
                }
                Err(error) => return Err(error),
            };
            let mut received = 0;
            while received < len {
                let n = match fill_pipe(self, &pipe, len - received).await {
                    Ok(0) => break,
                    Ok(n) => n,
                    Err(Unspliceable::Socket) => {
                        return self.receive_copied(file, offset, received, len).await;
                    }
                    Err(Unspliceable::Failed(error)) => return Err(error),
                };
                let mut stored = 0;
                while stored < n {
                    let at = offset
                        .checked_add(received)
                        .ok_or(io::ErrorKind::InvalidInput)?;
                    let from = (Arc::clone(pipe.read_end()), None);
                    let op = completion::splice(
                        self.io.source.home(),
                        from,
                        (Arc::clone(&file), Some(at)),
                        n - stored,
                    );
                    let went = if op.has_ring() {
                        op.await
                    } else {
                        context::spawn_blocking("TcpStream::receive_file", move || op.call())
                            .await?
                    };
                    match went? {
                        0 => return Err(io::ErrorKind::WriteZero.into()),
                        went => {
                            stored += went;
                            received += went as u64;
                        }
                    }
                }
            }
            Ok(received)
        })
    }

    /// A pipe, unless bytes of the stream may be in leased buffers, where no pipe gets at them.
    fn pipe(&self) -> io::Result<Pipe> {
        if self.io.has_leases() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Pipe::new(CHUNK_LEN)
    }

    async fn receive_copied(
        &self,
        file: Arc<OwnedFd>,
        offset: u64,
        received: u64,
        len: u64,
    ) -> io::Result<u64> {
        let file = Arc::new(File::from(file.try_clone()?));
        let (mut received, mut buf) = (received, vec![0; COPY_LEN]);
        while received < len {
            let chunk = clamped(len - received, COPY_LEN);
            let n = read(self, &mut buf[..chunk]).await?;
            if n == 0 {
                break;
            }
            copied::count(n);
            let (target, at) = (Arc::clone(&file), offset + received);
            let write = context::spawn_blocking("TcpStream::receive_file", move || {
                let written = target.write_all_at(&buf[..n], at);
                written.map(|()| buf)
            });
            buf = write.await??;
            received += n as u64;
        }
        Ok(received)
    }
}

/// What is left, as far as one call goes.
fn clamped(left: u64, max: usize) -> usize {
    usize::try_from(left).map_or(max, |left| left.min(max))
}
