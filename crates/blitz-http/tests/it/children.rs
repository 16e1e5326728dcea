//! What only a process of its own can have: few descriptors, and sockets from whoever started it. The tests run this binary again, for one
//! test, in a shell that sees to that.
#![cfg(unix)]

use crate::backends::{Flavor, GUARD, each_case, patient};
use crate::harness::without_date;
use blitz_http::{Listener, Router, Server, now};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::TcpStream;
use blitz_io::time::timeout;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Set for a child.
const CHILD: &str = "BLITZ_HTTP_CHILD";

fn router() -> Router {
    Router::new().get("/", now(|_| "hello"))
}

/// Runs the test `name` of this binary behind `before`, which is the shell's.
/// `BLITZ_TEST_RUNNER` names what starts it where the machine cannot by itself.
fn again(name: &str, before: &str, stdin: Stdio) {
    let own = std::env::current_exe().expect("this binary");
    let output = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!(
            "{before} exec $BLITZ_TEST_RUNNER \"$0\" --exact {name} --nocapture --test-threads 1"
        ))
        .arg(own)
        .env(CHILD, "1")
        .stdin(stdin)
        .output()
        .expect("a shell");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && out.contains("1 passed"),
        "{out}\n{err}"
    );
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

#[test]
fn a_server_without_descriptors_goes_on_when_it_has_some() {
    if !is_child() {
        let name = "children::a_server_without_descriptors_goes_on_when_it_has_some";
        return again(name, "ulimit -n 60 &&", Stdio::null());
    }
    each_case(&[Flavor::MultiThread], |case| {
        case.runtime().block_on(async {
            let test = async {
                let server = Server::bind("127.0.0.1:0").await.expect("a port");
                let server = server.config(without_date());
                let (addr, handle) = (server.local_addrs()[0], server.handle());
                let serving = blitz_io::spawn(server.serve(router()));
                // Both ends are of this process, so that few connections have all descriptors.
                let mut clients = Vec::new();
                while let Ok(client) = TcpStream::connect(addr).await {
                    clients.push(client);
                    assert!(clients.len() < 60, "there is a limit");
                }
                // One to be accepted for certain, where the last that was connected took the last descriptor.
                while handle.counters().accept_errors() == 0 {
                    blitz_io::task::yield_now().await;
                }
                let errors = handle.counters().accept_errors();
                let all = clients.len() as u64;
                // They came back.
                clients.truncate(3);
                for client in &mut clients {
                    client
                        .write_all(b"GET / HTTP/1.0\r\n\r\n")
                        .await
                        .expect("sent");
                    let mut answer = String::new();
                    client.read_to_string(&mut answer).await.expect("an answer");
                    assert!(answer.ends_with("hello"), "{answer}");
                }
                // Those that had gone before they were accepted have descriptors for a moment, too.
                while handle.counters().connections() < all || handle.open() > 0 {
                    blitz_io::task::yield_now().await;
                }
                let mut late = TcpStream::connect(addr).await.expect("connected");
                late.write_all(b"GET / HTTP/1.0\r\n\r\n")
                    .await
                    .expect("sent");
                let mut answer = String::new();
                late.read_to_string(&mut answer).await.expect("an answer");
                assert!(answer.ends_with("hello"), "{answer}");
                // It waits longer each time, and does not ask as fast as it can.
                let after = handle.counters().accept_errors();
                assert!(after < errors + 100, "{errors} and then {after}");
                handle.shut_down(Duration::from_secs(30));
                serving.await.expect("no panic");
            };
            timeout(patient(GUARD), test).await.expect("in time");
        });
    });
}

#[test]
fn sockets_come_from_whoever_started_us() {
    if !is_child() {
        let name = "children::sockets_come_from_whoever_started_us";
        // The manager has bound it, and its number is 3.
        let bound = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let before = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web; \
                      export LISTEN_PID LISTEN_FDS LISTEN_FDNAMES;";
        return again(name, before, Stdio::from(std::os::fd::OwnedFd::from(bound)));
    }
    // There is one, and so one back end has it.
    let backend = crate::backends::backends()[0];
    let case = crate::backends::Case {
        backend,
        flavor: Flavor::MultiThread,
    };
    case.runtime().block_on(async {
        let test = async {
            let mut passed = Listener::from_env().expect("what is true");
            if passed.is_empty() && !std::path::Path::new("/proc/self/fd").exists() {
                println!("skipped: nobody passes sockets on here");
                return;
            }
            assert_eq!(passed.len(), 1);
            let (name, listener) = passed.remove(0);
            assert_eq!(name, "web");
            assert!(Listener::from_env().expect("nothing is left").is_empty());
            let server = Server::new().listen(listener).config(without_date());
            let (addr, handle) = (server.local_addrs()[0], server.handle());
            let serving = blitz_io::spawn(server.serve(router()));
            let mut client = TcpStream::connect(addr).await.expect("connected");
            client
                .write_all(b"GET / HTTP/1.0\r\n\r\n")
                .await
                .expect("sent");
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.expect("an answer");
            assert!(answer.ends_with("hello"), "{answer}");
            handle.shut_down(Duration::from_secs(30));
            serving.await.expect("no panic");
        };
        timeout(patient(GUARD), test).await.expect("in time");
    });
}
