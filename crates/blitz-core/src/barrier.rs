//! "Mine, then yours" between one side that is passed often and one that is passed seldom.
//!
//! Each side writes its own word and then reads the other's; one of the two must see the other. That takes a full fence on
//! both sides, or none on the frequent side and, on the other, a call that makes every running thread of the process pass
//! one (`membarrier(2)`). Which system call that is this crate does not know: it is handed in.

use crate::primitive::sync::atomic::{Ordering::SeqCst, fence};

/// The two fences. Both sides must use clones of one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asymmetric {
    heavy: Option<fn() -> bool>,
}

impl Asymmetric {
    /// A full fence on either side.
    pub const fn full() -> Self {
        Self { heavy: None }
    }

    /// `heavy` has every running thread of this process pass a full fence, or answers false.
    pub const fn with(heavy: fn() -> bool) -> Self {
        Self { heavy: Some(heavy) }
    }

    /// Between the write and the read of the frequent side.
    #[inline(always)]
    pub fn light(self) {
        if cfg!(not(loom)) && self.heavy.is_some() {
            // ORDERING: pairs with `heavy`, which does the processor's part: this keeps the compiler from exchanging the two.
            std::sync::atomic::compiler_fence(SeqCst);
            return;
        }
        // ORDERING: pairs with the fence in `heavy`, in models and where there is no better.
        fence(SeqCst);
    }

    /// Between the write and the read of the other side. False: it could not be had, and nothing may be concluded.
    #[must_use]
    pub fn heavy(self) -> bool {
        // ORDERING: pairs with the one in `light`. Beside the call it orders this thread, whatever that does.
        fence(SeqCst);
        match self.heavy {
            Some(heavy) if cfg!(not(loom)) => heavy(),
            _ => true,
        }
    }
}
