//! Planned aborts: which requests, in which phase, in which way. Not here: carrying them out (see `engine::leave`).
//!
//! ```text
//! PHASE:FRACTION[:KIND]
//! PHASE     connect        right after the handshake, before a byte is sent
//!           mid-request    after half of the request
//!           after-request  after the request, before a byte of the reply is read
//!           mid-response   after the first byte of the reply
//!           idle           after the reply, instead of keeping the connection
//! FRACTION  of the requests: 5% or 0.05
//! KIND      fin        FIN, then a close          default for after-request
//!           rst        RST                        default for the others
//!           unread     a close with some of the reply unread, which is an RST too, of the kernel's own making
//!           half       shut for writing; what the server still says is read to its end, and it is the server that ends the connection
//!           half-read  shut for reading, then a close
//!           vanish     no packet leaves any more: nothing is acknowledged, answered or closed until the run is over
//! ```
//!
//! `unread` and `half-read` are about a reply, and go with after-request and mid-response alone. What each kind is on each family of
//! sockets stands in docs/LOADGEN.md, "Misbehaviour".
//!
//! After-request and mid-response ask for a reply larger than the buffers of both sides where the service has one (`sized`, and
//! `http` without a path), so that the server is still writing when the client is gone. `echo` sends 256 KiB instead. Where the
//! reply is short (a greeting, an http path), the server's one write may succeed, and nothing breaks. `half` asks for the reply that
//! every other request asks for, since it is checked like theirs.
//!
//! Whether request `k` is chosen depends on the seed and `k` alone, so the same plan replays, whatever the number of threads.

use std::fmt;
use std::str::FromStr;

/// Keeps the choice of aborts apart from the choice of payloads, which uses the same mixing function.
const STREAM: u64 = 0x61_62_6f_72_74;

/// What `--help` says of it at its end, behind the two lines that `-h` has too.
pub(crate) const LONG_HELP: &str = "Every rate is a total.

Ends by plan, --abort PHASE:SHARE[:KIND], chosen by the seed and counted apart from errors:
  PHASE  connect, mid-request, after-request, mid-response, idle
  KIND           TCP                                 Unix stream
  fin            FIN, proven, then close             shutdown, then close
  rst            RST                                 close, the reply unread if there is one
  unread         close, the reply unread: RST        close, the reply unread: ECONNRESET
  half           FIN, and the reply read to its end  the same
  half-read      shut for reading (not told), close  shut for reading: EPIPE for the server
  vanish         hears and says nothing any more     takes nothing any more
Datagrams: after-request:SHARE:fin alone, which closes the socket behind the request.

Exit: 0 fine, 1 --fail-on met, 2 wrong use, 3 target unreachable or run invalid, 4 the tool broke.";

/// Where in the life of a request the client goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// After the handshake.
    Connect,
    /// After half of the request.
    MidRequest,
    /// After the request, before the reply is read.
    AfterRequest,
    /// After the first byte of the reply.
    MidResponse,
    /// After the reply.
    Idle,
}

impl Phase {
    /// All phases, in the order of a request's life.
    pub const ALL: [Self; 5] =
        [Self::Connect, Self::MidRequest, Self::AfterRequest, Self::MidResponse, Self::Idle];

    /// The name on the command line and in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::MidRequest => "mid-request",
            Self::AfterRequest => "after-request",
            Self::MidResponse => "mid-response",
            Self::Idle => "idle",
        }
    }

    const fn default_kind(self) -> Kind {
        match self {
            Self::AfterRequest => Kind::Fin,
            _ => Kind::Rst,
        }
    }
}

/// What the server gets to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// FIN, acknowledged, and then a close: the server's later writes meet a closed socket (EPIPE, SIGPIPE).
    Fin,
    /// RST (SO_LINGER with time 0): the server's next call meets ECONNRESET.
    Rst,
    /// A close with input unread: RST, as many a client sends it without knowing (RFC 2525, 2.17).
    Unread,
    /// FIN, and an open ear: the server's reply must still come, and then its end.
    Half,
    /// shutdown(SHUT_RD), of which only a Unix socket's peer hears, and a close when the reply has come.
    HalfRead,
    /// Nothing, for as long as the run goes: a host that lost its power, or a cable.
    Vanish,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] = [Self::Fin, Self::Rst, Self::Unread, Self::Half, Self::HalfRead, Self::Vanish];

    /// The name on the command line and in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::Rst => "rst",
            Self::Unread => "unread",
            Self::Half => "half",
            Self::HalfRead => "half-read",
            Self::Vanish => "vanish",
        }
    }

    /// True where the kind is about a reply, and so needs one that has been asked for and not been read.
    const fn wants_reply(self) -> bool {
        matches!(self, Self::Unread | Self::HalfRead)
    }
}

/// One `PHASE:FRACTION[:KIND]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Where.
    pub phase: Phase,
    /// Of all requests, 0 to 1.
    pub fraction: f64,
    /// How.
    pub kind: Kind,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.phase.name(), self.fraction, self.kind.name())
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let phase = Phase::ALL.into_iter().find(|p| p.name() == name).ok_or_else(|| {
            format!("no phase `{name}`; the phases are {}", Phase::ALL.map(Phase::name).join(", "))
        })?;
        let fraction = parts.next().ok_or("write PHASE:FRACTION[:KIND], as in after-request:5%:fin")?;
        let fraction = parse_fraction(fraction)
            .ok_or_else(|| format!("`{fraction}` is no fraction above 0 and up to 1: write 5% or 0.05"))?;
        let kind = match parts.next() {
            None => phase.default_kind(),
            Some(name) => Kind::ALL.into_iter().find(|k| k.name() == name).ok_or_else(|| {
                format!("no kind `{name}`; the kinds are {}", Kind::ALL.map(Kind::name).join(", "))
            })?,
        };
        if kind.wants_reply() && !matches!(phase, Phase::AfterRequest | Phase::MidResponse) {
            return Err(format!(
                "`{}` is about a reply, and in the phase {} there is none to leave: write after-request or mid-response",
                kind.name(),
                phase.name()
            ));
        }
        if parts.next().is_some() {
            return Err("too many parts: write PHASE:FRACTION[:KIND]".to_owned());
        }
        Ok(Self { phase, fraction, kind })
    }
}

fn parse_fraction(text: &str) -> Option<f64> {
    let fraction = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok()? / 100.0,
        None => text.parse().ok()?,
    };
    (fraction > 0.0 && fraction <= 1.0).then_some(fraction)
}

/// All abort rules of a run. No request is chosen by two of them.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    rules: Vec<Rule>,
    /// For each rule the first value that it no longer takes, in 2^64ths.
    ends: Vec<u64>,
}

impl Plan {
    /// A plan of these rules.
    ///
    /// # Errors
    /// The fractions add up to more than 1.
    pub fn new(rules: Vec<Rule>) -> Result<Self, String> {
        let mut sum = 0.0;
        let mut ends = Vec::with_capacity(rules.len());
        for rule in &rules {
            sum += rule.fraction;
            // The cast saturates, which makes a sum of 1 take all but one of 2^64 values.
            ends.push((sum * 2f64.powi(64)) as u64);
        }
        if sum > 1.0 + 1e-9 {
            return Err(format!("the aborts ask for {:.0} % of the requests", sum * 100.0));
        }
        Ok(Self { rules, ends })
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// True where nothing is to be aborted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rule that request `k` is chosen by.
    #[must_use]
    pub fn choose(&self, seed: u64, k: u64) -> Option<(Phase, Kind)> {
        if self.rules.is_empty() {
            return None;
        }
        let value = service::client::mix(seed, STREAM, k);
        let at = self.ends.iter().position(|&end| value < end || end == u64::MAX)?;
        self.rules.get(at).map(|rule| (rule.phase, rule.kind))
    }
}
