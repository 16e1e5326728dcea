//! `tunnel`: a port, and a device where one may be made.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Command, Stdio};

use super::{GUARD, Service, backends, command};

#[test]
fn tunnel_carries_the_datagrams_of_many_senders_and_their_answers() {
    for backend in backends() {
        let target = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let to = target.local_addr().expect("it has one").to_string();
        let leave = Service::start(
            backend,
            "tunnel",
            &["leave", "--listen", "127.0.0.1:0", "--to", &to],
        );
        let enter = Service::start(
            backend,
            "tunnel",
            &["enter", "--listen", "127.0.0.1:0", "--peer", &leave.address],
        );
        target
            .set_read_timeout(Some(GUARD))
            .expect("a socket has one");
        // Answers with what it got, turned around.
        let answering = std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            for _ in 0..40 {
                let (len, from) = target.recv_from(&mut buffer).expect("it comes");
                buffer[..len].reverse();
                target.send_to(&buffer[..len], from).expect("the way back");
            }
        });
        let senders: Vec<_> = (0..4u8)
            .map(|sender| {
                let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
                socket.connect(&enter.address).expect("an address");
                socket
                    .set_read_timeout(Some(GUARD))
                    .expect("a socket has one");
                (sender, socket)
            })
            .collect();
        for round in 0..10u8 {
            for (sender, socket) in &senders {
                let mut datagram = vec![*sender; usize::from(round) * 1000];
                datagram.push(round);
                socket.send(&datagram).expect("there is room");
                let mut answer = vec![0; 65_536];
                let len = socket.recv(&mut answer).expect("the answer comes");
                datagram.reverse();
                assert!(answer[..len] == datagram, "{sender} in round {round}");
            }
        }
        answering.join().expect("it was answered");
    }
}

#[test]
fn tunnel_says_why_there_is_no_device() {
    let name = "a-name-far-too-long";
    let words = [
        "tun",
        "--listen",
        "127.0.0.1:0",
        "--peer",
        "127.0.0.1:9",
        "--device",
        name,
    ];
    let output = command("epoll", "tunnel", &words)
        .output()
        .expect("it starts");
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains(name), "{error}");
    if std::path::Path::new("/proc/self").exists() {
        assert!(error.contains("1 to 15 bytes"), "{error}");
    }
}

/// In a network of its own, where anybody may make a device: what goes there comes to the peer, and an answer comes back.
#[cfg(unix)]
#[test]
fn tunnel_carries_packets_of_a_device() {
    let exe = std::env::current_exe().expect("this test has a file");
    let can = |words: &[&str]| {
        let done = Command::new("unshare")
            .args(words)
            .stdin(Stdio::null())
            .output();
        done.is_ok_and(|output| output.status.success())
    };
    if !can(&["-rn", "ip", "link"]) {
        eprintln!(
            "not tested: this machine lets nobody have a network of one's own, or has no `ip`"
        );
        return;
    }
    let output = Command::new("unshare")
        .arg("-rn")
        .arg(exe)
        .args([
            "--exact",
            "services::tunnel::device_inside",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .expect("it has just started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{said}",
        String::from_utf8_lossy(&output.stdout)
    );
    eprint!("{said}");
}

#[cfg(unix)]
#[test]
#[ignore = "makes a device: run in a network of its own by `tunnel_carries_packets_of_a_device`"]
fn device_inside() {
    let ip = |words: &[&str]| {
        let done = Command::new("ip").args(words).status().expect("it starts");
        assert!(done.success(), "ip {words:?}");
    };
    ip(&["link", "set", "lo", "up"]);
    for backend in backends() {
        let peer = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        peer.set_read_timeout(Some(GUARD))
            .expect("a socket has one");
        let to = peer.local_addr().expect("it has one").to_string();
        let words = [
            "tun",
            "--listen",
            "127.0.0.1:0",
            "--peer",
            &to,
            "--device",
            "blitz0",
        ];
        let tried = command(backend, "tunnel", &words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = tried.expect("it starts");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        stdout
            .read_line(&mut line)
            .expect("it says a line, or ends");
        if line.is_empty() {
            let output = child.wait_with_output().expect("it has ended");
            eprintln!("not tested: {}", String::from_utf8_lossy(&output.stderr));
            return;
        }
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .expect("where it listens")
            .to_owned();
        let _service = Service {
            child,
            stdout,
            address: address.clone(),
        };
        ip(&["addr", "add", "10.9.0.1/30", "dev", "blitz0"]);
        ip(&["link", "set", "blitz0", "up"]);
        let socket = UdpSocket::bind("10.9.0.1:0").expect("the device's address");
        socket
            .set_read_timeout(Some(GUARD))
            .expect("a socket has one");
        for round in 0..20u8 {
            let text = [round; 100];
            socket
                .send_to(&text, "10.9.0.2:7")
                .expect("the device is up");
            let mut packet = [0; 2000];
            let len = loop {
                let (len, from) = peer.recv_from(&mut packet).expect("it comes");
                assert_eq!(from.to_string(), address);
                // A device that is new has packets of version 6 of its own.
                if packet[0] >> 4 == 4 {
                    break len;
                }
            };
            let packet = &mut packet[..len];
            assert_eq!(
                (&packet[12..16], &packet[16..20]),
                (&[10, 9, 0, 1][..], &[10, 9, 0, 2][..])
            );
            assert_eq!(packet[28..], text);
            // Both addresses and both ports change places, which changes no checksum.
            let (sources, targets) = packet[12..20].split_at_mut(4);
            sources.swap_with_slice(targets);
            let (sources, targets) = packet[20..24].split_at_mut(2);
            sources.swap_with_slice(targets);
            peer.send_to(packet, &address).expect("the way back");
            let mut back = [0; 200];
            let (len, from) = socket.recv_from(&mut back).expect("the answer comes");
            assert_eq!(
                (&back[..len], from.to_string()),
                (&text[..], "10.9.0.2:7".to_owned())
            );
        }
    }
}
