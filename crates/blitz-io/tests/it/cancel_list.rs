//! Every async method of this crate is dropped at its polls in a test: whoever adds one is told to write that.

use std::collections::BTreeSet;

use crate::async_methods::async_methods;

/// The tests that drop what they wait for at any of its polls.
const DROPS: &[&str] = &[
    include_str!("net_cancel/connections.rs"),
    include_str!("net_cancel/datagrams.rs"),
    include_str!("net_cancel/descriptors.rs"),
    include_str!("net_cancel/streams.rs"),
    include_str!("net_cancel/transfers.rs"),
    include_str!("fs_cancel.rs"),
    include_str!("cancel_waits.rs"),
    include_str!("pool/cancel.rs"),
    include_str!("pool/life.rs"),
    include_str!("pool/places.rs"),
    include_str!("cpu/rows.rs"),
    include_str!("stream/wrappers.rs"),
];

/// What is dropped under another name, or has nothing to lose.
const ELSEWHERE: &[(&str, &str)] = &[
    ("cpu/compute Caught", "cpu::calls: storms of cancellations"),
    ("cpu/compute Compute", "cpu::calls: storms of cancellations"),
    (
        "cpu/parallel_map ParallelMap",
        "cpu::rows: `parallel_map`, dropped",
    ),
    ("net/addr Resolving", "the future of `resolve` and its kin"),
    (
        "net/unix/pipe $waits",
        "net_cancel::streams: `readable` and `writable` of a pipe",
    ),
    (
        "pool/lease revoked",
        "awaits a `CancellationToken`: blitz-sync's table",
    ),
    (
        "runtime/dump/by_hand Root",
        "hands on the polls of another future",
    ),
    ("runtime/dump/collect dump", "asks, and takes nothing"),
    (
        "stream/futures Collect",
        "what was collected goes with it, as documented",
    ),
    (
        "stream/futures Fold",
        "what was folded goes with it, as documented",
    ),
    (
        "stream/futures Next",
        "stream::wrappers: `next`, dropped; it holds nothing",
    ),
    ("stream/futures Peek", "as `Next`"),
    ("stream/futures TryNext", "as `Next`"),
    (
        "stream/map next_many",
        "takes only what it gives, in the same poll",
    ),
    ("task/coop Coop", "hands on the polls of another future"),
    (
        "task/coop Unconstrained",
        "hands on the polls of another future",
    ),
    ("task/coop consume_budget", "takes nothing"),
    (
        "task/local_key TaskLocalFuture",
        "hands on the polls of another future",
    ),
    (
        "task/local_set LocalSet",
        "its tasks stay in it until it is dropped itself",
    ),
    (
        "task/local_set run_until",
        "the tasks stay in the set; the future is the caller's",
    ),
    (
        "task/scope scope",
        "task: a dropped scope aborts its tasks, as documented",
    ),
    ("time/clock advance", "moves the clock in its first poll"),
    ("time/sleep Sleep", "cancel_waits: `sleep_until`, dropped"),
    ("time/timeout Timeout", "cancel_waits: `timeout`, dropped"),
];

/// Whether one of the tests calls `name`.
fn is_dropped(name: &str) -> bool {
    let is_call = |text: &str, at: usize| {
        let before = text[..at].chars().next_back().unwrap_or(' ');
        let after = &text[at + name.len()..];
        !before.is_alphanumeric()
            && before != '_'
            && (after.starts_with('(') || after.starts_with("::<"))
    };
    DROPS
        .iter()
        .any(|text| text.match_indices(name).any(|(at, _)| is_call(text, at)))
}

/// Of methods that several files have, by what each is known in the tests.
const SAME_NAME: &[(&str, &str)] = &[
    ("fs/dirs create", "builder.create("),
    ("fs/file create", "File::create("),
    ("fs/file metadata", "file.metadata("),
    ("fs/file open", "File::open("),
    ("fs/file set_permissions", "file.set_permissions("),
    ("fs/names metadata", "fs::metadata("),
    ("fs/names set_permissions", "fs::set_permissions("),
    ("fs/open_options open", "options.open("),
    ("fs/read_dir metadata", "entry.metadata("),
    ("io/unix/async_fd async_io", "async_io_mut("),
    ("io/unix/async_fd readable", "readable_mut("),
    ("io/unix/async_fd ready", "ready_mut("),
    ("io/unix/async_fd writable", "writable_mut("),
    ("net/datagrams recv", "UnixDatagram::pair()"),
    // The halves hand on to the stream.
    ("net/stream/halves readable", "server.readable("),
    ("net/stream/halves ready", "server.ready("),
    ("net/stream/halves writable", "sender.writable("),
    ("net/tcp/listener accept", "incoming.accept("),
    ("net/tcp/listener bind", "TcpListener::bind(\"localhost"),
    ("net/tcp/socket connect", "socket.connect(addr)"),
    ("net/tcp/split peek", "server.peek("),
    ("net/tcp/stream connect", "TcpStream::connect("),
    ("net/tcp/stream peek", "server.peek("),
    ("net/udp bind", "UdpSocket::bind(\"localhost"),
    ("net/udp connect", "one.connect(\"localhost:9"),
    ("net/udp send_to", "sender.send_to(&bytes, peer)"),
    ("net/udp/peek peek", "receiver.peek("),
    ("net/unix/datagram send_to", "sender.send_to(&bytes, &path)"),
    (
        "net/unix/listener accept",
        "unix_accept_loses_no_connection",
    ),
    ("net/unix/pipe ready", "receiver.ready("),
    ("net/unix/socket connect", "socket.connect(&path)"),
    ("net/unix/stream connect", "UnixStream::connect("),
    ("net/waits async_io", "server.async_io("),
    ("net/waits readable", "server.readable("),
    ("net/waits ready", "server.ready("),
    ("net/waits writable", "sender.writable("),
    ("signal/unix recv", "usr1.recv("),
];

/// A name that stands in two files says nothing of the second one.
#[test]
fn methods_of_the_same_name_are_each_dropped() {
    let Some(found) = async_methods(env!("CARGO_MANIFEST_DIR")) else {
        return;
    };
    let elsewhere = |method: &str| ELSEWHERE.iter().any(|(known, _)| *known == method);
    let name = |method: &str| method.split(' ').next_back().unwrap_or_default().to_owned();
    let all: Vec<_> = found.iter().filter(|method| !elsewhere(method)).collect();
    for method in &all {
        let same = all.iter().filter(|other| name(other) == name(method));
        if same.count() < 2 {
            continue;
        }
        let row = SAME_NAME.iter().find(|(known, _)| known == *method);
        let Some((_, call)) = row else {
            panic!("`{method}` has a namesake: say by which call the tests drop it");
        };
        let is_there = DROPS.iter().any(|text| text.contains(call));
        assert!(is_there, "`{method}`: no test has `{call}`");
    }
    for (known, _) in SAME_NAME {
        assert!(
            found.contains(*known),
            "in the list, and not in the source: {known}"
        );
    }
}

#[test]
fn every_async_method_is_dropped_at_its_polls() {
    let Some(found) = async_methods(env!("CARGO_MANIFEST_DIR")) else {
        return;
    };
    assert!(found.contains("fs/read_dir next_entry") && found.contains("process/child wait"));
    let elsewhere: BTreeSet<String> = ELSEWHERE
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let missing: Vec<_> = found
        .difference(&elsewhere)
        .filter(|method| !is_dropped(method.split(' ').next_back().unwrap_or_default()))
        .collect();
    assert!(missing.is_empty(), "in no test that drops it: {missing:?}");
    let gone: Vec<_> = elsewhere.difference(&found).collect();
    assert!(
        gone.is_empty(),
        "in the list, and not in the source: {gone:?}"
    );
}
