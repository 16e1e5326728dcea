//! Builds a scratch package. A file that does not compile is left out, and what the compiler said is kept: its tests are not passed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::suite::{self, Files, Runtime};

/// The compiler finds names first, then types, then borrows: a file may be named again after each round.
const ROUNDS: usize = 12;

/// What came of a build.
pub(crate) struct Built {
    /// The scratch package.
    pub(crate) folder: PathBuf,
    /// The test programs, by target.
    pub(crate) programs: BTreeMap<String, PathBuf>,
    /// Why a file was left out, by `crate file`.
    pub(crate) left_out: BTreeMap<String, String>,
    /// All files, by target; those that were left out too.
    pub(crate) files: Files,
}

/// Builds all test targets of the package in `folder`.
///
/// # Errors
/// When cargo fails for a reason that lies in no test file.
pub(crate) fn build(
    folder: &Path,
    target: &Path,
    files: Files,
    runtime: Runtime,
) -> Result<Built, String> {
    println!("building the tests on {}", runtime.name());
    let mut left_out = BTreeMap::new();
    let mut kept = files.clone();
    for _ in 0..ROUNDS {
        for (name, files) in &kept {
            suite::write_root(folder, name, files)?;
        }
        let said = cargo(folder, target)?;
        if said.succeeded {
            let folder = folder.to_owned();
            return Ok(Built {
                folder,
                programs: said.programs,
                left_out,
                files,
            });
        }
        if said.broken.is_empty() {
            return Err(format!(
                "the tests do not build on {}:\n{}",
                runtime.name(),
                said.elsewhere.join("\n")
            ));
        }
        for ((name, file), error) in said.broken {
            println!(
                "    {} {file} does not compile: {error}",
                suite::crate_of(&name)
            );
            if let Some(files) = kept.get_mut(&name) {
                files.retain(|kept| *kept != file);
            }
            left_out
                .entry(format!("{} {file}", suite::crate_of(&name)))
                .or_insert(error);
        }
    }
    Err(format!(
        "the tests still do not build after {ROUNDS} rounds"
    ))
}

/// What one call of cargo said.
#[derive(Default)]
struct Said {
    succeeded: bool,
    programs: BTreeMap<String, PathBuf>,
    /// The first error in each test file.
    broken: BTreeMap<(String, String), String>,
    /// Errors in no test file.
    elsewhere: Vec<String>,
}

fn cargo(folder: &Path, target: &Path) -> Result<Said, String> {
    let output = Command::new("cargo")
        .args([
            "build",
            "--tests",
            "--keep-going",
            "--message-format",
            "json",
        ])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_INCREMENTAL", "0")
        // What tokio offers under this cfg is there without it on our side; its tests ask for it.
        .env("RUSTFLAGS", "--cfg tokio_unstable")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    let mut said = Said {
        succeeded: output.status.success(),
        ..Said::default()
    };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        said.take(&message);
    }
    if !said.succeeded && said.elsewhere.is_empty() {
        said.elsewhere
            .push(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(said)
}

impl Said {
    fn take(&mut self, message: &Value) {
        if let (Some(name), Some(program)) = (
            message["target"]["name"].as_str(),
            message["executable"].as_str(),
        ) {
            self.programs.insert(name.to_owned(), program.into());
        }
        let words = &message["message"];
        if words["level"] != "error" {
            return;
        }
        let text = words["message"].as_str().unwrap_or_default();
        let mut places = Vec::new();
        for span in words["spans"].as_array().into_iter().flatten() {
            if span["is_primary"] == true {
                places_of(span, &mut places);
            }
        }
        if let Some(place) = places.into_iter().next() {
            let code = words["code"]["code"].as_str().unwrap_or("error");
            self.broken
                .entry(place)
                .or_insert(format!("{code}: {text}"));
        } else if !text.starts_with("aborting due to") {
            self.elsewhere
                .push(words["rendered"].as_str().unwrap_or(text).to_owned());
        }
    }
}

/// The test files that a span lies in, or those whose macro calls led there.
fn places_of(span: &Value, places: &mut Vec<(String, String)>) {
    let path = span["file_name"].as_str().unwrap_or_default();
    if let Some(place) = test_file(path) {
        places.push(place);
    }
    if span["expansion"].is_object() {
        places_of(&span["expansion"]["span"], places);
    }
}

/// The target and file that `tests/TARGET/FILE.rs` names.
fn test_file(path: &str) -> Option<(String, String)> {
    let (target, file) = path.strip_prefix("tests/")?.split_once('/')?;
    let file = file.strip_suffix(".rs")?;
    (file != "main" && !file.contains('/')).then(|| (target.to_owned(), file.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_error_inside_a_macro_is_the_calling_files() {
        let span = json!({"file_name": "/elsewhere/select.rs", "is_primary": true, "expansion": {"span":
            {"file_name": "tests/tests_tokio/rt_basic.rs", "expansion": null}}});
        let mut said = Said::default();
        said.take(&json!({"message": {"level": "error", "message": "no such name", "code": {"code": "E0425"},
            "spans": [span]}}));
        let place = ("tests_tokio".to_owned(), "rt_basic".to_owned());
        assert_eq!(said.broken[&place], "E0425: no such name");
        assert!(said.elsewhere.is_empty());
    }

    #[test]
    fn an_error_in_no_test_is_told_apart() {
        let mut said = Said::default();
        said.take(&json!({"message": {"level": "error", "message": "broken", "code": null, "rendered": "broken: x",
            "spans": [{"file_name": "src/lib.rs", "is_primary": true, "expansion": null}]}}));
        assert_eq!(said.elsewhere, ["broken: x"]);
        assert!(said.broken.is_empty());
    }
}
