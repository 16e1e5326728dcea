//! A directory shown: its entries, a table of them, and a page around it.

use super::open::known;
use crate::{Reply, Response};
use blitz_http_proto::HttpDate;
use blitz_sys::beneath::{self, Purpose, Root};
use http::HeaderValue;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use std::ffi::OsString;
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Entries of one listing; of a larger directory, some.
const ENTRIES_MAX: usize = 10_000;

/// A file or a directory in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// What it is called.
    pub name: OsString,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Bytes of a file.
    pub len: u64,
    /// Its last change, where the system tells.
    pub modified: Option<SystemTime>,
}

/// What is in a directory: directories first, each kind by name.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Entries {
    /// Those that are served.
    pub entries: Vec<Entry>,
    /// There are more than a listing shows, which is 10,000.
    pub more: bool,
}

/// Reads a directory.
pub(super) async fn entries(root: &Arc<Root>, path: &Path, dotfiles: bool) -> io::Result<Entries> {
    let (root, path) = (Arc::clone(root), path.to_owned());
    blitz_io::task::spawn_blocking(move || read(&root, &path, dotfiles)).await?
}

fn read(root: &Root, path: &Path, dotfiles: bool) -> io::Result<Entries> {
    let dir = root.open(path, Purpose::Read)?;
    if !dir.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let found = beneath::names(&dir, ENTRIES_MAX)?;
    let mut entries = Vec::with_capacity(found.names.len());
    for name in found.names {
        if name.as_encoded_bytes().starts_with(b".") && !dotfiles {
            continue;
        }
        // What has gone meanwhile, leads out, or is no file would not be served either.
        let Ok(file) = root.open(&path.join(&name), Purpose::Look) else {
            continue;
        };
        if let Some((is_dir, len, modified)) = known(&file.metadata()?) {
            entries.push(Entry {
                name,
                is_dir,
                len,
                modified,
            });
        }
    }
    entries.sort_by(|a, b| (!a.is_dir, &a.name).cmp(&(!b.is_dir, &b.name)));
    Ok(Entries {
        entries,
        more: found.more,
    })
}

impl Entries {
    /// A table in HTML with a link for each, relative to the directory's own path.
    pub fn html_table(&self) -> String {
        let mut html = String::from(
            "<table><thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Size</th>\
             <th scope=\"col\">Changed (UTC)</th></tr></thead><tbody>\n",
        );
        for entry in &self.entries {
            entry.row(&mut html);
        }
        html.push_str("</tbody></table>\n");
        if self.entries.is_empty() {
            html.push_str("<p>This folder is empty.</p>\n");
        }
        if self.more {
            html.push_str("<p>There are more files than are shown.</p>\n");
        }
        html
    }
}

impl Entry {
    fn row(&self, html: &mut String) {
        let slash = if self.is_dir { "/" } else { "" };
        let name = self.name.to_string_lossy();
        let (name, link) = (escaped(&name), encoded(self.name.as_encoded_bytes()));
        let size = if self.is_dir {
            "–".to_owned()
        } else {
            sized(self.len)
        };
        // A name with a colon in it would be a scheme without the dot.
        let _infallible = write!(
            html,
            "<tr><td><a href=\"./{link}{slash}\">{name}{slash}</a></td><td>{size}</td><td>"
        );
        let since = self
            .modified
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        if let Some(since) = since {
            let date = HttpDate::from_unix(since.as_secs());
            let (day, time) = day_and_time(&date);
            let _infallible = write!(html, "<time datetime=\"{day}T{time}Z\">{day} {time}</time>");
        }
        html.push_str("</td></tr>\n");
    }
}

/// `1994-11-06` and `08:49`.
fn day_and_time(date: &HttpDate) -> (String, &str) {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let date = date.as_str();
    let month = MONTHS.find(&date[8..11]).map_or(0, |at| at / 3 + 1);
    (
        format!("{}-{month:02}-{}", &date[12..16], &date[5..7]),
        &date[17..22],
    )
}

const STYLE: &str = "\
:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}\
body{max-width:60rem;margin:0 auto;padding:1rem}\
h1{font-size:1.4rem;overflow-wrap:anywhere}\
table{width:100%;border-collapse:collapse}\
th,td{text-align:start;padding:.35rem .5rem;border-bottom:1px solid GrayText;vertical-align:top}\
td:first-child{overflow-wrap:anywhere}\
td:nth-child(n+2){white-space:nowrap;font-variant-numeric:tabular-nums}\
@media(max-width:32rem){th:nth-child(3),td:nth-child(3){display:none}}";

/// The page of a directory.
pub(super) fn page(entries: &Entries, prefix: &str, path: &Path) -> Response {
    let nonce = format!("{:016x}", RandomState::new().hash_one(0u8));
    let shown = path.to_string_lossy();
    let title = match &*shown {
        "" => format!("{prefix}/"),
        shown => format!("{prefix}/{shown}/"),
    };
    let title = escaped(&title);
    let up = if shown.is_empty() {
        ""
    } else {
        "<nav aria-label=\"Folders\"><a href=\"../\">Up one folder</a></nav>\n"
    };
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Files in {title}</title><link rel=\"icon\" href=\"data:,\">\
         <style nonce=\"{nonce}\">{STYLE}</style></head>\n<body>\n{up}<main>\n<h1>Files in {title}</h1>\n{}</main>\n</body>\n</html>\n",
        entries.html_table()
    );
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    let mut response = html.into_response();
    let headers = response.headers_mut();
    let fields = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, &policy),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fields {
        headers.insert(name, HeaderValue::from_str(value).expect("ASCII"));
    }
    response
}

/// Text that is only text in HTML, between quotes, too.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What would end the line, or turn the direction of what follows, is shown as what it is not.
            c if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A name in a path: all but what RFC 3986 calls unreserved is escaped.
fn encoded(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(*byte));
            }
            byte => {
                let _infallible = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// Bytes as people say them: `812 B`, `1.4 MiB`.
fn sized(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_and_links() {
        let entries = Entries {
            entries: vec![
                Entry {
                    name: "<b>&\"'\n\u{202e}".into(),
                    is_dir: true,
                    len: 0,
                    modified: None,
                },
                Entry {
                    name: "javascript:a b?#%.txt".into(),
                    is_dir: false,
                    len: 1536,
                    modified: Some(UNIX_EPOCH + std::time::Duration::from_secs(784_111_777)),
                },
            ],
            more: true,
        };
        let html = entries.html_table();
        for wanted in [
            "<a href=\"./%3Cb%3E%26%22%27%0A%E2%80%AE/\">&lt;b&gt;&amp;&quot;&#39;\u{fffd}\u{fffd}/</a></td><td>–</td><td></td>",
            "<a href=\"./javascript%3Aa%20b%3F%23%25.txt\">javascript:a b?#%.txt</a></td><td>1.5 KiB</td>\
             <td><time datetime=\"1994-11-06T08:49Z\">1994-11-06 08:49</time></td>",
            "There are more files",
        ] {
            assert!(html.contains(wanted), "{wanted} is not in {html}");
        }
        assert!(Entries::default().html_table().contains("empty"));
    }

    #[test]
    fn sizes_have_one_digit_behind_the_point() {
        assert_eq!(sized(1023), "1023 B");
        assert_eq!(sized(1024), "1.0 KiB");
        assert_eq!(sized(5 * 1024 * 1024 * 1024), "5.0 GiB");
    }
}
