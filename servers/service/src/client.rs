//! The client side of the services: makes requests from a seed and checks every byte of the replies.
//! Not here: when to send, and what to do about a reply that is wrong.

use crate::{Kind, Output, Work};
use std::fmt;

/// One connection's client side.
///
/// The driver's part: after [`request`](Self::request) it sends what was queued, then shows what arrives to
/// [`on_reply`](Self::on_reply) until it is `Done`. Bytes that were not used are shown again with what arrived since.
pub trait Client {
    /// Queues request number `seq` and gets ready to check its reply. `seq` makes its payload its own.
    fn request(&mut self, seq: u64, out: &mut Output) {
        self.write(seq, out);
        self.expect(seq);
    }

    /// Queues request number `seq` alone: the reply to one before it may still be on its way.
    fn write(&mut self, seq: u64, out: &mut Output);

    /// Gets ready to check the reply to request `seq`, which was written before.
    fn expect(&mut self, seq: u64);

    /// A new connection was made; what was expected on the old one is forgotten.
    fn open(&mut self) {}

    /// Bytes arrived while no request was out; returns how much of them was used.
    ///
    /// # Errors
    /// [`Mismatch::Extra`] where the server has nothing to say by itself.
    fn on_idle(&mut self, input: &[u8]) -> Result<usize, Mismatch> {
        if input.is_empty() { Ok(0) } else { Err(Mismatch::Extra) }
    }

    /// Queues what the client says next in the middle of a dialogue, where it is its turn; called when a reply is not complete.
    fn say(&mut self, out: &mut Output) {
        let _ = out;
    }

    /// As [`request`](Self::request), but asks for a reply of at least `bytes` bytes, where the service can; returns whether it can.
    ///
    /// For clients that go away before they read: the reply must be more than the server's buffers can hold.
    fn request_large(&mut self, seq: u64, bytes: u64, out: &mut Output) -> bool;

    /// Checks what arrived; returns how much of it was used, and whether the reply is complete.
    ///
    /// It goes as far as it can: after `More`, call again when more has arrived, also where not all of `input` was used.
    /// Without a request under way, nothing is `Done` and any byte is [`Mismatch::Extra`] (but see [`crate::greeting`]).
    ///
    /// # Errors
    /// [`Mismatch`] when the bytes are not the reply that the request asks for; the connection is then of no further use.
    fn on_reply(&mut self, input: &[u8]) -> Result<(usize, Progress), Mismatch>;

    /// The server closed its side.
    ///
    /// # Errors
    /// [`Mismatch::EarlyEnd`] when the reply is not complete.
    fn on_end(&mut self) -> Result<Progress, Mismatch>;
}

/// How far a reply has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are to come.
    More,
    /// The reply is complete.
    Done {
        /// The connection can carry a further request.
        reusable: bool,
    },
}

/// A reply that is not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// A byte of the content is wrong; its offset in the reply's content.
    Content {
        /// Offset in bytes from the start of the reply's content.
        offset: u64,
    },
    /// The server closed before the reply was complete; how many bytes of the reply had come.
    EarlyEnd {
        /// Bytes of the reply received.
        received: u64,
    },
    /// Bytes arrived that belong to no request.
    Extra,
    /// The answer belongs to another connection's request.
    Crossed,
    /// The answer to an earlier request came again.
    Duplicated,
    /// The answer to a later request came first.
    Reordered,
    /// An HTTP status that is no success.
    Status(u16),
    /// The framing of the reply does not parse; what is wrong with it.
    Malformed(&'static str),
}

impl Mismatch {
    /// The cause's name in error tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Content { .. } => "wrong-content",
            Self::EarlyEnd { received: 0 } => "eof-before-reply",
            Self::EarlyEnd { .. } => "eof-mid-reply",
            Self::Extra => "extra-bytes",
            Self::Crossed => "crossed-reply",
            Self::Duplicated => "duplicated-reply",
            Self::Reordered => "reordered-reply",
            Self::Status(s) if s >= 500 => "status-5xx",
            Self::Status(s) if s >= 400 => "status-4xx",
            Self::Status(_) => "status-other",
            Self::Malformed(_) => "malformed-reply",
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content { offset } => write!(f, "wrong byte at offset {offset} of the reply"),
            Self::EarlyEnd { received } => write!(f, "the server closed after {received} bytes of the reply"),
            Self::Extra => f.write_str("bytes that no request asked for"),
            Self::Crossed => f.write_str("the reply to another connection's request"),
            Self::Duplicated => f.write_str("the reply to an earlier request, again"),
            Self::Reordered => f.write_str("the reply to a later request, too early"),
            Self::Status(status) => write!(f, "HTTP status {status}"),
            Self::Malformed(what) => write!(f, "malformed reply: {what}"),
        }
    }
}

impl std::error::Error for Mismatch {}

/// What the clients of a run ask for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The service spoken.
    pub kind: Kind,
    /// `echo`: bytes of a message. `sized`, `http` without a path: bytes of a reply.
    pub size: u64,
    /// Handler work carried in each request (`sized`, `http`).
    pub work: Option<Work>,
    /// `http`: the path, when it is not `/bytes/SIZE`; its content cannot be known, so framing and status alone are checked.
    pub path: Option<String>,
    /// `http`: the value of the Host header.
    pub host: String,
    /// `http`: ask for the connection to be closed after each reply.
    pub close: bool,
    /// Makes payloads differ between runs.
    pub seed: u64,
}

/// A client of any of the services; a `match` costs less than a pointer on the hot path.
#[derive(Debug)]
pub enum AnyClient {
    /// See [`crate::greeting`].
    Greeting(crate::greeting::GreetingClient),
    /// See [`crate::echo`].
    Echo(crate::echo::EchoClient),
    /// See [`crate::sized`].
    Sized(crate::sized::SizedClient),
    /// See [`crate::http`].
    Http(crate::http::HttpClient),
    /// See [`crate::raw`].
    Raw(crate::raw::RawClient),
}

impl AnyClient {
    /// A client for connection number `connection` of the run.
    #[must_use]
    pub fn new(ask: &Ask, connection: u64) -> Self {
        match ask.kind {
            Kind::Greeting => Self::Greeting(crate::greeting::GreetingClient::new(ask, connection)),
            Kind::Echo => Self::Echo(crate::echo::EchoClient::new(ask, connection)),
            Kind::Sized => Self::Sized(crate::sized::SizedClient::new(ask, connection)),
            Kind::Http => Self::Http(crate::http::HttpClient::new(ask, connection)),
        }
    }
}

macro_rules! each {
    ($self:ident, $client:ident => $call:expr) => {
        match $self {
            AnyClient::Greeting($client) => $call,
            AnyClient::Echo($client) => $call,
            AnyClient::Sized($client) => $call,
            AnyClient::Http($client) => $call,
            AnyClient::Raw($client) => $call,
        }
    };
}

impl Client for AnyClient {
    fn request(&mut self, seq: u64, out: &mut Output) {
        each!(self, c => c.request(seq, out));
    }

    fn write(&mut self, seq: u64, out: &mut Output) {
        each!(self, c => c.write(seq, out));
    }

    fn expect(&mut self, seq: u64) {
        each!(self, c => c.expect(seq));
    }

    fn open(&mut self) {
        each!(self, c => c.open());
    }

    fn on_idle(&mut self, input: &[u8]) -> Result<usize, Mismatch> {
        each!(self, c => c.on_idle(input))
    }

    fn say(&mut self, out: &mut Output) {
        each!(self, c => c.say(out));
    }

    fn request_large(&mut self, seq: u64, bytes: u64, out: &mut Output) -> bool {
        each!(self, c => c.request_large(seq, bytes, out))
    }

    fn on_reply(&mut self, input: &[u8]) -> Result<(usize, Progress), Mismatch> {
        each!(self, c => c.on_reply(input))
    }

    fn on_end(&mut self) -> Result<Progress, Mismatch> {
        each!(self, c => c.on_end())
    }
}

/// Mixes numbers into a position of the payload text (splitmix64, Steele et al. 2014).
#[must_use]
pub fn mix(seed: u64, connection: u64, seq: u64) -> u64 {
    let mut z =
        seed ^ connection.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seq.wrapping_mul(0xD1B5_4A32_D192_ED03);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
