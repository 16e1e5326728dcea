//! One call in one allocation: its word, closure or output, and the caller's waker.
//!
//! What is done to it for one type of closure is reached through its [`Vtable`]; `state` says who may do it, and when.

use super::error::ComputeError;
use super::ledger::{self, Ledger};
use super::standby;
use super::state::{Finish, Leave, Start, State};
use crate::task::memory;
use blitz_core::primitive::cell::UnsafeCell;
use blitz_core::quiet::quietly;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::Waker;

/// What is known of a call without its types.
#[repr(C)]
pub(super) struct Header {
    pub(super) state: State,
    pub(super) vtable: &'static Vtable,
    /// Where it is counted.
    ledger: Arc<Ledger>,
    /// How many calls were accepted there before.
    number: u64,
    /// See WAKER.
    pub(super) waker: UnsafeCell<Option<Waker>>,
}

/// A whole call. `repr(C)`: a pointer to it is a pointer to its header.
#[repr(C)]
struct Cell<F, R> {
    header: Header,
    /// The caller's until STARTED, then the runner's until COMPLETE, then the caller's.
    stage: UnsafeCell<Stage<F, R>>,
}

/// What is left of a call.
enum Stage<F, R> {
    Waiting(F),
    Output(Result<R, ComputeError>),
    Nothing,
}

/// A call's functions.
pub(super) struct Vtable {
    /// Runs it, or with an error refuses it. The caller is the runner, and gives its side up.
    run: unsafe fn(NonNull<Header>, Option<ComputeError>),
    /// Drops the closure. The caller has CANCELLED it.
    pub(super) drop_closure: unsafe fn(NonNull<Header>),
    /// Moves the output to the `Result<R, ComputeError>` behind the pointer. The caller has seen COMPLETE.
    pub(super) read_output: unsafe fn(NonNull<Header>, NonNull<()>),
    /// Frees it, with what is left in it. No other side is there.
    pub(super) free: unsafe fn(NonNull<Header>),
}

fn vtable<F, R>() -> &'static Vtable
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    const {
        &Vtable {
            run: run::<F, R>,
            drop_closure: drop_closure::<F, R>,
            read_output: read_output::<F, R>,
            free: free::<F, R>,
        }
    }
}

/// A new call: the right to run it, and the caller's side, whose output is an `R`.
pub(super) fn allocate<F, R>(f: F, ledger: &Arc<Ledger>) -> (Job, NonNull<Header>)
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let number = ledger.accept();
    // The memory first, so that the cell is made where it stays.
    let memory = memory::take::<Cell<F, R>>();
    let cell = Cell {
        header: Header {
            state: State::new(),
            vtable: vtable::<F, R>(),
            ledger: Arc::clone(ledger),
            number,
            waker: UnsafeCell::new(None),
        },
        stage: UnsafeCell::new(Stage::<F, R>::Waiting(f)),
    };
    // SAFETY: the memory is for it.
    unsafe { memory.write(cell) };
    (Job(memory.cast()), memory.cast())
}

/// The right, and the duty, to run a call once. Dropped unused, it cancels the call.
pub struct Job(NonNull<Header>);

// SAFETY: closure and output are `Send`, and the word says which side may touch them.
unsafe impl Send for Job {}

impl Job {
    /// Runs the call on this thread, unless its caller has gone, and wakes the caller. Never panics.
    ///
    /// A thread of a crew stands by for a moment afterwards, and runs the next call too if that comes meanwhile.
    pub fn run(self) {
        standby::run_and_stand_by(self.number(), || self.run_here());
    }

    /// The same, and no more.
    pub(super) fn run_here(self) {
        self.end(None);
    }

    /// How many calls its bridge had accepted before it.
    pub(super) fn number(&self) -> u64 {
        // SAFETY: the runner's side is still here.
        unsafe { self.0.as_ref() }.number
    }

    /// Gives it up for its pointer.
    pub(super) fn into_raw(self) -> NonNull<Header> {
        ManuallyDrop::new(self).0
    }

    /// Takes it back.
    ///
    /// # Safety
    /// `call` came from `into_raw`, and this is its one way back.
    pub(super) unsafe fn from_raw(call: NonNull<Header>) -> Self {
        Self(call)
    }

    /// Does not run it: the caller gets `error`.
    pub(super) fn refuse(self, error: ComputeError) {
        self.end(Some(error));
    }

    fn end(self, refused: Option<ComputeError>) {
        let call = ManuallyDrop::new(self).0;
        // SAFETY: the runner's side is still here.
        let vtable = unsafe { call.as_ref() }.vtable;
        // SAFETY: the call's own vtable; we are the runner, and go.
        unsafe { (vtable.run)(call, refused) };
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        Job(self.0).refuse(ComputeError::cancelled());
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // SAFETY: the runner's side is still here.
        let header = unsafe { self.0.as_ref() };
        f.debug_tuple("Job").field(&header.state).finish()
    }
}

/// The call as a whole.
///
/// # Safety
/// `call` is a call of `F` and `R`, and the caller's side is there for as long as it uses the answer.
#[inline(always)]
unsafe fn cell<'a, F, R>(call: NonNull<Header>) -> &'a Cell<F, R> {
    // SAFETY: the cell begins with its header (`repr(C)`), and the pointer was made from the whole.
    unsafe { call.cast::<Cell<F, R>>().as_ref() }
}

/// Takes what is in the stage, which is left empty.
///
/// # Safety
/// The stage is the caller's.
#[inline]
unsafe fn take_stage<F, R>(cell: &Cell<F, R>) -> Stage<F, R> {
    cell.stage.with_mut(|stage| {
        // SAFETY: as the caller says; read once, since the next line overwrites it.
        let taken = unsafe { ptr::read(stage) };
        // SAFETY: as above; what was there has been moved out.
        unsafe { stage.write(Stage::Nothing) };
        taken
    })
}

/// # Safety
/// See [`Vtable::run`].
unsafe fn run<F, R>(call: NonNull<Header>, refused: Option<ComputeError>)
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    // SAFETY: this is the call's vtable, and the runner's side is here.
    let cell = unsafe { cell::<F, R>(call) };
    match cell.header.state.start() {
        Start::Run => {}
        Start::Gone => return,
        Start::Free => {
            // SAFETY: as the answer says.
            unsafe { free::<F, R>(call) };
            return;
        }
    }
    // SAFETY: STARTED gives us the stage.
    let Stage::Waiting(f) = (unsafe { take_stage(cell) }) else {
        unreachable!("a call was run twice")
    };
    ledger::hold(&cell.header.ledger, |ledger| {
        let refused = refused.or_else(|| ledger.has_ended().then(ComputeError::cancelled));
        let output = match refused {
            Some(error) => {
                quietly(|| drop(f));
                ledger.refused();
                Err(error)
            }
            None => {
                let running = ledger.begin();
                let output = catch_unwind(AssertUnwindSafe(f));
                running.end(output.is_err());
                output.map_err(ComputeError::panicked)
            }
        };
        // SAFETY: STARTED gives us the stage; what is overwritten needs no drop.
        cell.stage
            .with_mut(|stage| unsafe { stage.write(Stage::Output(output)) });
        // SAFETY: the output stands, and we are the runner, which goes. Nothing of the call is touched after this.
        unsafe { deliver::<F, R>(call) };
        // Last: time may jump once the caller is awake.
        ledger.let_go();
    });
}

/// Hands the output over and wakes the caller.
///
/// # Safety
/// The caller is the runner, the output is in its place, and the runner's side goes.
unsafe fn deliver<F, R>(call: NonNull<Header>)
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    // SAFETY: the runner's side is here.
    let header = unsafe { call.as_ref() };
    match header.state.finish() {
        Finish::Gone => {}
        Finish::TakeWaker => {
            // SAFETY: `finish` moved WAKER to TAKING, which gives us the waker's place.
            let waker = header.waker.with_mut(|place| unsafe { (*place).take() });
            match header.state.publish() {
                Leave::Gone => {
                    if let Some(waker) = waker {
                        quietly(|| waker.wake());
                    }
                }
                Leave::Free => {
                    // SAFETY: as the answer says.
                    unsafe { free::<F, R>(call) };
                    quietly(|| drop(waker));
                }
            }
        }
        // SAFETY: as the answer says.
        Finish::Free => unsafe { free::<F, R>(call) },
    }
}

/// # Safety
/// See [`Vtable::drop_closure`].
unsafe fn drop_closure<F, R>(call: NonNull<Header>) {
    // SAFETY: this is the call's vtable, and the caller's side is here.
    let cell = unsafe { cell::<F, R>(call) };
    // SAFETY: CANCELLED, without STARTED, leaves the stage with the caller.
    let Stage::Waiting(f) = (unsafe { take_stage(cell) }) else {
        unreachable!("a call was cancelled after its start")
    };
    // Foreign code, and perhaps this thread is unwinding already.
    quietly(|| drop(f));
    cell.header.ledger.refused();
    cell.header.ledger.let_go();
}

/// # Safety
/// See [`Vtable::read_output`].
unsafe fn read_output<F, R>(call: NonNull<Header>, into: NonNull<()>) {
    // SAFETY: this is the call's vtable, and the caller's side is here.
    let cell = unsafe { cell::<F, R>(call) };
    // SAFETY: COMPLETE gives the stage to the caller.
    let Stage::Output(output) = (unsafe { take_stage(cell) }) else {
        unreachable!("the output of a call was read twice")
    };
    // SAFETY: as the caller says; what was there needs no drop.
    unsafe { into.cast::<Result<R, ComputeError>>().write(output) };
}

/// # Safety
/// See [`Vtable::free`].
unsafe fn free<F, R>(call: NonNull<Header>) {
    let cell = call.cast::<Cell<F, R>>();
    if cfg!(loom) {
        // A model sees whether another side may still be at it.
        // SAFETY: nobody else has it.
        let cell = unsafe { cell.as_ref() };
        cell.header.waker.with_mut(|_| ());
        cell.stage.with_mut(|_| ());
    }
    // An output may be in it, whose drop is foreign code.
    // SAFETY: nobody else has it.
    quietly(|| unsafe { cell.drop_in_place() });
    // SAFETY: `allocate` took it, and it is empty now.
    unsafe { memory::give(cell) };
}
