//! Programs on hyper and on axum. They name tokio; the workspace's patch puts blitz-io behind the name.

pub mod answers;
pub mod notes;

use std::time::Duration;

/// How long a test waits for what must come.
pub const GUARD: Duration = Duration::from_secs(60);
