//! A small service on axum: notes that are kept, listed and told live.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::Stream;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, broadcast, oneshot};

/// A note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub title: String,
    pub text: String,
}

/// What a request for `/slow` passes: it says that it has come, and waits to be let through.
pub struct Gate {
    pub arrived: Semaphore,
    pub open: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            arrived: Semaphore::new(0),
            open: Semaphore::new(0),
        }
    }
}

#[derive(Clone)]
struct Notes {
    kept: Arc<Mutex<Vec<Note>>>,
    news: broadcast::Sender<Note>,
    gate: Arc<Gate>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    skip: usize,
}

/// Serves on `listener` until `stop` is sent or dropped; requests in flight are answered first.
pub async fn serve(
    listener: TcpListener,
    stop: oneshot::Receiver<()>,
    gate: Arc<Gate>,
) -> std::io::Result<()> {
    let notes = Notes {
        kept: Arc::default(),
        news: broadcast::channel(64).0,
        gate,
    };
    let router = Router::new()
        .route("/notes", post(add).get(list))
        .route("/notes/{index}", get(one))
        .route("/news", get(news))
        .route("/slow", get(slow))
        .with_state(notes);
    axum::serve(listener, router)
        .with_graceful_shutdown(async {
            let _ = stop.await;
        })
        .await
}

async fn add(State(notes): State<Notes>, Json(note): Json<Note>) -> (StatusCode, Json<usize>) {
    let mut kept = notes.kept.lock().expect("no holder panics");
    kept.push(note.clone());
    // Nobody may be listening.
    let _ = notes.news.send(note);
    (StatusCode::CREATED, Json(kept.len() - 1))
}

async fn list(State(notes): State<Notes>, Query(part): Query<Part>) -> Json<Vec<Note>> {
    let kept = notes.kept.lock().expect("no holder panics");
    Json(kept.iter().skip(part.skip).cloned().collect())
}

async fn one(
    State(notes): State<Notes>,
    Path(index): Path<usize>,
) -> Result<Json<Note>, StatusCode> {
    let kept = notes.kept.lock().expect("no holder panics");
    kept.get(index)
        .cloned()
        .map(Json)
        .ok_or(StatusCode::NOT_FOUND)
}

async fn news(State(notes): State<Notes>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let news = notes.news.subscribe();
    Sse::new(futures::stream::unfold(news, |mut news| async {
        let note = news.recv().await.ok()?;
        Some((Ok(Event::default().event("note").data(note.title)), news))
    }))
}

/// Answers when the gate opens, so that a shutdown finds it at work.
async fn slow(State(notes): State<Notes>) -> &'static str {
    notes.gate.arrived.add_permits(1);
    notes
        .gate
        .open
        .acquire()
        .await
        .expect("nobody closes the gate")
        .forget();
    "done"
}
