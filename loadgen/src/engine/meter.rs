//! What a thread of the generator uses while the window is open. Not here: judging it.

use sys::clock;

/// Processor time, waits, and time in the run queue, of one thread.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    /// Time in the poller since the window opened: waiting, or polling with nothing due.
    pub(crate) waited_ns: u64,
    /// User and system time in the window, once it is closed.
    pub(crate) cpu_ns: u64,
    /// Time ready to run and not running, in the window, once it is closed; `None` where the kernel does not tell.
    pub(crate) run_queue_ns: Option<u64>,
    /// Length of the window as this thread saw it.
    pub(crate) window_ns: u64,
    opened_ns: u64,
}

impl Meter {
    /// The window opens. Called by the thread itself, as is [`close`](Self::close).
    pub(crate) fn open(&mut self, now: u64) {
        *self = Self {
            waited_ns: 0,
            cpu_ns: clock::thread_cpu_ns(),
            run_queue_ns: run_queue_ns(),
            window_ns: 0,
            opened_ns: now,
        };
    }

    /// The window closes.
    pub(crate) fn close(&mut self, now: u64) {
        self.cpu_ns = clock::thread_cpu_ns().saturating_sub(self.cpu_ns);
        self.run_queue_ns = match (self.run_queue_ns, run_queue_ns()) {
            (Some(before), Some(after)) => Some(after.saturating_sub(before)),
            _ => None,
        };
        self.window_ns = now.saturating_sub(self.opened_ns);
    }

    /// Share of the window in which the thread was not waiting, 0 to 1.
    pub(crate) fn busy_share(&self) -> f64 {
        if self.window_ns == 0 {
            return 0.0;
        }
        (1.0 - self.waited_ns as f64 / self.window_ns as f64).clamp(0.0, 1.0)
    }
}

/// Nanoseconds that this thread spent ready to run and not running (proc(5), schedstat).
fn run_queue_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split_whitespace().nth(1)?.parse().ok()
}
