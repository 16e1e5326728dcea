//! What a session promises to who reads and writes it.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::Poll;

use blitz_io::io::{
    AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter, copy_bidirectional,
    duplex, split,
};
use blitz_tls::TlsError;

use crate::made::{acceptor, connector, connector_12, meet, pair, pair_by, run};
use crate::tap::{Plan, Tap};

/// More than any buffer on the way.
fn much() -> Vec<u8> {
    (0..600_000_u32).map(|n| (n % 251) as u8).collect()
}

#[test]
fn bytes_come_out_as_they_went_in() {
    for capacity in [1, 100, 4096, 1 << 20] {
        run(async {
            let (mut server, mut client) = pair(capacity).await;
            let sent = if capacity == 1 { vec![7; 3000] } else { much() };
            let (written, read) = futures::future::join(
                async {
                    client.write_all(&sent).await?;
                    client.shutdown().await
                },
                async {
                    let mut all = Vec::new();
                    server.read_to_end(&mut all).await.map(|_| all)
                },
            )
            .await;
            written.unwrap();
            assert!(read.unwrap() == sent, "{capacity}");
        });
    }
}

#[test]
fn both_directions_at_once_through_a_narrow_pipe() {
    for step in [13, 5000] {
        run(async {
            let (server, client) = duplex(997);
            let plan = Plan {
                step,
                stalls: true,
                ..Plan::OPEN
            };
            let (server, client) = (Tap::new(server, plan), Tap::new(client, plan));
            let (server, client) = meet(&acceptor(), &connector(), server, client).await;
            let sent = &much()[..100_000];
            let one = |stream| async move {
                let (mut reading, mut writing) = split(stream);
                let (written, read) = futures::future::join(
                    async {
                        writing.write_all(sent).await?;
                        writing.shutdown().await
                    },
                    async {
                        let mut all = Vec::new();
                        reading.read_to_end(&mut all).await.map(|_| all)
                    },
                )
                .await;
                written.unwrap();
                assert!(read.unwrap() == sent);
            };
            futures::future::join(one(server.unwrap()), one(client.unwrap())).await;
        });
    }
}

#[test]
fn halves_in_two_tasks_do_not_lose_a_wake() {
    run(async {
        let (server, client) = pair(64).await;
        let sent = much()[..60_000].to_vec();
        let echo = blitz_io::spawn(async move {
            let (mut reading, mut writing) = split(server);
            let count = blitz_io::io::copy(&mut reading, &mut writing).await?;
            writing.shutdown().await?;
            std::io::Result::Ok(count)
        });
        let (mut reading, mut writing) = split(client);
        let bytes = sent.clone();
        let writer = blitz_io::spawn(async move {
            for part in bytes.chunks(777) {
                writing.write_all(part).await?;
            }
            writing.shutdown().await
        });
        let mut all = Vec::new();
        reading.read_to_end(&mut all).await.unwrap();
        assert!(all == sent);
        writer.await.unwrap().unwrap();
        assert_eq!(echo.await.unwrap().unwrap(), sent.len() as u64);
    });
}

#[test]
fn a_request_that_is_followed_by_the_end_is_answered() {
    for connector in [connector(), connector_12()] {
        run(async {
            let (mut server, mut client) = pair_by(&acceptor(), &connector, 1 << 16).await;
            client.write_all(b"how are you?").await.unwrap();
            client.shutdown().await.unwrap();
            let mut request = String::new();
            server.read_to_string(&mut request).await.unwrap();
            assert_eq!(request, "how are you?");
            server.write_all(b"well").await.unwrap();
            server.shutdown().await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, "well");
        });
    }
}

#[test]
fn a_cut_is_told_from_an_end() {
    for connector in [connector(), connector_12()] {
        run(async {
            let (mut server, mut client) = pair_by(&acceptor(), &connector, 1 << 16).await;
            client.write_all(b"all that ").await.unwrap();
            client.flush().await.unwrap();
            // An attacker can do this, and so can a crash.
            client.get_mut().shutdown().await.unwrap();
            let mut all = Vec::new();
            let error = server.read_to_end(&mut all).await.unwrap_err();
            assert_eq!(all, b"all that ");
            for error in [error, server.read_u8().await.unwrap_err()] {
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
                assert!(matches!(TlsError::of(&error), Some(TlsError::Truncated)));
            }
            // The other direction is not cut.
            server.write_all(b"!").await.unwrap();
            server.flush().await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'!');
        });
    }
}

#[test]
fn an_end_stays_the_end() {
    run(async {
        let (mut server, mut client) = pair(1 << 16).await;
        client.shutdown().await.unwrap();
        client.shutdown().await.unwrap();
        // What follows close_notify is ignored, whatever it is.
        client.get_mut().write_all(b"garbage").await.unwrap_err();
        for _ in 0..3 {
            assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        }
        let error = client.write_all(b"more").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        drop(client);
        // Nobody is there to hear it, and the peer has said its last word: no error.
        server.shutdown().await.unwrap();
    });
}

#[test]
fn what_is_not_a_record_ends_the_session() {
    run(async {
        let (mut server, mut client) = pair(1 << 16).await;
        client.write_all(b"before").await.unwrap();
        client.flush().await.unwrap();
        // A record of application data that nobody encrypted.
        let forged = [&[0x17, 3, 3, 0, 32][..], &[9; 32]].concat();
        client.get_mut().write_all(&forged).await.unwrap();
        let mut word = [0; 6];
        server.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"before");
        for _ in 0..2 {
            let error = server.read_u8().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert!(matches!(TlsError::of(&error), Some(TlsError::Protocol(_))));
        }
        assert_eq!(
            server.write_all(b"after").await.unwrap_err().kind(),
            ErrorKind::InvalidData
        );
        // It has told the peer.
        let error = client.read_u8().await.unwrap_err();
        assert!(
            matches!(TlsError::of(&error), Some(TlsError::Refused(_))),
            "{error}"
        );
    });
}

#[test]
fn what_waits_is_bounded_on_both_sides() {
    run(async {
        let (server, client) = duplex(1024);
        let (server, client) = (Tap::new(server, Plan::OPEN), Tap::new(client, Plan::OPEN));
        let counts = server.counts.clone();
        let (server, client) = meet(&acceptor(), &connector(), server, client).await;
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        // Nobody reads: after one write the next is told to wait.
        let data = vec![1; 1 << 20];
        let mut taken = 0;
        poll_fn(|cx| {
            while let Poll::Ready(count) = Pin::new(&mut client).poll_write(cx, &data) {
                taken += count.unwrap();
            }
            Poll::Ready(())
        })
        .await;
        assert!((1..=64 * 1024).contains(&taken), "{taken}");
        // And who reads a byte at a time does not draw in more than two records.
        let (mut writing, before) = (Box::pin(client.write_all(&data)), counts.read());
        let mut most = 0;
        for got in 1..5000 {
            let read = async { server.read_u8().await.unwrap() };
            futures::future::select(Box::pin(read), &mut writing).await;
            most = most.max((counts.read() - before).saturating_sub(got));
        }
        assert!(most <= 3 * 16 * 1024, "{most}");
    });
}

#[test]
fn a_read_that_waits_sends_what_a_write_left_behind() {
    run(async {
        let (mut server, mut client) = pair(100).await;
        let echo = async {
            let mut word = vec![0; 5000];
            server.read_exact(&mut word).await.unwrap();
            server.write_all(b"thanks").await.unwrap();
            // No flush: what does not fit goes out with the next read.
            assert_eq!(server.read(&mut word).await.unwrap(), 0);
        };
        let ask = async {
            client.write_all(&[3; 5000]).await.unwrap();
            let mut word = [0; 6];
            client.read_exact(&mut word).await.unwrap();
            assert_eq!(&word, b"thanks");
            client.shutdown().await.unwrap();
        };
        futures::future::join(echo, ask).await;
    });
}

#[test]
fn slices_become_one_record() {
    run(async {
        let (server, client) = duplex(1 << 16);
        let client = Tap::new(client, Plan::OPEN);
        let counts = client.counts.clone();
        let (server, client) = meet(&acceptor(), &connector(), server, client).await;
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        assert!(client.is_write_vectored());
        let before = counts.written();
        let slices = [&b"one "[..], b"", b"two ", b"three"].map(IoSlice::new);
        assert_eq!(client.write_vectored(&slices).await.unwrap(), 13);
        client.flush().await.unwrap();
        // A header of 5 bytes, a tag of 16 and the inner type.
        assert_eq!(counts.written() - before, 13 + 22);
        let mut all = [0; 13];
        server.read_exact(&mut all).await.unwrap();
        assert_eq!(&all, b"one two three");
        assert_eq!(client.write(b"").await.unwrap(), 0);
        assert_eq!(client.write_vectored(&[]).await.unwrap(), 0);
    });
}

#[test]
fn lines_are_read_where_they_were_decrypted() {
    run(async {
        let (mut server, mut client) = pair(1 << 16).await;
        client.write_all(b"one\ntw").await.unwrap();
        client.write_all(b"o\nthree").await.unwrap();
        client.shutdown().await.unwrap();
        let mut line = String::new();
        for expected in ["one\n", "two\n", "three", ""] {
            line.clear();
            server.read_line(&mut line).await.unwrap();
            assert_eq!(line, expected);
        }
    });
}

#[test]
fn a_buffered_stream_below_is_flushed() {
    run(async {
        let (server, client) = duplex(1 << 16);
        let (server, client) = (
            blitz_io::io::BufStream::new(server),
            blitz_io::io::BufStream::new(client),
        );
        let (server, client) = meet(&acceptor(), &connector(), server, client).await;
        let (mut server, mut client) = (server.unwrap(), BufWriter::new(client.unwrap()));
        client.write_all(b"word").await.unwrap();
        client.flush().await.unwrap();
        let mut word = [0; 4];
        server.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"word");
    });
}

#[test]
fn a_session_goes_through_a_session() {
    run(async {
        let (server, client) = pair(4096).await;
        let (server, client) = meet(&acceptor(), &connector(), server, client).await;
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        let (mut here, mut there) = duplex(64);
        let relay =
            blitz_io::spawn(async move { copy_bidirectional(&mut there, &mut server).await });
        client.write_all(b"through").await.unwrap();
        client.shutdown().await.unwrap();
        let mut word = String::new();
        here.read_to_string(&mut word).await.unwrap();
        assert_eq!(word, "through");
        drop(here);
        relay.await.unwrap().unwrap();
    });
}

#[test]
fn a_session_tells_about_itself() {
    run(async {
        let (server, client) = pair(4096).await;
        use blitz_tls::rustls::{NamedGroup, ProtocolVersion};
        for stream in [&server, &client] {
            assert_eq!(stream.protocol_version(), Some(ProtocolVersion::TLSv1_3));
            assert_eq!(stream.key_exchange(), Some(NamedGroup::X25519MLKEM768));
            assert!(stream.cipher_suite().is_some());
            assert_eq!(stream.alpn_protocol(), None);
            assert!(!stream.is_resumed());
        }
        assert_eq!(server.server_name(), Some("localhost"));
        assert_eq!(client.server_name(), None);
        assert!(server.peer_certificates().is_none());
        assert_eq!(client.peer_certificates().unwrap().len(), 1);
        let export = |stream: &blitz_tls::TlsStream<_>| {
            stream
                .export_keying_material([0; 32], b"EXPORTER-test", None)
                .unwrap()
        };
        assert_eq!(export(&server), export(&client));
        assert!(format!("{server:?}").contains("TLSv1_3"));
    });
}

#[test]
fn streams_are_send_and_unpin() {
    fn is<T: Send + Sync + Unpin + 'static>() {}
    is::<blitz_tls::TlsStream<blitz_io::net::TcpStream>>();
    is::<blitz_tls::TlsAcceptor>();
    is::<blitz_tls::TlsConnector>();
    is::<blitz_tls::CertificateStore>();
    is::<blitz_tls::Handshake<blitz_io::net::TcpStream>>();
    is::<blitz_tls::TlsError>();
}
