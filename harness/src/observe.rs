//! What the server uses while it is under load: processor time, memory, threads, descriptors. Not here: judging it.
//!
//! Observation costs time on the generator's processor, and shows there as lateness. So the processor time is read often only near
//! the edges of the timed window, between which nothing but its sum matters; the process tree, which takes milliseconds where it
//! has many processes, is walked twice; memory by page is read before the load and during the warm-up.

use crate::cgroup::Group;
use crate::spawn::Identity;
use loadgen::procs::tree;
use std::fs;
use std::time::Duration;

/// How often the processor time is read near an edge of the window, which is then found by interpolation between two readings.
const NEAR: Duration = Duration::from_millis(5);

/// How often it is read elsewhere.
const FAR: Duration = Duration::from_millis(100);

/// How long after its time an edge may come: the generator has to be started and to connect before, and to notice the end.
pub const LATE: Duration = Duration::from_millis(150);

/// The time until the next reading, `elapsed` after the generator was started: `edges` are when the window should begin and end.
#[must_use]
pub fn until_next(elapsed: Duration, edges: [Duration; 2]) -> Duration {
    let next = edges.into_iter().find(|edge| elapsed < *edge + LATE);
    match next {
        Some(edge) if elapsed + NEAR < edge => (edge - elapsed - NEAR).clamp(NEAR, FAR),
        Some(_) => NEAR,
        None => FAR,
    }
}

/// Watches one server.
#[derive(Debug)]
pub struct Watcher {
    root: Identity,
    group: Option<Group>,
    readings: Vec<Reading>,
    /// Most resident memory, threads and processes seen at a time.
    pub peak: Peak,
}

/// Largest values seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// Resident memory of the tree in bytes, pages that are shared counted in each process.
    pub rss_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Processes.
    pub processes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    /// Wall clock, nanoseconds since 1970: the clock that the generator reports its window by.
    at_ns: u64,
    cpu_ns: u64,
}

impl Watcher {
    /// Watches `root` and all that it makes from now on; in a control group where one can be made.
    #[must_use]
    pub fn new(root: Identity) -> Self {
        let group = Group::make().filter(|group| take_in(group, root.pid));
        let mut watcher = Self { root, group, readings: Vec::new(), peak: Peak::default() };
        watcher.sample();
        watcher
    }

    /// How the processor time is had.
    #[must_use]
    pub fn source(&self) -> &'static str {
        if self.group.is_some() { "cgroup" } else { "proc" }
    }

    /// Takes a reading; call it when [`until_next`] says.
    pub fn sample(&mut self) {
        if let Some(cpu_ns) = self.cpu_ns() {
            self.readings.push(Reading { at_ns: sys::clock::realtime_ns(), cpu_ns });
        }
    }

    fn cpu_ns(&self) -> Option<u64> {
        match &self.group {
            Some(group) => group.cpu_ns().ok(),
            None => proc_cpu_ns(self.root.pid),
        }
    }

    /// Looks at every process of the tree.
    pub fn walk(&mut self) {
        let mut seen = Peak::default();
        for pid in tree(self.root.pid) {
            let Some((rss_bytes, threads)) = memory_and_threads(pid) else { continue };
            seen.rss_bytes += rss_bytes;
            seen.threads += threads;
            seen.processes += 1;
        }
        self.peak.rss_bytes = self.peak.rss_bytes.max(seen.rss_bytes);
        self.peak.threads = self.peak.threads.max(seen.threads);
        self.peak.processes = self.peak.processes.max(seen.processes);
        // What the server's own process has had at any time, the kernel knows.
        self.peak.rss_bytes = self.peak.rss_bytes.max(high_water(self.root.pid).unwrap_or(0));
    }

    /// Processor time used between two moments of the wall clock, in nanoseconds; `None` where the readings do not cover them.
    #[must_use]
    pub fn cpu_between(&self, start_ns: u64, end_ns: u64) -> Option<u64> {
        let start = interpolate(&self.readings, start_ns)?;
        let end = interpolate(&self.readings, end_ns)?;
        Some((end - start).max(0.0) as u64)
    }

    /// Anonymous memory of the tree in bytes, in proportion: pages that processes share (after fork) are counted once over all of
    /// them. Pages of files are left out: the generator maps the same program, so their share changes when it starts.
    #[must_use]
    pub fn anonymous_bytes(&self) -> Option<u64> {
        let sizes: Vec<u64> = tree(self.root.pid).into_iter().filter_map(anonymous_bytes).collect();
        (!sizes.is_empty()).then(|| sizes.iter().sum())
    }

    /// Open descriptors of the server's own process.
    #[must_use]
    pub fn descriptors(&self) -> Option<usize> {
        fs::read_dir(format!("/proc/{}/fd", self.root.pid)).ok().map(Iterator::count)
    }

    /// Children of the tree that have ended and were not waited for.
    #[must_use]
    pub fn zombies(&self) -> u64 {
        let zombie = |pid: &i32| crate::spawn::identity::entry(*pid).is_some_and(|e| e.state == 'Z');
        tree(self.root.pid).iter().filter(|pid| zombie(pid)).count() as u64
    }
}

/// Puts the whole tree in the group; false where its root could not be. A pool's workers were made before the server said that it
/// was ready, and a process that moves takes its children of tomorrow along, not those of yesterday (cgroups(7)).
fn take_in(group: &Group, root: i32) -> bool {
    if group.add(root).is_err() {
        return false;
    }
    let mut taken = vec![root];
    loop {
        // Once more after each round: a child may have been made by one that had not moved yet.
        let new: Vec<i32> = tree(root).into_iter().filter(|pid| !taken.contains(pid)).collect();
        if new.is_empty() {
            return true;
        }
        for pid in new {
            // One that has ended meanwhile is no loss.
            let _ = group.add(pid);
            taken.push(pid);
        }
    }
}

fn interpolate(readings: &[Reading], at_ns: u64) -> Option<f64> {
    let after = readings.partition_point(|r| r.at_ns < at_ns);
    let (before, after) = (readings.get(after.checked_sub(1)?)?, readings.get(after)?);
    let span = (after.at_ns - before.at_ns).max(1) as f64;
    let share = (at_ns - before.at_ns) as f64 / span;
    Some(before.cpu_ns as f64 + share * (after.cpu_ns - before.cpu_ns) as f64)
}

fn memory_and_threads(pid: i32) -> Option<(u64, u64)> {
    let stat = procfs::process::Process::new(pid).ok()?.stat().ok()?;
    Some((stat.rss * procfs::page_size(), u64::try_from(stat.num_threads).unwrap_or(0)))
}

fn high_water(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn anonymous_bytes(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss_Anon:"))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Processor time of a process and the children it has waited for, in the 10 ms grain of /proc/PID/stat.
fn proc_cpu_ns(pid: i32) -> Option<u64> {
    let stat = procfs::process::Process::new(pid).ok()?.stat().ok()?;
    let children = u64::try_from(stat.cutime + stat.cstime).unwrap_or(0);
    Some((stat.utime + stat.stime + children) * (1_000_000_000 / procfs::ticks_per_second()))
}

/// How often a full listen queue has turned a connection away (ListenOverflows of /proc/net/netstat; the whole namespace).
#[must_use]
pub fn listen_overflows() -> Option<u64> {
    loadgen::procs::host().listen_overflows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_value_between_two_readings_and_nothing_outside_them() {
        let readings = [Reading { at_ns: 100, cpu_ns: 10 }, Reading { at_ns: 200, cpu_ns: 30 }];
        assert_eq!(interpolate(&readings, 150), Some(20.0));
        assert_eq!(interpolate(&readings, 200), Some(30.0));
        assert_eq!(interpolate(&readings, 100), None);
        assert_eq!(interpolate(&readings, 201), None);
    }

    #[test]
    fn reads_often_near_the_edges_only_and_misses_none() {
        let ms = Duration::from_millis;
        let edges = [ms(250), ms(1_250)];
        assert_eq!(until_next(ms(0), edges), FAR);
        assert_eq!(until_next(ms(200), edges), ms(45));
        assert_eq!(until_next(ms(244), edges), NEAR);
        assert_eq!(until_next(ms(399), edges), NEAR);
        assert_eq!(until_next(ms(400), edges), FAR);
        assert_eq!(until_next(ms(1_300), edges), NEAR);
        assert_eq!(until_next(ms(1_400), edges), FAR);
    }

    #[test]
    fn this_process_is_in_its_own_tree_with_memory_and_threads() {
        let me = std::process::id() as i32;
        assert_eq!(tree(me)[0], me);
        let (rss, threads) = memory_and_threads(me).unwrap();
        assert!(rss > 0 && threads > 0 && anonymous_bytes(me).unwrap() > 0);
        assert!(listen_overflows().is_some());
    }
}
