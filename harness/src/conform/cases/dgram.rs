//! Group 8, datagrams: one request, one answer, whole, to whoever asked. Not here: what is peculiar to Unix sockets.

use super::super::case::{BASE, Case, DATAGRAMS, Need, Outcome};
use super::super::datagrams::{Datagrams, largest};
use super::super::fault::{Fault, What};
use super::super::freeze::Frozen;
use super::super::scene::Scene;
use super::super::subject::Origin;
use crate::spawn::sockets;
use service::{Kind, pattern};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use sys::Family;
use sys::spawn::Begin;

/// Services that datagrams carry.
const CARRIED: &[Kind] = &[Kind::Greeting, Kind::Echo, Kind::Sized];
/// Those of which an answer of a given size can be asked.
const SIZED: &[Kind] = &[Kind::Echo, Kind::Sized];
/// UDP alone.
const UDP: &[Family] = &[Family::Udp];
/// How long is waited for an answer that should not come.
const QUIET: Duration = Duration::from_millis(100);

/// 8.1
pub(super) static ECHO: Case = Case {
    id: "dgram/echo",
    number: "8.1",
    families: DATAGRAMS,
    services: CARRIED,
    quick: true,
    requirement: "Each datagram is answered by one, to its sender, from the address it was sent to (RFC 862; Go, TestUDPServer)",
    acceptable: "sizes up to 65,507 bytes identical; 64 clients at once each get their own answer, and one only",
    probe: echo,
    ..BASE
};

fn echo(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let greeting = target.kind == Kind::Greeting;
    let sizes: &[u64] = if greeting { &[1] } else { &[1, 15, 16, 17, 512, 1_472, 1_473, 8_192, 65_507] };
    for (n, size) in (1..).zip(sizes) {
        let mut peer = Datagrams::open(&target, n)?;
        peer.exchange(*size).map_err(|f| f.during(format!("a datagram of {size} bytes")))?;
    }
    // All ask before any reads.
    let clients = scene.count(64, 16);
    let mut peers = Vec::new();
    for n in 0..clients {
        let mut peer = Datagrams::open(&target, 100 + n)?;
        let seq = peer.ask(64).map_err(|f| f.during(format!("client {} of {clients}", n + 1)))?;
        peers.push((peer, seq));
    }
    for (n, (peer, seq)) in peers.iter_mut().enumerate() {
        peer.answer(64, *seq).map_err(|f| f.during(format!("client {} of {clients}", n + 1)))?;
    }
    let (peer, _) = &mut peers[0];
    peer.patience(QUIET);
    if peer.receive().is_ok() {
        return Ok(Outcome::Violates("one datagram was answered twice".to_owned()));
    }
    let most = sizes.last().copied().unwrap_or_default();
    Ok(Outcome::Holds(format!("up to {most} bytes identical; {clients} clients at once, an answer each")))
}

/// 8.2
pub(super) static ZERO: Case = Case {
    id: "dgram/zero",
    number: "8.2",
    families: DATAGRAMS,
    services: CARRIED,
    quick: true,
    requirement: "A datagram of no bytes is a datagram and not an end (recv(2), RETURN VALUE; RFC 768; pupnp #498, mongoose #3696)",
    acceptable: "after three of them the next client is answered",
    probe: zero,
    ..BASE
};

fn zero(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let mut peer = Datagrams::open(&target, 1)?;
    let mut answered = 0;
    for n in 1..=3 {
        peer.send(&[]).map_err(|f| f.during(format!("empty datagram {n}")))?;
    }
    peer.patience(QUIET);
    while answered < 3 && peer.receive().is_ok() {
        answered += 1;
    }
    target.canary(2).map_err(|f| f.during("after three empty datagrams"))?;
    Ok(Outcome::Holds(format!("{answered} of 3 empty datagrams were answered, and the next client")))
}

/// 8.3
pub(super) static TRUNCATE: Case = Case {
    id: "dgram/truncate",
    number: "8.3",
    families: DATAGRAMS,
    services: &[Kind::Echo],
    requirement: "A datagram that was cut off is not answered as if it were whole (recv(2), MSG_TRUNC; pdns #2939, envoy #14122)",
    acceptable: "identical, or no answer, or one that is no shorter copy; the limit is reported",
    probe: truncate,
    ..BASE
};

fn truncate(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let most = largest(target.url.family);
    let mut exact = 0;
    let sizes = [64, 512, 1_024, 2_048, 4_096, 8_192, 8_193, 16_384, 32_768, 65_507, 65_536, 98_304, 131_072];
    for (n, size) in (1..).zip(sizes.into_iter().filter(|size| *size <= most)) {
        let mut peer = Datagrams::open(&target, n)?;
        let message = text(n, size);
        match peer.send(&message) {
            Ok(()) => {}
            // More than the sender's buffer: nothing was sent.
            Err(Fault { what: What::Harness(_), .. }) => break,
            Err(fault) => return Err(fault),
        }
        peer.patience(scene.pace.scale(Duration::from_millis(300)));
        match peer.receive() {
            Ok(answer) if answer == message => exact = size,
            Ok(answer) if !answer.is_empty() && message.starts_with(&answer) => {
                return Ok(Outcome::Violates(format!(
                    "{size} bytes were answered with their first {}, as if they were all",
                    answer.len()
                )));
            }
            Ok(_) => break,
            Err(fault) if fault.is_silence() => break,
            Err(fault) => return Err(fault.during(format!("a datagram of {size} bytes"))),
        }
    }
    if exact == 0 {
        return Ok(Outcome::Inconclusive("not even 64 bytes were answered".to_owned()));
    }
    Ok(Outcome::Holds(format!("exact up to {exact} bytes, of {most} that can be sent")))
}

/// `size` bytes of the payload text.
fn text(n: u64, size: u64) -> Vec<u8> {
    let mut text = Vec::new();
    while (text.len() as u64) < size {
        let done = text.len() as u64;
        text.extend_from_slice(pattern::piece(n * 4_099 + done, size - done));
    }
    text
}

/// 8.4
pub(super) static BURST: Case = Case {
    id: "dgram/burst",
    number: "8.4",
    needs: Need::Pid,
    families: DATAGRAMS,
    services: SIZED,
    requirement: "All datagrams that wait are answered, not the first alone (epoll(7), edge-triggered; tnfsd #27: 1 of 32)",
    acceptable: "32 of different sizes, queued while the server is stopped, are answered; as many as a Unix socket's queue takes",
    probe: burst,
    ..BASE
};

fn burst(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let frozen = Frozen::tree(scene.running()?)?;
    let mut peers = Vec::new();
    for n in 0..32 {
        let mut peer = Datagrams::open(&target, n)?;
        let bytes = 16 + n * 37;
        let client = peer.client(bytes).ok_or_else(|| Fault::harness("no such service"))?;
        let mut message = Vec::new();
        client.request(0, &mut message);
        if peer.send_now(&message).is_err() {
            // A Unix socket queues net.unix.max_dgram_qlen of them, 10 unless it was set.
            break;
        }
        peer.patience(scene.reply());
        peers.push((peer, bytes));
    }
    drop(frozen);
    let count = peers.len();
    if count < 4 {
        return Ok(Outcome::Inconclusive(format!("only {count} datagrams could be queued")));
    }
    for (n, (peer, bytes)) in peers.iter_mut().enumerate() {
        peer.answer(*bytes, 0)
            .map_err(|f| f.during(format!("datagram {} of {count} that were queued", n + 1)))?;
    }
    Ok(Outcome::Holds(format!("{count} of {count} that were queued are answered")))
}

/// 8.5
pub(super) static PEER_GONE: Case = Case {
    id: "dgram/peer-gone",
    number: "8.5",
    families: UDP,
    services: CARRIED,
    quick: true,
    requirement: "A client that is gone before its answer ends nothing (udp(7), ICMP port unreachable; bun #35922, ZLMediaKit #1444)",
    acceptable: "after 50 of them the next client is answered",
    probe: peer_gone,
    ..BASE
};

fn peer_gone(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let count = scene.count(50, 20);
    let frozen = Frozen::tree(scene.running()?)?;
    let proven = frozen.is_some();
    for n in 0..count {
        Datagrams::open(&target, n)?.ask(64)?;
    }
    drop(frozen);
    // Each error of a connected socket is told once: ask often enough to see them all told.
    for n in 0..3 {
        target.canary(1_000 + n).map_err(|f| f.during(format!("after {count} clients had gone")))?;
    }
    let order = if proven { "before the server looked" } else { "at once, as far as can be told" };
    Ok(Outcome::Holds(format!("{count} clients were gone {order}; the next is answered")))
}

/// 8.6
pub(super) static REPLY_SOURCE: Case = Case {
    id: "dgram/reply-source",
    number: "8.6",
    level: super::super::case::Level::Should,
    needs: Need::SameHost,
    families: UDP,
    services: CARRIED,
    requirement: "An answer comes from the address that was asked, also from a server on all addresses (RFC 1122, 4.1.3.5; ip(7), IP_PKTINFO; UNP 22.6)",
    acceptable: "a client that asked 127.0.0.2 is answered from there",
    probe: reply_source,
    ..BASE
};

fn reply_source(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let mut target = scene.target()?;
    let port = target.ip().port();
    let everywhere = sockets::udp_rows(scene.running()?.id.map(|id| id.pid))
        .iter()
        .any(|row| row.local.port() == port && row.local.ip().is_unspecified());
    let mut second = None;
    if !everywhere {
        if !matches!(scene.subject.origin, Origin::Ours { .. }) {
            return Ok(Outcome::Skipped("it does not listen on all addresses".to_owned()));
        }
        let any = target.url.at(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let within = scene.pace.scale(Duration::from_secs(5));
        let child = scene.subject.launch(&Begin::default(), Some(&any), within)?;
        let child = child.ok_or_else(|| Fault::harness("nothing was started"))?;
        target.url = child.url().parse().map_err(Fault::harness)?;
        second = Some(child);
    }
    let port = target.ip().port();
    target.url = target.url.at(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), port)));
    // A connected socket takes no answer from elsewhere.
    let asked = Datagrams::open(&target, 1)?.exchange(64);
    drop(second);
    Ok(match asked {
        Ok(()) => Outcome::Holds("asked at 127.0.0.2, it answers from there".to_owned()),
        Err(fault) if fault.is_silence() => {
            Outcome::Violates("asked at 127.0.0.2, it does not answer from there".to_owned())
        }
        Err(fault) => return Err(fault),
    })
}

/// 8.7
pub(super) static SLOW_CLIENT: Case = Case {
    id: "dgram/slow-client",
    number: "8.7",
    families: UDP,
    services: CARRIED,
    timing: true,
    requirement: "A client that does not read its answers holds up nobody else (udp(7): what does not fit is dropped)",
    acceptable: "others are answered in time while it asks and does not read",
    probe: slow_client,
    ..BASE
};

fn slow_client(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let mut deaf = Datagrams::open(&target, 1)?;
    let mut asked = 0;
    let mut others = Datagrams::open(&target, 2)?;
    for _ in 0..scene.count(20, 5) {
        for _ in 0..20 {
            asked += u64::from(deaf.ask(8_000).is_ok());
        }
        others.exchange(64).map_err(|f| f.during("another client, beside one that does not read"))?;
    }
    Ok(Outcome::Holds(format!("one client asked {asked} times and read nothing; another was answered")))
}

/// 8.8
pub(super) static OVERLOAD: Case = Case {
    id: "dgram/overload",
    number: "8.8",
    families: DATAGRAMS,
    services: CARRIED,
    timing: true,
    requirement: "After more datagrams than it can take, a server answers again (udp(7); unix(7): the sender waits)",
    acceptable: "the next client, asking again where it is not answered, is answered within 2 s; what was lost is reported",
    probe: overload,
    ..BASE
};

fn overload(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let mut peers = (0..4).map(|n| Datagrams::open(&target, n)).collect::<Result<Vec<_>, _>>()?;
    let mut messages = Vec::new();
    for peer in &peers {
        let client = peer.client(64).ok_or_else(|| Fault::harness("no such service"))?;
        let mut message = Vec::new();
        client.request(0, &mut message);
        messages.push(message);
    }
    let end = Instant::now() + Duration::from_millis(scene.count(2_000, 300));
    let (mut sent, mut refused) = (0_u64, 0_u64);
    while Instant::now() < end {
        for (peer, message) in peers.iter().zip(&messages) {
            match peer.send_now(message) {
                Ok(()) => sent += 1,
                Err(_) => refused += 1,
            }
        }
    }
    let mut answered = 0_u64;
    for peer in &mut peers {
        peer.patience(Duration::ZERO);
        while peer.receive().is_ok() {
            answered += 1;
        }
    }
    let start = Instant::now();
    let mut next = target.clone();
    next.reply = Duration::from_millis(250);
    let limit = scene.pace.scale(Duration::from_secs(2));
    let mut tries = 9;
    // What is asked while the queue is still full is lost, as datagrams are: it is asked again.
    while let Err(fault) = next.canary(tries) {
        if !fault.is_silence() || start.elapsed() > limit {
            return Err(fault.during(format!("after {sent} datagrams in a flood")));
        }
        tries += 1;
    }
    Ok(Outcome::Holds(format!(
        "the next client after {} ms; of a flood of {sent}, {answered} answers were still there to be read, {refused} sends had to wait",
        start.elapsed().as_millis()
    )))
}
