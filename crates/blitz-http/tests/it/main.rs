//! The public face of blitz-http. What needs no kernel runs over a pipe in memory, in virtual time; what does runs on each back end.

// Of what it has a part is used here.
#[allow(dead_code)]
#[path = "../../../blitz-io/tests/it/harness.rs"]
mod backends;
mod bodies;
mod corpus;
mod exchange;
mod harness;
#[path = "../../../blitz-http-proto/tests/it/notation.rs"]
mod notation;
mod routes;
mod shutdown;
mod sockets;
mod timeouts;
mod upgrades;
