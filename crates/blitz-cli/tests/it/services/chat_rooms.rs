//! `chat_rooms`: a page in two tabs of a real browser.

use std::io::Read;
use std::process::Command;

use serde_json::json;

use super::{Service, backends};
use crate::browser::{Browser, Tab, browser};

/// Fills the form in by the keyboard, and enters.
fn enters(browser: &mut Browser, tab: &Tab, name: &str) {
    browser.turn_to(tab);
    browser.wait_for("document.querySelector('#name')");
    browser.value("document.querySelector('#name').focus()");
    browser.call("Input.insertText", json!({"text": name}));
    browser.press("Enter", 13);
    browser.wait_for("!document.querySelector('#inside').hidden");
}

fn says(browser: &mut Browser, tab: &Tab, text: &str) {
    browser.turn_to(tab);
    browser.wait_for("document.activeElement.id === 'text'");
    browser.call("Input.insertText", json!({"text": text}));
    browser.press("Enter", 13);
    browser.wait_for("document.querySelector('#text').value === ''");
}

/// Waits until this is all that a tab shows.
#[track_caller]
fn shows(browser: &mut Browser, tab: &Tab, lines: &[&str]) {
    browser.turn_to(tab);
    let all = json!(lines);
    browser.wait_for(&format!(
        "JSON.stringify([...document.querySelectorAll('#log li')].map((li) => li.textContent)) === JSON.stringify({all})"
    ));
}

#[test]
fn two_tabs_talk_to_each_other() {
    let Some(program) = browser() else { return };
    for backend in backends() {
        let mut service = Service::start(backend, "chat_rooms", &["--addr", "127.0.0.1:0"]);
        let origin = format!("http://{}/", service.address);
        let mut browser = Browser::start(program.clone());
        let tabs = [browser.tab(), browser.tab()];
        for tab in &tabs {
            browser.turn_to(tab);
            browser.is_a_phone();
            browser.call("Page.navigate", json!({"url": origin}));
            browser.wait_for(
                "document.querySelector('#state')?.textContent === 'Choose a name and a room.'",
            );
            browser.assert_fits_and_reads();
        }
        let [ann, bob] = &tabs;
        enters(&mut browser, ann, "ann");
        shows(&mut browser, ann, &["ann came in."]);
        enters(&mut browser, bob, "bob");
        says(&mut browser, bob, "hello");
        // What is markup elsewhere is text here, and letters of all kinds arrive.
        says(&mut browser, ann, "<b>grüße</b> 你好");
        let heard = ["bob came in.", "bob: hello", "ann: <b>grüße</b> 你好"];
        shows(&mut browser, bob, &heard);
        let long = "long-word-".repeat(80);
        says(&mut browser, bob, &long);
        let long = format!("bob: {long}");
        let heard = [&["ann came in."], &heard[..], &[&long]].concat();
        shows(&mut browser, ann, &heard);
        browser.wait_for("document.querySelector('#here').textContent === 'ann, bob'");
        browser.assert_fits_and_reads();
        browser.assert_all(&[
            ("a language", "document.documentElement.lang === 'en'"),
            ("a title", "document.title === 'Chat rooms'"),
            ("one main landmark", "document.querySelectorAll('main').length === 1"),
            ("one first heading", "document.querySelectorAll('h1').length === 1"),
            (
                "fields with labels",
                "[...document.querySelectorAll('input')].every((i) => i.labels.length === 1)",
            ),
            (
                "buttons with names, large enough",
                "[...document.querySelectorAll('#say button')].every((b) => b.textContent.trim() && b.getBoundingClientRect().height >= 44)",
            ),
            (
                "what is said is told to who cannot see it",
                "document.querySelector('#log').getAttribute('role') === 'log'",
            ),
        ]);
        // One leaves, and the other sees it; then the server ends and says so.
        browser.turn_to(bob);
        browser.value("document.querySelector('#leave').click()");
        browser.wait_for("document.querySelector('#state').textContent === 'You have left.'");
        browser.turn_to(ann);
        browser.wait_for(
            "document.querySelector('#log').lastElementChild.textContent === 'bob left.'",
        );
        browser.wait_for("document.querySelector('#here').textContent === 'ann'");
        let id = service.child.id().to_string();
        let sent = Command::new("kill").args(["-s", "INT", &id]).status();
        assert!(sent.expect("kill starts").success());
        browser
            .wait_for("document.querySelector('#state').textContent === 'The server has ended.'");
        let mut rest = String::new();
        service.stdout.read_to_string(&mut rest).expect("text");
        // Whoever was there heard them: one, two, two, two, two, and one. The last one out told nobody.
        assert!(
            rest.starts_with("ended; cut 0 connections; said 6 messages, 10 deliveries, 0 dropped"),
            "{rest}"
        );
        let complaints = browser.complaints(&origin);
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}
