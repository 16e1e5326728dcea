//! The `blitz` command.
fn main() {}
