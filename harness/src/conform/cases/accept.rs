//! Group 2, accept: connections beside each other, and those that are gone before they are accepted. Descriptor limits: `descriptors`.

use super::super::case::{ANY, BASE, Case, LASTING, Level, Need, Outcome, STREAMS};
use super::super::evidence;
use super::super::facts::Concurrency;
use super::super::fault::Fault;
use super::super::freeze::Frozen;
use super::super::peer::{Peer, Pending};
use super::super::scene::Scene;
use super::super::subject::Nature;
use super::super::target::Target;
use std::time::Duration;

/// 2.1
pub(super) static CONCURRENT: Case = Case {
    id: "accept/concurrent",
    families: STREAMS,
    number: "2.1",
    level: Level::Must,
    needs: Need::Address,
    services: LASTING,
    lasting: true,
    quick: true,
    requirement: "Connections that are open at the same time are all served (UNP chapter 30)",
    acceptable: "each of 50 answers in 3 rounds; INFO where the server holds a few at a time by nature and serves the next in its turn",
    probe: concurrent,
    ..BASE
};

/// How long a server that serves one at a time is given to show that it does not serve the second.
const SERIAL_WAIT: Duration = Duration::from_millis(400);

fn concurrent(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let serial = scene.facts().concurrency == Concurrency::Serial;
    let mut first_try = target.clone();
    if serial {
        first_try.reply = scene.pace.scale(SERIAL_WAIT);
    }
    let wanted = scene.count(50, 20);
    // One after the other: a burst would measure the backlog (case 2.2).
    let mut peers: Vec<Peer> = Vec::new();
    for n in 0..wanted {
        let open = peers.len();
        let mut peer =
            Peer::connect(&first_try, n).map_err(|f| f.during(format!("{open} connections open")))?;
        let mut pending = peer.prepare(64);
        match peer.complete(&mut pending) {
            Ok(_) => peers.push(peer),
            Err(fault) if fault.is_silence() => return turn(scene, &target, peers, peer, pending),
            Err(fault) => return Err(fault.during(format!("connection {}, {open} others open", n + 1))),
        }
    }
    for round in 1..=3 {
        for (n, peer) in peers.iter_mut().enumerate() {
            peer.exchange(64).map_err(|f| f.during(format!("round {round}, connection {}", n + 1)))?;
        }
    }
    Ok(Outcome::Holds(format!("{wanted} connections, 3 rounds")))
}

/// `waiting` was not served while `peers` were open: it must be when one of them is closed.
fn turn(
    scene: &Scene<'_>,
    target: &Target,
    mut peers: Vec<Peer>,
    mut waiting: Peer,
    pending: Pending,
) -> Result<Outcome, Fault> {
    let capacity = peers.len();
    if capacity == 0 {
        return Err(Fault::subject("the only connection is not served"));
    }
    drop(peers.remove(0));
    let mut pending = pending.within(target.reply);
    if let Err(fault) = waiting.complete(&mut pending) {
        return Err(fault.during(format!(
            "connection {}, after one of the {capacity} before it was closed",
            capacity + 1
        )));
    }
    let text = if capacity == 1 {
        "serial: one connection at a time, the next when it is closed".to_owned()
    } else {
        format!("capacity {capacity}: the next is served when one is closed")
    };
    Ok(match scene.subject.nature {
        Nature::Concurrent => Outcome::Violates(format!("declared concurrent, and {text}")),
        Nature::Workers if capacity == 1 => {
            Outcome::Violates(format!("declared to have workers, and {text}"))
        }
        _ => Outcome::Info(text),
    })
}

/// 2.4
pub(super) static ABORT_QUEUED: Case = Case {
    id: "accept/abort-queued",
    number: "2.4",
    level: Level::Must,
    needs: Need::Pid,
    services: ANY,
    quick: true,
    requirement: "Connections that are gone before they are accepted do not disturb those behind them (UNP 5.11; accept(2), ECONNABORTED)",
    acceptable: "of 32 queued connections 16 reset and 8 closed: the other 8 are served",
    probe: abort_queued,
    ..BASE
};

fn abort_queued(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    // A full backlog shows as a connect that does not complete, and is not this case's matter.
    let mut quick = target.clone();
    quick.reply = scene.pace.scale(Duration::from_millis(300));
    let running = scene.running()?;
    let Some(frozen) = Frozen::tree(running)? else {
        return Err(Fault::harness("the subject has no process"));
    };
    let mut staying = Vec::new();
    let (mut resets, mut closes) = (0, 0);
    for n in 0..32 {
        let Ok(mut peer) = Peer::connect(&quick, n) else { break };
        match n % 4 {
            0 | 2 => {
                peer.reset();
                resets += 1;
            }
            1 => {
                drop(peer);
                closes += 1;
            }
            _ => {
                let mut pending = peer.prepare(64);
                peer.fill(&mut pending.out, u64::MAX, Duration::ZERO)?;
                staying.push((peer, pending.within(target.reply)));
            }
        }
    }
    let queued = evidence::queued(target.ip(), running.id.map(|id| id.pid));
    drop(frozen);
    if resets == 0 || closes == 0 || staying.is_empty() || queued == 0 {
        return Ok(Outcome::Inconclusive(format!("only {queued} connections were queued")));
    }
    let stayed = staying.len();
    for (n, (mut peer, mut pending)) in staying.into_iter().enumerate() {
        // Closed one by one as it is served, since a serial server has to get to the next.
        let served = peer.complete(&mut pending).map(drop);
        if let Err(fault) = served {
            if let Some(how) = scene.running()?.ended() {
                return Ok(Outcome::Violates(format!("the server {how} after {resets} resets in its queue")));
            }
            return Err(fault.during(format!("queued connection {} of {stayed} that stayed", n + 1)));
        }
    }
    Ok(Outcome::Holds(format!(
        "{stayed} served behind {resets} reset and {closes} closed ones, all {queued} queued"
    )))
}
