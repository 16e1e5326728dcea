//! The options of a command: `--name value` or `--name=value`, each read once.

use std::str::FromStr;

/// The options that are left to be read.
#[derive(Debug)]
pub(crate) struct Args<'a> {
    command: &'static str,
    words: Vec<&'a str>,
}

impl<'a> Args<'a> {
    pub(crate) fn new(command: &'static str, words: &[&'a str]) -> Self {
        Args {
            command,
            words: words.to_vec(),
        }
    }

    /// The option stands there without a value.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|word| *word != name);
        self.words.len() != before
    }

    /// The value of an option, or `default` when it is not given.
    ///
    /// # Errors
    /// When the value is missing or is none of the kind; the message names the option.
    pub(crate) fn value<T: FromStr>(
        &mut self,
        name: &str,
        kind: &str,
        default: T,
    ) -> Result<T, String> {
        Ok(self.optional(name, kind)?.unwrap_or(default))
    }

    /// The value of an option that need not be given.
    ///
    /// # Errors
    /// As [`value`](Args::value).
    pub(crate) fn optional<T: FromStr>(
        &mut self,
        name: &str,
        kind: &str,
    ) -> Result<Option<T>, String> {
        let Some(at) = self
            .words
            .iter()
            .position(|word| word.split('=').next() == Some(name))
        else {
            return Ok(None);
        };
        let word = self.words.remove(at);
        let value = match word.split_once('=') {
            Some((_, value)) => value,
            None if at < self.words.len() => self.words.remove(at),
            None => return Err(format!("{name} wants {kind} behind it")),
        };
        let plain: String = value.chars().filter(|c| *c != '_').collect();
        let parsed = value.parse().or_else(|_| plain.parse());
        parsed
            .map(Some)
            .map_err(|_| format!("{name} wants {kind}, not `{value}`"))
    }

    /// The one word that is no option. To be read after the options that have values.
    ///
    /// # Errors
    /// When it is missing; the message names the command.
    pub(crate) fn name(&mut self, kind: &str) -> Result<String, String> {
        let name = self.optional_name();
        name.ok_or_else(|| format!("`{}` wants {kind}", self.command))
    }

    /// The same, if it need not be given.
    pub(crate) fn optional_name(&mut self) -> Option<String> {
        let at = self.words.iter().position(|word| !word.starts_with("--"))?;
        Some(self.words.remove(at).to_owned())
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// When an option was given that this command does not know.
    pub(crate) fn end(self) -> Result<(), String> {
        match self.words.first() {
            None => Ok(()),
            Some(word) => Err(format!(
                "`{}` does not know `{word}`; `{} --help` lists the options",
                self.command, self.command
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_and_defaults() {
        let mut args = Args::new("x", &["--a", "5", "--b=1_000", "--flag"]);
        assert_eq!(args.value("--a", "a number", 0), Ok(5));
        assert_eq!(args.value("--b", "a number", 0), Ok(1000));
        assert_eq!(args.value("--c", "a number", 7), Ok(7));
        assert!(args.flag("--flag"));
        assert_eq!(args.end(), Ok(()));
    }

    #[test]
    fn one_word_is_no_option() {
        let mut args = Args::new("x", &["--a", "5", "name", "--flag"]);
        assert_eq!(args.value("--a", "a number", 0), Ok(5));
        assert_eq!(args.name("a name"), Ok("name".to_owned()));
        assert_eq!(args.name("a name"), Err("`x` wants a name".to_owned()));
        assert!(args.end().is_err());
    }

    #[test]
    fn mistakes_name_the_option() {
        let mut args = Args::new("x", &["--a"]);
        assert_eq!(
            args.value("--a", "a number", 0),
            Err("--a wants a number behind it".to_owned())
        );
        let mut args = Args::new("x", &["--a", "many"]);
        assert_eq!(
            args.value("--a", "a number", 0),
            Err("--a wants a number, not `many`".to_owned())
        );
        let error = Args::new("x", &["--conections"])
            .end()
            .expect_err("it is unknown");
        assert!(error.contains("--conections"), "{error}");
    }
}
