//! Which types may be shared, moved, or seen after a panic. All of it at compile time.

use std::panic::{RefUnwindSafe, UnwindSafe};

use blitz_io::net::{TcpListener, TcpSocket, TcpStream};
use blitz_io::runtime::{EnterGuard, Handle, Runtime};
use blitz_io::task::JoinHandle;

const fn unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
const fn shared_and_movable<T: Sync + Unpin>() {}

/// Two impls for what is `Send` or `Unpin` make a call ambiguous; one impl makes it clear.
trait Unless<Case> {
    fn check() {}
}

struct Found;

macro_rules! never {
    ($ty:ty: $bound:path) => {
        const _: () = {
            impl<T: ?Sized> Unless<()> for Probe<T> {}
            impl<T: ?Sized + $bound> Unless<Found> for Probe<T> {}
            struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
            let _ = <Probe<$ty> as Unless<_>>::check;
        };
    };
}

// A guard goes back to nobody else's thread, but others may look at what holds it.
never!(EnterGuard<'static>: Send);
const _: () = shared_and_movable::<EnterGuard<'static>>();

// A scope may come to hold places in itself.
never!(blitz_io::task::futures::TaskLocalFuture<u32, std::future::Ready<()>>: Unpin);

const _: () = {
    unwind_safe::<TcpListener>();
    unwind_safe::<TcpSocket>();
    unwind_safe::<TcpStream>();
    unwind_safe::<JoinHandle<std::cell::Cell<u8>>>();
    unwind_safe::<Runtime>();
    unwind_safe::<Handle>();
    unwind_safe::<blitz_io::runtime::RuntimeMetrics>();
};
