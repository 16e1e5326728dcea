//! A control group's processor quota: which groups the process is in, where they are mounted, what they allow.
//!
//! Everything is read below a root that the caller names, so that the tests bring trees of their own.

use std::fs;
use std::path::{Path, PathBuf};

use super::Quota;

/// Which of the two hierarchies a mount or a membership belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// One hierarchy for each controller: `cpu.cfs_quota_us` over `cpu.cfs_period_us`.
    One = 1,
    /// One hierarchy for all: `cpu.max`.
    Two = 2,
}

/// The tightest quota that holds for the process.
///
/// `groups` is the text of `/proc/self/cgroup`, `mounts` that of `/proc/self/mountinfo`; the files of
/// the groups are read below `root`. `None` when nothing limits the process, or nothing could be read.
pub(super) fn quota(root: &Path, groups: &str, mounts: &str) -> Option<Quota> {
    let mut tightest: Option<Quota> = None;
    for (version, group) in groups.lines().filter_map(membership) {
        for (mount_root, mount_point) in mounts.lines().filter_map(|line| mount(line, version)) {
            // Inside a container without a namespace of its own, the group is named from the host's
            // root, and the mount shows a part of that tree.
            let below = Path::new(&group)
                .strip_prefix(&mount_root)
                .unwrap_or(Path::new(""));
            let top = root.join(mount_point.trim_start_matches('/'));
            let mut folder: PathBuf = top.join(below);
            // A group is bound by each of its ancestors too.
            loop {
                if let Some(cpus) = limit(&folder, version)
                    && tightest.as_ref().is_none_or(|least| cpus < least.cpus)
                {
                    tightest = Some(Quota {
                        cpus,
                        version: version as u8,
                        group: group.clone(),
                    });
                }
                if folder == top || !folder.pop() {
                    break;
                }
            }
        }
    }
    tightest
}

/// A line of `/proc/self/cgroup`, `id:controllers:path`, when it concerns processors.
fn membership(line: &str) -> Option<(Version, String)> {
    let mut fields = line.splitn(3, ':');
    let id = fields.next()?;
    let controllers = fields.next()?;
    let path = fields.next()?;
    if id == "0" && controllers.is_empty() {
        Some((Version::Two, path.to_owned()))
    } else if controllers.split(',').any(|controller| controller == "cpu") {
        Some((Version::One, path.to_owned()))
    } else {
        None
    }
}

/// The root and the mount point of a line of `/proc/self/mountinfo`, when it mounts such a hierarchy.
fn mount(line: &str, version: Version) -> Option<(String, String)> {
    let (mounted, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let matches = match (kind.next()?, version) {
        ("cgroup2", Version::Two) => true,
        ("cgroup", Version::One) => {
            let options = kind.nth(1)?;
            options.split(',').any(|option| option == "cpu")
        }
        _ => false,
    };
    if !matches {
        return None;
    }
    let mut fields = mounted.split(' ').skip(3);
    Some((unescape(fields.next()?), unescape(fields.next()?)))
}

/// Undoes the kernel's `\040` for a space and its like.
fn unescape(field: &str) -> String {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if first == b'\\' => {
                out.push(byte);
                rest = &tail[3..];
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What one group allows, in processors.
fn limit(folder: &Path, version: Version) -> Option<f64> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|&value| value > 0.0);
    match version {
        Version::Two => {
            let max = fs::read_to_string(folder.join("cpu.max")).ok()?;
            let (quota, period) = max.trim().split_once(' ')?;
            Some(number(quota)? / number(period)?)
        }
        Version::One => {
            // "No limit" is a quota of -1.
            let quota = fs::read_to_string(folder.join("cpu.cfs_quota_us")).ok()?;
            let period = fs::read_to_string(folder.join("cpu.cfs_period_us")).ok()?;
            Some(number(&quota)? / number(&period)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "36 25 0:31 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      34 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

    /// A tree of files that ends with the test.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Tree {
            let root =
                std::env::temp_dir().join(format!("blitz-cgroup-{name}-{}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Tree(root)
        }

        fn quota(&self, groups: &str, mounts: &str) -> Option<usize> {
            let quota = quota(&self.0, groups, mounts)?;
            Some(quota.whole().get())
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn version_2_takes_the_tightest_ancestor() {
        let tree = Tree::new(
            "v2",
            &[
                ("sys/fs/cgroup/a/cpu.max", "200000 100000\n"),
                ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
                ("sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n"),
            ],
        );
        assert_eq!(tree.quota("0::/a/b/c\n", V2), Some(2));
    }

    #[test]
    fn a_part_of_a_processor_counts_as_one_more() {
        let tree = Tree::new("part", &[("sys/fs/cgroup/x/cpu.max", "150000 100000\n")]);
        assert_eq!(tree.quota("0::/x\n", V2), Some(2));
        let tree = Tree::new("less", &[("sys/fs/cgroup/x/cpu.max", "10000 100000\n")]);
        assert_eq!(tree.quota("0::/x\n", V2), Some(1));
    }

    #[test]
    fn version_1_reads_quota_and_period() {
        let files = |quota| {
            [
                ("sys/fs/cgroup/cpu,cpuacct/g/cpu.cfs_quota_us", quota),
                ("sys/fs/cgroup/cpu,cpuacct/g/cpu.cfs_period_us", "50000\n"),
            ]
        };
        let groups = "4:memory:/g\n2:cpu,cpuacct:/g\n0::/\n";
        let limited = Tree::new("v1", &files("150000\n"));
        assert_eq!(limited.quota(groups, V1), Some(3));
        let free = Tree::new("v1-free", &files("-1\n"));
        assert_eq!(free.quota(groups, V1), None);
    }

    #[test]
    fn a_container_sees_its_own_part_of_the_hosts_tree() {
        let mounts = "36 25 0:31 /docker/77 /my\\040mount ro - cgroup cgroup rw,cpu\n";
        let files = [
            ("my mount/cpu.cfs_quota_us", "400000"),
            ("my mount/cpu.cfs_period_us", "100000"),
        ];
        let tree = Tree::new("container", &files);
        assert_eq!(tree.quota("2:cpu:/docker/77\n", mounts), Some(4));
        assert_eq!(tree.quota("2:cpu:/elsewhere\n", mounts), Some(4));
    }

    #[test]
    fn broken_files_limit_nothing() {
        let tree = Tree::new("broken", &[("sys/fs/cgroup/x/cpu.max", "many few\n")]);
        assert_eq!(tree.quota("0::/x\nnonsense\n::\n", V2), None);
        assert_eq!(tree.quota("0::/x\n", "nonsense\n - \n"), None);
        assert_eq!(tree.quota("", ""), None);
    }
}
