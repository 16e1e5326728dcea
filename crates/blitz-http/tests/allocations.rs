//! What a request costs in allocations, in steady state: nothing.
//!
//! A binary of its own, because it counts every allocation of the process, and the thread that counts has to be the only one.

use blitz_http::{Config, Connection, Handle, Peer, Request, Router, look, now, reply};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt, duplex};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending is not the one that counts.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator, as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those of this call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn router() -> Router {
    let hello = |request: Request| {
        let mut response = reply(request, "Hello, World!");
        let kind = HeaderValue::from_static("text/plain");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    };
    const PLAIN: HeaderValue = HeaderValue::from_static("text/plain");
    let looked = look(|_| (PLAIN, "Hello, World!"));
    Router::new().get("/", now(hello)).get("/look", looked)
}

/// Allocations while so many batches of so many requests for `path` are answered.
async fn allocations(path: &str, batches: usize, batch: usize, more_fields: usize) -> u64 {
    let handle = Handle::new(Config::default());
    let (mut client, end) = duplex(1 << 16);
    blitz_io::spawn(Connection::new(end, router(), &handle, Peer::default()));
    let more: String = (0..more_fields).map(|n| format!("X-{n}: a\r\n")).collect();
    let head = "HTTP/1.1\r\nHost: localhost:8080\r\nAccept: */*\r\nUser-Agent: test\r\n";
    let request = format!("GET {path} {head}{more}\r\n")
        .repeat(batch)
        .into_bytes();
    let mut answer = Vec::with_capacity(1 << 16);
    let mut before = 0;
    for round in 0..batches + 10 {
        if round == 10 {
            before = ALLOCATIONS.get();
        }
        client.write_all(&request).await.expect("sent");
        answer.clear();
        let whole = |answer: &[u8]| {
            answer
                .windows(13)
                .filter(|part| part == b"Hello, World!")
                .count()
                == batch
        };
        while !whole(&answer) {
            client.read_buf(&mut answer).await.expect("an answer");
        }
    }
    ALLOCATIONS.get() - before
}

#[test]
fn a_request_allocates_nothing() {
    let runtime = blitz_io::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for path in ["/", "/look"] {
        let (single, piped, many) = runtime.block_on(async {
            (
                allocations(path, 1000, 1, 0).await,
                allocations(path, 200, 16, 0).await,
                allocations(path, 200, 4, 20).await,
            )
        });
        // The pipe in memory, the timers and the runtime are counted, too.
        println!(
            "{path}: {single} allocations for 1,000 requests, {piped} for 3,200 in batches of 16, {many} for 800 of many fields"
        );
        assert_eq!((single, piped, many), (0, 0, 0), "{path}");
    }
}
