//! Nothing in this workspace is built on another tokio than ours.

use std::process::Command;

#[test]
fn the_only_tokio_is_ours() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--all-features",
            "--target",
            "all",
            "--edges",
            "all",
        ])
        .args([
            "--invert", "tokio", "--depth", "0", "--prefix", "none", "--format", "{p}",
        ])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .unwrap();
    let (said, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    // Two of them would make the name ambiguous, which cargo refuses.
    assert!(output.status.success(), "{error}");
    let lines: Vec<_> = said.lines().filter(|line| !line.is_empty()).collect();
    assert!(!lines.is_empty(), "{error}");
    for line in lines {
        let path = line.replace('\\', "/");
        assert!(
            path.starts_with("tokio ") && path.contains("/compat/tokio"),
            "{line}"
        );
    }
}
