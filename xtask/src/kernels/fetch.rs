//! Kernels of several years, fetched as Debian packages with a package list of our own.
//!
//! apt is given folders below the target folder for everything that it keeps, so the machine's own sources, lists
//! and packages stay as they are, and nothing is installed.

use crate::run;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One kernel, as a Debian suite has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kernel {
    pub(crate) name: &'static str,
    archive: &'static str,
    suite: &'static str,
}

/// Oldest first. Debian's 5.10 has io_uring as of 5.15: its stable series took that over whole.
pub(crate) const KERNELS: [Kernel; 4] = [
    Kernel {
        name: "5.10",
        archive: "debian-security",
        suite: "bullseye-security",
    },
    Kernel {
        name: "6.1",
        archive: "debian",
        suite: "bookworm",
    },
    Kernel {
        name: "6.12",
        archive: "debian",
        suite: "trixie",
    },
    Kernel {
        name: "newest",
        archive: "debian",
        suite: "sid",
    },
];

/// The package that always depends on the suite's kernel, in the small build for virtual machines.
const META: &str = "linux-image-cloud-amd64";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const ARCHIVES: &str = "http://deb.debian.org";

/// The image of `kernel`, fetched into `folder` if it is not there.
///
/// # Errors
/// When the package cannot be had; what was fetched in part is not taken for the whole.
pub(crate) fn image(kernel: Kernel, folder: &Path) -> Result<PathBuf, String> {
    let image = folder.join(format!("vmlinuz-{}", kernel.name));
    if image.is_file() {
        return Ok(image);
    }
    for tool in ["apt-get", "apt-cache", "dpkg-deb"] {
        if !run::is_there(tool) {
            return Err(format!(
                "{tool} is missing: kernels are fetched as Debian packages; or put a bzImage of {} at {}",
                kernel.name,
                image.display()
            ));
        }
    }
    if !Path::new(KEYRING).is_file() {
        return Err(format!(
            "{KEYRING} is missing: apt-get install debian-archive-keyring"
        ));
    }
    println!("kernels: fetching {} from {}", kernel.name, kernel.suite);
    let apt = Apt::new(kernel, &folder.join(format!("apt-{}", kernel.name)))?;
    run::bytes(&mut apt.command("apt-get", &["update"]))?;
    let mut package = META.to_owned();
    // The meta package names the image's; since Debian 14 that one names the package with the file in it.
    for _ in 0..3 {
        package = apt.next(&package)?;
        if let Some(found) = apt.unpack(&package)? {
            let whole = "the kernel cannot be kept";
            fs::rename(found, &image).map_err(|error| format!("{whole}: {error}"))?;
            fs::remove_dir_all(&apt.folder).map_err(|error| format!("{whole}: {error}"))?;
            return Ok(image);
        }
    }
    Err(format!("{package} holds no kernel"))
}

/// apt with everything it keeps in one folder of ours.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(kernel: Kernel, folder: &Path) -> Result<Self, String> {
        let cannot = |error| format!("{} cannot be written: {error}", folder.display());
        for part in ["lists/partial", "cache/archives/partial", "unpacked"] {
            fs::create_dir_all(folder.join(part)).map_err(cannot)?;
        }
        let folder = fs::canonicalize(folder).map_err(cannot)?;
        let Kernel { archive, suite, .. } = kernel;
        let line = format!(
            "deb [arch=amd64 signed-by={KEYRING} check-valid-until=no] {ARCHIVES}/{archive} {suite} main\n"
        );
        fs::write(folder.join("sources.list"), line).map_err(cannot)?;
        Ok(Self { folder })
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let at = |place: &str| self.folder.join(place).display().to_string();
        let mut command = Command::new(program);
        for option in [
            format!("Dir::Etc::sourcelist={}", at("sources.list")),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::Cache={}", at("cache")),
            "APT::Architecture=amd64".to_owned(),
            // Whoever starts this may read what is fetched; a user of its own could not.
            "APT::Sandbox::User=".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command.args(args).current_dir(&self.folder);
        command
    }

    /// The package with the kernel that `package` depends on.
    fn next(&self, package: &str) -> Result<String, String> {
        let words = run::bytes(&mut self.command("apt-cache", &["depends", package]))?;
        depends_on(&String::from_utf8_lossy(&words))
            .ok_or_else(|| format!("{package} depends on no kernel"))
    }

    /// Downloads `package` and gives the kernel in it.
    fn unpack(&self, package: &str) -> Result<Option<PathBuf>, String> {
        run::bytes(&mut self.command("apt-get", &["download", package]))?;
        let prefix = format!("{package}_");
        let deb = entries(&self.folder)?
            .into_iter()
            .find(|path| file_name(path).starts_with(&prefix))
            .ok_or_else(|| format!("apt-get download {package} has left no file"))?;
        let unpacked = self.folder.join("unpacked");
        run::bytes(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&unpacked))?;
        for place in ["boot", "usr/lib/modules"] {
            if let Some(kernel) = find_kernel(&unpacked.join(place))? {
                return Ok(Some(kernel));
            }
        }
        Ok(None)
    }
}

/// `boot/vmlinuz-6.1…`, or `usr/lib/modules/7.2…/vmlinuz`.
fn find_kernel(folder: &Path) -> Result<Option<PathBuf>, String> {
    if !folder.is_dir() {
        return Ok(None);
    }
    for path in entries(folder)? {
        if path.is_file() && file_name(&path).starts_with("vmlinuz") {
            return Ok(Some(path));
        }
        let below = path.join("vmlinuz");
        if below.is_file() {
            return Ok(Some(below));
        }
    }
    Ok(None)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let cannot = |error| format!("{} cannot be read: {error}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        paths.push(entry.map_err(cannot)?.path());
    }
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The first kernel package in what `apt-cache depends` prints.
fn depends_on(words: &str) -> Option<String> {
    words
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with("linux-image-") || name.starts_with("linux-binary-"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dependency_with_the_kernel_is_found() {
        let words = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-37-cloud-amd64\n  Suggests: debian-kernel-handbook\n";
        assert_eq!(
            depends_on(words).as_deref(),
            Some("linux-image-6.1.0-37-cloud-amd64")
        );
        let words = "linux-image-7.2\n  Depends: kmod\n  Depends: linux-binary-7.2\n";
        assert_eq!(depends_on(words).as_deref(), Some("linux-binary-7.2"));
        assert_eq!(depends_on("kmod\n  Depends: libc6\n"), None);
    }
}
