//! Peers that mean no good: what they send ends in an error that says so, never in a hang, a panic or a heap that grows.

use std::sync::Arc;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt, duplex};
use blitz_tls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use blitz_tls::{TlsAcceptor, TlsConnector, TlsError};

use crate::made::{acceptor, authority, connector, localhost, meet, run};
use crate::tap::{Plan, Tap};

/// What a server says of a client that sends `bytes` and then only reads; and what it answers.
fn answer_to(bytes: &[u8], capacity: usize) -> (TlsError, Vec<u8>) {
    run(async {
        let (client, server) = duplex(capacity);
        let server = async {
            let (error, mut stream) = acceptor().accept(server).await.unwrap_err().into_parts();
            stream.shutdown().await.unwrap();
            // Whatever is still sent to it goes nowhere.
            drop(stream);
            error
        };
        let (mut reading, mut writing) = blitz_io::io::split(client);
        // It may be refused before it has sent everything.
        let write = async { writing.write_all(bytes).await.unwrap_or_default() };
        let read = async {
            let mut answer = Vec::new();
            reading.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let (error, answer, ()) = futures::future::join3(server, read, write).await;
        (error, answer)
    })
}

/// A fatal alert in clear.
fn alert(description: u8) -> Vec<u8> {
    vec![21, 3, 3, 0, 2, 2, description]
}

#[test]
fn garbage_is_refused_and_the_alert_is_sent_before_the_error() {
    // Through a pipe of one byte: the alert is out byte by byte before the handshake ends.
    for capacity in [1, 4096] {
        let (error, answer) = answer_to(&[0; 64], capacity);
        assert!(matches!(error, TlsError::NotTls), "{error}");
        assert_eq!(answer, alert(50), "decode_error");

        let (error, answer) = answer_to(b"SSH-2.0-OpenSSH_9.9\r\n", capacity);
        assert!(matches!(error, TlsError::NotTls), "{error}");
        assert_eq!(answer, alert(50));
    }
}

#[test]
fn plain_http_is_recognised_and_can_be_answered_in_clear() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /x HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let (error, answer) = answer_to(request.as_bytes(), 4096);
        assert!(matches!(error, TlsError::PlainHttp), "{error:?}");
        assert_eq!(answer, b"", "nothing that is not HTTP");
    }
    run(async {
        let (mut client, server) = duplex(4096);
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let failed = acceptor().accept(server).await.unwrap_err();
        let mut stream = failed.into_stream();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        drop(stream);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"));
    });
}

#[test]
fn a_client_that_meets_plain_http_says_so() {
    run(async {
        let (client, mut server) = duplex(4096);
        let answer = async {
            server.read_u8().await.unwrap();
            server
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        };
        let (outcome, ()) =
            futures::future::join(connector().connect("localhost", client), answer).await;
        let failed = outcome.unwrap_err();
        assert!(matches!(failed.error(), TlsError::PlainHttp), "{failed}");
    });
}

#[test]
fn records_that_are_too_long_are_refused() {
    // 2^14 + 2048 + 1 (RFC 8446 §5.2), at once, without waiting for the rest.
    let (error, answer) = answer_to(&[0x16, 3, 1, 0x48, 0x01, 1, 0, 0], 4096);
    assert!(matches!(error, TlsError::Protocol(_)), "{error:?}");
    assert_eq!(answer[..5], [21, 3, 3, 0, 2]);
    // A handshake message that says it has 16 MiB.
    let mut message = vec![0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
    message.resize(5 + 0x4000, 0);
    let (error, _) = answer_to(&message, 4096);
    assert!(matches!(error, TlsError::Protocol(_)), "{error:?}");
}

#[test]
fn a_handshake_without_an_end_is_refused() {
    // A message of 64 KiB less a little, in fragments of one byte: 6 on the wire for each.
    let mut endless = Vec::new();
    let message = [&[1, 0, 0xff, 0][..], &[0; 0xff00]].concat();
    for byte in message.iter().take(60_000) {
        endless.extend_from_slice(&[0x16, 3, 1, 0, 1, *byte]);
    }
    let (error, _) = answer_to(&endless, 4096);
    assert!(
        matches!(error, TlsError::TooLong { .. } | TlsError::Protocol(_)),
        "{error:?}"
    );
    // Empty fragments for ever.
    let (error, _) = answer_to(&[0x16, 3, 1, 0, 0].repeat(1000), 4096);
    assert!(matches!(error, TlsError::Protocol(_)), "{error:?}");
}

#[test]
fn who_leaves_before_the_first_byte_is_told_from_who_leaves_after() {
    run(async {
        let (client, server) = duplex(64);
        drop(client);
        let failed = acceptor().accept(server).await.unwrap_err();
        assert!(
            matches!(failed.error(), TlsError::Closed { received: 0 }),
            "{failed}"
        );
    });
}

/// One key exchange, without the long keys that arm against quantum computers: so the handshake has fewer bytes to end at.
fn short_provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    Arc::new(provider)
}

#[test]
fn an_end_after_each_byte_of_the_handshake_is_an_error_or_comes_after_it() {
    let acceptor = TlsAcceptor::builder(localhost().identity())
        .crypto_provider(short_provider())
        .build()
        .unwrap();
    let connector = TlsConnector::builder()
        .only_roots(authority().roots())
        .crypto_provider(short_provider())
        .build()
        .unwrap();
    let ends_after = |cut: usize, of_client: bool| {
        run(async {
            let (server, client) = duplex(1 << 16);
            let plan = |cuts: bool| Plan {
                cut_written: if cuts { cut } else { usize::MAX },
                ..Plan::OPEN
            };
            let server = Tap::new(server, plan(!of_client));
            let client = Tap::new(client, plan(of_client));
            let (server, client) = meet(&acceptor, &connector, server, client).await;
            (
                server.map(drop).map_err(TlsError::from),
                client.map(drop).map_err(TlsError::from),
            )
        })
    };
    for of_client in [true, false] {
        let mut cut = 1;
        loop {
            let (server, client) = ends_after(cut, of_client);
            let other = if of_client { &server } else { &client };
            match other {
                // The end came after all that the other side waited for.
                Ok(()) => break,
                Err(TlsError::Closed { received }) => assert_eq!(*received, cut),
                Err(error) => panic!("after {cut} bytes: {error:?}"),
            }
            cut += 1;
        }
        assert!(cut > 250, "{cut}");
    }
}

#[test]
fn a_byte_at_a_time_is_enough() {
    run(async {
        let (server, client) = duplex(1);
        let plan = Plan {
            step: 1,
            stalls: true,
            ..Plan::OPEN
        };
        let (server, client) = (Tap::new(server, plan), Tap::new(client, plan));
        let (server, client) = meet(&acceptor(), &connector(), server, client).await;
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        let ask = async {
            client.write_all(b"x").await.unwrap();
            client.shutdown().await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'y');
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        };
        let answer = async {
            assert_eq!(server.read_u8().await.unwrap(), b'x');
            assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
            server.write_all(b"y").await.unwrap();
            server.shutdown().await.unwrap();
        };
        futures::future::join(ask, answer).await;
    });
}

#[test]
fn a_client_that_talks_before_it_listens_is_heard() {
    // It takes nothing of what the server sends until its request is out, so the server's tickets do not fit.
    run(async {
        let (server, client) = duplex(300);
        let connector = connector();
        let client = async {
            let mut client = connector.connect("localhost", client).await.unwrap();
            client.write_all(&[5; 10_000]).await.unwrap();
            client.flush().await.unwrap();
            client.read_u8().await.unwrap()
        };
        let server = async {
            let mut server = acceptor().accept(server).await.unwrap();
            let mut request = vec![0; 10_000];
            server.read_exact(&mut request).await.unwrap();
            server.write_u8(9).await.unwrap();
            server.flush().await.unwrap();
            server
        };
        let (answer, _) = futures::future::join(client, server).await;
        assert_eq!(answer, 9);
    });
}

#[test]
fn a_name_that_is_none_is_refused() {
    run(async {
        for name in ["", "a b", "-.example", "http://example.com", "[::1]"] {
            let (client, _server) = duplex(64);
            let failed = connector().connect(name, client).await.unwrap_err();
            assert!(
                matches!(failed.error(), TlsError::InvalidName(wrong) if wrong == name),
                "{failed}"
            );
        }
    });
}
