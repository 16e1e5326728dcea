//! The public face of blitz-http. What needs no kernel runs over a pipe in memory, in virtual time; what does runs on each back end.

#[allow(dead_code, reason = "a part of it is used here")]
#[path = "../../../blitz-io/tests/it/harness.rs"]
mod backends;
mod bodies;
mod children;
mod client;
mod corpus;
mod events;
mod exchange;
mod files;
mod gone;
mod harness;
mod https;
mod listeners;
mod looks;
#[allow(dead_code, reason = "a part of it is used here")]
#[path = "../../../blitz-tls/tests/it/made.rs"]
mod made;
#[path = "../../../blitz-http-proto/tests/it/notation.rs"]
mod notation;
mod proxied;
mod routes;
mod shutdown;
mod sockets;
mod spares;
mod timeouts;
mod together;
mod upgrades;
mod ws;
