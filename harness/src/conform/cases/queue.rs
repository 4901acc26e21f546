//! Group 2, accept: many at once, the queue before accept, many that stay. One after the other: `accept`.

use super::super::case::{BASE, Case, LASTING, Level, Need, Outcome, STREAMS};
use super::super::evidence;
use super::super::fault::Fault;
use super::super::freeze::Frozen;
use super::super::peer::Peer;
use super::super::scene::Scene;
use super::super::subject::Nature;
use std::time::{Duration, Instant};
use sys::process::Parked;

/// 2.2
pub(super) static BURST: Case = Case {
    id: "accept/burst",
    number: "2.2",
    level: Level::Should,
    timing: true,
    requirement: "Clients that come all at once are all served, and none has to knock twice (listen(2), backlog; Bend #977)",
    acceptable: "200 connects begun together: all served within 5 s, none established only after 0.9 s (a SYN sent again); not judged where few are served at a time by nature",
    probe: burst,
    ..BASE
};

/// A dropped SYN is sent again after one second (tcp(7)); nothing else takes that long on one host.
const KNOCKED_TWICE: Duration = Duration::from_millis(900);

fn burst(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let wanted = within_limit(200);
    let target = scene.target()?;
    let limit = scene.pace.scale(Duration::from_secs(scene.count(5, 2)));
    let start = Instant::now();
    let mut peers = Vec::new();
    for n in 0..wanted {
        peers.push((Peer::start(&target, n, None)?, Instant::now(), None));
    }
    while peers.iter().any(|(.., latency)| latency.is_none()) && start.elapsed() < limit {
        for (peer, begun, latency) in peers.iter_mut().filter(|(.., latency)| latency.is_none()) {
            if peer.connected(Duration::ZERO)? {
                *latency = Some(begun.elapsed());
            }
        }
        sys::clock::pause(Duration::from_millis(2));
    }
    let late = peers.iter().filter(|(.., latency)| latency.is_none_or(|l| l >= KNOCKED_TWICE)).count();
    let few = scene.few();
    let left_out =
        if few { peers.iter().filter(|(.., latency)| latency.is_none()).count() as u64 } else { 0 };
    let mut asked = Vec::new();
    for (mut peer, _, latency) in peers {
        if latency.is_none() && few {
            // Not taken in time: that is the matter of the queue, and each retry waits twice as long.
            continue;
        }
        if latency.is_none() && !peer.connected(limit)? {
            return Ok(Outcome::Violates(format!("a connect of {wanted} is not done after {limit:?}")));
        }
        let mut pending = peer.prepare(64);
        peer.fill(&mut pending.out, u64::MAX, Duration::ZERO)?;
        peer.patience(limit);
        asked.push((peer, pending.within(limit)));
    }
    for (n, (mut peer, mut pending)) in asked.into_iter().enumerate() {
        // Closed as it is served, so that a server of few workers gets to the next.
        peer.complete(&mut pending)
            .map_err(|f| f.during(format!("connection {} of {wanted} at once", n + 1)))?;
    }
    let served = if left_out == 0 { "all".to_owned() } else { format!("{} of them", wanted - left_out) };
    let text = format!("{wanted} at once, {served} served after {} ms", start.elapsed().as_millis());
    Ok(match late {
        0 => Outcome::Holds(text),
        _ if few => {
            Outcome::Info(format!("{text}; {late} had to send SYN again, few being served at a time"))
        }
        _ => Outcome::Violates(format!("{text}; {late} had to send SYN again: the backlog is too small")),
    })
}

/// So many connections as this process has descriptors for, at most `wanted`.
fn within_limit(wanted: u64) -> u64 {
    wanted.min(sys::process::descriptor_limit().0.saturating_sub(200)).max(50)
}

/// 2.3
pub(super) static BACKLOG: Case = Case {
    id: "accept/backlog",
    alone: true,
    number: "2.3",
    needs: Need::Pid,
    requirement: "Every connection in the queue is accepted and served, however many came before the server looked (listen(2); epoll(7), edges)",
    acceptable: "connects made while the server is stopped are all served when it goes on; their number is the backlog",
    probe: backlog,
    ..BASE
};

fn backlog(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let most = within_limit(scene.count(600, 150));
    let mut quick = target.clone();
    quick.reply = scene.pace.scale(Duration::from_millis(200));
    let Some(frozen) = Frozen::tree(scene.running()?)? else {
        return Err(Fault::harness("the subject has no process"));
    };
    let mut asked = Vec::new();
    let mut full = false;
    for n in 0..most {
        match Peer::connect(&quick, n) {
            Ok(mut peer) => {
                let mut pending = peer.prepare(64);
                peer.fill(&mut pending.out, u64::MAX, Duration::ZERO)?;
                // Connected in haste; answered in the usual time.
                peer.patience(target.reply);
                asked.push((peer, pending.within(target.reply)));
            }
            Err(fault) if fault.is_silence() => {
                full = true;
                break;
            }
            Err(fault) => return Err(fault),
        }
    }
    let pid = scene.running()?.id.map(|id| id.pid);
    let queued = evidence::queued(target.ip(), pid);
    drop(frozen);
    if queued < 2 {
        return Ok(Outcome::Inconclusive(format!("only {queued} connections were queued")));
    }
    let made = asked.len();
    for (n, (mut peer, mut pending)) in asked.into_iter().enumerate() {
        peer.complete(&mut pending)
            .map_err(|f| f.during(format!("queued connection {} of {made}", n + 1)))?;
    }
    let size =
        if full { format!("the backlog holds {made}") } else { format!("the backlog holds {made} at least") };
    Ok(Outcome::Holds(format!("{made} queued connections served; {size}")))
}

/// 2.5
pub(super) static NONBLOCKING_LISTENER: Case = Case {
    id: "accept/nonblocking-listener",
    number: "2.5",
    level: Level::Should,
    needs: Need::Pid,
    requirement: "A server that waits for readiness has a non-blocking listener: the connection may be gone before accept (accept(2), NOTES; UNP 16.6)",
    acceptable: "O_NONBLOCK on the listener of each process that waits in select, poll or epoll; no matter where accept itself waits",
    probe: nonblocking_listener,
    ..BASE
};

/// O_NONBLOCK, as the kernel shows it on the machines that we know.
const O_NONBLOCK: u32 = 0o4000;

fn nonblocking_listener(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let ip = scene.target()?.ip();
    let running = scene.running()?;
    let (mut multiplexed, mut blocking, mut accepting, mut unknown) = (0, 0, 0, 0);
    for id in running.tree() {
        let listeners = evidence::listeners(id.pid, ip);
        if listeners.is_empty() {
            continue;
        }
        let parked: Vec<_> = evidence::threads(id.pid)
            .into_iter()
            .map(|thread| sys::process::parked(id.pid, thread))
            .collect();
        if parked.contains(&Some(Parked::Accept)) {
            accepting += 1;
        } else if parked.contains(&Some(Parked::Readiness)) {
            multiplexed += 1;
            let flags = listeners.iter().filter_map(|fd| evidence::flags(id.pid, *fd));
            blocking += usize::from(flags.into_iter().any(|flags| flags & O_NONBLOCK == 0));
        } else if parked.contains(&None) {
            unknown += 1;
        }
    }
    Ok(match (multiplexed, blocking) {
        // Beside those that wait in accept, one that waits for readiness is their parent, who waits for signals.
        _ if accepting > 0 => Outcome::Holds(format!("accept itself waits, in {accepting} processes")),
        (0, _) if unknown > 0 => Outcome::Skipped("what its threads wait in cannot be read".to_owned()),
        (0, _) => Outcome::Skipped("no thread of it waits in accept, select, poll or epoll".to_owned()),
        (n, 0) => Outcome::Holds(format!("{n} processes wait for readiness, with non-blocking listeners")),
        (n, bad) => Outcome::Violates(format!(
            "{bad} of {n} processes that wait for readiness have a blocking listener"
        )),
    })
}

/// 2.10
pub(super) static MANY_IDLE: Case = Case {
    id: "accept/many-idle",
    alone: true,
    families: STREAMS,
    number: "2.10",
    services: LASTING,
    lasting: true,
    requirement: "Clients that are connected and silent keep nobody from being served (UNP chapter 30; C10K)",
    acceptable: "a canary is answered beside 500 idle connections; INFO where few are served at a time by nature",
    probe: many_idle,
    ..BASE
};

fn many_idle(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    if scene.serial() {
        return Ok(Outcome::Info("serial: one idle client is all that it serves".to_owned()));
    }
    if let Some(capacity) = scene.facts().capacity.filter(|_| scene.few()) {
        return Ok(Outcome::Info(format!("serves {capacity} at a time, idle or not")));
    }
    let target = scene.target()?;
    let wanted = within_limit(scene.count(500, 150));
    let memory = evidence::own_memory(&scene.running()?.tree());
    let mut idle = Vec::new();
    for n in 0..wanted {
        idle.push(Peer::connect(&target, n).map_err(|f| f.during(format!("{n} idle connections open")))?);
    }
    let pid = scene.running()?.id.map(|id| id.pid);
    evidence::settle(scene.settle(), || evidence::queued(target.ip(), pid) == 0);
    match target.canary(wanted) {
        Ok(()) => {}
        Err(fault) if fault.is_silence() && scene.subject.nature != Nature::Concurrent => {
            drop(idle);
            target
                .canary(wanted + 1)
                .map_err(|f| f.during(format!("after {wanted} idle clients have gone")))?;
            return Ok(Outcome::Info(format!(
                "capacity below {wanted}: nobody else is served beside so many"
            )));
        }
        Err(fault) => {
            if let Some(how) = scene.running()?.ended() {
                return Ok(Outcome::Violates(format!("the server {how} with {wanted} idle connections")));
            }
            return Err(fault.during(format!("a canary beside {wanted} idle connections")));
        }
    }
    let grown = evidence::own_memory(&scene.running()?.tree()).saturating_sub(memory);
    Ok(Outcome::Holds(format!(
        "a canary answered beside {wanted} idle connections, {} bytes of own memory each",
        grown / wanted
    )))
}
