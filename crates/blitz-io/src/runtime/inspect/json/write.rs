//! What is shown as JSON: everything here is written by `Display`.

use std::borrow::Cow;
use std::fmt::{self, Display, Write as _};

/// A value that is put together before it is shown.
#[derive(Clone, Debug)]
pub(in crate::runtime::inspect) enum Value {
    /// Nothing.
    Null,
    /// Yes or no.
    Flag(bool),
    /// A count.
    Number(u64),
    /// A text.
    Text(String),
    /// Named values, in this order.
    Object(Vec<(Cow<'static, str>, Value)>),
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Flag(flag) => flag.fmt(f),
            Value::Number(number) => number.fmt(f),
            Value::Text(text) => Text(text).fmt(f),
            Value::Object(fields) => {
                f.write_char('{')?;
                for (index, (key, value)) in fields.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{}:{value}", Text(key))?;
                }
                f.write_char('}')
            }
        }
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Flag(flag)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Value::Number(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Value::Number(number as u64)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// A value, or `null`.
pub(in crate::runtime::inspect) struct Maybe<T>(pub Option<T>);

impl<T: Display> Display for Maybe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// Values, one after the other.
pub(in crate::runtime::inspect) struct List<T>(pub Vec<T>);

impl<T: Display> Display for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (index, value) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{value}")?;
        }
        f.write_char(']')
    }
}

/// What is shown, as a text.
pub(in crate::runtime::inspect) struct Text<T>(pub T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(Escape(f), "{}", self.0)?;
        f.write_char('"')
    }
}

struct Escape<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        let mut rest = text;
        while let Some(at) = rest.bytes().position(special) {
            self.0.write_str(&rest[..at])?;
            match rest.as_bytes()[at] {
                byte @ (b'"' | b'\\') => write!(self.0, "\\{}", byte as char)?,
                byte => write!(self.0, "\\u{byte:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was(text: String) {
            let json = Text(&text).to_string();
            prop_assert_eq!(serde_json::from_str::<String>(&json).ok(), Some(text));
        }
    }

    #[test]
    fn special_characters_come_back_as_they_were() {
        for text in [
            "",
            "a \"b\" \\c\\",
            "line\nend\t\u{0}\u{1f}",
            "größer 🦀 \u{7f}",
        ] {
            let json = Text(text).to_string();
            let back = serde_json::from_str::<String>(&json);
            assert_eq!(back.ok().as_deref(), Some(text), "{json}");
        }
    }

    #[test]
    fn objects_are_as_they_were_put_together() {
        let inner = Value::Object(vec![
            ("\"é\"".into(), 1_u64.into()),
            ("b".into(), 2_u32.into()),
        ]);
        let value = fields! {
            "number": u64::MAX, "size": 7_usize, "flag": true, "text": "x\ny", "owned": String::new(),
            "none": None::<u64>, "some": Some("s"), "inner": inner, "empty": fields! {},
        };
        let expected = serde_json::json!({
            "number": u64::MAX, "size": 7, "flag": true, "text": "x\ny", "owned": "",
            "none": null, "some": "s", "inner": {"\"é\"": 1, "b": 2}, "empty": {},
        });
        let read: serde_json::Value = serde_json::from_str(&value.to_string()).expect("JSON");
        assert_eq!(read, expected);
        assert_eq!(
            List(vec![Maybe(Some(1)), Maybe(None)]).to_string(),
            "[1,null]"
        );
        assert_eq!(List(Vec::<u8>::new()).to_string(), "[]");
    }
}
