//! Group 2, accept, at the limits of descriptors: none left, and numbers above 1023.

use super::super::case::{BASE, Case, LASTING, Level, Need, Outcome, STREAMS};
use super::super::evidence;
use super::super::fault::{Fault, What};
use super::super::peer::{Peer, Pending};
use super::super::scene::Scene;
use super::super::target::Target;
use super::super::wire::{Act, Wire};
use crate::spawn::Identity;
use std::time::Duration;
use sys::spawn::Begin;

/// 2.6
pub(super) static EMFILE_SURVIVE: Case = Case {
    id: "accept/emfile-survive",
    number: "2.6",
    level: Level::Must,
    needs: Need::Pid,
    services: LASTING,
    quick: true,
    requirement: "A server that has no descriptor left serves the connections it has, and new ones once there are descriptors (accept(2), EMFILE)",
    acceptable: "alive; open connections answer meanwhile; a new one is served within 2 s after",
    probe: emfile_survive,
    ..BASE
};

/// 2.7
pub(super) static EMFILE_SPIN: Case = Case {
    id: "accept/emfile-spin",
    number: "2.7",
    level: Level::Must,
    needs: Need::Pid,
    services: LASTING,
    timing: true,
    quick: true,
    requirement: "A server that has no descriptor left waits for one and does not spin on accept (libuv #690, wai #928, ranch #36)",
    acceptable: "runs or waits to run at most 20 % of the time (60 %: FAILED, between: NON-STRICT), at most 64 KiB/s on stderr",
    probe: emfile_spin,
    ..BASE
};

/// How long the server is left without descriptors before it is judged.
const HOLD: Duration = Duration::from_millis(400);
/// Connections beyond what the descriptors can take.
const BEYOND: usize = 12;
/// One window of watching.
const WINDOW: Duration = Duration::from_millis(200);
/// Log output above this is a disk that fills, in bytes per second.
const LOG_RATE: u64 = 64 * 1024;

/// Accepting processes whose descriptor limit is lowered; put back when dropped.
struct Squeezed(Vec<(Identity, u64)>, Wire);

impl Squeezed {
    /// Lowers the limit to the lowest free number, so that the next descriptor is one too many: it counts numbers, not how many are
    /// open (conformance.md, section 8), and what is open above it stays open.
    fn new(tree: &[Identity], target: &Target) -> std::io::Result<Self> {
        let ip = target.ip();
        let mut squeezed = Self(Vec::new(), target.wire.clone());
        target.wire.add(0, Act::Squeezed);
        for id in tree.iter().filter(|id| evidence::holds_listener(id.pid, ip)) {
            let free = u64::try_from(lowest_free(&evidence::descriptors(id.pid))).unwrap_or(3);
            squeezed.0.push((*id, sys::process::limit_descriptors(id.pid, free)?));
        }
        Ok(squeezed)
    }

    /// Threads that may sleep in accept: each has its descriptor already, and takes one more connection.
    fn acceptors(&self) -> usize {
        self.0.iter().map(|(id, _)| evidence::threads(id.pid).len()).sum()
    }

    /// Numbers below the limit that are free: so many connections are still accepted.
    fn gaps(&self) -> usize {
        let free = |id: &Identity| {
            let open = evidence::descriptors(id.pid);
            let limit = evidence::descriptor_limit(id.pid).unwrap_or(0);
            (0..limit).filter(|fd| !open.contains(fd)).count()
        };
        self.0.iter().map(|(id, _)| free(id)).sum()
    }
}

impl Drop for Squeezed {
    fn drop(&mut self) {
        self.1.add(0, Act::Released);
        for (id, limit) in &self.0 {
            if id.alive() {
                let _ = sys::process::limit_descriptors(id.pid, *limit);
            }
        }
    }
}

fn lowest_free(open: &[i32]) -> i32 {
    (0..).find(|fd| !open.contains(fd)).unwrap_or(0)
}

/// True when a process has several descriptors above a gap. They would stay open above the limit, and poll(2) takes no more entries
/// than the limit: the server would fail for another reason.
fn has_gaps(tree: &[Identity]) -> bool {
    tree.iter().any(|id| {
        let open = evidence::descriptors(id.pid);
        let free = lowest_free(&open);
        open.iter().filter(|fd| **fd > free).count() >= 3
    })
}

/// A server without descriptors.
struct Exhausted {
    squeezed: Squeezed,
    /// Connections from before.
    before: Vec<Peer>,
    /// Connections that it cannot take, with their requests.
    beyond: Vec<(Peer, Pending)>,
}

/// Takes the server's descriptors away, and proves that it has none left; else says why not.
fn exhaust(scene: &mut Scene<'_>) -> Result<Result<Exhausted, Outcome>, Fault> {
    let target = scene.target()?;
    let serial = scene.serial();
    let holds = !serial && scene.facts().lasting;
    let [few, most] = [3, 24].map(|wanted| usize::try_from(scene.at_once(wanted)).unwrap_or(1));
    let running = scene.running()?;
    let mut before = Vec::new();
    // New connections take the lowest numbers: a few more of them close the gaps.
    while holds && (before.len() < few || (before.len() < most && has_gaps(&running.tree()))) {
        let mut peer = Peer::connect(&target, before.len() as u64)?;
        peer.exchange(64)?;
        before.push(peer);
    }
    let squeezed = match Squeezed::new(&running.tree(), &target) {
        Ok(squeezed) if squeezed.0.is_empty() => {
            return Ok(Err(Outcome::Skipped("no process is seen to hold the listener".to_owned())));
        }
        Ok(squeezed) => squeezed,
        Err(error) => return Ok(Err(Outcome::Skipped(format!("its limit cannot be set: {error}")))),
    };
    let mut beyond = Vec::new();
    for n in 0..squeezed.gaps() + squeezed.acceptors() + BEYOND {
        let mut quick = target.clone();
        quick.reply = HOLD;
        let Ok(mut peer) = Peer::connect(&quick, 100 + n as u64) else { break };
        let mut pending = peer.prepare(64);
        // A server may close at once what it cannot take.
        let _ = peer.fill(&mut pending.out, u64::MAX, Duration::ZERO);
        beyond.push((peer, pending.within(target.reply)));
    }
    if serial && !beyond.is_empty() {
        // The one that was let in (a thread asleep in accept has its descriptor already) goes, so that the next must be accepted.
        let (mut peer, pending) = beyond.remove(0);
        let _ = peer.complete(&mut pending.within(HOLD));
    }
    sys::clock::pause(HOLD);
    let queued = evidence::queued(target.ip(), scene.running()?.id.map(|id| id.pid));
    let closed = beyond.iter().filter(|(peer, _)| peer.closed_unanswered()).count();
    // Either accept fails, or what it accepts by giving up a reserve is closed at once; closing alone has other reasons too.
    if queued == 0 && (closed < 2 || squeezed.gaps() > 0) {
        return Ok(Err(Outcome::Inconclusive("accept was not seen to fail: the queue is empty".to_owned())));
    }
    Ok(Ok(Exhausted { squeezed, before, beyond }))
}

fn emfile_survive(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let mut exhausted = match exhaust(scene)? {
        Ok(exhausted) => exhausted,
        Err(outcome) => return Ok(outcome),
    };
    let queued = evidence::queued(scene.target()?.ip(), None);
    for peer in &mut exhausted.before {
        if let Err(fault) = peer.exchange(64) {
            return match scene.running()?.ended() {
                Some(how) => {
                    Ok(Outcome::Violates(format!("the server {how} when it had no descriptor left")))
                }
                None => Err(fault.during("a connection from before, while no descriptor is left")),
            };
        }
    }
    let open = exhausted.before.len();
    drop(exhausted.squeezed);
    drop(exhausted.before);
    let mut served = 0;
    for (mut peer, mut pending) in exhausted.beyond {
        match peer.complete(&mut pending) {
            Ok(_) => served += 1,
            // Closing what cannot be served is an answer too; silence is not.
            Err(Fault { what: What::Wrong(_) | What::Reset(_), .. }) => {}
            Err(fault) => {
                return Err(fault.during("a connection that waited, after descriptors were free again"));
            }
        }
    }
    scene.target()?.canary(7).map_err(|f| f.during("a new connection, after descriptors were free again"))?;
    Ok(Outcome::Holds(format!(
        "{open} open connections answered with {queued} queued; {served} of those served after"
    )))
}

/// The log is watched for so long, because who backs off does so for a second, and then says it again.
const LOG_WINDOW: Duration = Duration::from_millis(1_200);

fn emfile_spin(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let words =
        |running: &super::super::subject::Running| running.child.as_ref().map_or(0, |c| c.stderr_bytes());
    let (before, start) = (words(scene.running()?), std::time::Instant::now());
    let exhausted = match exhaust(scene)? {
        Ok(exhausted) => exhausted,
        Err(outcome) => return Ok(outcome),
    };
    let running = scene.running()?;
    let share = evidence::least_busy(|| running.tree(), WINDOW);
    if let Some(how) = running.ended() {
        return Ok(Outcome::Violates(format!("the server {how} when it had no descriptor left")));
    }
    sys::clock::pause(LOG_WINDOW.saturating_sub(start.elapsed()));
    let log =
        (words(running) - before) * 1_000 / u64::try_from(start.elapsed().as_millis().max(1)).unwrap_or(1);
    drop(exhausted);
    let text = format!(
        "busy {:.0} % of the time without descriptors, {log} bytes a second on stderr",
        share * 100.0
    );
    Ok(if share >= evidence::SPINS || log > LOG_RATE {
        Outcome::Violates(text)
    } else if share > evidence::RESTS {
        Outcome::Tolerable(text)
    } else {
        Outcome::Holds(text)
    })
}

/// 2.9
pub(super) static FD_1024: Case = Case {
    id: "accept/fd-1024",
    alone: true,
    families: STREAMS,
    number: "2.9",
    level: Level::Must,
    needs: Need::Command,
    services: LASTING,
    lasting: true,
    quick: true,
    requirement: "A descriptor above 1023 is served or refused, and corrupts nothing (select(2), BUGS)",
    acceptable: "served; INFO where such connections are closed at once and those below 1024 go on",
    probe: fd_1024,
    ..BASE
};

/// Connections that are opened to get past descriptor 1023.
const CROSSING: u64 = 24;

fn fd_1024(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    if sys::process::descriptor_limit().1 < 4096 {
        return Ok(Outcome::Skipped("the hard limit of descriptors is below 4096".to_owned()));
    }
    // First so that its own descriptors stay below and the connections cross; then, for a server that holds no connection itself
    // (a forking parent closes them), so that everything lies above.
    let mut last = String::new();
    for below in [1_010, 1_024] {
        let begin = Begin { descriptors: Some(4096), occupy_below: Some(below), ..Begin::default() };
        if let Err(fault) = scene.subject.start(&begin, None) {
            return match fault.what {
                What::Harness(_) => Err(fault),
                What::NotReady(ref error) if error.crashed() => {
                    Ok(Outcome::Violates(format!("does not start with its descriptors at {below}: {fault}")))
                }
                _ if below == 1_024 => {
                    Ok(Outcome::Info(format!("does not start where all descriptors are above 1023: {fault}")))
                }
                // Some set a limit of their own, below which there is no room then: nothing has passed 1023.
                _ => Ok(Outcome::Inconclusive(format!(
                    "does not start with its descriptors at {below}: {fault}"
                ))),
            };
        }
        match cross(scene)? {
            (Some(outcome), _) => return Ok(outcome),
            (None, highest) => last = format!("no descriptor above 1023 was seen, the highest is {highest}"),
        }
    }
    Ok(Outcome::Inconclusive(last))
}

/// Opens connections until descriptors above 1023 are in use; the outcome when they were, and the highest number seen.
fn cross(scene: &mut Scene<'_>) -> Result<(Option<Outcome>, i32), Fault> {
    let target = scene.target()?;
    // Those that are held: where few are served at a time the others come and go.
    let held = if scene.serial() { 0 } else { scene.at_once(CROSSING) };
    let (mut served, mut refused, mut highest) = (Vec::new(), 0, 0);
    let mut answered = 0;
    for n in 0..CROSSING {
        let mut peer = Peer::connect(&target, n)?;
        match peer.exchange(64) {
            Ok(_) => {
                if highest < 1_024 {
                    // A thousand entries for each process: read until the proof is there.
                    let tree = scene.running()?.tree();
                    let open = tree.iter().flat_map(|id| evidence::descriptors(id.pid));
                    highest = open.max().unwrap_or(0).max(highest);
                }
                answered += 1;
                if (served.len() as u64) < held {
                    served.push(peer);
                }
            }
            Err(Fault { what: What::Wrong(_) | What::Reset(_), .. }) => refused += 1,
            Err(fault) => {
                return Err(fault.during(format!("connection {} with descriptors near 1024", n + 1)));
            }
        }
        if let Some(how) = scene.running()?.ended() {
            return Ok((Some(Outcome::Violates(format!("the server {how} near descriptor 1024"))), highest));
        }
    }
    for peer in &mut served {
        peer.exchange(64).map_err(|f| f.during("a connection from before descriptor 1024 was passed"))?;
    }
    Ok(match (refused, highest >= 1_024) {
        (0, true) => (
            Some(Outcome::Holds(format!("{answered} connections served, past descriptor {highest}"))),
            highest,
        ),
        (0, false) => (None, highest),
        _ => (
            Some(Outcome::Info(format!("{refused} connections refused, {answered} below 1024 served"))),
            highest,
        ),
    })
}
