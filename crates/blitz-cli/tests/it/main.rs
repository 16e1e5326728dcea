//! The command and the examples, run as a user runs them.

mod demo;
mod examples;
