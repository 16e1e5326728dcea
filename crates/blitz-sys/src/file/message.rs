//! Several parts sent as one, as `sendmsg` and a ring's entry name them.

use std::fmt;

use super::imp::answer;
use super::parts::cut;
use super::{Answer, message_flags};
use crate::descriptor::RawFd;

/// Where the parts of one message lie. The kernel reads it, so it stands on the heap and does not move.
pub struct Message(Box<Inner>);

struct Inner {
    header: libc::msghdr,
    /// What the header names.
    parts: Box<[libc::iovec]>,
}

// SAFETY: plain addresses and lengths; who hands them to the kernel promises that they are valid.
unsafe impl Send for Message {}

impl Message {
    /// A message of `parts`, address and length each: the first 1,024 of them, and no more bytes than one call takes.
    pub fn new(parts: impl IntoIterator<Item = (*const u8, usize)>) -> Self {
        let mut parts = cut(parts);
        // SAFETY: all zeros is a header of nothing: null pointers and lengths of zero.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = parts.as_mut_ptr();
        header.msg_iovlen = parts.len() as _;
        Self(Box::new(Inner { header, parts }))
    }

    /// Where the header stands: the same for as long as the message lives.
    pub fn as_ptr(&self) -> *const u8 {
        (&raw const self.0.header).cast()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("parts", &self.0.parts.len())
            .finish_non_exhaustive()
    }
}

/// Sends the parts of `message`, without waiting and without SIGPIPE.
///
/// # Safety
/// The bytes that it names are initialised, and stay unchanged during the call.
pub unsafe fn send_message(fd: RawFd, message: &Message) -> Answer {
    let flags = message_flags::DONTWAIT | message_flags::NOSIGNAL;
    // SAFETY: the header is ours and names our parts; for their bytes, the caller's promise.
    answer(unsafe { libc::sendmsg(fd, &raw const message.0.header, flags) })
}
