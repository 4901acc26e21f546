//! Group 2, accept, at the limit of processes and threads. The limit itself: `cgroup::Ceiling` and RLIMIT_NPROC.

use super::super::case::{BASE, Case, LASTING, Need, Outcome, STREAMS};
use super::super::evidence;
use super::super::fault::{Fault, What};
use super::super::peer::Peer;
use super::super::scene::Scene;
use crate::cgroup::Ceiling;
use crate::spawn::Identity;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

/// 2.8
pub(super) static SPAWN_LIMIT: Case = Case {
    id: "accept/spawn-limit",
    alone: true,
    families: STREAMS,
    number: "2.8",
    needs: Need::Pid,
    services: LASTING,
    requirement: "A server that can make no further process or thread outlives that, and serves again when it can (fork(2), pthread_create(3), EAGAIN)",
    acceptable: "alive; those who come meanwhile are closed or wait; served within 2 s after, NON-STRICT where later",
    probe: spawn_limit,
    ..BASE
};

/// How long the server is left without.
const HOLD: Duration = Duration::from_millis(400);
/// Who comes meanwhile.
const COMERS: u64 = 4;

/// What keeps a tree from growing.
enum Limit {
    Group(Ceiling),
    /// Processes and their old limits.
    Resource(Vec<(Identity, u64)>),
}

impl Limit {
    fn over(tree: &[Identity]) -> Option<Self> {
        let pids: Vec<i32> = tree.iter().map(|id| id.pid).collect();
        if let Some(ceiling) = Ceiling::over(&pids) {
            return Some(Self::Group(ceiling));
        }
        let mortal = |id: &Identity| {
            std::fs::metadata(format!("/proc/{}", id.pid)).is_ok_and(|folder| folder.uid() != 0)
        };
        if !tree.iter().all(mortal) {
            return None;
        }
        let mut old = Vec::new();
        for id in tree {
            old.push((*id, sys::process::limit_processes(id.pid, 0).ok()?));
        }
        Some(Self::Resource(old))
    }

    /// Whether it was met; `None` where that is not told.
    fn met(&self) -> Option<bool> {
        match self {
            Self::Group(ceiling) => Some(ceiling.hits() > 0),
            Self::Resource(_) => None,
        }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        if let Self::Resource(old) = self {
            for (id, limit) in old.iter().filter(|(id, _)| id.alive()) {
                let _ = sys::process::limit_processes(id.pid, *limit);
            }
        }
    }
}

/// How long a server may take until it tries again to serve whom it could make no process for.
const TRIES_AGAIN: Duration = Duration::from_secs(15);

fn spawn_limit(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let running = scene.running()?;
    let Some(limit) = Limit::over(&running.tree()) else {
        return Ok(Outcome::Skipped(
            "the number of its processes cannot be limited: needs a control group (root), or a subject that is not root's"
                .to_owned(),
        ));
    };
    let mut comers = Vec::new();
    for n in 0..COMERS {
        let mut peer = Peer::connect(&target, n)?;
        let mut pending = peer.prepare(64);
        let _ = peer.fill(&mut pending.out, u64::MAX, Duration::ZERO);
        comers.push((peer, pending.within(target.reply)));
    }
    let unanswered = |peer: &Peer| peer.unread() == 0;
    evidence::settle(HOLD, || limit.met() == Some(true) && comers.iter().all(|(peer, _)| !unanswered(peer)));
    let waiting = comers.iter().filter(|(peer, _)| unanswered(peer)).count();
    let met = limit.met().unwrap_or(waiting > 0);
    drop(limit);
    if let Some(how) = scene.running()?.ended() {
        return Ok(Outcome::Violates(format!("the server {how} when it could make no process or thread")));
    }
    if !met {
        return Ok(Outcome::Skipped("makes neither a process nor a thread for a connection".to_owned()));
    }
    let (mut served, mut late) = (0, 0);
    for (mut peer, mut pending) in comers {
        let mut done = peer.complete(&mut pending);
        if done.as_ref().is_err_and(Fault::is_silence) {
            // Some try again after a while.
            late += 1;
            peer.patience(TRIES_AGAIN);
            done = peer.complete(&mut pending.within(TRIES_AGAIN));
        }
        match done {
            Ok(_) => served += 1,
            // Closing what cannot be served is an answer too; silence is not.
            Err(Fault { what: What::Wrong(_) | What::Reset(_), .. }) => {}
            Err(fault) => {
                return Err(fault.during("a connection that came when no process or thread could be made"));
            }
        }
    }
    target
        .canary(9)
        .map_err(|f| f.during("a new connection, when processes and threads could be made again"))?;
    let text = format!("{waiting} of {COMERS} found it unable to make any; {served} served, the rest closed");
    Ok(if late > 0 { Outcome::Tolerable(format!("{text}, but late")) } else { Outcome::Holds(text) })
}
