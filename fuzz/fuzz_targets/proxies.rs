//! What proxies say: a header is whole at one length only, and nobody but the last proxy has the last word.
#![no_main]
#![allow(dead_code, reason = "of the shared checks each target calls one")]

#[path = "../../crates/blitz-http-proto/tests/it/checks.rs"]
mod checks;
#[path = "../../crates/blitz-http-proto/tests/it/pieces.rs"]
mod pieces;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::check_proxies(data));
