//! A chat in the browser: rooms over WebSocket, with a page.
//!
//! ```text
//! cargo run --release --example chat_rooms -- --addr 127.0.0.1:8080
//! ```
//!
//! Open what it prints in two tabs. A room is there while somebody is in it; what is said is framed once and compressed once for all of them.
//! `--slow block|drop_oldest|latest|disconnect` (drop_oldest) says what happens to a reader who is more than `--backlog` (100) messages behind.
//!
//! Prints `listening on …`; on Ctrl-C it closes the sockets with 1001, and says what the rooms have done.

use blitz_http::client::Url;
use blitz_http::ws::{self, Message, Room, RoomCounters, Slow, WebSocket};
use blitz_http::{Reply, Request, Response, Router, Server, now};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Characters of a name, and of a room's.
const NAME_MAX: usize = 32;
/// Bytes of a message.
const TEXT_MAX: usize = 4000;

#[blitz_io::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut addr = "127.0.0.1:8080".to_owned();
    let (mut slow, mut backlog) = ("drop_oldest".to_owned(), 100);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args
            .next()
            .ok_or_else(|| format!("{arg} wants a value, or is unknown"))?;
        match arg.as_str() {
            "--addr" => addr = value,
            "--slow" => slow = value,
            "--backlog" => backlog = value.parse()?,
            other => {
                return Err(format!("unknown option {other}: --addr, --slow, --backlog").into());
            }
        }
    }
    let slow = match slow.as_str() {
        "block" => Slow::Block(backlog),
        "drop_oldest" => Slow::DropOldest(backlog),
        "latest" => Slow::Latest,
        "disconnect" => Slow::Disconnect(backlog),
        other => {
            return Err(format!("--slow {other}: block, drop_oldest, latest, disconnect").into());
        }
    };
    // A server wants as many descriptors as it may have; without them it serves fewer connections.
    let _ = blitz_sys::limit::raise_open_files();
    let server = Server::bind(&addr)
        .await
        .map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    let handle = server.handle();
    for addr in server.local_addrs() {
        println!("listening on {addr}");
    }
    io::stdout().flush()?;
    let house = House::default();
    let serving = blitz_io::spawn(server.serve(router(house.clone(), slow)));
    blitz_io::signal::ctrl_c().await?;
    handle.shut_down(Duration::from_secs(5));
    let cut = serving.await?.cut.len();
    let done = house.halls().past;
    println!(
        "ended; cut {cut} connections; said {} messages, {} deliveries, {} dropped, {} readers too slow",
        done.sent, done.delivered, done.dropped, done.disconnected
    );
    Ok(())
}

fn router(house: House, slow: Slow) -> Router {
    let typed = |text: &'static str, kind: &'static str| now(move |_| typed(text, kind));
    Router::new()
        .get("/", typed(PAGE, "text/html; charset=utf-8"))
        .get("/page.css", typed(STYLE, "text/css; charset=utf-8"))
        .get("/page.js", typed(SCRIPT, "text/javascript; charset=utf-8"))
        .get("/ws", now(move |request| enter(request, &house, slow)))
}

fn typed(text: &'static str, kind: &'static str) -> Response {
    let mut response = text.into_response();
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// `GET /ws?room=ROOM&name=NAME`
fn enter(mut request: Request, house: &House, slow: Slow) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let Ok(url) = Url::parse(&format!("http://localhost/?{query}")) else {
        return (StatusCode::BAD_REQUEST, "no query\n").into_response();
    };
    let given = |key: &str| {
        let pair = url.query_pairs().find(|(name, _)| name == key);
        let value = pair.map(|(_, value)| value.trim().to_owned());
        value.filter(|value| (1..=NAME_MAX).contains(&value.chars().count()))
    };
    let (Some(room), Some(name)) = (given("room"), given("name")) else {
        let why = "room and name are wanted, of 1 to 32 characters\n";
        return (StatusCode::BAD_REQUEST, why).into_response();
    };
    let mut config = ws::Config::default();
    config.deflate = Some(ws::Deflate::default());
    config.limits.message = TEXT_MAX;
    config.slow = slow;
    let house = house.clone();
    ws::accept(&mut request)
        .config(config)
        .run(move |socket| chat(socket, house, room, name))
}

/// One who is in a room, until its socket closes.
async fn chat(
    socket: WebSocket,
    house: House,
    room: String,
    name: String,
) -> Result<(), ws::Error> {
    let (sender, mut receiver) = socket.split();
    let here = house.comes(&room, &name);
    let member = here.room.join(&sender);
    here.tells("came").await;
    let end = loop {
        match receiver.recv().await {
            Ok(Some(message)) => {
                let Some(text) = message.as_text() else {
                    continue;
                };
                let said = json!({"kind": "said", "name": name, "text": text});
                here.room.send(Message::text(said.to_string())).await;
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    drop(member);
    let last = here.leaves();
    last.tells("left").await;
    end
}

/// All rooms in which there is somebody.
#[derive(Clone, Default)]
struct House(Arc<Mutex<Halls>>);

#[derive(Default)]
struct Halls {
    halls: HashMap<String, Hall>,
    /// What rooms have done that are there no more.
    past: RoomCounters,
}

#[derive(Default)]
struct Hall {
    room: Room,
    /// Who is there, and how often.
    names: BTreeMap<String, usize>,
}

/// Somebody in a room.
struct Here {
    house: House,
    hall: String,
    name: String,
    room: Room,
    names: Vec<String>,
}

impl House {
    fn halls(&self) -> MutexGuard<'_, Halls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn comes(&self, hall: &str, name: &str) -> Here {
        let mut halls = self.halls();
        let there = halls.halls.entry(hall.to_owned()).or_default();
        *there.names.entry(name.to_owned()).or_default() += 1;
        Here {
            house: self.clone(),
            hall: hall.to_owned(),
            name: name.to_owned(),
            room: there.room.clone(),
            names: there.names.keys().cloned().collect(),
        }
    }
}

impl Here {
    /// Tells the room who came or left, and who is there now.
    async fn tells(&self, kind: &str) {
        let news = json!({"kind": kind, "name": self.name, "here": self.names});
        self.room.send(Message::text(news.to_string())).await;
    }

    /// With the names of those who stay. A room that is empty is gone.
    fn leaves(mut self) -> Here {
        let mut halls = self.house.halls();
        let Some(there) = halls.halls.get_mut(&self.hall) else {
            unreachable!("a room with somebody in it is there");
        };
        if let Some(times) = there.names.get_mut(&self.name) {
            *times -= 1;
        }
        there.names.retain(|_, times| *times > 0);
        self.names = there.names.keys().cloned().collect();
        if there.names.is_empty() {
            let (done, past) = (there.room.counters(), &mut halls.past);
            past.sent += done.sent;
            past.delivered += done.delivered;
            past.dropped += done.dropped;
            past.disconnected += done.disconnected;
            halls.halls.remove(&self.hall);
        }
        drop(halls);
        self
    }
}
