//! The same counts with the kernel's part, and with the vDSO that reads the clock.
//!
//! A guest under qemu whose time is its instructions: `-icount shift=0` lets its clock go on by a nanosecond with each. So a run's
//! time there is its count: of the program, of the kernel for it, and of the few ticks of the clock meanwhile. Nothing that is counted may
//! sleep, for then time passes without instructions; what the kernel puts off at its start is slept over first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::kernels::fetch::{self, KERNELS};
use crate::kernels::initramfs::Archive;
use crate::loom::target;
use crate::{kernels, run};

/// How often as many rounds as under callgrind: a program's start is counted too, and differs by what the kernel does then.
const TIMES: u64 = 20;
const LIMIT: Duration = Duration::from_secs(3600);
const COUNTED: &str = "@@counted ";

/// What a guest is made of.
pub(super) struct Guest {
    image: PathBuf,
    busybox: Vec<u8>,
    folder: PathBuf,
}

impl Guest {
    /// Fetches the newest of the kernels that `xtask kernels` knows.
    ///
    /// # Errors
    /// What is missing on this machine, with the package that brings it.
    pub(super) fn new(root: &Path) -> Result<Self, String> {
        let busybox = kernels::needs()?;
        let folder = target(root).join("kernels");
        fs::create_dir_all(&folder)
            .map_err(|error| format!("{folder:?} cannot be made: {error}"))?;
        let image = fetch::image(KERNELS[KERNELS.len() - 1], &folder)?;
        Ok(Self {
            image,
            busybox,
            folder,
        })
    }

    /// The instructions of a round: for each program its rows.
    pub(super) fn count(
        &self,
        programs: &[PathBuf],
        rows: &[(&str, u64)],
    ) -> Result<Vec<Vec<f64>>, String> {
        let archive = self.folder.join("cost-initramfs");
        fs::write(&archive, self.file_system(programs, rows)?)
            .map_err(|error| format!("{archive:?} cannot be written: {error}"))?;
        let (_, words) = run::limited(&mut self.command(&archive), LIMIT)?;
        let counted: Vec<u64> = words.lines().filter_map(counted).collect();
        if counted.len() != programs.len() * rows.len() * 2 {
            return Err(format!("the guest ended early:\n{}", run::tail(&words, 40)));
        }
        let mut counted = counted.chunks(2);
        let mut next = |rounds: u64| {
            let pair = counted.next().expect("counted above");
            pair[1].saturating_sub(pair[0]) as f64 / (TIMES * rounds) as f64
        };
        Ok(programs
            .iter()
            .map(|_| rows.iter().map(|(_, rounds)| next(*rounds)).collect())
            .collect())
    }

    fn file_system(&self, programs: &[PathBuf], rows: &[(&str, u64)]) -> Result<Vec<u8>, String> {
        let mut archive = Archive::default();
        for folder in ["bin", "dev", "proc", "sys", "tmp"] {
            archive.folder(folder);
        }
        archive.program("bin/busybox", &self.busybox);
        let mut script = String::from(
            "#!/bin/busybox sh\n\
             /bin/busybox --install -s /bin\n\
             export PATH=/bin BLITZ_IO_DRIVER=epoll\n\
             mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; ip link set lo up\n\
             now() { sed -n 's/^now at \\([0-9]*\\) nsecs/\\1/p' /proc/timer_list; }\n\
             sleep 60\n",
        );
        for (number, program) in programs.iter().enumerate() {
            let bytes = fs::read(program)
                .map_err(|error| format!("{program:?} cannot be read: {error}"))?;
            archive.program(&format!("bin/p{number}"), &bytes);
            for (row, rounds) in rows {
                // What is done once, as for the first connection of all, is done before it is counted.
                script.push_str(&format!("p{number} {row} {rounds}\n"));
                for rounds in [TIMES * rounds, 2 * TIMES * rounds] {
                    script.push_str(&format!(
                        "begun=$(now); p{number} {row} {rounds} || echo @@failed; echo \"{COUNTED}$(( $(now) - begun ))\"\n"
                    ));
                }
            }
        }
        script.push_str("poweroff -f\n");
        archive.program("init", script.as_bytes());
        Ok(archive.end())
    }

    fn command(&self, archive: &Path) -> Command {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-M", "pc", "-accel", "tcg", "-cpu", "max", "-smp", "1"])
            .args(["-icount", "shift=0,sleep=off"])
            .args(["-m", "1G", "-nodefaults", "-display", "none"])
            .args(["-serial", "stdio", "-no-reboot"])
            // The time that programs read is the processor's, as it is on real machines.
            .args([
                "-append",
                "console=ttyS0 quiet loglevel=3 panic=-1 tsc=reliable clocksource=tsc",
            ])
            .arg("-kernel")
            .arg(&self.image)
            .arg("-initrd")
            .arg(archive);
        qemu
    }
}

fn counted(line: &str) -> Option<u64> {
    line.trim_end().strip_prefix(COUNTED)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guest_says_is_read() {
        assert_eq!(counted("@@counted 1234\r"), Some(1234));
        assert_eq!(counted("@@counted -3"), None);
        assert_eq!(counted("@@failed"), None);
    }
}
