//! Directories: what is in them, and how they are made.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use blitz_io::fs::{self, DirBuilder, DirEntry, ReadDir};

use crate::fs::with_dir;
use crate::harness::run;

async fn names(entries: &mut ReadDir) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().await.unwrap() {
        names.push(entry.file_name().into_string().unwrap());
    }
    names
}

#[test]
fn every_entry_comes_once_however_many_there_are() {
    with_dir(async |dir| {
        for count in [0, 1, 128, 129, 300] {
            let dir = dir.join(format!("{count}"));
            fs::create_dir(&dir).await.unwrap();
            let expected: BTreeSet<String> = (0..count).map(|n| format!("name-{n}")).collect();
            for name in &expected {
                std::fs::write(dir.join(name), "").unwrap();
            }
            let mut entries = fs::read_dir(&dir).await.unwrap();
            let found = names(&mut entries).await;
            assert_eq!(found.len(), count);
            assert!(found.into_iter().collect::<BTreeSet<_>>() == expected);
            for _ in 0..3 {
                assert!(
                    entries.next_entry().await.unwrap().is_none(),
                    "the end stays"
                );
            }
        }
    });
}

#[test]
fn an_entry_tells_what_it_is() {
    with_dir(async |dir| {
        fs::write(dir.join("file"), "12345").await.unwrap();
        fs::create_dir(dir.join("dir")).await.unwrap();
        fs::symlink("nowhere", dir.join("link")).await.unwrap();
        let mut entries = fs::read_dir(dir).await.unwrap();
        let mut all: Vec<DirEntry> = Vec::new();
        while let Some(entry) = poll_fn(|cx| entries.poll_next_entry(cx)).await.unwrap() {
            all.push(entry);
        }
        drop(entries);
        assert_eq!(all.len(), 3);
        for on_the_spot in [true, false] {
            fs::set_metadata_on_the_spot(on_the_spot);
            for entry in &all {
                let name = entry.file_name().into_string().unwrap();
                assert_eq!(entry.path(), dir.join(&name));
                let kind = entry.file_type().await.unwrap();
                let facts = entry.metadata().await.unwrap();
                let said = (kind.is_file(), kind.is_dir(), kind.is_symlink());
                let expected = (name == "file", name == "dir", name == "link");
                assert_eq!(said, expected, "{entry:?}");
                assert_eq!(facts.file_type(), kind);
                assert_eq!(facts.ino(), entry.ino());
                assert!(name != "file" || facts.len() == 5);
            }
        }
        fs::set_metadata_on_the_spot(true);
        fs::remove_file(dir.join("file")).await.unwrap();
        let gone = all
            .iter()
            .find(|entry| entry.file_name() == "file")
            .unwrap();
        let error = gone.metadata().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("file"), "{error}");
        assert!(gone.file_type().await.is_ok(), "it was told with the name");
    });
}

#[test]
fn what_is_no_directory_is_named() {
    with_dir(async |dir| {
        let file = dir.join("file");
        fs::write(&file, "").await.unwrap();
        let error = fs::read_dir(&file).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotADirectory);
        assert!(error.to_string().contains("file"), "{error}");
        let error = fs::read_dir(dir.join("missing")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("missing"), "{error}");
    });
}

#[test]
fn a_directory_is_never_cut_short_in_silence_by_the_runtimes_end() {
    for runtime in crate::harness::every_runtime() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..300 {
            std::fs::write(dir.path().join(n.to_string()), "").unwrap();
        }
        let mut entries = run(&runtime, fs::read_dir(dir.path())).unwrap();
        let handle = runtime.handle().clone();
        runtime.shutdown_timeout(crate::harness::GUARD);
        let mut count = 0;
        let error = loop {
            match handle.block_on(entries.next_entry()) {
                Ok(Some(_)) => count += 1,
                Ok(None) => panic!("an end after {count} of 300"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Other, "{error}");
        assert!((1..300).contains(&count));
        assert!(
            handle.block_on(entries.next_entry()).is_err(),
            "it stays so"
        );
        let refused = handle.block_on(fs::read_dir(dir.path())).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Other);
    }
}

#[test]
fn a_dropped_wait_takes_no_entry() {
    with_dir(async |dir| {
        for n in 0..260 {
            std::fs::write(dir.join(n.to_string()), "").unwrap();
        }
        let mut entries = fs::read_dir(dir).await.unwrap();
        let mut found = BTreeSet::new();
        loop {
            // Polled once and dropped, each time.
            let polled = {
                let mut next = std::pin::pin!(entries.next_entry());
                futures::poll!(next.as_mut())
            };
            match polled {
                std::task::Poll::Ready(entry) => match entry.unwrap() {
                    Some(entry) => assert!(found.insert(entry.file_name())),
                    None => break,
                },
                std::task::Poll::Pending => blitz_io::task::yield_now().await,
            }
        }
        assert_eq!(found.len(), 260);
    });
}

#[test]
fn a_builder_makes_what_it_says() {
    with_dir(async |dir| {
        let mode = |path: &std::path::Path| {
            let facts = std::fs::metadata(path).unwrap();
            facts.permissions().mode() & 0o777
        };
        let one = dir.join("one");
        DirBuilder::new().mode(0o700).create(&one).await.unwrap();
        assert_eq!(mode(&one), 0o700);
        let again = DirBuilder::default().create(&one).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        assert!(again.to_string().contains("one"), "{again}");

        let deep = dir.join("a/b/c");
        let missing = DirBuilder::new().create(&deep).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o750);
        builder.create(&deep).await.unwrap();
        builder.create(&deep).await.unwrap();
        assert_eq!((mode(&deep), mode(&dir.join("a"))), (0o750, 0o750));

        let file = dir.join("file");
        fs::write(&file, "").await.unwrap();
        let in_the_way = builder.create(&file).await.unwrap_err();
        assert_eq!(in_the_way.kind(), ErrorKind::AlreadyExists);
        let zero = DirBuilder::new().create("a\0b").await.unwrap_err();
        assert_eq!(zero.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn links_are_made_and_what_is_there_is_not_replaced() {
    with_dir(async |dir| {
        let (file, link) = (dir.join("file"), dir.join("link"));
        fs::write(&file, "text").await.unwrap();
        fs::symlink("file", &link).await.unwrap();
        assert_eq!(fs::read_to_string(&link).await.unwrap(), "text");
        let errors = [
            fs::symlink("file", &link).await.unwrap_err(),
            fs::hard_link(&file, &link).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            assert!(error.to_string().contains("link"), "{error}");
        }
        let other = dir.join("other");
        fs::hard_link(&file, &other).await.unwrap();
        assert_eq!(fs::metadata(&other).await.unwrap().nlink(), 2);
        let missing = fs::hard_link(dir.join("missing"), dir.join("x")).await;
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
        // A link to a link is one more name of the link.
        fs::hard_link(&link, dir.join("link-2")).await.unwrap();
        assert!(
            fs::symlink_metadata(dir.join("link-2"))
                .await
                .unwrap()
                .is_symlink()
        );
    });
}
