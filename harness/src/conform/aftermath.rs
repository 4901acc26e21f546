//! Whether the subject is still whole after a case: the second half of every verdict. Not here: the case's own conclusion.
//!
//! "The connection was closed" is only well when the server still stands afterwards; a worker that crashes closes its connections too.

use super::evidence;
use super::facts::Leaves;
use super::fault::Fault;
use super::rest::Baseline;
use super::scene::Scene;
use super::subject::Running;
use crate::spawn::Child;
use crate::spawn::sockets::CLOSE_WAIT;
use std::time::Duration;

/// Descriptors beyond the baseline that are no leak: a runtime may open one late (conformance.md, 7.1).
const SLACK: usize = 2;
/// One window in which the subject should rest, in milliseconds: as the catalogue says, and where time is short.
const WINDOW_MS: (u64, u64) = (100, 50);
/// Share of one processor that an idle subject must be under, run and waiting to run, to count as resting.
pub const RESTING: f64 = 0.5;

/// The word for a subject that is whole.
pub const CLEAN: &str = "clean";

/// What is not whole, one phrase each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aftermath {
    /// What a MUST forbids.
    pub wrong: Vec<String>,
    /// What is not as it should be.
    pub odd: Vec<String>,
    /// What the subject leaves behind after any connection, so that it is none of this case's doing.
    pub usual: Vec<String>,
}

impl Aftermath {
    /// In words.
    #[must_use]
    pub fn text(&self) -> String {
        let mut words: Vec<String> = self.wrong.iter().chain(&self.odd).cloned().collect();
        if !self.usual.is_empty() {
            words.push(format!("as after any connection: {}", self.usual.join(", ")));
        }
        if words.is_empty() { CLEAN.to_owned() } else { words.join("; ") }
    }

    /// Notes what is left behind where it is not gone in time; what is `usual` is not waited for, since it stays.
    fn note(
        &mut self,
        usual: bool,
        settle: Duration,
        gone: impl Fn() -> bool,
        words: impl FnOnce() -> String,
    ) {
        if !evidence::settle(if usual { Duration::ZERO } else { settle }, gone) {
            if usual { self.usual.push(words()) } else { self.wrong.push(words()) }
        }
    }

    fn over(how: String, running: &Running) -> Self {
        let words = running.child.as_ref().map(Child::stderr_tail).unwrap_or_default();
        let said = words.lines().rfind(|line| !line.trim().is_empty());
        let how = said.map_or_else(|| how.clone(), |line| format!("{how}; its last words: {}", line.trim()));
        Self { wrong: vec![how], ..Self::default() }
    }
}

/// Looks.
///
/// # Errors
/// Of the harness only.
pub fn look(scene: &mut Scene<'_>) -> Result<Aftermath, Fault> {
    let (settle, leaves) = (scene.settle(), scene.facts().leaves);
    let target = scene.target()?;
    let window = Duration::from_millis(scene.count(WINDOW_MS.0, WINDOW_MS.1));
    let running = scene.running()?;
    if let Some(how) = running.ended() {
        return Ok(Aftermath::over(format!("the server {how}"), running));
    }
    let mut found = Aftermath::default();
    let mut last = None;
    // Two of them: a server that looks only after accept whether it goes on has one more to give.
    let answered =
        evidence::settle(settle, || match target.canary(u64::MAX).and_then(|()| target.canary(u64::MAX)) {
            Ok(()) => true,
            Err(fault) => {
                last = Some(fault);
                false
            }
        });
    if let Some(fault) = last.filter(|_| !answered) {
        found.wrong.push(format!("a fresh connection is not served: {fault}"));
    }
    if let Some(how) = running.ended() {
        return Ok(Aftermath::over(format!("the server {how}"), running));
    }
    let Some(id) = running.id else { return Ok(found) };
    if !id.alive() {
        return Ok(Aftermath::over("the server's process has ended".to_owned(), running));
    }
    if let Some(baseline) = running.baseline.clone() {
        compare(running, &baseline, (settle, leaves), &mut found);
    }
    let waiting = || unclosed(running);
    found.note(
        leaves.unclosed,
        settle,
        || waiting() == 0,
        || format!("{} connections in CLOSE_WAIT: their peers have closed, the server has not", waiting()),
    );
    let mut share = 0.0;
    // One that was busy before any case is so still, by no fault of this one; that it is, is the matter of `life/idle-cpu`.
    let rest = RESTING + running.baseline.as_ref().and_then(|b| b.busy).unwrap_or(0.0);
    if !evidence::settle(settle, || {
        share = evidence::busy_share(|| running.tree(), window);
        share < rest
    }) {
        found.wrong.push(format!("idle, and busy {:.0} % of the time", share * 100.0));
    }
    Ok(found)
}

/// What stays behind of connections that have come and gone, where nothing else was asked of the subject since it had come to rest.
#[must_use]
pub fn leaves(running: &Running, settle: Duration) -> Leaves {
    let Some(baseline) = &running.baseline else { return Leaves::default() };
    Leaves {
        zombies: !evidence::settle(settle, || zombies(running, baseline) == 0),
        descriptors: !evidence::settle(settle, || !keeps_descriptors(running, baseline)),
        unclosed: !evidence::settle(settle, || unclosed(running) == 0),
    }
}

/// Zombies that were not there before.
fn zombies(running: &Running, baseline: &Baseline) -> usize {
    running.id.map_or(0, |id| evidence::zombies(id.pid).saturating_sub(baseline.zombies))
}

fn keeps_descriptors(running: &Running, baseline: &Baseline) -> bool {
    // Nothing tells a server of datagrams that a peer has gone: one with a socket for each keeps it for a while.
    let peers_end = !running.target.is_datagram();
    peers_end && evidence::descriptor_count(&running.tree()) > baseline.descriptors + SLACK
}

/// Connections that their peers have closed, and it has not.
fn unclosed(running: &Running) -> usize {
    running.id.map_or(0, |id| evidence::count_in_state(running.target.ip(), Some(id.pid), CLOSE_WAIT))
}

/// Zombies, descriptors and workers, against what was there before.
fn compare(
    running: &Running,
    baseline: &Baseline,
    (settle, leaves): (Duration, Leaves),
    found: &mut Aftermath,
) {
    let children = || zombies(running, baseline);
    found.note(
        leaves.zombies,
        settle,
        || children() == 0,
        || match children() {
            1 => "1 zombie: a child that was not waited for".to_owned(),
            count => format!("{count} zombies: children that were not waited for"),
        },
    );
    found.note(
        leaves.descriptors,
        settle,
        || !keeps_descriptors(running, baseline),
        || {
            let open = evidence::descriptor_count(&running.tree());
            format!("{open} descriptors open, {} before", baseline.descriptors)
        },
    );
    let lost = baseline.tree.iter().filter(|id| !id.alive()).count();
    // Of one that was busy when it was looked at nobody knows which processes are there to stay.
    if lost > 0 && baseline.busy.is_none() {
        // Made up for, it has cost the clients of that worker alone (conformance.md, 5.1).
        let made_up = evidence::settle(settle, || running.tree().len() >= baseline.tree.len());
        let words = format!("{lost} of its processes died");
        if made_up {
            found.odd.push(format!("{words} and were replaced"));
        } else {
            found.wrong.push(format!("{words} and were not replaced"));
        }
    }
}
