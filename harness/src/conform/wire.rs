//! What the probe did and met, in order: the evidence behind a verdict, and what a script of it does again. Bounded.
//! Not here: how it looks in a page, the script (see `script`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Events that are kept of a case; a thousand connections tell no more than a few hundred.
const EVENTS: usize = 400;
/// Bytes sent that are kept of a case, so that they can be sent again.
const BYTES: usize = 4 << 20;
/// Bytes of a message that are shown.
const SHOWN: usize = 48;

/// The log of the case that runs; clones write to the same one.
#[derive(Clone, Debug, Default)]
pub struct Wire(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    begun: Option<Instant>,
    events: Vec<Event>,
    kept: usize,
    left_out: u64,
    connections: u64,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// When, since the case began.
    pub at: Duration,
    /// On which connection, from 1; 0 for the subject as a whole.
    pub connection: u64,
    /// What.
    pub act: Act,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A connect was begun.
    Connect,
    /// Bytes were taken by the kernel; as many of them as are kept, and how many there were.
    Sent(Vec<u8>, u64),
    /// Bytes came; the first of them, and how many there were.
    Received(Vec<u8>, u64),
    /// The subject sent FIN.
    Ended,
    /// A call failed with this error.
    Error(String),
    /// FIN was sent; reading goes on.
    Finished,
    /// Closed.
    Closed,
    /// Closed with RST.
    Reset,
    /// The subject's processes were stopped (SIGSTOP).
    Stopped,
    /// They go on (SIGCONT).
    Continued,
    /// Their descriptor limits were lowered to what they have open.
    Squeezed,
    /// The limits are what they were.
    Released,
    /// Something worth knowing: a look at /proc, a threshold.
    Note(String),
}

impl Wire {
    fn log(&self) -> MutexGuard<'_, Log> {
        // A probe that panicked has written whole events.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all; a case begins.
    pub fn begin(&self) {
        *self.log() = Log { begun: Some(Instant::now()), ..Log::default() };
    }

    /// The number of a new connection, whose connect is written down.
    #[must_use]
    pub fn connect(&self) -> u64 {
        let connection = {
            let mut log = self.log();
            log.connections += 1;
            log.connections
        };
        self.add(connection, Act::Connect);
        connection
    }

    /// Writes down what happened; neighbours of one kind on one connection become one event.
    pub fn add(&self, connection: u64, act: Act) {
        let mut log = self.log();
        let at = log.begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        let Log { events, kept, left_out, .. } = &mut *log;
        if let Some(last) = events.last_mut().filter(|last| last.connection == connection) {
            match (&mut last.act, &act) {
                (Act::Sent(bytes, count), Act::Sent(more, n)) => {
                    // What is kept must be a beginning without a hole.
                    if *count == bytes.len() as u64 {
                        bytes.extend_from_slice(take(more, kept, BYTES));
                    }
                    *count += n;
                    return;
                }
                (Act::Received(bytes, count), Act::Received(more, n)) => {
                    let room = SHOWN.saturating_sub(bytes.len());
                    bytes.extend_from_slice(&more[..more.len().min(room)]);
                    *count += n;
                    return;
                }
                _ => {}
            }
        }
        if events.len() >= EVENTS {
            *left_out += 1;
            return;
        }
        let act = match act {
            Act::Sent(bytes, n) => Act::Sent(take(&bytes, kept, BYTES).to_vec(), n),
            other => other,
        };
        events.push(Event { at, connection, act });
    }

    /// Writes down bytes that the kernel took.
    pub fn sent(&self, connection: u64, bytes: &[u8]) {
        self.add(connection, Act::Sent(bytes.to_vec(), bytes.len() as u64));
    }

    /// Writes down bytes that came.
    pub fn received(&self, connection: u64, bytes: &[u8]) {
        self.add(connection, Act::Received(bytes[..bytes.len().min(SHOWN)].to_vec(), bytes.len() as u64));
    }

    /// Writes down a sentence.
    pub fn note(&self, text: impl Into<String>) {
        self.add(0, Act::Note(text.into()));
    }

    /// What happened so far, and how many events were left out at the end.
    #[must_use]
    pub fn events(&self) -> (Vec<Event>, u64) {
        let log = self.log();
        (log.events.clone(), log.left_out)
    }

    /// The log in lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let (events, left_out) = self.events();
        let mut lines: Vec<String> = events.iter().map(ToString::to_string).collect();
        if left_out > 0 {
            lines.push(format!("… and {left_out} more events"));
        }
        lines
    }
}

/// As much of `bytes` as there is room for.
fn take<'a>(bytes: &'a [u8], kept: &mut usize, most: usize) -> &'a [u8] {
    let bytes = &bytes[..bytes.len().min(most - *kept)];
    *kept += bytes.len();
    bytes
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:8.3} s  ", self.at.as_secs_f64())?;
        if self.connection > 0 {
            write!(f, "#{} ", self.connection)?;
        }
        match &self.act {
            Act::Connect => f.write_str("connect"),
            Act::Sent(bytes, n) => write!(f, "→ {n} bytes: {}", shown(bytes, *n)),
            Act::Received(bytes, n) => write!(f, "← {n} bytes: {}", shown(bytes, *n)),
            Act::Ended => f.write_str("← FIN"),
            Act::Error(error) => f.write_str(error),
            Act::Finished => f.write_str("→ FIN"),
            Act::Closed => f.write_str("close"),
            Act::Reset => f.write_str("close with RST"),
            Act::Stopped => f.write_str("SIGSTOP"),
            Act::Continued => f.write_str("SIGCONT"),
            Act::Squeezed => f.write_str("RLIMIT_NOFILE lowered to what is open"),
            Act::Released => f.write_str("RLIMIT_NOFILE as before"),
            Act::Note(text) => f.write_str(text),
        }
    }
}

fn shown(bytes: &[u8], count: u64) -> String {
    let head = &bytes[..bytes.len().min(SHOWN)];
    let more = if (head.len() as u64) < count { " …" } else { "" };
    format!("\"{}\"{more}", head.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_neighbours_and_keeps_a_beginning_without_a_hole() {
        let wire = Wire::default();
        wire.begin();
        let one = wire.connect();
        wire.sent(one, b"GET ");
        wire.sent(one, b"/\n");
        wire.received(one, &[b'x'; 100]);
        wire.received(one, b"y");
        let two = wire.connect();
        wire.sent(two, b"z");
        wire.sent(one, b"w");
        let (events, left_out) = wire.events();
        let acts: Vec<_> = events.iter().map(|e| (e.connection, e.act.clone())).collect();
        assert_eq!(left_out, 0);
        assert_eq!(acts[1], (1, Act::Sent(b"GET /\n".to_vec(), 6)));
        assert_eq!(acts[2], (1, Act::Received(vec![b'x'; SHOWN], 101)));
        assert_eq!(acts[3..].iter().map(|a| a.0).collect::<Vec<_>>(), [2, 2, 1]);
        assert!(events[1].to_string().ends_with("#1 → 6 bytes: \"GET /\\n\""));
    }

    #[test]
    fn is_bounded_and_says_what_it_left_out() {
        let wire = Wire::default();
        wire.begin();
        let n = wire.connect();
        for _ in 0..5 {
            wire.sent(n, &vec![0; 1 << 20]);
        }
        for _ in 0..1_000 {
            wire.note("again");
        }
        let (events, left_out) = wire.events();
        assert_eq!((events.len(), left_out), (EVENTS, 1_002 - EVENTS as u64));
        let Act::Sent(bytes, count) = &events[1].act else { panic!("{events:?}") };
        assert_eq!((bytes.len(), *count), (BYTES, 5 << 20));
        assert!(wire.lines().last().unwrap().contains("602 more"));
        wire.begin();
        assert!(wire.events().0.is_empty());
    }
}
