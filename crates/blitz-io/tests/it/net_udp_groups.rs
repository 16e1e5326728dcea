//! UDP to many at once: broadcast and groups.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr};

use blitz_io::net::UdpSocket;

use crate::harness::{on_every, run};
use crate::net_udp::socket;

#[test]
fn a_broadcast_needs_leave() {
    on_every(|runtime| {
        run(runtime, async {
            let (socket, _) = socket().await;
            let error = socket
                .send_to(b"all", "127.255.255.255:9")
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            let receiver = UdpSocket::bind("0.0.0.0:0").await.unwrap();
            let port = receiver.local_addr().unwrap().port();
            socket.set_broadcast(true).unwrap();
            let all = (Ipv4Addr::new(127, 255, 255, 255), port);
            socket.send_to(b"all", all).await.unwrap();
            assert_eq!(receiver.recv(&mut [0; 8]).await.unwrap(), 3);
        });
    });
}

#[test]
fn groups_of_v4_are_joined_and_left() {
    on_every(|runtime| {
        run(runtime, async {
            let group = Ipv4Addr::new(239, 255, 77, 1);
            let receiver = UdpSocket::bind("0.0.0.0:0").await.unwrap();
            let port = receiver.local_addr().unwrap().port();
            receiver
                .join_multicast_v4(group, Ipv4Addr::LOCALHOST)
                .unwrap();
            let (sender, _) = socket().await;
            sender.set_multicast_if_v4(Ipv4Addr::LOCALHOST).unwrap();
            sender.send_to(b"group", (group, port)).await.unwrap();
            assert_eq!(receiver.recv(&mut [0; 8]).await.unwrap(), 5);
            assert!(
                receiver
                    .join_multicast_v4(group, Ipv4Addr::LOCALHOST)
                    .is_err(),
                "joined twice"
            );
            receiver
                .leave_multicast_v4(group, Ipv4Addr::LOCALHOST)
                .unwrap();
            assert!(
                receiver
                    .leave_multicast_v4(group, Ipv4Addr::LOCALHOST)
                    .is_err(),
                "left twice"
            );
        });
    });
}

#[test]
fn groups_of_v6_are_joined_and_left() {
    on_every(|runtime| {
        run(runtime, async {
            let Ok(receiver) = UdpSocket::bind("[::]:0").await else {
                return; // This machine has no IPv6.
            };
            // Of this interface alone: the loopback's index is 1 on every Linux.
            let group = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0x77, 1);
            if receiver.join_multicast_v6(&group, 1).is_err() {
                return;
            }
            let port = receiver.local_addr().unwrap().port();
            let sender = UdpSocket::bind("[::1]:0").await.unwrap();
            sender.set_multicast_if_v6(1).unwrap();
            assert_eq!(sender.multicast_if_v6().unwrap(), 1);
            if sender.send_to(b"group", (group, port)).await.is_ok() {
                assert_eq!(receiver.recv(&mut [0; 8]).await.unwrap(), 5);
            }
            receiver.leave_multicast_v6(&group, 1).unwrap();
        });
    });
}
