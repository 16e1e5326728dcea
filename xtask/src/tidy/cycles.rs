//! Import cycles between the modules of one crate.
//!
//! The compiler holds the arrows between crates and none inside one. Here the modules that stand
//! side by side in a folder are the nodes, and an arrow goes from a module to the sibling that any
//! file below it names, by `crate::…`, by `super::…`, or through a name that the folder's own
//! `mod.rs` re-exports. What a parent declares is above this: children may use it, and it may
//! re-export them. Single files side by side in a folder below the root are one part (a stream, its
//! halves and its listener know each other), so there only folders count as nodes.

use super::Finding;
use crate::source::{Source, Token};
use std::collections::{BTreeMap, BTreeSet};

/// A path that a file names: its segments from the crate's root, and the line it stands in.
type Named = (Vec<String>, usize);

/// Every cycle among sibling modules of every crate in `sources`.
pub(super) fn between_modules(sources: &[Source]) -> Vec<Finding> {
    let mut crates: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
    for source in sources {
        if let Some((krate, _)) = source.path.split_once("/src/") {
            crates.entry(krate).or_default().push(source);
        }
    }
    crates
        .iter()
        .flat_map(|(krate, files)| of_crate(krate, files))
        .collect()
}

/// The first segments of every path that begins with `crate::` in this file, each with its line.
pub(super) fn named_from_root(source: &Source) -> Vec<(String, usize)> {
    paths(&source.tokens(), &["crate".to_owned()])
        .into_iter()
        .filter_map(|(path, line)| Some((path.get(1)?.clone(), line)))
        .collect()
}

fn of_crate(krate: &str, files: &[&Source]) -> Vec<Finding> {
    let places: Vec<Vec<String>> = files.iter().map(|file| place(krate, &file.path)).collect();
    let modules: BTreeSet<Vec<String>> = places
        .iter()
        .flat_map(|place| (1..=place.len()).map(|depth| place[..depth].to_vec()))
        .collect();
    let exports = re_exports(files, &places, &modules);
    // From a folder to its graph: sibling to sibling, with one line that shows why.
    let mut graphs: BTreeMap<Vec<String>, BTreeMap<(String, String), String>> = BTreeMap::new();
    for (file, place) in files.iter().zip(&places) {
        for (path, line) in paths(&file.tokens(), place) {
            if file.is_test_line(line) {
                continue;
            }
            let target = resolve(&path, &modules, &exports);
            let common = place
                .iter()
                .zip(&target)
                .take_while(|(a, b)| a == b)
                .count();
            if common == 0 || common >= place.len() || common >= target.len() {
                continue;
            }
            let folder = |path: &[String]| {
                places
                    .iter()
                    .any(|other| other.len() > common + 1 && other[..=common] == path[..=common])
            };
            if common > 1 && !(folder(place) && folder(&target)) {
                continue;
            }
            graphs
                .entry(place[..common].to_vec())
                .or_default()
                .entry((place[common].clone(), target[common].clone()))
                .or_insert_with(|| format!("{}:{}", file.path, line + 1));
        }
    }
    let mut findings = Vec::new();
    for (folder, edges) in &graphs {
        for ring in rings(edges) {
            let says = format!(
                "modules of `{}` import each other in a ring: {}",
                folder.join("::"),
                ring.windows(2)
                    .map(|pair| {
                        let shown = &edges[&(pair[0].clone(), pair[1].clone())];
                        format!("{} -> {} ({shown})", pair[0], pair[1])
                    })
                    .collect::<Vec<_>>()
                    .join(", ")
            );
            findings.push(Finding {
                path: krate.to_owned(),
                line: 0,
                rule: "cycle",
                says,
            });
        }
    }
    findings
}

/// Where a file stands among the modules: `["crate", "net", "tcp"]` for `src/net/tcp.rs`.
fn place(krate: &str, path: &str) -> Vec<String> {
    let inside = path
        .strip_prefix(krate)
        .and_then(|rest| rest.strip_prefix("/src/"))
        .unwrap_or(path);
    let mut place = vec!["crate".to_owned()];
    place.extend(inside.trim_end_matches(".rs").split('/').map(str::to_owned));
    if place
        .last()
        .is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main"))
    {
        place.pop();
    }
    place
}

/// What each module hands on from its children: (module, name) to the full path of the origin.
fn re_exports(
    files: &[&Source],
    places: &[Vec<String>],
    modules: &BTreeSet<Vec<String>>,
) -> BTreeMap<Vec<String>, Vec<String>> {
    let mut exports = BTreeMap::new();
    for (file, place) in files.iter().zip(places) {
        let tokens = file.tokens();
        for (index, token) in tokens.iter().enumerate() {
            let word = |at: usize| {
                tokens
                    .get(at)
                    .map_or("", |token: &Token| token.text.as_str())
            };
            let public = index > 0 && matches!(word(index - 1), "pub" | ")");
            if token.text != "use" || !public {
                continue;
            }
            for (path, _) in tree(&tokens, index + 1, &[]).0 {
                let mut full = place.clone();
                match path.first().map(String::as_str) {
                    Some("crate") => full = path.clone(),
                    Some("self") => full.extend_from_slice(&path[1..]),
                    _ => full.extend_from_slice(&path),
                }
                let child = full.len() > place.len() + 1 && modules.contains(&full[..=place.len()]);
                if let (true, Some(name)) = (child, full.last()) {
                    let mut from = place.clone();
                    from.push(name.clone());
                    exports.insert(from, full);
                }
            }
        }
    }
    exports
}

/// The longest module that `path` leads to, through re-exports.
fn resolve(
    path: &[String],
    modules: &BTreeSet<Vec<String>>,
    exports: &BTreeMap<Vec<String>, Vec<String>>,
) -> Vec<String> {
    let mut path = path.to_vec();
    // A re-export can lead to another; nobody chains more than a few.
    for _ in 0..4 {
        let Some(origin) = (1..=path.len())
            .rev()
            .filter(|depth| !modules.contains(&path[..*depth]))
            .find_map(|depth| exports.get(&path[..depth]).cloned())
        else {
            break;
        };
        path = origin;
    }
    while path.len() > 1 && !modules.contains(&path) {
        path.pop();
    }
    path
}

/// Every path in the file that begins with `crate`, `super` or `self`, from the root.
fn paths(tokens: &[Token], place: &[String]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut index = 0;
    // The modules written inside this file: their name and the depth of braces they opened at.
    let mut inner: Vec<(String, usize)> = Vec::new();
    let mut depth = 0usize;
    while index < tokens.len() {
        let word = tokens[index].text.as_str();
        let next = tokens
            .get(index + 1)
            .map_or("", |token| token.text.as_str());
        match word {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if inner.last().is_some_and(|(_, opened)| *opened == depth) {
                    inner.pop();
                }
            }
            "mod" if tokens.get(index + 2).is_some_and(|token| token.text == "{") => {
                inner.push((next.to_owned(), depth));
            }
            "crate" | "super" | "self" if next == "::" => {
                let mut here = place.to_vec();
                here.extend(inner.iter().map(|(name, _)| name.clone()));
                let (listed, end) = tree(tokens, index, &[]);
                for (path, line) in listed {
                    if let Some(full) = from_root(&path, &here) {
                        found.push((full, line));
                    }
                }
                index = end.max(index + 1);
                continue;
            }
            _ => {}
        }
        index += 1;
    }
    found
}

fn from_root(path: &[String], here: &[String]) -> Option<Vec<String>> {
    let mut base = here.to_vec();
    let mut rest = path;
    while let Some(first) = rest.first() {
        match first.as_str() {
            "crate" => base = vec!["crate".to_owned()],
            "self" => {}
            "super" => {
                base.pop()?;
            }
            _ => break,
        }
        rest = &rest[1..];
    }
    base.extend_from_slice(rest);
    (!base.is_empty()).then_some(base)
}

/// Reads a path, or a tree of paths in braces, at `at`: the paths, and the index behind them.
fn tree(tokens: &[Token], at: usize, prefix: &[String]) -> (Vec<Named>, usize) {
    let word = |index: usize| {
        tokens
            .get(index)
            .map_or("", |token: &Token| token.text.as_str())
    };
    let mut path = prefix.to_vec();
    let mut index = at;
    loop {
        if word(index) == "{" {
            let mut all = Vec::new();
            index += 1;
            while index < tokens.len() && word(index) != "}" {
                let (some, end) = tree(tokens, index, &path);
                all.extend(some);
                index = end.max(index + 1);
                while word(index) == "," {
                    index += 1;
                }
            }
            return (all, index + 1);
        }
        let is_name = word(index)
            .chars()
            .next()
            .is_some_and(|c| c.is_alphabetic() || c == '_');
        if !is_name {
            break;
        }
        // `{self, a}` names the prefix itself.
        if word(index) != "self" || path.is_empty() {
            path.push(word(index).to_owned());
        }
        index += 1;
        if word(index) == "as" {
            index += 2;
        }
        let goes_on = word(index + 1) == "{"
            || word(index + 1)
                .chars()
                .next()
                .is_some_and(char::is_alphabetic);
        if word(index) != "::" || !goes_on {
            break;
        }
        index += 1;
    }
    let line = tokens
        .get(index.saturating_sub(1))
        .map_or(0, |token| token.line);
    (vec![(path, line)], index)
}

/// One ring for every set of nodes that reach each other.
fn rings(edges: &BTreeMap<(String, String), String>) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let nodes: BTreeSet<&String> = edges.keys().flat_map(|(from, to)| [from, to]).collect();
    for node in nodes {
        if found.iter().any(|ring| ring.contains(node)) {
            continue;
        }
        if let Some(way) = shortest_way_back(node, edges) {
            found.push(way);
        }
    }
    found
}

/// The shortest way from `start` to itself, by breadth.
fn shortest_way_back(
    start: &String,
    edges: &BTreeMap<(String, String), String>,
) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.clone()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last = way.last().expect("a way has its start");
            for (_, to) in edges.keys().filter(|(from, _)| from == last) {
                let mut next = way.clone();
                next.push(to.clone());
                if to == start {
                    return Some(next);
                }
                if seen.insert(to.clone()) {
                    longer.push(next);
                }
            }
        }
        ways = longer;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles(files: &[(&str, &str)]) -> Vec<Finding> {
        let sources: Vec<_> = files
            .iter()
            .map(|(path, text)| Source::new(&format!("crates/x/src/{path}"), text))
            .collect();
        between_modules(&sources)
    }

    #[test]
    fn two_siblings_that_import_each_other_are_found() {
        let found = cycles(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "fn f() { crate::a::g() }"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].says.contains("a -> b"), "{found:?}");
    }

    #[test]
    fn a_ring_of_three_through_super_and_deep_files_is_found() {
        let found = cycles(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a/mod.rs", "mod deep;"),
            ("a/deep.rs", "use super::super::b::{self, B};"),
            ("b.rs", "use crate::{c::{D, E}};"),
            ("c.rs", "use crate::a::F;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_re_export_hides_no_ring() {
        let found = cycles(&[
            ("lib.rs", "mod a; mod b; pub use b::B; pub(crate) use a::A;"),
            ("a.rs", "use crate::B;"),
            ("b.rs", "use crate::A;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn arrows_one_way_parents_and_tests_are_free() {
        let found = cycles(&[
            ("lib.rs", "mod a; mod b; pub struct Config;"),
            ("a.rs", "use crate::b::B; use crate::Config;"),
            (
                "b.rs",
                "#[cfg(test)]\nmod tests { use crate::a::A; use super::B; }",
            ),
        ]);
        assert_eq!(found, []);
    }

    #[test]
    fn folders_inside_a_folder_are_looked_at_too() {
        let found = cycles(&[
            ("lib.rs", "mod n;"),
            ("n/mod.rs", "mod a; mod b;"),
            ("n/a/mod.rs", "use super::b::B;"),
            ("n/a/x.rs", ""),
            ("n/b/y.rs", "use super::super::a::A;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn the_files_of_one_folder_may_know_each_other() {
        let found = cycles(&[
            ("lib.rs", "mod n;"),
            ("n/mod.rs", "mod a; mod b;"),
            ("n/a.rs", "use super::b::B;"),
            ("n/b.rs", "use super::a::A;"),
        ]);
        assert_eq!(found, []);
    }
}
