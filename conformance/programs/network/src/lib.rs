//! Programs on what stands between a socket and an application: TLS, WebSocket, gRPC, and a web service in layers.

pub mod chat;
pub mod files;
pub mod tls;

use std::time::Duration;

/// How long a test waits for what must come.
pub const GUARD: Duration = Duration::from_secs(60);
