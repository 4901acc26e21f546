//! Answers that a ring sends: what they are sent from, and what becomes of it afterwards. Not here: receiving (see `ring`).

use super::desk::Desk;
use super::patience;
use crate::counters;
use service::datagram::{DatagramService, Reply};
use service::pattern;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use sys::datagram::{ROOM, Route};
use sys::uring::datagrams::Letter;
use sys::uring::{Chunk, Completion, Gather, Load, Outgoing, Ring};

/// Buffers, letters and gathers kept for use again, of each.
const SPARES: usize = 256;

/// What is on its way, and what can be used again.
#[derive(Default)]
pub(super) struct Post {
    under_way: usize,
    buffers: Vec<Vec<u8>>,
    #[expect(clippy::vec_box, reason = "the kernel reads a letter where it is")]
    letters: Vec<Box<Letter>>,
    #[expect(clippy::vec_box, reason = "the kernel reads a gather where it is")]
    gathers: Vec<Box<Gather>>,
}

fn nothing() -> Outgoing {
    Outgoing::Chunk(Chunk::Own(Vec::new(), 0), 0..0)
}

fn keep<T>(spares: &mut Vec<T>, spare: T) {
    if spares.len() < SPARES {
        spares.push(spare);
    }
}

impl Post {
    /// A buffer to receive into.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_else(|| vec![0; ROOM])
    }

    /// True where nothing is under way.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.under_way == 0
    }

    /// What is to be sent for `reply` to what lies in a stretch of `chunk`; and the chunk, where that is not sent.
    pub(super) fn outgoing(
        &mut self,
        reply: Reply,
        chunk: Chunk,
        range: Range<usize>,
    ) -> (Outgoing, Option<Chunk>) {
        let mut gather = match reply {
            Reply::Same => return (Outgoing::Chunk(chunk, range), None),
            Reply::Fixed(_) | Reply::Text { .. } => self.gathers.pop().unwrap_or_default(),
        };
        // An empty one has room for more pieces than there are.
        let _ = match reply {
            Reply::Same => true,
            Reply::Fixed(words) => gather.fixed(words),
            Reply::Text { head, at, len } => {
                let tag = head.as_ref().map_or(&[][..], |tag| &tag[..tag.len().min(len)]);
                let rest = (len - tag.len()) as u64;
                let first = pattern::piece(at, rest);
                let second = pattern::piece(at + first.len() as u64, rest - first.len() as u64);
                gather.copy(tag) && gather.fixed(first) && gather.fixed(second)
            }
        };
        (Outgoing::Gather(gather), Some(chunk))
    }

    /// Has `ring` send it along `route`.
    ///
    /// # Errors
    /// Those of io_uring_enter(2).
    pub(super) fn send(
        &mut self,
        ring: &mut Ring,
        fd: BorrowedFd<'_>,
        what: Outgoing,
        route: Route,
        key: u64,
    ) -> io::Result<()> {
        let letter = match self.letters.pop() {
            Some(mut letter) => {
                letter.change(what, route);
                letter
            }
            None => Letter::new(what, route),
        };
        self.under_way += 1;
        ring.send_datagram(fd, letter, key).map(drop)
    }

    /// A letter has come back: sent, or not.
    pub(super) fn on_posted<S: DatagramService>(
        &mut self,
        fd: BorrowedFd<'_>,
        done: Completion,
        desk: &mut Desk<S>,
    ) {
        let Load::Posted(mut letter) = done.load else { return };
        self.under_way -= 1;
        let sent = match done.result.map_err(io::Error::from_raw_os_error) {
            Ok(bytes) => {
                counters::sent(bytes as usize);
                Ok(())
            }
            Err(error) if sys::errno::is_retry(&error) => {
                let peer = letter.route().peer;
                patience::wait(&peer, || letter.send_now(fd))
            }
            Err(error) => Err(error),
        };
        desk.sent(&sent);
        match letter.change(nothing(), Route::CONNECTED) {
            Outgoing::Chunk(Chunk::Own(buffer, _), _) => keep(&mut self.buffers, buffer),
            Outgoing::Chunk(Chunk::Provided(_), _) => {}
            Outgoing::Gather(mut gather) => {
                gather.clear(service::datagram::TAG);
                keep(&mut self.gathers, gather);
            }
        }
        keep(&mut self.letters, letter);
    }
}
