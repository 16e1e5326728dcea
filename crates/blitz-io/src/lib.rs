//! blitz-io.
