//! Group 10, process hygiene of servers of several processes: who dies, who is replaced, who outlives whom. The rest: `process`.

use super::super::case::{ANY, BASE, Case, LASTING, Level, Need, Outcome, STREAMS};
use super::super::evidence;
use super::super::fault::Fault;
use super::super::freeze::Frozen;
use super::super::peer::{End, Peer};
use super::super::scene::Scene;
use super::super::subject::Running;
use super::super::target::Target;
use crate::spawn::{Identity, identity, sockets};
use std::time::{Duration, Instant};

/// 10.2
pub(super) static WORKER_KILL: Case = Case {
    id: "proc/worker-kill",
    number: "10.2",
    needs: Need::Pid,
    services: LASTING,
    lasting: true,
    requirement: "A worker that is killed takes its own clients with it and nobody else, and is replaced (UNP 5.12; pysoa #179, httpd #727)",
    acceptable: "its client sees the end within 1 s, others go on; all workers killed: service back within 2 s, and no endless replacing",
    probe: worker_kill,
    ..BASE
};

/// Why the case does not apply, where the subject is one process.
fn alone(scene: &mut Scene<'_>) -> Result<Option<Outcome>, Fault> {
    let forks = scene.facts().forks;
    let alone = scene.running()?.tree().len() < 2 && !forks;
    Ok(alone.then(|| Outcome::Skipped("it is one process".to_owned())))
}

/// The workers that live: all but the first process.
fn workers(running: &Running) -> Vec<Identity> {
    let root = running.id;
    running.tree().into_iter().filter(|id| Some(*id) != root).collect()
}

/// The worker that holds the subject's end of `peer`.
fn holder(running: &Running, target: &Target, peer: &Peer) -> Option<Identity> {
    let own = peer.address()?;
    let rows = evidence::rows_of(target.ip(), running.id.map(|id| id.pid));
    let inode = rows.iter().find(|row| row.remote.port() == own.port())?.inode;
    let holds = |id: &Identity| {
        let open = evidence::descriptors(id.pid);
        open.iter().any(|fd| evidence::socket_inode(&evidence::link(id.pid, *fd)) == Some(inode))
    };
    workers(running).into_iter().find(holds)
}

fn worker_kill(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    if let Some(outcome) = alone(scene)? {
        return Ok(outcome);
    }
    let target = scene.target()?;
    let settle = scene.settle();
    let mut client = Peer::connect(&target, 1)?;
    client.exchange(64)?;
    let mut other = if scene.serial() { None } else { Some(Peer::connect(&target, 2)?) };
    if let Some(other) = &mut other {
        other.exchange(64)?;
    }
    let running = scene.running()?;
    let Some(worker) = holder(running, &target, &client) else {
        return Ok(Outcome::Inconclusive("which process has the client was not found".to_owned()));
    };
    // A worker may have both: then only the one is to be judged.
    let shared = other.as_ref().is_some_and(|other| holder(running, &target, other) == Some(worker));
    worker.signal(identity::KILL);
    if client.drain(target.reply)?.0 == End::Open {
        return Ok(Outcome::Violates(
            "the client of a killed worker sees no end: somebody else keeps its connection".to_owned(),
        ));
    }
    if let Some(other) = other.as_mut().filter(|_| !shared) {
        other.exchange(64).map_err(|f| f.during("the client of another worker, one being killed"))?;
    }
    drop(other);
    for id in workers(running) {
        id.signal(identity::KILL);
    }
    // No look is taken at what the case itself has ended.
    running.baseline = None;
    // A pool may be slow to grow again by design: the next case is given a fresh one.
    running.special = true;
    let start = Instant::now();
    let mut quick = target.clone();
    quick.reply = scene.pace.scale(Duration::from_millis(500));
    let mut last = None;
    if !evidence::settle(settle, || quick.canary(3).map_err(|fault| last = Some(fault)).is_ok()) {
        let why = last.map(|fault| fault.to_string()).unwrap_or_default();
        return Ok(Outcome::Violates(format!(
            "all workers killed, and nobody is served within {settle:?}: {why}"
        )));
    }
    let back = start.elapsed();
    let running = scene.running()?;
    if let Some(how) = running.ended() {
        return Ok(Outcome::Violates(format!("the server {how} when its workers were killed")));
    }
    let replaced = still(running, settle);
    Ok(if replaced {
        Outcome::Holds(format!(
            "its client saw the end; all workers killed: served after {} ms",
            back.as_millis()
        ))
    } else {
        Outcome::Violates("workers come and go without end after they were killed".to_owned())
    })
}

/// Waits until the workers are the same for a while; says whether that came to be.
fn still(running: &Running, settle: Duration) -> bool {
    evidence::settle(settle, || {
        let before = workers(running);
        sys::clock::pause(Duration::from_millis(100));
        workers(running) == before
    })
}

/// 10.3
pub(super) static PARENT_KILL: Case = Case {
    id: "proc/parent-kill",
    alone: true,
    number: "10.3",
    level: Level::Should,
    needs: Need::Command,
    services: LASTING,
    requirement: "Workers do not outlive a parent that was killed, and do not keep its port (prctl(2), PR_SET_PDEATHSIG)",
    acceptable: "within 2 s of SIGKILL for the parent all others are gone and nobody listens on the port",
    probe: parent_kill,
    ..BASE
};

fn parent_kill(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    if let Some(outcome) = alone(scene)? {
        return Ok(outcome);
    }
    let target = scene.target()?;
    let settle = scene.settle();
    let mut peers = Vec::new();
    for n in 0..scene.beside(3) {
        let mut peer = Peer::connect(&target, n)?;
        peer.exchange(64)?;
        peers.push(peer);
    }
    let children = workers(scene.running()?);
    if children.is_empty() {
        return Ok(Outcome::Inconclusive("no worker was seen".to_owned()));
    }
    let mut child = super::stop::take(scene)?;
    child.identity().signal(identity::KILL);
    if child.wait(settle).is_none() {
        return Err(Fault::harness("the parent does not end on SIGKILL"));
    }
    let left = || children.iter().filter(|id| id.alive()).count();
    let listens = || !sockets::listeners(target.ip(), None).is_empty();
    let gone = evidence::settle(settle, || left() == 0 && !listens());
    let (left, listens) = (left(), listens());
    child.kill();
    drop(peers);
    Ok(match (gone, listens) {
        (true, _) => Outcome::Holds(format!("{} workers are gone with their parent", children.len())),
        (_, true) => Outcome::Violates(format!(
            "{left} of {} workers are left, and the port is not free",
            children.len()
        )),
        (_, false) => Outcome::Violates(format!("{left} of {} workers are left", children.len())),
    })
}

/// 10.4
pub(super) static SIGCHLD_STORM: Case = Case {
    id: "proc/sigchld-storm",
    number: "10.4",
    families: STREAMS,
    requirement: "Children that end while the parent accepts neither stop it nor are miscounted: signals are not queued (UNP 5.9; signal(7), SA_RESTART)",
    acceptable: "500 short connections, ten at a time, their ends coming together where the process is known: all served",
    probe: sigchld_storm,
    ..BASE
};

/// Connections that end together.
const TOGETHER: u64 = 10;

fn sigchld_storm(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let rounds = scene.count(500, 200) / TOGETHER;
    let together = scene.beside(TOGETHER);
    let (forks, settle) = (scene.facts().forks, scene.settle());
    let running = scene.running()?;
    let mut served = 0;
    for round in 0..rounds {
        let mut peers = Vec::new();
        for n in 0..together {
            let mut peer = Peer::connect(&target, round * TOGETHER + n)
                .map_err(|f| f.during(format!("after {served} short connections")))?;
            peer.exchange(64).map_err(|f| f.during(format!("after {served} short connections")))?;
            peers.push(peer);
            served += 1;
        }
        // The parent is stopped, its children are not: they end, and their signals become one.
        let frozen = match running.id {
            Some(id) if forks && round % 2 == 0 => Some(Frozen::one(id)?),
            _ => None,
        };
        drop(peers);
        if frozen.is_some() {
            evidence::settle(Duration::from_millis(200), || workers(running).is_empty());
        }
        drop(frozen);
    }
    if let Some(how) = running.ended() {
        return Ok(Outcome::Violates(format!("the server {how} after {served} short connections")));
    }
    // Here and not in the aftermath, which excuses what any connection leaves behind.
    let left = || running.id.map_or(0, |id| evidence::zombies(id.pid));
    if !evidence::settle(settle, || left() == 0) {
        return Ok(Outcome::Violates(format!("{} zombies after {served} short connections", left())));
    }
    Ok(Outcome::Holds(format!("{served} short connections, all served")))
}

/// 10.5
pub(super) static FORK_THREADS: Case = Case {
    id: "proc/fork-threads",
    number: "10.5",
    families: STREAMS,
    level: Level::Should,
    needs: Need::Pid,
    services: ANY,
    requirement: "A process that forks has no other thread: its child could find a lock held for ever (fork(2); eio #593, jemalloc #2019)",
    acceptable: "one thread in the parent of workers; no matter where there are none",
    probe: fork_threads,
    ..BASE
};

fn fork_threads(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    if let Some(outcome) = alone(scene)? {
        return Ok(outcome);
    }
    let parent = scene.process()?;
    let count = evidence::threads(parent.pid).len();
    Ok(if count == 1 {
        Outcome::Holds("the parent has one thread".to_owned())
    } else {
        Outcome::Violates(format!("the parent of its workers has {count} threads"))
    })
}
