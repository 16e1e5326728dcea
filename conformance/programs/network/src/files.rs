//! A web service in tower-http's layers: files, compressed, with a limit for bodies and for time.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::services::ServeDir;
use tower_http::timeout::TimeoutLayer;

/// The largest body that is taken.
pub const BODY_LEN_MAX: usize = 100_000;

/// Serves the files in `folder` until the task is dropped.
pub async fn serve(listener: TcpListener, folder: &Path) -> std::io::Result<()> {
    let router = Router::new()
        .route("/count", post(async |body: Bytes| body.len().to_string()))
        .route("/never", get(std::future::pending::<()>))
        .fallback_service(ServeDir::new(folder))
        .layer(CompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(BODY_LEN_MAX))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            Duration::from_millis(200),
        ));
    axum::serve(listener, router).await
}
