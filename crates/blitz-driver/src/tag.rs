//! Whose answer a completion is: the upper bits of its user data. The rest is the owner's.

/// An operation of `completion/`: the rest is its key.
pub(crate) const OPERATION: u64 = 1;
/// A source's poll: the rest is its key.
pub(crate) const SOURCE: u64 = 2;
/// The poll of what happens outside the ring: the rest is its number.
pub(crate) const BELL: u64 = 3;
/// Nobody's: the answer to a cancellation.
pub(crate) const NOBODY: u64 = 0xf;

pub(crate) const SHIFT: u32 = 60;

/// The tag of `user_data`.
#[inline]
pub(crate) const fn of(user_data: u64) -> u64 {
    user_data >> SHIFT
}

/// `user_data` without its tag.
#[inline]
pub(crate) const fn rest(user_data: u64) -> u64 {
    user_data & (u64::MAX >> 4)
}

/// The user data of `tag` and `rest`.
#[inline]
pub(crate) const fn with(tag: u64, rest: u64) -> u64 {
    tag << SHIFT | rest
}
