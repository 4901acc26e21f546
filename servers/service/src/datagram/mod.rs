//! What is said in datagrams: one message, at most one answer, and nothing remembered in between. Not here: sockets; the client's side
//! (see [`client`]); HTTP, which needs a stream.
//!
//! ```text
//! echo      any datagram, also an empty one, is answered with the same bytes (RFC 862)
//! greeting  any datagram, also an empty one, is answered with the greeting (as daytime, RFC 867)
//! sized     size [ SP work ] [ SP "tag=" 32HEXDIG ] [ CR ] [ LF ] is answered with `size` bytes: the 16 bytes of the tag,
//!           where one was given and there is room, then the payload text from its position `size`
//! ```
//!
//! Rules that the drivers rely on and the conformance cases cite:
//! - D1: one datagram is answered with one datagram, whole, or with none; never with a part.
//! - D2: a bad request is answered with one line, `error: …`, to its sender and to nobody else.
//! - D3: an answer is at most [`MAX_DATAGRAM`] bytes long.

pub mod client;

use crate::echo::Echo;
use crate::greeting::{GREETING, Greeting};
use crate::sized::{SizedService, parse_work};
use crate::{Work, digits, pattern};

/// Largest datagram, in bytes: what UDP over IPv4 carries (65,535 less 20 of IP and 8 of UDP). The same for Unix datagrams, whose own
/// limit is the sender's SO_SNDBUF.
pub const MAX_DATAGRAM: usize = 65_507;

/// Bytes of a tag.
pub const TAG: usize = 16;

/// Longest `sized` request in bytes.
pub const MAX_REQUEST: usize = 128;

/// What one server says to datagrams. It remembers nothing of a peer.
pub trait DatagramService: Clone + Send + Sync + 'static {
    /// The answer to `message`.
    fn answer(&self, message: &[u8]) -> Answer;
}

/// The answer to a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Handler work to be done before it is sent; where is the model's choice.
    pub work: Option<Work>,
    /// What is sent.
    pub reply: Reply,
}

/// What is sent to the sender of a datagram, in one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The message as it came; no copy is made.
    Same,
    /// Fixed words.
    Fixed(&'static [u8]),
    /// `head`, where there is one, and the payload text from position `at`, `len` bytes in all.
    Text {
        /// A tag of which as much is sent as there is room for.
        head: Option<[u8; TAG]>,
        /// Position in the payload text.
        at: u64,
        /// Bytes in all.
        len: usize,
    },
}

/// Pieces of an answer: a tag, and the payload text, which wraps at most once.
pub const PIECES: usize = 3;

impl Reply {
    /// The pieces to be sent as one datagram, to be gathered by one sendmsg(2); unused ones are empty.
    #[must_use]
    pub fn pieces<'a>(&'a self, message: &'a [u8]) -> [&'a [u8]; PIECES] {
        match self {
            Self::Same => [message, &[], &[]],
            Self::Fixed(words) => [words, &[], &[]],
            Self::Text { head, at, len } => {
                let head = head.as_ref().map_or(&[][..], |tag| &tag[..TAG.min(*len)]);
                let left = (*len - head.len()) as u64;
                let first = pattern::piece(*at, left);
                let rest = left - first.len() as u64;
                [head, first, pattern::piece(at + first.len() as u64, rest)]
            }
        }
    }

    /// Bytes that are sent for `message`.
    #[must_use]
    pub fn len(&self, message: &[u8]) -> usize {
        self.pieces(message).iter().map(|piece| piece.len()).sum()
    }
}

impl DatagramService for Echo {
    fn answer(&self, _message: &[u8]) -> Answer {
        Answer { work: self.work, reply: Reply::Same }
    }
}

impl DatagramService for Greeting {
    fn answer(&self, _message: &[u8]) -> Answer {
        Answer { work: self.work, reply: Reply::Fixed(GREETING) }
    }
}

const NOT_A_REQUEST: &[u8] = b"error: a request is SIZE [spin=TIME|sleep=TIME] [tag=32 hexadecimal digits]\n";
const TOO_LARGE: &[u8] = b"error: a datagram is at most 65507 bytes long\n";

impl DatagramService for SizedService {
    fn answer(&self, message: &[u8]) -> Answer {
        match parse(message) {
            Ok(Request { size, work, tag }) => Answer {
                work: work.or(self.work),
                reply: Reply::Text { head: tag, at: size as u64, len: size },
            },
            Err(words) => Answer { work: None, reply: Reply::Fixed(words) },
        }
    }
}

struct Request {
    size: usize,
    work: Option<Work>,
    tag: Option<[u8; TAG]>,
}

fn parse(message: &[u8]) -> Result<Request, &'static [u8]> {
    if message.len() > MAX_REQUEST {
        return Err(NOT_A_REQUEST);
    }
    let line = message.strip_suffix(b"\n").unwrap_or(message);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|byte| *byte == b' ');
    let size = words.next().and_then(digits::parse).ok_or(NOT_A_REQUEST)?;
    let size = usize::try_from(size).ok().filter(|size| *size <= MAX_DATAGRAM).ok_or(TOO_LARGE)?;
    let mut request = Request { size, work: None, tag: None };
    let mut next = words.next();
    if let Some(work) = next.filter(|word| !word.starts_with(TAG_IS)) {
        request.work = Some(parse_work(work).ok_or(NOT_A_REQUEST)?);
        next = words.next();
    }
    if let Some(tag) = next {
        let tag = tag.strip_prefix(TAG_IS).and_then(parse_tag).ok_or(NOT_A_REQUEST)?;
        request.tag = Some(tag);
        next = words.next();
    }
    if next.is_some() { Err(NOT_A_REQUEST) } else { Ok(request) }
}

/// What stands before a tag.
const TAG_IS: &[u8] = b"tag=";

fn parse_tag(text: &[u8]) -> Option<[u8; TAG]> {
    let mut tag = [0; TAG];
    if text.len() != 2 * TAG {
        return None;
    }
    for (byte, pair) in tag.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(tag)
}
