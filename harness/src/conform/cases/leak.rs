//! Group 7, resources and leaks: what a connection took comes back.

use super::super::case::{ANY, BASE, Case, LASTING, Level, Need, Outcome, STREAMS};
use super::super::evidence;
use super::super::fault::Fault;
use super::super::freeze::Frozen;
use super::super::peer::{End, Peer};
use super::super::scene::Scene;
use crate::spawn::sockets::CLOSE_WAIT;
use service::Kind;

/// 7.1
pub(super) static FD: Case = Case {
    id: "leak/fd",
    families: STREAMS,
    number: "7.1",
    level: Level::Must,
    needs: Need::SameHost,
    services: ANY,
    quick: true,
    requirement: "Descriptors come back, however a connection ended (CPython #22435; tokio io_async_fd_memory_leak)",
    acceptable: "after 2000 connections, a third each closed, reset and half-closed: as many open as before, give or take 2",
    probe: fd,
    ..BASE
};

fn fd(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let cycles = scene.count(2_000, 150);
    for n in 0..cycles {
        let mut peer = Peer::connect(&target, n).map_err(|f| f.during(format!("connection {}", n + 1)))?;
        let done = match n % 3 {
            0 => peer.exchange(64).map(drop),
            1 => {
                let mut pending = peer.prepare(64);
                let sent = peer.fill(&mut pending.out, u64::MAX, target.reply);
                peer.reset();
                sent.map(drop)
            }
            _ => peer.finish().and_then(|()| match peer.drain(target.reply)? {
                (End::Open, _) => Err(Fault::subject("the server does not close after FIN")),
                _ => Ok(()),
            }),
        };
        done.map_err(|f| f.during(format!("connection {} of {cycles}", n + 1)))?;
    }
    let settle = scene.settle();
    let running = scene.running()?;
    let pid = running.id.map(|id| id.pid);
    let waiting = || evidence::count_in_state(target.ip(), pid, CLOSE_WAIT);
    let mut left = 0;
    if !evidence::settle(settle, || {
        left = waiting();
        left == 0
    }) {
        return Ok(Outcome::Violates(format!("{left} connections of {cycles} stay in CLOSE_WAIT")));
    }
    let Some(before) = running.baseline.as_ref().map(|b| b.descriptors) else {
        return Ok(Outcome::Holds(format!(
            "{cycles} connections, none in CLOSE_WAIT; descriptors need a pid"
        )));
    };
    let open = || evidence::descriptor_count(&running.tree());
    let back = evidence::settle(settle, || open() <= before + 2);
    let text = format!("{cycles} connections: {before} descriptors before, {} after", open());
    Ok(if back { Outcome::Holds(text) } else { Outcome::Violates(text) })
}

/// 7.3
pub(super) static ZOMBIES: Case = Case {
    id: "leak/zombies",
    families: STREAMS,
    number: "7.3",
    level: Level::Must,
    needs: Need::Pid,
    services: LASTING,
    lasting: true,
    quick: true,
    requirement: "Children that end together are all waited for: several SIGCHLD may be one (wait(2); UNP 5.9, 5.10)",
    acceptable: "no process in state Z after 2 s; trivially so for a server that makes none",
    probe: zombies,
    ..BASE
};

fn zombies(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let id = scene.process()?;
    let settle = scene.settle();
    if !scene.facts().forks || target.kind == Kind::Greeting {
        let left = evidence::zombies(id.pid);
        return Ok(if left == 0 {
            Outcome::Holds("makes no process for a connection, and has no zombies".to_owned())
        } else {
            Outcome::Violates(format!("{left} zombies, though no connection makes a process"))
        });
    }
    let wanted = scene.at_once(scene.count(200, 40));
    let mut peers = Vec::new();
    for n in 0..wanted {
        let mut peer = Peer::connect(&target, n)?;
        peer.exchange(64)?;
        peers.push(peer);
    }
    let running = scene.running()?;
    let children = running.tree().len() - 1;
    // Only the parent: its children see their clients go, end, and wait for it to come back.
    let frozen = Frozen::one(id)?;
    drop(peers);
    evidence::settle(settle, || running.tree().len() <= 1);
    let together = evidence::zombies(id.pid);
    drop(frozen);
    let gone = evidence::settle(settle, || evidence::zombies(id.pid) == 0);
    let left = evidence::zombies(id.pid);
    Ok(if !gone {
        Outcome::Violates(format!("{left} of {together} children that ended together stay zombies"))
    } else if together > 1 {
        Outcome::Holds(format!("{together} children that ended together were all waited for"))
    } else if running.tree().len() <= 1 {
        Outcome::Holds(format!("{children} children ended without becoming zombies"))
    } else {
        Outcome::Inconclusive(format!("of {children} children none was seen to end"))
    })
}
