//! Which call waits, and where: how a runtime learns it of futures that know no runtime.
//!
//! Each future of the extension traits knows the line that made it. A runtime that wants to show it calls [`set_wait_hook`] once for
//! the process; from then on each of them tells it when it is pending.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// The calls that tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// `read`
    Read,
    /// `read_buf`
    ReadBuf,
    /// `read_exact`
    ReadExact,
    /// `read_u8` and all its like
    ReadNumber,
    /// `read_to_end`
    ReadToEnd,
    /// `read_to_string`
    ReadToString,
    /// `read_until`
    ReadUntil,
    /// `read_line`
    ReadLine,
    /// `fill_buf`
    FillBuf,
    /// `write`
    Write,
    /// `write_vectored`
    WriteVectored,
    /// `write_buf`
    WriteBuf,
    /// `write_all_buf`
    WriteAllBuf,
    /// `write_all`
    WriteAll,
    /// `write_u8` and all its like
    WriteNumber,
    /// `flush`
    Flush,
    /// `shutdown`
    Shutdown,
    /// `seek`, `rewind` and `stream_position`
    Seek,
    /// `copy`
    Copy,
    /// `copy_buf`
    CopyBuf,
    /// `copy_bidirectional` and `copy_bidirectional_with_sizes`
    CopyBidirectional,
}

impl Call {
    /// All of them, in the order of their numbers (`call as usize`).
    pub const ALL: [Call; 21] = [
        Call::Read,
        Call::ReadBuf,
        Call::ReadExact,
        Call::ReadNumber,
        Call::ReadToEnd,
        Call::ReadToString,
        Call::ReadUntil,
        Call::ReadLine,
        Call::FillBuf,
        Call::Write,
        Call::WriteVectored,
        Call::WriteBuf,
        Call::WriteAllBuf,
        Call::WriteAll,
        Call::WriteNumber,
        Call::Flush,
        Call::Shutdown,
        Call::Seek,
        Call::Copy,
        Call::CopyBuf,
        Call::CopyBidirectional,
    ];

    /// Its name, as a user wrote it.
    pub const fn name(self) -> &'static str {
        match self {
            Call::Read => "read",
            Call::ReadBuf => "read_buf",
            Call::ReadExact => "read_exact",
            Call::ReadNumber => "read of a number",
            Call::ReadToEnd => "read_to_end",
            Call::ReadToString => "read_to_string",
            Call::ReadUntil => "read_until",
            Call::ReadLine => "read_line",
            Call::FillBuf => "fill_buf",
            Call::Write => "write",
            Call::WriteVectored => "write_vectored",
            Call::WriteBuf => "write_buf",
            Call::WriteAllBuf => "write_all_buf",
            Call::WriteAll => "write_all",
            Call::WriteNumber => "write of a number",
            Call::Flush => "flush",
            Call::Shutdown => "shutdown",
            Call::Seek => "seek",
            Call::Copy => "copy",
            Call::CopyBuf => "copy_buf",
            Call::CopyBidirectional => "copy_bidirectional",
        }
    }
}

/// Told that the task that this thread polls waits in a call, made at a line of code. The reader or writer inside has returned
/// `Pending` just now.
pub type WaitHook = fn(Call, &'static Location<'static>);

static HOOK: OnceLock<WaitHook> = OnceLock::new();

/// Sets the hook of this process, and returns whether it is the one in force.
///
/// The first one stays; a runtime may call this as often as it likes with its own.
pub fn set_wait_hook(hook: WaitHook) -> bool {
    std::ptr::fn_addr_eq(*HOOK.get_or_init(|| hook), hook)
}

pin_project! {
    /// A future that tells when it waits.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Located<F> {
        call: Call,
        at: &'static Location<'static>,
        #[pin]
        future: F,
    }
}

impl<F> Located<F> {
    /// `future` is that of `call`, made where the caller was called.
    #[inline]
    #[track_caller]
    pub(crate) fn new(call: Call, future: F) -> Self {
        Located {
            call,
            at: Location::caller(),
            future,
        }
    }
}

impl<F: Future> Future for Located<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let me = self.project();
        let polled = me.future.poll(cx);
        if polled.is_pending()
            && let Some(hook) = HOOK.get()
        {
            hook(*me.call, me.at);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_numbered_in_their_order() {
        for (number, call) in Call::ALL.into_iter().enumerate() {
            assert_eq!(call as usize, number);
            assert!(!call.name().is_empty());
        }
    }
}
