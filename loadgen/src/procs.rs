//! What a process tree and the host used, read from /proc. Not here: when to read, and what it means.

use procfs::process::Process;
use record::used::Host;
use std::collections::HashMap;
use std::fs;

/// `root` and its descendants, by the kernel's own lists of children (proc_tid_children(5)): far cheaper than a walk of /proc.
#[must_use]
pub fn tree(root: i32) -> Vec<i32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        next += 1;
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(children.split_ascii_whitespace().filter_map(|c| c.parse::<i32>().ok()));
        }
    }
    found
}

/// What a process tree has used up to a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time of the living, and of the children that they have waited for.
    pub(crate) cpu_ns: Option<u64>,
    /// Context switches by thread: voluntary and not.
    pub(crate) switches: HashMap<i32, (u64, u64)>,
    pub(crate) processes: u64,
}

impl Usage {
    /// Reads the tree of `root`.
    pub(crate) fn of(root: i32) -> Self {
        let mut usage = Self::default();
        for pid in tree(root) {
            let Some(cpu_ns) = cpu_ns(pid) else { continue };
            usage.processes += 1;
            usage.cpu_ns = Some(usage.cpu_ns.unwrap_or(0) + cpu_ns);
            let tasks = Process::new(pid).and_then(|p| p.tasks());
            for task in tasks.into_iter().flatten().flatten() {
                let Ok(status) = task.status() else { continue };
                let switches = status.voluntary_ctxt_switches.zip(status.nonvoluntary_ctxt_switches);
                usage.switches.insert(task.tid, switches.unwrap_or((0, 0)));
            }
        }
        usage
    }
}

/// The threads' own clock, exact, and the ended children in ticks.
fn cpu_ns(pid: i32) -> Option<u64> {
    let own = sys::clock::cpu_ns_of(pid).ok()?;
    let stat = Process::new(pid).ok()?.stat().ok()?;
    let children = u64::try_from(stat.cutime + stat.cstime).unwrap_or(0);
    Some(own + children * (1_000_000_000 / procfs::ticks_per_second()))
}

/// Memory of a process tree.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) rss_bytes: Option<u64>,
    pub(crate) pss_bytes: Option<u64>,
    /// The largest resident set that any one of the processes ever had.
    pub(crate) peak_bytes: Option<u64>,
}

impl Memory {
    /// Reads the tree of `root`; what cannot be read of any process is absent.
    pub(crate) fn of(root: i32) -> Self {
        let mut memory = Self::default();
        let add = |sum: &mut Option<u64>, more: Option<u64>| {
            *sum = more.map_or(*sum, |more| Some(sum.unwrap_or(0) + more));
        };
        for pid in tree(root) {
            let Ok(process) = Process::new(pid) else { continue };
            let status = process.status().ok();
            add(&mut memory.rss_bytes, status.as_ref().and_then(|s| s.vmrss).map(|kib| kib * 1024));
            let peak = status.and_then(|s| s.vmhwm).map(|kib| kib * 1024);
            memory.peak_bytes = memory.peak_bytes.max(peak);
            let pss = process.smaps_rollup().ok().and_then(|rollup| {
                rollup.memory_map_rollup.iter().find_map(|map| map.extension.map.get("Pss").copied())
            });
            add(&mut memory.pss_bytes, pss);
        }
        memory
    }
}

/// The name of a process (comm); `None` where there is no such process.
pub(crate) fn name(pid: i32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim().to_owned())
}

/// The kernel's counters of this network namespace by now.
#[must_use]
pub fn host() -> Host {
    let netstat = fs::read_to_string("/proc/net/netstat").unwrap_or_default();
    let snmp = fs::read_to_string("/proc/net/snmp").unwrap_or_default();
    Host {
        listen_overflows: counter(&netstat, "TcpExt:", "ListenOverflows"),
        listen_drops: counter(&netstat, "TcpExt:", "ListenDrops"),
        udp_receive_buffer_errors: counter(&snmp, "Udp:", "RcvbufErrors"),
        udp_send_buffer_errors: counter(&snmp, "Udp:", "SndbufErrors"),
        udp_errors: counter(&snmp, "Udp:", "InErrors"),
        tcp_retransmits: counter(&snmp, "Tcp:", "RetransSegs"),
    }
}

/// What was counted between two moments.
pub(crate) fn host_between(before: &Host, after: &Host) -> Host {
    let delta = |before: Option<u64>, after: Option<u64>| Some(after?.saturating_sub(before?));
    Host {
        listen_overflows: delta(before.listen_overflows, after.listen_overflows),
        listen_drops: delta(before.listen_drops, after.listen_drops),
        udp_receive_buffer_errors: delta(before.udp_receive_buffer_errors, after.udp_receive_buffer_errors),
        udp_send_buffer_errors: delta(before.udp_send_buffer_errors, after.udp_send_buffer_errors),
        udp_errors: delta(before.udp_errors, after.udp_errors),
        tcp_retransmits: delta(before.tcp_retransmits, after.tcp_retransmits),
    }
}

/// A value of a file whose lines come in pairs: names, then values, both behind the same first word.
fn counter(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.split(' ').next() == Some(group));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names.split(' ').position(|word| word == name)?;
    values.split(' ').nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_name_in_their_group() {
        let text =
            "TcpExt: A ListenDrops B\nTcpExt: 1 22 3\nUdp: ListenDrops\nUdp: 7\nUdpLite: X\nUdpLite: 9\n";
        assert_eq!(counter(text, "TcpExt:", "ListenDrops"), Some(22));
        assert_eq!(counter(text, "Udp:", "ListenDrops"), Some(7));
        assert_eq!((counter(text, "Udp:", "B"), counter(text, "Icmp:", "A")), (None, None));
    }

    #[test]
    fn this_process_is_in_its_own_tree_with_time_memory_and_threads() {
        let me = std::process::id() as i32;
        let before = Usage::of(me);
        sys::clock::spin(std::time::Duration::from_millis(5));
        let after = Usage::of(me);
        assert!(after.cpu_ns.unwrap() - before.cpu_ns.unwrap() >= 4_000_000 && after.processes >= 1);
        assert!(!after.switches.is_empty());
        let memory = Memory::of(me);
        assert!(memory.rss_bytes.unwrap() > 0 && memory.peak_bytes >= memory.rss_bytes);
        assert!(memory.pss_bytes.unwrap() > 0 && memory.pss_bytes <= memory.rss_bytes.map(|b| 2 * b));
        assert!(name(me).is_some() && host().listen_drops.is_some());
        assert_eq!(Usage::of(i32::MAX - 1).cpu_ns, None);
    }
}
