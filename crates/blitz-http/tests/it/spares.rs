//! Requests that come back to their thread: the next one says what its own client said, and nothing else.

use blitz_http::{Config, Connection, Handle, Peer, Request, Router, now, reply, reply_as};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt, duplex};
use http::HeaderValue;
use http::header::{CONTENT_TYPE, ETAG};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What a handler leaves in a request.
#[derive(Clone)]
struct Mark(Arc<AtomicUsize>);

impl Drop for Mark {
    fn drop(&mut self) {
        // It may do what handlers do, wherever it is dropped.
        drop(reply(Request::default(), "dropped"));
        // ORDERING: Relaxed: one thread.
        self.0.fetch_add(1, Relaxed);
    }
}

/// Says what is in a request, and leaves something else in it.
fn tell(mut request: Request, marks: &Arc<AtomicUsize>) -> blitz_http::Response {
    let peer = request
        .extensions()
        .get::<Peer>()
        .and_then(|peer| peer.addr);
    let fields: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}={}", value.to_str().expect("text")))
        .collect();
    let said = format!(
        "{} {} {} {} [{}]",
        request.method(),
        request.uri(),
        peer.map_or(0, |peer| peer.port()),
        request.extensions().len(),
        fields.join(","),
    );
    let secret = HeaderValue::from_static("secret");
    request.headers_mut().insert("x-secret", secret);
    *request.uri_mut() = "http://elsewhere/".parse().expect("a target");
    if let Some(peer) = request.extensions_mut().get_mut::<Peer>() {
        peer.addr = None;
    }
    request.extensions_mut().insert(Mark(Arc::clone(marks)));
    reply(request, said)
}

#[test]
fn what_one_client_said_is_said_by_no_other() {
    let runtime = blitz_io::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let marks = Arc::new(AtomicUsize::new(0));
    runtime.block_on(async {
        let handle = Handle::new(Config::default());
        let mut clients = Vec::new();
        for port in [1, 2] {
            let (client, end) = duplex(1 << 16);
            let of = Arc::clone(&marks);
            let router = Router::new().get("/", now(move |request| tell(request, &of)));
            let peer = Peer::new(([127, 0, 0, 1], port).into(), ([127, 0, 0, 1], 80).into());
            blitz_io::spawn(Connection::new(end, router, &handle, peer));
            clients.push((port, client));
        }
        let mut asked = 0;
        for round in 0..40 {
            for (port, client) in &mut clients {
                // The same again, so that it is kept, and then others.
                let (fields, told) = match round / 5 % 4 {
                    0 => ("", ""),
                    1 => ("A: 1\r\n", ",a=1"),
                    2 => (
                        "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n",
                        ",a=1,b=2,c=3,d=4,e=5",
                    ),
                    _ => ("X-Secret: own\r\n", ",x-secret=own"),
                };
                let request = format!("GET /?{port} HTTP/1.1\r\nHost: h{port}\r\n{fields}\r\n");
                client.write_all(request.as_bytes()).await.expect("sent");
                let expected = format!("\r\n\r\nGET /?{port} {port} 1 [host=h{port}{told}]");
                let mut answer = String::new();
                while !answer.ends_with(']') {
                    let mut buf = [0; 1024];
                    let n = client.read(&mut buf).await.expect("an answer");
                    answer += str::from_utf8(&buf[..n]).expect("text");
                }
                assert!(answer.ends_with(&expected), "{answer} for {expected}");
                asked += 1;
            }
        }
        // What handlers put in is not kept.
        // ORDERING: as above.
        assert_eq!(marks.load(Relaxed), asked);
    });
}

#[test]
fn a_response_has_the_type_that_it_was_given_and_no_other_field() {
    let made = |round: usize| {
        let request = Request::default();
        match round % 5 {
            0 => reply_as(request, HeaderValue::from_static("text/plain"), "a"),
            1 => reply_as(request, HeaderValue::from_static("text/html"), "a"),
            2 => reply(request, "a"),
            3 => {
                let mut response = reply(request, "a");
                let kind = HeaderValue::from_static("text/plain");
                response.headers_mut().insert(CONTENT_TYPE, kind.clone());
                response.headers_mut().append(CONTENT_TYPE, kind);
                response
            }
            _ => {
                let mut response = reply_as(request, HeaderValue::from_static("text/plain"), "a");
                response
                    .headers_mut()
                    .insert(ETAG, HeaderValue::from_static("e"));
                response
            }
        }
    };
    let expected = |round: usize| match round % 5 {
        0 => "content-type: text/plain\r\n",
        1 => "content-type: text/html\r\n",
        2 => "",
        3 => "content-type: text/plain\r\ncontent-type: text/plain\r\n",
        _ => "content-type: text/plain\r\netag: e\r\n",
    };
    let runtime = blitz_io::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (mut client, end) = duplex(1 << 16);
        let asked = AtomicUsize::new(0);
        // ORDERING: Relaxed: one thread.
        let router = Router::new().get("/", now(move |_| made(asked.fetch_add(1, Relaxed) / 3)));
        let handle = Handle::new(Config::default());
        blitz_io::spawn(Connection::new(end, router, &handle, Peer::default()));
        for round in 0..90 {
            let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            client.write_all(request).await.expect("sent");
            let mut answer = String::new();
            while !answer.ends_with("\r\n\r\na") {
                let mut buf = [0; 1024];
                let n = client.read(&mut buf).await.expect("an answer");
                answer += str::from_utf8(&buf[..n]).expect("text");
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\n{}content-length: 1\r\n",
                expected(round / 3)
            );
            assert!(answer.starts_with(&head), "{answer} for {head}");
        }
    });
}
