//! A process that was started.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Output};
use std::task::{Context, Poll, ready};

use blitz_core::waiting::{Resource, Site};

use super::exit::Exit;
use super::reaper;
use super::{ChildStderr, ChildStdin, ChildStdout};
use crate::context::call;
use crate::io::{AsyncRead, AsyncReadExt as _};

/// A child process.
///
/// Dropped, it runs on unless [`kill_on_drop`](super::Command::kill_on_drop) was set, and is reaped when it ends.
///
/// # Examples
/// ```
/// use std::process::Stdio;
/// use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
/// use blitz_io::process::Command;
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// let mut stdin = child.stdin.take().unwrap();
/// stdin.write_all(b"there and back").await?;
/// drop(stdin);
/// let mut text = String::new();
/// child.stdout.take().unwrap().read_to_string(&mut text).await?;
/// assert_eq!(text, "there and back");
/// assert!(child.wait().await?.success());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Child {
    /// `None` once it has ended, or was handed to the reaper.
    running: Option<Running>,
    ended: Option<ExitStatus>,
    kill_on_drop: bool,
    /// The pipe to its standard input, if it was `Stdio::piped()`.
    pub stdin: Option<ChildStdin>,
    /// The pipe from its standard output, if it was `Stdio::piped()`.
    pub stdout: Option<ChildStdout>,
    /// The pipe from its standard error, if it was `Stdio::piped()`.
    pub stderr: Option<ChildStderr>,
}

#[derive(Debug)]
struct Running {
    std: std::process::Child,
    exit: Exit,
}

impl Child {
    #[track_caller]
    pub(super) fn new(
        std: std::process::Child,
        driver: blitz_driver::Handle,
        kill_on_drop: bool,
    ) -> io::Result<Child> {
        let exit = Exit::of(std.id(), driver);
        Child::with_exit(std, exit, kill_on_drop)
    }

    #[track_caller]
    fn with_exit(
        mut std: std::process::Child,
        exit: io::Result<Exit>,
        kill_on_drop: bool,
    ) -> io::Result<Child> {
        let (stdin, stdout, stderr) = (std.stdin.take(), std.stdout.take(), std.stderr.take());
        let exit = match exit {
            Ok(exit) => exit,
            Err(error) => {
                give_up(std);
                return Err(error);
            }
        };
        let mut child = Child {
            running: Some(Running { std, exit }),
            ended: None,
            // Until it is whole: nobody would know of it.
            kill_on_drop: true,
            stdin: None,
            stdout: None,
            stderr: None,
        };
        child.stdin = stdin.map(ChildStdin::from_std).transpose()?;
        child.stdout = stdout.map(ChildStdout::from_std).transpose()?;
        child.stderr = stderr.map(ChildStderr::from_std).transpose()?;
        child.kill_on_drop = kill_on_drop;
        Ok(child)
    }

    /// The child's number; `None` once its end was waited for, since the number may be another's then.
    pub fn id(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.std.id())
    }

    /// Kills the child (`SIGKILL`), and does not wait for its end. A child whose end was waited for already is left alone.
    ///
    /// # Errors
    /// Those of `kill(2)`.
    pub fn start_kill(&mut self) -> io::Result<()> {
        match &mut self.running {
            Some(running) => running.std.kill(),
            None => Ok(()),
        }
    }

    /// Kills the child (`SIGKILL`) and waits for its end.
    ///
    /// # Cancel safety
    /// Safe: it is killed by the first poll.
    ///
    /// # Errors
    /// As for [`start_kill`](Child::start_kill) and [`wait`](Child::wait).
    #[track_caller]
    pub fn kill(&mut self) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("Child::kill", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            self.start_kill()?;
            poll_fn(|cx| self.poll_end(cx)).await.map(drop)
        })
    }

    /// Waits for the child's end; returns its status, again and again. Its standard input is closed first, if it is here: a child
    /// that reads to the end would never end otherwise.
    ///
    /// # Cancel safety
    /// Safe: the status is not lost. The standard input stays closed.
    ///
    /// # Errors
    /// Those of `waitpid(2)`; when the runtime is shutting down.
    #[track_caller]
    pub fn wait(&mut self) -> impl Future<Output = io::Result<ExitStatus>> {
        static CALL: Site = Site::new("Child::wait", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            drop(self.stdin.take());
            poll_fn(|cx| self.poll_end(cx)).await
        })
    }

    fn number(&self) -> u64 {
        self.running
            .as_ref()
            .map_or(blitz_core::waiting::UNKNOWN, |running| {
                running.exit.number()
            })
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        loop {
            if let Some(status) = self.try_wait()? {
                return Poll::Ready(Ok(status));
            }
            // Asked before each wait: an end that comes after the question is told after it, too.
            match &mut self.running {
                Some(running) => ready!(running.exit.poll(cx))?,
                None => unreachable!("a child runs or has ended"),
            }
        }
    }

    /// The child's status, if it has ended.
    ///
    /// # Errors
    /// Those of `waitpid(2)`.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if let Some(running) = &mut self.running
            && let Some(status) = running.std.try_wait()?
        {
            self.ended = Some(status);
            self.running = None;
        }
        Ok(self.ended)
    }

    /// Waits for the child's end and collects what it writes meanwhile into those of its pipes that are here.
    ///
    /// # Cancel safety
    /// **Not safe**: the child, and what was collected, is gone with the future.
    ///
    /// # Errors
    /// As for [`wait`](Child::wait), and those of reading the pipes.
    #[track_caller]
    pub fn wait_with_output(mut self) -> impl Future<Output = io::Result<Output>> {
        static CALL: Site = Site::new("Child::wait_with_output", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            drop(self.stdin.take());
            let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
            let mut stdout = pin!(collect(stdout));
            let mut stderr = pin!(collect(stderr));
            let (mut status, mut out, mut err) = (None, None, None);
            poll_fn(|cx| {
                if status.is_none()
                    && let Poll::Ready(ended) = self.poll_end(cx)
                {
                    status = Some(ended?);
                }
                if out.is_none()
                    && let Poll::Ready(bytes) = stdout.as_mut().poll(cx)
                {
                    out = Some(bytes?);
                }
                if err.is_none()
                    && let Poll::Ready(bytes) = stderr.as_mut().poll(cx)
                {
                    err = Some(bytes?);
                }
                match (status, out.is_some() && err.is_some()) {
                    (Some(status), true) => Poll::Ready(Ok(Output {
                        status,
                        stdout: out.take().unwrap_or_default(),
                        stderr: err.take().unwrap_or_default(),
                    })),
                    _ => Poll::Pending,
                }
            })
            .await
        })
    }

    /// Closes the pipes that are here.
    pub(super) fn close_pipes(&mut self) {
        drop((self.stdin.take(), self.stdout.take(), self.stderr.take()));
    }
}

async fn collect<R: AsyncRead + Unpin>(pipe: Option<R>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// A child of whose end nobody could hear.
fn give_up(mut std: std::process::Child) {
    // If it cannot be killed it has ended, or runs on: the reaper waits either way.
    let _ = std.kill();
    reaper::reap(std);
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(Running { std, .. }) = self.running.take() else {
            return;
        };
        if self.kill_on_drop {
            give_up(std);
        } else {
            reaper::reap(std);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::runtime::{Backend, Builder};

    #[test]
    fn an_end_is_heard_on_another_runtime_than_that_of_the_start() {
        let runtime = |backend| {
            let mut builder = Builder::new_current_thread();
            builder.driver_backend(backend).build()
        };
        for backend in [Backend::IoUring, Backend::Epoll] {
            let Ok(first) = runtime(backend) else {
                continue; // This kernel refuses it.
            };
            let start = |by_signal: bool| {
                let mut command = Command::new("sh");
                command
                    .args(["-c", "read line; exit 3"])
                    .stdin(Stdio::piped());
                let std = command.spawn().unwrap();
                let exit = if by_signal {
                    Exit::by_signal()
                } else {
                    Exit::of(std.id(), crate::context::driver("a test"))
                };
                Child::with_exit(std, exit, true).unwrap()
            };
            let children = first.block_on(async {
                let mut children = [start(false), start(true)];
                // They were waited for before, and so are known to the first runtime.
                for child in &mut children {
                    let waits = poll_fn(|cx| Poll::Ready(child.poll_end(cx).is_pending())).await;
                    assert!(waits);
                }
                children
            });
            drop(first);
            let second = runtime(backend).unwrap();
            for mut child in children {
                let status = second.block_on(async { child.wait().await.unwrap() });
                assert_eq!(status.code(), Some(3));
            }
        }
    }

    /// As on a kernel without descriptors of processes.
    #[test]
    fn ends_are_heard_by_signals_too() {
        for backend in [Backend::IoUring, Backend::Epoll] {
            let runtime = Builder::new_multi_thread()
                .worker_threads(2)
                .driver_backend(backend)
                .build();
            let Ok(runtime) = runtime else {
                continue; // This kernel refuses it.
            };
            runtime.block_on(async {
                let mut children: Vec<_> = (0..8)
                    .map(|code| {
                        let script = format!("read line; exit {code}");
                        let std = Command::new("sh")
                            .args(["-c", &script])
                            .stdin(Stdio::piped())
                            .spawn()
                            .unwrap();
                        Child::with_exit(std, Exit::by_signal(), true).unwrap()
                    })
                    .collect();
                for (code, child) in children.iter_mut().enumerate() {
                    let status = child.wait().await.unwrap();
                    assert_eq!(status.code(), Some(code as i32));
                }
            });
        }
    }
}
