//! Unix signals.

use std::fmt;
use std::io;
use std::task::{Context, Poll};

use blitz_core::waiting::{Resource, Site};
use blitz_sys::signal::number;

use super::listener::Listener;
use crate::context::call;

/// Which signal.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
pub struct SignalKind(i32);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:ident;)+) => {
        impl SignalKind {
            $($(#[$doc])*
            pub const fn $name() -> SignalKind {
                SignalKind(number::$number)
            })+
        }
    };
}

kinds! {
    /// `SIGALRM`: an interval timer of the system ran out. Its default action ends the process.
    alarm = ALARM;
    /// `SIGCHLD`: a child process ended or stopped. It is ignored by default.
    child = CHILD;
    /// `SIGHUP`: the terminal was closed. Its default action ends the process.
    hangup = HANGUP;
    /// `SIGINT`: Ctrl-C. Its default action ends the process.
    interrupt = INTERRUPT;
    /// `SIGIO`: a descriptor in signal-driven mode is ready. Its default action ends the process.
    io = IO;
    /// `SIGPIPE`: a pipe without a reader was written to. Rust programs ignore it from the start.
    pipe = PIPE;
    /// `SIGQUIT`: Ctrl-\. Its default action ends the process with a core dump.
    quit = QUIT;
    /// `SIGTERM`: a polite request to end. Its default action ends the process.
    terminate = TERMINATE;
    /// `SIGUSR1`: what the program makes of it. Its default action ends the process.
    user_defined1 = USER_1;
    /// `SIGUSR2`: what the program makes of it. Its default action ends the process.
    user_defined2 = USER_2;
    /// `SIGWINCH`: the terminal's window has another size. It is ignored by default.
    window_change = WINDOW_CHANGE;
}

impl SignalKind {
    /// The signal of a number, real-time signals among them.
    ///
    /// Any number is taken here; [`signal`] refuses those that cannot be handled.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::signal::unix::SignalKind;
    ///
    /// let kind = SignalKind::from_raw(15);
    /// assert_eq!(kind.as_raw_value(), 15);
    /// ```
    pub const fn from_raw(signum: std::os::raw::c_int) -> SignalKind {
        SignalKind(signum)
    }

    /// The signal's number.
    pub const fn as_raw_value(&self) -> std::os::raw::c_int {
        self.0
    }
}

impl From<std::os::raw::c_int> for SignalKind {
    fn from(signum: std::os::raw::c_int) -> SignalKind {
        SignalKind::from_raw(signum)
    }
}

impl From<SignalKind> for std::os::raw::c_int {
    fn from(kind: SignalKind) -> std::os::raw::c_int {
        kind.as_raw_value()
    }
}

/// A listener for one kind of signal: see [`signal`].
#[must_use = "a listener hears nothing unless it is asked"]
pub struct Signal(Listener);

/// Listens for a kind of signal from now on. Any number of listeners may; each hears every signal.
///
/// The first listener for a kind installs a handler in the whole process, which **stays**, whatever happens to the
/// listeners: the default action of the signal does not come back.
///
/// # Errors
/// For signals that cannot be handled (`SIGKILL`, `SIGSTOP`) and those that a fault of the program raises (`SIGSEGV`,
/// `SIGILL`, `SIGFPE`); when the system refuses the handler, or no descriptor is left to hear it by.
///
/// # Panics
/// Outside a runtime.
///
/// # Examples
/// ```
/// use blitz_io::signal::unix::{SignalKind, signal};
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// let mut window = signal(SignalKind::window_change())?;
/// # std::process::Command::new("kill").args(["-WINCH", &std::process::id().to_string()]).status()?;
/// window.recv().await;
/// assert!(signal(SignalKind::from_raw(9)).is_err());
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    Listener::new("signal", kind.0).map(Signal)
}

impl Signal {
    /// Waits for the next signal; returns `None` once none can come any more, since the runtime is shutting down.
    ///
    /// Several that came since the last call are told once.
    ///
    /// # Cancel safety
    /// Safe: a signal is taken by the poll that returns it.
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = Option<()>> {
        static CALL: Site = Site::new("Signal::recv", Resource::Signal);
        call(&CALL, self.0.number() as u64, async move {
            std::future::poll_fn(|cx| self.poll_recv(cx)).await
        })
    }

    /// Polls for the next signal, as [`recv`](Signal::recv).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.0.poll_recv(cx)
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal")
            .field("kind", &SignalKind(self.0.number()))
            .finish_non_exhaustive()
    }
}
