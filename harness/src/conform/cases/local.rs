//! Cases 4.9 and 5.2: how Unix streams end, which is not how TCP does: the end comes with the data, and the first write to a peer that
//! is gone raises SIGPIPE. Not here: paths and names (`unix`).

use super::super::case::{ANY, BASE, Case, LASTING, Level, Outcome, UNIX_STREAMS};
use super::super::fault::Fault;
use super::super::freeze::Frozen;
use super::super::peer::Peer;
use super::super::scene::Scene;
use super::half::bad_end;
use std::time::Duration;

/// 4.9
pub(super) static UNIX_EOF: Case = Case {
    id: "abort/unix-eof",
    families: UNIX_STREAMS,
    number: "4.9",
    level: Level::Must,
    services: ANY,
    requirement: "The end of a Unix stream is seen, also where it comes together with the last data (recv(2), RETURN VALUE; liburing #1549)",
    acceptable: "1000 clients that send 123 bytes and shut their side down: each is answered in full and then closed, whether the end comes with the request or behind the answer",
    probe: unix_eof,
    ..BASE
};

/// Bytes of a message, as in the report of the bug.
const MESSAGE: u64 = 123;

fn unix_eof(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let rounds = scene.count(1_000, 100);
    for n in 0..rounds {
        let mut peer = Peer::connect(&target, n).map_err(|f| f.during(format!("client {}", n + 1)))?;
        let mut pending = peer.prepare(MESSAGE);
        let together = n % 2 == 0;
        let how = if together { "its request and the end together" } else { "the end after its answer" };
        let at = |f: Fault| f.during(format!("client {} of {rounds}, {how}", n + 1));
        if together {
            peer.send_and_finish(&mut pending).map_err(at)?;
            peer.complete(&mut pending).map_err(at)?;
        } else if peer.complete(&mut pending).map_err(at)? {
            // A server that has closed already leaves nothing to shut down.
            peer.finish().map_err(at)?;
        }
        if let Some(text) = bad_end(&mut peer, target.reply)? {
            return Ok(Outcome::Violates(format!("client {} of {rounds}, {how}: {text}", n + 1)));
        }
    }
    Ok(Outcome::Holds(format!("{rounds} clients answered in full, then the end")))
}

/// 5.2
pub(super) static SIGPIPE: Case = Case {
    id: "sigpipe/unix",
    families: UNIX_STREAMS,
    number: "5.2",
    level: Level::Must,
    services: LASTING,
    requirement: "A client of a Unix stream that is gone before its answer does not end the server: the first write raises SIGPIPE (unix(7); send(2), EPIPE; Stockfish #7028)",
    acceptable: "20 clients that ask and close at once: the server, and every worker, lives; NON-STRICT where a worker died and was replaced",
    probe: sigpipe,
    ..BASE
};

fn sigpipe(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let rounds = scene.count(20, 6);
    let mut proven = 0;
    for n in 0..rounds {
        let target = scene.target()?;
        let mut peer = Peer::connect(&target, n)?;
        let mut pending = peer.prepare(64);
        // Where the process is known it looks only when the client has gone.
        let frozen = Frozen::tree(scene.running()?)?;
        peer.fill(&mut pending.out, u64::MAX, Duration::from_millis(50))?;
        // What nobody has read yet cannot have been answered.
        proven += u64::from(pending.out.is_empty() && peer.unacknowledged() > 0);
        drop(peer);
        drop(frozen);
        let canary = target.canary(1_000 + n);
        if let Some(how) = scene.running()?.ended() {
            return Ok(Outcome::Violates(format!("the server {how} when client {} had closed", n + 1)));
        }
        canary.map_err(|f| f.during(format!("a fresh connection, after {} clients had closed", n + 1)))?;
    }
    if proven == 0 {
        return Ok(Outcome::Inconclusive("every request was read before its client had gone".to_owned()));
    }
    Ok(Outcome::Holds(format!("{proven} of {rounds} clients were gone before their requests were read")))
}
