//! hyper over blitz-io, over real sockets, on every back end and flavour.

mod connections;
mod harness;
mod timers;
