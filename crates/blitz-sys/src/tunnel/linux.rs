//! `/dev/net/tun`.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;

use crate::descriptor::{AsRawFd as _, OwnedFd};
use crate::errno;

/// The device of this name, which carries IP packets, one for each read and write; made if there is none and the process may.
///
/// The descriptor is non-blocking. A device that was made goes away with it; it has no address and is down until somebody sets it up.
///
/// # Errors
/// `InvalidInput` if the name is empty or longer than 15 bytes. Those of `open(2)` and `ioctl(2)`: `NotFound` without the driver,
/// `PermissionDenied` without `CAP_NET_ADMIN` for a device that is not the user's own.
pub fn open(name: &str) -> io::Result<OwnedFd> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.len() >= libc::IFNAMSIZ || bytes.contains(&0) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a device's name has 1 to 15 bytes",
        ));
    }
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    // SAFETY: a plain structure, of which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    // Packets alone, without a header before each.
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the call reads and writes the structure that it is given, and no other memory.
    let answer = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) };
    errno::check(if answer < 0 { errno::last_answer() } else { 0 })?;
    Ok(device.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_device_has_are_refused() {
        for name in ["", "sixteen-letters!", "a\0b"] {
            let error = open(name).expect_err("no such name");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
    }
}
