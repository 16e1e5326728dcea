//! A terminal session: a program runs in a terminal of its own, whose other end is read and written through `AsyncFd`.
//!
//! ```text
//! cargo run --release --example pty -- sh
//! ```
//!
//! In a terminal it is that program's terminal: keys go to it, what it writes is shown, and a window that gets another size (SIGWINCH)
//! passes it on. Without one (a pipe), bytes of the input are typed, and `--size` says how large the terminal is. It ends as the
//! program ends, with its exit code.

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    match session::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("pty: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(unix))]
fn main() {
    eprintln!("pty: this system has no such terminals");
    std::process::exit(1);
}

#[cfg(unix)]
mod session {
    use blitz_io::io::unix::AsyncFd;
    use blitz_io::io::{AsyncReadExt, AsyncWriteExt, Interest, stdin, stdout};
    use blitz_io::process::Command;
    use blitz_io::signal::unix::{SignalKind, signal};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{
        OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
    };
    use std::error::Error;
    use std::ffi::OsString;
    use std::fs::{File, OpenOptions};
    use std::io::{self, Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::OpenOptionsExt;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{ExitCode, Stdio};

    const HELP: &str = "pty [--size COLUMNSxROWS] [--] PROGRAM [ARGUMENT]...
    --size COLUMNSxROWS   how large the terminal is at first, where there is none to take it from (80x24)";

    /// The word by which this program calls itself within the session.
    const INSIDE: &str = "--inside-the-session";
    /// What a terminal takes for the end of the input: Ctrl-D.
    const END: &[u8] = &[4];

    pub(super) fn run() -> Result<ExitCode, Box<dyn Error>> {
        let mut words: Vec<OsString> = std::env::args_os().skip(1).collect();
        if words.first().is_some_and(|word| word == INSIDE) {
            return Err(become_program(&words[1..]).into());
        }
        let (mut columns, mut rows) = (80, 24);
        if words.first().is_none_or(|word| word == "--help") {
            println!("{HELP}");
            return Ok(ExitCode::SUCCESS);
        }
        if words[0] == "--size" {
            let size = words.get(1).and_then(|word| word.to_str()?.split_once('x'));
            let (x, y) = size.ok_or("--size wants COLUMNSxROWS, as 80x24")?;
            (columns, rows) = (x.parse()?, y.parse()?);
            words.drain(..2);
        }
        match words.first().map(|word| word.to_string_lossy()) {
            Some(word) if word == "--" => drop(words.remove(0)),
            Some(word) if word.starts_with('-') => {
                return Err(format!("unknown option {word}\n{HELP}").into());
            }
            _ => {}
        }
        if words.is_empty() {
            return Err(format!("which program?\n{HELP}").into());
        }
        let size = Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let runtime = blitz_io::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(session(words, size))
    }

    /// Leads a new session, whose terminal is the standard input, and becomes the program. Returns only if that fails.
    fn become_program(words: &[OsString]) -> io::Error {
        if let Err(error) = rustix::process::setsid() {
            return error.into();
        }
        if let Err(error) = rustix::process::ioctl_tiocsctty(rustix::stdio::stdin()) {
            return error.into();
        }
        let error = std::process::Command::new(&words[0])
            .args(&words[1..])
            .exec();
        io::Error::new(
            error.kind(),
            format!("{}: {error}", words[0].to_string_lossy()),
        )
    }

    /// Two ends of a new terminal: ours, which does not block, and that of the program.
    fn open(size: Winsize) -> io::Result<(AsyncFd<File>, File)> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        let name = OsString::from_vec(ptsname(&ours, Vec::new())?.into_bytes());
        let theirs = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OpenptFlags::NOCTTY.bits() as i32)
            .open(name)?;
        tcsetwinsize(&theirs, size)?;
        Ok((AsyncFd::new(File::from(ours))?, theirs))
    }

    /// The terminal that we run in, with each key as it comes; as it was before when it is dropped.
    struct Raw(Termios);

    impl Raw {
        fn begin() -> io::Result<Self> {
            let before = tcgetattr(rustix::stdio::stdin())?;
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(rustix::stdio::stdin(), OptionalActions::Flush, &raw)?;
            Ok(Self(before))
        }
    }

    impl Drop for Raw {
        fn drop(&mut self) {
            // A terminal that is gone needs no setting.
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Flush, &self.0);
        }
    }

    async fn session(words: Vec<OsString>, mut size: Winsize) -> Result<ExitCode, Box<dyn Error>> {
        let is_terminal = isatty(rustix::stdio::stdin());
        if is_terminal {
            size = tcgetwinsize(rustix::stdio::stdin())?;
        }
        let (ours, theirs) = open(size)?;
        // Before the program begins: no change is missed.
        let mut resized = signal(SignalKind::window_change())?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(INSIDE)
            .args(words)
            .stdin(Stdio::from(theirs.try_clone()?))
            .stdout(Stdio::from(theirs.try_clone()?))
            .stderr(Stdio::from(theirs))
            .kill_on_drop(true)
            .spawn()?;
        let raw = if is_terminal {
            Some(Raw::begin()?)
        } else {
            None
        };
        let types = async {
            let (mut input, mut keys) = (stdin(), [0; 4096]);
            loop {
                let len = input.read(&mut keys).await?;
                let typed = if len == 0 { END } else { &keys[..len] };
                type_all(&ours, typed).await?;
                if len == 0 {
                    return io::Result::Ok(());
                }
            }
        };
        let shows = async {
            let (mut output, mut bytes) = (stdout(), [0; 4096]);
            loop {
                let read = ours.async_io(Interest::READABLE, |mut file| file.read(&mut bytes));
                let len = match read.await {
                    Ok(len) => len,
                    // So Linux says that nobody has the other end any more.
                    Err(error)
                        if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) =>
                    {
                        0
                    }
                    Err(error) => return Err(error),
                };
                if len == 0 {
                    return Ok(());
                }
                output.write_all(&bytes[..len]).await?;
                output.flush().await?;
            }
        };
        let resizes = async {
            while resized.recv().await.is_some() {
                if is_terminal {
                    tcsetwinsize(
                        ours.get_ref().as_fd(),
                        tcgetwinsize(rustix::stdio::stdin())?,
                    )?;
                }
            }
            io::Result::Ok(())
        };
        let (mut types, mut resizes) = (std::pin::pin!(types), std::pin::pin!(resizes));
        let (mut typed, mut watched) = (false, false);
        let mut shows = std::pin::pin!(shows);
        // The end of the output is the end: all that the program wrote is shown.
        loop {
            blitz_io::select! {
                shown = &mut shows => break shown?,
                done = &mut types, if !typed => {
                    // A program that has ended takes no more.
                    typed = true;
                    if let Err(error) = done && error.raw_os_error() != Some(rustix::io::Errno::IO.raw_os_error()) {
                        return Err(error.into());
                    }
                }
                done = &mut resizes, if !watched => {
                    watched = true;
                    done?;
                }
            }
        }
        let status = child.wait().await?;
        drop(raw);
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => ExitCode::from(code as u8),
            // As shells say it.
            (None, signal) => ExitCode::from(128u8.wrapping_add(signal.unwrap_or(0) as u8)),
        })
    }

    async fn type_all(ours: &AsyncFd<File>, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let len = ours
                .async_io(Interest::WRITABLE, |mut file| file.write(bytes))
                .await?;
            bytes = &bytes[len..];
        }
        Ok(())
    }
}
