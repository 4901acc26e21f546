//! On which processors a process runs (sched_setaffinity(2)). Not here: which ones to choose.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::io;

/// The processors that the calling thread may use, lowest first; a container may leave gaps.
///
/// # Errors
/// Those of sched_getaffinity(2).
pub fn allowed() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect())
}

/// Keeps the calling thread, and the threads and processes it makes from now on, on `cpus`.
///
/// # Errors
/// EINVAL when none of `cpus` may be used.
pub fn pin_self(cpus: &[usize]) -> io::Result<()> {
    Ok(sched_setaffinity(None, &set(cpus))?)
}

/// Keeps thread `tid` on `cpus`.
///
/// # Errors
/// EINVAL when none of `cpus` may be used, ESRCH when there is no such thread.
pub fn pin(tid: i32, cpus: &[usize]) -> io::Result<()> {
    Ok(sched_setaffinity(Pid::from_raw(tid), &set(cpus))?)
}

fn set(cpus: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    for &cpu in cpus.iter().filter(|&&cpu| cpu < CpuSet::MAX_CPU) {
        set.set(cpu);
    }
    set
}
