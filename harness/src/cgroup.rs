//! Processor time of a whole process tree, ended children included, by a control group of its own (cgroups(7)), and a ceiling on its
//! number of processes and threads. Not here: what is done where no group can be made (no right, no cgroup file system).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Beginning of the names of our groups, then the process id of the harness and a number.
const PREFIX: &str = "server-models-";

/// A control group that is removed when dropped.
#[derive(Debug)]
pub struct Group {
    folder: PathBuf,
    meter: Meter,
}

#[derive(Clone, Copy, Debug)]
enum Meter {
    /// v2: `usage_usec` in cpu.stat, which every group but the root has.
    Unified,
    /// v1: cpuacct.usage, in nanoseconds.
    Accounting,
}

impl Group {
    /// Makes a group beside the one that this process is in; `None` where that is not possible.
    #[must_use]
    pub fn make() -> Option<Self> {
        places("cpuacct").into_iter().find_map(|(parent, unified)| {
            let folder = make_folder(&parent)?;
            let group = Self { folder, meter: if unified { Meter::Unified } else { Meter::Accounting } };
            group.cpu_ns().ok().map(|_| group)
        })
    }

    /// Puts a process, and with it all that it makes from now on, in the group.
    ///
    /// # Errors
    /// ESRCH when it is gone, EACCES.
    pub fn add(&self, pid: i32) -> io::Result<()> {
        fs::write(self.folder.join("cgroup.procs"), pid.to_string())
    }

    /// Processor time used in the group so far, user and system, in nanoseconds.
    ///
    /// # Errors
    /// Those of reading the group's file.
    pub fn cpu_ns(&self) -> io::Result<u64> {
        let bad = || io::Error::from(io::ErrorKind::InvalidData);
        match self.meter {
            Meter::Unified => {
                let text = fs::read_to_string(self.folder.join("cpu.stat"))?;
                let line = text.lines().find_map(|line| line.strip_prefix("usage_usec ")).ok_or_else(bad)?;
                Ok(line.trim().parse::<u64>().map_err(|_| bad())? * 1_000)
            }
            Meter::Accounting => {
                fs::read_to_string(self.folder.join("cpuacct.usage"))?.trim().parse().map_err(|_| bad())
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Fails while a process is in it; the next run removes it then.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// A tree of processes that cannot have one process or thread more than it has (pids.max), until this is dropped.
#[derive(Debug)]
pub struct Ceiling {
    folder: PathBuf,
    parent: PathBuf,
}

impl Ceiling {
    /// Puts it over the processes `pids`; `None` where no such group can be made.
    #[must_use]
    pub fn over(pids: &[i32]) -> Option<Self> {
        places("pids").into_iter().find_map(|(parent, _)| {
            let folder = make_folder(&parent)?;
            let ceiling = Self { folder, parent };
            for pid in pids {
                fs::write(ceiling.folder.join("cgroup.procs"), pid.to_string()).ok()?;
            }
            let now = fs::read_to_string(ceiling.folder.join("pids.current")).ok()?;
            fs::write(ceiling.folder.join("pids.max"), now.trim()).ok()?;
            Some(ceiling)
        })
    }

    /// How often a process or thread could not be made.
    #[must_use]
    pub fn hits(&self) -> u64 {
        let text = fs::read_to_string(self.folder.join("pids.events")).unwrap_or_default();
        text.lines()
            .find_map(|line| line.strip_prefix("max "))
            .and_then(|n| n.trim().parse().ok())
            .unwrap_or(0)
    }
}

impl Drop for Ceiling {
    fn drop(&mut self) {
        let _ = fs::write(self.folder.join("pids.max"), "max");
        let members = fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default();
        for pid in members.lines() {
            let _ = fs::write(self.parent.join("cgroup.procs"), pid);
        }
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Makes the folder of a group of its own below `parent`.
fn make_folder(parent: &Path) -> Option<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("{PREFIX}{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    remove_stale(parent);
    let folder = parent.join(&name);
    fs::create_dir(&folder).ok()?;
    Some(folder)
}

/// Where groups with `controller` could be made, best first, and whether the hierarchy is the unified one (v2).
fn places(controller: &str) -> Vec<(PathBuf, bool)> {
    let (Ok(mounts), Ok(own)) =
        (fs::read_to_string("/proc/self/mounts"), fs::read_to_string("/proc/self/cgroup"))
    else {
        return Vec::new();
    };
    let mut places = Vec::new();
    for mount in mounts.lines() {
        let words: Vec<&str> = mount.split(' ').collect();
        let [_, point, kind, options, ..] = words[..] else { continue };
        let has = |option: &str| options.split(',').any(|o| o == option);
        let (unified, wanted) = match kind {
            "cgroup2" => (true, ""),
            "cgroup" if has(controller) => (false, controller),
            _ => continue,
        };
        let path = own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let controllers = parts.next()?;
            controllers.split(',').any(|c| c == wanted).then(|| parts.next())?
        });
        if let Some(path) = path {
            places.push((Path::new(point).join(path.trim_start_matches('/')), unified));
        }
    }
    places.sort_by_key(|(_, unified)| !unified);
    places
}

/// Removes groups of harnesses that were killed; only empty ones can be removed.
fn remove_stale(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|n| n.strip_prefix(PREFIX)) else { continue };
        let owner = rest.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(owner).exists() {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_counts_and_goes_away() {
        let Some(group) = Group::make() else {
            eprintln!("SKIPPED: no control group can be made here (needs root and a cgroup file system)");
            return;
        };
        let folder = group.folder.clone();
        assert!(folder.is_dir());
        assert_eq!(group.cpu_ns().unwrap(), 0);
        drop(group);
        assert!(!folder.exists());
    }
}
