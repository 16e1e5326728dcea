//! What one waits for, what is there, and which observation of it one means.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub, SubAssign};

use blitz_sys::readiness::bits;

/// Which kinds of readiness to wait for.
///
/// # Examples
/// ```
/// use blitz_driver::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable() && both.is_writable());
/// assert_eq!(both.remove(Interest::WRITABLE), Some(Interest::READABLE));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Interest(u8);

impl Interest {
    /// Something to read, or the end of it.
    pub const READABLE: Self = Self(bits::READABLE);
    /// Room to write, or nobody left to write to.
    pub const WRITABLE: Self = Self(bits::WRITABLE);
    /// Urgent data.
    pub const PRIORITY: Self = Self(bits::PRIORITY);
    /// An error that waits to be fetched.
    pub const ERROR: Self = Self(bits::ERROR);

    /// True if reading is meant.
    pub const fn is_readable(self) -> bool {
        self.0 & bits::READABLE != 0
    }

    /// True if writing is meant.
    pub const fn is_writable(self) -> bool {
        self.0 & bits::WRITABLE != 0
    }

    /// True if urgent data is meant.
    pub const fn is_priority(self) -> bool {
        self.0 & bits::PRIORITY != 0
    }

    /// True if errors are meant.
    pub const fn is_error(self) -> bool {
        self.0 & bits::ERROR != 0
    }

    /// Both together.
    #[must_use = "this returns the sum and leaves `self` alone"]
    #[allow(clippy::should_implement_trait, reason = "tokio's name, and const")]
    pub const fn add(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is left without `other`, if anything.
    #[must_use = "this returns the rest and leaves `self` alone"]
    pub const fn remove(self, other: Self) -> Option<Self> {
        match self.0 & !other.0 {
            0 => None,
            rest => Some(Self(rest)),
        }
    }

    /// The bits of the platform's interest.
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// Every readiness that ends a wait for this.
    pub const fn mask(self) -> Ready {
        let mut mask = 0;
        if self.is_readable() {
            mask |= bits::READABLE | bits::READ_CLOSED;
        }
        if self.is_writable() {
            mask |= bits::WRITABLE | bits::WRITE_CLOSED | bits::WRITE_FAILED;
        }
        if self.is_priority() {
            mask |= bits::PRIORITY | bits::READ_CLOSED;
        }
        if self.is_error() {
            mask |= bits::ERROR;
        }
        Ready(mask)
    }
}

impl BitOr for Interest {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.add(other)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.is_readable(), "READABLE"),
            (self.is_writable(), "WRITABLE"),
            (self.is_priority(), "PRIORITY"),
            (self.is_error(), "ERROR"),
        ];
        write_names(f, &names)
    }
}

fn write_names(f: &mut fmt::Formatter<'_>, names: &[(bool, &str)]) -> fmt::Result {
    let mut first = true;
    for (_, name) in names.iter().filter(|(is, _)| *is) {
        if !first {
            f.write_str(" | ")?;
        }
        f.write_str(name)?;
        first = false;
    }
    if first {
        f.write_str("(empty)")
    } else {
        Ok(())
    }
}

/// What a resource is ready for. It may be out of date by the time one looks.
#[derive(Clone, Copy, Default)]
pub struct Ready(u8);

impl Ready {
    /// Nothing.
    pub const EMPTY: Self = Self(0);
    /// Something to read.
    pub const READABLE: Self = Self(bits::READABLE);
    /// Room to write.
    pub const WRITABLE: Self = Self(bits::WRITABLE);
    /// Nothing more will come.
    pub const READ_CLOSED: Self = Self(bits::READ_CLOSED);
    /// Nothing more can be sent.
    pub const WRITE_CLOSED: Self = Self(bits::WRITE_CLOSED);
    /// Urgent data.
    pub const PRIORITY: Self = Self(bits::PRIORITY);
    /// An error waits to be fetched.
    pub const ERROR: Self = Self(bits::ERROR);
    /// All of the above.
    pub const ALL: Self = Self(0x3f);

    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// What a wait for `interest` is ended by.
    pub const fn from_interest(interest: Interest) -> Self {
        interest.mask()
    }

    /// True if there is nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True if a read is worth a try: there is something, or the end.
    pub const fn is_readable(self) -> bool {
        self.0 & (bits::READABLE | bits::READ_CLOSED) != 0
    }

    /// True if a write is worth a try: there is room, or nobody left.
    pub const fn is_writable(self) -> bool {
        self.0 & (bits::WRITABLE | bits::WRITE_CLOSED | bits::WRITE_FAILED) != 0
    }

    /// True if nothing more will come.
    pub const fn is_read_closed(self) -> bool {
        self.0 & bits::READ_CLOSED != 0
    }

    /// True if nothing more can be sent.
    pub const fn is_write_closed(self) -> bool {
        self.0 & (bits::WRITE_CLOSED | bits::WRITE_FAILED) != 0
    }

    /// True if there is urgent data.
    pub const fn is_priority(self) -> bool {
        self.0 & bits::PRIORITY != 0
    }

    /// True if an error waits to be fetched.
    pub const fn is_error(self) -> bool {
        self.0 & bits::ERROR != 0
    }

    /// True if all of `other` is in this.
    pub const fn contains(self, other: Self) -> bool {
        let (this, other) = (self.visible(), other.visible());
        this & other == other
    }

    /// What is in both.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What a caller can see: a failed writing side is a closed one.
    const fn visible(self) -> u8 {
        let closed = if self.0 & bits::WRITE_FAILED != 0 {
            bits::WRITE_CLOSED
        } else {
            0
        };
        (self.0 | closed) & Self::ALL.0
    }
}

impl PartialEq for Ready {
    fn eq(&self, other: &Self) -> bool {
        self.visible() == other.visible()
    }
}

impl Eq for Ready {}

impl PartialOrd for Ready {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ready {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.visible().cmp(&other.visible())
    }
}

impl BitOr for Ready {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Ready {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        self.intersection(other)
    }
}

impl Sub for Ready {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        let failed = if other.0 & bits::WRITE_CLOSED != 0 {
            bits::WRITE_FAILED
        } else {
            0
        };
        Self(self.0 & !(other.0 | failed))
    }
}

impl SubAssign for Ready {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = |bit| self.visible() & bit != 0;
        let names = [
            (has(bits::READABLE), "READABLE"),
            (has(bits::WRITABLE), "WRITABLE"),
            (has(bits::READ_CLOSED), "READ_CLOSED"),
            (has(bits::WRITE_CLOSED), "WRITE_CLOSED"),
            (has(bits::PRIORITY), "PRIORITY"),
            (has(bits::ERROR), "ERROR"),
        ];
        write_names(f, &names)
    }
}

/// The two that every resource has a reserved place for: one task that reads, one that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Who reads.
    Read,
    /// Who writes.
    Write,
}

impl Direction {
    /// Every readiness that ends a wait in this direction.
    #[inline]
    pub const fn mask(self) -> Ready {
        match self {
            Self::Read => Interest::READABLE.mask(),
            Self::Write => Interest::WRITABLE.mask(),
        }
    }
}

/// One observation: what was ready, and at which event. Clearing it does nothing once another event has come.
#[derive(Clone, Copy, Debug)]
pub struct ReadyEvent {
    /// Counts the resource's events, and wraps.
    pub(crate) tick: u32,
    /// What was ready, of what was asked for.
    pub ready: Ready,
}

impl From<ReadyEvent> for Ready {
    fn from(event: ReadyEvent) -> Ready {
        event.ready
    }
}

impl ReadyEvent {
    /// Which event of its resource it was, counted from its arming, wrapping.
    pub const fn tick(self) -> u32 {
        self.tick
    }

    /// The same observation, of `ready` alone: for clearing a part.
    #[must_use]
    pub const fn with_ready(self, ready: Ready) -> Self {
        Self {
            tick: self.tick,
            ready,
        }
    }
}
