//! Ways to a server: proxies, and whom a client does not go to.

use super::{head, paused};
use blitz_http::Client;
use blitz_http::client::{BoxStream, ClientBuilder, Connecting, Phase, Proxy, Resolving, Url};
use blitz_http::ws::{Agreed, CloseCode, Config, Message, Role, WebSocket};
use blitz_http_proto::ws::accept_key;
use blitz_io::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use std::future::{Future, ready};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// A client whose proxy is `serve`; and what it was connected to.
fn through<F, S>(proxy: &str, serve: S) -> (ClientBuilder, Arc<Mutex<Vec<String>>>)
where
    S: Fn(DuplexStream) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let dialled = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&dialled);
    let connect = move |host: &str, port: u16| -> Connecting {
        log.lock().expect("no panic").push(format!("{host}:{port}"));
        let (ours, theirs) = duplex(64 * 1024);
        drop(blitz_io::spawn(serve(theirs)));
        Box::pin(ready(Ok(Box::new(ours) as BoxStream)))
    };
    let proxy = Proxy::new(proxy).expect("a proxy");
    (Client::builder().connector(connect).proxy(proxy), dialled)
}

async fn answer_with(io: &mut DuplexStream, text: &str) {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    io.write_all(answer.as_bytes()).await.expect("sent");
}

#[test]
fn a_proxy_is_told_where_to_and_who_asks() {
    let (builder, dialled) = through("http://me:p%40ss@proxy.example:3128", |mut io| async move {
        loop {
            let head = head(&mut io).await;
            if head.is_empty() {
                return;
            }
            answer_with(&mut io, &head).await;
        }
    });
    let client = builder
        .proxy_not_for("near.example")
        .build()
        .expect("a client");
    paused(async {
        let mut text = client
            .get("http://a.example/x?y#z")
            .send()
            .await
            .expect("an answer");
        let text = text.text().await.expect("text");
        assert!(
            text.starts_with("GET http://a.example/x?y HTTP/1.1\r\nhost: a.example\r\n"),
            "{text}"
        );
        assert!(
            text.contains("proxy-authorization: Basic bWU6cEBzcw==\r\n"),
            "{text}"
        );
        // The same connection serves other hosts, for the proxy reads where they are.
        let mut other = client
            .get("http://b.example/")
            .send()
            .await
            .expect("an answer");
        assert!(
            other
                .text()
                .await
                .expect("text")
                .starts_with("GET http://b.example/ ")
        );
        let mut near = client
            .get("http://near.example/")
            .send()
            .await
            .expect("an answer");
        let near = near.text().await.expect("text");
        assert!(
            near.starts_with("GET / HTTP/1.1\r\n") && !near.contains("proxy-authorization"),
            "{near}"
        );
    });
    assert_eq!(
        *dialled.lock().expect("no panic"),
        ["proxy.example:3128", "near.example:80"]
    );
}

/// Of what follows the change a proxy understands nothing, encrypted or not.
#[test]
fn a_proxy_opens_a_tunnel_for_another_protocol() {
    let (builder, _) = through("http://proxy.example", |mut io| async move {
        let tunnel = "CONNECT a.example:80 HTTP/1.1\r\nhost: a.example:80\r\n\r\n";
        assert_eq!(head(&mut io).await, tunnel);
        let opened = b"HTTP/1.1 200 OK\r\n\r\n";
        io.write_all(opened).await.expect("sent");
        let asked = head(&mut io).await;
        let begin = "GET /chat HTTP/1.1\r\nhost: a.example\r\n";
        assert!(asked.starts_with(begin), "{asked}");
        let refused = b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n";
        io.write_all(refused).await.expect("sent");
    });
    let client = builder.build().expect("a client");
    paused(async {
        let socket = client.websocket("ws://a.example/chat").connect().await;
        let error = socket.expect_err("it was refused");
        assert_eq!(error.status().map(|status| status.as_u16()), Some(426));
    });
}

/// And messages go through it.
#[test]
fn a_websocket_stands_behind_a_proxy() {
    let (builder, dialled) = through("http://proxy.example", |mut io| async move {
        let tunnel = head(&mut io).await;
        assert!(tunnel.starts_with("CONNECT a.example:80 HTTP/1.1\r\n"));
        let opened = b"HTTP/1.1 200 OK\r\n\r\n";
        io.write_all(opened).await.expect("sent");
        let asked = head(&mut io).await;
        let mut lines = asked.lines();
        let key = lines.find_map(|line| line.strip_prefix("sec-websocket-key: "));
        let yes = accept_key(key.expect("a key"));
        let agreed = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {yes}\r\n\r\n"
        );
        io.write_all(agreed.as_bytes()).await.expect("sent");
        let mut socket = WebSocket::over(io, Role::Server, Agreed::default(), Config::default());
        while let Some(message) = socket.recv().await.expect("no fault") {
            socket.send(message).await.expect("sent");
        }
    });
    let client = builder.build().expect("a client");
    paused(async {
        let socket = client.websocket("ws://a.example/chat").connect().await;
        let mut socket = socket.expect("a socket");
        for len in [5, 50_000] {
            let message = Message::binary(vec![7; len]);
            socket.send(message.clone()).await.expect("sent");
            assert_eq!(socket.recv().await.expect("no fault"), Some(message));
        }
        socket
            .close(CloseCode::NORMAL, "")
            .await
            .expect("closed in order");
    });
    assert_eq!(
        *dialled.lock().expect("no panic"),
        ["proxy.example:80".to_owned()]
    );
}

#[test]
fn a_proxy_that_refuses_or_lies_has_errors_of_its_own() {
    for (answer, name, status) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            "proxy",
            Some(407),
        ),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "proxy", Some(502)),
        ("HTTP/1.1 200 OK\r\n\r\nunasked", "proxy", None),
        ("nonsense\r\n\r\n", "proxy", None),
        ("HTTP/1.1 200", "proxy", None),
        ("", "proxy", None),
    ] {
        let (builder, _) = through("http://proxy.example", move |mut io| async move {
            let head = head(&mut io).await;
            assert_eq!(
                head,
                "CONNECT a.example:443 HTTP/1.1\r\nhost: a.example:443\r\n\r\n"
            );
            io.write_all(answer.as_bytes()).await.expect("sent");
        });
        let client = builder.build().expect("a client");
        paused(async {
            let error = client
                .get("https://a.example/")
                .send()
                .await
                .expect_err("no way");
            assert_eq!(
                (error.name(), error.phase()),
                (name, Some(Phase::Proxy)),
                "{answer:?}"
            );
            assert_eq!(error.status().map(|status| status.as_u16()), status);
            assert!(error.is_connect());
        });
    }
    for (first, error) in [
        (&b"\x05\xff"[..], "wants to know"),
        (b"\x04\x00", "does not speak SOCKS5"),
        (
            b"\x05\x00\x05\x05\x00\x01\0\0\0\0\0\0",
            "connection was refused",
        ),
        (b"\x05\x00\x05\x00\x00\x09", "unknown address"),
        (b"HT", "does not speak SOCKS5"),
    ] {
        let (builder, _) = through("socks5h://proxy.example", move |mut io| async move {
            io.write_all(first).await.expect("sent");
            let mut rest = Vec::new();
            io.read_to_end(&mut rest).await.expect("closed");
        });
        let client = builder.build().expect("a client");
        let failed = paused(client.get("http://a.example/").send()).expect_err("no way");
        assert!(failed.to_string().contains(error), "{failed}");
        assert_eq!(failed.phase(), Some(Phase::Proxy));
    }
}

#[test]
fn socks5_is_spoken() {
    for (proxy, hello, asked) in [
        (
            "socks5h://proxy.example",
            &b"\x05\x01\x00"[..],
            &b"\x05\x01\x00\x03\x09a.example\x00\x50"[..],
        ),
        (
            "socks5://proxy.example",
            b"\x05\x01\x00",
            b"\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50",
        ),
        (
            "socks5h://u:pw@proxy.example",
            b"\x05\x02\x00\x02",
            b"\x05\x01\x00\x03\x09a.example\x00\x50",
        ),
    ] {
        let (builder, dialled) = through(proxy, move |mut io| async move {
            assert_eq!(super::exactly(&mut io, hello.len()).await, hello);
            if hello.len() == 4 {
                io.write_all(b"\x05\x02").await.expect("sent");
                assert_eq!(super::exactly(&mut io, 6).await, b"\x01\x01u\x02pw");
                io.write_all(b"\x01\x00").await.expect("sent");
            } else {
                io.write_all(b"\x05\x00").await.expect("sent");
            }
            assert_eq!(super::exactly(&mut io, asked.len()).await, asked);
            io.write_all(b"\x05\x00\x00\x03\x04name\x00\x01")
                .await
                .expect("sent");
            let head = head(&mut io).await;
            assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
            answer_with(&mut io, "through").await;
        });
        let here = |_: &str| -> Resolving { Box::pin(ready(Ok(vec![IpAddr::from([1, 2, 3, 4])]))) };
        let client = builder.resolver(here).build().expect("a client");
        paused(async {
            let mut response = client
                .get("http://a.example/")
                .send()
                .await
                .expect("an answer");
            assert_eq!(response.text().await.expect("text"), "through");
        });
        assert_eq!(*dialled.lock().expect("no panic"), ["proxy.example:1080"]);
    }
}

#[test]
fn socks4_is_spoken() {
    for (proxy, asked) in [
        (
            "socks4://proxy.example",
            &b"\x04\x01\x00\x50\x01\x02\x03\x04\x00"[..],
        ),
        (
            "socks4://me@proxy.example",
            b"\x04\x01\x00\x50\x01\x02\x03\x04me\x00",
        ),
        (
            "socks4a://me@proxy.example",
            b"\x04\x01\x00\x50\x00\x00\x00\x01me\x00a.example\x00",
        ),
    ] {
        let (builder, dialled) = through(proxy, move |mut io| async move {
            assert_eq!(super::exactly(&mut io, asked.len()).await, asked);
            io.write_all(b"\x00\x5a\x12\x34\x05\x06\x07\x08")
                .await
                .expect("sent");
            let head = head(&mut io).await;
            assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
            answer_with(&mut io, "through").await;
        });
        // It knows nothing of the other family.
        let here = |_: &str| -> Resolving {
            let found = vec![
                IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
                IpAddr::from([1, 2, 3, 4]),
            ];
            Box::pin(ready(Ok(found)))
        };
        let client = builder.resolver(here).build().expect("a client");
        paused(async {
            let mut response = client
                .get("http://a.example/")
                .send()
                .await
                .expect("an answer");
            assert_eq!(response.text().await.expect("text"), "through");
        });
        assert_eq!(*dialled.lock().expect("no panic"), ["proxy.example:1080"]);
    }
    assert!(Proxy::new("socks4://me:secret@proxy.example").is_err());
    assert!(Proxy::new("socks4://a%00b@proxy.example").is_err());
}

#[test]
fn a_socks4_proxy_that_refuses_says_why() {
    for (answer, said) in [
        (&b"\x00\x5b\0\0\0\0\0\0"[..], "refused or failed"),
        (b"\x00\x5d\0\0\0\0\0\0", "does not believe who asks"),
        (b"\x05\x00\0\0\0\0\0\0", "does not speak SOCKS4"),
        (b"\x00\x5a", "connection to the proxy failed"),
    ] {
        let (builder, _) = through("socks4a://proxy.example", move |mut io| async move {
            super::exactly(&mut io, 19).await;
            io.write_all(answer).await.expect("sent");
        });
        let client = builder.build().expect("a client");
        let failed = paused(client.get("http://a.example/").send()).expect_err("no way");
        assert!(failed.to_string().contains(said), "{failed}");
        assert_eq!(failed.phase(), Some(Phase::Proxy));
    }
    let (builder, _) = through("socks4a://proxy.example", |_| ready(()));
    let client = builder.build().expect("a client");
    let failed = paused(client.get("http://[::1]/").send()).expect_err("no way");
    assert!(failed.to_string().contains("IPv6"), "{failed}");
}

#[test]
fn a_proxy_is_chosen_by_the_address() {
    let proxy = Proxy::new("http://proxy.example:3128").expect("a proxy");
    let (builder, dialled) = through("http://nobody.example", |mut io| async move {
        while !head(&mut io).await.is_empty() {
            answer_with(&mut io, "hello").await;
        }
    });
    let choose = move |url: &Url| {
        let host = url.host_str().expect("a host");
        host.ends_with(".inner.example").then(|| proxy.clone())
    };
    let client = builder.proxy_by(choose).build().expect("a client");
    paused(async {
        for host in ["a.inner.example", "b.inner.example", "outer.example"] {
            let url = format!("http://{host}/");
            client.get(url).send().await.expect("an answer");
        }
    });
    assert_eq!(
        *dialled.lock().expect("no panic"),
        ["proxy.example:3128", "outer.example:80"]
    );
    let unseen = Client::builder().public_only(true).proxy_by(|_| None);
    assert_eq!(unseen.build().expect_err("who knows").name(), "request");
}

#[test]
fn a_client_for_public_addresses_goes_nowhere_else() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let resolver = move |host: &str| -> Resolving {
        log.lock().expect("no panic").push(host.to_owned());
        let address: IpAddr = if host == "metadata.example" {
            [169, 254, 169, 254]
        } else {
            [10, 0, 0, 1]
        }
        .into();
        Box::pin(ready(Ok(vec![address])))
    };
    let builder = Client::builder()
        .no_proxy()
        .public_only(true)
        .resolver(resolver);
    let client = builder.build().expect("a client");
    paused(async {
        for url in [
            "http://metadata.example/",
            "http://inner.example/",
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[fe80::1]/",
            "https://192.168.1.1/",
        ] {
            let error = client.get(url).send().await.expect_err(url);
            assert_eq!(
                (error.name(), error.phase()),
                ("not_public", Some(Phase::Dns)),
                "{url}"
            );
        }
    });
    assert_eq!(
        *asked.lock().expect("no panic"),
        ["metadata.example", "inner.example"]
    );
    let proxy = Proxy::new("http://proxy.example").expect("a proxy");
    // Those of SOCKS are shown no other addresses, either.
    for proxy in ["socks4://proxy.example", "socks5://proxy.example"] {
        let (builder, dialled) = through(proxy, |_| ready(()));
        let client = builder.public_only(true).build().expect("a client");
        let error = paused(client.get("http://169.254.169.254/").send());
        let error = error.expect_err("it is not public");
        assert_eq!(error.name(), "not_public");
        assert!(dialled.lock().expect("no panic").is_empty());
    }
    let blind = Client::builder().proxy(proxy).public_only(true).build();
    assert_eq!(blind.expect_err("nobody would see").name(), "request");
}

#[test]
fn names_are_remembered_for_a_while() {
    use blitz_io::time::sleep;
    use std::time::Duration;

    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let resolver = move |_: &str| -> Resolving {
        *count.lock().expect("no panic") += 1;
        Box::pin(ready(Err(std::io::ErrorKind::NotFound.into())))
    };
    let client = Client::builder()
        .no_proxy()
        .resolver(resolver)
        .build()
        .expect("a client");
    paused(async {
        for (after_ms, times) in [(0, 1), (500, 1), (600, 2)] {
            sleep(Duration::from_millis(after_ms)).await;
            let error = client
                .get("http://nowhere.example/")
                .send()
                .await
                .expect_err("no such name");
            assert_eq!((error.name(), error.phase()), ("dns", Some(Phase::Dns)));
            assert_eq!(
                *asked.lock().expect("no panic"),
                times,
                "after {after_ms} ms"
            );
        }
    });
}
