//! The public face of blitz-http-proto: what a stream of bytes becomes, however it is cut.

mod bodies;
mod checks;
mod corpus;
mod notation;
mod pieces;
mod proxies;
mod requests;
mod responses;
mod smoke;
mod sse;
mod ws;
