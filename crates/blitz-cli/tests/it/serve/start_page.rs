//! The start page in a real browser: headless Chromium, spoken to over pipes.
//!
//! Skipped, and said so, where there is none; `BLITZ_BROWSER` names one that has another name.

use super::{GUARD, Server, folder};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

const NAMES: [&str; 6] = [
    "chromium-headless-shell",
    "chrome-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Where a browser is.
fn browser() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("BLITZ_BROWSER") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let found = NAMES.iter().find_map(|name| {
        let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
        places.find(|place| place.is_file())
    });
    if found.is_none() {
        eprintln!(
            "skipped: no Chromium is installed here (looked for {})",
            NAMES.join(", ")
        );
    }
    found
}

/// A browser with one page.
struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    /// Events that came while an answer was waited for.
    events: VecDeque<Value>,
    session: Option<String>,
    last: u64,
    _profile: tempfile::TempDir,
}

impl Browser {
    fn start(program: PathBuf) -> Browser {
        let profile = tempfile::tempdir().expect("a folder");
        // It reads commands from descriptor 3 and writes what it has to say to 4, each message ended by a zero.
        let mut child = Command::new("sh")
            .args([
                "-c",
                "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
            ])
            .arg(program)
            .args([
                "--headless",
                "--remote-debugging-pipe",
                // Where root may not be confined, and where /dev/shm is small; the page is our own.
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (send, messages) = channel();
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while output
                .read_until(0, &mut message)
                .is_ok_and(|read| read > 0)
            {
                let message = std::mem::take(&mut message);
                let message = message.strip_suffix(&[0]).unwrap_or(&message);
                let message = serde_json::from_slice(message).expect("JSON");
                // The test is over.
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Browser {
            commands: child.stdin.take().expect("it is piped"),
            child,
            messages,
            events: VecDeque::new(),
            session: None,
            last: 0,
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).expect("it listens");
        loop {
            let message = match self.messages.recv_timeout(GUARD) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => panic!("{method} was not answered"),
                Err(RecvTimeoutError::Disconnected) => panic!("the browser ended at {method}"),
            };
            if message["id"] == self.last {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push_back(message);
        }
    }

    /// What an expression is, promises awaited.
    fn value(&mut self, expression: &str) -> Value {
        let ask = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", ask);
        let failed = answer.get("exceptionDetails");
        assert!(failed.is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true. Asking is answered between two frames of the page, so this is no busy loop.
    #[track_caller]
    fn wait_for(&mut self, expression: &str) {
        let begun = Instant::now();
        let frame = "new Promise((done) => setTimeout(done, 20))";
        while self.value(&format!("{frame}.then(() => Boolean({expression}))")) != true {
            let page = || "document.body.innerText";
            assert!(
                begun.elapsed() < GUARD,
                "{expression}: {}",
                self.value(page())
            );
        }
    }

    /// Whatever the page, or the browser on its behalf, has complained about or asked for elsewhere.
    fn complaints(&mut self, origin: &str) -> Vec<String> {
        let is_error = |event: &Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Network.loadingFailed") => true,
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            Some("Runtime.consoleAPICalled") => {
                event["params"]["type"] == "error" || event["params"]["type"] == "warning"
            }
            Some("Network.requestWillBeSent") => {
                let url = event["params"]["request"]["url"]
                    .as_str()
                    .unwrap_or_default();
                !url.starts_with(origin) && !url.starts_with("data:")
            }
            _ => false,
        };
        self.events
            .drain(..)
            .filter(is_error)
            .map(|event| event.to_string())
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_start_page_lives_fits_a_phone_and_asks_nobody_else() {
    let Some(program) = browser() else { return };
    let folder = folder();
    let long = format!("{}.txt", "long-name-".repeat(20));
    std::fs::write(folder.path().join(long), "x").expect("a file");
    let server = Server::start(folder.path(), &["--log", "none"]);
    let origin = format!("http://{}/", server.addr);
    let mut browser = Browser::start(program);
    let phone = json!({"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true});
    browser.call("Emulation.setDeviceMetricsOverride", phone);
    browser.call("Page.navigate", json!({"url": origin}));

    // Live: the figures move by themselves.
    browser.wait_for("document.querySelector('#state')?.textContent.startsWith('Connected')");
    browser.wait_for("document.querySelector('#uptime').textContent !== '–'");
    let uptime = browser.value("document.querySelector('#uptime').textContent");
    browser.wait_for(&format!(
        "document.querySelector('#uptime').textContent !== {uptime}"
    ));
    browser.wait_for("document.querySelectorAll('#workers tr').length > 0");
    browser.wait_for("document.querySelector('#rate').textContent !== '–'");
    // And when something is done.
    let number = "Number(document.querySelector('#requests').textContent.replaceAll(',', ''))";
    let before = browser.value(number).as_f64().expect("a number");
    browser.value("document.querySelector('#load').click()");
    browser.wait_for("document.querySelector('#loaded').textContent.startsWith('1,000 answers')");
    browser.wait_for(&format!("{number} >= {before} + 1000"));
    browser.wait_for("document.querySelector('#chart').getAttribute('points').includes(' ')");

    // Phone width, without a scroll to the side, in both colour schemes.
    for scheme in ["light", "dark"] {
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.call("Emulation.setEmulatedMedia", media);
        let wide = browser
            .value("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(wide, json!(0), "{scheme}");
        let weak = browser.value(CONTRAST);
        assert_eq!(weak, json!([]), "{scheme}: text that is hard to read");
    }

    // What assistive technology needs to find its way.
    for (what, expression) in [
        ("a language", "document.documentElement.lang === 'en'"),
        ("a title", "document.title.startsWith('blitz serve: ')"),
        (
            "one main landmark",
            "document.querySelectorAll('main').length === 1",
        ),
        (
            "a header and a footer",
            "document.querySelector('body > header') && document.querySelector('body > footer')",
        ),
        (
            "one first heading",
            "document.querySelectorAll('h1').length === 1",
        ),
        (
            "sections with names",
            "[...document.querySelectorAll('section')].every((s) => document.getElementById(s.getAttribute('aria-labelledby'))?.textContent)",
        ),
        (
            "buttons with names",
            "[...document.querySelectorAll('button')].every((b) => b.textContent.trim())",
        ),
        (
            "meters with names",
            "[...document.querySelectorAll('meter')].every((m) => m.getAttribute('aria-label'))",
        ),
        (
            "tables with heads",
            "[...document.querySelectorAll('table')].every((t) => t.querySelector('th[scope=col]'))",
        ),
        (
            "a picture with a name",
            "document.getElementById(document.querySelector('svg').getAttribute('aria-labelledby')).textContent.includes('requests a second')",
        ),
        (
            "no id twice",
            "new Set([...document.querySelectorAll('[id]')].map((e) => e.id)).size === document.querySelectorAll('[id]').length",
        ),
        (
            "the file",
            "document.querySelector('main a[href=\"./a.txt\"]')",
        ),
        (
            "targets large enough",
            "document.querySelector('#load').getBoundingClientRect().height >= 44",
        ),
    ] {
        assert_eq!(
            browser.value(&format!("Boolean({expression})")),
            true,
            "{what}"
        );
    }
    // The keyboard reaches the skip link first, which shows itself then.
    for kind in ["keyDown", "keyUp"] {
        let key = json!({"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9});
        browser.call("Input.dispatchKeyEvent", key);
    }
    browser.wait_for("document.activeElement.className === 'skip' && document.activeElement.getBoundingClientRect().left >= 0");

    // A listing below it, under the same eyes.
    std::fs::create_dir(folder.path().join("sub")).expect("a folder");
    std::fs::write(folder.path().join("sub/<b>.txt"), "x").expect("a file");
    browser.call("Page.navigate", json!({"url": format!("{origin}sub/")}));
    browser.wait_for("document.querySelector('main a')?.textContent === '<b>.txt'");
    let width = browser.value("getComputedStyle(document.body).maxWidth");
    assert_eq!(width, json!("960px"), "its style was not taken");
    let wide = browser
        .value("document.documentElement.scrollWidth - document.documentElement.clientWidth");
    assert_eq!(wide, json!(0));

    let complaints = browser.complaints(&origin);
    // The live connection is given up when the page is left.
    let complaints: Vec<_> = complaints
        .iter()
        .filter(|said| !said.contains("ERR_ABORTED"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// The elements with text of their own whose colour is nearer to what is behind them than 4.5 to 1 (WCAG 2.2, 1.4.3).
const CONTRAST: &str = r"(() => {
  const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const line = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * line(r) + 0.7152 * line(g) + 0.0722 * line(b);
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parts(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  return [...document.body.querySelectorAll('*')].filter((e) => own(e) && e.getClientRects().length && !e.closest('svg')).filter((e) => {
    const [a, b] = [light(parts(getComputedStyle(e).color)), light(behind(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
  }).map((e) => e.outerHTML.slice(0, 200));
})()";
