//! What the kernel says about a subject, in /proc and over netlink. Not here: what is too much of it.

use crate::spawn::Identity;
use crate::spawn::identity;
use crate::spawn::sockets::{self, Row};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Numbers of the open descriptors of a process; empty where they cannot be read.
#[must_use]
pub fn descriptors(pid: i32) -> Vec<i32> {
    let Ok(folder) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    folder.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
}

/// Open descriptors of all processes of a tree.
#[must_use]
pub fn descriptor_count(tree: &[Identity]) -> usize {
    tree.iter().map(|id| descriptors(id.pid).len()).sum()
}

/// The soft descriptor limit of a process: the first number that it cannot open.
#[must_use]
pub fn descriptor_limit(pid: i32) -> Option<i32> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    limits
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"))?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Zombies below (and beside, in its group) process `pid`.
#[must_use]
pub fn zombies(pid: i32) -> usize {
    identity::members(pid).iter().filter(|e| e.state == 'Z').count()
}

/// TCP rows whose own port is that of the subject.
#[must_use]
pub fn rows_of(ip: SocketAddr, pid: Option<i32>) -> Vec<Row> {
    sockets::rows_at(ip.port(), pid)
}

/// How many rows of the subject's port are in `state`.
#[must_use]
pub fn count_in_state(ip: SocketAddr, pid: Option<i32>, state: u8) -> usize {
    rows_of(ip, pid).iter().filter(|row| row.state == state).count()
}

/// Connections that wait to be accepted.
#[must_use]
pub fn queued(ip: SocketAddr, pid: Option<i32>) -> u64 {
    sockets::listeners(ip, pid).iter().map(|row| row.receive_queue).sum()
}

/// True when descriptor table of `pid` holds the listening socket of `ip`.
#[must_use]
pub fn holds_listener(pid: i32, ip: SocketAddr) -> bool {
    !listeners(pid, ip).is_empty()
}

/// The numbers under which the descriptor table of `pid` holds the listening socket of `ip`.
#[must_use]
pub fn listeners(pid: i32, ip: SocketAddr) -> Vec<i32> {
    let inodes: Vec<u64> = sockets::listeners(ip, Some(pid)).iter().map(|row| row.inode).collect();
    let held = |fd: &i32| socket_inode(&link(pid, *fd)).is_some_and(|inode| inodes.contains(&inode));
    descriptors(pid).into_iter().filter(held).collect()
}

/// What descriptor `fd` of `pid` is: a path, `socket:[INODE]`, `anon_inode:[eventpoll]` …
#[must_use]
pub fn link(pid: i32, fd: i32) -> String {
    fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap_or_default().to_string_lossy().into_owned()
}

/// The inode in the link of a socket.
#[must_use]
pub fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The flags of descriptor `fd` of `pid`, as open(2) has them (/proc/PID/fdinfo).
#[must_use]
pub fn flags(pid: i32, fd: i32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
    let octal = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
    u32::from_str_radix(octal.trim(), 8).ok()
}

/// Thread ids of a process.
#[must_use]
pub fn threads(pid: i32) -> Vec<i32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    tasks.flatten().filter_map(|t| t.file_name().to_str()?.parse().ok()).collect()
}

/// Memory that a tree holds and nobody shares with it, in bytes: RSS less shared pages (/proc/PID/statm, pages of 4 KiB).
#[must_use]
pub fn own_memory(tree: &[Identity]) -> u64 {
    let of = |id: &Identity| {
        let text = fs::read_to_string(format!("/proc/{}/statm", id.pid)).unwrap_or_default();
        let mut words = text.split_ascii_whitespace().skip(1).map(|w| w.parse::<u64>().unwrap_or(0));
        let (resident, shared) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
        resident.saturating_sub(shared) * 4_096
    };
    tree.iter().map(of).sum()
}

/// Time that each thread of a tree has run, and has waited to run, in nanoseconds (/proc/PID/task/TID/schedstat).
#[must_use]
pub fn restless(tree: &[Identity]) -> HashMap<(i32, i32), (u64, u64)> {
    let mut all = HashMap::new();
    for id in tree {
        for tid in threads(id.pid) {
            let Ok(text) = fs::read_to_string(format!("/proc/{}/task/{tid}/schedstat", id.pid)) else {
                continue;
            };
            let mut words = text.split_ascii_whitespace().map(|w| w.parse::<u64>().unwrap_or(0));
            let (run, wait) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
            all.insert((id.pid, tid), (run, wait));
        }
    }
    all
}

/// Running less than this share of the time is resting, however long the thread then waited for its turn …
const RESTING: f64 = 0.05;
/// … unless it wanted to run whenever it was looked at, so many times in the window.
const LOOKS: u32 = 12;

/// The share of `window` in which the threads of `tree()` ran or waited to run; 1.0 is one thread that never rests.
///
/// Waiting counts: on a shared machine a true spinner gets 2 to 80 % of a processor, but never rests (conformance.md, section 8).
/// It does not count for one that runs less than 5 % of the time and sleeps: one that wakes twenty times a second can wait long each
/// time where the processors are taken. Nor is waiting in the accounts before it is over: so the threads are looked at too.
pub fn busy_share(tree: impl Fn() -> Vec<Identity>, window: Duration) -> f64 {
    let before = restless(&tree());
    let start = Instant::now();
    let mut wanting = runnable(&tree());
    for _ in 0..LOOKS {
        sys::clock::pause(window / LOOKS);
        if !wanting.is_empty() {
            let now = runnable(&tree());
            wanting.retain(|who| now.contains(who));
        }
    }
    let after = restless(&tree());
    let elapsed = start.elapsed().as_nanos().max(1) as f64;
    let of = |(who, (run, wait)): (&(i32, i32), &(u64, u64))| {
        // A thread that was not there before has all of its time in the window.
        let (run_before, wait_before) = before.get(who).copied().unwrap_or((0, 0));
        let ran = run.saturating_sub(run_before) as f64 / elapsed;
        let both = ran + wait.saturating_sub(wait_before) as f64 / elapsed;
        match ran < RESTING {
            true if wanting.contains(who) => 1.0,
            true => ran,
            false => both,
        }
    };
    // The sum of nothing is -0.
    after.iter().map(of).sum::<f64>() + 0.0
}

/// The threads of a tree that run or want to (state R, /proc/PID/task/TID/stat).
fn runnable(tree: &[Identity]) -> HashSet<(i32, i32)> {
    let wants = |who: &(i32, i32)| {
        let text = fs::read_to_string(format!("/proc/{}/task/{}/stat", who.0, who.1)).unwrap_or_default();
        // The name before it is in brackets, and may hold anything.
        text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('R'))
    };
    tree.iter().flat_map(|id| threads(id.pid).into_iter().map(|tid| (id.pid, tid))).filter(wants).collect()
}

/// A share of time above this is no longer rest.
pub const RESTS: f64 = 0.2;
/// A share of time from this on is a thread that never rests. It would be 1, were it not that a virtual machine loses time to others,
/// which stands in no account: a true spinner was seen at 0.8.
pub const SPINS: f64 = 0.6;

/// The least busy of up to three windows; a spinner is busy in all of them, and the first that shows rest decides.
pub fn least_busy(tree: impl Fn() -> Vec<Identity>, window: Duration) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        least = least.min(busy_share(&tree, window));
        if least <= RESTS {
            break;
        }
    }
    least
}

/// Looks that [`settle`] takes at least: on a machine on which one takes longer than the time, one says nothing.
const FEWEST_LOOKS: u32 = 3;

/// Waits until `done`, at most `time`, but for the first few looks; says whether it came to be.
pub fn settle(time: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + time;
    let mut looks = 0;
    loop {
        if done() {
            return true;
        }
        looks += 1;
        if looks >= FEWEST_LOOKS && Instant::now() >= end {
            return false;
        }
        sys::clock::pause(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_is_not_less_than_nothing() {
        let share = super::busy_share(Vec::new, std::time::Duration::from_millis(1));
        assert_eq!(format!("{:.0}", share * 100.0), "0");
    }
}
