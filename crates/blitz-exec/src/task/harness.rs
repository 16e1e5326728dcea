//! What is done to a task, for one type of future: made, polled, cancelled, completed, read, freed.
//!
//! Each function is reached through the task's [`Vtable`]; `state` says who may call it, and when.

use super::cell::{Cell, Header, Stage, Vtable};
use super::error::JoinError;
use super::id::SpawnInfo;
use super::reference::{drop_refs, free};
use super::state::{Completed, Rest, Start, State};
use super::{Schedule, current, memory, waker};
use blitz_core::list::Links;
use blitz_core::primitive::cell::UnsafeCell;
use blitz_core::queue::Link;
use blitz_core::quiet::{forget_panic, quietly};
use blitz_core::waiting::{self, Place, Running};
use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The functions for futures of type `F`.
pub(super) fn vtable<F: Future + 'static>() -> &'static Vtable {
    const {
        &Vtable {
            run: run::<F>,
            shutdown: shutdown::<F>,
            read_output: read_output::<F>,
            drop_output: drop_output::<F>,
            replace_waker: replace_waker::<F>,
            free: free_cell::<F>,
            bytes: size_of::<Cell<F>>(),
        }
    }
}

/// A new task, in its own memory, with as many references as `state` says.
pub(super) fn allocate<F: Future + 'static>(
    future: F,
    scheduler: Arc<dyn Schedule>,
    info: SpawnInfo,
    state: State,
    shard: *const (),
) -> NonNull<Header> {
    // The memory first: a cell that is made on the stack and then moved costs a tenth of a spawn.
    let memory = memory::take::<Cell<F>>();
    let SpawnInfo {
        id,
        location,
        extra,
        shard: _,
        lane: _,
    } = info;
    let cell = Cell {
        header: Header {
            place: Place::of(id.as_u64()),
            state,
            vtable: vtable::<F>(),
            queue_link: Link::new(),
            scheduler,
            shard,
            owned_links: Links::new(),
            location,
            extra,
        },
        stage: UnsafeCell::new(Stage::Future(future)),
        join_waker: UnsafeCell::new(None),
    };
    // SAFETY: the memory is for it.
    unsafe { memory.write(cell) };
    memory.cast()
}

/// The task as a whole.
///
/// # Safety
/// `task` is a task of `F`, and the caller has a reference for as long as it uses the answer.
#[inline(always)]
unsafe fn cell<'a, F: Future>(task: NonNull<Header>) -> &'a Cell<F> {
    // SAFETY: the cell begins with its header (`repr(C)`), and the pointer was made from the whole.
    unsafe { task.cast::<Cell<F>>().as_ref() }
}

/// # Safety
/// See [`Vtable::run`].
unsafe fn run<F: Future + 'static>(task: NonNull<Header>) -> bool {
    // SAFETY: this is `F`'s vtable, and the caller gave us a reference.
    let cell = unsafe { cell::<F>(task) };
    let (current, kind) = if cell.header.state.start_quickly() {
        (
            current::enter_next(&cell.header),
            waker::Kind::of(&cell.header),
        )
    } else {
        // SAFETY: as the caller says.
        match unsafe { start_otherwise::<F>(task, cell) } {
            Some(started) => started,
            None => return false,
        }
    };
    cell.header.place.begin_poll();
    // SAFETY: `start` gave us RUNNING.
    if unsafe { poll(task, cell, kind) }.is_ready() {
        // SAFETY: still RUNNING; the future is gone, and the output stands in its place.
        let refs = unsafe { complete(cell) };
        drop(current);
        // SAFETY: ours, and the list's if it gave that up.
        unsafe { drop_refs(task, refs) };
        return false;
    }
    drop(current);
    match cell.header.state.rest_quickly() {
        Some(true) => false,
        Some(false) => {
            cell.header.place.notify_again();
            true
        }
        // SAFETY: still RUNNING.
        None => unsafe { rest_otherwise::<F>(task, cell, kind.is_tracing()) },
    }
}

/// The start of a run that is not just a poll. Returns whom the thread works for if it is to poll after all; else the reference is
/// given up.
///
/// # Safety
/// See [`Vtable::run`].
#[cold]
unsafe fn start_otherwise<'a, F: Future + 'static>(
    task: NonNull<Header>,
    cell: &'a Cell<F>,
) -> Option<(Running<'a>, waker::Kind)> {
    match cell.header.state.start() {
        Start::Poll => Some((
            current::enter_next(&cell.header),
            waker::Kind::of(&cell.header),
        )),
        Start::Trace => Some((current::enter_traced(&cell.header), waker::Kind::TRACING)),
        Start::Cancel => {
            // SAFETY: `start` gave us RUNNING.
            unsafe { cancel::<F>(task) };
            None
        }
        Start::Gone => None,
        Start::Last => {
            // SAFETY: as the answer says.
            unsafe { free(task) };
            None
        }
    }
}

/// The end of a run that left the future there, and is not just a rest. Answers as [`Vtable::run`] does.
///
/// # Safety
/// The caller has RUNNING, which goes.
#[cold]
unsafe fn rest_otherwise<F: Future + 'static>(
    task: NonNull<Header>,
    cell: &Cell<F>,
    was_traced: bool,
) -> bool {
    let rest = match cell.header.state.rest() {
        Rest::Traced => hand_over_trace(&cell.header, was_traced),
        rest => rest,
    };
    match rest {
        Rest::Sleep => false,
        Rest::Again => {
            cell.header.place.notify_again();
            true
        }
        Rest::Traced => unreachable!("what a traced poll left was handed over"),
        Rest::Cancel => {
            // SAFETY: still RUNNING.
            unsafe { cancel::<F>(task) };
            false
        }
        Rest::Last => {
            // SAFETY: as the answer says.
            unsafe { free(task) };
            false
        }
    }
}

/// Hands over what the leaves of a traced poll left; then the runner rests. A trace that was asked for during a poll that was not
/// traced, or while the last is handed over, is the next one's.
#[cold]
fn hand_over_trace(header: &Header, was_traced: bool) -> Rest {
    if was_traced {
        header.state.end_trace();
        // None where a traced poll inside of this one has taken them.
        let leaves = waiting::take_leaves().unwrap_or_default();
        quietly(|| header.scheduler.traced(header, leaves));
    }
    header.state.rest_traced()
}

/// Polls the future; if it is ready, or panics, drops it and puts its output in its place.
///
/// # Safety
/// The caller has RUNNING, and the future is there.
#[inline]
unsafe fn poll<F: Future>(task: NonNull<Header>, cell: &Cell<F>, kind: waker::Kind) -> Poll<()> {
    let waker = waker::Borrowed::new(task, &cell.header, kind);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let rest = DropWhileUnwinding(cell);
        // SAFETY: RUNNING gives us the stage.
        let polled = cell.stage.with_mut(|stage| match unsafe { &mut *stage } {
            Stage::Future(future) => {
                // SAFETY: the cell never moves, and the future is dropped where it is.
                let future = unsafe { Pin::new_unchecked(future) };
                future.poll(&mut Context::from_waker(&waker))
            }
            _ => unreachable!("a task was polled after its end"),
        });
        mem::forget(rest);
        polled
    }));
    let output = match result {
        Ok(Poll::Pending) => return Poll::Pending,
        Ok(Poll::Ready(output)) => {
            // SAFETY: RUNNING gives us the stage.
            if let Err(payload) = unsafe { drop_stage(cell) } {
                // The output stands: it was there before.
                forget_panic(payload);
                quietly(|| cell.header.scheduler.unhandled_panic());
            }
            Ok(output)
        }
        Err(payload) => Err(panicked(cell, payload)),
    };
    // SAFETY: RUNNING gives us the stage.
    unsafe { store(cell, output) };
    Poll::Ready(())
}

/// Made by who has RUNNING, forgotten after a poll that comes back. After one that panics it drops what is left of the
/// future while the panic is on its way, as the stack of a plain function is: what is dropped sees that it panics.
struct DropWhileUnwinding<'a, F: Future>(&'a Cell<F>);

impl<F: Future> Drop for DropWhileUnwinding<'_, F> {
    fn drop(&mut self) {
        // SAFETY: RUNNING gives us the stage, and the poll that borrowed it is over.
        if let Err(another) = unsafe { drop_stage(self.0) } {
            forget_panic(another);
        }
    }
}

/// The future has panicked and is gone; returns the error to report.
#[cold]
fn panicked<F: Future>(cell: &Cell<F>, payload: Box<dyn Any + Send>) -> JoinError {
    quietly(|| cell.header.scheduler.unhandled_panic());
    JoinError::panicked(cell.header.id(), payload)
}

/// Drops the future or the output where it is.
///
/// # Safety
/// The caller has the stage.
unsafe fn drop_stage<F: Future>(cell: &Cell<F>) -> Result<(), Box<dyn Any + Send>> {
    /// Empties the stage even if the drop in it panics.
    struct Empty<F: Future>(*mut Stage<F>);

    impl<F: Future> Drop for Empty<F> {
        fn drop(&mut self) {
            // SAFETY: as the caller of `drop_stage` says; what was there is dropped, so nothing is to be dropped again.
            unsafe { self.0.write(Stage::Nothing) };
        }
    }

    cell.stage.with_mut(|stage| {
        let empty = Empty(stage);
        if !mem::needs_drop::<Stage<F>>() {
            return Ok(());
        }
        catch_unwind(AssertUnwindSafe(move || {
            let empty = empty;
            // SAFETY: as the caller says; `empty` overwrites it, whatever happens.
            unsafe { empty.0.drop_in_place() };
        }))
    })
}

/// # Safety
/// The caller has the stage, and it is empty.
#[inline]
unsafe fn store<F: Future>(cell: &Cell<F>, output: Result<F::Output, JoinError>) {
    // SAFETY: as the caller says; what is overwritten needs no drop.
    cell.stage
        .with_mut(|stage| unsafe { stage.write(Stage::Output(output)) });
}

/// Drops the future, tells the joiner, and gives the caller's reference up.
///
/// # Safety
/// The caller has RUNNING, and a reference that it gives up.
#[cold]
unsafe fn cancel<F: Future>(task: NonNull<Header>) {
    // Not an argument: it is gone before we return.
    // SAFETY: the caller has a reference.
    let cell = unsafe { cell::<F>(task) };
    let id = cell.header.id();
    let current = current::enter(&cell.header);
    // SAFETY: RUNNING gives us the stage.
    let error = match unsafe { drop_stage(cell) } {
        Ok(()) => JoinError::cancelled(id),
        Err(payload) => JoinError::panicked(id, payload),
    };
    // SAFETY: as above.
    unsafe { store(cell, Err(error)) };
    // SAFETY: RUNNING, and the output is in its place.
    let refs = unsafe { complete(cell) };
    drop(current);
    // SAFETY: the caller's, and the list's if it gave that up.
    unsafe { drop_refs(task, refs) };
}

/// The task has ended: hands the output on, and takes the task out of its list.
///
/// Returns how many references the caller must give up: its own, and the list's.
///
/// # Safety
/// The caller has RUNNING, which goes, and a reference, which stays; the output is in its place.
unsafe fn complete<F: Future>(cell: &Cell<F>) -> usize {
    match cell.header.state.complete() {
        Completed::KeepOutput => {}
        Completed::DropOutput => {
            // SAFETY: there is no join handle, so the output is ours.
            if let Err(payload) = unsafe { drop_stage(cell) } {
                forget_panic(payload);
            }
        }
        Completed::WakeJoiner => {
            // SAFETY: JOIN_WAKER at completion gives us the waker.
            if let Some(waker) = cell.join_waker.with_mut(|waker| unsafe { (*waker).take() }) {
                quietly(|| waker.wake());
            }
        }
    }
    1 + usize::from(cell.header.scheduler.release(&cell.header))
}

/// # Safety
/// See [`Vtable::shutdown`].
unsafe fn shutdown<F: Future>(task: NonNull<Header>) {
    // SAFETY: this is `F`'s vtable, and the caller gave us a reference.
    let cell = unsafe { cell::<F>(task) };
    if cell.header.state.shutdown() {
        // SAFETY: the answer gives us RUNNING.
        unsafe { cancel::<F>(task) };
    } else {
        // SAFETY: the one that the caller gave us.
        unsafe { drop_refs(task, 1) };
    }
}

/// # Safety
/// See [`Vtable::read_output`].
unsafe fn read_output<F: Future>(task: NonNull<Header>, into: NonNull<()>) {
    // SAFETY: this is `F`'s vtable, and the join handle has a reference.
    let cell = unsafe { cell::<F>(task) };
    let output = cell.stage.with_mut(|stage| {
        // SAFETY: COMPLETE gives the stage to the join handle.
        let Stage::Output(output) = (unsafe { &*stage }) else {
            unreachable!("a join handle read its output twice")
        };
        // SAFETY: read once: the stage is overwritten next. (Not `mem::replace`: the stage is as large as the future was.)
        let output = unsafe { std::ptr::read(output) };
        // SAFETY: as above; what was there has been moved out.
        unsafe { stage.write(Stage::Nothing) };
        output
    });
    // SAFETY: as the caller says. What was there is `Pending`, which needs no drop.
    unsafe {
        into.cast::<Poll<Result<F::Output, JoinError>>>()
            .write(Poll::Ready(output))
    };
}

/// # Safety
/// See [`Vtable::drop_output`].
unsafe fn drop_output<F: Future>(task: NonNull<Header>) {
    // SAFETY: this is `F`'s vtable, and the join handle has a reference.
    let cell = unsafe { cell::<F>(task) };
    let _current = current::enter(&cell.header);
    // SAFETY: COMPLETE gives the stage to the join handle.
    if let Err(payload) = unsafe { drop_stage(cell) } {
        // Perhaps this thread is unwinding already: a second panic would end the process.
        forget_panic(payload);
    }
}

/// # Safety
/// See [`Vtable::replace_waker`].
unsafe fn replace_waker<F: Future>(task: NonNull<Header>, waker: Option<Waker>) -> Option<Waker> {
    // SAFETY: this is `F`'s vtable, and the join handle has a reference.
    let cell = unsafe { cell::<F>(task) };
    // SAFETY: without JOIN_WAKER its place is the join handle's.
    cell.join_waker
        .with_mut(|place| unsafe { mem::replace(&mut *place, waker) })
}

/// # Safety
/// See [`Vtable::free`].
unsafe fn free_cell<F: Future>(task: NonNull<Header>) {
    let cell = task.cast::<Cell<F>>();
    // SAFETY: nobody else has it.
    unsafe { cell.drop_in_place() };
    // SAFETY: `allocate` took it, and it is empty now.
    unsafe { memory::give(cell) };
}
