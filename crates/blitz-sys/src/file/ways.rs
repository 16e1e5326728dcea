//! What a range of a file is to become, or is to be used for, in words that every system has.

/// What becomes of a range of a file that is allocated, `fallocate(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FallocateMode {
    /// Reserves room for the range, filled with zeros where nothing is; the file grows if the range ends behind it.
    Allocate,
    /// Reserves room for the range; the file keeps its length, so that room behind its end waits for later writes.
    KeepSize,
    /// Gives the range back to the file system: it reads as zeros. The file keeps its length.
    PunchHole,
    /// Makes the range zeros without writing them; the file grows if the range ends behind it.
    ZeroRange,
    /// Makes the range zeros without writing them; the file keeps its length.
    ZeroRangeKeepSize,
    /// Takes the range out: what stands behind it moves to its place. Both ends have to be multiples of the file system's block.
    CollapseRange,
    /// Moves what stands in the range and behind it up by its length, and leaves a hole. Both ends have to be multiples
    /// of the file system's block.
    InsertRange,
}

impl FallocateMode {
    /// The same as the `mode` of `fallocate(2)`.
    pub const fn flags(self) -> i32 {
        const KEEP_SIZE: i32 = 0x01;
        match self {
            Self::Allocate => 0,
            Self::KeepSize => KEEP_SIZE,
            Self::PunchHole => 0x02 | KEEP_SIZE,
            Self::ZeroRange => 0x10,
            Self::ZeroRangeKeepSize => 0x10 | KEEP_SIZE,
            Self::CollapseRange => 0x08,
            Self::InsertRange => 0x20,
        }
    }
}

/// How a range of a file will be used, `posix_fadvise(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// In no way that is known.
    Normal,
    /// From front to back: read ahead more.
    Sequential,
    /// Here and there: do not read ahead.
    Random,
    /// Soon: begin to read it.
    WillNeed,
    /// Not again: what is cached and written back may go. What is not written back stays: sync it first.
    DontNeed,
    /// Once.
    NoReuse,
}

/// Which part of bringing a range to the disk is done, `sync_file_range(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WriteBack {
    /// Begins to write what was changed, and does not wait for the end.
    Begin,
    /// Waits for what is being written.
    Wait,
    /// Waits for what is being written, writes what was changed, and waits for the end of that.
    Whole,
}

impl WriteBack {
    /// The same as the flags of `sync_file_range(2)`.
    pub const fn flags(self) -> u32 {
        const WAIT_BEFORE: u32 = 1;
        const WRITE: u32 = 2;
        const WAIT_AFTER: u32 = 4;
        match self {
            Self::Begin => WRITE,
            Self::Wait => WAIT_BEFORE,
            Self::Whole => WAIT_BEFORE | WRITE | WAIT_AFTER,
        }
    }
}
