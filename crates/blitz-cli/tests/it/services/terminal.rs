//! `pty`: a terminal for a program, within a pipe and within a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::{backends, command};

#[test]
fn pty_gives_a_program_a_terminal_and_its_exit_code() {
    for backend in backends() {
        let script = "test -t 0 && test -t 1 && echo terminal; stty size; read x; echo \"got $x\"; read y || echo over; exit 7";
        let mut child = command(
            backend,
            "pty",
            &["--size", "101x31", "--", "sh", "-c", script],
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
        let _watch = Watch::begin(child.id());
        let mut input = child.stdin.take().expect("it is piped");
        input.write_all(b"hello\n").expect("it reads");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        for line in ["terminal", "31 101", "got hello", "over"] {
            assert!(text.lines().any(|said| said == line), "{line}: {text}");
        }
        assert_eq!(output.status.code(), Some(7));
        let killed = command(backend, "pty", &["sh", "-c", "kill -TERM $$"])
            .stdin(Stdio::null())
            .status();
        assert_eq!(killed.expect("it ends").code(), Some(128 + 15));
        let missing = command(backend, "pty", &["/no/such/program"])
            .stdin(Stdio::null())
            .output()
            .expect("it ends");
        assert!(!missing.status.success());
        let said = String::from_utf8_lossy(&missing.stdout).into_owned();
        assert!(said.contains("/no/such/program"), "{said}");
    }
}

/// Ends a process that takes too long, until it is dropped: who waits for it goes on, and fails.
struct Watch(Option<(Sender<()>, JoinHandle<()>)>);

impl Watch {
    fn begin(id: u32) -> Self {
        let (done, wait) = channel();
        let thread = std::thread::spawn(move || {
            if wait.recv_timeout(super::GUARD) == Err(RecvTimeoutError::Timeout) {
                eprintln!("not done after {:?}: it hangs", super::GUARD);
                let killed = Command::new("kill")
                    .args(["-s", "KILL", &id.to_string()])
                    .status();
                assert!(killed.is_ok_and(|status| status.success()));
            }
        });
        Self(Some((done, thread)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some((done, thread)) = self.0.take() {
            drop(done);
            // It may have failed to end who has ended.
            let _ = thread.join();
        }
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_col: columns,
        ws_row: rows,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// The terminal that it runs in is one of ours: its size goes on, and what is typed too, key by key.
#[test]
fn pty_passes_on_keys_and_another_size() {
    for backend in backends() {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).expect("it is ours");
        unlockpt(&ours).expect("it is ours");
        let name = ptsname(&ours, Vec::new()).expect("it has one");
        let theirs = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().expect("a path"))
            .expect("its other end");
        tcsetwinsize(&theirs, size(90, 20)).expect("it takes a size");
        // The shell hears of the change between two commands.
        let script = "trap 'echo now $(stty size)' WINCH; stty size; x=; until test -n \"$x\"; do read x; done; echo \"got $x\"; until read y; do :; done; exit 3";
        let mut child = command(backend, "pty", &["sh", "-c", script])
            .stdin(Stdio::from(theirs.try_clone().expect("a second handle")))
            .stdout(Stdio::from(theirs))
            .spawn()
            .expect("it starts");
        let _watch = Watch::begin(child.id());
        let mut ours = File::from(ours);
        let mut said = String::new();
        let mut until = |ours: &mut File, wanted: &str| {
            let mut bytes = [0; 1000];
            while !said.contains(wanted) {
                let len = ours
                    .read(&mut bytes)
                    .unwrap_or_else(|error| panic!("{wanted}: {error}: {said}"));
                said.push_str(&String::from_utf8_lossy(&bytes[..len]));
            }
        };
        until(&mut ours, "20 90");
        tcsetwinsize(&ours, size(91, 21)).expect("it takes a size");
        // We lead no session of that terminal, so nobody but us tells of the change.
        let id = child.id().to_string();
        let told = Command::new("kill").args(["-s", "WINCH", &id]).status();
        assert!(told.expect("kill starts").success());
        ours.write_all(b"a\r").expect("it reads");
        until(&mut ours, "got a");
        until(&mut ours, "now 21 91");
        ours.write_all(b"\r").expect("it reads");
        assert_eq!(child.wait().expect("it ends").code(), Some(3));
    }
}
