//! The provided ring: buffers that the kernel picks from by itself.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::Release};

use blitz_sys::completion::Submissions;

use super::home::Home;
use super::view::BufferView;

/// One entry of the ring, as the kernel reads it.
#[repr(C)]
struct Slot {
    address: u64,
    len: u32,
    number: u16,
    /// In the ring's first slot: the tail.
    tail: u16,
}

impl Slot {
    /// Where the fields are that the kernel reads.
    fn fields(slot: *mut Slot) -> (*mut u64, *mut u32, *mut u16) {
        let base = slot.cast::<u8>();
        (
            base.wrapping_add(std::mem::offset_of!(Slot, address))
                .cast(),
            base.wrapping_add(std::mem::offset_of!(Slot, len)).cast(),
            base.wrapping_add(std::mem::offset_of!(Slot, number)).cast(),
        )
    }
}

const PAGE: usize = 4096;
/// The one group of buffers that a driver provides.
pub(crate) const GROUP: u16 = 0;

/// A driver's provided ring. Under the submission lock.
pub(crate) struct Group {
    slots: NonNull<Slot>,
    layout: Layout,
    mask: u16,
    tail: u16,
    /// Buffers that the kernel may pick, as far as is known.
    available: u16,
    home: Arc<Home>,
}

// SAFETY: the slots are plain memory that this value owns; the kernel only reads them.
unsafe impl Send for Group {}

impl Group {
    /// Makes `count` buffers of `size` bytes and provides them to the kernel.
    ///
    /// # Errors
    /// The kernel's, if it does not know such rings or is short of memory.
    pub(crate) fn register(ring: &mut Submissions, count: u16, size: u32) -> io::Result<Self> {
        let count = count.clamp(1, 1 << 15).next_power_of_two().min(1 << 15);
        let layout = Layout::array::<Slot>(count as usize).and_then(|layout| layout.align_to(PAGE));
        let layout = layout.expect("at most 32,768 slots of 16 bytes");
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(slots) = NonNull::new(memory.cast::<Slot>()) else {
            handle_alloc_error(layout)
        };
        let home = Arc::new(Home::new(u32::from(count), size));
        let mut group = Self {
            slots,
            layout,
            mask: count - 1,
            tail: 0,
            available: 0,
            home,
        };
        // SAFETY: page-aligned memory of `count` slots, freed only after `release` or never (`leak`).
        if let Err(error) = unsafe { ring.register_buf_ring(memory, count, GROUP) } {
            group.free();
            return Err(error);
        }
        for number in 0..count {
            group.give_back(number);
        }
        Ok(group)
    }

    /// How many buffers the kernel may pick.
    pub(crate) const fn available(&self) -> u16 {
        self.available
    }

    pub(crate) const fn count(&self) -> u16 {
        self.mask + 1
    }

    /// Bytes of the buffers and of their slots.
    pub(crate) fn bytes(&self) -> usize {
        self.count() as usize * self.home.size() as usize + self.layout.size()
    }

    /// Puts buffer `number`, which nobody holds, back on the ring.
    pub(crate) fn give_back(&mut self, number: u16) {
        let address = self.home.address(u32::from(number)).as_ptr() as u64;
        // SAFETY: masked, so within the ring.
        let slot = unsafe { self.slots.add((self.tail & self.mask) as usize) }.as_ptr();
        // Field by field: the first slot's last field is the tail.
        let (to_address, to_len, to_number) = Slot::fields(slot);
        // SAFETY: the slot is ours until the tail passes it.
        unsafe { to_address.write(address) };
        // SAFETY: as above.
        unsafe { to_len.write(self.home.size()) };
        // SAFETY: as above.
        unsafe { to_number.write(number) };
        self.tail = self.tail.wrapping_add(1);
        self.available += 1;
        // SAFETY: the first slot's tail lives as long as the ring.
        let tail = unsafe { &raw mut (*self.slots.as_ptr()).tail };
        // SAFETY: aligned, and written only here, under the lock.
        let tail = unsafe { AtomicU16::from_ptr(tail) };
        // ORDERING: Release pairs with the kernel's load-acquire of the tail: it sees the slot.
        tail.store(self.tail, Release);
    }

    /// Puts the buffers that came home back on the ring.
    #[inline]
    pub(crate) fn collect(&mut self) {
        if self.home.has_returns() {
            let home = Arc::clone(&self.home);
            home.take_returns(|number| self.give_back(number as u16));
        }
    }

    /// The view of buffer `number`, which the kernel has filled with `len` bytes.
    pub(crate) fn view(&mut self, number: u16, len: usize) -> BufferView {
        self.home.go_out(u32::from(number));
        BufferView::new(Arc::clone(&self.home), u32::from(number), len)
    }

    /// The kernel has picked a buffer.
    pub(crate) fn count_picked(&mut self) {
        self.available = self.available.saturating_sub(1);
    }

    /// Ends the group; views that are out keep their memory.
    pub(crate) fn release(self, ring: &mut Submissions) {
        // If that fails the ring is gone already, and its hold on the slots with it.
        let _ = ring.unregister_buf_ring(GROUP);
        self.free();
    }

    fn free(self) {
        // SAFETY: allocated in `register` with this layout; the kernel does not know it (any more).
        unsafe { dealloc(self.slots.as_ptr().cast(), self.layout) };
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group")
            .field("available", &self.available)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}
