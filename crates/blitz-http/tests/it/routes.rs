//! The router: what is chosen, and what is said where nothing is.

use crate::harness::connect;
use blitz_http::{Body, Request, Router, now, param, service_fn};
use http::Method;

async fn ask(router: Router, line: &str) -> String {
    let request = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    connect(router).ask(request).await
}

async fn body(router: &Router, line: &str) -> String {
    let answer = ask(router.clone(), line).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = &head["HTTP/1.1 ".len()..][..3];
    format!("{status} {}", body.trim())
}

fn named(name: &'static str) -> impl blitz_http::Handler {
    now(move |request: Request| {
        let names = ["id", "file", "rest"];
        let values: Vec<_> = names
            .iter()
            .filter_map(|key| param(&request, key))
            .collect();
        format!("{name} {}", values.join(","))
    })
}

#[blitz_io::test(start_paused = true)]
async fn the_closest_path_is_chosen() {
    let router = Router::new()
        .get("/", named("root"))
        .get("/users/{id}", named("user"))
        .get("/users/me", named("me"))
        .get("/users/{id}/files/{file}", named("file"))
        .get("/static/{*rest}", named("static"))
        .get("/users/me/x/y", named("deep"));
    assert_eq!(body(&router, "GET /").await, "200 root");
    assert_eq!(body(&router, "GET /users/7").await, "200 user 7");
    assert_eq!(body(&router, "GET /users/me").await, "200 me");
    assert_eq!(
        body(&router, "GET /users/me/files/a%20b").await,
        "200 file me,a b"
    );
    assert_eq!(
        body(&router, "GET /static/a/b.css").await,
        "200 static a/b.css"
    );
    assert_eq!(body(&router, "GET /static/").await, "200 static");
    assert_eq!(body(&router, "GET /users/7?q=1").await, "200 user 7");
    for nothing in ["/users", "/users/", "/users/7/", "/x", "/users/me/x", "//"] {
        assert_eq!(
            body(&router, &format!("GET {nothing}")).await,
            "404 Not Found",
            "{nothing}"
        );
    }
    assert_eq!(
        body(&router, "GET /users/%ff").await,
        "400 the path is not UTF-8"
    );
}

#[blitz_io::test(start_paused = true)]
async fn a_method_that_is_not_there_is_told_which_are() {
    let router = Router::new()
        .get("/", named("a"))
        .post("/", named("b"))
        .put("/p", named("c"));
    let answer = ask(router.clone(), "DELETE /").await;
    assert!(
        answer.starts_with("HTTP/1.1 405 ")
            && answer.contains("allow: GET, HEAD, OPTIONS, POST\r\n"),
        "{answer}"
    );
    let answer = ask(router.clone(), "OPTIONS /p").await;
    assert!(
        answer.starts_with("HTTP/1.1 204 ") && answer.contains("allow: OPTIONS, PUT\r\n"),
        "{answer}"
    );
    let answer = ask(router.clone(), "OPTIONS *").await;
    assert!(
        answer.starts_with("HTTP/1.1 204 ") && answer.contains("allow: GET, "),
        "{answer}"
    );
    let answer = ask(router, "CONNECT a:443").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[blitz_io::test(start_paused = true)]
async fn routers_nest_and_services_mount() {
    let inner = Router::new()
        .get("/", named("inner"))
        .get("/{id}", named("item"));
    let other = service_fn(|request: Request| async move {
        http::Response::new(Body::from(request.uri().path().to_owned()))
    });
    let router = Router::new()
        .nest("/in", inner.clone())
        .nest(
            "/deep/er",
            Router::new()
                .nest("/in", inner)
                .fallback(named("lost inside")),
        )
        .mount("/other", other)
        .any("/any", named("any"))
        .route(
            Method::from_bytes(b"BREW").expect("a method"),
            "/pot",
            named("tea"),
        )
        .fallback(named("lost"));
    assert_eq!(body(&router, "GET /in").await, "200 inner");
    assert_eq!(body(&router, "GET /in/5").await, "200 item 5");
    assert_eq!(body(&router, "GET /deep/er/in/5").await, "200 item 5");
    assert_eq!(body(&router, "GET /deep/er/x").await, "200 lost inside");
    assert_eq!(body(&router, "GET /other/a/b").await, "200 /other/a/b");
    assert_eq!(body(&router, "POST /other").await, "200 /other");
    assert_eq!(body(&router, "DELETE /any").await, "200 any");
    assert_eq!(body(&router, "BREW /pot").await, "200 tea");
    assert_eq!(body(&router, "GET /nowhere").await, "200 lost");
}

#[test]
fn a_route_that_cannot_be_is_refused_when_it_is_added() {
    for bad in ["x", "/{a", "/a{b}", "/{}", "/{a}/{a}", "/{*a}/b", "/here"] {
        let added = std::panic::catch_unwind(|| {
            Router::new().get("/here", named("a")).get(bad, named("b"))
        });
        assert!(added.is_err(), "{bad}");
    }
}
