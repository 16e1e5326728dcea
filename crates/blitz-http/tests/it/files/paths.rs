//! Which file a path is.

use super::{Tree, ask};
use blitz_http::files::Files;
use blitz_http::{Router, now};

#[blitz_io::test]
async fn a_file_has_its_type_its_length_and_its_validators() {
    let tree = Tree::new();
    let files = tree.files().cache_control("max-age=60");
    for method in ["GET", "HEAD"] {
        let answer = ask(&files, &format!("{method} /a.txt"), &[]).await;
        assert_eq!(answer.status, 200);
        answer.has(&[
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", "16"),
            ("etag", &super::tag(16)),
            ("last-modified", super::DATE),
            ("accept-ranges", "bytes"),
            ("cache-control", "max-age=60"),
            ("vary", "accept-encoding"),
            ("x-content-type-options", "nosniff"),
        ]);
        let body = if method == "GET" {
            "0123456789abcdef"
        } else {
            ""
        };
        assert_eq!(answer.text(), body);
    }
    tree.write("empty.css", "");
    let answer = ask(&files, "GET /empty.css", &[]).await;
    answer.has(&[
        ("content-type", "text/css; charset=utf-8"),
        ("content-length", "0"),
    ]);
    // What no name tells, the first bytes do.
    let cut = [&[b'a'; 511][..], "€".as_bytes()].concat();
    for (bytes, kind) in [
        (&b"plain\ntext"[..], "text/plain; charset=utf-8"),
        (&cut, "text/plain; charset=utf-8"),
        (b"\x7fELF\0", "application/octet-stream"),
        (b"\xff\xfe", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ] {
        tree.write("LICENSE", bytes);
        let answer = ask(&files, "GET /LICENSE", &[]).await;
        answer.has(&[("content-type", kind)]);
    }
}

#[blitz_io::test]
async fn nothing_outside_of_the_directory_is_sent() {
    let tree = Tree::new();
    tree.write(".hidden", "h");
    tree.write(".well-known/security.txt", "w");
    tree.write("sub/.git/config", "g");
    tree.write("with space & ü.txt", "s");
    #[cfg(unix)]
    {
        let link =
            |to: &str, name: &str| std::os::unix::fs::symlink(to, tree.path().join(name)).unwrap();
        link("../secret", "out");
        link("..", "up");
        link("/etc", "etc");
        link("loop", "loop");
    }
    let files = tree.files().listing(true);
    for path in [
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/out",
        "/up/secret",
        "/up/",
        "/etc/",
        "/etc/hostname",
        "/loop",
        "/.hidden",
        "/sub/.git/config",
        "/%2ehidden",
        "//a.txt",
        "/sub//x",
        "/a.txt/",
        "/a.txt/b",
        "/nothing",
    ] {
        let answer = ask(&files, &format!("GET {path}"), &[]).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        assert!(!answer.text().contains("secret"), "{path}");
    }
    let long = format!("/{}", "n".repeat(300));
    assert_eq!(ask(&files, &format!("GET {long}"), &[]).await.status, 404);
    for path in ["/a%00.txt", "/a%2", "/%zz"] {
        let answer = ask(&files, &format!("GET {path}"), &[]).await;
        assert_eq!(answer.status, 400, "{path}");
    }
    for path in [
        "/.well-known/security.txt",
        "/with%20space%20%26%20%C3%BC.txt",
        "/a%2Etxt",
    ] {
        assert_eq!(
            ask(&files, &format!("GET {path}"), &[]).await.status,
            200,
            "{path}"
        );
    }
    let shown = tree.files().dotfiles(true);
    assert_eq!(ask(&shown, "GET /.hidden", &[]).await.text(), "h");
    assert!(files.contains("/a.txt").await && !files.contains("/out").await);
}

#[cfg(unix)]
#[blitz_io::test]
async fn what_is_no_file_is_not_found_and_nobody_waits_for_it() {
    let tree = Tree::new();
    let made = std::process::Command::new("mkfifo")
        .arg(tree.path().join("fifo"))
        .status();
    if !made.is_ok_and(|made| made.success()) {
        eprintln!("skipped: there is no mkfifo here");
        return;
    }
    let _socket = std::os::unix::net::UnixListener::bind(tree.path().join("socket")).unwrap();
    let files = tree.files().listing(true);
    for path in ["/fifo", "/socket"] {
        let status = ask(&files, &format!("GET {path}"), &[]).await.status;
        // A socket cannot be opened at all, of which the kernel says that there is no such device.
        assert!(status == 404 || status == 500, "{path}: {status}");
    }
    let listing = ask(&files, "GET /", &[]).await;
    assert!(!listing.text().contains("fifo"), "{}", listing.text());
}

#[blitz_io::test]
async fn a_directory_is_its_index_or_a_list_or_nothing() {
    let tree = Tree::new();
    tree.write("with/index.html", "<p>index");
    tree.write("list/b & <c>.txt", "1");
    tree.write("list/sub/x", "1");
    tree.write("list/.hidden", "1");
    let files = tree.files().listing(true);
    let answer = ask(&files, "GET /with/", &[]).await;
    assert_eq!((answer.status, answer.text()), (200, "<p>index"));
    answer.has(&[("content-type", "text/html; charset=utf-8")]);
    let answer = ask(&files, "GET /with?a=b", &[]).await;
    assert_eq!(answer.status, 301);
    answer.has(&[("location", "/with/?a=b")]);
    let answer = ask(&files, "GET /list/", &[]).await;
    assert_eq!(answer.status, 200);
    let text = answer.text();
    assert!(
        text.contains("<a href=\"./b%20%26%20%3Cc%3E.txt\">b &amp; &lt;c&gt;.txt</a>"),
        "{text}"
    );
    assert!(
        text.contains("<h1>Files in /list/</h1>") && text.contains("<a href=\"../\">"),
        "{text}"
    );
    assert!(!text.contains("hidden"), "{text}");
    let (sub, file) = (text.find("./sub/"), text.find("./b%20"));
    assert!(
        sub.is_some() && sub < file,
        "directories come first: {text}"
    );
    let nonce = text
        .split("<style nonce=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let policy = answer.field("content-security-policy").expect("a policy");
    assert!(
        policy.contains(&format!("'nonce-{}'", nonce.expect("a nonce"))),
        "{policy}"
    );
    assert_eq!(ask(&tree.files(), "GET /list/", &[]).await.status, 404);
    let entries = files.entries("/list/").await.expect("entries");
    let names: Vec<_> = entries
        .entries
        .iter()
        .map(|entry| entry.name.to_string_lossy())
        .collect();
    assert_eq!(names, ["sub", "b & <c>.txt"]);
    assert!(files.entries("/a.txt").await.is_err() && files.entries("/../").await.is_err());
}

#[blitz_io::test]
async fn other_methods_are_told_which_there_are() {
    let tree = Tree::new();
    for (method, status) in [("POST", 405), ("DELETE", 405), ("OPTIONS", 204)] {
        let answer = ask(&tree.files(), &format!("{method} /a.txt"), &[]).await;
        assert_eq!(answer.status, status);
        answer.has(&[("allow", "GET, HEAD, OPTIONS")]);
    }
}

#[blitz_io::test]
async fn a_prefix_is_no_part_of_the_name_and_a_fallback_answers_the_rest() {
    let tree = Tree::new();
    tree.write("app.html", "<p>app");
    let files = tree.files().prefix("/static/");
    let answer = ask(&files, "GET /static/a.txt", &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(ask(&files, "GET /a.txt", &[]).await.status, 404);
    ask(&files, "GET /static", &[])
        .await
        .has(&[("location", "/static/")]);
    let files = tree.files().fallback("app.html");
    let answer = ask(&files, "GET /some/view", &[]).await;
    assert_eq!((answer.status, answer.text()), (200, "<p>app"));

    let router = Router::new()
        .get("/", now(|_| "home"))
        .mount("/files", tree.files().prefix("/files"));
    let answer = crate::harness::connect(router)
        .ask("GET /files/a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert!(answer.ends_with("0123456789abcdef"), "{answer}");
    assert!(Files::new(tree.path().join("a.txt")).is_err());
}
