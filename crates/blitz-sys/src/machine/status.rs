//! The lines of `/proc/self/status` that tell of a process's freedom.

use super::{Sandbox, Seccomp};

/// The capability to lock memory without a limit, as a bit of the effective set.
const CAP_IPC_LOCK: u64 = 1 << 14;

/// Reads the text of `/proc/self/status`.
pub(super) fn parse(text: &str) -> Sandbox {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.strip_prefix(':')?.trim())
    };
    let seccomp = field("Seccomp").and_then(|mode| match mode {
        "0" => Some(Seccomp::Off),
        "1" => Some(Seccomp::Strict),
        "2" => Some(Seccomp::Filter),
        _ => None,
    });
    let effective = field("CapEff").and_then(|mask| u64::from_str_radix(mask, 16).ok());
    Sandbox {
        seccomp,
        filters: field("Seccomp_filters").and_then(|count| count.parse().ok()),
        may_lock_memory: effective.map(|mask| mask & CAP_IPC_LOCK != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_and_a_shell_are_told_apart() {
        let container = "Name:\tx\nCapEff:\t00000000a80425fb\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        let sandbox = parse(container);
        assert_eq!(sandbox.seccomp, Some(Seccomp::Filter));
        assert_eq!(sandbox.filters, Some(1));
        assert_eq!(sandbox.may_lock_memory, Some(false));
        let root = parse("CapEff:\t000001ffffffffff\nSeccomp:\t0\n");
        assert_eq!(root.seccomp, Some(Seccomp::Off));
        assert_eq!(root.filters, None);
        assert_eq!(root.may_lock_memory, Some(true));
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        assert_eq!(parse(""), Sandbox::default());
        assert_eq!(
            parse("Seccomp:\t9\nCapEff:\tzz\nSeccomp_filters\n"),
            Sandbox::default()
        );
    }
}
