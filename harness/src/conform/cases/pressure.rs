//! Group 6, backpressure: what a server holds for those who do not read, who gets the next turn, and how long silence is borne.

use super::super::case::{BASE, Case, LASTING, Level, Need, Outcome, STREAMS};
use super::super::evidence;
use super::super::facts::Concurrency;
use super::super::fault::Fault;
use super::super::peer::{End, Peer, Pending};
use super::super::scene::{Effort, Scene};
use service::Kind;
use std::time::{Duration, Instant};

/// 6.5
pub(super) static MEMORY: Case = Case {
    id: "back/memory",
    alone: true,
    families: STREAMS,
    number: "6.5",
    needs: Need::Pid,
    services: &[Kind::Echo],
    sizes: true,
    requirement: "What a client does not read is not piled up: the server stops reading, and the client is made to wait (http-kit #180, riemann #623)",
    acceptable: "4 clients that send 32 MiB each and never read: memory grows by no more than 2 MiB each and 32 MiB; by half of what was sent: FAILED, between: NON-STRICT",
    probe: memory,
    ..BASE
};

/// 6.6
pub(super) static RESUME: Case = Case {
    id: "back/resume",
    families: STREAMS,
    number: "6.6",
    services: &[Kind::Echo],
    sizes: true,
    requirement: "Clients that were made to wait get everything once they read (UNP 6.2)",
    acceptable: "4 clients that sent until nothing more was taken: every byte comes back",
    probe: resume,
    ..BASE
};

/// What each client has to send.
const OFFERED: u64 = 32 << 20;
/// What a client may cost, and what a server may need besides.
const ALLOWED: (u64, u64) = (2 << 20, 32 << 20);

/// Clients that have sent all that was taken from them, and how much that was.
fn stuck(scene: &mut Scene<'_>) -> Result<(Vec<(Peer, Pending)>, u64), Fault> {
    let target = scene.target()?;
    let mut all = Vec::new();
    let mut sent = 0;
    for n in 0..scene.beside(4) {
        let mut peer = Peer::connect(&target, n)?;
        let mut pending = peer.prepare(OFFERED);
        sent += peer.fill(&mut pending.out, u64::MAX, Duration::from_millis(200))?;
        all.push((peer, pending.within(target.time_for(OFFERED) * 2)));
    }
    Ok((all, sent))
}

fn memory(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let before = evidence::own_memory(&scene.running()?.tree());
    let (clients, sent) = stuck(scene)?;
    let grown = evidence::own_memory(&scene.running()?.tree()).saturating_sub(before);
    let count = clients.len() as u64;
    let waiting = clients.iter().filter(|(_, pending)| !pending.out.is_empty()).count();
    drop(clients);
    let mib = |bytes: u64| bytes >> 20;
    let text = format!(
        "{count} clients that do not read sent {} MiB and {waiting} had to wait; memory grew by {} MiB",
        mib(sent),
        mib(grown)
    );
    let allowed = ALLOWED.0 * count + ALLOWED.1;
    Ok(if grown * 2 >= sent && grown > allowed {
        Outcome::Violates(text)
    } else if grown > allowed {
        Outcome::Tolerable(text)
    } else if waiting == 0 {
        Outcome::Info(format!("{text}: where it went is not seen"))
    } else {
        Outcome::Holds(text)
    })
}

fn resume(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let (clients, sent) = stuck(scene)?;
    let count = clients.len();
    for (n, (mut peer, mut pending)) in clients.into_iter().enumerate() {
        peer.complete(&mut pending)
            .map_err(|f| f.during(format!("client {} of {count}, when it reads at last", n + 1)))?;
    }
    Ok(Outcome::Holds(format!(
        "{count} clients sent {} MiB before they read, and got everything",
        sent >> 20
    )))
}

/// 6.7
pub(super) static QUEUE_TURN: Case = Case {
    id: "back/queue-turn",
    families: STREAMS,
    number: "6.7",
    services: LASTING,
    lasting: true,
    requirement: "Those who wait because all workers are taken get their turn when one is free (UNP 30.7; listen(2))",
    acceptable: "3 who wait are served, one for each client that leaves, soon; INFO where 70 are served at once and nobody waits",
    probe: queue_turn,
    ..BASE
};

/// More than the workers of any pool that is started to be checked.
const MOST: u64 = 70;
/// How long a server is given to show that it does not serve one more.
const WAITS: Duration = Duration::from_millis(400);

fn queue_turn(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let mut short = target.clone();
    short.reply = scene.pace.scale(WAITS);
    let (mut holding, mut waiting) = (Vec::new(), Vec::new());
    for n in 0..MOST {
        let mut peer = Peer::connect(&short, n)?;
        let mut pending = peer.prepare(64);
        match peer.complete(&mut pending) {
            Ok(_) => holding.push(peer),
            Err(fault) if fault.is_silence() => {
                waiting.push((peer, pending));
                break;
            }
            Err(fault) => return Err(fault.during(format!("{n} clients connected"))),
        }
    }
    let capacity = holding.len();
    if waiting.is_empty() {
        return Ok(Outcome::Info(format!("{capacity} clients are served at once, and nobody waits")));
    }
    for n in 0..2 {
        let mut peer = Peer::connect(&target, 100 + n)?;
        let mut pending = peer.prepare(64);
        peer.fill(&mut pending.out, u64::MAX, Duration::ZERO)?;
        waiting.push((peer, pending));
    }
    let mut worst = Duration::ZERO;
    while !waiting.is_empty() {
        // One who has been served leaves; the first place is given up by one who held it.
        holding.pop();
        let start = Instant::now();
        let served = |(peer, _): &(Peer, Pending)| peer.unread() > 0;
        // Which of them is next is the server's affair.
        if !evidence::settle(target.reply, || waiting.iter().any(served)) {
            let left = waiting.len();
            return Ok(Outcome::Violates(format!(
                "capacity {capacity}: a place is free, and none of {left} who wait is served"
            )));
        }
        worst = worst.max(start.elapsed());
        let next = waiting.iter().position(served).unwrap_or(0);
        let (mut peer, pending) = waiting.swap_remove(next);
        peer.patience(target.reply);
        peer.complete(&mut pending.within(target.reply)).map_err(|f| f.during("a client that had waited"))?;
        holding.push(peer);
    }
    Ok(Outcome::Holds(format!(
        "capacity {capacity}: 3 who waited were each served within {} ms of a leave",
        worst.as_millis()
    )))
}

/// 6.8
pub(super) static TIMEOUTS: Case = Case {
    id: "idle/timeouts",
    families: STREAMS,
    number: "6.8",
    level: Level::Info,
    services: LASTING,
    requirement: "How long a server bears with a client that says nothing, or not all (RFC 9110, 15.5.9; hive #880)",
    acceptable: "INFO: when it closes an idle connection, one that has been served, and one with half a request; watched for 3 s, with --strict for 30 s",
    probe: timeouts,
    ..BASE
};

fn timeouts(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let watched = match (scene.strict, scene.effort) {
        (_, Effort::Quick) => Duration::from_secs(1),
        (false, _) => Duration::from_secs(3),
        (true, _) => Duration::from_secs(30),
    };
    let mut peers = vec![("silent", Peer::connect(&target, 1)?)];
    // Of a serial server only the first is in hand.
    if scene.facts().concurrency != Concurrency::Serial {
        if scene.facts().lasting {
            let mut served = Peer::connect(&target, 2)?;
            served.exchange(64)?;
            peers.push(("served", served));
        }
        let mut half = Peer::connect(&target, 3)?;
        let bytes = half.prepare(64).out.take(&[]);
        half.send(&bytes[..bytes.len() / 2])?;
        peers.push(("with half a request", half));
    }
    let start = Instant::now();
    let names: Vec<_> = peers.iter().map(|(name, _)| *name).collect();
    let mut closed = Vec::new();
    while start.elapsed() < watched && !peers.is_empty() {
        for n in (0..peers.len()).rev() {
            if peers[n].1.drain(Duration::ZERO)?.0 != End::Open {
                closed.push(format!("{} after {:.1} s", peers[n].0, start.elapsed().as_secs_f64()));
                peers.swap_remove(n);
            }
        }
        sys::clock::pause(Duration::from_millis(20));
    }
    Ok(Outcome::Info(if closed.is_empty() {
        format!("closes none within {} s: {}", watched.as_secs(), names.join(", "))
    } else {
        format!("closes a connection that is {}", closed.join(", "))
    }))
}
