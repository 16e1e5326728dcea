//! blitz-macros.
