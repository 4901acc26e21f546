//! The client's side of datagrams: each request carries a tag, where there is room, so that lost, doubled, reordered and crossed
//! answers are told apart. Not here: waiting for answers, and what counts as lost.
//!
//! ```text
//! tag = seq (8 bytes) · connection (4 bytes) · check (4 bytes: of the run's seed, the connection and seq); big-endian
//! ```

use super::{GREETING, MAX_DATAGRAM, TAG, TAG_IS};
use crate::client::{Ask, Mismatch, mix};
use crate::digits::Digits;
use crate::{Kind, Work, pattern};
use std::io::Write as _;

/// Bytes of a request's head that are enough to tell which it is; shorter requests are told whole.
pub const HEAD: usize = super::MAX_REQUEST;

/// One client socket: makes requests from the run's seed and checks every byte of the answers.
#[derive(Clone, Debug)]
pub struct DatagramClient {
    kind: Kind,
    seed: u64,
    connection: u32,
    size: usize,
    work: Option<Work>,
}

/// Which request a datagram answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The one with this number.
    Answer(u64),
    /// One of this socket's, which cannot be said: the answer has no room for a tag (`greeting`, sizes below [`TAG`]).
    Untagged,
}

impl DatagramClient {
    /// A client that asks for `ask.size` bytes (`sized`), or sends them (`echo`); at least 1 and at most [`MAX_DATAGRAM`].
    ///
    /// `None` for a service that datagrams do not carry; see [`Kind::in_datagrams`].
    #[must_use]
    pub fn new(ask: &Ask, connection: u32) -> Option<Self> {
        let size = usize::try_from(ask.size).unwrap_or(MAX_DATAGRAM).clamp(1, MAX_DATAGRAM);
        ask.kind.in_datagrams().then_some(Self {
            kind: ask.kind,
            seed: ask.seed,
            connection,
            size,
            work: ask.work,
        })
    }

    /// True where an answer says which request it is for.
    #[must_use]
    pub fn is_tagged(&self) -> bool {
        self.kind != Kind::Greeting && self.size >= TAG
    }

    /// Writes request number `seq` into `message`, which is cleared first; it is not grown beyond what the largest request needs.
    pub fn request(&self, seq: u64, message: &mut Vec<u8>) {
        message.clear();
        match self.kind {
            Kind::Echo => {
                let tag = self.tag(seq);
                let head = if self.is_tagged() { &tag[..] } else { &[] };
                message.extend_from_slice(head);
                let mut at = self.text_of(seq);
                while message.len() < self.size {
                    let piece = pattern::piece(at, (self.size - message.len()) as u64);
                    message.extend_from_slice(piece);
                    at += piece.len() as u64;
                }
            }
            Kind::Sized => {
                message.extend_from_slice(Digits::new(self.size as u64).as_bytes());
                if let Some(work) = self.work {
                    // Writing to a Vec does not fail.
                    let _ = write!(message, " {}={}us", work.name(), work.duration().as_micros());
                }
                message.push(b' ');
                message.extend_from_slice(TAG_IS);
                for byte in self.tag(seq) {
                    message.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                }
                message.push(b'\n');
            }
            // One byte: the kernel drops an empty datagram nowhere, but tools that watch for it do.
            Kind::Greeting | Kind::Http => message.push(b'\n'),
        }
    }

    /// Checks a datagram that arrived while `awaited` was the oldest request without an answer; says which request it answers.
    ///
    /// # Errors
    /// [`Mismatch::Crossed`] for another socket's answer, [`Mismatch::EarlyEnd`] and [`Mismatch::Extra`] for a wrong length,
    /// [`Mismatch::Content`] for a wrong byte. The socket stays usable: datagrams do not depend on each other.
    pub fn check(&self, awaited: u64, answer: &[u8]) -> Result<Seen, Mismatch> {
        if self.kind == Kind::Greeting {
            return whole(answer, GREETING.len(), difference(answer, GREETING)).map(|()| Seen::Untagged);
        }
        let tagged = self.is_tagged();
        let (seq, skip) = if tagged { (self.read_tag(answer)?, TAG) } else { (awaited, 0) };
        let at = match self.kind {
            Kind::Echo => self.text_of(seq),
            _ => self.size as u64,
        };
        // A short `sized` answer begins with as much of the tag as there was room for.
        let wrong = if self.kind == Kind::Sized && !tagged {
            difference(answer, &self.tag(awaited)[..self.size])
        } else {
            let text = answer.get(skip..self.size.min(answer.len())).unwrap_or_default();
            pattern::first_difference(at, text).map(|offset| offset + skip)
        };
        whole(answer, self.size, wrong)?;
        Ok(if tagged { Seen::Answer(seq) } else { Seen::Untagged })
    }

    /// The request of this socket that a datagram's tag names, whatever stands behind the tag; `None` without a tag of this socket.
    #[must_use]
    pub fn names(&self, answer: &[u8]) -> Option<u64> {
        self.read_tag(answer).ok().filter(|_| self.is_tagged())
    }

    /// The number of the request of this socket that begins with `head`, [`HEAD`] bytes of it or more; `None` without a tag of this socket.
    #[must_use]
    pub fn asked(&self, head: &[u8]) -> Option<u64> {
        match self.kind {
            Kind::Sized => self.names(&super::parse(head).ok()?.tag?),
            _ => self.names(head),
        }
    }

    /// Where in the payload text the message of request `seq` begins.
    fn text_of(&self, seq: u64) -> u64 {
        mix(self.seed, u64::from(self.connection), seq) % pattern::PERIOD as u64
    }

    fn tag(&self, seq: u64) -> [u8; TAG] {
        let mut tag = [0; TAG];
        tag[..8].copy_from_slice(&seq.to_be_bytes());
        tag[8..12].copy_from_slice(&self.connection.to_be_bytes());
        tag[12..].copy_from_slice(&check(self.seed, self.connection, seq));
        tag
    }

    fn read_tag(&self, answer: &[u8]) -> Result<u64, Mismatch> {
        let Some((tag, _)) = answer.split_first_chunk::<TAG>() else {
            return Err(Mismatch::EarlyEnd { received: answer.len() as u64 });
        };
        let mut seq = [0; 8];
        seq.copy_from_slice(&tag[..8]);
        let mut connection = [0; 4];
        connection.copy_from_slice(&tag[8..12]);
        let (seq, connection) = (u64::from_be_bytes(seq), u32::from_be_bytes(connection));
        if tag[12..] != check(self.seed, connection, seq) {
            return Err(Mismatch::Content { offset: 0 });
        }
        if connection == self.connection { Ok(seq) } else { Err(Mismatch::Crossed) }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Tells a tag of this run from bytes that look like one.
fn check(seed: u64, connection: u32, seq: u64) -> [u8; 4] {
    // Another stream of numbers than the payload's positions.
    let [_, _, _, _, check @ ..] = mix(!seed, u64::from(connection), seq).to_be_bytes();
    check
}

fn difference(answer: &[u8], want: &[u8]) -> Option<usize> {
    answer.iter().zip(want).position(|(a, b)| a != b)
}

/// The first thing that is wrong with an answer: a byte, or its end.
fn whole(answer: &[u8], want: usize, wrong: Option<usize>) -> Result<(), Mismatch> {
    match wrong {
        Some(offset) => Err(Mismatch::Content { offset: offset as u64 }),
        None if answer.len() < want => Err(Mismatch::EarlyEnd { received: answer.len() as u64 }),
        None if answer.len() > want => Err(Mismatch::Extra),
        None => Ok(()),
    }
}
