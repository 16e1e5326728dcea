//! Follows the links of a site, a few pages at a time, and says what it found.
//!
//! ```text
//! cargo run --release --example crawler -- http://127.0.0.1:8080/ --pages 100 --at-once 8
//! ```
//!
//! It stays on the site that it was given, asks for each page once, takes no more than 2 MiB of one, and tries again politely: only
//! what is safe, after a wait that the server may set. One line a page: status, bytes, links, address. Ends with 1 if a page failed.

use blitz_http::Client;
use blitz_http::client::{Error, RetryPolicy, Url};
use blitz_io::task::JoinSet;
use http::header::CONTENT_TYPE;
use std::collections::{HashSet, VecDeque};
use std::process::ExitCode;
use std::time::Duration;

struct Page {
    status: u16,
    bytes: usize,
    links: Vec<Url>,
}

#[blitz_io::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (mut start, mut pages, mut at_once) = (None, 100_usize, 8_usize);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--pages" => pages = args.next().ok_or("--pages wants a number")?.parse()?,
            "--at-once" => at_once = args.next().ok_or("--at-once wants a number")?.parse()?,
            _ => start = Some(Url::parse(&arg)?),
        }
    }
    let start = start.ok_or("usage: crawler URL [--pages N] [--at-once N]")?;
    let client = Client::builder()
        .timeout(Duration::from_secs(30))
        .retries(RetryPolicy::times(3))
        .response_bytes_max(2 * 1024 * 1024)
        .build()?;
    let (mut seen, mut waiting) = (
        HashSet::from([start.clone()]),
        VecDeque::from([start.clone()]),
    );
    let (mut going, mut begun, mut failed) = (JoinSet::new(), 0, 0);
    loop {
        while going.len() < at_once.max(1)
            && begun < pages
            && let Some(url) = waiting.pop_front()
        {
            begun += 1;
            let client = client.clone();
            going.spawn(async move {
                let page = visit(&client, &url).await;
                (url, page)
            });
        }
        let Some(visited) = going.join_next().await else {
            break;
        };
        let (url, page) = visited?;
        match page {
            Ok(page) => {
                println!(
                    "{} {:>8} {:>4}  {url}",
                    page.status,
                    page.bytes,
                    page.links.len()
                );
                for link in page.links {
                    if link.origin() == start.origin() && seen.insert(link.clone()) {
                        waiting.push_back(link);
                    }
                }
            }
            Err(error) => {
                failed += 1;
                println!("{} {}  {url}", error.name(), error.chain());
            }
        }
    }
    let state = client.pool_state();
    println!(
        "{begun} pages, {failed} failed, over {} connections",
        state.opened
    );
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn visit(client: &Client, url: &Url) -> Result<Page, Error> {
    let mut response = client.get(url).send().await?;
    let status = response.status().as_u16();
    let mime = response.headers().get(CONTENT_TYPE);
    let is_html = mime.is_some_and(|mime| mime.as_bytes().starts_with(b"text/html"));
    let base = response.url().clone();
    let text = response.text().await?;
    let links = if is_html {
        links(&text, &base)
    } else {
        Vec::new()
    };
    Ok(Page {
        status,
        bytes: text.len(),
        links,
    })
}

/// What stands in `href`: enough for a crawler of well-kept pages.
fn links(html: &str, base: &Url) -> Vec<Url> {
    let mut links = Vec::new();
    for piece in html.split("href=").skip(1) {
        let Some(quote) = piece
            .chars()
            .next()
            .filter(|quote| matches!(quote, '"' | '\''))
        else {
            continue;
        };
        let Some(link) = piece[1..].split(quote).next() else {
            continue;
        };
        if let Ok(mut link) = base.join(&link.replace("&amp;", "&")) {
            link.set_fragment(None);
            if matches!(link.scheme(), "http" | "https") {
                links.push(link);
            }
        }
    }
    links
}
