//! Group 11, HTTP/1.1, what every server of it does. Few by intent: h1spec and Http11Probe test the protocol. What is refused: `http_refuse`.

use super::super::case::{BASE, Case, Level, Outcome, STREAMS};
use super::super::fault::{Fault, What};
use super::super::peer::{End, Peer};
use super::super::reply::{Read, Reply, read};
use super::super::scene::{Effort, Scene};
use super::super::target::Target;
use service::Kind;
use std::time::{Duration, Instant};

/// Only this service.
pub(super) const HTTP: &[Kind] = &[Kind::Http];

/// A request for `path` with `method`, and `fields`, each with its line end.
pub(super) fn request(target: &Target, method: &str, path: &str, fields: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", target.host).into_bytes()
}

/// The path that is asked for.
pub(super) fn path(target: &Target) -> &str {
    target.path.as_deref().unwrap_or("/")
}

/// Bytes of replies that have come and were not yet looked at.
#[derive(Default)]
pub(super) struct Replies {
    bytes: Vec<u8>,
}

/// What came instead of a reply, or the reply.
pub(super) enum Came {
    /// It.
    Reply(Reply),
    /// The end of the connection, after so many bytes of none.
    Ended(End, usize),
    /// Nothing, or not all of it, in time.
    Silence,
    /// Something else.
    Malformed(&'static str),
}

impl Replies {
    /// The next reply on `peer`, waited for at most `time`; `head`: to a HEAD.
    pub(super) fn next(&mut self, peer: &mut Peer, head: bool, time: Duration) -> Result<Came, Fault> {
        let end = Instant::now() + time;
        let mut buffer = [0; 16_384];
        loop {
            match if self.bytes.is_empty() { Read::Unfinished(false) } else { read(&self.bytes, head, false) }
            {
                Read::Whole(reply, used) => {
                    self.bytes.drain(..used);
                    return Ok(Came::Reply(reply));
                }
                Read::Malformed(why) => return Ok(Came::Malformed(why)),
                Read::Unfinished(_) => {}
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Came::Silence);
            }
            peer.patience(left);
            match peer.read(&mut buffer) {
                Ok(0) => {
                    let ended = Came::Ended(End::Closed, self.bytes.len());
                    return Ok(match read(&self.bytes, head, true) {
                        Read::Whole(reply, _) if !self.bytes.is_empty() => {
                            self.bytes.clear();
                            Came::Reply(reply)
                        }
                        _ => ended,
                    });
                }
                Ok(n) => self.bytes.extend_from_slice(&buffer[..n]),
                Err(Fault { what: What::Reset(_), .. }) => {
                    return Ok(Came::Ended(End::Reset, self.bytes.len()));
                }
                Err(fault) if fault.is_silence() => {}
                Err(fault) => return Err(fault),
            }
        }
    }

    /// As [`Self::next`], where anything but a reply is a fault.
    pub(super) fn must(&mut self, peer: &mut Peer, head: bool, time: Duration) -> Result<Reply, Fault> {
        Err(match self.next(peer, head, time)? {
            Came::Reply(reply) => return Ok(reply),
            Came::Ended(End::Reset, n) => Fault::subject(format!("reset after {n} bytes of a reply")),
            Came::Ended(_, n) => Fault::subject(format!("closed after {n} bytes of a reply")),
            Came::Silence => What::Silent(time.as_millis(), self.bytes.len() as u64).into(),
            Came::Malformed(why) => Fault::subject(format!("what comes is no reply: {why}")),
        })
    }

    /// Bytes that belong to no reply asked for, waited for shortly.
    fn stray(&self, peer: &Peer) -> u64 {
        super::super::evidence::settle(Duration::from_millis(30), || peer.unread() > 0);
        self.bytes.len() as u64 + peer.unread()
    }
}

/// 11.1
pub(super) static GET: Case = Case {
    id: "http/get",
    number: "11.1",
    families: STREAMS,
    services: HTTP,
    requirement: "GET is answered with exactly the content that is announced, HEAD with the same head and none (RFC 9112, 4 and 6; RFC 9110, 9.3.2)",
    acceptable: "a status line that parses, 2xx or 3xx, content as long as announced and nothing behind it",
    probe: get,
    ..BASE
};

fn get(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let mut sizes = Vec::new();
    for method in ["GET", "HEAD"] {
        let (mut peer, mut replies) = (Peer::connect(&target, 1)?, Replies::default());
        peer.send(&request(&target, method, path(&target), ""))?;
        let reply = replies.must(&mut peer, method == "HEAD", target.reply).map_err(|f| f.during(method))?;
        if !(200..400).contains(&reply.status) {
            return Ok(Outcome::Violates(format!("{method} is answered with status {}", reply.status)));
        }
        let stray = replies.stray(&peer);
        if stray > 0 {
            return Ok(Outcome::Violates(format!("{stray} bytes behind the reply to {method}")));
        }
        sizes.push(reply.content.len());
    }
    Ok(Outcome::Holds(format!("{} bytes to GET, none to HEAD", sizes.first().copied().unwrap_or(0))))
}

/// 11.2
pub(super) static PERSIST: Case = Case {
    id: "http/persist",
    number: "11.2",
    families: STREAMS,
    services: HTTP,
    requirement: "A connection carries a second request, and is closed after the reply where the client asks for that (RFC 9112, 9.3 and 9.6)",
    acceptable: "two requests answered; FIN after `Connection: close` and after HTTP/1.0; INFO where the server announces that it closes each",
    probe: persist,
    ..BASE
};

fn persist(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let (mut peer, mut replies) = (Peer::connect(&target, 1)?, Replies::default());
    let get = request(&target, "GET", path(&target), "");
    peer.send(&get)?;
    let first = replies.must(&mut peer, false, target.reply)?;
    if !first.closes() {
        peer.send(&get)?;
        replies.must(&mut peer, false, target.reply).map_err(|f| f.during("the second request"))?;
    }
    drop(peer);
    let close = request(&target, "GET", path(&target), "Connection: close\r\n");
    let old = format!("GET {} HTTP/1.0\r\n\r\n", path(&target)).into_bytes();
    for (what, bytes) in [("Connection: close", close), ("HTTP/1.0", old)] {
        let (mut peer, mut replies) = (Peer::connect(&target, 2)?, Replies::default());
        peer.send(&bytes)?;
        replies.must(&mut peer, false, target.reply).map_err(|f| f.during(what))?;
        match peer.drain(target.reply)? {
            (End::Closed, 0) => {}
            (End::Closed, n) => {
                return Ok(Outcome::Violates(format!("{n} bytes behind the reply, after {what}")));
            }
            (End::Reset, _) => return Ok(Outcome::Violates(format!("reset and not closed, after {what}"))),
            (End::Open, _) => return Ok(Outcome::Violates(format!("not closed after {what}"))),
        }
    }
    Ok(if first.closes() {
        Outcome::Info("closes after each reply, and announces it".to_owned())
    } else {
        Outcome::Holds("a second request answered; closed where asked to".to_owned())
    })
}

/// 11.3
pub(super) static PIPELINE: Case = Case {
    id: "http/pipeline",
    number: "11.3",
    families: STREAMS,
    services: HTTP,
    lasting: true,
    requirement: "Requests sent without waiting are answered in order, and those that are whole at once (RFC 9112, 9.3.2; fasthttp #1043)",
    acceptable: "10 in one segment: 10 replies in order; 3 and a part of a fourth: 3 replies, the fourth when its rest has come",
    probe: pipeline,
    ..BASE
};

fn pipeline(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    // Each of another size, so that the order shows; a user's own path has one size.
    let get = |n: usize| match &target.path {
        Some(path) => request(&target, "GET", path, ""),
        None => request(&target, "GET", &format!("/bytes/{}", 10 + n), ""),
    };
    let right = |n: usize, reply: &Reply| target.path.is_some() || reply.content.len() == 10 + n;
    let (mut peer, mut replies) = (Peer::connect(&target, 1)?, Replies::default());
    peer.send(&(0..10).flat_map(get).collect::<Vec<_>>())?;
    for n in 0..10 {
        let reply = replies.must(&mut peer, false, target.reply);
        let reply =
            reply.map_err(|f| f.during(format!("reply {} of 10 to requests sent together", n + 1)))?;
        if !right(n, &reply) {
            return Ok(Outcome::Violates(format!(
                "reply {} of 10 is not the one asked for in its place",
                n + 1
            )));
        }
    }
    let mut bytes: Vec<u8> = (0..4).flat_map(get).collect();
    let rest = bytes.split_off(bytes.len() - 10);
    peer.send(&bytes)?;
    for n in 0..3 {
        replies
            .must(&mut peer, false, target.reply)
            .map_err(|f| f.during(format!("reply {} of 3, a part of a fourth request behind them", n + 1)))?;
    }
    if replies.stray(&peer) > 0 {
        return Ok(Outcome::Violates("a request that is not whole is answered".to_owned()));
    }
    peer.send(&rest)?;
    replies.must(&mut peer, false, target.reply).map_err(|f| f.during("a request whose end came late"))?;
    Ok(Outcome::Holds("10 in one segment, and 3 with a part of a fourth, all answered in order".to_owned()))
}

/// 11.4
pub(super) static SPLIT: Case = Case {
    id: "http/split",
    number: "11.4",
    families: STREAMS,
    services: HTTP,
    requirement: "A request means the same wherever the segments cut it (RFC 9112, 2.2; service rule S1)",
    acceptable: "a GET and a POST with content, cut at every byte: the same status and length as uncut",
    probe: split,
    ..BASE
};

fn split(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let own = target.path.clone().unwrap_or_else(|| "/bytes/10".to_owned());
    let mut post = request(&target, "POST", &own, "Content-Length: 12\r\nContent-Type: text/plain\r\n");
    post.extend_from_slice(b"hello, world");
    let pause = Duration::from_micros(scene.count(1_000, 500));
    let mut cuts = 0;
    for (name, bytes) in [("GET", request(&target, "GET", &own, "")), ("POST", post)] {
        let mut connection = None;
        let mut uncut = None;
        for cut in 0..bytes.len() {
            let (mut peer, mut replies) = connection
                .take()
                .map_or_else(|| Ok((Peer::connect(&target, 1)?, Replies::default())), Ok::<_, Fault>)?;
            let (start, rest) = bytes.split_at(cut);
            peer.send(start)?;
            if cut > 0 {
                sys::clock::pause(pause);
            }
            peer.send(rest)?;
            let what = || format!("a {name} cut after {cut} of {} bytes", bytes.len());
            let reply = replies.must(&mut peer, false, target.reply).map_err(|f| f.during(what()))?;
            let seen = (reply.status, reply.content.len());
            let uncut = *uncut.get_or_insert(seen);
            if seen != uncut {
                return Ok(Outcome::Violates(format!(
                    "{}: status and length {seen:?}, uncut {uncut:?}",
                    what()
                )));
            }
            cuts += 1;
            if !reply.closes() {
                connection = Some((peer, replies));
            }
        }
    }
    Ok(Outcome::Holds(format!("{cuts} cuts, each answered as if there were none")))
}

/// 11.8
pub(super) static SLOW_HEADER: Case = Case {
    id: "http/slow-header",
    number: "11.8",
    families: STREAMS,
    level: Level::Info,
    services: HTTP,
    requirement: "How long a server waits for a head that comes byte by byte (RFC 9110, 15.5.9; slowloris)",
    acceptable: "INFO: when it answers 408 or closes; watched for 3 s, with --strict for 30 s; whether others are served meanwhile: case 6.2",
    probe: slow_header,
    ..BASE
};

fn slow_header(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let watched = match (scene.strict, scene.effort) {
        (_, Effort::Quick) => Duration::from_secs(1),
        (false, _) => Duration::from_secs(3),
        (true, _) => Duration::from_secs(30),
    };
    let (mut peer, mut replies) = (Peer::connect(&target, 1)?, Replies::default());
    peer.send(&request(&target, "GET", path(&target), "")[..20])?;
    let start = Instant::now();
    while start.elapsed() < watched {
        let came = replies.next(&mut peer, false, Duration::from_millis(100))?;
        let after = start.elapsed().as_secs_f64();
        let text = match came {
            Came::Silence => {
                // It may have closed since, which the next look sees.
                let _ = peer.send(b"x");
                continue;
            }
            Came::Reply(reply) => format!("status {} after {after:.1} s", reply.status),
            Came::Ended(End::Reset, _) => format!("resets after {after:.1} s"),
            Came::Ended(..) => format!("closes after {after:.1} s"),
            Came::Malformed(why) => format!("says something after {after:.1} s: {why}"),
        };
        return Ok(Outcome::Info(text));
    }
    Ok(Outcome::Info(format!("waits for {} s and more", watched.as_secs())))
}
