//! blitz-driver.
