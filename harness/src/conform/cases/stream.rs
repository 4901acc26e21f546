//! Group 3, stream semantics: the bytes, however they are cut.

use super::super::case::{BASE, Case, Level, Need, Outcome, SIZABLE, STREAMS};
use super::super::fault::Fault;
use super::super::peer::Peer;
use super::super::scene::{Effort, Scene};
use service::Kind;
use std::time::Duration;
use sys::Family;

/// 3.1
pub(super) static EXACT: Case = Case {
    id: "stream/exact",
    families: STREAMS,
    number: "3.1",
    level: Level::Must,
    needs: Need::Address,
    services: SIZABLE,
    sizes: true,
    quick: true,
    requirement: "What is asked for comes, every byte of it in its place, at every size (Autobahn's chops; libuv test-tcp-writealot.c)",
    acceptable: "identical at sizes around powers of two up to 1 MiB, with --strict 64 MiB (sized, http: 16 MiB)",
    probe: exact,
    ..BASE
};

/// The edges of common buffers, and their neighbours.
const SIZES: [u64; 12] = [1, 2, 1_023, 1_024, 1_025, 4_095, 4_096, 4_097, 65_535, 65_536, 65_537, 1 << 20];

fn exact(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let mut peer = scene.connect(1)?;
    let mut sizes = SIZES.to_vec();
    if scene.strict && scene.effort == Effort::Full {
        sizes.push(if scene.subject.kind == Kind::Echo { 64 << 20 } else { service::MAX_REPLY });
    }
    for (n, size) in sizes.iter().enumerate() {
        let reusable = peer.exchange(*size).map_err(|f| f.during(format!("{size} bytes")))?;
        if !reusable {
            peer = scene.connect(2 + n as u64)?;
        }
    }
    let largest = sizes.last().copied().unwrap_or(0);
    Ok(Outcome::Holds(format!("{} sizes up to {largest} bytes identical", sizes.len())))
}

/// 3.2
pub(super) static ONE_BYTE: Case = Case {
    id: "stream/one-byte",
    families: STREAMS,
    number: "3.2",
    level: Level::Must,
    needs: Need::Address,
    services: SIZABLE,
    quick: true,
    requirement: "A stream has no message boundaries: bytes that arrive one by one mean the same (service rule S1; Autobahn 9.3, 5.x)",
    acceptable: "the answer is identical",
    probe: one_byte,
    ..BASE
};

/// Pauses between bytes, a round each for a short request: on a busy machine the server may not be asleep in read again before the
/// next byte comes, and then the bytes come together after all. A long request has chances enough in its first round.
const PAUSES: [Duration; 4] = [
    Duration::from_micros(300),
    Duration::from_millis(1),
    Duration::from_millis(3),
    Duration::from_millis(10),
];

fn one_byte(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let mut total = 0;
    for (round, pause) in (1..).zip(PAUSES) {
        let sent = one_byte_round(scene, round, pause)?;
        total += sent;
        if sent > 512 {
            break;
        }
    }
    Ok(Outcome::Holds(format!("{total} bytes sent one by one, the answers identical")))
}

fn one_byte_round(scene: &mut Scene<'_>, round: u64, pause: Duration) -> Result<u64, Fault> {
    let mut peer = scene.connect(round)?;
    // Other services ask for this many bytes, in a request of a few dozen.
    // A byte in a segment of its own is as dear to a Unix socket as a page: its buffer holds some 270 of them, unread.
    let full = if scene.subject.family == Family::Unix { 200 } else { 4_096 };
    let mut pending = peer.prepare(scene.count(full, full.min(1_024)));
    let mut sent = 0_u64;
    while let Some(byte) = pending.out.first(&[]).first().copied() {
        peer.send(&[byte])
            .map_err(|f| f.during(format!("byte {} of a request in single bytes", sent + 1)))?;
        pending.out.advance(1);
        sent += 1;
        if sent.is_multiple_of(64) || sent < 32 {
            sys::clock::pause(pause);
        }
    }
    peer.complete(&mut pending).map_err(|f| f.during(format!("a request sent as {sent} single bytes")))?;
    Ok(sent)
}

/// 3.3
pub(super) static FRAMING: Case = Case {
    id: "stream/framing",
    families: STREAMS,
    number: "3.3",
    level: Level::Must,
    needs: Need::Address,
    services: &[Kind::Sized, Kind::Http],
    lasting: true,
    quick: true,
    requirement: "Requests that arrive together are all answered, in order; one that is unfinished waits (RFC 9112, 9.3.2; service rule S2)",
    acceptable: "20 requests in one segment: 20 answers in order; 3 and a half: 3 answers, the fourth when its rest has come",
    probe: framing,
    ..BASE
};

fn framing(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let together = 20;
    let mut peer = scene.connect(1)?;
    let (mut bytes, mut all) = (Vec::new(), Vec::new());
    for n in 0..together {
        // Each of another size, so that answers out of order show.
        let mut pending = peer.prepare(100 + n);
        bytes.extend(pending.out.take(&[]));
        all.push(pending);
    }
    peer.send(&bytes)?;
    for (n, pending) in all.iter_mut().enumerate() {
        let what = format!("answer {} of {together} to requests sent together", n + 1);
        peer.complete(pending).map_err(|f| f.during(what))?;
    }
    let mut four: Vec<_> = (0..4).map(|n| peer.prepare(200 + n)).collect();
    let mut bytes: Vec<u8> = four.iter_mut().flat_map(|p| p.out.take(&[])).collect();
    // The last byte of a request is its end of line: without it the request is not there.
    let last = bytes.pop();
    peer.send(&bytes)?;
    for (n, pending) in four.iter_mut().take(3).enumerate() {
        let what = format!("answer {} of 3 to requests with an unfinished one behind them", n + 1);
        peer.complete(pending).map_err(|f| f.during(what))?;
    }
    if peer.unread() > 0 {
        return Ok(Outcome::Violates("an unfinished request is answered".to_owned()));
    }
    peer.send(last.as_slice())?;
    if let Some(pending) = four.last_mut() {
        peer.complete(pending)
            .map_err(|f| f.during("the answer to the unfinished request, its end come late"))?;
    }
    Ok(Outcome::Holds(format!("{together} requests in one segment, and 3 and a half, all answered in order")))
}

/// 3.5
pub(super) static PARTIAL_WRITE: Case = Case {
    id: "stream/partial-write",
    families: STREAMS,
    number: "3.5",
    level: Level::Must,
    needs: Need::Address,
    services: SIZABLE,
    sizes: true,
    requirement: "An answer that does not fit the socket's buffer is sent to its end (pistache #1114; packetdrill epoll_out_edge.pkt)",
    acceptable: "8 MiB to a client that reads late and slowly are identical",
    probe: partial_write,
    ..BASE
};

/// More than the largest send buffer of a default kernel (tcp_wmem, 4 MiB) and the client's small receive buffer.
const LARGE: u64 = 8 << 20;

fn partial_write(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let mut peer = Peer::connect_with(&target, 1, Some(4_096))?;
    let mut pending = peer.prepare(LARGE);
    let quiet = Duration::from_millis(150);
    let sent = peer.fill(&mut pending.out, u64::MAX, quiet)?;
    if scene.subject.kind != Kind::Echo {
        sys::clock::pause(quiet);
    }
    // 4 KiB of receive buffer make for thousands of turns: a deadline of its own.
    let mut pending = pending.within(target.time_for(LARGE) * 4);
    peer.complete(&mut pending)
        .map_err(|f| f.during(format!("{LARGE} bytes, the first read after {quiet:?}")))?;
    Ok(Outcome::Holds(format!("{LARGE} bytes identical, {sent} sent before the first read")))
}
