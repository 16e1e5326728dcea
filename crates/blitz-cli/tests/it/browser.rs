//! Pages in a real browser: headless Chromium, spoken to over pipes.
//!
//! Skipped, and said so, where there is none; `BLITZ_BROWSER` names one that has another name.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long anything may take that should take no time.
const GUARD: Duration = Duration::from_secs(60);

const NAMES: [&str; 6] = [
    "chromium-headless-shell",
    "chrome-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Where a browser is.
pub(crate) fn browser() -> Option<PathBuf> {
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

/// A browser with one tab, or more.
pub(crate) struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    /// Events that came while an answer was waited for.
    events: VecDeque<Value>,
    /// The tab that is spoken to.
    session: Option<String>,
    last: u64,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub(crate) fn start(program: PathBuf) -> Browser {
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
        browser.tab();
        browser
    }

    /// Opens a tab, which is the one that is spoken to from here on.
    pub(crate) fn tab(&mut self) -> Tab {
        self.session = None;
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call("Target.attachToTarget", attach);
        let session = session["sessionId"].as_str().expect("a session").to_owned();
        self.session = Some(session.clone());
        for domain in ["Page", "Runtime", "Network", "Log"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        Tab(session)
    }

    /// Speaks to this tab from here on.
    pub(crate) fn turn_to(&mut self, tab: &Tab) {
        self.session = Some(tab.0.clone());
        self.call("Page.bringToFront", json!({}));
    }

    /// The width of a phone.
    pub(crate) fn is_a_phone(&mut self) {
        let phone = json!({"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true});
        self.call("Emulation.setDeviceMetricsOverride", phone);
    }

    /// Presses and releases a key that makes no letter.
    pub(crate) fn press(&mut self, key: &str, code: u32) {
        let mut text =
            json!({"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code});
        if key == "Enter" {
            text["text"] = json!("\r");
        }
        self.call("Input.dispatchKeyEvent", text);
        let up = json!({"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code});
        self.call("Input.dispatchKeyEvent", up);
    }

    /// Neither does the page scroll to the side, nor is any of its text hard to read, in both colour schemes.
    #[track_caller]
    pub(crate) fn assert_fits_and_reads(&mut self) {
        for scheme in ["light", "dark"] {
            let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
            self.call("Emulation.setEmulatedMedia", media);
            let wide = self.value(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth",
            );
            assert_eq!(wide, json!(0), "{scheme}");
            let weak = self.value(CONTRAST);
            assert_eq!(weak, json!([]), "{scheme}: text that is hard to read");
        }
    }

    #[track_caller]
    pub(crate) fn assert_all(&mut self, checks: &[(&str, &str)]) {
        for (what, expression) in checks {
            let holds = self.value(&format!("Boolean({expression})"));
            assert_eq!(holds, true, "{what}");
        }
    }

    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
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
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let ask = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", ask);
        let failed = answer.get("exceptionDetails");
        assert!(failed.is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true. Asking is answered between two frames of the page, so this is no busy loop.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, expression: &str) {
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
    pub(crate) fn complaints(&mut self, origin: &str) -> Vec<String> {
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
            Some("Network.webSocketCreated") => {
                let url = event["params"]["url"].as_str().unwrap_or_default();
                !url.replacen("ws", "http", 1).starts_with(origin)
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

/// A tab of a browser.
pub(crate) struct Tab(String);

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
