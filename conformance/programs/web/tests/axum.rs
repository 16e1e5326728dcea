//! axum with its own server, asked by hyper's client.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use web::GUARD;
use web::notes::{self, Gate, Note};

type Web = Client<HttpConnector, Full<Bytes>>;

struct Server {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    gate: Arc<Gate>,
    task: JoinHandle<std::io::Result<()>>,
}

async fn server() -> (Server, Web) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let gate = Arc::new(Gate::default());
    let task = tokio::spawn(notes::serve(listener, stopped, gate.clone()));
    let client = Client::builder(TokioExecutor::new()).build_http();
    (
        Server {
            addr,
            stop,
            gate,
            task,
        },
        client,
    )
}

async fn ask(client: &Web, method: Method, url: String, body: &str) -> (StatusCode, String) {
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::from(body.to_owned()))
        .unwrap();
    let answer = client.request(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_are_kept_and_bad_ones_refused() {
    timeout(GUARD, async {
        let (server, client) = server().await;
        let url = |path: &str| format!("http://{}{path}", server.addr);
        for number in 0..50 {
            let note = Note {
                title: format!("note {number}"),
                text: "x".repeat(number),
            };
            let note = serde_json::to_string(&note).unwrap();
            let (status, index) = ask(&client, Method::POST, url("/notes"), &note).await;
            assert_eq!((status, index), (StatusCode::CREATED, number.to_string()));
        }
        let (_, listed) = ask(&client, Method::GET, url("/notes?skip=48"), "").await;
        let listed: Vec<Note> = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!(listed[0].title, "note 48");
        assert_eq!(
            ask(&client, Method::GET, url("/notes/50"), "").await.0,
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            ask(&client, Method::GET, url("/notes/x"), "").await.0,
            StatusCode::BAD_REQUEST
        );
        let (status, _) = ask(&client, Method::POST, url("/notes"), "{\"title\": 7}").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn news_come_live() {
    timeout(GUARD, async {
        let (server, client) = server().await;
        let news = client
            .get(format!("http://{}/news", server.addr).parse().unwrap())
            .await
            .unwrap();
        let mut news = news.into_body();
        // The head has come, so the server listens for news.
        for title in ["first", "second"] {
            let note = format!("{{\"title\": \"{title}\", \"text\": \"\"}}");
            ask(
                &client,
                Method::POST,
                format!("http://{}/notes", server.addr),
                &note,
            )
            .await;
            let event = news.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(event, format!("event: note\ndata: {title}\n\n"));
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_shutdown_answers_what_it_has_read() {
    timeout(GUARD, async {
        let (server, client) = server().await;
        let url = format!("http://{}/slow", server.addr);
        let addr = server.addr;
        let answers: Vec<_> = (0..20)
            .map(|_| {
                let (client, url) = (client.clone(), url.clone());
                tokio::spawn(async move { ask(&client, Method::GET, url, "").await })
            })
            .collect();
        server.gate.arrived.acquire_many(20).await.unwrap().forget();
        drop(server.stop);
        server.gate.open.add_permits(20);
        for answer in answers {
            assert_eq!(answer.await.unwrap(), (StatusCode::OK, "done".to_owned()));
        }
        drop(client);
        server.task.await.unwrap().unwrap();
        assert!(tokio::net::TcpStream::connect(addr).await.is_err());
    })
    .await
    .unwrap();
}
