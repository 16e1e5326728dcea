//! The example `reverse_proxy`, before a server that is scripted here, and before `http_tour`.

use crate::bench::nobody;
use crate::examples::{Running, exchange};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A test that waits for longer than this has failed.
const GUARD: Duration = Duration::from_secs(60);

fn before(upstream: &str, more: &[&str]) -> Running {
    let words = ["--addr", "127.0.0.1:0", "--upstream", upstream];
    Running::start("reverse_proxy", &[&words[..], more].concat())
}

fn ask(proxy: &Running, request: &str) -> String {
    String::from_utf8(exchange(&proxy.address, request.as_bytes())).expect("text")
}

fn connect(address: &str) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).expect("it accepts");
    stream
        .set_read_timeout(Some(GUARD))
        .expect("a fresh socket");
    BufReader::new(stream)
}

/// A head, its empty line included.
fn head(from: &mut impl BufRead) -> String {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        assert_ne!(from.read_line(&mut text).expect("a line"), 0, "{text}");
    }
    text
}

/// A piece of a body in chunks.
fn chunk(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("a length");
    let len = usize::from_str_radix(line.trim_end(), 16).expect("a number");
    let mut bytes = vec![0; len + 2];
    from.read_exact(&mut bytes).expect("a piece");
    assert!(bytes.ends_with(b"\r\n"));
    bytes.truncate(len);
    String::from_utf8(bytes).expect("text")
}

/// A server that hands each of its connections, with its number, to a function.
fn scripted(script: impl Fn(usize, BufReader<TcpStream>) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let script = std::sync::Arc::new(script);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            stream
                .set_read_timeout(Some(GUARD))
                .expect("a fresh socket");
            let script = std::sync::Arc::clone(&script);
            thread::spawn(move || script(number, BufReader::new(stream)));
        }
    });
    address
}

fn say(stream: &mut BufReader<TcpStream>, text: &str) {
    // Who does not listen any more says so elsewhere.
    let _ = stream.get_mut().write_all(text.as_bytes());
}

#[test]
fn what_is_of_a_connection_stays_there_and_the_server_learns_who_asks() {
    let (tell, told) = mpsc::channel();
    let server = scripted(move |_, mut stream| {
        tell.send(head(&mut stream)).expect("the test waits");
        say(
            &mut stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=5\r\nX-Mine: 1\r\nConnection: X-Mine\r\nX-Kept: 1\r\n\r\nok",
        );
    });
    let proxy = before(&server, &[]);
    let answer = ask(
        &proxy,
        "GET http://example.org/a?b HTTP/1.1\r\nHost: other\r\nConnection: close, X-Drop\r\nX-Drop: 1\r\nKeep-Alive: 1\r\nTE: trailers\r\nX-Forwarded-For: 192.0.2.1\r\nX-Kept: 2\r\n\r\n",
    );
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"),
        "{answer}"
    );
    assert!(
        answer.contains("x-kept: 1\r\n") && answer.contains("via: 1.1 "),
        "{answer}"
    );
    assert!(
        !answer.contains("x-mine") && !answer.contains("keep-alive: timeout"),
        "{answer}"
    );
    let asked = told.recv_timeout(GUARD).expect("a request").to_lowercase();
    assert!(asked.starts_with("get /a?b http/1.1\r\n"), "{asked}");
    for line in [
        "host: example.org",
        "x-kept: 2",
        "x-forwarded-for: 192.0.2.1, 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: example.org",
        "forwarded: for=127.0.0.1;proto=http;host=\"example.org\"",
        "via: 1.1 reverse_proxy",
    ] {
        assert!(
            asked.contains(&format!("\r\n{line}\r\n")),
            "{line} in {asked}"
        );
    }
    for name in ["connection:", "x-drop:", "keep-alive:", "te:"] {
        assert!(!asked.contains(&format!("\r\n{name}")), "{name} in {asked}");
    }
}

#[test]
fn bodies_stream_both_ways_with_their_trailers() {
    let tour = Running::start("http_tour", &["--addr", "127.0.0.1:0"]);
    let proxy = before(&tour.address, &[]);
    let mut client = connect(&proxy.address);
    // Both servers wait for the rest meanwhile, on a busy machine for longer than who has said little may keep them waiting.
    let (first, len) = ("abc".repeat(50_000), 150_000);
    say(
        &mut client,
        &format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{len:x}\r\n{first}\r\n"
        ),
    );
    let answer = head(&mut client);
    assert!(
        answer.contains("transfer-encoding: chunked\r\n"),
        "{answer}"
    );
    // It comes back while the request is not whole.
    let mut back = String::new();
    while back.len() < len {
        back += &chunk(&mut client);
    }
    assert!(back == first);
    say(&mut client, "2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n");
    let mut rest = String::new();
    while !rest.ends_with("\r\n\r\n") {
        client.read_line(&mut rest).expect("a line");
    }
    assert_eq!(rest, "2\r\nde\r\n0\r\nx-sum: 1\r\n\r\n");

    let big = exchange(&proxy.address, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(big.len() > 64 * 1024 * 1024);
    let of_head = ask(&proxy, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(
        of_head.contains("content-length: 22\r\n") && of_head.ends_with("\r\n\r\n"),
        "{of_head}"
    );
}

#[test]
fn a_connection_to_the_server_is_used_again_only_when_it_is_clean() {
    let (tell, told) = mpsc::channel();
    let server = scripted(move |number, mut stream| {
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).is_ok_and(|n| n > 0) {
                head(&mut stream);
            } else {
                return;
            }
            let path = line.split(' ').nth(1).expect("a path").to_owned();
            tell.send((number, path.clone())).expect("the test waits");
            match &*path {
                "/close" => {
                    return say(
                        &mut stream,
                        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
                    );
                }
                "/more" => say(
                    &mut stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
                ),
                // It closes a connection on which it had promised to go on.
                "/leave" => {
                    return say(
                        &mut stream,
                        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                    );
                }
                _ => say(
                    &mut stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                ),
            }
        }
    });
    let proxy = before(&server, &["--workers", "1"]);
    // Between two of them the proxy has to see that the first is done.
    let mut client = connect(&proxy.address);
    let mut get = |path: &str| {
        say(
            &mut client,
            &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"),
        );
        assert!(
            head(&mut client).starts_with("HTTP/1.1 200 OK\r\n"),
            "{path}"
        );
        let mut body = [0; 2];
        client.read_exact(&mut body).expect("a body");
        assert_eq!(&body, b"ok", "{path}");
        told.recv_timeout(GUARD).expect("the server was asked")
    };
    let paths = ["/a", "/b", "/close", "/c", "/more", "/d", "/leave", "/e"];
    let numbers: Vec<usize> = paths.map(|path| get(path).0).to_vec();
    // What comes behind one that is not clean goes by another connection.
    for (at, path) in paths.iter().enumerate() {
        if ["/close", "/more", "/leave"].contains(path) {
            assert_ne!(numbers[at], numbers[at + 1], "{path}: {numbers:?}");
        }
    }
    assert!(
        numbers.iter().max() < Some(&7),
        "none was used again: {numbers:?}"
    );
}

#[test]
fn a_server_that_is_not_there_or_talks_nonsense_is_502_and_a_silent_one_504() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let (_bound, gone) = nobody();
    assert!(ask(&before(&gone.to_string(), &[]), request).starts_with("HTTP/1.1 502 "));
    let nonsense = scripted(|_, mut stream| {
        head(&mut stream);
        say(&mut stream, "SSH-2.0-x\r\n\r\n");
    });
    assert!(ask(&before(&nonsense, &[]), request).starts_with("HTTP/1.1 502 "));
    let closes = scripted(|_, mut stream| drop(head(&mut stream)));
    assert!(ask(&before(&closes, &[]), request).starts_with("HTTP/1.1 502 "));
    let silent = scripted(|_, mut stream| {
        head(&mut stream);
        // Until the proxy gives up.
        let _ = stream.read(&mut [0]);
    });
    let proxy = before(&silent, &["--timeout", "0.2"]);
    assert!(ask(&proxy, request).starts_with("HTTP/1.1 504 "));
    assert!(ask(&proxy, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").starts_with("HTTP/1.1 501 "));
}

#[test]
fn an_answer_that_is_cut_off_is_cut_off_for_the_client() {
    let server = scripted(|_, mut stream| {
        head(&mut stream);
        say(
            &mut stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        );
    });
    let answer = ask(&before(&server, &[]), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(
        answer.contains("content-length: 10\r\n") && answer.ends_with("\r\n\r\nhalf"),
        "{answer}"
    );
}

#[test]
fn an_upgrade_becomes_a_tunnel() {
    let server = scripted(|_, mut stream| {
        let asked = head(&mut stream).to_lowercase();
        assert!(
            asked.contains("\r\nconnection: upgrade\r\n")
                && asked.contains("\r\nupgrade: shout\r\n")
        );
        say(
            &mut stream,
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\nHELLO\n",
        );
        let mut line = String::new();
        stream.read_line(&mut line).expect("a line");
        say(&mut stream, &line.to_uppercase());
    });
    let proxy = before(&server, &[]);
    let mut client = connect(&proxy.address);
    say(
        &mut client,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n",
    );
    let answer = head(&mut client);
    assert!(
        answer.starts_with("HTTP/1.1 101 ") && answer.contains("upgrade: shout\r\n"),
        "{answer}"
    );
    let mut line = String::new();
    client.read_line(&mut line).expect("a line");
    assert_eq!(line, "HELLO\n");
    say(&mut client, "quiet words\n");
    line.clear();
    client.read_line(&mut line).expect("a line");
    assert_eq!(line, "QUIET WORDS\n");
}

/// A server that answers `answer`, if anything, to a head, and then reads nothing until the test is over.
fn reads_heads_only(answer: &'static str) -> (String, mpsc::Sender<()>) {
    let (over, until) = mpsc::channel::<()>();
    let until = std::sync::Mutex::new(until);
    let server = scripted(move |_, mut stream| {
        head(&mut stream);
        say(&mut stream, answer);
        // The test has its end.
        let _ = until.lock().expect("one connection").recv();
    });
    (server, over)
}

/// Sends a head and then body until nobody takes it, and gives the answer's head.
fn upload(proxy: &Running) -> (String, BufReader<TcpStream>) {
    let mut client = connect(&proxy.address);
    let mut sending = client.get_ref().try_clone().expect("a second handle");
    let uploading = thread::spawn(move || {
        let piece = [b'x'; 64 * 1024];
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n";
        let mut sent = sending.write_all(head).map(|()| 0);
        while let Ok(bytes @ ..1_000_000_000) = sent {
            let left = piece.len().min(1_000_000_000 - bytes);
            sent = sending.write_all(&piece[..left]).map(|()| bytes + left);
        }
        // It is cut off, long before.
        sent.expect_err("the proxy does not take all of it");
    });
    let answer = head(&mut client);
    uploading.join().expect("no more than that");
    (answer, client)
}

#[test]
fn a_server_that_stops_reading_an_upload_is_504_and_the_client_is_cut_off() {
    let (server, over) = reads_heads_only("");
    let proxy = before(&server, &["--timeout", "0.3"]);
    let (answer, _client) = upload(&proxy);
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    drop(over);
}

#[test]
fn an_answer_that_comes_before_the_upload_is_whole_reaches_the_client_at_once() {
    let (server, over) =
        reads_heads_only("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\n\r\nno\n");
    // Its patience has no part in this.
    let proxy = before(&server, &["--timeout", "3000"]);
    let (answer, mut client) = upload(&proxy);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let mut body = [0; 3];
    client.read_exact(&mut body).expect("the answer is whole");
    assert_eq!(&body, b"no\n");
    drop(over);
}

#[test]
fn a_client_that_breaks_its_upload_off_is_told_so() {
    let (server, over) = reads_heads_only("");
    let proxy = before(&server, &[]);
    let answer = ask(
        &proxy,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
    );
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    drop(over);
}

#[test]
fn a_client_of_ipv6_stands_in_brackets_and_quotes() {
    if TcpListener::bind("[::1]:0").is_err() {
        return eprintln!("skipped: this machine has no IPv6");
    }
    let (tell, told) = mpsc::channel();
    let server = scripted(move |_, mut stream| {
        tell.send(head(&mut stream)).expect("the test waits");
        say(&mut stream, "HTTP/1.1 204 No Content\r\n\r\n");
    });
    let words = ["--addr", "[::1]:0", "--upstream", &server];
    let proxy = Running::start("reverse_proxy", &words);
    let answer = ask(
        &proxy,
        "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\nForwarded: for=192.0.2.1\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let asked = told.recv_timeout(GUARD).expect("a request").to_lowercase();
    for line in [
        "x-forwarded-for: ::1",
        "forwarded: for=192.0.2.1, for=\"[::1]\";proto=http;host=\"[2001:db8::1]:80\"",
    ] {
        assert!(
            asked.contains(&format!("\r\n{line}\r\n")),
            "{line} in {asked}"
        );
    }
}
