//! The path of a request as names below a directory.

use std::ffi::OsString;
use std::path::PathBuf;

/// A path that was taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Below the directory, without a slash at either end; empty for the directory itself.
    pub(super) path: PathBuf,
    /// It ended with a slash, so a directory is meant.
    pub(super) is_dir: bool,
}

/// Why a path is answered without a look at the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is no path: an escape that is none, or a NUL.
    Malformed,
    /// It may be a path, and nothing that it could name is served.
    NotServed,
}

/// Takes apart the path of a target, which begins with `/`.
///
/// Each name is decoded once, and is one name afterwards: an escaped slash, `.`, `..` and an empty name in the middle name nothing. Names
/// that begin with a dot are hidden unless `dotfiles`, but for `.well-known` at the top (RFC 8615).
pub(super) fn taken_apart(path: &str, dotfiles: bool) -> Result<Wanted, Refused> {
    let rest = path.strip_prefix('/').ok_or(Refused::NotServed)?;
    let (names, is_dir) = match rest.strip_suffix('/') {
        _ if rest.is_empty() => ("", true),
        Some(names) => (names, true),
        None => (rest, false),
    };
    let mut path = PathBuf::new();
    if names.is_empty() && !rest.is_empty() {
        return Err(Refused::NotServed);
    }
    for (depth, name) in names.split('/').enumerate() {
        if names.is_empty() {
            break;
        }
        let name = decoded(name)?;
        let hidden = name.starts_with(b".") && !dotfiles && !(depth == 0 && name == b".well-known");
        if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || hidden {
            return Err(Refused::NotServed);
        }
        path.push(as_os(name).ok_or(Refused::NotServed)?);
    }
    Ok(Wanted { path, is_dir })
}

fn decoded(name: &str) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let digit = |byte: Option<u8>| {
                    let digit = byte.and_then(|byte| char::from(byte).to_digit(16));
                    digit.ok_or(Refused::Malformed)
                };
                (digit(rest.next())? * 16 + digit(rest.next())?) as u8
            }
            byte => byte,
        };
        if byte == 0 {
            return Err(Refused::Malformed);
        }
        bytes.push(byte);
    }
    Ok(bytes)
}

#[cfg(unix)]
fn as_os(name: Vec<u8>) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt;
    Some(OsString::from_vec(name))
}

#[cfg(not(unix))]
fn as_os(name: Vec<u8>) -> Option<OsString> {
    // What is a separator, a drive or a stream there is no name.
    let name = String::from_utf8(name).ok()?;
    (!name.contains(['\\', ':'])).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Result<(String, bool), Refused> {
        taken_apart(path, false)
            .map(|wanted| (wanted.path.to_string_lossy().into_owned(), wanted.is_dir))
    }

    #[test]
    fn names_are_decoded_once() {
        let is = |path: &str, is_dir| Ok((path.to_owned(), is_dir));
        assert_eq!(of("/"), is("", true));
        assert_eq!(of("/a/b%20c.txt"), is("a/b c.txt", false));
        assert_eq!(of("/a/"), is("a", true));
        assert_eq!(of("/%2541"), is("%41", false));
        assert_eq!(of("/.well-known/x"), is(".well-known/x", false));
        assert_eq!(of("/%e2%82%ac"), is("€", false));
    }

    #[test]
    fn what_leads_elsewhere_names_nothing() {
        for path in [
            "/..",
            "/../a",
            "/a/../b",
            "/%2e%2e/a",
            "/.%2E/",
            "/./a",
            "/%2e",
            "/a%2fb",
            "/a//b",
            "//",
            "//host",
            "/.git/config",
            "/a/.htpasswd",
            "/a/.well-known",
            "*",
            "",
            "a",
        ] {
            assert_eq!(of(path), Err(Refused::NotServed), "{path}");
        }
        for path in ["/a%", "/a%4", "/a%zz", "/%+1", "/a%00b", "/%0", "/%%41"] {
            assert_eq!(of(path), Err(Refused::Malformed), "{path}");
        }
        let shown = taken_apart("/.git/config", true).map(|wanted| wanted.path);
        assert_eq!(shown, Ok(PathBuf::from(".git/config")));
        assert_eq!(taken_apart("/..", true), Err(Refused::NotServed));
    }
}
