//! What machine this is, for the record. Not here: choosing processors (see `cpus`).

use record::machine::Machine;
use std::collections::BTreeMap;
use std::fs;

/// sysctls that bear on sockets.
const SYSCTLS: [&str; 9] = [
    "net/core/somaxconn",
    "net/core/rmem_max",
    "net/core/wmem_max",
    "net/ipv4/tcp_rmem",
    "net/ipv4/tcp_wmem",
    "net/ipv4/tcp_max_syn_backlog",
    "net/ipv4/tcp_abort_on_overflow",
    "net/ipv4/ip_local_port_range",
    "kernel/io_uring_disabled",
];

/// Reads what can be read; what cannot is left out.
#[must_use]
pub fn read() -> Machine {
    let cpuinfo = text("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        cpuinfo
            .lines()
            .find(|l| l.starts_with(name))
            .and_then(|l| l.split_once(':'))
            .map(|(_, v)| v.trim().to_owned())
    };
    let memory_kib = text("/proc/meminfo")
        .and_then(|t| t.lines().next().and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok()))
        .unwrap_or(0);
    let sysctls: BTreeMap<String, String> = SYSCTLS
        .iter()
        .filter_map(|name| {
            let value = text(&format!("/proc/sys/{name}"))?;
            Some((name.replace('/', "."), value.split_whitespace().collect::<Vec<_>>().join(" ")))
        })
        .collect();
    Machine {
        kernel: text("/proc/sys/kernel/osrelease").unwrap_or_default(),
        cpu_model: field("model name").or_else(|| field("Model")).unwrap_or_default(),
        cpus: sys::affinity::allowed().unwrap_or_default(),
        governor: text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        virtualised: field("flags").map(|flags| flags.split(' ').any(|f| f == "hypervisor")),
        memory_bytes: memory_kib * 1024,
        descriptor_limit: sys::process::descriptor_limit(),
        sysctls,
        load_average: text("/proc/loadavg").and_then(|t| t.split(' ').next()?.parse().ok()),
        clock_source: text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
    }
}

fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|t| t.trim().to_owned())
}
