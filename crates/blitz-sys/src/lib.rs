//! blitz-sys.
