//! Facts of machines that are not at hand.

use blitz_sys::cpu::Quota;
use blitz_sys::machine::{ClockFacts, Kernel};

use super::super::plan::Drivers;
use super::*;

const FREE: Limit = Limit {
    soft: None,
    hard: None,
};

fn limit(soft: u64, hard: u64) -> Option<Limit> {
    Some(Limit {
        soft: Some(soft),
        hard: Some(hard),
    })
}

/// A machine on which nothing is missing.
fn healthy() -> Facts {
    let call = |name| Call {
        name,
        refused: None,
    };
    Facts {
        kernel: Some(Kernel {
            system: "Linux".to_owned(),
            release: "6.12.1".to_owned(),
            machine: "x86_64".to_owned(),
        }),
        seccomp: Some(Seccomp::Off),
        filters: Some(0),
        may_lock_memory: Some(false),
        rings_disabled: Some(0),
        calls: vec![
            call("io_uring_setup"),
            call("io_uring_enter"),
            call("io_uring_register"),
        ],
        trial: Trial::Works {
            operations: vec!["NOP", "READ"],
            unnamed: 3,
        },
        locked_memory: Some(FREE),
        open_files: Some(FREE),
        online: Some(8),
        allowed: Some(8),
        quota: None,
        clock: ClockFacts {
            source: Some("tsc".to_owned()),
            resolution_ns: Some(1),
            timer_slack_ns: Some(50_000),
        },
        readiness: Ok(()),
        driver_variable: None,
        workers_variable: None,
    }
}

fn on(backend: Backend, reason: &str, ring: Option<(u32, u32)>) -> Plan {
    let drivers = Drivers {
        workers: 8,
        backends: vec![(backend, 8, reason.to_owned())],
        ring,
        features: vec![("no iowait", true, "idle is idle")],
    };
    Plan {
        multi_thread: Ok(drivers.clone()),
        thread_per_core: Ok(drivers),
    }
}

fn ringed() -> Plan {
    on(Backend::IoUring, "the kernel allows it", Some((256, 4096)))
}

fn refuse(facts: &mut Facts, names: &[&str], code: i32) {
    let error = Refused {
        code,
        says: format!("error {code}"),
    };
    for call in &mut facts.calls {
        if names.contains(&call.name) {
            call.refused = Some(error.clone());
        }
    }
    facts.trial = Trial::Fails {
        step: "setting up a ring of 16 entries".to_owned(),
        error,
    };
}

/// The finding about `about` that is graded worst.
fn worst(facts: &Facts, plan: &Plan, about: &str) -> Finding {
    let findings = findings(facts, plan);
    let of = findings
        .into_iter()
        .filter(|finding| finding.about == about);
    of.max_by_key(|finding| finding.grade as u8)
        .expect("it is spoken of")
}

fn says(facts: &Facts, plan: &Plan, about: &str, words: &str) {
    let finding = worst(facts, plan, about);
    let all = format!("{} {}", finding.says, finding.remedy.unwrap_or_default());
    assert!(all.contains(words), "`{words}` in `{all}`");
}

#[test]
fn on_a_healthy_machine_nothing_is_missing() {
    let findings = findings(&healthy(), &ringed());
    assert!(
        findings.iter().all(|finding| finding.grade == Grade::Good),
        "{findings:#?}"
    );
}

#[test]
fn whatever_is_missing_comes_with_a_remedy() {
    let mut facts = healthy();
    facts.seccomp = Some(Seccomp::Filter);
    facts.locked_memory = limit(0, 0);
    facts.open_files = limit(1024, 1024);
    facts.readiness = Err("too many open files".to_owned());
    facts.clock.source = Some("hpet".to_owned());
    refuse(&mut facts, &["io_uring_setup"], EPERM);
    let findings = findings(&facts, &on(Backend::Epoll, "io_uring is not used", None));
    let mut missing = findings
        .iter()
        .filter(|finding| finding.grade == Grade::Missing);
    assert!(missing.clone().count() >= 5, "{findings:#?}");
    assert!(missing.all(|finding| finding.remedy.is_some()));
}

#[test]
fn a_filter_is_told_from_a_switch_a_module_and_an_old_kernel() {
    let epoll = on(Backend::Epoll, "io_uring is not used", None);
    let mut facts = healthy();
    refuse(&mut facts, &["io_uring_setup"], EPERM);
    says(&facts, &epoll, "io_uring", "a security module is");

    facts.rings_disabled = Some(2);
    says(
        &facts,
        &epoll,
        "io_uring",
        "sysctl -w kernel.io_uring_disabled=0",
    );
    facts.rings_disabled = Some(1);
    says(&facts, &epoll, "io_uring", "kernel.io_uring_group");
    facts.rings_disabled = Some(0);

    facts.seccomp = Some(Seccomp::Filter);
    says(
        &facts,
        &epoll,
        "io_uring",
        "does not let io_uring_setup pass",
    );
    let all = ["io_uring_setup", "io_uring_enter", "io_uring_register"];
    refuse(&mut facts, &all, ENOSYS);
    says(
        &facts,
        &epoll,
        "io_uring",
        "io_uring_setup, io_uring_enter and io_uring_register pass",
    );
    says(&facts, &epoll, "seccomp", "are refused");
    // With all three refused the switch cannot be the cause.
    facts.rings_disabled = Some(2);
    says(&facts, &epoll, "io_uring", "seccomp filter");

    let mut old = healthy();
    refuse(&mut old, &all, ENOSYS);
    old.rings_disabled = None;
    says(&old, &epoll, "io_uring", "CONFIG_IO_URING");
}

#[test]
fn a_filter_that_kills_names_the_way_out() {
    let mut facts = healthy();
    facts.seccomp = Some(Seccomp::Filter);
    facts.trial = Trial::Kills;
    let plan = Plan {
        multi_thread: Err("the filter kills".to_owned()),
        thread_per_core: Err("the filter kills".to_owned()),
    };
    says(&facts, &plan, "io_uring", "BLITZ_IO_DRIVER=epoll");
    says(&facts, &plan, "multi_thread", "No runtime can be built");
}

#[test]
fn little_memory_to_lock_matters_unless_one_is_exempt() {
    let mut facts = healthy();
    facts.locked_memory = limit(64 << 10, 64 << 10);
    says(&facts, &ringed(), "memlock", "LimitMEMLOCK=");
    facts.may_lock_memory = Some(true);
    assert_eq!(worst(&facts, &ringed(), "memlock").grade, Grade::Good);
    facts.locked_memory = limit(8 << 20, 8 << 20);
    facts.may_lock_memory = Some(false);
    assert_eq!(worst(&facts, &ringed(), "memlock").grade, Grade::Good);
}

#[test]
fn a_smaller_ring_than_asked_for_is_told() {
    let plan = on(Backend::IoUring, "the kernel allows it", Some((64, 1024)));
    says(
        &healthy(),
        &plan,
        "multi_thread",
        "64 submission and 1024 completion entries, where 256 and 4096",
    );
}

#[test]
fn a_quota_below_one_processor_is_missing_something() {
    let mut facts = healthy();
    let quota = |cpus| {
        Some(Quota {
            cpus,
            version: 2,
            group: "/pod".to_owned(),
        })
    };
    facts.quota = quota(0.5);
    says(&facts, &ringed(), "processors", "a whole processor");
    facts.quota = quota(1.5);
    facts.allowed = Some(4);
    says(&facts, &ringed(), "processors", "may run on 4 of them");
    says(
        &facts,
        &ringed(),
        "processors",
        "allows the time of 1.5 processors",
    );
    assert_eq!(worst(&facts, &ringed(), "processors").grade, Grade::Good);
}

#[test]
fn few_descriptors_are_told_with_who_may_raise_them() {
    let mut facts = healthy();
    facts.open_files = limit(1024, 20_000);
    says(&facts, &ringed(), "descriptors", "up to 20000");
    facts.open_files = limit(1024, 1024);
    says(&facts, &ringed(), "descriptors", "LimitNOFILE=");
}
