//! The options of `blitz serve`.

use super::log::Format;
use crate::args::Args;
use std::time::Duration;

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) dir: String,
    pub(super) addr: Option<String>,
    pub(super) tls: bool,
    pub(super) cert: Option<String>,
    pub(super) key: Option<String>,
    pub(super) log: Format,
    pub(super) workers: Option<usize>,
    pub(super) grace: Duration,
    pub(super) dotfiles: bool,
    pub(super) listing: bool,
    pub(super) fallback: Option<String>,
    pub(super) allow_hosts: Vec<String>,
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// When one is wrong; the message names it.
    pub(super) fn parse(words: &[&str]) -> Result<Options, String> {
        let mut args = Args::new("blitz serve", words);
        let json = args.flag("--json");
        let tls = args.flag("--tls");
        let dotfiles = args.flag("--dotfiles");
        let listing = !args.flag("--no-listing");
        let addr: Option<String> = args.optional("--addr", "HOST:PORT")?;
        let cert: Option<String> = args.optional("--cert", "a file")?;
        let key: Option<String> = args.optional("--key", "a file")?;
        let log: Option<Format> = args.optional("--log", "common, combined, json or none")?;
        let workers: Option<usize> = args.optional("--workers", "a number of threads")?;
        let grace = args.value("--grace", "a number of seconds", 10.0)?;
        let fallback = args.optional("--fallback", "the name of a file below DIR")?;
        let hosts: Option<String> =
            args.optional("--allow-host", "a name, or several by commas")?;
        let dir = args.optional_name().unwrap_or_else(|| ".".to_owned());
        args.end()?;
        if let Some(addr) = &addr {
            let port = addr.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(_))) {
                return Err(format!(
                    "--addr wants HOST:PORT, as in 127.0.0.1:8000 or [::]:8000, not `{addr}`"
                ));
            }
        }
        if cert.is_some() != key.is_some() {
            return Err("--cert and --key go together".to_owned());
        }
        let log = match (json, log) {
            (true, Some(log)) if log != Format::Json => {
                return Err("--json and another --log contradict each other".to_owned());
            }
            (true, _) => Format::Json,
            (false, log) => log.unwrap_or(Format::Common),
        };
        if workers == Some(0) {
            return Err("--workers wants at least 1".to_owned());
        }
        let grace = Duration::try_from_secs_f64(grace)
            .map_err(|_| format!("--grace wants a number of seconds, not `{grace}`"))?;
        let hosts = hosts.unwrap_or_default();
        let hosts = hosts
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty());
        Ok(Options {
            dir,
            addr,
            tls: tls || cert.is_some(),
            cert,
            key,
            log,
            workers,
            grace,
            dotfiles,
            listing,
            fallback,
            allow_hosts: hosts.map(str::to_ascii_lowercase).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_default() {
        let options = Options::parse(&[]).expect("nothing is wanted");
        assert_eq!((options.dir.as_str(), options.log), (".", Format::Common));
        assert!(options.listing && !options.dotfiles && options.addr.is_none());
        let words = [
            "site",
            "--json",
            "--addr",
            "[::1]:0",
            "--grace=0.5",
            "--allow-host",
            "A.test, b.test",
        ];
        let options = Options::parse(&words).expect("all of it is right");
        assert_eq!((options.dir.as_str(), options.log), ("site", Format::Json));
        assert_eq!(options.grace, Duration::from_millis(500));
        assert_eq!(options.allow_hosts, ["a.test", "b.test"]);
    }

    #[test]
    fn mistakes_are_named() {
        for (words, said) in [
            (&["--addr", "8000"][..], "HOST:PORT"),
            (&["--addr", "localhost:http"], "HOST:PORT"),
            (&["--addr"], "--addr wants"),
            (&["--log", "xml"], "common, combined, json or none"),
            (&["--json", "--log", "common"], "contradict"),
            (&["--workers", "0"], "at least 1"),
            (&["--tls", "--key", "k.pem"], "go together"),
            (&["--grace", "-1"], "--grace"),
            (&["a", "b"], "`b`"),
            (&["--port", "80"], "`--port`"),
        ] {
            let error = Options::parse(words).expect_err("it is wrong");
            assert!(error.contains(said), "{words:?}: {error}");
        }
    }
}
