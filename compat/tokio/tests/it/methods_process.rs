//! Methods, constants and variants of `tokio::{process, signal}`.

#[test]
fn they_are_there() {
    methods! {
        tokio::process::Child: id start_kill kill wait try_wait wait_with_output;
        tokio::process::ChildStderr: into_owned_fd from_std;
        tokio::process::ChildStdin: into_owned_fd from_std;
        tokio::process::ChildStdout: into_owned_fd from_std;
        tokio::process::Command: as_std as_std_mut into_std env_clear kill_on_drop uid gid process_group spawn status
            output get_kill_on_drop;
        tokio::signal::unix::Signal: recv poll_recv;
        tokio::signal::unix::SignalKind: from_raw as_raw_value alarm child hangup interrupt io pipe quit terminate
            user_defined1 user_defined2 window_change;
    }
}
