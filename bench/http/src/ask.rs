//! What is asked in a row, as bytes and as a program for wrk.

use std::net::SocketAddr;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Plain,
    Json,
    /// With the fields that a browser sends, a KiB of them.
    Browser,
    /// With a field that is another in each request (W3C Trace Context), as proxies and traced clients send: no two requests are alike.
    Traced,
    /// A body of 10 KiB, which comes back.
    Body,
}

/// How it is asked.
#[derive(Clone, Copy)]
pub struct Load {
    pub ask: Ask,
    pub connections: usize,
    /// Requests that are sent together.
    pub depth: usize,
}

/// What came of it.
pub struct Done {
    pub requests: f64,
    pub seconds: f64,
}

pub const BODY: usize = 10 * 1024;

/// What a browser sends; may_minihttp takes 16 fields and no more.
const FIELDS: [(&str, &str); 13] = [
    (
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
    ),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7"),
    ("Cache-Control", "max-age=0"),
    (
        "Cookie",
        "session=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef; theme=dark; consent=necessary%2Cstatistics; first_visit=1764230400",
    ),
    (
        "Referer",
        "https://www.example.com/search?q=an+asynchronous+runtime+on+io_uring&page=2",
    ),
    (
        "Sec-Ch-Ua",
        "\"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\"",
    ),
    ("Sec-Ch-Ua-Platform", "\"Linux\""),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Upgrade-Insecure-Requests", "1"),
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    ),
];

/// A count in the place of what is random, in the length and the digits of the standard.
const TRACED: &str = r#"
local count, batch = 0, {}
local template
init = function(args)
  wrk.headers["Traceparent"] = "@"
  template = wrk.format("GET", path):gsub("%%", "%%%%"):gsub("@", "00-4bf92f3577b34da6a3ce929d%%08x-00f067aa%%08x-01")
end
request = function()
  for i = 1, depth do
    count = count + 1
    batch[i] = template:format(count, count)
  end
  return table.concat(batch)
end
"#;

impl Load {
    pub fn path(&self) -> &'static str {
        match self.ask {
            Ask::Plain | Ask::Browser | Ask::Traced => "/",
            Ask::Json => "/json",
            Ask::Body => "/echo",
        }
    }

    fn fields(&self) -> &'static [(&'static str, &'static str)] {
        match self.ask {
            Ask::Browser => &FIELDS,
            _ => &[],
        }
    }

    /// Whether one request is as good as another; else it takes wrk to make them.
    pub fn is_alike(&self) -> bool {
        self.ask != Ask::Traced
    }

    /// One request, as it goes out.
    pub fn request(&self, addr: SocketAddr) -> Vec<u8> {
        let method = if self.ask == Ask::Body { "POST" } else { "GET" };
        let mut text = format!("{method} {} HTTP/1.1\r\nHost: {addr}\r\n", self.path());
        for (name, value) in self.fields() {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.ask == Ask::Body {
            text.push_str(&format!("Content-Length: {BODY}\r\n"));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        if self.ask == Ask::Body {
            bytes.extend(std::iter::repeat_n(b'x', BODY));
        }
        bytes
    }

    /// The same as a program for wrk.
    pub fn script(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.fields() {
            text.push_str(&format!("wrk.headers[{name:?}] = {value:?}\n"));
        }
        if self.ask == Ask::Body {
            text.push_str(&format!(
                "wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", {BODY})\n"
            ));
        }
        if !self.is_alike() {
            text.push_str(&format!(
                "local depth, path = {}, {:?}\n",
                self.depth,
                self.path()
            ));
            text.push_str(TRACED);
        } else if self.depth > 1 {
            text.push_str(&format!(
                "init = function(args)\n  local one = wrk.format()\n  batch = string.rep(one, {})\nend\nrequest = function() return batch end\n",
                self.depth
            ));
        }
        text
    }
}
