//! Group 4, half-close and abort: the peer has said its last word, or is gone in the middle.

use super::super::case::{ANY, BASE, Case, LASTING, Level, Need, Outcome, SIZABLE, STREAMS};
use super::super::evidence;
use super::super::fault::{Fault, What};
use super::super::peer::{End, Peer};
use super::super::pending::Pending;
use super::super::scene::Scene;
use super::super::target::Target;
use crate::spawn::sockets::Row;
use service::client::Mismatch;
use service::{Kind, Output};
use std::time::Duration;

/// 4.1
pub(super) static CLIENT_FIN: Case = Case {
    id: "half/client-fin",
    families: STREAMS,
    number: "4.1",
    level: Level::Must,
    needs: Need::Address,
    services: ANY,
    quick: true,
    requirement: "A client that has sent its FIN is answered in full, then gets FIN and not RST (RFC 9293, 3.6; service rule S3)",
    acceptable: "request and FIN in one segment: the whole answer, then the end; so too when the answer must wait for room",
    probe: client_fin,
    ..BASE
};

/// More than the largest send buffer of a default kernel (tcp_wmem, 4 MiB).
const LARGE: u64 = 8 << 20;
/// Nothing is read for this long, so that the server meets a full buffer.
const PAUSE: Duration = Duration::from_millis(150);
/// Receive buffer of a client that is to fill up.
const SMALL_BUFFER: usize = 16 * 1024;

fn client_fin(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let mut peer = Peer::connect(&target, 1)?;
    let mut pending = peer.prepare(64);
    peer.send_and_finish(&mut pending)?;
    peer.complete(&mut pending).map_err(|f| f.during("small request and FIN together"))?;
    if let Some(text) = bad_end(&mut peer, target.reply)? {
        return Ok(Outcome::Violates(format!("after a small request and FIN together: {text}")));
    }
    if !target.sizable() {
        return Ok(Outcome::Holds("a small request with FIN is answered, then FIN".to_owned()));
    }
    if target.kind == Kind::Echo { echo_fin(scene) } else { large_fin(scene) }
}

/// What is wrong with the end of the connection, if something is.
pub(super) fn bad_end(peer: &mut Peer, time: Duration) -> Result<Option<String>, Fault> {
    Ok(match peer.drain(time)? {
        (End::Closed, 0) => None,
        (End::Closed, extra) => Some(format!("{extra} bytes that nobody asked for")),
        (End::Reset, _) => Some("the connection is reset and not closed".to_owned()),
        (End::Open, _) => Some(format!("the server does not close its side within {} ms", time.as_millis())),
    })
}

/// A large answer asked for with FIN behind the request: the server learns of the end while it still has to send.
fn large_fin(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let mut peer = Peer::connect_with(&target, 2, Some(SMALL_BUFFER))?;
    let mut pending = peer.prepare(LARGE);
    peer.send_and_finish(&mut pending)?;
    sys::clock::pause(PAUSE);
    let mut pending = pending.within(target.time_for(LARGE) * 2);
    peer.complete(&mut pending)
        .map_err(|f| f.during(format!("{LARGE} bytes asked for with FIN behind the request")))?;
    Ok(match bad_end(&mut peer, target.reply)? {
        Some(text) => Outcome::Violates(format!("after {LARGE} bytes: {text}")),
        None => Outcome::Holds(format!("64 and {LARGE} bytes in full, then FIN")),
    })
}

/// Sent at a time until the server has taken more than it could give back.
const STEP: u64 = 16 << 10;
/// How far below what the kernel took of an answer before one begins to look: what it takes varies with the pace.
const NEAR: u64 = 512 << 10;
/// Time for the server to take a step.
const TAKEN: Duration = Duration::from_millis(150);

/// What the server takes without being read from, then FIN, then everything must come back. First as much as it takes at all; then
/// just so much that it has taken all of it and has a part of the answer in its own memory when FIN comes.
fn echo_fin(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    // Without FIN first: a server that deadlocks on bulk has another fault than one that drops its answer.
    let mut peer = Peer::connect(&target, 2)?;
    peer.exchange(1 << 20).map_err(|f| f.during("1 MiB echoed without FIN"))?;
    drop(peer);
    let mut peer = Peer::connect_with(&target, 3, Some(SMALL_BUFFER))?;
    let mut pending = peer.prepare(LARGE * 2);
    let sent = peer.fill(&mut pending.out, LARGE, PAUSE)?;
    // None is told of one on a Unix socket: this is then all.
    let given = row_of(&target, &peer).map(|row| peer.unread() + row.send_queue);
    if let Some(outcome) = all_back((peer, pending), &target, sent, 0)? {
        return Ok(outcome);
    }
    if let Some(given) = given {
        let mut peer = Peer::connect_with(&target, 4, Some(SMALL_BUFFER))?;
        let mut pending = peer.prepare(LARGE * 2);
        let (sent, held) = until_held(&target, &mut peer, &mut pending, given.saturating_sub(NEAR))?;
        if let Some(outcome) = all_back((peer, pending), &target, sent, held)? {
            return Ok(outcome);
        }
    }
    Ok(Outcome::Holds(format!("64 and {sent} bytes came back in full, then FIN")))
}

/// Sends `first` bytes, and a step at a time until the server has something in its hands, or takes no more; what was sent, and what it has.
fn until_held(
    target: &Target,
    peer: &mut Peer,
    pending: &mut Pending,
    first: u64,
) -> Result<(u64, u64), Fault> {
    let mut sent = peer.fill(&mut pending.out, first, PAUSE)?;
    while sent < LARGE {
        match in_hand(target, peer, sent) {
            Some(0) => {}
            held => return Ok((sent, held.unwrap_or(0))),
        }
        let step = peer.fill(&mut pending.out, STEP, PAUSE)?;
        if step == 0 {
            break;
        }
        sent += step;
    }
    Ok((sent, 0))
}

/// The server's end of this connection.
fn row_of(target: &Target, peer: &Peer) -> Option<Row> {
    let own = peer.address()?;
    evidence::rows_of(target.ip(), None).into_iter().find(|row| row.remote == own)
}

/// Bytes that the server has taken and not given to its kernel, out of `sent` of which nothing was read; `None` where it has not taken
/// all: from there on FIN would stand behind data that it has not read.
fn in_hand(target: &Target, peer: &Peer, sent: u64) -> Option<u64> {
    let look = || {
        let row = row_of(target, peer)?;
        let taken = row.receive_queue == 0 && peer.unacknowledged() == 0;
        // What is acknowledged late stands in both.
        taken.then(|| sent.saturating_sub(peer.unread() + row.send_queue))
    };
    let mut held = None;
    evidence::settle(TAKEN, || {
        held = look();
        held.is_some()
    });
    // Two looks alike: the one may have come while the server was at it.
    sys::clock::pause(Duration::from_micros(100));
    held.map(|bytes| if look() == Some(bytes) { bytes } else { 0 })
}

/// Sends FIN behind `sent` bytes; `None` where all of them come back.
fn all_back(
    (mut peer, mut pending): (Peer, Pending),
    target: &Target,
    sent: u64,
    held: u64,
) -> Result<Option<Outcome>, Fault> {
    pending.out = Output::new();
    peer.finish()?;
    // Nothing is read until the server has met a full buffer: one that still reads has then read the end too, and one that does not
    // will meet it only behind the data, where all is well whatever it does.
    let _ = peer.fin_arrived(PAUSE * 2);
    sys::clock::pause(PAUSE);
    let mut pending = pending.within(target.time_for(LARGE) * 2);
    match peer.complete(&mut pending) {
        Err(Fault { what: What::Wrong(Mismatch::EarlyEnd { received }), .. }) if received == sent => Ok(None),
        Err(Fault { what: What::Wrong(Mismatch::EarlyEnd { received }), .. }) => {
            let held =
                if held > 0 { format!(", {held} of them in the server's hands,") } else { String::new() };
            let text = format!("of {sent} bytes sent before FIN{held} only {received} came back");
            Ok(Some(Outcome::Violates(text)))
        }
        Err(fault) => Err(fault.during(format!("{sent} bytes sent before FIN"))),
        Ok(_) => Err(Fault::subject(format!("more came back than the {sent} bytes sent"))),
    }
}

/// 4.3
pub(super) static NO_SPIN: Case = Case {
    id: "half/no-spin",
    number: "4.3",
    level: Level::Must,
    needs: Need::Pid,
    services: SIZABLE,
    sizes: true,
    timing: true,
    quick: true,
    requirement: "A half-closed client that does not read costs no processor time (epoll_ctl(2), EPOLLRDHUP and EPOLLHUP; cups #4605)",
    acceptable: "runs or waits to run at most 20 % of the time (60 %: FAILED, between: NON-STRICT)",
    probe: no_spin,
    ..BASE
};

/// One window of watching.
const WINDOW: Duration = Duration::from_millis(200);

fn no_spin(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let mut peer = Peer::connect_with(&target, 1, Some(SMALL_BUFFER))?;
    let mut pending = peer.prepare(if target.kind == Kind::Echo { LARGE * 8 } else { LARGE * 2 });
    if target.kind == Kind::Echo {
        peer.fill(&mut pending.out, u64::MAX, PAUSE)?;
        peer.finish()?;
    } else {
        peer.send_and_finish(&mut pending)?;
    }
    let waits = || row_of(&target, &peer).is_some_and(|row| row.send_queue > 0);
    if !evidence::settle(scene.settle(), || peer.unread() > 0 && waits()) {
        return Ok(Outcome::Inconclusive("the server was not seen to wait with an answer unsent".to_owned()));
    }
    sys::clock::pause(PAUSE);
    let running = scene.running()?;
    let share = evidence::least_busy(|| running.tree(), WINDOW);
    let text = format!("busy {:.0} % of the time with an answer that cannot be sent", share * 100.0);
    Ok(if share >= evidence::SPINS {
        Outcome::Violates(text)
    } else if share > evidence::RESTS {
        Outcome::Tolerable(text)
    } else {
        Outcome::Holds(text)
    })
}

/// 4.4
pub(super) static RST_READ_SIDE: Case = Case {
    id: "abort/rst-read-side",
    number: "4.4",
    level: Level::Must,
    needs: Need::Address,
    services: LASTING,
    requirement: "A reset while the server waits for a request ends that connection and nothing else (RFC 9293, 3.5.3)",
    acceptable: "alive, others undisturbed: reset while idle, and after half a request",
    probe: rst_read_side,
    ..BASE
};

fn rst_read_side(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let rounds = scene.count(20, 5);
    let watched = !scene.serial() && scene.facts().lasting;
    let mut witness = if watched { Some(Peer::connect(&target, 0)?) } else { None };
    for n in 0..rounds {
        let mut idle = Peer::connect(&target, 2 * n + 1)?;
        idle.exchange(64)?;
        idle.reset();
        let mut halfway = Peer::connect(&target, 2 * n + 2)?;
        let pending = halfway.prepare(64);
        let first = pending.out.first(&[]);
        halfway.send(&first[..first.len().div_ceil(2)])?;
        halfway.reset();
        if let Some(witness) = &mut witness {
            witness
                .exchange(64)
                .map_err(|f| f.during(format!("another connection, after {} resets", 2 * n + 2)))?;
        }
    }
    Ok(Outcome::Holds(format!("{} resets", 2 * rounds)))
}

/// 4.5
pub(super) static RST_MID_WRITE: Case = Case {
    id: "abort/rst-mid-write",
    number: "4.5",
    level: Level::Must,
    needs: Need::Address,
    services: SIZABLE,
    sizes: true,
    quick: true,
    requirement: "A client that is gone in the middle of its answer ends that connection and nothing else (tokio tcp_shutdown.rs)",
    acceptable: "alive, descriptors back, after resets and closes with most of the answer unread",
    probe: rst_mid_write,
    ..BASE
};

fn rst_mid_write(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let rounds = scene.count(10, 4);
    let mut proven = 0;
    for n in 0..rounds {
        let mut peer = Peer::connect_with(&target, n, Some(SMALL_BUFFER))?;
        let mut pending = peer.prepare(LARGE);
        peer.fill(&mut pending.out, u64::MAX, Duration::from_millis(20))?;
        let mut buffer = [0; 1_024];
        peer.read(&mut buffer).map_err(|f| f.during("the first bytes of a large answer"))?;
        // Unread bytes make close(2) send RST too, as from a client that was killed.
        if evidence::settle(target.reply, || peer.unread() > 0) {
            proven += 1;
        }
        if n % 2 == 0 {
            peer.reset();
        }
        if let Some(how) = scene.running()?.ended() {
            return Ok(Outcome::Violates(format!(
                "the server {how} after {} clients left in mid-answer",
                n + 1
            )));
        }
    }
    if proven == 0 {
        return Ok(Outcome::Inconclusive("no answer was under way when the client left".to_owned()));
    }
    Ok(Outcome::Holds(format!("{proven} of {rounds} clients left with the answer under way")))
}
