//! The table of reasons: why a test is not passed.

use std::fs;
use std::path::Path;

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    /// The test, or the start of a name with `*` behind it.
    name: String,
    place: String,
    pub(crate) cause: String,
    /// The test passes on some runs.
    pub(crate) sometimes: bool,
}

/// The whole table.
pub(crate) struct Reasons {
    lines: Vec<Reason>,
}

impl Reasons {
    /// Reads the table at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or a line is not `name | where | cause`.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        Self::parse(&text).map_err(|(line, says)| format!("{}:{line}: {says}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let parts: Vec<_> = line.splitn(3, '|').map(str::trim).collect();
            let &[name, place, cause] = &parts[..] else {
                return Err((
                    index + 1,
                    "a line is `crate file::test | where | cause`".to_owned(),
                ));
            };
            if !["tokio", "all", "io_uring", "epoll"].contains(&place) {
                return Err((
                    index + 1,
                    format!("`{place}` is neither tokio, all, io_uring nor epoll"),
                ));
            }
            let (sometimes, cause) = match cause.strip_prefix("sometimes ") {
                Some(cause) => (true, cause),
                None => (false, cause),
            };
            if cause.is_empty() {
                return Err((index + 1, "there is no cause".to_owned()));
            }
            let (name, place, cause) = (name.to_owned(), place.to_owned(), cause.to_owned());
            lines.push(Reason {
                name,
                place,
                cause,
                sometimes,
            });
        }
        Ok(Self { lines })
    }

    /// Why `test` is not passed at `place`: on `tokio`, or on one of our back ends.
    pub(crate) fn of(&self, test: &str, place: &str) -> Option<&Reason> {
        self.lines
            .iter()
            .find(|line| line.is_of(test) && line.is_at(place))
    }

    pub(crate) fn lines(&self) -> &[Reason] {
        &self.lines
    }
}

impl Reason {
    pub(crate) fn is_of(&self, test: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(start) => test.starts_with(start),
            None => self.name == test,
        }
    }

    pub(crate) fn is_at(&self, place: &str) -> bool {
        self.place == place || (self.place == "all" && place != "tokio")
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} | {}", self.name, self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_found_by_name_by_start_and_by_place() {
        let table = "# words\n\ntokio a::b | epoll | slow | very\ntokio dump::* | all | sometimes no names\ntokio net | tokio | no network\n";
        let table = Reasons::parse(table).ok().unwrap();
        assert_eq!(
            table.of("tokio a::b", "epoll").unwrap().cause,
            "slow | very"
        );
        assert!(table.of("tokio a::b", "io_uring").is_none());
        assert!(table.of("tokio a::bc", "epoll").is_none());
        let dump = table.of("tokio dump::x", "io_uring").unwrap();
        assert_eq!((dump.cause.as_str(), dump.sometimes), ("no names", true));
        assert!(table.of("tokio dump::x", "tokio").is_none());
        assert!(table.of("tokio net", "tokio").is_some());
        assert!(table.of("tokio net", "epoll").is_none());
    }

    #[test]
    fn a_line_without_a_cause_is_refused() {
        for line in [
            "tokio a",
            "tokio a | all",
            "tokio a | all |",
            "tokio a | kqueue | x",
        ] {
            assert!(Reasons::parse(line).is_err(), "{line}");
        }
    }
}
