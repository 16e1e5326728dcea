//! A program in whose manifest tokio has another name.
#![forbid(unsafe_code)]

#[cfg(test)]
mod tests;
