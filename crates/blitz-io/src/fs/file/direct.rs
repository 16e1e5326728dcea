//! Errors of files that are opened for direct I/O, in words: the system says `EINVAL` and no more.

use std::error::Error;
use std::fmt;
use std::io;

use blitz_sys::descriptor::AsRawFd as _;
use blitz_sys::errno;
use blitz_sys::file::{DirectAlignment, direct_alignment};

/// A transfer that the system refused for how it was aligned.
#[derive(Debug)]
struct Misaligned {
    offset: u64,
    /// The first part that is to blame: address and length.
    part: (usize, usize),
    asked: Option<DirectAlignment>,
    source: io::Error,
}

impl fmt::Display for Misaligned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, len) = self.part;
        write!(
            f,
            "the file is opened for direct I/O, and {len} bytes of memory at {address:#x} for offset {} are not aligned: ",
            self.offset
        )?;
        match self.asked {
            Some(DirectAlignment { memory, offset }) => write!(
                f,
                "offset and length must be multiples of {offset}, the address one of {memory}"
            )?,
            None => f.write_str(
                "all three must be multiples of the disk's block, mostly 512 or 4096 bytes",
            )?,
        }
        f.write_str(" (an AlignedBuf has such memory)")
    }
}

impl Error for Misaligned {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// `error` of a transfer of `parts`, address and length each, at `offset`: with what is to blame, if that is how they lie.
pub(super) fn say(
    error: io::Error,
    file: &std::fs::File,
    offset: u64,
    mut parts: impl Iterator<Item = (usize, usize)>,
) -> io::Error {
    if error.raw_os_error() != Some(errno::EINVAL) {
        return error;
    }
    let asked = direct_alignment(file.as_raw_fd());
    // Where it is not told, no disk asks for more than 4096 and none for less than 512.
    let (memory, block) = asked.map_or((512, 512), |asked| (asked.memory, asked.offset));
    let is_bad = |(address, len): &(usize, usize)| {
        !address.is_multiple_of(memory)
            || !len.is_multiple_of(block)
            || !offset.is_multiple_of(block as u64)
    };
    match parts.find(is_bad) {
        Some(part) => io::Error::new(
            io::ErrorKind::InvalidInput,
            Misaligned {
                offset,
                part,
                asked,
                source: error,
            },
        ),
        None => error,
    }
}

/// The same for the streams, whose memory is their own.
pub(super) fn explain(is_direct: bool) -> impl Fn(io::Error) -> io::Error {
    move |error| {
        if is_direct && error.raw_os_error() == Some(errno::EINVAL) {
            return io::Error::new(
                io::ErrorKind::InvalidInput,
                "the file is opened for direct I/O, which its streams cannot do: their memory is not aligned; use `read_at` \
                 and `write_at` with an AlignedBuf",
            );
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_aligned_is_named() {
        let file = tempfile::tempfile().unwrap();
        let refused = || errno::error(errno::EINVAL);
        let told = say(refused(), &file, 3, [(0, 4096)].into_iter());
        assert!(told.to_string().contains("for offset 3 "), "{told}");
        assert_eq!(told.kind(), io::ErrorKind::InvalidInput);
        let told = say(refused(), &file, 0, [(0, 4096), (4096, 100)].into_iter());
        assert!(
            told.to_string().contains("100 bytes of memory at 0x1000 "),
            "{told}"
        );
        let told = say(refused(), &file, 0, [(0, 4096)].into_iter());
        assert_eq!(told.raw_os_error(), Some(errno::EINVAL), "{told}");
        let other = say(errno::error(errno::EIO), &file, 3, [].into_iter());
        assert_eq!(other.raw_os_error(), Some(errno::EIO));
    }
}
