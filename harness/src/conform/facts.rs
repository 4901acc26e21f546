//! What a subject is, found out before it is judged: serial or concurrent, one process a connection or not.
//! Not here: what follows for a case.

use super::control::Pace;
use super::fault::Fault;
use super::peer::Peer;
use super::subject::Running;
use super::target::Target;
use service::Kind;
use std::time::Duration;

/// What was found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether a second connection is served while a first is open and idle.
    pub concurrency: Concurrency,
    /// A process is made for each connection.
    pub forks: bool,
    /// A connection carries more than one exchange.
    pub lasting: bool,
    /// Connections that are served beside each other, where that are few.
    pub capacity: Option<u64>,
    /// Connections that may wait to be accepted, where that can be seen.
    pub backlog: Option<u32>,
    /// What stays behind of its connections.
    pub leaves: Leaves,
}

/// What stays behind of connections that came, exchanged a message and went. Each has a case that looks for it and fails; it is held
/// against no other one, or a single flaw would fail them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leaves {
    /// Zombies (`leak/zombies`).
    pub zombies: bool,
    /// Open descriptors (`leak/fd`).
    pub descriptors: bool,
    /// Connections that the peer has closed and the subject has not (`half/server-closes`).
    pub unclosed: bool,
}

impl Leaves {
    fn text(self) -> String {
        let kinds = [
            (self.zombies, "zombies"),
            (self.descriptors, "descriptors"),
            (self.unclosed, "connections in CLOSE_WAIT"),
        ];
        let kinds: Vec<_> = kinds.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
        if kinds.is_empty() { String::new() } else { format!(", leaves {} behind", kinds.join(" and ")) }
    }
}

/// Whether connections are served beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// The second waits until the first is closed.
    Serial,
    /// The second is served.
    Concurrent,
    /// The service closes each connection itself, so that none can be held open.
    NotToBeTold,
    /// There are no connections.
    Datagrams,
}

impl Facts {
    /// The facts in words.
    #[must_use]
    pub fn text(self) -> String {
        let concurrency = match self.concurrency {
            Concurrency::Serial => "serial: one connection at a time",
            Concurrency::Concurrent => "concurrent",
            Concurrency::Datagrams => "datagrams",
            Concurrency::NotToBeTold => "serial or concurrent cannot be told: connections do not last",
        };
        let few = self.capacity.map(|n| format!(", {n} at a time")).unwrap_or_default();
        let forks = if self.forks { ", a process for each connection" } else { "" };
        let backlog = self.backlog.map(|n| format!(", a queue of {n} before accept")).unwrap_or_default();
        format!("{concurrency}{few}{forks}{backlog}{}", self.leaves.text())
    }
}

/// A second connection that is not served within this is waited for after the first is closed: enough for a busy machine.
const SECOND: Duration = Duration::from_millis(400);

/// Finds out; but for what is left behind, which is seen when all its clients have gone.
///
/// # Errors
/// The subject does not answer even one connection after the other.
pub fn probe(running: &Running, pace: Pace) -> Result<Facts, Fault> {
    let target = &running.target;
    if target.is_datagram() {
        target.canary(1)?;
        return Ok(Facts {
            concurrency: Concurrency::Datagrams,
            forks: false,
            lasting: true,
            capacity: None,
            backlog: None,
            leaves: Leaves::default(),
        });
    }
    let backlog = target.gate.as_ref().map(|gate| gate.backlog);
    if target.kind == Kind::Greeting && target.dialogue.is_none() {
        target.canary(1)?;
        return Ok(Facts {
            concurrency: Concurrency::NotToBeTold,
            forks: false,
            lasting: false,
            capacity: None,
            backlog,
            leaves: Leaves::default(),
        });
    }
    let before = running.tree();
    let mut first = Peer::connect(target, 1)?;
    let lasting = first.exchange(64).map_err(|f| f.during("first connection"))?;
    if !lasting {
        // Held open without a request, so that it is in the server's hands all the same.
        first = Peer::connect(target, 3)?;
    }
    let mut short = target.clone();
    short.reply = pace.scale(SECOND);
    let mut second = Peer::connect(&short, 2).map_err(|f| f.during("second connection"))?;
    let mut pending = second.prepare(64);
    let concurrency = match second.complete(&mut pending) {
        Ok(_) => Concurrency::Concurrent,
        Err(fault) if fault.is_silence() => Concurrency::Serial,
        Err(fault) => return Err(fault.during("second connection, the first still open")),
    };
    let during = running.tree();
    let capacity = match concurrency {
        Concurrency::Concurrent if lasting => room(&short, target.reply)?,
        _ => None,
    };
    drop(first);
    if concurrency == Concurrency::Serial {
        second.patience(target.reply);
        let mut pending = pending.within(target.reply);
        second
            .complete(&mut pending)
            .map_err(|f| f.during("second connection, after the first was closed"))?;
    }
    let grown = during.len() > before.len();
    drop(second);
    Ok(Facts { concurrency, forks: grown, lasting, capacity, backlog, leaves: Leaves::default() })
}

/// Connections beyond which nobody asks how many more are served at once: no case but 2.10 has more.
const MANY: u64 = 64;

/// How many connections are served beside the two that are open, and those; `None` for [`MANY`]. The one that is too many is given the
/// time of an answer, and the others are gone when this returns.
fn room(hasty: &Target, reply: Duration) -> Result<Option<u64>, Fault> {
    let mut open = Vec::new();
    for n in 3..=MANY {
        let asked = |peer: &mut Peer| {
            let mut pending = peer.prepare(64);
            match peer.complete(&mut pending) {
                Err(fault) if fault.is_silence() => {
                    peer.patience(reply);
                    peer.complete(&mut pending.within(reply))
                }
                other => other,
            }
        };
        match Peer::connect(hasty, n).and_then(|mut peer| asked(&mut peer).map(|_| peer)) {
            Ok(peer) => open.push(peer),
            Err(fault) if fault.is_silence() => return Ok(Some(n - 1)),
            Err(fault) => return Err(fault.during(format!("connection {n}, the others still open"))),
        }
    }
    Ok(None)
}
