//! A Rust file, split line by line into code and comments.
//!
//! This is a scanner, not a parser: it knows comments, strings, characters and braces, which is what
//! the rules of [`tidy`](crate::tidy) and the mutations of [`weaken`](crate::weaken) need. What a
//! string says is blanked, so that no rule fires on a message.

/// One line of a file.
#[derive(Debug, Default, Clone)]
pub(crate) struct Line {
    /// The code, column for column; strings and comments are blanked.
    pub(crate) code: String,
    /// The text of the comments on this line, with their slashes.
    pub(crate) comment: String,
    /// It belongs to an item under `#[cfg(test)]`.
    pub(crate) in_test: bool,
}

impl Line {
    /// It holds code: neither blank nor only a comment.
    pub(crate) fn is_code(&self) -> bool {
        !self.code.trim().is_empty()
    }
}

/// A scanned file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The path from the root of the repository, with forward slashes.
    pub(crate) path: String,
    /// The text as it stands in the file.
    pub(crate) text: String,
    pub(crate) lines: Vec<Line>,
}

/// A word or a sign of the code, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Index into [`Source::lines`].
    pub(crate) line: usize,
    /// Column in characters.
    pub(crate) column: usize,
}

enum State {
    Code,
    LineComment,
    BlockComment(u32),
    Text,
    RawText(usize),
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let mut source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
            lines: split(text),
        };
        source.mark_tests();
        source
    }

    /// The whole file is test code: it stands in a `tests` folder or is called `tests.rs`.
    pub(crate) fn is_test_file(&self) -> bool {
        self.path
            .split('/')
            .any(|part| part == "tests" || part == "benches")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("/loom.rs") && self.path.starts_with("crates/")
    }

    /// Line `index` is test code, by its file or by its item.
    pub(crate) fn is_test_line(&self, index: usize) -> bool {
        self.is_test_file() || self.lines[index].in_test
    }

    /// The file's code as words and signs. `::` is one sign, every other sign stands alone.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        for (line, content) in self.lines.iter().enumerate() {
            let chars: Vec<char> = content.code.chars().collect();
            let mut at = 0;
            while at < chars.len() {
                let column = at;
                let first = chars[at];
                if first.is_whitespace() {
                    at += 1;
                    continue;
                }
                if is_word(first) {
                    while at < chars.len() && is_word(chars[at]) {
                        at += 1;
                    }
                } else if first == ':' && chars.get(at + 1) == Some(&':') {
                    at += 2;
                } else {
                    at += 1;
                }
                tokens.push(Token {
                    text: chars[column..at].iter().collect(),
                    line,
                    column,
                });
            }
        }
        tokens
    }

    /// The lines of the innermost function around line `index`, or that line alone.
    pub(crate) fn function_around(&self, index: usize) -> std::ops::RangeInclusive<usize> {
        let tokens = self.tokens();
        let mut found = index..=index;
        for (at, token) in tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| token.text == "fn")
        {
            if token.line > index {
                break;
            }
            let end = item_end(&tokens, at);
            let last = tokens
                .get(end)
                .or(tokens.last())
                .map_or(0, |token| token.line);
            if last >= index {
                found = token.line..=last;
            }
        }
        found
    }

    /// Marks the lines of every item that stands under `#[cfg(test)]` or `#[cfg(all(test, …))]`.
    fn mark_tests(&mut self) {
        let tokens = self.tokens();
        let mut at = 0;
        while at < tokens.len() {
            let Some(after) = test_attribute(&tokens, at) else {
                at += 1;
                continue;
            };
            let end = item_end(&tokens, after);
            let last = tokens
                .get(end)
                .or(tokens.last())
                .map_or(0, |token| token.line);
            for line in &mut self.lines[tokens[at].line..=last] {
                line.in_test = true;
            }
            at = end + 1;
        }
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// If an attribute that asks for `test` begins at `at`, the index behind it.
fn test_attribute(tokens: &[Token], at: usize) -> Option<usize> {
    let text = |offset: usize| tokens.get(at + offset).map(|token| token.text.as_str());
    if text(0) != Some("#") || text(1) != Some("[") || text(2) != Some("cfg") {
        return None;
    }
    let mut depth = 0usize;
    let mut asks = false;
    let mut negated = false;
    for (index, token) in tokens.iter().enumerate().skip(at + 1) {
        match token.text.as_str() {
            "[" => depth += 1,
            "]" => {
                depth -= 1;
                if depth == 0 {
                    return (asks && !negated).then_some(index + 1);
                }
            }
            "test" => asks = true,
            "not" | "any" => negated = true,
            _ => {}
        }
    }
    None
}

/// The index of the token that ends the item which begins at `from`: its `;` or its last `}`.
fn item_end(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0i64;
    for (index, token) in tokens.iter().enumerate().skip(from) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth <= 0 {
                    return index;
                }
            }
            ";" if depth == 0 => return index,
            _ => {}
        }
    }
    tokens.len()
}

/// The scanner proper.
fn split(text: &str) -> Vec<Line> {
    let chars: Vec<char> = text.chars().collect();
    let mut lines = vec![Line::default()];
    let mut state = State::Code;
    let mut at = 0;
    while at < chars.len() {
        let character = chars[at];
        if character == '\n' {
            if matches!(state, State::LineComment) {
                state = State::Code;
            }
            lines.push(Line::default());
            at += 1;
            continue;
        }
        let next = chars.get(at + 1).copied().unwrap_or('\0');
        let line = lines.last_mut().expect("there is always a line");
        let mut taken = 1;
        match state {
            State::Code => match character {
                '/' if next == '/' => {
                    state = State::LineComment;
                    line.comment.push(character);
                    line.code.push(' ');
                }
                '/' if next == '*' => {
                    state = State::BlockComment(1);
                    line.comment.push_str("/*");
                    line.code.push_str("  ");
                    taken = 2;
                }
                '"' => {
                    state = State::Text;
                    line.code.push('"');
                }
                'r' | 'b' | 'c'
                    if !follows_word(&line.code) && raw_hashes(&chars, at).is_some() =>
                {
                    let (hashes, length) = raw_hashes(&chars, at).expect("just seen");
                    state = State::RawText(hashes);
                    line.code.push_str(&" ".repeat(length - 1));
                    line.code.push('"');
                    taken = length;
                }
                '\'' => {
                    taken = char_literal(&chars, at).unwrap_or(1);
                    line.code.push('\'');
                    if taken > 1 {
                        line.code.push_str(&" ".repeat(taken - 2));
                        line.code.push('\'');
                    }
                }
                _ => line.code.push(character),
            },
            State::LineComment => {
                line.comment.push(character);
                line.code.push(' ');
            }
            State::BlockComment(depth) => {
                let (step, now) = match (character, next) {
                    ('*', '/') => (2, depth - 1),
                    ('/', '*') => (2, depth + 1),
                    _ => (1, depth),
                };
                line.comment.extend(&chars[at..at + step]);
                line.code.push_str(&" ".repeat(step));
                taken = step;
                state = if now == 0 {
                    State::Code
                } else {
                    State::BlockComment(now)
                };
            }
            State::Text => match character {
                '\\' if next != '\n' => {
                    line.code.push_str("  ");
                    taken = 2;
                }
                '"' => {
                    state = State::Code;
                    line.code.push('"');
                }
                _ => line.code.push(' '),
            },
            State::RawText(hashes) => {
                let closes = character == '"'
                    && chars[at + 1..]
                        .iter()
                        .take(hashes)
                        .filter(|c| **c == '#')
                        .count()
                        == hashes;
                if closes {
                    state = State::Code;
                    line.code.push('"');
                    line.code.push_str(&" ".repeat(hashes));
                    taken = 1 + hashes;
                } else {
                    line.code.push(' ');
                }
            }
        }
        at += taken;
    }
    lines
}

fn follows_word(code: &str) -> bool {
    code.chars().next_back().is_some_and(is_word)
}

/// If a raw string begins at `at`: how many hashes it has, and how long its opening is.
fn raw_hashes(chars: &[char], at: usize) -> Option<(usize, usize)> {
    let mut index = at;
    if matches!(chars[index], 'b' | 'c') {
        index += 1;
    }
    if chars.get(index) != Some(&'r') {
        return None;
    }
    index += 1;
    let hashes = chars[index..].iter().take_while(|c| **c == '#').count();
    index += hashes;
    (chars.get(index) == Some(&'"')).then_some((hashes, index + 1 - at))
}

/// The length of the character literal at `at`, or `None` for a lifetime.
fn char_literal(chars: &[char], at: usize) -> Option<usize> {
    match chars.get(at + 1)? {
        '\\' => {
            let end = chars[at + 3..].iter().take(10).position(|c| *c == '\'')?;
            Some(end + 4)
        }
        _ => (chars.get(at + 2) == Some(&'\'')).then_some(3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        Source::new("a.rs", text)
            .lines
            .into_iter()
            .map(|line| line.code)
            .collect()
    }

    #[test]
    fn strings_and_comments_are_not_code() {
        let lines = code("let a = \"unsafe // no\"; // unsafe\n/* unsafe\n unsafe */ b");
        assert!(
            lines.iter().all(|line| !line.contains("unsafe")),
            "{lines:?}"
        );
        assert!(lines[0].starts_with("let a = \""));
        assert!(lines[2].ends_with(" b"));
    }

    #[test]
    fn raw_strings_and_characters_end_where_they_end() {
        let lines =
            code("r#\"a \" unsafe\"# x; '\"' y; '\\'' z; fn f<'a>(b: &'a str) {} '\\u{1f}' w");
        for word in ["x", "y", "z", "str", "w"] {
            assert!(lines[0].contains(word), "{word} in {lines:?}");
        }
        assert!(!lines[0].contains("unsafe"));
    }

    #[test]
    fn an_item_under_cfg_test_is_test_code() {
        let source = Source::new(
            "a.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n#[cfg(all(test, not(loom)))]\nmod d;\n#[cfg(not(test))]\nfn e() {}",
        );
        let marked: Vec<bool> = source.lines.iter().map(|line| line.in_test).collect();
        let (no, yes) = (false, true);
        assert_eq!(&marked[..6], &[no, yes, yes, yes, yes, no]);
        assert_eq!(&marked[8..], &[no, no]);
    }

    #[test]
    fn the_function_around_a_line_is_the_innermost() {
        let source = Source::new(
            "a.rs",
            "fn a() {\n  x();\n}\nfn b() {\n  fn c() {\n    y();\n  }\n  z();\n}\nconst W: u8 = 1;",
        );
        assert_eq!(source.function_around(1), 0..=2);
        assert_eq!(source.function_around(5), 4..=6);
        assert_eq!(source.function_around(7), 3..=8);
        assert_eq!(source.function_around(9), 9..=9);
    }

    #[test]
    fn tokens_keep_their_place() {
        let tokens = Source::new("a.rs", "a::b\n  c").tokens();
        let words: Vec<_> = tokens
            .iter()
            .map(|t| (t.text.as_str(), t.line, t.column))
            .collect();
        assert_eq!(words, [("a", 0, 0), ("::", 0, 1), ("b", 0, 3), ("c", 1, 2)]);
    }
}
