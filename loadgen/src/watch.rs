//! Looking at a run from outside its threads: what the server and the host used in the window, and the view on a terminal.
//! Not here: reading /proc (`procs`), drawing (`live`).
//!
//! It runs on the thread that would otherwise only wait for the engines to end, and reads at the edges of the window. A window of
//! a number of requests has no edge that is known beforehand: it is closed when the last engine has ended.

use crate::engine::Timeline;
use crate::fleet::Gate;
use crate::live::Screen;
use crate::procs::{self, Memory, Usage};
use crate::tap::{RequestLog, Tap};
use record::used::{Host, Server};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use sys::clock::monotonic_ns as clock;

/// What to look at while a run goes; by default, the host's counters alone.
#[derive(Default)]
pub(crate) struct Watch {
    /// The server's process.
    pub(crate) pid: Option<i32>,
    /// Requests to log, over all threads.
    pub(crate) log_room: Option<usize>,
    /// The view.
    pub(crate) screen: Option<Screen>,
    /// Where the start is fetched from, for a process that makes a part of a run.
    pub(crate) gate: Option<Gate>,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) server: Option<Server>,
    pub(crate) host: Option<Host>,
}

/// The server and the host at one moment.
struct Reading {
    at_ns: u64,
    server: Option<Usage>,
    host: Host,
}

impl Watch {
    /// What one of `threads` threads passes on.
    pub(crate) fn tap(&mut self, threads: u32) -> Tap {
        Tap {
            log: self.log_room.map(|room| RequestLog::new(room.div_ceil(threads.max(1) as usize))),
            counts: self.screen.as_mut().map(Screen::counts),
        }
    }

    /// When the run is to start, by CLOCK_MONOTONIC in nanoseconds, where `delay_ns` is enough for the threads of this process.
    pub(crate) fn start_ns(&self, delay_ns: u64) -> u64 {
        self.gate.map_or_else(|| clock() + delay_ns, Gate::pass)
    }

    fn read(&self) -> Reading {
        Reading { at_ns: clock(), server: self.pid.map(Usage::of), host: procs::host() }
    }

    /// Follows a run along `line` until the other end of `ended` is dropped.
    pub(crate) fn follow(&mut self, line: Timeline, ended: &Receiver<()>) -> Seen {
        let over = wait_until(line.open_ns, ended);
        let before = self.read();
        if let Some(screen) = &mut self.screen {
            screen.start(before.at_ns);
        }
        let mut next_ns = self.after_a_while(line.open_ns);
        let mut over = over;
        while !over && next_ns.min(line.close_ns) < line.close_ns {
            over = wait_until(next_ns, ended);
            if let Some(screen) = self.screen.as_mut().filter(|_| !over) {
                let now = clock();
                screen.draw(now, now.saturating_sub(line.open_ns));
            }
            next_ns = self.after_a_while(next_ns);
        }
        if !over {
            wait_until(line.close_ns, ended);
        }
        let after = self.read();
        let memory = self.pid.map(Memory::of);
        // What comes now are the last replies; the view is over.
        self.screen = None;
        Seen {
            server: self.pid.map(|pid| server(pid, &before, &after, memory.unwrap_or_default())),
            host: Some(procs::host_between(&before.host, &after.host)),
        }
    }

    /// When to draw next; never, where nobody looks.
    fn after_a_while(&self, since_ns: u64) -> u64 {
        let every = self.screen.as_ref().map(Screen::every);
        every.map_or(u64::MAX, |every| since_ns.saturating_add(crate::config::nanoseconds(every)))
    }
}

/// Waits until the clock says so; true when the run ended before.
fn wait_until(at_ns: u64, ended: &Receiver<()>) -> bool {
    loop {
        let left_ns = at_ns.saturating_sub(clock());
        if left_ns == 0 {
            return false;
        }
        // A wait of centuries is one that the library cannot add to its clock.
        let left = Duration::from_nanos(left_ns).min(Duration::from_secs(3_600));
        match ended.recv_timeout(left) {
            Err(RecvTimeoutError::Disconnected) => return true,
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn server(pid: i32, before: &Reading, after: &Reading, memory: Memory) -> Server {
    let none = Usage::default();
    let (first, last) = (before.server.as_ref().unwrap_or(&none), after.server.as_ref().unwrap_or(&none));
    let window_ns = after.at_ns.saturating_sub(before.at_ns).max(1);
    // A process that was gone before it could be read has left no numbers, not zeros.
    let cpu_ns = last.cpu_ns.zip(first.cpu_ns).map(|(last, first)| last.saturating_sub(first));
    let switches = |pick: fn(&(u64, u64)) -> u64| {
        let since = |(tid, now): (&i32, &(u64, u64))| {
            pick(now).saturating_sub(first.switches.get(tid).map_or(0, pick))
        };
        (!last.switches.is_empty()).then(|| last.switches.iter().map(since).sum())
    };
    Server {
        pid,
        name: procs::name(pid).unwrap_or_default(),
        window_ns,
        cpu_ns,
        cpu_ns_per_request: None,
        cpus: cpu_ns.map(|ns| ns as f64 / window_ns as f64),
        rss_bytes: memory.rss_bytes,
        pss_bytes: memory.pss_bytes,
        peak_rss_bytes: memory.peak_bytes,
        voluntary_switches: switches(|s| s.0),
        involuntary_switches: switches(|s| s.1),
        threads: last.switches.len() as u64,
        processes: last.processes,
        threads_ended: first.switches.keys().filter(|tid| !last.switches.contains_key(tid)).count() as u64,
        gone: last.cpu_ns.is_none(),
    }
}
