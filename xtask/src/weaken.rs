//! x
use crate::Outcome;
use std::path::Path;
pub(crate) fn main(_root: &Path, _args: &[String]) -> Outcome {
    Ok(())
}
