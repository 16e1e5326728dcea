//! What a client sends, to the decoder of requests: the same comes out however it is cut, each byte looked at once.
#![no_main]
#![allow(dead_code, reason = "of the shared checks each target calls one")]

#[path = "../../crates/blitz-http-proto/tests/it/checks.rs"]
mod checks;
#[path = "../../crates/blitz-http-proto/tests/it/pieces.rs"]
mod pieces;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::check_requests(data));
