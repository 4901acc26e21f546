//! One connection: its conversation, and the operations under way for it. Not here: accepting, stopping, the loop (see `mod.rs`).
//!
//! Rules: at most one send under way, so that nothing is reordered; a short send goes on where it ended; while output is unsent,
//! input is kept up to a bound and then no longer received; a descriptor is closed when no operation names it any more.
//!
//! A provided buffer is never kept from the others by a slow reader: when its send cannot be finished at once, the rest is copied and
//! the buffer goes back.

use super::Receive;
use super::own::Own;
use super::talk::{Talk, Want};
use crate::counters::{self, Fate, Why};
use crate::drive::LINGER;
use service::Protocol;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};
use sys::Interest;
use sys::socket::{self, Side};
use sys::uring::{Chunk, Completion, Gather, Load, OpId, Outgoing, Ring};

/// Bytes of input kept while output is unsent, above which no more is received. What the kernel had received by then comes on top.
const KEPT: usize = 64 * 1024;

/// What all connections of a ring use.
pub(super) struct Shared {
    pub(super) ring: Ring,
    pub(super) receive: Receive,
    /// Connections that want input and for which there was no provided buffer: whoever waits longest comes first.
    pub(super) starved: VecDeque<u64>,
    #[expect(
        clippy::vec_box,
        reason = "the kernel reads from a gather: it has its place on the heap while it is in use"
    )]
    pub(super) spares: Vec<Box<Gather>>,
    /// Large receive buffers for connections that have their own.
    pub(super) large: Vec<Vec<u8>>,
    /// Told to stop: connections are ended as they become idle.
    pub(super) stopping: bool,
    /// When this turn began, where connections may not be silent for ever.
    pub(super) now: Instant,
}

/// Which operation of a connection a completion belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Receive,
    Send,
    Timer,
}

/// The keys of a connection's operations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys(pub(super) u64);

impl Keys {
    pub(super) fn of(self, what: What) -> u64 {
        self.0 | ((what as u64) << 62)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Talking,
    /// A handler sleeps.
    Sleeping,
    /// FIN is sent; what still comes is dropped.
    Lingering,
    /// To be closed as soon as no operation is under way.
    Closing,
}

/// A connection.
pub(super) struct Link<P> {
    pub(super) fd: OwnedFd,
    pub(super) talk: Talk<P>,
    pub(super) keys: Keys,
    pub(super) phase: Phase,
    /// When an operation ended last. Kept only where connections may not be silent for ever.
    pub(super) since: Instant,
    receive: Option<OpId>,
    /// The receive was asked to end.
    ending: bool,
    pub(super) send: Option<OpId>,
    timer: Option<OpId>,
    /// Stands in the queue of the starved.
    starved: bool,
    /// Shut for reading, to be ended as soon as what was asked is answered.
    shut: bool,
    /// Its own receive buffer, in the model that has one for each.
    own: Own,
    /// How it will have ended.
    pub(super) fate: Fate,
}

impl<P: Protocol> Link<P> {
    pub(super) fn new(fd: OwnedFd, protocol: P, keys: Keys, now: Instant) -> Self {
        Self {
            fd,
            talk: Talk::open(protocol),
            keys,
            phase: Phase::Talking,
            since: now,
            receive: None,
            ending: false,
            send: None,
            timer: None,
            starved: false,
            shut: false,
            own: Own::default(),
            fate: Fate::default(),
        }
    }

    /// To be closed, and no operation names the descriptor any more.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Closing && self.receive.is_none() && self.send.is_none() && self.timer.is_none()
    }

    /// What it waits for of its peer; `None` while it is this server's turn.
    pub(super) fn waits_for_peer(&self) -> Option<Interest> {
        if self.phase != Phase::Talking || self.starved {
            return None;
        }
        Some(if self.send.is_some() { Interest::WRITE } else { Interest::READ })
    }

    /// Goes on after an operation of its own.
    pub(super) fn on_completion(
        &mut self,
        what: What,
        done: Completion,
        shared: &mut Shared,
    ) -> io::Result<()> {
        match (what, done.load) {
            (What::Receive, load) => {
                if !done.more {
                    (self.receive, self.ending) = (None, false);
                }
                let chunk = if let Load::Received(chunk) = load { Some(chunk) } else { None };
                self.on_received(done.result, chunk, shared)
            }
            (What::Send, Load::Sent(sent)) => {
                self.send = None;
                self.on_sent(done.result, sent, shared)
            }
            (What::Send, _) => Ok(()),
            (What::Timer, _) => {
                self.timer = None;
                self.on_time(shared)
            }
        }
    }

    fn on_received(
        &mut self,
        result: Result<u32, i32>,
        chunk: Option<Chunk>,
        shared: &mut Shared,
    ) -> io::Result<()> {
        match result {
            _ if self.phase == Phase::Closing => return Ok(()),
            Ok(0) => self.talk.over = true,
            Ok(n) => {
                counters::received(n as usize);
                self.own.note(n as usize);
            }
            Err(error) if sys::errno::is_over_for_now(error) => {}
            Err(error) => {
                if self.phase == Phase::Talking {
                    self.fate.is(Why::of_recv(&io::Error::from_raw_os_error(error)));
                }
                return self.close(shared);
            }
        }
        if self.phase == Phase::Lingering {
            self.reuse(chunk);
            return if self.talk.over { self.close(shared) } else { self.want_input(shared) };
        }
        let chunk = match chunk {
            Some(chunk) if chunk.is_empty() => {
                self.reuse(Some(chunk));
                None
            }
            chunk => chunk,
        };
        if self.send.is_some() || self.phase == Phase::Sleeping {
            if let Some(chunk) = chunk {
                self.talk.held.extend_from_slice(&chunk);
                self.reuse(Some(chunk));
            }
            return self.bound(shared);
        }
        self.go_on(chunk, shared)
    }

    /// Back-pressure: a peer that sends and does not read must not fill our memory.
    fn bound(&mut self, shared: &mut Shared) -> io::Result<()> {
        if let Some(receive) = self.receive
            && !self.ending
            && self.talk.held.len() > KEPT
        {
            self.ending = true;
            shared.ring.cancel(receive)?;
        }
        Ok(())
    }

    fn on_time(&mut self, shared: &mut Shared) -> io::Result<()> {
        match self.phase {
            Phase::Sleeping => {
                self.phase = Phase::Talking;
                self.talk.wake();
                self.go_on(None, shared)
            }
            Phase::Lingering => self.close(shared),
            Phase::Talking | Phase::Closing => Ok(()),
        }
    }

    /// Shows the conversation what came and what was kept, and starts what it wants. Only while no send is under way.
    pub(super) fn go_on(&mut self, chunk: Option<Chunk>, shared: &mut Shared) -> io::Result<()> {
        let mut chunk = chunk;
        let mut held = std::mem::take(&mut self.talk.held);
        if !held.is_empty()
            && let Some(chunk) = chunk.take()
        {
            held.extend_from_slice(&chunk);
            self.reuse(Some(chunk));
        }
        let mut at = 0;
        let input = chunk.as_deref().unwrap_or(&held);
        let want = self.talk.advance(input, &mut at);
        if want == Want::Send {
            if at == input.len()
                && let Some(range) = self.talk.out.only_input()
                && let Some(chunk) = chunk.take()
            {
                self.talk.out.advance(range.len());
                return self.start_send(Outgoing::Chunk(chunk, range), shared);
            }
            self.send_gathered(chunk.as_deref().unwrap_or(&held), shared)?;
        }
        // An idle connection owns no memory but, in the model that has one for each, its receive buffer.
        if let Some(chunk) = chunk {
            self.talk.held.extend_from_slice(&chunk[at..]);
            self.reuse(Some(chunk));
        } else if at < held.len() {
            held.drain(..at);
            self.talk.held = held;
        }
        match want {
            Want::Send => Ok(()),
            Want::Sleep(time) => {
                self.phase = Phase::Sleeping;
                self.start_timer(time, shared)
            }
            Want::Input => {
                self.talk.out.shrink();
                if shared.stopping {
                    self.shut_if_idle();
                }
                self.want_input(shared)
            }
            Want::Leave { linger } => self.leave(linger, shared),
            Want::Reset => {
                // Without the option the close is a plain one; there is nobody to tell.
                let _ = socket::reset_on_close(self.fd.as_fd());
                self.fate.is(Why::Service);
                self.close(shared)
            }
        }
    }

    fn start_timer(&mut self, time: Duration, shared: &mut Shared) -> io::Result<()> {
        self.timer = Some(shared.ring.timeout(time, self.keys.of(What::Timer))?);
        Ok(())
    }

    /// Receives, unless that is under way; without a buffer it waits its turn.
    fn want_input(&mut self, shared: &mut Shared) -> io::Result<()> {
        if self.receive.is_some() || self.talk.over || self.starved {
            return Ok(());
        }
        match shared.receive {
            Receive::Once => {
                let buffer = self.own.take(&mut shared.large);
                self.receive =
                    Some(shared.ring.recv(self.fd.as_fd(), buffer, self.keys.of(What::Receive))?);
            }
            // Started without a buffer it would end at once, and again and again.
            Receive::Multi if shared.ring.available() == 0 || !shared.starved.is_empty() => {
                self.starved = true;
                shared.starved.push_back(self.keys.0);
            }
            Receive::Multi => self.receive_multi(shared)?,
        }
        Ok(())
    }

    fn receive_multi(&mut self, shared: &mut Shared) -> io::Result<()> {
        self.receive = Some(shared.ring.recv_multi(self.fd.as_fd(), self.keys.of(What::Receive))?);
        Ok(())
    }

    /// Its turn has come: there is a buffer.
    pub(super) fn feed(&mut self, shared: &mut Shared) -> io::Result<()> {
        self.starved = false;
        if self.phase == Phase::Closing || self.receive.is_some() {
            Ok(())
        } else {
            self.receive_multi(shared)
        }
    }

    /// Everything is sent. A close with unread input would be a reset, which can destroy the reply in flight.
    fn leave(&mut self, linger: bool, shared: &mut Shared) -> io::Result<()> {
        self.fate.is(if self.talk.over { Why::Finished } else { Why::Service });
        if self.talk.over {
            return self.close(shared);
        }
        let unread = || matches!(socket::recv_now(self.fd.as_fd(), &mut [0; 512]), Ok(n) if n > 0);
        if !(linger || unread()) || socket::shutdown(self.fd.as_fd(), Side::Write).is_err() {
            return self.close(shared);
        }
        self.phase = Phase::Lingering;
        self.talk.held = Vec::new();
        self.start_timer(LINGER, shared)?;
        self.want_input(shared)
    }

    /// Ends the operations; the descriptor is closed behind the last of them.
    pub(super) fn close(&mut self, shared: &mut Shared) -> io::Result<()> {
        self.phase = Phase::Closing;
        self.talk.held = Vec::new();
        let receive = if self.ending { None } else { self.receive };
        for op in [receive, self.send, self.timer].into_iter().flatten() {
            shared.ring.cancel(op)?;
        }
        Ok(())
    }

    /// Input that has arrived is still read after this; then comes an end, as if the client had sent it.
    pub(super) fn shut_if_idle(&mut self) {
        let busy = self.send.is_some() || self.phase != Phase::Talking;
        if !self.shut && !busy && self.talk.is_idle() {
            self.shut = true;
            // A connection that the peer has reset cannot be shut; its completion is on the way.
            let _ = socket::shutdown(self.fd.as_fd(), Side::Read);
        }
    }

    pub(super) fn reuse(&mut self, chunk: Option<Chunk>) {
        // A provided buffer goes back to the kernel when it is dropped.
        if let Some(Chunk::Own(buffer, _)) = chunk {
            self.own.give_back(buffer);
        }
    }
}
