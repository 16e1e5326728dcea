//! `blitz doctor` on the machine as it is, behind a filter, and with little memory to lock.

use std::process::Command;

use serde_json::Value;

fn doctor(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blitz"));
    command
        .arg("doctor")
        .args(words)
        .env_remove("BLITZ_IO_DRIVER")
        .env_remove("BLITZ_IO_WORKER_THREADS");
    command
}

/// What it prints; it ends with 0 whatever it found.
#[track_caller]
fn output(command: &mut Command) -> String {
    let output = command.output().expect("the command starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", output.status);
    assert!(error.is_empty(), "{error}");
    String::from_utf8(output.stdout).expect("it prints text")
}

#[track_caller]
fn json(command: &mut Command) -> Value {
    let text = output(command);
    assert_eq!(text.lines().count(), 1, "one object on one line");
    serde_json::from_str(&text).expect("it prints JSON")
}

/// The worst grade of what is said about `about`, with all that is said.
#[track_caller]
fn said(report: &Value, about: &str) -> (String, String) {
    let findings = report["findings"].as_array().expect("a list");
    let of = findings.iter().filter(|finding| finding["about"] == about);
    let mut grades = Vec::new();
    let mut text = String::new();
    for finding in of {
        grades.push(finding["grade"].as_str().expect("a word").to_owned());
        text += &format!("{} {} ", finding["says"], finding["remedy"]);
    }
    let worst = ["missing", "note", "good"]
        .into_iter()
        .find(|grade| grades.iter().any(|given| given == grade));
    (
        worst
            .unwrap_or_else(|| panic!("nothing about {about} in {report}"))
            .to_owned(),
        text,
    )
}

#[test]
fn the_report_covers_the_machine_and_the_plan() {
    let text = output(&mut doctor(&[]));
    for word in [
        "This machine",
        "What blitz-io does here",
        "kernel",
        "io_uring",
        "processors",
        "multi_thread",
    ] {
        assert!(text.contains(word), "`{word}` in\n{text}");
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 120),
        "{text}"
    );
}

#[test]
fn the_json_has_its_documented_shape() {
    let report = json(&mut doctor(&["--json"]));
    assert_eq!(report["blitz"], env!("CARGO_PKG_VERSION"));
    let machine = &report["machine"];
    for key in [
        "kernel",
        "io_uring",
        "io_uring_calls",
        "io_uring_disabled",
        "seccomp",
        "epoll",
        "memlock",
        "memlock_exempt",
        "descriptors",
        "processors",
        "clock",
    ] {
        assert!(machine.get(key).is_some(), "{key} in {machine}");
    }
    assert!(
        report["plan"]["multi_thread"]["workers"].as_u64() >= Some(1),
        "{report}"
    );
    let grades = ["good", "note", "missing"];
    for finding in report["findings"].as_array().expect("a list") {
        let grade = finding["grade"].as_str().expect("a word");
        assert!(grades.contains(&grade));
        assert_eq!(
            grade == "missing",
            finding["remedy"].is_string(),
            "{finding}"
        );
    }
}

#[test]
fn what_the_environment_sets_is_what_happens() {
    let report = json(
        doctor(&["--json"])
            .env("BLITZ_IO_DRIVER", "epoll")
            .env("BLITZ_IO_WORKER_THREADS", "3"),
    );
    let plan = &report["plan"]["multi_thread"];
    assert_eq!(plan["workers"], 3);
    assert_eq!(plan["backends"][0]["backend"], "epoll");
    assert!(said(&report, "multi_thread").1.contains("BLITZ_IO_DRIVER"));
    let report = json(doctor(&["--json"]).env("BLITZ_IO_DRIVER", "uring"));
    let (grade, text) = said(&report, "multi_thread");
    assert_eq!(grade, "missing");
    assert!(
        text.contains("uring") && text.contains("unset it"),
        "{text}"
    );
}

#[test]
fn mistakes_are_refused() {
    let output = doctor(&["--jsn"]).output().expect("the command starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--jsn"));
}

#[cfg(target_pointer_width = "64")]
mod behind_less {
    use super::*;
    use crate::confined::{Answer, with_little_memory, without_rings};

    fn behind(answer: Answer) -> Value {
        json(without_rings(&mut doctor(&["--json"]), answer))
    }

    #[test]
    fn a_filter_that_forbids_rings_is_named_with_the_remedy() {
        for errno in [libc::EPERM, libc::ENOSYS] {
            let report = behind(Answer::Errno(errno));
            let (grade, text) = said(&report, "io_uring");
            assert_eq!(grade, "missing", "{text}");
            assert!(text.contains("seccomp"), "{text}");
            assert!(text.contains("--security-opt seccomp="), "{text}");
            assert_eq!(
                report["machine"]["io_uring_calls"]["io_uring_setup"]["passes"],
                false
            );
            assert_eq!(
                report["machine"]["io_uring_calls"]["io_uring_setup"]["refused"]["errno"],
                errno
            );
            assert_eq!(
                report["machine"]["io_uring_calls"]["io_uring_enter"]["passes"],
                true
            );
            assert_eq!(report["machine"]["seccomp"]["mode"], "filter");
            let plan = &report["plan"]["multi_thread"];
            assert_eq!(plan["backends"][0]["backend"], "epoll", "{plan}");
        }
    }

    #[test]
    fn a_filter_that_kills_does_not_kill_the_doctor() {
        let report = behind(Answer::Kill);
        let (grade, text) = said(&report, "io_uring");
        assert_eq!(grade, "missing");
        assert!(
            text.contains("kills") && text.contains("BLITZ_IO_DRIVER=epoll"),
            "{text}"
        );
        assert!(report["plan"]["multi_thread"]["error"].is_string());
        // The way out that it names is one.
        let mut command = doctor(&["--json"]);
        let report =
            json(without_rings(&mut command, Answer::Kill).env("BLITZ_IO_DRIVER", "epoll"));
        assert_eq!(
            report["plan"]["multi_thread"]["backends"][0]["backend"],
            "epoll"
        );
    }

    #[test]
    fn little_memory_to_lock_is_named_with_the_remedy() {
        for bytes in [0, 64 << 10] {
            let report = json(with_little_memory(&mut doctor(&["--json"]), bytes));
            assert_eq!(report["machine"]["memlock"]["soft"], bytes);
            assert_eq!(report["machine"]["memlock_exempt"], false);
            let (grade, text) = said(&report, "memlock");
            assert_eq!(grade, "missing", "{text}");
            assert!(text.contains("LimitMEMLOCK="), "{text}");
            // Whatever the kernel made of it, programs run, and the plan says how.
            let backend = &report["plan"]["multi_thread"]["backends"][0];
            assert!(
                backend["backend"] == "io_uring" || backend["backend"] == "epoll",
                "{report}"
            );
        }
    }
}
