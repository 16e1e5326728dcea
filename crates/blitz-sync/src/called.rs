//! A wait whose caller is known, for whoever looks at the task that waits.
//!
//! Nothing happens until it is pending; then it leaves a note ([`blitz_core::waiting`]) with the call's name and the line that made
//! it. Outside of a blitz-io task, under whichever executor, that is a look at one word of the thread.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use blitz_core::waiting::{self, Resource, Site, UNKNOWN};

/// The name of a call.
pub(crate) trait Name {
    /// What its notes point to.
    const SITE: &'static Site;
}

pin_project_lite::pin_project! {
    /// See [`called`].
    pub(crate) struct Called<F, N> {
        at: &'static Location<'static>,
        name: PhantomData<fn() -> N>,
        #[pin]
        future: F,
    }
}

impl<F, N> Called<F, N> {
    /// `future` is that of a call made at `at`.
    #[inline]
    pub(crate) fn at(at: &'static Location<'static>, future: F) -> Self {
        Self {
            at,
            name: PhantomData,
            future,
        }
    }
}

impl<F: Future, N: Name> Future for Called<F, N> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let polled = this.future.poll(cx);
        if polled.is_pending() {
            // What the line says of itself stays: which one it is.
            waiting::call(N::SITE, UNKNOWN, this.at);
        }
        polled
    }
}

/// `called!("Type::method", future)`: the future of that method, called where the caller of the function around this was called,
/// which is `#[track_caller]`; or, with a third word in front, at that place.
macro_rules! called {
    ($what:literal, $future:expr) => {
        $crate::called::called!(::std::panic::Location::caller(), $what, $future)
    };
    ($at:expr, $what:literal, $future:expr) => {{
        struct Method;

        impl $crate::called::Name for Method {
            const SITE: &'static ::blitz_core::waiting::Site =
                &::blitz_core::waiting::Site::new($what, ::blitz_core::waiting::Resource::Object);
        }

        $crate::called::Called::<_, Method>::at($at, $future)
    }};
}
pub(crate) use called;

/// `call!("Type::method")`: that method, called where the caller of the function around this was called, which is
/// `#[track_caller]`; or, with a word in front, at that place. For waits in a line, which leave their notes themselves.
macro_rules! call {
    ($what:literal) => {
        $crate::called::call!(::std::panic::Location::caller(), $what)
    };
    ($at:expr, $what:literal) => {{
        static SITE: ::blitz_core::waiting::Site = $crate::called::site($what);
        ::blitz_core::register::Call {
            site: &SITE,
            at: $at,
        }
    }};
}
pub(crate) use call;

/// The task waits in what `what` names, for `object`, which is told from others by its address.
///
/// Out of the way of those who do not wait.
#[cold]
#[inline(never)]
pub(crate) fn note<T>(what: &'static Site, object: &T, at: Option<&'static Location<'static>>) {
    waiting::note_by(|| (what, std::ptr::from_ref(object).addr() as u64, at));
}

/// The line that polled, if a user wrote it: where a future is polled through `&mut` or a box, the standard library did.
pub(crate) fn line(at: &'static Location<'static>) -> Option<&'static Location<'static>> {
    (!is_of_std(at.file())).then_some(at)
}

fn is_of_std(file: &str) -> bool {
    // With the component rust-src the names are those of the files that it brings. Looked for by their ends, which costs little.
    file.starts_with("/rustc/")
        || file.ends_with("/library/core/src/future/future.rs")
        || file.ends_with("/library/alloc/src/boxed.rs")
}

/// A thing that tasks wait for, by name.
pub(crate) const fn site(what: &'static str) -> Site {
    Site::new(what, Resource::Object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_librarys_files_are_told_from_users() {
        for file in [
            "/rustc/59807616/library/core/src/future/future.rs",
            "/toolchains/stable/lib/rustlib/src/rust/library/core/src/future/future.rs",
            "/toolchains/stable/lib/rustlib/src/rust/library/alloc/src/boxed.rs",
        ] {
            assert!(is_of_std(file), "{file}");
        }
        for file in ["src/future/future.rs", "/app/src/boxed.rs"] {
            assert!(!is_of_std(file), "{file}");
        }
    }
}
