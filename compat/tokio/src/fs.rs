//! Files and folders: `blitz_io::fs`.

pub use blitz_io::fs::*;
