//! Paths, segment by segment.

use super::Handler;
use http::Method;
use std::fmt::Write;
use std::sync::Arc;

/// Takes a route: its path, its method, and what is there.
pub(super) type Take<'a> = dyn FnMut(&str, Option<&Method>, &Arc<dyn Handler>) + 'a;

/// Where some paths go on.
#[derive(Clone, Default)]
pub(super) struct Node {
    /// By their segments, in order: a search takes a few comparisons, and a hash would take more than that.
    exact: Vec<(Box<str>, Node)>,
    /// Any one segment.
    one: Option<Box<Node>>,
    /// All that follows.
    rest: Option<Leaf>,
    /// Nothing that follows.
    end: Option<Leaf>,
}

/// What stands at the end of a path.
#[derive(Clone, Default)]
pub(super) struct Leaf {
    names: Vec<Arc<str>>,
    methods: Vec<(Option<Method>, Arc<dyn Handler>)>,
}

/// A path that was found, and what stood in its names, as it came.
pub(super) struct Found<'a, 'p> {
    pub(super) leaf: &'a Leaf,
    pub(super) values: Vec<&'p str>,
}

impl Node {
    pub(super) fn add(
        &mut self,
        path: &str,
        method: Option<Method>,
        handler: Arc<dyn Handler>,
    ) -> Result<&Leaf, &'static str> {
        let path = path.strip_prefix('/').ok_or("it does not begin with /")?;
        let mut names: Vec<Arc<str>> = Vec::new();
        let mut node = self;
        let mut segments = path.split('/').peekable();
        let leaf = loop {
            let Some(segment) = segments.next() else {
                break node.end.get_or_insert_default();
            };
            let Some(name) = segment.strip_prefix('{') else {
                if segment.contains(['{', '}']) {
                    return Err("a name is a whole segment");
                }
                let at = match node.place(segment) {
                    Ok(at) => at,
                    Err(at) => {
                        node.exact.insert(at, (segment.into(), Node::default()));
                        at
                    }
                };
                node = &mut node.exact[at].1;
                continue;
            };
            let name = name.strip_suffix('}').ok_or("a name is not closed")?;
            let (rest, name) = match name.strip_prefix('*') {
                Some(name) => (true, name),
                None => (false, name),
            };
            if names.iter().any(|known| **known == *name) {
                return Err("a name stands twice");
            }
            names.push(name.into());
            if rest {
                if segments.peek().is_some() {
                    return Err("something stands behind the rest");
                }
                break node.rest.get_or_insert_default();
            }
            if name.is_empty() {
                return Err("a name is empty");
            }
            node = node.one.get_or_insert_default();
        };
        if leaf.methods.iter().any(|(known, _)| *known == method) {
            return Err("it is there already");
        }
        if !leaf.methods.is_empty() && leaf.names != names {
            return Err("its names are others than those of the same path with another method");
        }
        leaf.names = names;
        leaf.methods.push((method, handler));
        Ok(leaf)
    }

    /// Where a segment stands among the exact ones, or would.
    fn place(&self, segment: &str) -> Result<usize, usize> {
        let known = self.exact.as_slice();
        known.binary_search_by(|(known, _)| (**known).cmp(segment))
    }

    pub(super) fn find<'p>(&self, path: &'p str) -> Option<Found<'_, 'p>> {
        let path = path.strip_prefix('/')?;
        let mut values = Vec::new();
        let leaf = self.search(Some(path), &mut values)?;
        Some(Found { leaf, values })
    }

    /// `path` is what is left, without the `/` before it; `None` at the end.
    fn search<'p>(&self, path: Option<&'p str>, values: &mut Vec<&'p str>) -> Option<&Leaf> {
        let Some(path) = path else {
            return self.end.as_ref();
        };
        // Segments are short: a search of its own for each would cost more than this.
        let (segment, behind) = match path.bytes().position(|byte| byte == b'/') {
            Some(at) => (&path[..at], Some(&path[at + 1..])),
            None => (path, None),
        };
        if let Ok(at) = self.place(segment)
            && let Some(leaf) = self.exact[at].1.search(behind, values)
        {
            return Some(leaf);
        }
        if let Some(node) = self.one.as_ref().filter(|_| !segment.is_empty()) {
            let known = values.len();
            values.push(segment);
            if let Some(leaf) = node.search(behind, values) {
                return Some(leaf);
            }
            values.truncate(known);
        }
        let rest = self.rest.as_ref()?;
        values.push(path);
        Some(rest)
    }

    /// Every route, with its path.
    pub(super) fn each(&self, take: &mut Take<'_>) {
        self.walk(&mut String::new(), 0, take);
    }

    fn walk(&self, path: &mut String, names: usize, take: &mut Take<'_>) {
        let before = path.len();
        for leaf in self.end.iter().chain(&self.rest) {
            if std::ptr::eq(leaf, self.rest.as_ref().unwrap_or(leaf)) && self.rest.is_some() {
                let name = leaf.names.last().map_or("", |name| name);
                write!(path, "/{{*{name}}}").expect("a string grows");
            }
            for (method, handler) in &leaf.methods {
                take(path, method.as_ref(), handler);
            }
            path.truncate(before);
        }
        for (segment, node) in &self.exact {
            write!(path, "/{segment}").expect("a string grows");
            node.walk(path, names, take);
            path.truncate(before);
        }
        if let Some(node) = &self.one {
            let name = node.first_name(names).unwrap_or_default();
            write!(path, "/{{{name}}}").expect("a string grows");
            node.walk(path, names + 1, take);
            path.truncate(before);
        }
    }

    /// What the name at this depth is called, by the first route below.
    fn first_name(&self, at: usize) -> Option<Arc<str>> {
        let here = self.end.iter().chain(&self.rest);
        let here = here.filter_map(|leaf| leaf.names.get(at).cloned()).next();
        here.or_else(|| {
            let below = self
                .exact
                .iter()
                .map(|(_, node)| node)
                .chain(self.one.as_deref());
            below.filter_map(|node| node.first_name(at)).next()
        })
    }
}

impl Leaf {
    #[inline]
    pub(super) fn handler(&self, method: &Method) -> Option<&dyn Handler> {
        for (known, handler) in &self.methods {
            if let Some(known) = known
                && known == method
            {
                return Some(&**handler);
            }
        }
        self.other_handler(method)
    }

    /// Which of its handlers is this method's own.
    pub(super) fn place(&self, method: &Method) -> Option<usize> {
        let own = |(known, _): &(Option<Method>, _)| known.as_ref() == Some(method);
        self.methods.iter().position(own)
    }

    #[inline]
    pub(super) fn handler_at(&self, place: usize) -> Option<&dyn Handler> {
        self.methods.get(place).map(|(_, handler)| &**handler)
    }

    #[inline(never)]
    fn other_handler(&self, method: &Method) -> Option<&dyn Handler> {
        let of = |wanted: Option<&Method>| {
            let found = self
                .methods
                .iter()
                .find(|(known, _)| known.as_ref() == wanted);
            found.map(|(_, handler)| &**handler)
        };
        let gets = (method == Method::HEAD).then(|| of(Some(&Method::GET)));
        gets.flatten().or_else(|| of(None))
    }

    /// For `Allow`.
    pub(super) fn methods(&self) -> String {
        let mut names: Vec<&str> = self
            .methods
            .iter()
            .filter_map(|(method, _)| method.as_ref().map(Method::as_str))
            .collect();
        if names.contains(&"GET") {
            names.push("HEAD");
        }
        names.push("OPTIONS");
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }

    /// The names with their values; `None` if one is no text.
    pub(super) fn params(&self, values: &[&str]) -> Option<Vec<(Arc<str>, String)>> {
        self.names
            .iter()
            .zip(values)
            .map(|(name, value)| Some((Arc::clone(name), decode(value)?)))
            .collect()
    }
}

/// Percent codes become their bytes; one that is none stays as it is.
fn decode(value: &str) -> Option<String> {
    if !value.contains('%') {
        return Some(value.to_owned());
    }
    let bytes = value.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let code = bytes.get(at + 1..at + 3).and_then(|code| {
            let code = str::from_utf8(code).ok()?;
            u8::from_str_radix(code, 16).ok()
        });
        match code.filter(|_| *byte == b'%') {
            Some(code) => {
                decoded.push(code);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn percent_codes_are_decoded_and_nothing_else() {
        assert_eq!(decode("a%20b").as_deref(), Some("a b"));
        assert_eq!(decode("%2F%c3%a4").as_deref(), Some("/\u{e4}"));
        assert_eq!(decode("100%").as_deref(), Some("100%"));
        assert_eq!(decode("%zz").as_deref(), Some("%zz"));
        assert_eq!(decode("%ff"), None);
    }
}
