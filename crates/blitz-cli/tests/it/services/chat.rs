//! `chat`: rooms, names, those who are too slow, and the end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;

use super::{GUARD, Service, backends};

/// A client of the chat that reads lines.
struct Client(BufReader<TcpStream>);

impl Client {
    fn enter(service: &Service, name: &str) -> Self {
        let stream = TcpStream::connect(&service.address).expect("the server accepts");
        stream
            .set_read_timeout(Some(GUARD))
            .expect("a socket has one");
        let mut client = Self(BufReader::new(stream));
        assert_eq!(client.line(), "* your name?");
        client.say(name);
        client
    }

    fn say(&mut self, text: &str) {
        let line = format!("{text}\n");
        self.0
            .get_mut()
            .write_all(line.as_bytes())
            .expect("the server reads");
    }

    /// The next line; empty at the end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("the server writes");
        line.trim_end().to_owned()
    }

    #[track_caller]
    fn hears(&mut self, text: &str) {
        assert_eq!(self.line(), text);
    }
}

#[test]
fn chat_has_rooms_and_names_and_an_end() {
    for backend in backends() {
        let mut service = Service::start(backend, "chat", &["--addr", "127.0.0.1:0"]);
        let mut ann = Client::enter(&service, "ann");
        ann.hears("* ann is here");
        let mut taken = Client::enter(&service, "ann");
        taken.hears("* that name is taken");
        taken.hears("");
        let mut bob = Client::enter(&service, "bob");
        bob.hears("* bob is here");
        ann.hears("* bob is here");
        // A character whose bytes come one by one, with a message in between.
        let (first, second) = "é".as_bytes().split_at(1);
        bob.0.get_mut().write_all(first).expect("the server reads");
        ann.say("hello");
        bob.hears("ann: hello");
        ann.hears("ann: hello");
        bob.0.get_mut().write_all(second).expect("the server reads");
        bob.say("");
        ann.hears("bob: é");
        bob.hears("bob: é");
        bob.say("/join kitchen");
        bob.hears("* bob is here");
        ann.hears("* bob has left");
        bob.say("/who");
        bob.hears("* kitchen: bob");
        for unknown in ["/whom", "/join", "/"] {
            bob.say(unknown);
            bob.hears("* there is /join ROOM, /who and /quit");
        }
        bob.say("only here");
        bob.hears("bob: only here");
        ann.say("/quit");
        ann.hears("* goodbye");
        ann.hears("");
        #[cfg(unix)]
        {
            let id = service.child.id().to_string();
            let sent = Command::new("kill").args(["-s", "TERM", &id]).status();
            assert!(sent.expect("kill starts").success());
            bob.hears("* the server closes");
            bob.hears("");
            let mut rest = String::new();
            service.stdout.read_to_string(&mut rest).expect("text");
            assert_eq!(rest, "everybody has left\n");
            assert!(service.child.wait().expect("it ends").success());
        }
    }
}

/// A client that does not read: the server tells it what it has missed, or sends it away, and nobody else waits for it.
#[test]
fn chat_does_not_wait_for_who_is_too_slow() {
    for backend in backends() {
        for (policy, told) in [
            ("skip", "* you have missed "),
            ("leave", "* you are too slow"),
        ] {
            let words = [
                "--addr",
                "127.0.0.1:0",
                "--backlog",
                "4",
                "--slow",
                policy,
                "--patience",
                "600",
            ];
            let service = Service::start(backend, "chat", &words);
            let mut slow = Client::enter(&service, "slow");
            slow.hears("* slow is here");
            let mut fast = Client::enter(&service, "fast");
            fast.hears("* fast is here");
            // More than all the buffers between them hold. Each is heard before the next is said.
            let text = "x".repeat(3000);
            for _ in 0..6000 {
                fast.say(&text);
                assert!(fast.line().starts_with("fast: x"));
            }
            drop(fast);
            let mut line = slow.line();
            while !line.is_empty() && !line.starts_with(told) {
                line = slow.line();
            }
            assert!(!line.is_empty(), "{policy}: nothing was told");
        }
    }
}

#[test]
fn chat_refuses_a_line_without_end() {
    for backend in backends() {
        let service = Service::start(backend, "chat", &["--addr", "127.0.0.1:0"]);
        let mut client = Client::enter(&service, "long");
        client.hears("* long is here");
        // The server may close before it has read all of it.
        let _ = client.0.get_mut().write_all(&[b'x'; 20_000]);
        client.hears("* the line is too long");
        let mut rest = Vec::new();
        // A reset ends it as well.
        let _ = client.0.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }
}
