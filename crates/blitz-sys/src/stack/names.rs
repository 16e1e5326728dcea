//! Names for addresses, out of the program's file: `backtrace` reads it, as the standard library does for a panic.

use std::ffi::c_void;
use std::ptr;

use super::{Frame, Stack};

pub(super) fn frames(stack: &Stack) -> Vec<Frame> {
    let mut frames = Vec::with_capacity(stack.addresses.len());
    for &address in &stack.addresses {
        let before = frames.len();
        // It looks one address before what it is given, as for a return address.
        let behind = ptr::without_provenance_mut::<c_void>(address.wrapping_add(1));
        backtrace::resolve(behind, |symbol| {
            frames.push(Frame {
                address,
                // Without the hash at its end.
                function: symbol.name().map(|name| format!("{name:#}")),
                file: symbol.filename().map(ToOwned::to_owned),
                line: symbol.lineno(),
            });
        });
        if frames.len() == before {
            frames.push(Frame {
                address,
                function: None,
                file: None,
                line: None,
            });
        }
    }
    frames
}
