//! One submission queue entry: the kernel's 64 bytes as plain data.
//!
//! Building an entry is safe and works on every platform; pushing it to a ring is not, because the
//! kernel will follow its pointers. The layout and the numbers are the kernel's interface, which never
//! changes; a test holds them against the `io-uring` crate.

/// What the kernel is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Opcode(pub u8);

macro_rules! opcodes {
    ($($name:ident = $number:literal),+ $(,)?) => {
        impl Opcode {
            $(#[doc = concat!("`IORING_OP_", stringify!($name), "`.")] pub const $name: Self = Self($number);)+

            /// The opcode's name, as the kernel's headers have it without `IORING_OP_`.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($number => stringify!($name),)+
                    _ => "?",
                }
            }
        }
    };
}

opcodes! {
    NOP = 0, READV = 1, WRITEV = 2, FSYNC = 3, READ_FIXED = 4, WRITE_FIXED = 5, POLL_ADD = 6, POLL_REMOVE = 7,
    SYNC_FILE_RANGE = 8, SENDMSG = 9, RECVMSG = 10, TIMEOUT = 11, TIMEOUT_REMOVE = 12, ACCEPT = 13, ASYNC_CANCEL = 14, LINK_TIMEOUT = 15,
    CONNECT = 16, FALLOCATE = 17, OPENAT = 18, CLOSE = 19, STATX = 21, READ = 22, WRITE = 23, FADVISE = 24,
    SEND = 26, RECV = 27, OPENAT2 = 28, SPLICE = 30, SHUTDOWN = 34, RENAMEAT = 35, UNLINKAT = 36, MKDIRAT = 37,
    SYMLINKAT = 38, LINKAT = 39, MSG_RING = 40, SOCKET = 45, SEND_ZC = 47, SENDMSG_ZC = 48, READ_MULTISHOT = 49,
    FUTEX_WAIT = 51, FUTEX_WAKE = 52, FTRUNCATE = 55, BIND = 56, LISTEN = 57,
}

/// `flags` of an entry.
pub mod sqe_flags {
    /// The descriptor is a place in the registered table.
    pub const FIXED_FILE: u8 = 1 << 0;
    /// The next entry starts when this one has succeeded.
    pub const LINK: u8 = 1 << 2;
    /// The kernel picks a buffer of the entry's group.
    pub const BUFFER_SELECT: u8 = 1 << 5;
    /// No completion if it succeeds.
    pub const CQE_SKIP_SUCCESS: u8 = 1 << 6;
}

/// `flags` of a completion.
pub mod cqe_flags {
    /// A provided buffer was taken; its number is in the upper half.
    pub const BUFFER: u32 = 1 << 0;
    /// More completions of the same operation follow.
    pub const MORE: u32 = 1 << 1;
    /// The socket had more to give.
    pub const SOCK_NONEMPTY: u32 = 1 << 2;
    /// The second completion of a zero-copy send: the buffer is free.
    pub const NOTIF: u32 = 1 << 3;

    /// The number of the provided buffer, if one was taken.
    #[inline]
    pub const fn buffer(flags: u32) -> Option<u16> {
        if flags & BUFFER != 0 {
            Some((flags >> 16) as u16)
        } else {
            None
        }
    }
}

/// `ioprio` of receives and sends.
const RECVSEND_POLL_FIRST: u16 = 1 << 0;
const RECV_MULTISHOT: u16 = 1 << 1;
const SEND_ZC_REPORT_USAGE: u16 = 1 << 3;
const ACCEPT_MULTISHOT: u16 = 1 << 0;
const ACCEPT_POLL_FIRST: u16 = 1 << 2;
const POLL_ADD_MULTI: u32 = 1 << 0;
const POLL_ADD_LEVEL: u32 = 1 << 3;
const CANCEL_ALL: u32 = 1 << 0;
const CANCEL_FD: u32 = 1 << 1;
const CANCEL_ANY: u32 = 1 << 2;
const FSYNC_DATASYNC: u32 = 1 << 0;
/// `FUTEX2_SIZE_U32 | FUTEX2_PRIVATE`
const FUTEX_PRIVATE_U32: i32 = 0x02 | 128;

/// In a zero-copy send's notification: the kernel had to copy after all.
pub const ZC_COPIED: u32 = 1 << 31;

/// Where a file operation that moves the file's own position says so.
pub const CURRENT_POSITION: u64 = u64::MAX;

/// One submission queue entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Sqe {
    opcode: u8,
    flags: u8,
    ioprio: u16,
    fd: i32,
    off: u64,
    addr: u64,
    len: u32,
    op_flags: u32,
    user_data: u64,
    buf: u16,
    personality: u16,
    file_index: i32,
    addr3: u64,
    pad: u64,
}

const _: () = assert!(size_of::<Sqe>() == 64);

impl Sqe {
    const fn new(opcode: Opcode, fd: i32, addr: u64, len: u32, off: u64) -> Self {
        Self {
            opcode: opcode.0,
            flags: 0,
            ioprio: 0,
            fd,
            off,
            addr,
            len,
            op_flags: 0,
            user_data: 0,
            buf: 0,
            personality: 0,
            file_index: 0,
            addr3: 0,
            pad: 0,
        }
    }

    const fn with_op_flags(mut self, op_flags: u32) -> Self {
        self.op_flags = op_flags;
        self
    }

    /// The same with `user_data`, which its completions carry.
    #[inline]
    pub const fn user_data(mut self, user_data: u64) -> Self {
        self.user_data = user_data;
        self
    }

    /// The same with `flags` (of [`sqe_flags`]) added.
    #[inline]
    pub const fn flags(mut self, flags: u8) -> Self {
        self.flags |= flags;
        self
    }

    /// The same with its descriptor taken for a place in the registered table.
    pub const fn fixed_file(self) -> Self {
        self.flags(sqe_flags::FIXED_FILE)
    }

    /// The same, told to wait for readiness before the first try: for a socket just found empty or full.
    pub const fn poll_first(mut self) -> Self {
        self.ioprio |= RECVSEND_POLL_FIRST;
        self
    }

    /// The same accept, told to wait for a connection before the first try.
    pub const fn poll_first_accept(mut self) -> Self {
        self.ioprio |= ACCEPT_POLL_FIRST;
        self
    }

    /// The entry's opcode.
    #[inline]
    pub const fn opcode(&self) -> Opcode {
        Opcode(self.opcode)
    }

    /// The entry's user data.
    #[inline]
    pub const fn get_user_data(&self) -> u64 {
        self.user_data
    }

    /// True if the next entry belongs to the same chain.
    #[inline]
    pub const fn is_linked(&self) -> bool {
        self.flags & sqe_flags::LINK != 0
    }

    /// True if all of `flags` (of [`sqe_flags`]) are set.
    #[inline]
    pub const fn has_flags(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The descriptor that the entry names.
    pub const fn get_fd(&self) -> i32 {
        self.fd
    }

    /// The entry's address, length and offset, whatever they mean for its opcode.
    pub const fn operands(&self) -> (u64, u32, u64) {
        (self.addr, self.len, self.off)
    }

    /// The group whose buffers a receive takes, or the number of the registered buffer.
    pub const fn get_group(&self) -> u16 {
        self.buf
    }

    /// The events that a poll asks for.
    pub const fn poll_events(&self) -> u32 {
        if cfg!(target_endian = "big") {
            self.op_flags.rotate_left(16)
        } else {
            self.op_flags
        }
    }

    /// The same transfer of half as many bytes, or buffers; `None` if it is no transfer, or of one.
    pub fn halved(mut self) -> Option<Self> {
        let is_transfer = matches!(
            self.opcode(),
            Opcode::READ
                | Opcode::WRITE
                | Opcode::READV
                | Opcode::WRITEV
                | Opcode::READ_FIXED
                | Opcode::WRITE_FIXED
                | Opcode::RECV
                | Opcode::SEND
                | Opcode::SEND_ZC
                | Opcode::SPLICE
        );
        let halves = is_transfer && self.len > 1 && !self.has_flags(sqe_flags::BUFFER_SELECT);
        self.len /= 2;
        // A half is no success that could go without saying.
        self.flags &= !sqe_flags::CQE_SKIP_SUCCESS;
        halves.then_some(self)
    }

    /// The same entry, to answer once; `None` if it would anyway.
    pub fn once(mut self) -> Option<Self> {
        let is_many = match self.opcode() {
            Opcode::RECV => std::mem::take(&mut self.ioprio) & RECV_MULTISHOT != 0,
            Opcode::ACCEPT => std::mem::take(&mut self.ioprio) & ACCEPT_MULTISHOT != 0,
            Opcode::POLL_ADD => std::mem::take(&mut self.len) & POLL_ADD_MULTI != 0,
            _ => false,
        };
        is_many.then_some(self)
    }

    /// Does nothing.
    pub const fn nop() -> Self {
        Self::new(Opcode::NOP, -1, 0, 0, 0)
    }

    /// `pread`, or `read` at [`CURRENT_POSITION`].
    pub fn read(fd: i32, buffer: *mut u8, len: u32, offset: u64) -> Self {
        Self::new(Opcode::READ, fd, buffer as u64, len, offset)
    }

    /// `pwrite`, or `write` at [`CURRENT_POSITION`].
    pub fn write(fd: i32, buffer: *const u8, len: u32, offset: u64) -> Self {
        Self::new(Opcode::WRITE, fd, buffer as u64, len, offset)
    }

    /// As [`read`](Self::read), into a part of the registered buffer number `index`.
    pub fn read_fixed(fd: i32, buffer: *mut u8, len: u32, offset: u64, index: u16) -> Self {
        let mut sqe = Self::new(Opcode::READ_FIXED, fd, buffer as u64, len, offset);
        sqe.buf = index;
        sqe
    }

    /// As [`write`](Self::write), from a part of the registered buffer number `index`.
    pub fn write_fixed(fd: i32, buffer: *const u8, len: u32, offset: u64, index: u16) -> Self {
        let mut sqe = Self::new(Opcode::WRITE_FIXED, fd, buffer as u64, len, offset);
        sqe.buf = index;
        sqe
    }

    /// `preadv`; `parts` are `count` times `iovec`.
    pub fn readv(fd: i32, parts: *const u8, count: u32, offset: u64) -> Self {
        Self::new(Opcode::READV, fd, parts as u64, count, offset)
    }

    /// `pwritev`; `parts` are `count` times `iovec`.
    pub fn writev(fd: i32, parts: *const u8, count: u32, offset: u64) -> Self {
        Self::new(Opcode::WRITEV, fd, parts as u64, count, offset)
    }

    /// `posix_fadvise`; kernels before 6.8 know no longer range than this.
    pub const fn fadvise(fd: i32, offset: u64, len: u32, advice: i32) -> Self {
        Self::new(Opcode::FADVISE, fd, 0, len, offset).with_op_flags(advice as u32)
    }

    /// `sync_file_range`.
    pub const fn sync_file_range(fd: i32, offset: u64, len: u32, flags: u32) -> Self {
        Self::new(Opcode::SYNC_FILE_RANGE, fd, 0, len, offset).with_op_flags(flags)
    }

    /// `fsync`, or `fdatasync`.
    pub const fn fsync(fd: i32, data_only: bool) -> Self {
        Self::new(Opcode::FSYNC, fd, 0, 0, 0).with_op_flags(if data_only {
            FSYNC_DATASYNC
        } else {
            0
        })
    }

    /// `ftruncate`.
    pub const fn ftruncate(fd: i32, len: u64) -> Self {
        Self::new(Opcode::FTRUNCATE, fd, 0, 0, len)
    }

    /// `fallocate`.
    pub const fn fallocate(fd: i32, mode: i32, offset: u64, len: u64) -> Self {
        Self::new(Opcode::FALLOCATE, fd, len, mode as u32, offset)
    }

    /// `openat`; `path` ends in a zero.
    pub fn openat(dir: i32, path: *const u8, flags: i32, mode: u32) -> Self {
        Self::new(Opcode::OPENAT, dir, path as u64, mode, 0).with_op_flags(flags as u32)
    }

    /// `close`.
    pub const fn close(fd: i32) -> Self {
        Self::new(Opcode::CLOSE, fd, 0, 0, 0)
    }

    /// `statx` into `out`.
    pub fn statx(dir: i32, path: *const u8, flags: i32, mask: u32, out: *mut u8) -> Self {
        Self::new(Opcode::STATX, dir, path as u64, mask, out as u64).with_op_flags(flags as u32)
    }

    /// `renameat2`.
    pub fn renameat(
        old_dir: i32,
        old: *const u8,
        new_dir: i32,
        new: *const u8,
        flags: u32,
    ) -> Self {
        Self::new(
            Opcode::RENAMEAT,
            old_dir,
            old as u64,
            new_dir as u32,
            new as u64,
        )
        .with_op_flags(flags)
    }

    /// `linkat`.
    pub fn linkat(old_dir: i32, old: *const u8, new_dir: i32, new: *const u8, flags: i32) -> Self {
        Self::new(
            Opcode::LINKAT,
            old_dir,
            old as u64,
            new_dir as u32,
            new as u64,
        )
        .with_op_flags(flags as u32)
    }

    /// `symlinkat`: `link` says `target`.
    pub fn symlinkat(target: *const u8, dir: i32, link: *const u8) -> Self {
        Self::new(Opcode::SYMLINKAT, dir, target as u64, 0, link as u64)
    }

    /// `unlinkat`.
    pub fn unlinkat(dir: i32, path: *const u8, flags: i32) -> Self {
        Self::new(Opcode::UNLINKAT, dir, path as u64, 0, 0).with_op_flags(flags as u32)
    }

    /// `mkdirat`.
    pub fn mkdirat(dir: i32, path: *const u8, mode: u32) -> Self {
        Self::new(Opcode::MKDIRAT, dir, path as u64, mode, 0)
    }

    /// `recv`.
    pub fn recv(fd: i32, buffer: *mut u8, len: u32, flags: i32) -> Self {
        Self::new(Opcode::RECV, fd, buffer as u64, len, 0).with_op_flags(flags as u32)
    }

    /// `recv` again and again, each time into a buffer of `group` that the kernel picks.
    pub const fn recv_multishot(fd: i32, group: u16) -> Self {
        let mut sqe = Self::new(Opcode::RECV, fd, 0, 0, 0).flags(sqe_flags::BUFFER_SELECT);
        sqe.ioprio = RECV_MULTISHOT;
        sqe.buf = group;
        sqe
    }

    /// `send`.
    pub fn send(fd: i32, buffer: *const u8, len: u32, flags: i32) -> Self {
        Self::new(Opcode::SEND, fd, buffer as u64, len, 0).with_op_flags(flags as u32)
    }

    /// `send` without a copy: a second completion says when the buffer is free.
    pub fn send_zc(fd: i32, buffer: *const u8, len: u32, flags: i32) -> Self {
        let mut sqe =
            Self::new(Opcode::SEND_ZC, fd, buffer as u64, len, 0).with_op_flags(flags as u32);
        sqe.ioprio = SEND_ZC_REPORT_USAGE;
        sqe
    }

    /// `sendmsg`; `message` is a `msghdr`.
    pub fn sendmsg(fd: i32, message: *const u8, flags: i32) -> Self {
        Self::new(Opcode::SENDMSG, fd, message as u64, 1, 0).with_op_flags(flags as u32)
    }

    /// `sendmsg` without a copy.
    pub fn sendmsg_zc(fd: i32, message: *const u8, flags: i32) -> Self {
        let mut sqe =
            Self::new(Opcode::SENDMSG_ZC, fd, message as u64, 1, 0).with_op_flags(flags as u32);
        sqe.ioprio = SEND_ZC_REPORT_USAGE;
        sqe
    }

    /// `accept4`, the peer's address not asked for.
    pub const fn accept(fd: i32, flags: i32) -> Self {
        Self::new(Opcode::ACCEPT, fd, 0, 0, 0).with_op_flags(flags as u32)
    }

    /// `accept4` again and again.
    pub const fn accept_multishot(fd: i32, flags: i32) -> Self {
        let mut sqe = Self::accept(fd, flags);
        sqe.ioprio = ACCEPT_MULTISHOT;
        sqe
    }

    /// `connect` to the `len` bytes of address at `address`.
    pub fn connect(fd: i32, address: *const u8, len: usize) -> Self {
        Self::new(Opcode::CONNECT, fd, address as u64, 0, len as u64)
    }

    /// `shutdown`.
    pub const fn shutdown(fd: i32, how: i32) -> Self {
        Self::new(Opcode::SHUTDOWN, fd, 0, how as u32, 0)
    }

    /// `splice`; an offset of `u64::MAX` is "none".
    pub const fn splice(
        from: i32,
        from_offset: u64,
        to: i32,
        to_offset: u64,
        len: u32,
        flags: u32,
    ) -> Self {
        let mut sqe =
            Self::new(Opcode::SPLICE, to, from_offset, len, to_offset).with_op_flags(flags);
        sqe.file_index = from;
        sqe
    }

    /// `poll` once.
    pub const fn poll(fd: i32, events: u32) -> Self {
        // Two 16-bit halves in the kernel's eyes: big-endian machines see them swapped.
        let events = if cfg!(target_endian = "big") {
            events.rotate_left(16)
        } else {
            events
        };
        Self::new(Opcode::POLL_ADD, fd, 0, 0, 0).with_op_flags(events)
    }

    /// `poll` that reports again and again, at each edge.
    pub const fn poll_multishot(fd: i32, events: u32) -> Self {
        let mut sqe = Self::poll(fd, events);
        sqe.len = POLL_ADD_MULTI;
        sqe
    }

    /// `poll` that reports again and again, for as long as the level holds.
    pub const fn poll_multishot_level(fd: i32, events: u32) -> Self {
        let mut sqe = Self::poll(fd, events);
        sqe.len = POLL_ADD_MULTI | POLL_ADD_LEVEL;
        sqe
    }

    /// Ends the poll that carries `target` as its user data.
    pub const fn poll_remove(target: u64) -> Self {
        Self::new(Opcode::POLL_REMOVE, -1, target, 0, 0)
    }

    /// Cancels the operation that carries `target` as its user data.
    pub const fn cancel(target: u64) -> Self {
        Self::new(Opcode::ASYNC_CANCEL, -1, target, 0, 0)
    }

    /// Cancels every operation on `fd`.
    pub const fn cancel_fd(fd: i32) -> Self {
        Self::new(Opcode::ASYNC_CANCEL, fd, 0, 0, 0).with_op_flags(CANCEL_FD | CANCEL_ALL)
    }

    /// Cancels every operation of the ring.
    pub const fn cancel_any() -> Self {
        Self::new(Opcode::ASYNC_CANCEL, -1, 0, 0, 0).with_op_flags(CANCEL_ANY | CANCEL_ALL)
    }

    /// Waits until `time` (a kernel `timespec` of two 64-bit words) has passed.
    pub fn timeout(time: *const u8) -> Self {
        Self::new(Opcode::TIMEOUT, -1, time as u64, 1, 0)
    }

    /// Ends the linked entry before it when `time` has passed.
    pub fn link_timeout(time: *const u8) -> Self {
        Self::new(Opcode::LINK_TIMEOUT, -1, time as u64, 1, 0)
    }

    /// Waits while the private 32-bit futex at `word` holds `value`.
    pub fn futex_wait(word: *const u32, value: u32) -> Self {
        let mut sqe = Self::new(
            Opcode::FUTEX_WAIT,
            FUTEX_PRIVATE_U32,
            word as u64,
            0,
            value as u64,
        );
        sqe.addr3 = u32::MAX as u64;
        sqe
    }

    /// Posts a completion with `user_data` and `result` to the ring `fd`.
    pub const fn msg_ring(fd: i32, user_data: u64, result: u32) -> Self {
        Self::new(Opcode::MSG_RING, fd, 0, result, user_data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_where_the_kernel_looks() {
        assert_eq!(std::mem::offset_of!(Sqe, fd), 4);
        assert_eq!(std::mem::offset_of!(Sqe, off), 8);
        assert_eq!(std::mem::offset_of!(Sqe, addr), 16);
        assert_eq!(std::mem::offset_of!(Sqe, len), 24);
        assert_eq!(std::mem::offset_of!(Sqe, op_flags), 28);
        assert_eq!(std::mem::offset_of!(Sqe, user_data), 32);
        assert_eq!(std::mem::offset_of!(Sqe, buf), 40);
        assert_eq!(std::mem::offset_of!(Sqe, file_index), 44);
        assert_eq!(std::mem::offset_of!(Sqe, addr3), 48);
    }

    #[test]
    fn opcodes_have_names() {
        assert_eq!(Opcode::SENDMSG_ZC.name(), "SENDMSG_ZC");
        assert_eq!(Opcode(200).name(), "?");
    }

    #[test]
    fn buffers_are_numbered_in_the_upper_half() {
        assert_eq!(cqe_flags::buffer(7 << 16 | cqe_flags::BUFFER), Some(7));
        assert_eq!(cqe_flags::buffer(7 << 16 | cqe_flags::MORE), None);
    }
}
