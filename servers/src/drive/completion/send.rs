//! Sending on one connection: one operation at a time, gone on with where it ended. Not here: what is sent.
//!
//! Echo is sent straight from the buffer that it arrived in, where that buffer is the whole of the reply; anything else is gathered,
//! copied where it does not live as long as the program.

use super::link::{Link, Phase, Shared, What};
use crate::counters::{self, Why};
use service::Protocol;
use service::output::Stretch;
use std::io;
use std::os::fd::AsFd as _;
use sys::uring::{Chunk, Outgoing};

/// Gathers kept for use again, and what each may keep of its memory.
const SPARES: usize = 256;
const SPARE_BYTES: usize = 4096;

impl<P: Protocol> Link<P> {
    pub(super) fn on_sent(
        &mut self,
        result: Result<u32, i32>,
        mut sent: Outgoing,
        shared: &mut Shared,
    ) -> io::Result<()> {
        match result {
            _ if self.phase == Phase::Closing => return Ok(()),
            Ok(n) => {
                counters::sent(n as usize);
                sent.advance(n as usize);
            }
            Err(error) if sys::errno::is_retry(&io::Error::from_raw_os_error(error)) => {}
            Err(error) => {
                self.fate.is(Why::of_send(&io::Error::from_raw_os_error(error)));
                return self.close(shared);
            }
        }
        if !sent.is_empty() {
            let rest = match sent {
                Outgoing::Chunk(Chunk::Provided(chunk), range) => {
                    let mut gather = shared.spares.pop().unwrap_or_default();
                    // An empty one has room.
                    let _ = gather.copy(&chunk[range]);
                    Outgoing::Gather(gather)
                }
                rest => rest,
            };
            return self.start_send(rest, shared);
        }
        match sent {
            Outgoing::Chunk(chunk, _) => self.reuse(Some(chunk)),
            Outgoing::Gather(mut gather) => {
                if shared.spares.len() < SPARES {
                    gather.clear(SPARE_BYTES);
                    shared.spares.push(gather);
                }
            }
        }
        self.go_on(None, shared)
    }

    /// Sends the first of what is queued; what still refers to `input` is copied.
    pub(super) fn send_gathered(&mut self, input: &[u8], shared: &mut Shared) -> io::Result<()> {
        let mut gather = shared.spares.pop().unwrap_or_default();
        self.talk.out.hand_over(input, |stretch| match stretch {
            Stretch::Fixed(bytes) => gather.fixed(bytes),
            Stretch::Brief(bytes) => gather.copy(bytes),
        });
        self.talk.out.detach(input);
        self.start_send(Outgoing::Gather(gather), shared)
    }

    pub(super) fn start_send(&mut self, what: Outgoing, shared: &mut Shared) -> io::Result<()> {
        self.send = Some(shared.ring.send(self.fd.as_fd(), what, self.keys.of(What::Send))?);
        Ok(())
    }
}
