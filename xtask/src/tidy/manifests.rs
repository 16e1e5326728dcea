//! Rules about manifests: nobody depends on tokio, and only blitz-sys asks for the system.

use super::{Finding, read};
use crate::run;
use serde_json::Value;
use std::path::Path;

/// The crates that must not reach tokio even through an optional dependency of a dependency: a
/// program that patches tokio to ours would close a cycle through them.
const BELOW_HTTP: [&str; 9] = [
    "blitz-core",
    "blitz-sys",
    "blitz-driver",
    "blitz-exec",
    "blitz-io-traits",
    "blitz-sync",
    "blitz-io",
    "blitz-macros",
    "blitz-tls",
];

/// Names under which tokio or a part of it is published.
const TOKIO: [&str; 5] = [
    "tokio",
    "tokio-util",
    "tokio-stream",
    "tokio-macros",
    "tokio-test",
];

/// Systems that are not followed: what a dependency brings along there alone is not built for anybody who uses us. The bridge to Java of the
/// platform's verifier brings a parser that offers tokio, and only `blitz-tls` has it, on which no part of the runtime stands.
const NOT_FOLLOWED: [&str; 1] = ["cfg(target_os = \"android\")"];

/// The page with a line for each dependency.
const EXPLAINED: &str = "docs/dependencies.md";

pub(super) fn check(root: &Path) -> Result<Vec<Finding>, String> {
    let own = metadata(root, &["--no-deps"])?;
    let mut findings = names_tokio(&own);
    findings.extend(is_explained(&own, &read(root, EXPLAINED)?));
    findings.extend(facade_says_whose_it_is(&own));
    // Without a network and with an incomplete cache the whole graph is out of reach; CI has it.
    match metadata(root, &[]) {
        Ok(all) => {
            findings.extend(reaches_tokio(&all));
            findings.extend(another_tokio(&all));
        }
        Err(why) => println!("tidy: the graph of dependencies was not walked: {why}"),
    }
    for package in own["packages"].as_array().into_iter().flatten() {
        let path = package["manifest_path"].as_str().unwrap_or_default();
        let path = Path::new(path)
            .strip_prefix(root)
            .unwrap_or(Path::new(path));
        let path = path.to_string_lossy().replace('\\', "/");
        findings.extend(asks_for_the_system(&path, &read(root, &path)?));
    }
    Ok(findings)
}

/// Every dependency from outside has a line in [`EXPLAINED`].
fn is_explained(metadata: &Value, page: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let packages = || metadata["packages"].as_array().into_iter().flatten();
    for package in packages() {
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let name = dependency["name"].as_str().unwrap_or_default();
            // What stands in this tree has a path and no source, or is patched to ours by the root manifest.
            let ours = dependency["source"].is_null() || packages().any(|own| own["name"] == name);
            if !ours && !page.contains(&format!("`{name}`")) {
                findings.push(Finding {
                    path: EXPLAINED.to_owned(),
                    line: 0,
                    rule: "dependency",
                    says: format!(
                        "`{name}` has no line: what it is for, why this one, what it brings along"
                    ),
                });
            }
        }
    }
    findings
}

/// The facade's version says which of ours it is: `1.x.y+blitz.` and the version of blitz-io.
fn facade_says_whose_it_is(metadata: &Value) -> Vec<Finding> {
    let version_of = |name: &str| {
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let mut versions = packages.filter(|package| package["name"] == name);
        versions.find_map(|package| package["version"].as_str())
    };
    match (version_of("tokio"), version_of("blitz-io")) {
        (Some(facade), Some(ours)) if !facade.ends_with(&format!("+blitz.{ours}")) => {
            vec![Finding {
                path: "compat/tokio/Cargo.toml".to_owned(),
                line: 0,
                rule: "version",
                says: format!("`{facade}` does not end with `+blitz.{ours}`"),
            }]
        }
        _ => Vec::new(),
    }
}

fn metadata(root: &Path, more: &[&str]) -> Result<Value, String> {
    let mut args = vec!["metadata", "--format-version", "1"];
    args.extend_from_slice(more);
    let text = run::output(root, "cargo", &args)?;
    serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))
}

/// Nothing outside `compat/` has tokio among its dependencies, of any kind, not even optionally.
fn names_tokio(metadata: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = package["manifest_path"]
            .as_str()
            .unwrap_or_default()
            .replace('\\', "/");
        if manifest.contains("/compat/") {
            continue;
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let name = dependency["name"].as_str().unwrap_or_default();
            if TOKIO.contains(&name) {
                findings.push(Finding {
                    path: format!(
                        "{}/Cargo.toml",
                        package["name"].as_str().unwrap_or_default()
                    ),
                    line: 0,
                    rule: "tokio",
                    says: format!("depends on `{name}`; only compat/ may"),
                });
            }
        }
    }
    findings
}

/// No crate below HTTP reaches a package that offers tokio, optionally or not.
///
/// A package's development dependencies do not count: they are not built for us.
fn reaches_tokio(metadata: &Value) -> Vec<Finding> {
    let packages: Vec<&Value> = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    let nodes: Vec<&Value> = metadata["resolve"]["nodes"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    let name_of = |id: &str| {
        packages
            .iter()
            .find(|package| package["id"] == id)
            .and_then(|package| package["name"].as_str())
            .unwrap_or_default()
    };
    let mut waiting: Vec<(String, String)> = packages
        .iter()
        .filter(|package| BELOW_HTTP.contains(&package["name"].as_str().unwrap_or_default()))
        .filter_map(|package| {
            Some((
                package["id"].as_str()?.to_owned(),
                package["name"].as_str()?.to_owned(),
            ))
        })
        .collect();
    let mut seen: Vec<String> = Vec::new();
    let mut findings = Vec::new();
    while let Some((id, way)) = waiting.pop() {
        if seen.contains(&id) {
            continue;
        }
        seen.push(id.clone());
        let package = packages.iter().find(|package| package["id"] == *id);
        for dependency in package
            .and_then(|p| p["dependencies"].as_array())
            .into_iter()
            .flatten()
        {
            let name = dependency["name"].as_str().unwrap_or_default();
            if dependency["kind"] != "dev" && TOKIO.contains(&name) {
                findings.push(Finding {
                    path: way.clone(),
                    line: 0,
                    rule: "tokio",
                    says: format!(
                        "offers `{name}`: a user's feature would close a cycle through the patch"
                    ),
                });
            }
        }
        let node = nodes.iter().find(|node| node["id"] == *id);
        for dependency in node
            .and_then(|node| node["deps"].as_array())
            .into_iter()
            .flatten()
        {
            let kinds: Vec<&Value> = dependency["dep_kinds"]
                .as_array()
                .into_iter()
                .flatten()
                .collect();
            let is_left_out = |kind: &Value| {
                let target = kind["target"].as_str().unwrap_or_default();
                kind["kind"] == "dev" || NOT_FOLLOWED.contains(&target)
            };
            let left_out = !kinds.is_empty() && kinds.iter().all(|kind| is_left_out(kind));
            if let (false, Some(next)) = (left_out, dependency["pkg"].as_str()) {
                waiting.push((next.to_owned(), format!("{way} -> {}", name_of(next))));
            }
        }
    }
    findings
}

/// The patch of the root manifest holds: no tokio but ours is built here.
fn another_tokio(metadata: &Value) -> Vec<Finding> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .filter(|package| package["name"] == "tokio" && !package["source"].is_null())
        .map(|package| Finding {
            path: "Cargo.toml".to_owned(),
            line: 0,
            rule: "tokio",
            says: format!(
                "the patch does not hold: tokio {} is in the graph (`cargo tree -i tokio`)",
                package["version"].as_str().unwrap_or_default()
            ),
        })
        .collect()
}

/// A manifest that says `target_os` is that of blitz-sys.
fn asks_for_the_system(path: &str, text: &str) -> Vec<Finding> {
    if path.starts_with("crates/blitz-sys/") {
        return Vec::new();
    }
    text.lines()
        .enumerate()
        .filter(|(_, line)| line.contains("target_os"))
        .map(|(index, _)| Finding {
            path: path.to_owned(),
            line: index + 1,
            rule: "platform",
            says: "`target_os` belongs into blitz-sys: a port is one folder".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, dependencies: Value) -> Value {
        json!({"id": name, "name": name, "manifest_path": format!("/r/crates/{name}/Cargo.toml"),
               "dependencies": dependencies})
    }

    #[test]
    fn an_optional_tokio_is_found_and_compat_may() {
        let optional = json!([{"name": "tokio", "kind": null, "optional": true}]);
        let mut graph = json!({"packages": [package("blitz-io", optional)]});
        assert_eq!(names_tokio(&graph).len(), 1);
        graph["packages"][0]["manifest_path"] = json!("/r/compat/hyper/Cargo.toml");
        assert_eq!(names_tokio(&graph), []);
    }

    #[test]
    fn a_development_dependency_on_tokio_is_found_in_our_crates() {
        let dev = json!([{"name": "tokio-test", "kind": "dev"}]);
        assert_eq!(
            names_tokio(&json!({"packages": [package("blitz-exec", dev)]})).len(),
            1
        );
    }

    #[test]
    fn a_dependency_that_offers_tokio_is_found() {
        let graph = |kind: Value| {
            json!({
                "packages": [
                    package("blitz-io", json!([])),
                    package("between", json!([])),
                    package("tower", json!([{"name": "tokio", "kind": kind, "optional": true}])),
                ],
                "resolve": {"nodes": [
                    {"id": "blitz-io", "deps": [{"pkg": "between", "dep_kinds": [{"kind": null}]}]},
                    {"id": "between", "deps": [{"pkg": "tower", "dep_kinds": [{"kind": null}]}]},
                    {"id": "tower", "deps": []},
                ]},
            })
        };
        let found = reaches_tokio(&graph(Value::Null));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "blitz-io -> between -> tower");
        assert_eq!(reaches_tokio(&graph(json!("dev"))), []);
        let mut elsewhere = graph(Value::Null);
        let edge = &mut elsewhere["resolve"]["nodes"][1]["deps"][0]["dep_kinds"][0];
        *edge = json!({"kind": null, "target": NOT_FOLLOWED[0]});
        assert_eq!(reaches_tokio(&elsewhere), []);
    }

    #[test]
    fn a_dependency_without_a_line_is_found() {
        let graph = json!({"packages": [package("blitz-io", json!([
            {"name": "bytes", "source": "registry"}, {"name": "blitz-core", "source": null}]))]});
        assert_eq!(is_explained(&graph, "nothing").len(), 1);
        assert_eq!(is_explained(&graph, "| `bytes` | for |"), []);
        let patched = json!({"packages": [
            package("facade-alone", json!([{"name": "tokio", "source": "registry"}])),
            package("tokio", json!([]))]});
        assert_eq!(is_explained(&patched, "nothing"), []);
    }

    #[test]
    fn a_tokio_that_is_not_ours_is_found() {
        let mut graph =
            json!({"packages": [{"name": "tokio", "version": "1.55.0", "source": "registry"}]});
        assert_eq!(another_tokio(&graph).len(), 1);
        graph["packages"][0]["source"] = Value::Null;
        assert_eq!(another_tokio(&graph), []);
    }

    #[test]
    fn a_facade_of_another_version_is_found() {
        let mut graph = json!({"packages": [
            {"name": "blitz-io", "version": "0.2.0"}, {"name": "tokio", "version": "1.54.1+blitz.0.1.0"}]});
        assert_eq!(facade_says_whose_it_is(&graph).len(), 1);
        graph["packages"][1]["version"] = json!("1.54.1+blitz.0.2.0");
        assert_eq!(facade_says_whose_it_is(&graph), []);
    }

    #[test]
    fn a_manifest_that_asks_for_the_system_is_found() {
        let text = "[target.'cfg(target_os = \"linux\")'.dependencies]\n";
        assert_eq!(
            asks_for_the_system("crates/blitz-io/Cargo.toml", text).len(),
            1
        );
        assert_eq!(asks_for_the_system("crates/blitz-sys/Cargo.toml", text), []);
    }
}
