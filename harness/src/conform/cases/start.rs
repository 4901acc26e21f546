//! Group 1, lifecycle: what a start is worth, where it cannot succeed, and where nobody hears what the server says (5.5 too).

use super::super::case::{BASE, Case, LASTING, Level, Need, Outcome, STREAMS};
use super::super::evidence;
use super::super::fault::{Fault, What};
use super::super::peer::Peer;
use super::super::scene::Scene;
use crate::spawn::SpawnError;
use std::time::Duration;
use sys::spawn::Begin;

/// 1.1
pub(super) static READY: Case = Case {
    id: "life/ready",
    families: STREAMS,
    number: "1.1",
    needs: Need::Command,
    requirement: "A server that is started serves soon, and at once when it says that it is ready (nginx-tests waitforfile; DESIGN, server process)",
    acceptable: "ready within 5 s; the first connection after that is served",
    probe: ready,
    ..BASE
};

/// A server that takes longer is not ready when a supervisor looks.
const READY_WITHIN: Duration = Duration::from_secs(5);

fn ready(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let limit = scene.pace.scale(READY_WITHIN);
    if let Err(fault) = scene.subject.start(&Begin::default(), None) {
        return match fault.what {
            What::Harness(_) => Err(fault),
            _ => Ok(Outcome::Violates(format!("started again, it is not ready: {fault}"))),
        };
    }
    let target = scene.target()?;
    // No second look: what says that it is ready is.
    let first = target.canary(1);
    let took = scene.running()?.child.as_ref().map_or(Duration::ZERO, |c| Duration::from_nanos(c.ready_ns));
    let ms = took.as_millis();
    Ok(match first {
        Err(fault) => {
            Outcome::Violates(format!("ready after {ms} ms, it says, and the first connection: {fault}"))
        }
        Ok(()) if took > limit => Outcome::Violates(format!("ready only after {ms} ms")),
        Ok(()) => Outcome::Holds(format!("ready after {ms} ms, the first connection served")),
    })
}

/// 1.4
pub(super) static BAD_ADDRESS: Case = Case {
    id: "life/bad-address",
    number: "1.4",
    level: Level::Should,
    needs: Need::Command,
    requirement: "A server that cannot listen where it is told to says so and ends (bind(2), EADDRNOTAVAIL)",
    acceptable: "exits non-zero within 2 s with a message: an address that the host has not, a port that is no number of one",
    probe: bad_address,
    ..BASE
};

/// How long a server may take to see that its address is no good.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

fn bad_address(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let within = scene.pace.scale(ENDS_WITHIN);
    // 192.0.2.0/24 belongs to nobody (RFC 5737).
    let wrong =
        [("an address of another host", "tcp://192.0.2.1:0"), ("port 99999", "tcp://127.0.0.1:99999")];
    let ours = matches!(scene.subject.origin, super::super::subject::Origin::Ours { .. });
    let mut said = Vec::new();
    // A foreign command's words are its own: only the port in them can be made wrong.
    for (what, listen) in wrong.into_iter().skip(usize::from(!ours)) {
        let fault = match scene.subject.mislead(listen, "99999", within) {
            Ok(None) => {
                return Ok(Outcome::Skipped("the command does not have {port} in its words".to_owned()));
            }
            Ok(Some(_)) => return Ok(Outcome::Violates(format!("with {what} it is ready all the same"))),
            Err(fault) => fault,
        };
        let error = match fault.what {
            What::NotReady(error) => error,
            other => return Err(other.into()),
        };
        let SpawnError::NotReady { ended, stderr, .. } = *error else { return Err(Fault::harness(error)) };
        match ended {
            // A number that is cut to 16 bits is a port: it may well listen there.
            None if !ours => {
                return Ok(Outcome::Violates(format!(
                    "with {what} it neither ends nor is to be reached within {within:?} (cut to 16 bits that is port {})",
                    99_999_u32 % (1 << 16)
                )));
            }
            None => {
                return Ok(Outcome::Violates(format!(
                    "with {what} it neither listens nor ends within {within:?}"
                )));
            }
            Some(ended) if ended.success() => {
                return Ok(Outcome::Violates(format!("with {what} it exits with status 0")));
            }
            Some(ended) if ended.killed_by.is_some() => {
                return Ok(Outcome::Violates(format!("with {what} it {ended}")));
            }
            Some(_) if stderr.trim().is_empty() => {
                return Ok(Outcome::Violates(format!("with {what} it ends without a word")));
            }
            Some(ended) => said.push(format!("{what}: {ended}")),
        }
    }
    Ok(Outcome::Holds(said.join(", ")))
}

/// 1.5
pub(super) static CLOSED_STDIO: Case = Case {
    id: "life/closed-stdio",
    families: STREAMS,
    number: "1.5",
    level: Level::Should,
    needs: Need::Command,
    requirement: "A server started with descriptors 0, 1 and 2 closed says nothing to a client that is meant for a log (POSIX exec())",
    acceptable: "no socket on these numbers; or, if one is there, not a stray byte on it",
    probe: closed_stdio,
    ..BASE
};

fn closed_stdio(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let begin = Begin { close_stdio: true, ..Begin::default() };
    if let Err(fault) = scene.subject.start(&begin, None) {
        return match fault.what {
            What::Harness(_) => Err(fault),
            _ => Ok(Outcome::Violates(format!("does not start with its standard streams closed: {fault}"))),
        };
    }
    let target = scene.target()?;
    let mut on_stdio = 0;
    for n in 0..5 {
        let mut peer = Peer::connect(&target, n)?;
        peer.exchange(64).map_err(|f| f.during("with the standard streams closed"))?;
        let running = scene.running()?;
        let sockets = |pid| (0..3).filter(|fd| evidence::link(pid, *fd).starts_with("socket:")).count();
        on_stdio = on_stdio.max(running.tree().iter().map(|id| sockets(id.pid)).sum());
        // What it has to say about a client that is cut off would go to the next one.
        peer.reset();
    }
    if on_stdio == 0 {
        return Ok(Outcome::Holds("no socket is on descriptors 0 to 2".to_owned()));
    }
    let mut peer = Peer::connect(&target, 9)?;
    peer.exchange(64)?;
    sys::clock::pause(Duration::from_millis(scene.count(1_000, 200)));
    Ok(if peer.unread() > 0 {
        Outcome::Violates(format!("{} stray bytes on a connection", peer.unread()))
    } else {
        Outcome::Holds(format!("{on_stdio} sockets on descriptors 0 to 2, and no stray byte on them"))
    })
}

/// 5.5
pub(super) static STDOUT: Case = Case {
    id: "sigpipe/stdout",
    families: STREAMS,
    number: "5.5",
    level: Level::Should,
    needs: Need::Command,
    services: LASTING,
    requirement: "A server whose log nobody reads any more goes on serving (pipe(7), EPIPE and SIGPIPE)",
    acceptable: "serves on after its standard output and error have become broken pipes",
    probe: stdout,
    ..BASE
};

/// Clients after whom the pipe is waited to break, and for how long each time.
const BEFORE_BROKEN: u64 = 3;
const TURN: Duration = Duration::from_millis(200);

fn stdout(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let rounds = scene.count(20, 8);
    let target = scene.target()?;
    let running = scene.running()?;
    // Its streams stay broken: another is started for the next case.
    running.special = true;
    let Some(child) = &running.child else { return Err(Fault::harness("nothing was started")) };
    child.hang_up();
    for n in 0..rounds {
        // Servers speak when clients come, when they are cut off, and when they make no sense.
        let result = Peer::connect(&target, n).and_then(|mut peer| {
            peer.exchange(64)?;
            let _ = peer.send(b"\0\x01 no sense \r\n\r\n");
            peer.reset();
            Ok(())
        });
        if let Some(how) = scene.running()?.ended() {
            return Ok(Outcome::Violates(format!("the server {how} when nobody read what it says")));
        }
        result.map_err(|f| f.during(format!("connection {}, with its log unread", n + 1)))?;
        // The pipe breaks when its reader has met the first words, for which it needs a turn of the processor.
        if n < BEFORE_BROKEN {
            let running = scene.running()?;
            evidence::settle(TURN, || running.child.as_ref().is_some_and(crate::spawn::Child::hung_up));
        }
    }
    let broken = scene.running()?.child.as_ref().is_some_and(crate::spawn::Child::hung_up);
    Ok(Outcome::Holds(if broken {
        format!("serves on with a broken pipe for its log, {rounds} clients")
    } else {
        format!("says nothing about {rounds} clients, and serves on")
    }))
}
