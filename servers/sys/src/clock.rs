//! Time: pausing, spinning, processor time. Not here: schedules.

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::io;
use std::time::{Duration, Instant};

/// Largest process id that Linux gives (PID_MAX_LIMIT, proc(5)).
const PID_MAX: i32 = 4_194_304;

/// CLOCK_MONOTONIC in nanoseconds: the clock of [`Instant`], as a number that another process can compare.
#[must_use]
pub fn monotonic_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// Wall clock, nanoseconds since 1970.
#[must_use]
pub fn realtime_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Realtime))
}

/// Processor time of the calling process, user and system, all threads, in nanoseconds.
#[must_use]
pub fn process_cpu_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::ProcessCPUTime))
}

/// Processor time of the calling thread in nanoseconds.
#[must_use]
pub fn thread_cpu_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::ThreadCPUTime))
}

fn nanoseconds(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Processor time, user and system, of all threads of another process, in nanoseconds. Children are not in it.
///
/// # Errors
/// ESRCH when the process is gone (clock_getcpuclockid(3)).
pub fn cpu_ns_of(pid: i32) -> io::Result<u64> {
    // The clock id is made by shifting the number: one that is out of range would name another clock.
    if !(1..=PID_MAX).contains(&pid) {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    let mut clock: libc::clockid_t = 0;
    // SAFETY: `clock` is a valid place for the result and lives through the call.
    let error = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result and lives through the call.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Keeps the processor busy for `time` by the monotonic clock: time taken away by the scheduler counts as spun.
pub fn spin(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// Sleeps for `time`, or until a signal is handled. For back-off and for handler work, never for readiness.
pub fn pause(time: Duration) {
    let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
    // A signal ends the pause early, as wanted; no other error can happen with a valid time.
    let _ = rustix::thread::nanosleep(&time);
}

/// Sleeps for the whole of `time`, signals or not.
pub fn sleep(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        pause(left);
    }
}

/// Makes the timers of the calling thread exact to a microsecond instead of the default 50 (prctl(2), PR_SET_TIMERSLACK).
///
/// # Errors
/// Those of prctl(2).
pub fn exact_timers() -> io::Result<()> {
    Ok(rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1_000))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spinning_costs_processor_time_and_pausing_does_not() {
        let before = thread_cpu_ns();
        pause(Duration::from_millis(20));
        let paused = thread_cpu_ns() - before;
        let start = Instant::now();
        spin(Duration::from_millis(20));
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert!(thread_cpu_ns() - before - paused > paused);
    }

    #[test]
    fn the_processor_time_of_another_process_is_that_of_its_own_clock() {
        spin(Duration::from_millis(2));
        let before = process_cpu_ns();
        let other = cpu_ns_of(std::process::id() as i32).unwrap();
        let after = process_cpu_ns();
        assert!(before > 0 && before <= other && other <= after, "{before} {other} {after}");
        assert!(cpu_ns_of(i32::MAX).is_err());
    }
}
