//! A request: an object of texts and numbers.
//!
//! Nothing in it may be an object or a list itself, so nothing here recurs, and a line's length bounds what it costs.

use std::str;

/// A value in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime::inspect) enum Word {
    /// A text.
    Text(String),
    /// A number; `None` for one that is no whole number from 0 to `u64::MAX`.
    Number(Option<u64>),
    /// `true`, `false` or `null`.
    Other,
}

/// Reads the object that `line` is, key by key. A key may come twice; who asks for it decides.
///
/// # Errors
/// What is wrong with it, as a phrase.
pub(in crate::runtime::inspect) fn object(
    line: &[u8],
) -> Result<Vec<(String, Word)>, &'static str> {
    let text = str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let mut rest = Rest(text);
    let mut fields = Vec::new();
    rest.expect('{', "an object begins with `{`")?;
    if !rest.take('}') {
        loop {
            let key = rest.text()?;
            rest.expect(':', "behind a key stands `:`")?;
            fields.push((key, rest.word()?));
            if !rest.take(',') {
                break;
            }
        }
        rest.expect('}', "an object ends with `}`")?;
    }
    rest.skip_space();
    if rest.0.is_empty() {
        Ok(fields)
    } else {
        Err("something stands behind the object")
    }
}

/// What has not been read.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn skip_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Goes past `c`, if it comes next.
    fn take(&mut self, c: char) -> bool {
        self.skip_space();
        let rest = self.0.strip_prefix(c);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, c: char, or: &'static str) -> Result<(), &'static str> {
        self.take(c).then_some(()).ok_or(or)
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.0.chars();
        let next = chars.next();
        self.0 = chars.as_str();
        next
    }

    fn word(&mut self) -> Result<Word, &'static str> {
        self.skip_space();
        match self.0.as_bytes().first() {
            Some(b'"') => self.text().map(Word::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for name in ["true", "false", "null"] {
                    if let Some(rest) = self.0.strip_prefix(name) {
                        self.0 = rest;
                        return Ok(Word::Other);
                    }
                }
                Err("a value is a text in quotation marks or a number")
            }
        }
    }

    /// Goes past digits; answers how many there were.
    fn digits(&mut self) -> usize {
        let rest = self.0.trim_start_matches(|c: char| c.is_ascii_digit());
        let count = self.0.len() - rest.len();
        self.0 = rest;
        count
    }

    fn number(&mut self) -> Result<Word, &'static str> {
        let wrong = Err("a number is written as JSON writes it");
        let all = self.0;
        let sign = usize::from(self.0.starts_with('-'));
        self.0 = &self.0[sign..];
        let begins_with_zero = self.0.starts_with('0');
        let whole = self.digits();
        if whole == 0 || (begins_with_zero && whole > 1) {
            return wrong;
        }
        if let Some(rest) = self.0.strip_prefix('.') {
            self.0 = rest;
            if self.digits() == 0 {
                return wrong;
            }
        }
        if let Some(rest) = self.0.strip_prefix(['e', 'E']) {
            self.0 = rest.strip_prefix(['+', '-']).unwrap_or(rest);
            if self.digits() == 0 {
                return wrong;
            }
        }
        let text = &all[..all.len() - self.0.len()];
        // `-0`, fractions and exponents are numbers too, and no counts.
        Ok(Word::Number(text.parse().ok()))
    }

    fn text(&mut self) -> Result<String, &'static str> {
        self.expect('"', "a key or a text begins with a quotation mark")?;
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err("a text has no end"),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(c) if c < ' ' => return Err("a control character stands in a text"),
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, &'static str> {
        Ok(match self.next() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let first = self.unit()?;
                let is_pair = (0xd800..0xdc00).contains(&first) && self.0.starts_with("\\u");
                let second = if is_pair {
                    self.0 = &self.0[2..];
                    Some(self.unit()?)
                } else {
                    None
                };
                let mut units = char::decode_utf16([first].into_iter().chain(second));
                match (units.next(), units.next()) {
                    (Some(Ok(c)), None) => c,
                    _ => return Err("half a pair of surrogates stands in a text"),
                }
            }
            _ => return Err("there is no such escape"),
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u16, &'static str> {
        let digits = self.0.get(..4).filter(|digits| {
            let mut bytes = digits.bytes();
            bytes.all(|digit| digit.is_ascii_hexdigit())
        });
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or("four hexadecimal digits follow `\\u`")?;
        self.0 = &self.0[4..];
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// What `serde_json` makes of it, if that is a request.
    fn expected(line: &[u8]) -> Option<BTreeMap<String, Word>> {
        let Ok(Value::Object(object)) = serde_json::from_slice(line) else {
            return None;
        };
        let fields = object.into_iter().map(|(key, value)| {
            let word = match value {
                Value::String(text) => Word::Text(text),
                Value::Number(number) => Word::Number(number.as_u64()),
                Value::Bool(_) | Value::Null => Word::Other,
                Value::Array(_) | Value::Object(_) => return None,
            };
            Some((key, word))
        });
        fields.collect()
    }

    fn assert_as_expected(line: &[u8]) {
        let is_out_of_range =
            |error: &serde_json::Error| error.to_string().contains("out of range");
        if serde_json::from_slice::<Value>(line).is_err_and(|error| is_out_of_range(&error)) {
            // A number beyond what it can hold is one all the same.
            return;
        }
        // As in `serde_json`'s maps the last of equal keys counts.
        let read = object(line).ok().map(BTreeMap::from_iter);
        assert_eq!(read, expected(line), "{}", String::from_utf8_lossy(line));
    }

    /// Lines that are made of a request's pieces: most are nearly one.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\\",
            "\\u",
            "\\n",
            "\\/",
            "d83e",
            "dd80",
            "DC00",
            "0000",
            "0",
            "7",
            "-",
            ".",
            "e",
            "E",
            "+",
            "true",
            "null",
            "\"get\"",
            "\"a\":",
            "\"b\":1",
            "1e",
            "1.5",
            "18446744073709551615",
            " ",
            "\t",
            "\r\n",
            "\u{b}",
            "\u{1}",
            "é",
            "🦀",
            "\"every_ms\":50",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    fn text() -> impl Strategy<Value = String> {
        prop::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_as_another_reader_reads_them(line: Vec<u8>) {
            assert_as_expected(&line);
        }

        #[test]
        fn nearly_requests_are_read_as_another_reader_reads_them(inner in pieces()) {
            assert_as_expected(inner.as_bytes());
            assert_as_expected(format!("{{\"a\":{inner}}}").as_bytes());
            assert_as_expected(format!("{{{inner}}}").as_bytes());
            assert_as_expected(format!("{{\"{inner}\":\"{inner}\"}}").as_bytes());
        }

        #[test]
        fn every_request_is_understood(
            texts in prop::collection::vec((text(), text()), 0..4),
            numbers in prop::collection::vec((text(), any::<i64>()), 0..4),
        ) {
            let mut fields: serde_json::Map<String, Value> = serde_json::Map::new();
            fields.extend(texts.into_iter().map(|(key, text)| (key, text.into())));
            fields.extend(numbers.into_iter().map(|(key, number)| (key, number.into())));
            let line = Value::Object(fields).to_string();
            prop_assert!(object(line.as_bytes()).is_ok(), "{}", line);
            assert_as_expected(line.as_bytes());
        }
    }

    #[test]
    fn odd_ones_are_read_as_another_reader_reads_them() {
        for line in [
            "",
            " ",
            "{}",
            " { } ",
            "{\"a\":1,}",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":01}",
            "{\"a\":-0}",
            "{\"a\":-}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":1e5}",
            "{\"a\":18446744073709551615}",
            "{\"a\":18446744073709551616}",
            "{\"a\":1,\"a\":2}",
            "{\"a\":1}x",
            "{\"a\":tru}",
            "{\"a\":\"\\ud83e\\udd80\"}",
            "{\"a\":\"\\ud83e\"}",
            "{\"a\":\"\\udd80\"}",
            "{\"a\":\"\\ud83e\\u0041\"}",
            "{\"a\":\"\\ud83ex\"}",
            "{\"a\":\"\\u+123\"}",
            "{\"a\":\"\\u12\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\u{1f}\"}",
            "{\"a\":\"\u{7f}\"}",
            "\u{feff}{}",
            "{\"a\":[1]}",
            "{\"a\":{}}",
        ] {
            assert_as_expected(line.as_bytes());
        }
        assert_eq!(
            object("{\"a\":1,\"a\":2}".as_bytes()).map(|fields| fields.len()),
            Ok(2)
        );
    }
}
