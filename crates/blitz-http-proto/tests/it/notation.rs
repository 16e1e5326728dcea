//! The notation of the corpus: `name | expected | bytes`, a message a line.
//!
//! In the bytes, `\r \n \t \0 \\ \xNN` are what they are in Rust, and `{text*7}` is the text seven times, which nests.

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) expected: String,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn cases(text: &str) -> Vec<Case> {
    let cases: Vec<Case> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut parts = line.splitn(3, " | ");
            let mut part = || {
                parts
                    .next()
                    .unwrap_or_else(|| panic!("three parts: {line}"))
            };
            let (name, expected) = (part().to_owned(), part().to_owned());
            let bytes = unescape(&mut part().as_bytes(), false);
            Case {
                name,
                expected,
                bytes,
            }
        })
        .collect();
    assert!(cases.len() > 10, "a corpus that is read");
    cases
}

/// Up to the end, or to the `*` that says how often.
fn unescape(rest: &mut &[u8], nested: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some((&byte, behind)) = rest.split_first() {
        *rest = behind;
        match byte {
            b'\\' => {
                let (&code, behind) = rest.split_first().expect("a code behind a backslash");
                *rest = behind;
                bytes.push(match code {
                    b'r' => b'\r',
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'0' => 0,
                    b'x' => {
                        let (code, behind) = rest.split_at(2);
                        *rest = behind;
                        let code = std::str::from_utf8(code).expect("digits");
                        u8::from_str_radix(code, 16).expect("two hex digits")
                    }
                    other => other,
                });
            }
            b'{' => {
                let inner = unescape(rest, true);
                let end = rest.iter().position(|byte| *byte == b'}').expect("a }");
                let (digits, behind) = rest.split_at(end);
                *rest = &behind[1..];
                let times: usize = std::str::from_utf8(digits)
                    .ok()
                    .and_then(|digits| digits.parse().ok())
                    .expect("a number behind *");
                for _ in 0..times {
                    bytes.extend_from_slice(&inner);
                }
            }
            b'*' if nested => return bytes,
            other => bytes.push(other),
        }
    }
    bytes
}
