//! The numbers that every Unix has.

use std::io::ErrorKind::*;

use super::Class::{self, *};
use super::Row;

/// The error that `number` is.
#[inline]
pub(super) fn error(number: i32) -> std::io::Error {
    std::io::Error::from_raw_os_error(number)
}

const fn row(
    number: i32,
    name: &'static str,
    kind: Option<std::io::ErrorKind>,
    class: Class,
    says: &'static str,
) -> Row {
    Row {
        number,
        name,
        kind,
        class,
        says,
    }
}

/// `NAME: kind, class, words;` for each number.
macro_rules! rows {
    ($($name:ident: $kind:expr, $class:expr, $says:literal;)+) => {
        [$(row(libc::$name, stringify!($name), $kind, $class, $says),)+]
    };
}

/// What can be done again at once, when ready, when resources return; then what cannot, by subject.
#[rustfmt::skip] // one row a line is what makes it a table
pub(super) const ROWS: &[Row] = &rows! {
    EINTR: Some(Interrupted), RetryNow, "a signal came first";
    ECANCELED: None, RetryNow, "it was cancelled before it was done";

    EAGAIN: Some(WouldBlock), RetryWhenReady, "there is nothing to take, or no room, at this moment";
    EINPROGRESS: None, RetryWhenReady, "the connection is on its way";
    EALREADY: None, RetryWhenReady, "an earlier connect or cancel of this is still on its way";

    ENOMEM: Some(OutOfMemory), RetryWhenFreed, "the kernel has no memory left for it, or the limit of locked memory (ulimit -l) is reached";
    ENOBUFS: None, RetryWhenFreed, "no buffer is free: the provided ones are all out, or the network's are";
    EMFILE: None, RetryWhenFreed, "this process has no descriptor left: close some, or raise the limit (ulimit -n, LimitNOFILE)";
    ENFILE: None, RetryWhenFreed, "the system has no descriptor left (sysctl fs.file-max)";
    EBUSY: Some(ResourceBusy), RetryWhenFreed, "it is in use, or answers stand in the way that have to be taken first";

    EBADF: None, Ring, "the descriptor is not open: something else has closed it";
    EFAULT: None, Ring, "an address that was given is not the program's";

    EPERM: Some(PermissionDenied), Operation, "it is not permitted: a sandbox, a missing privilege, or a file that cannot be polled";
    EACCES: Some(PermissionDenied), Operation, "permission is missing";
    ENOSYS: Some(Unsupported), Operation, "this kernel does not have it, or a sandbox hides it";
    EOPNOTSUPP: Some(Unsupported), Operation, "this kind of descriptor cannot do it";
    EINVAL: Some(InvalidInput), Operation, "an argument makes no sense here";

    ENOENT: Some(NotFound), Operation, "there is no such file or directory";
    EEXIST: Some(AlreadyExists), Operation, "it is there already";
    ENOTDIR: Some(NotADirectory), Operation, "a part of the path is no directory";
    EISDIR: Some(IsADirectory), Operation, "it is a directory";
    ENOTEMPTY: Some(DirectoryNotEmpty), Operation, "the directory is not empty";
    ELOOP: None, Operation, "the path has too many symbolic links";
    ENAMETOOLONG: Some(InvalidFilename), Operation, "the name is too long";
    EXDEV: Some(CrossesDevices), Operation, "the two are on different file systems";
    EMLINK: Some(TooManyLinks), Operation, "the file has too many links";
    ETXTBSY: Some(ExecutableFileBusy), Operation, "the program is running";
    ESPIPE: Some(NotSeekable), Operation, "a pipe or socket has no positions";
    EFBIG: Some(FileTooLarge), Operation, "the file would be too large";
    ENOSPC: Some(StorageFull), Operation, "the disk is full";
    EDQUOT: Some(QuotaExceeded), Operation, "the user's share of the disk is used up";
    EROFS: Some(ReadOnlyFilesystem), Operation, "the file system is mounted read-only";
    EIO: None, Operation, "the device failed";
    ENXIO: None, Operation, "there is no such device";
    ENODEV: None, Operation, "the device cannot do it";
    ENOTTY: None, Operation, "the device does not know this request";
    EDEADLK: Some(Deadlock), Operation, "waiting for the lock would never end";
    ESTALE: Some(StaleNetworkFileHandle), Operation, "the file is gone from its server";
    EOVERFLOW: None, Operation, "a number does not fit";

    EPIPE: Some(BrokenPipe), Operation, "the peer reads no more";
    ECONNRESET: Some(ConnectionReset), Operation, "the peer has broken the connection off";
    ECONNABORTED: Some(ConnectionAborted), Operation, "the connection was broken off before it was accepted";
    ECONNREFUSED: Some(ConnectionRefused), Operation, "nothing listens there";
    ETIMEDOUT: Some(TimedOut), Operation, "the peer does not answer";
    ENOTCONN: Some(NotConnected), Operation, "the socket is not connected";
    EISCONN: None, Operation, "the socket is connected already";
    ENOTSOCK: None, Operation, "the descriptor is no socket";
    EDESTADDRREQ: None, Operation, "an address to send to is missing";
    EMSGSIZE: None, Operation, "the message is too long for one datagram";
    EPROTOTYPE: None, Operation, "the socket is of another type";
    ENOPROTOOPT: None, Operation, "the socket does not have this option";
    EPROTONOSUPPORT: None, Operation, "this protocol is not supported";
    EAFNOSUPPORT: None, Operation, "this kind of address is not supported";
    EADDRINUSE: Some(AddrInUse), Operation, "another socket is bound there";
    EADDRNOTAVAIL: Some(AddrNotAvailable), Operation, "no interface of this machine has that address, or no port is left";
    ENETDOWN: Some(NetworkDown), Operation, "the network is down";
    ENETUNREACH: Some(NetworkUnreachable), Operation, "there is no way to that network";
    EHOSTUNREACH: Some(HostUnreachable), Operation, "there is no way to that host";
};
