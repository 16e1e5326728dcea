//! The public face of blitz-tls: in memory under virtual time, over TCP on each back end, and against OpenSSL.

mod cancel;
mod certificates;
mod clients;
#[allow(dead_code, reason = "shared with blitz-io, which uses all of it")]
#[path = "../../../blitz-io/tests/it/harness.rs"]
mod harness;
mod hostile;
mod made;
mod openssl;
mod servers;
mod streams;
mod tap;
mod tcp;
