//! blitz-io-traits.
