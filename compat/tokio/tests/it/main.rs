//! The facade's own tests: that every name is there, and that what tokio refuses is refused.

/// Names associated functions, constants and variants: one that is missing does not compile.
macro_rules! methods {
    ($($ty:ty: $($name:ident)+;)+) => {
        $($(let _ = <$ty>::$name;)+)+
    };
}

/// The same for the methods of a trait of I/O, on what implements them all.
macro_rules! trait_methods {
    ($($of:path: $($name:ident)+;)+) => {
        $($(let _ = <Cursor as $of>::$name;)+)+
    };
}

mod calls;
mod methods_files;
mod methods_io;
mod methods_net;
mod methods_process;
mod methods_runtime;
mod methods_sync;
mod methods_task;
mod panics;
mod paths;
