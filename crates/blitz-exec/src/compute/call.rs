//! The caller's side: a future for the output of a call.

use super::cell::{self, Header, Job};
use super::error::ComputeError;
use super::ledger::Ledger;
use super::standby;
use super::state::{Hand, Leave};
use blitz_core::budget;
use blitz_core::primitive::hint;
use blitz_core::quiet::quietly;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{self, MaybeUninit};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, RawWakerVTable, Waker, ready};

/// Waits for a call, and gives its output or the reason why there is none.
///
/// Dropped, it cancels the call if that has not begun; one that has goes on, and its output is dropped.
///
/// # Panics
/// If it is polled again after it gave the output.
pub struct Call<R> {
    call: NonNull<Header>,
    waiter: Waiter,
    /// A thread has taken it out of our hand, and we have not looked for its end yet.
    taken: bool,
    _output: PhantomData<R>,
}

/// Where the caller stands, known without a look at the call.
#[derive(Clone, Copy)]
enum Waiter {
    /// No waker is registered.
    Idle,
    /// A waker is registered: its data and vtable. It is not dropped before the call is complete, and only then.
    Waiting(*const (), &'static RawWakerVTable),
    /// The caller's side is gone.
    Gone,
}

// SAFETY: it gives out an `R`, and goes by the state word otherwise.
unsafe impl<R: Send> Send for Call<R> {}
// SAFETY: a shared one gives out no `R`.
unsafe impl<R: Send> Sync for Call<R> {}
impl<R> UnwindSafe for Call<R> {}
impl<R> RefUnwindSafe for Call<R> {}
impl<R> Unpin for Call<R> {}

impl<R> Call<R> {
    /// A new call, and the right to run it.
    pub(super) fn new<F>(f: F, ledger: &Arc<Ledger>) -> (Job, Self)
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (job, call) = cell::allocate(f, ledger);
        let call = Self {
            call,
            waiter: Waiter::Idle,
            taken: false,
            _output: PhantomData,
        };
        (job, call)
    }

    /// A thread that is awake has taken the job at once.
    #[inline]
    pub(super) fn was_taken(&mut self) {
        self.taken = true;
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: the caller's side is here: nobody asks after it is `Gone`.
        unsafe { self.call.as_ref() }
    }

    /// Has the call ended, so that the next poll gives its output?
    pub fn is_finished(&self) -> bool {
        match self.waiter {
            Waiter::Gone => true,
            _ => self.header().state.is_complete(),
        }
    }

    /// Lets the call run, or run on, with nobody waiting for it.
    pub fn detach(mut self) {
        if !matches!(self.waiter, Waiter::Gone) {
            self.forget_waker();
            self.leave();
        }
    }

    /// Arranges for `waker` to be woken at the end of the call. Returns `false` if that is past.
    #[inline]
    fn wait(&mut self, waker: &Waker) -> bool {
        if self.header().state.is_complete() {
            return false;
        }
        if mem::take(&mut self.taken) && standby::ends_at_once(|| self.header().state.is_complete())
        {
            return false;
        }
        if let Waiter::Waiting(data, vtable) = self.waiter {
            // The registered waker was alive when we looked, just now, as `waker` is: two live wakers with one address and
            // one vtable are the same.
            if data == waker.data() && std::ptr::eq(vtable, waker.vtable()) {
                return true;
            }
        }
        self.register(waker)
    }

    fn register(&mut self, waker: &Waker) -> bool {
        // Foreign code first: it may panic.
        let mine = waker.clone();
        if matches!(self.waiter, Waiter::Waiting(..)) {
            match self.header().state.unset_waker() {
                Hand::Done => self.waiter = Waiter::Idle,
                Hand::Complete => return false,
                Hand::Soon => {
                    // The old waker is called in a moment, and the output is there then.
                    hint::spin_loop();
                    mine.wake();
                    return true;
                }
            }
        }
        let identity = (mine.data(), mine.vtable());
        drop(self.replace_waker(Some(mine)));
        if self.header().state.set_waker() == Hand::Complete {
            drop(self.replace_waker(None));
            return false;
        }
        self.waiter = Waiter::Waiting(identity.0, identity.1);
        true
    }

    /// Exchanges what is in the waker's place, which is the caller's: WAKER is not set.
    fn replace_waker(&self, waker: Option<Waker>) -> Option<Waker> {
        // SAFETY: without WAKER and before a runner's TAKING, which comes from WAKER alone, the place is ours.
        self.header()
            .waker
            .with_mut(|place| unsafe { mem::replace(&mut *place, waker) })
    }

    /// Drops the registered waker, unless the runner has it.
    fn forget_waker(&mut self) {
        if matches!(self.waiter, Waiter::Waiting(..)) {
            self.waiter = Waiter::Idle;
            if self.header().state.unset_waker() == Hand::Done {
                let waker = self.replace_waker(None);
                // Foreign code, and perhaps this thread is unwinding already.
                quietly(|| drop(waker));
            }
        }
    }

    /// Gives the caller's side up.
    fn leave(&mut self) {
        self.waiter = Waiter::Gone;
        // SAFETY: the caller's side is here until the next line.
        let header = unsafe { self.call.as_ref() };
        let vtable = header.vtable;
        if header.state.leave() == Leave::Free {
            // SAFETY: the call's own vtable; the answer says that no other side is there.
            unsafe { (vtable.free)(self.call) };
        }
    }
}

impl<R> Future for Call<R> {
    type Output = Result<R, ComputeError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Waiter::Gone = self.waiter {
            panic!("a computation was polled after it had given its output");
        }
        let unit = ready!(budget::poll_proceed(cx));
        if self.wait(cx.waker()) {
            return Poll::Pending;
        }
        unit.made_progress();
        self.waiter = Waiter::Gone;
        let vtable = self.header().vtable;
        let mut output = MaybeUninit::<Self::Output>::uninit();
        // SAFETY: the call's own vtable; `wait` has seen COMPLETE, and the output is an `R`.
        unsafe { (vtable.read_output)(self.call, NonNull::from(&mut output).cast()) };
        // SAFETY: COMPLETE: the runner is gone, and we are the caller, which goes.
        unsafe { (vtable.free)(self.call) };
        // SAFETY: `read_output` wrote it.
        Poll::Ready(unsafe { output.assume_init() })
    }
}

impl<R> Drop for Call<R> {
    #[inline]
    fn drop(&mut self) {
        if matches!(self.waiter, Waiter::Gone) {
            return;
        }
        self.forget_waker();
        if self.header().state.cancel() {
            // SAFETY: the call's own vtable; we are the caller, and have just cancelled it.
            unsafe { (self.header().vtable.drop_closure)(self.call) };
        }
        self.leave();
    }
}

impl<R> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Call");
        match self.waiter {
            Waiter::Gone => out.field("state", &"gone"),
            _ => out.field("state", &self.header().state),
        };
        out.finish()
    }
}
