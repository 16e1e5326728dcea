//! A tree with a way out of it.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Purpose, Root, names};

/// `tree/{a.txt, sub/b.txt, inside -> sub/b.txt, out -> ../secret, up -> ..}` beside `secret`.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Tree {
        let path =
            std::env::temp_dir().join(format!("blitz-beneath-{name}-{}", std::process::id()));
        // One that was left behind is no part of this.
        let _ = fs::remove_dir_all(&path);
        let tree = path.join("tree");
        fs::create_dir_all(tree.join("sub")).unwrap();
        fs::write(path.join("secret"), "secret").unwrap();
        fs::write(tree.join("a.txt"), "a").unwrap();
        fs::write(tree.join("sub/b.txt"), "b").unwrap();
        symlink("sub/b.txt", tree.join("inside")).unwrap();
        symlink("../secret", tree.join("out")).unwrap();
        symlink("..", tree.join("up")).unwrap();
        Tree(path)
    }

    fn root(&self) -> Root {
        Root::new(&self.0.join("tree")).unwrap()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // It stands in the folder of temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn read(root: &Root, path: &str) -> io::Result<String> {
    let mut text = String::new();
    root.open(Path::new(path), Purpose::Read)?
        .read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn no_path_leads_out() {
    let tree = Tree::new("out");
    let root = tree.root();
    assert_eq!(read(&root, "a.txt").unwrap(), "a");
    assert_eq!(read(&root, "sub/b.txt").unwrap(), "b");
    for path in [
        "out",
        "up/secret",
        "../secret",
        "sub/../../secret",
        "/etc/hostname",
        "a\0b",
    ] {
        assert!(read(&root, path).is_err(), "{path:?}");
        let now = root.open_now(Path::new(path), Purpose::Read);
        assert!(now.is_none_or(|opened| opened.is_err()), "{path:?}");
    }
    assert!(
        root.open(Path::new(""), Purpose::Read)
            .unwrap()
            .metadata()
            .unwrap()
            .is_dir()
    );
    assert_eq!(
        Root::new(&tree.0.join("secret")).unwrap_err().kind(),
        io::ErrorKind::NotADirectory
    );
}

#[cfg(linux)]
#[test]
fn the_walk_follows_no_link_and_opens_the_rest() {
    use super::{checked, walk};
    let tree = Tree::new("walk");
    let root = tree.root();
    let open = |path: &str| walk::open(&root.0, &checked(Path::new(path)).unwrap(), Purpose::Read);
    for path in ["a.txt", "sub/b.txt", "sub", ""] {
        assert!(open(path).is_ok(), "{path}");
    }
    for path in ["inside", "out", "up/secret", "nothing", "a.txt/b"] {
        assert!(open(path).is_err(), "{path}");
    }
}

#[cfg(linux)]
#[test]
fn names_are_all_there_and_bounded() {
    let tree = Tree::new("names");
    let dir = || tree.root().open(Path::new(""), Purpose::Read).unwrap();
    let mut found = names(&dir(), 100).unwrap();
    found.names.sort();
    assert_eq!(found.names, ["a.txt", "inside", "out", "sub", "up"]);
    assert!(!found.more);
    let some = names(&dir(), 2).unwrap();
    assert_eq!((some.names.len(), some.more), (2, true));
    for n in 0..2000 {
        fs::write(tree.0.join(format!("tree/sub/file number {n}")), "").unwrap();
    }
    let sub = tree.root().open(Path::new("sub"), Purpose::Read).unwrap();
    assert_eq!(names(&sub, 10_000).unwrap().names.len(), 2001);
}

#[cfg(linux)]
#[test]
fn links_that_stay_below_are_followed_where_the_kernel_can() {
    let tree = Tree::new("inside");
    let root = tree.root();
    let opened = root.open(Path::new("inside"), Purpose::Read);
    match super::imp::open_now(&root.0, c"a.txt", Purpose::Read) {
        Some(_) => assert!(opened.is_ok()),
        None => eprintln!("skipped: openat2 is refused here, and no link is followed"),
    }
}
