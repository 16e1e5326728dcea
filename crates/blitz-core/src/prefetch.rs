//! Memory that is wanted soon.
//!
//! Where two threads work at one ring, a cache line that one has written comes to the other in some tens of nanoseconds, and an
//! exchange between two looks keeps the processor from asking for the next line meanwhile. Whoever knows where it goes next asks itself.

/// How many things of type `T` begin in a cache line of 64 bytes.
pub const fn per_line<T>() -> usize {
    let size = size_of::<T>();
    if size == 0 || size > 64 { 1 } else { 64 / size }
}

/// Asks for the cache line of `slots[index]`, two lines before it is used: to be called with the index in use. Once a line.
///
/// It reads nothing, and whether it does anything is for the processor to say; where this does not know how to ask, it does nothing.
///
/// # Examples
/// ```
/// use blitz_core::prefetch::two_lines_ahead;
///
/// let slots = [0_u64; 32];
/// let mut sum = 0;
/// for (index, slot) in slots.iter().enumerate() {
///     two_lines_ahead(&slots, index);
///     sum += slot;
/// }
/// assert_eq!(sum, 0);
/// ```
#[inline(always)]
pub fn two_lines_ahead<T>(slots: &[T], index: usize) {
    let in_line = per_line::<T>();
    if !index.is_multiple_of(in_line) {
        return;
    }
    let at = index + 2 * in_line;
    let at = if at < slots.len() {
        at
    } else {
        at - slots.len()
    };
    if let Some(slot) = slots.get(at) {
        prefetch(slot);
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
fn prefetch<T>(place: &T) {
    use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};

    // SAFETY: a hint, which is no access.
    unsafe { _mm_prefetch::<_MM_HINT_ET0>(std::ptr::from_ref(place).cast()) };
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline(always)]
fn prefetch<T>(_place: &T) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_begin_in_a_line() {
        assert_eq!(per_line::<()>(), 1);
        assert_eq!(per_line::<u8>(), 64);
        assert_eq!(per_line::<[u64; 2]>(), 4);
        assert_eq!(per_line::<[u64; 3]>(), 2);
        assert_eq!(per_line::<[u64; 8]>(), 1);
        assert_eq!(per_line::<[u64; 9]>(), 1);
    }

    #[test]
    fn no_slice_is_too_short() {
        for len in 0..20 {
            let slots = vec![[0_u64; 2]; len];
            (0..len).for_each(|index| two_lines_ahead(&slots, index));
        }
    }
}
