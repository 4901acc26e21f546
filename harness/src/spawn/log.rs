//! Draining a child's output: it never blocks on a full pipe, and the end of what it said is kept. Not here: judging it.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is kept of a server's output, in bytes: enough for a backtrace.
pub(super) const KEEP: usize = 64 * 1024;

/// The line by which our servers say that they are ready; the URL follows.
pub(super) const READY: &str = "listening on ";

/// One stream of a child, being drained.
#[derive(Clone, Debug)]
pub(super) struct Log(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    total: u64,
    closed: bool,
    /// Nothing more is read: the next bytes are the last, and then the writer's pipe is broken.
    hang_up: bool,
    /// The unfinished line, while the ready line is still awaited.
    line: Option<Vec<u8>>,
    ready: Option<(String, Instant)>,
}

impl Log {
    /// Starts a thread that reads `stream` to its end and keeps the last `keep` bytes; `watch` looks for the ready line.
    pub(super) fn drain(
        stream: impl Read + Send + 'static,
        keep: usize,
        watch: bool,
    ) -> std::io::Result<Self> {
        let state = State { line: watch.then(Vec::new), ..State::default() };
        let log = Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }));
        let shared = log.clone();
        std::thread::Builder::new().name("drain".to_owned()).spawn(move || shared.run(stream, keep))?;
        Ok(log)
    }

    fn run(&self, mut stream: impl Read, keep: usize) {
        let mut buffer = [0; 8192];
        loop {
            match stream.read(&mut buffer) {
                Ok(n) if n > 0 => {
                    let mut state = self.lock();
                    state.take(&buffer[..n], keep);
                    if state.hang_up {
                        break;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                _ => break,
            }
            self.0.changed.notify_all();
        }
        // First the pipe, so that whoever learns of it finds it broken.
        drop(stream);
        self.lock().closed = true;
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `done` gives something or `time` has passed.
    fn wait<T>(&self, time: Duration, done: impl Fn(&State) -> Option<T>) -> Option<T> {
        let end = Instant::now() + time;
        let mut state = self.lock();
        loop {
            if let Some(found) = done(&state) {
                return Some(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What follows [`READY`] in the first such line, and when it came; waits at most `time`.
    pub(super) fn ready(&self, time: Duration) -> Option<(String, Instant)> {
        self.wait(time, |s| if s.ready.is_some() || s.closed { Some(s.ready.clone()) } else { None })
            .flatten()
    }

    /// What follows `prefix` in the first whole line that begins so; waits at most `time`, or until the stream ends.
    pub(super) fn line(&self, prefix: &str, time: Duration) -> Option<String> {
        let look = |s: &State| {
            let text: Vec<u8> = s.bytes.iter().copied().collect();
            let text = String::from_utf8_lossy(&text);
            let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
            let found = whole.lines().find_map(|l| l.strip_prefix(prefix)).map(str::to_owned);
            if found.is_some() || s.closed { Some(found) } else { None }
        };
        self.wait(time, look).flatten()
    }

    /// Waits until the stream has ended, at most `time`; says whether it has.
    pub(super) fn closed(&self, time: Duration) -> bool {
        self.wait(time, |s| s.closed.then_some(())).is_some()
    }

    /// Reads no more: the writer finds its pipe broken once it has written again.
    pub(super) fn hang_up(&self) {
        self.lock().hang_up = true;
    }

    /// Bytes that have come, those no longer kept included.
    pub(super) fn total(&self) -> u64 {
        self.lock().total
    }

    /// What is kept.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.iter().copied().collect()
    }

    /// What is kept, as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// The last `lines` lines.
    pub(super) fn tail(&self, lines: usize) -> String {
        let text = self.text();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl State {
    fn take(&mut self, bytes: &[u8], keep: usize) {
        self.total += bytes.len() as u64;
        self.bytes.extend(bytes);
        let excess = self.bytes.len().saturating_sub(keep);
        self.bytes.drain(..excess);
        if let Some(mut line) = self.line.take() {
            line.extend_from_slice(bytes);
            self.line = self.look(line);
        }
    }

    /// Looks for the ready line in the whole lines of `text`; returns what is left, or `None` when the search is over.
    fn look(&mut self, text: Vec<u8>) -> Option<Vec<u8>> {
        let mut rest = text.as_slice();
        while let Some(end) = rest.iter().position(|&b| b == b'\n') {
            let line = String::from_utf8_lossy(&rest[..end]);
            if let Some(url) = line.strip_prefix(READY) {
                self.ready = Some((url.trim_end().to_owned(), Instant::now()));
                return None;
            }
            rest = &rest[end + 1..];
        }
        // A program that never ends its line is not ours.
        (rest.len() <= KEEP).then(|| rest.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_ready_line_however_it_is_cut_and_keeps_the_end() {
        let text = format!("hello\nlistening on tcp://127.0.0.1:1\n{}", "x".repeat(100));
        for at in 0..text.len() {
            let mut state = State { line: Some(Vec::new()), ..State::default() };
            state.take(&text.as_bytes()[..at], 10);
            state.take(&text.as_bytes()[at..], 10);
            assert_eq!(state.ready.unwrap().0, "tcp://127.0.0.1:1");
            assert_eq!((state.bytes.len(), state.total), (10, text.len() as u64));
        }
    }
}
