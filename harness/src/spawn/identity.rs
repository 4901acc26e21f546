//! Who a process is: its number and its start time, since numbers wrap within minutes under a forking server.
//! Not here: what it uses (see `conform::evidence`).

use std::fs;
use std::time::{Duration, Instant};

/// A process, told apart from a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// Process id.
    pub pid: i32,
    /// Start time in clock ticks since boot (proc_pid_stat(5), field 22).
    pub started: u64,
}

/// One process of the system.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Who.
    pub id: Identity,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// State letter: `R`, `S`, `Z` …
    pub state: char,
}

impl Identity {
    /// The process that has number `pid` now, if there is one, zombies included.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        entry(pid).map(|e| e.id)
    }

    /// True while the process exists and has not ended (a zombie has).
    #[must_use]
    pub fn alive(self) -> bool {
        entry(self.pid).is_some_and(|e| e.id == self && !matches!(e.state, 'Z' | 'X'))
    }

    /// Sends a signal to this very process; does nothing when it is gone.
    pub fn signal(self, signal: i32) {
        // The handle is opened first and the start time read after, so that what is signalled is what was compared.
        if let Ok(handle) = sys::process::open(self.pid)
            && Self::of(self.pid) == Some(self)
        {
            let _ = sys::process::kill_handle(std::os::fd::AsFd::as_fd(&handle), signal);
        }
    }
}

/// Reads one entry of /proc.
#[must_use]
pub fn entry(pid: i32) -> Option<Entry> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold anything, brackets and blanks too: what follows the last bracket is regular.
    let rest = text.rsplit_once(')')?.1;
    let mut words = rest.split_ascii_whitespace();
    let state = words.next()?.chars().next()?;
    let parent = words.next()?.parse().ok()?;
    let group = words.next()?.parse().ok()?;
    let started = words.nth(16)?.parse().ok()?;
    Some(Entry { id: Identity { pid, started }, parent, group, state })
}

/// Every process that can be seen.
#[must_use]
pub fn table() -> Vec<Entry> {
    let Ok(folder) = fs::read_dir("/proc") else { return Vec::new() };
    folder.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).filter_map(entry).collect()
}

/// The descendants of `root`, itself first where it still exists; zombies included.
#[must_use]
pub fn descendants(root: i32) -> Vec<Entry> {
    below(root, &table())
}

fn below(root: i32, table: &[Entry]) -> Vec<Entry> {
    let mut found: Vec<Entry> = table.iter().filter(|e| e.id.pid == root).copied().collect();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for child in table.iter().filter(|e| e.parent == parent && e.id.pid != root) {
            if !found.iter().any(|f| f.id == child.id) {
                found.push(*child);
                parents.push(child.id.pid);
            }
        }
    }
    found
}

/// The descendants of `root` and whoever is in its process group, orphans too.
#[must_use]
pub fn members(root: i32) -> Vec<Entry> {
    let table = table();
    let mut found = below(root, &table);
    for member in table.iter().filter(|e| e.group == root) {
        if !found.iter().any(|f| f.id == member.id) {
            found.extend(below(member.id.pid, &table));
        }
    }
    found
}

/// Kills what `find` finds until it finds nothing that lives, at most `within`; returns what was left.
///
/// Once is not enough: a process may fork between the look and the signal.
pub fn kill_all(within: Duration, find: impl Fn() -> Vec<Identity>) -> Vec<Identity> {
    let end = Instant::now() + within;
    loop {
        let living: Vec<Identity> = find().into_iter().filter(|id| id.alive()).collect();
        if living.is_empty() || Instant::now() >= end {
            return living;
        }
        for id in living {
            id.signal(KILL);
        }
        sys::clock::pause(super::LOOK_AGAIN);
    }
}

/// SIGKILL.
pub const KILL: i32 = 9;
/// SIGINT.
pub const INT: i32 = 2;
/// SIGTERM.
pub const TERM: i32 = 15;
/// SIGCONT.
pub const CONT: i32 = 18;
/// SIGSTOP.
pub const STOP: i32 = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_itself_and_alive() {
        let me = Identity::of(std::process::id() as i32).unwrap();
        assert!(me.alive());
        assert!(!Identity { started: me.started + 1, ..me }.alive());
        assert!(descendants(me.pid).iter().any(|e| e.id == me));
        assert!(Identity::of(i32::MAX).is_none());
    }
}
