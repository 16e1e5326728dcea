//! blitz-exec.
