//! Public servers over the open net, where there is one: with the platform's verifier, and the environment's proxies.
//!
//! The net is nobody's business here: whatever it does not let through is said and left out. What comes through has to be right.

use blitz_http::Client;
use std::time::Duration;

/// How long a site may take for everything.
const PATIENCE: Duration = Duration::from_secs(3);

/// The last ones are reached from many machines that reach nothing else: packages are built there.
const SITES: [&str; 6] = [
    "www.rust-lang.org",
    "letsencrypt.org",
    "example.com",
    "static.crates.io",
    "pypi.org",
    "deb.debian.org",
];

/// Asks a site; false if it could not be reached, or somebody else has answered in its place.
async fn visit(site: &str) -> bool {
    let client = Client::builder().timeout(PATIENCE).build();
    let client = client.expect("an environment without nonsense");
    let asked = client.head(format!("https://{site}/")).send().await;
    let response = match asked {
        Ok(response) => response,
        Err(error) => {
            eprintln!("{site} is left out: {}", error.chain());
            return false;
        }
    };
    let timings = response.timings();
    assert!(timings.tls.is_some(), "{site}: {timings:?}");
    eprintln!("{site}: {} after {timings:?}", response.status());
    if let Some(peer) = response.peer_addr() {
        // Under a name that is not its own, whatever else is wrong with what it shows then.
        let other = Client::builder().no_proxy().timeout(PATIENCE);
        let other = other.resolve("wrong.host.example", &[peer]);
        let other = other.build().expect("a client");
        let asked = other.head("https://wrong.host.example/").send().await;
        asked.expect_err("nobody has a certificate for that name");
    }
    true
}

#[test]
fn public_servers_are_trusted_by_their_own_names_alone() {
    let runtime = blitz_io::runtime::Runtime::new().expect("a runtime");
    let reached = runtime.block_on(async {
        let visits = SITES.map(|site| blitz_io::spawn(visit(site)));
        let mut reached = false;
        for visit in visits {
            reached |= visit.await.expect("no panic");
        }
        reached
    });
    if !reached {
        eprintln!("skipped: no public server can be reached from here");
    }
}
