//! A program that knows tokio alone: every macro roots at `tokio`, and nothing asks for `blitz_io`.
#![forbid(unsafe_code)]

#[cfg(test)]
mod tests;
