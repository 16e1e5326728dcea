//! The start page in a real browser.

use super::{Server, folder};
use crate::browser::{Browser, browser};
use serde_json::json;

#[test]
fn the_start_page_lives_fits_a_phone_and_asks_nobody_else() {
    let Some(program) = browser() else { return };
    let folder = folder();
    let long = format!("{}.txt", "long-name-".repeat(20));
    std::fs::write(folder.path().join(long), "x").expect("a file");
    let server = Server::start(folder.path(), &["--log", "none"]);
    let origin = format!("http://{}/", server.addr);
    let mut browser = Browser::start(program);
    browser.is_a_phone();
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

    // The keyboard reaches the skip link first, which shows itself then.
    browser.press("Tab", 9);
    browser.wait_for("document.activeElement.className === 'skip' && document.activeElement.getBoundingClientRect().left >= 0");

    // A message goes there and back, typed as a person would, and is counted.
    browser.wait_for("document.querySelector('#socket-state').textContent.startsWith('Connected, with compression')");
    let begun = browser.value("document.querySelector('#ws-received').textContent");
    assert_eq!(begun, json!("0"));
    browser.value("document.querySelector('#message').select()");
    let text = "grüße, ".repeat(30);
    browser.call("Input.insertText", json!({"text": text}));
    browser.press("Enter", 13);
    let back = json!(text);
    browser.wait_for(&format!(
        "document.querySelector('#echoed').textContent === {back}"
    ));
    browser.wait_for("document.querySelector('#took').textContent.endsWith(' ms')");
    browser.wait_for("document.querySelector('#ws-received').textContent === '1'");
    browser.wait_for("document.querySelector('#ws-sent').textContent === '1'");
    browser.wait_for("document.querySelector('#sockets').textContent === '1'");

    // Phone width, without a scroll to the side, in both colour schemes.
    browser.assert_fits_and_reads();

    // What assistive technology needs to find its way.
    browser.assert_all(&[
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
            "fields with labels",
            "[...document.querySelectorAll('input')].every((i) => i.labels.length === 1)",
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
    ]);
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
