//! Sockets that come, rest and go. Not here: what happens on them.

use super::{Engine, LARGE_BUFFER, RECEIVE_BUFFERS, SMALL_BUFFER};
use crate::engine::{connection_number, rest_ns};
use crate::tally::{Failure, Phase};
use std::cmp::Reverse;
use std::io;
use std::os::fd::AsFd as _;
use sys::{Interest, Poller as _, datagram};

impl Engine<'_> {
    /// Makes a socket, and offers it.
    pub(super) fn open_socket(&mut self, i: usize, now: u64) {
        let url = &self.config.url;
        let sources = self.config.sources.as_ref();
        let source = sources.map(|sources| self.config.source(sources, self.index, self.dialled));
        self.dialled += 1;
        let how = datagram::Client { nonblocking: true, source, ..datagram::Client::default() };
        match how.open(&url.address, url.family) {
            Ok((fd, _)) => {
                let socket = &mut self.sockets[i];
                if self.depth > 1 {
                    let bytes = (RECEIVE_BUFFERS / self.config.connections as usize).min(LARGE_BUFFER);
                    // As much as may be had; what does not suffice shows in the drops.
                    let _ = (bytes > SMALL_BUFFER).then(|| datagram::set_receive_buffer(fd.as_fd(), bytes));
                }
                // Without it the kernel tells of one refusal at a time.
                socket.keeps_refusals =
                    url.ip().is_some_and(|peer| datagram::keep_refusals(fd.as_fd(), peer).is_ok());
                if self.config.gso {
                    // A kernel that does not know it brings them one by one.
                    let _ = datagram::take_segments(fd.as_fd());
                }
                let added = self.epoll.add(fd.as_fd(), socket.key(), Interest::READ);
                socket.fd = Some(fd);
                socket.ended = 0;
                let number = connection_number(self.config, self.index, socket.index);
                let id = number << 32 | u64::from(socket.generation);
                let limit =
                    self.config.life.limit(self.config.requests_per_connection, self.config.ask.seed, id);
                socket.limit = limit.unwrap_or(u64::MAX);
                self.sockets_open += 1;
                self.peak = self.peak.max(self.sockets_open);
                if self.counting() {
                    self.recorder.connections_made += 1;
                }
                match added {
                    Ok(()) => self.offer(i, now),
                    Err(error) => self.without(i, &error, now),
                }
            }
            Err(error) => self.without(i, &error, now),
        }
    }

    /// There is no socket: before the window a reason why nothing may be reached, and within it an error of a place that was to be had.
    fn without(&mut self, i: usize, error: &io::Error, now: u64) {
        let failure = Failure::system(Phase::Connect, error);
        if self.counting() {
            let refused = error.raw_os_error().is_some_and(sys::errno::is_refusal);
            self.recorder.datagrams.refused += u64::from(refused);
            self.note(failure);
        } else {
            self.dial_errors.add(failure, 1);
        }
        self.rest(i, now);
    }

    /// Lets the socket go; what the kernel dropped of its answers is kept.
    pub(super) fn close_socket(&mut self, i: usize) {
        let socket = &mut self.sockets[i];
        socket.dropped += socket.drops();
        if socket.fd.take().is_some() {
            self.sockets_open -= 1;
        }
        socket.generation = socket.generation.wrapping_add(1);
        socket.wants_room = false;
    }

    /// Another socket in the place of this one.
    pub(super) fn renew(&mut self, i: usize, now: u64) {
        self.close_socket(i);
        self.open_socket(i, now);
    }

    /// No request on this socket for a while: nobody is there.
    pub(super) fn rest(&mut self, i: usize, now: u64) {
        self.refusals += 1;
        let socket = &mut self.sockets[i];
        socket.refusals += 1;
        let until_ns = now + rest_ns(socket.refusals);
        self.pause(i, until_ns);
    }

    /// No request on this socket before then.
    pub(super) fn pause(&mut self, i: usize, until_ns: u64) {
        let socket = &mut self.sockets[i];
        if !std::mem::replace(&mut socket.resting, true) {
            self.timers.push(Reverse((until_ns, socket.index)));
        }
    }

    /// Lets the sockets go on that have rested.
    pub(super) fn wake(&mut self, now: u64) {
        while let Some(&Reverse((at, i))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            let i = i as usize;
            self.sockets[i].resting = false;
            match self.sockets[i].fd {
                Some(_) => self.offer(i, now),
                None => self.open_socket(i, now),
            }
        }
    }
}
