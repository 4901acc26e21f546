//! Group 3, stream semantics, where the order of events matters: what is queued while the server looks away. What is on the wire: `wire`.

use super::super::case::{BASE, Case, LASTING, Need, Outcome, SIZABLE, STREAMS};
use super::super::fault::Fault;
use super::super::freeze::Frozen;
use super::super::peer::{Peer, Pending};
use super::super::scene::Scene;
use super::super::target::Target;
use crate::spawn::identity;
use rand::RngExt as _;
use service::Kind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// 3.4
pub(super) static WRITE_WRITE: Case = Case {
    id: "stream/write-write",
    families: STREAMS,
    number: "3.4",
    services: &[Kind::Echo],
    sizes: true,
    requirement: "A client that sends without reading is made to wait and loses nothing (UNP 6.2, batch input; libuv test-tcp-write-in-a-row)",
    acceptable: "32 MiB, the first read when nothing more is taken for a second: all of it comes back; the server may stop reading, not drop or close",
    probe: write_write,
    ..BASE
};

/// More than all buffers on the way together.
const BULK: u64 = 32 << 20;

fn write_write(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let quiet = Duration::from_millis(scene.count(1_000, 200));
    let mut peer = Peer::connect(&target, 1)?;
    let mut pending = peer.prepare(BULK);
    let sent = peer.fill(&mut pending.out, u64::MAX, quiet)?;
    let mut pending = pending.within(target.time_for(BULK) * 2);
    peer.complete(&mut pending).map_err(|f| f.during(format!("{sent} bytes sent before the first read")))?;
    Ok(Outcome::Holds(format!("{sent} of {BULK} bytes sent before the first read, all came back")))
}

/// 3.6
pub(super) static EINTR: Case = Case {
    id: "stream/eintr",
    families: STREAMS,
    number: "3.6",
    needs: Need::Pid,
    services: SIZABLE,
    sizes: true,
    requirement: "Being stopped and continued, and a signal that means nothing, interrupt calls and change nothing (signal(7); UNP 5.9)",
    acceptable: "20 times SIGSTOP and SIGCONT, and SIGWINCH, in a bulk transfer and idle: bytes identical, alive, a new connection served",
    probe: eintr,
    ..BASE
};

/// SIGWINCH: ignored by default, and by those who catch it.
const WINCH: i32 = 28;
/// Size of one of the transfers that are interrupted.
const PIECE: u64 = 1 << 20;

fn eintr(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let rounds = scene.count(20, 6);
    let over = AtomicBool::new(false);
    let transferred = std::thread::scope(|threads| {
        let transfer = threads.spawn(|| {
            let mut peer = Peer::connect(&target, 1)?;
            let (mut count, mut number) = (0_u64, 2);
            while !over.load(Ordering::Relaxed) || count == 0 {
                if !peer.exchange(PIECE)? {
                    peer = Peer::connect(&target, number)?;
                    number += 1;
                }
                count += 1;
            }
            Ok(count)
        });
        let disturbed = (0..rounds).try_for_each(|_| disturb(scene));
        over.store(true, Ordering::Relaxed);
        let result = transfer.join().unwrap_or_else(|_| Err(Fault::harness("the transfer panicked")));
        disturbed.and(result)
    });
    let transferred = transferred.or_else(|fault| match scene.running()?.ended() {
        Some(how) => Err(Fault::subject(format!("the server {how} when it was stopped and continued"))),
        None => {
            Err(fault.during(format!("a transfer while the server is stopped and continued {rounds} times")))
        }
    })?;
    for _ in 0..rounds {
        disturb(scene)?;
    }
    if let Some(how) = scene.running()?.ended() {
        return Ok(Outcome::Violates(format!("the server {how} when it was stopped and continued idle")));
    }
    target.canary(9).map_err(|f| f.during("a new connection, after the server was stopped and continued"))?;
    Ok(Outcome::Holds(format!("{rounds} times in {transferred} MiB, {rounds} times idle")))
}

/// Stops and continues all of the subject, and sends it SIGWINCH.
fn disturb(scene: &mut Scene<'_>) -> Result<(), Fault> {
    let running = scene.running()?;
    drop(Frozen::tree(running)?);
    sys::clock::pause(Duration::from_millis(1));
    for id in running.tree() {
        identity::Identity::signal(id, WINCH);
    }
    sys::clock::pause(Duration::from_millis(1));
    Ok(())
}

/// 3.8
pub(super) static CROSSTALK: Case = Case {
    id: "stream/crosstalk",
    families: STREAMS,
    number: "3.8",
    services: SIZABLE,
    sizes: true,
    lasting: true,
    requirement: "What belongs to a closed connection never reaches the next that has its descriptor (epoll(7), stale events; creytiv/re #266)",
    acceptable: "48 connections, a third of them replaced each round, in one batch of events where the process is known: no foreign byte, no wrong close",
    probe: crosstalk,
    ..BASE
};

/// Fewer than the workers of a pool that is started to be checked.
const TOGETHER: u64 = 48;

/// A queue that is full drops the SYN, which is sent again after 1, 3 and 7 seconds (tcp(7), tcp_syn_retries): how short it is, is the
/// matter of 2.2.
const SENT_AGAIN: Duration = Duration::from_secs(10);

fn crosstalk(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    if scene.serial() {
        return Ok(Outcome::Info("serial: there is never a second connection".to_owned()));
    }
    let target = scene.target()?;
    let mut random = scene.random();
    let mut next = 0;
    let connect = |next: &mut u64| {
        *next += 1;
        Peer::connect(&target, *next)
    };
    let together = scene.at_once(TOGETHER);
    let mut peers = (0..together).map(|_| connect(&mut next)).collect::<Result<Vec<_>, _>>()?;
    let rounds = scene.count(12, 4);
    let patience = scene.pace.scale(SENT_AGAIN);
    for round in 0..rounds {
        for peer in &mut peers {
            let size = random.random_range(1..=3_000);
            peer.exchange(size)
                .map_err(|f| f.during(format!("round {}, {next} connections made", round + 1)))?;
        }
        // Closes and connects are queued while it is stopped, so that it finds both in one batch.
        let frozen = Frozen::tree(scene.running()?)?;
        let mut leaving = Vec::new();
        for n in (0..peers.len()).rev().filter(|n| *n as u64 % 3 == round % 3) {
            leaving.push(peers.swap_remove(n));
        }
        let replaced = leaving.len();
        for (n, mut peer) in leaving.into_iter().enumerate() {
            if n % 2 == 0 {
                let pending = peer.prepare(64);
                let first = pending.out.first(&[]);
                peer.send(&first[..first.len() / 2])?;
            }
            if n % 3 == 0 {
                peer.reset();
            }
        }
        // Begun, and not waited for: a queue too short for them all takes the rest when the server goes on.
        let mut coming = Vec::new();
        for _ in 0..replaced {
            next += 1;
            coming.push(Peer::start(&target, next, None)?);
        }
        drop(frozen);
        for peer in coming {
            if !peer.connected(patience)? {
                return Ok(Outcome::Inconclusive(format!(
                    "its queue does not take {replaced} connections at once"
                )));
            }
            peers.push(peer);
        }
    }
    for peer in &mut peers {
        peer.exchange(64).map_err(|f| f.during("after the last round"))?;
    }
    Ok(Outcome::Holds(format!("{next} connections in {rounds} rounds of {together}, none disturbed")))
}

/// 3.9
pub(super) static EDGE_DRAIN: Case = Case {
    id: "stream/edge-drain",
    number: "3.9",
    needs: Need::Pid,
    services: LASTING,
    sizes: true,
    lasting: true,
    requirement: "All that has arrived is dealt with, though nothing more comes to say so (epoll(7), edge-triggered; tnfsd #27)",
    acceptable: "much sent to 8 connections while the server is stopped, and nothing after: all of it answered within 2 s",
    probe: edge_drain,
    ..BASE
};

/// Bytes to be queued, round by round: what fits a fresh window, then what fits one that has been widened by bulk; several reads each.
const ARRIVED: [u64; 3] = [48 * 1024, 128 * 1024, 256 * 1024];
/// Bulk that widens it.
const WARM_UP: u64 = 4 << 20;

/// What one connection has sent.
struct Sent {
    peer: Peer,
    asked: Vec<Pending>,
}

fn edge_drain(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let echo = scene.subject.kind == Kind::Echo;
    let (mut arrived, mut most) = (0, 0);
    for bytes in ARRIVED {
        let all_queued = drain_round(scene, bytes)?;
        arrived += all_queued;
        if all_queued > 0 {
            most = bytes;
        }
        // More requests are no harder than many.
        if !echo {
            break;
        }
    }
    if arrived == 0 {
        return Ok(Outcome::Inconclusive("what was sent did not all reach the server's queue".to_owned()));
    }
    Ok(Outcome::Holds(format!(
        "{arrived} connections with all their input queued, up to {most} bytes, all answered"
    )))
}

/// Queues `bytes` bytes on each of a few connections; returns on how many that succeeded, all of them answered.
fn drain_round(scene: &mut Scene<'_>, bytes: u64) -> Result<u64, Fault> {
    let target = scene.target()?;
    let mut peers = Vec::new();
    for n in 0..scene.beside(8) {
        let mut peer = Peer::connect(&target, n)?;
        peer.exchange(if bytes > ARRIVED[0] { WARM_UP } else { 64 })?;
        peers.push(peer);
    }
    let Some(frozen) = Frozen::tree(scene.running()?)? else {
        return Err(Fault::harness("the subject has no process"));
    };
    let mut sent = Vec::new();
    let mut not_all = Vec::new();
    for peer in peers {
        match queue(&target, peer, bytes)? {
            (one, true) => sent.push(one),
            // Closed only after the others have been judged: each event is one more chance for the server to look.
            (one, false) => not_all.push(one),
        }
    }
    drop(frozen);
    let limit = scene.settle();
    let arrived = sent.len();
    for (n, one) in sent.iter_mut().enumerate() {
        one.peer.patience(limit);
        for pending in &mut one.asked {
            let what =
                format!("connection {} of {arrived}, {bytes} bytes queued before the server looked", n + 1);
            one.peer.complete(pending).map_err(|f| f.during(what))?;
        }
    }
    Ok(arrived as u64)
}

/// Sends `bytes` bytes, and says whether the server's kernel has acknowledged them all.
fn queue(target: &Target, mut peer: Peer, bytes: u64) -> Result<(Sent, bool), Fault> {
    let mut asked = Vec::new();
    let mut whole = true;
    if target.kind == Kind::Echo {
        let mut pending = peer.prepare(bytes);
        peer.fill(&mut pending.out, u64::MAX, Duration::from_millis(20))?;
        whole = pending.out.is_empty();
        asked.push(pending);
    } else {
        let mut all = Vec::new();
        while (all.len() as u64) < bytes {
            let mut pending = peer.prepare(1 + asked.len() as u64 % 50);
            all.extend(pending.out.take(&[]));
            asked.push(pending);
        }
        peer.send(&all)?;
    }
    whole &= super::super::evidence::settle(Duration::from_millis(200), || peer.unacknowledged() == 0);
    Ok((Sent { peer, asked }, whole))
}
