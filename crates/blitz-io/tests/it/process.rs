//! Child processes: their ends, their pipes, and what becomes of them when nobody waits.

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::path::Path;
use std::pin::{Pin, pin};
use std::process::Stdio;
use std::task::Poll;
use std::time::Instant;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::process::{Child, Command};
use blitz_io::task;

use crate::child;
use crate::harness::{FLAVORS, GUARD, each_case, on_every, patient, run};

/// Polls once, and asserts that it waits.
async fn waits<F: Future>(mut future: Pin<&mut F>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// A child that ends when its standard input does, and writes what comes there.
fn cat() -> Child {
    Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Waits until the process is gone, and no zombie, where one can look.
fn assert_gone(process: u32) {
    let path = format!("/proc/{process}");
    let begun = Instant::now();
    while Path::new("/proc/self").exists() && Path::new(&path).exists() {
        assert!(
            begun.elapsed() < patient(GUARD),
            "process {process} is still there"
        );
        std::thread::yield_now();
    }
}

#[test]
fn statuses_and_outputs() {
    on_every(|runtime| {
        run(runtime, async {
            assert!(Command::new("true").status().await.unwrap().success());
            let status = shell("exit 7").status().await.unwrap();
            assert_eq!(status.code(), Some(7));
            let output = shell("echo out; echo err >&2; exit 3")
                .output()
                .await
                .unwrap();
            assert_eq!(output.status.code(), Some(3));
            assert_eq!(output.stdout, b"out\n");
            assert_eq!(output.stderr, b"err\n");
            // More than a pipe holds, on both.
            let script = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2";
            let output = shell(script).output().await.unwrap();
            assert_eq!(
                (output.stdout.len(), output.stderr.len()),
                (300_000, 300_000)
            );
            let error = Command::new("/no/such/program").spawn().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            let output = shell("echo $NAME-$GONE; pwd")
                .env_clear()
                .envs([("NAME", "one"), ("GONE", "two")])
                .env_remove("GONE")
                .env("PATH", "/usr/bin:/bin")
                .current_dir("/")
                .output()
                .await
                .unwrap();
            assert_eq!(output.stdout, b"one-\n/\n");
        });
    });
}

#[test]
fn bytes_go_there_and_back_and_dropped_waits_lose_nothing() {
    on_every(|runtime| {
        run(runtime, async {
            let mut child = cat();
            let (mut stdin, mut stdout) =
                (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            for round in 0..5_u8 {
                let mut buf = [0; 3];
                {
                    let mut wait = pin!(child.wait());
                    waits(wait.as_mut()).await;
                }
                {
                    let mut read = pin!(stdout.read(&mut buf));
                    waits(read.as_mut()).await;
                }
                stdin.write_all(&[round; 3]).await.unwrap();
                stdout.read_exact(&mut buf).await.unwrap();
                assert_eq!(buf, [round; 3]);
            }
            assert_eq!(child.try_wait().unwrap(), None);
            assert!(child.id().is_some());
            drop(stdin);
            let status = child.wait().await.unwrap();
            assert!(status.success());
            assert_eq!(child.wait().await.unwrap(), status);
            assert_eq!(child.try_wait().unwrap(), Some(status));
            assert_eq!(child.id(), None);
            // Its number may be another's by now: nobody is killed, and that is no error.
            child.start_kill().unwrap();
            child.kill().await.unwrap();
            assert_eq!(stdout.read(&mut [0; 3]).await.unwrap(), 0);
        });
    });
}

#[test]
fn a_wait_closes_the_standard_input() {
    on_every(|runtime| {
        run(runtime, async {
            let mut child = cat();
            assert!(child.wait().await.unwrap().success());
            let output = cat().wait_with_output().await.unwrap();
            assert!(output.status.success() && output.stdout.is_empty());
        });
    });
}

#[test]
fn a_killed_child_says_so_and_its_pipe_is_broken() {
    on_every(|runtime| {
        run(runtime, async {
            let mut child = cat();
            let mut stdin = child.stdin.take().unwrap();
            child.kill().await.unwrap();
            let status = child.wait().await.unwrap();
            assert_eq!(
                std::os::unix::process::ExitStatusExt::signal(&status),
                Some(9)
            );
            let error = loop {
                // A process that another test has just forked may hold the other end for a moment.
                match stdin.write_all(b"anybody?").await {
                    Err(error) => break error,
                    Ok(()) => task::yield_now().await,
                }
            };
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        });
    });
}

#[test]
fn many_children_at_once() {
    on_every(|runtime| {
        run(runtime, async {
            let tasks: Vec<_> = (0..20)
                .map(|code| {
                    task::spawn(async move {
                        let status = shell(&format!("exit {code}")).status().await.unwrap();
                        assert_eq!(status.code(), Some(code));
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
}

#[test]
fn one_child_writes_to_the_next() {
    on_every(|runtime| {
        run(runtime, async {
            let mut first = shell("echo through")
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let pipe: Stdio = first.stdout.take().unwrap().try_into().unwrap();
            let output = Command::new("cat").stdin(pipe).output().await.unwrap();
            assert_eq!(output.stdout, b"through\n");
            assert!(first.wait().await.unwrap().success());
        });
    });
}

#[test]
fn a_dropped_child_is_killed_if_asked_and_reaped_always() {
    on_every(|runtime| {
        run(runtime, async {
            let child = cat();
            let process = child.id().unwrap();
            drop(child);
            assert_gone(process);

            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let (process, stdin) = (child.id().unwrap(), child.stdin.take());
            drop(child);
            // It runs on until its input ends, and is a zombie no longer than that takes.
            if Path::new("/proc/self").exists() {
                let running = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
                assert!(!running.contains(") Z "), "{running}");
            }
            drop(stdin);
            assert_gone(process);

            // One whose wait was dropped.
            let mut command = shell("read line");
            let status = command.stdin(Stdio::piped()).kill_on_drop(true).status();
            drop(status);
        });
    });
}

#[test]
fn a_child_has_a_group_of_its_own_if_asked() {
    on_every(|runtime| {
        run(runtime, async {
            let mut child = Command::new("cat")
                .stdin(Stdio::piped())
                .process_group(0)
                .spawn()
                .unwrap();
            let process = child.id().unwrap();
            if let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) {
                // After the name: state, parent, group.
                let group = stat.rsplit(") ").next().unwrap().split(' ').nth(2).unwrap();
                assert_eq!(group, process.to_string());
            }
            child.wait().await.unwrap();
        });
    });
}

#[test]
fn a_runtime_ends_under_a_wait() {
    each_case(&FLAVORS, |case| {
        let runtime = case.runtime();
        let (send, receive) = std::sync::mpsc::channel();
        run(&runtime, async {
            let mut child = cat();
            let stdin = child.stdin.take();
            send.send(child.id().unwrap()).unwrap();
            task::spawn(async move {
                let _open = stdin;
                child.wait().await
            });
            task::yield_now().await;
        });
        drop(runtime);
        assert_gone(receive.recv().unwrap());
    });
}

#[test]
fn out_of_descriptors_a_child_is_refused() {
    child::run("ulimit -n 100", "process::out_of_descriptors");
}

#[test]
#[ignore = "run by out_of_descriptors_a_child_is_refused, under its limit"]
fn out_of_descriptors() {
    on_every(|runtime| {
        run(runtime, async {
            let mut fillers = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                fillers.push(file);
            }
            let refused = Command::new("true").stdin(Stdio::piped()).spawn();
            assert!(refused.is_err());
            drop(fillers);
            assert!(Command::new("true").status().await.unwrap().success());
        });
    });
}
