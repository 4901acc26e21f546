//! Refusals of UDP one by one: each ICMP message quotes the datagram that brought it. Not here: Unix sockets, whose call says it all (see
//! `events`).
//!
//! A plain socket keeps one error, which the next call meets: of 64 requests in a batch that find nobody, a few would be refused and the
//! others lost. What is kept for us names its request by the tag. Where there is none (one
//! request is out at a time then), or the message does not quote so much (RFC 792 asks for 8 bytes), it goes to the oldest that is out.

use super::Engine;
use super::socket::Found;
use crate::tally::{Failure, Phase};
use service::datagram::client::HEAD;
use std::io;
use sys::Family;
use sys::datagram;

impl Engine<'_> {
    /// Takes all the refusals that the kernel has kept for this socket, which ends their requests; true where there was one. The socket
    /// rests then.
    pub(super) fn take_refusals(&mut self, i: usize, phase: Phase, now: u64) -> bool {
        if self.config.url.family != Family::Udp {
            return false;
        }
        let (key, mut head) = (self.sockets[i].key(), [0; HEAD]);
        let (mut any, mut nobody) = (false, false);
        // With its last request a socket may be followed by another.
        while let Some(fd) = self.sockets[i].fd().filter(|_| self.sockets[i].key() == key) {
            let Ok(seen) = datagram::refusal(fd, &mut head) else { break };
            if let Some(number) = seen.refused {
                any = true;
                nobody |= sys::errno::is_refusal(number);
                self.refuse(i, &head[..seen.len], phase, number, now);
            }
        }
        if nobody {
            self.rest(i, now);
        }
        any
    }

    /// The datagram with this head was refused with error `number`.
    fn refuse(&mut self, i: usize, head: &[u8], phase: Phase, number: i32, now: u64) {
        if sys::errno::is_refusal(number) && self.counting() {
            self.recorder.datagrams.refused += 1;
        }
        let failure = Failure::system(phase, &io::Error::from_raw_os_error(number));
        let socket = &self.sockets[i];
        let place = match socket.speaker.asked(head).map(|seq| socket.find(seq)) {
            Some(Found::Out(place)) => Some(place),
            // It has ended meanwhile.
            Some(_) => None,
            None => socket.oldest(),
        };
        match place {
            Some(place) => self.end_failed(i, place, failure, now),
            None => self.note(failure),
        }
    }
}
