//! Why servers differ: `names | server | why`, a line each. Names stand apart by commas; `*` at an end stands for the rest.

pub struct Reason {
    pub names: Vec<String>,
    pub server: String,
    pub why: String,
}

pub fn read(text: &str) -> Vec<Reason> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut parts = line.splitn(3, " | ");
            let mut part = || {
                parts
                    .next()
                    .unwrap_or_else(|| panic!("three parts: {line}"))
            };
            Reason {
                names: part().split(", ").map(str::to_owned).collect(),
                server: part().to_owned(),
                why: part().to_owned(),
            }
        })
        .collect()
}

impl Reason {
    pub fn is_for(&self, name: &str, server: &str) -> bool {
        let fits = |known: &String| match known.strip_suffix('*') {
            Some(begin) => name.starts_with(begin),
            None => name == known,
        };
        self.server == server && self.names.iter().any(fits)
    }
}
