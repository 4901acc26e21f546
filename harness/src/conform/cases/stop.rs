//! Group 12, shutdown.

use super::super::case::{ANY, BASE, Case, LASTING, Level, Need, Outcome, STREAMS};
use super::super::evidence;
use super::super::fault::Fault;
use super::super::peer::{End, Peer, Pending};
use super::super::scene::{Effort, Scene};
use crate::spawn::{Child, Stopped, identity, sockets};
use service::Kind;
use std::time::{Duration, Instant};

/// 12.1
pub(super) static TERM: Case = Case {
    id: "stop/term",
    families: STREAMS,
    number: "12.1",
    level: Level::Must,
    needs: Need::Command,
    services: ANY,
    quick: true,
    requirement: "SIGTERM ends an idle server soon, with no connection needed to wake it (CPython #2302; UNP 5.16)",
    acceptable: "gone within 2 s, with idle connections within 10 s; INFO where the signal itself ends it",
    probe: term,
    ..BASE
};

/// Idle, it must be gone within this.
const IDLE: Duration = Duration::from_secs(2);
/// With idle connections, within this: many give them five seconds, and who waits for a server gives it ten before SIGKILL.
pub(super) const CONNECTED: Duration = Duration::from_secs(10);

/// The running server's process, out of the subject's hands: the case ends it.
pub(super) fn take(scene: &mut Scene<'_>) -> Result<Child, Fault> {
    scene.subject.take().and_then(|r| r.child).ok_or_else(|| Fault::harness("the subject does not run"))
}

/// What is wrong with a stop, if something is.
fn bad_stop(stopped: &Stopped, limit: Duration) -> Option<String> {
    if stopped.ignored_term {
        return Some(format!("still running {} ms after SIGTERM", limit.as_millis()));
    }
    match &stopped.ended.killed_by {
        Some(signal) if signal != "SIGTERM" => Some(format!("was killed by {signal} after SIGTERM")),
        _ => None,
    }
}

fn term(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let (idle, connected) = (scene.pace.scale(IDLE), scene.pace.scale(CONNECTED));
    let first = take(scene)?.stop(idle);
    if let Some(text) = bad_stop(&first, idle) {
        return Ok(Outcome::Violates(format!("idle: {text}")));
    }
    scene.subject.ensure()?;
    let target = scene.target()?;
    let mut peers = Vec::new();
    for n in 0..scene.beside(10) {
        let mut peer = Peer::connect(&target, n)?;
        if target.kind != Kind::Greeting {
            peer.exchange(64)?;
        }
        peers.push(peer);
    }
    let second = take(scene)?.stop(connected);
    let open = peers.len();
    drop(peers);
    if let Some(text) = bad_stop(&second, connected) {
        return Ok(Outcome::Violates(format!("with {open} idle connections: {text}")));
    }
    let text = format!(
        "{} after {} ms idle, after {} ms with {open} idle connections",
        first.ended,
        first.took.as_millis(),
        second.took.as_millis()
    );
    Ok(if first.ended.killed_by.is_some() {
        Outcome::Info(format!("no handler: {text}"))
    } else {
        Outcome::Holds(text)
    })
}

/// 12.2
pub(super) static DRAIN: Case = Case {
    id: "stop/drain",
    number: "12.2",
    level: Level::Should,
    needs: Need::Command,
    services: &[Kind::Sized, Kind::Http],
    sizes: true,
    quick: true,
    requirement: "An answer that is under way at SIGTERM is sent to its end (nginx-tests worker_shutdown_timeout.t)",
    acceptable: "8 MiB identical, then the end of the connection and of the server",
    probe: drain,
    ..BASE
};

/// More than the largest send buffer of a default kernel (tcp_wmem, 4 MiB): the server has to go on writing.
const LARGE: u64 = 8 << 20;

/// A client whose answer is under way and waits for it to read; `None` where that was not seen.
pub(super) fn under_way(scene: &mut Scene<'_>, number: u64) -> Result<Option<(Peer, Pending)>, Fault> {
    let target = scene.target()?;
    let mut peer = Peer::connect_with(&target, number, Some(16 * 1024))?;
    let mut pending = peer.prepare(LARGE);
    peer.fill(&mut pending.out, u64::MAX, target.reply)?;
    let waits = || {
        let rows = evidence::rows_of(target.ip(), None);
        peer.unread() > 0 && rows.iter().any(|row| Some(row.remote) == peer.address() && row.send_queue > 0)
    };
    let seen = evidence::settle(scene.settle(), waits);
    Ok(seen.then_some((peer, pending)))
}

fn drain(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let Some((mut peer, pending)) = under_way(scene, 1)? else {
        return Ok(Outcome::Inconclusive("no answer was under way".to_owned()));
    };
    let limit = scene.pace.scale(CONNECTED);
    let mut child = take(scene)?;
    child.signal(identity::TERM);
    // The server is to have seen the signal while the answer still waits.
    sys::clock::pause(Duration::from_millis(100));
    let mut pending = pending.within(target.time_for(LARGE) * 2);
    if let Err(fault) = peer.complete(&mut pending) {
        return Ok(Outcome::Violates(format!("SIGTERM cut an answer of {LARGE} bytes: {fault}")));
    }
    let (end, _) = peer.drain(limit)?;
    let ended = child.wait(limit);
    Ok(match (end, ended) {
        (_, None) => Outcome::Violates(format!("still running {} ms after the answer", limit.as_millis())),
        (End::Open, Some(_)) => {
            Outcome::Violates("the server ended, and the connection has no end".to_owned())
        }
        (_, Some(ended)) => Outcome::Holds(format!("{LARGE} bytes identical, then {ended}")),
    })
}

/// 12.4
pub(super) static IDLE_KEEPALIVE: Case = Case {
    id: "stop/idle-keepalive",
    families: STREAMS,
    number: "12.4",
    level: Level::Must,
    needs: Need::Command,
    services: LASTING,
    requirement: "A silent open connection does not hold up the end of the server past its grace (wai #853, actix-web #929)",
    acceptable: "gone within 30 s, a connection that has never said a word being open",
    probe: idle_keepalive,
    ..BASE
};

/// The longest grace in common use (gunicorn, Kubernetes).
const GRACE: Duration = Duration::from_secs(30);
/// The grace of our own servers, and a little.
const OUR_GRACE: Duration = Duration::from_secs(7);

fn idle_keepalive(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let silent = Peer::connect(&target, 1)?;
    // One that was never accepted would hold up nobody.
    evidence::settle(scene.settle(), || evidence::queued(target.ip(), None) == 0);
    let grace = if scene.effort == Effort::Quick { OUR_GRACE } else { GRACE };
    let stopped = take(scene)?.stop(grace);
    drop(silent);
    Ok(match bad_stop(&stopped, grace) {
        Some(text) => Outcome::Violates(format!("with a silent connection: {text}")),
        None => Outcome::Holds(format!("{} after {} ms", stopped.ended, stopped.took.as_millis())),
    })
}

/// Ends the server by SIGTERM and leaves alone what is left of it; `None` where it does not end.
pub(super) fn ended(scene: &mut Scene<'_>) -> Result<Option<Child>, Fault> {
    let limit = scene.pace.scale(CONNECTED);
    let mut child = take(scene)?;
    child.signal(identity::TERM);
    Ok(child.wait(limit).map(|_| child))
}

/// 12.6
pub(super) static PORT_FREE: Case = Case {
    id: "stop/port-free",
    alone: true,
    number: "12.6",
    level: Level::Must,
    needs: Need::Command,
    services: ANY,
    quick: true,
    requirement: "Once a server has ended its port is free (keymapper #388, mojo #606)",
    acceptable: "no listener is left a moment after, and the port can be bound (with SO_REUSEADDR)",
    probe: port_free,
    ..BASE
};

/// What is called at once: the time of a few looks. How soon after their parent workers end says more of the machine than of them.
const AT_ONCE: Duration = Duration::from_millis(20);

fn port_free(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let Some(child) = ended(scene)? else {
        return Ok(Outcome::Inconclusive("it did not end on SIGTERM; see case 12.1".to_owned()));
    };
    let listeners = || sockets::listeners(target.ip(), None).len();
    // Workers that end with their parent do so a moment after it.
    let end = Instant::now();
    evidence::settle(scene.settle(), || listeners() == 0);
    let (left, took) = (listeners(), end.elapsed());
    let bound = std::net::TcpListener::bind(target.ip());
    drop(child);
    Ok(match (left, bound) {
        (0, Ok(_)) if took < AT_ONCE => {
            Outcome::Holds(format!("port {} was bound at once", target.ip().port()))
        }
        (0, Ok(_)) => Outcome::Holds(format!(
            "port {} was bound within {} ms of the server's end",
            target.ip().port(),
            took.as_millis()
        )),
        (0, Err(error)) => Outcome::Violates(format!("the port cannot be bound: {error}")),
        (n, _) => Outcome::Violates(format!("listeners are left on the port: {n}")),
    })
}
