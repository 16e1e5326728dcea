//! Standard input and output, in processes of their own.

use std::process::Stdio;
use std::time::Instant;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt, stderr, stdin, stdout};
use blitz_io::process::{Child, Command};
use blitz_io::task;

use crate::child;
use crate::harness::{FLAVORS, GUARD, cases, on_every, patient, run};

/// Starts the ignored test `name` alone, with pipes to it.
pub(crate) fn start(name: &str) -> Child {
    Command::from(child::command("", name))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[test]
fn bytes_pass_in_order_and_a_hanging_read_holds_up_no_shutdown() {
    on_every(|runtime| {
        run(runtime, async {
            let mut child = start("stdio::speaks");
            let mut to = child.stdin.take().unwrap();
            to.write_all(b"question").await.unwrap();
            let output = child.wait_with_output().await.unwrap();
            // Open until then: what the child reads after the question never came.
            drop(to);
            let text = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{text}{errors}");
            assert!(text.contains("(question)\n"), "{text}");
            assert!(text.contains("1 passed"), "{text}");
            assert!(errors.contains("to the other\n"), "{errors}");
        });
    });
}

#[test]
#[ignore = "run by bytes_pass_in_order_and_a_hanging_read_holds_up_no_shutdown"]
fn speaks() {
    let mut is_first = true;
    for case in cases(&FLAVORS) {
        let runtime = case.runtime();
        run(&runtime, async {
            if std::mem::take(&mut is_first) {
                let mut buf = [0; 8];
                stdin().read_exact(&mut buf).await.unwrap();
                stdout().write_all(b"(").await.unwrap();
                stdout().write_all(&buf).await.unwrap();
                stdout().write_all(b")\n").await.unwrap();
                stderr().write_all(b"to the other\n").await.unwrap();
            }
            task::spawn(async { stdin().read(&mut [0; 8]).await });
            task::yield_now().await;
        });
        let begun = Instant::now();
        drop(runtime);
        assert!(begun.elapsed() < patient(GUARD), "{case}");
    }
}
