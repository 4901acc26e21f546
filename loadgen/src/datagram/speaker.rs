//! What one socket says and checks: a service of our own, or what the user gave. Not here: sockets, and when.

use crate::Config;
use service::Output;
use service::client::{Client as _, Mismatch, Progress};
use service::datagram::MAX_DATAGRAM;
use service::datagram::client::{DatagramClient, Seen};
use service::raw::{Dialogue, RawClient};
use service::{Kind, client::Ask};
use std::sync::Arc;

/// The client's side on one socket.
pub(super) enum Speaker {
    Ours(DatagramClient),
    Raw { dialogue: Arc<Dialogue>, connection: u64, client: RawClient, out: Output },
}

impl Speaker {
    /// For the socket with this number; `None` for a service that needs a stream (see `Config::check`).
    pub(super) fn new(config: &Config, connection: u32) -> Option<Self> {
        match &config.raw {
            Some(dialogue) => {
                let connection = u64::from(connection);
                let client = RawClient::new(Arc::clone(dialogue), connection);
                Some(Self::Raw { dialogue: Arc::clone(dialogue), connection, client, out: Output::new() })
            }
            None => DatagramClient::new(&config.ask, connection).map(Self::Ours),
        }
    }

    /// Writes request `seq` into `message`, which is cleared first.
    pub(super) fn request(&mut self, seq: u64, message: &mut Vec<u8>) {
        match self {
            Self::Ours(client) => client.request(seq, message),
            Self::Raw { client, out, .. } => {
                message.clear();
                client.write(seq, out);
                while !out.is_empty() {
                    let piece = out.first(&[]);
                    message.extend_from_slice(piece);
                    let n = piece.len();
                    out.advance(n);
                }
            }
        }
    }

    /// Checks a datagram that came while `awaited` was the oldest request without an answer.
    pub(super) fn check(&mut self, awaited: u64, answer: &[u8]) -> Result<Seen, Mismatch> {
        match self {
            Self::Ours(client) => client.check(awaited, answer),
            Self::Raw { dialogue, connection, client, .. } => {
                client.expect(awaited);
                let result = check_whole(client, answer);
                if result.is_err() {
                    // It stopped within an answer; one datagram says nothing of the next.
                    *client = RawClient::new(Arc::clone(dialogue), *connection);
                }
                result.map(|()| Seen::Untagged)
            }
        }
    }

    /// The request that a datagram names, right or wrong as it may be.
    pub(super) fn names(&self, answer: &[u8]) -> Option<u64> {
        match self {
            Self::Ours(client) => client.names(answer),
            Self::Raw { .. } => None,
        }
    }

    /// The request that this is the head of; `None` where it carries no tag.
    pub(super) fn asked(&self, request: &[u8]) -> Option<u64> {
        match self {
            Self::Ours(client) => client.asked(request),
            Self::Raw { .. } => None,
        }
    }
}

/// An answer is one datagram: what it holds has to be all of what is expected, and nothing more.
fn check_whole(client: &mut RawClient, answer: &[u8]) -> Result<(), Mismatch> {
    match client.on_reply(answer)? {
        (used, Progress::Done { .. }) if used == answer.len() => Ok(()),
        (_, Progress::Done { .. }) => Err(Mismatch::Extra),
        (_, Progress::More) => client.on_end().map(|_| ()),
    }
}

/// True where an answer says which request it is for, so that several may be out at a time.
pub(super) fn is_tagged(config: &Config) -> bool {
    config.raw.is_none() && DatagramClient::new(&config.ask, 0).is_some_and(|client| client.is_tagged())
}

/// Room that an answer needs, in bytes, and one more to see that it is no longer; for our own services.
pub(super) fn room(config: &Config) -> usize {
    let Ask { kind, size, .. } = config.ask;
    match (&config.raw, kind) {
        (Some(_), _) => MAX_DATAGRAM,
        (None, Kind::Greeting) => 512,
        // The words of an error are longer than a short answer.
        (None, _) => (usize::try_from(size).unwrap_or(MAX_DATAGRAM) + 1).clamp(512, MAX_DATAGRAM + 1),
    }
}
