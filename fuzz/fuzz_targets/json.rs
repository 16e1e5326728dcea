//! A line of the inspection socket, to the reader of requests: it is read or refused, and what is read came from the line.
#![no_main]

mod runtime {
    pub mod inspect;
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| runtime::inspect::check(data));
