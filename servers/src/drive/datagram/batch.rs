//! Datagrams by the batch: as many as are there with one recvmmsg(2), as many answers with one sendmmsg(2); or, with UDP's segmentation
//! offload, the datagrams of one peer as one. Not here: one at a time (see the module above).

use super::{BUDGET, Both, Figures, send, work_here};
use crate::counters::{self, Why};
use crate::endpoint::Endpoint;
use service::datagram::{PIECES, Reply};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd as _, BorrowedFd};
use sys::datagram::{self, Inbound, Outbound, ROOM, Received, Route, SEGMENTS, Wait};
use sys::{Family, stop};

/// Datagrams taken with one call: the calls are cheap next to the copying beyond this, and each costs a buffer of 64 KiB.
const BATCH: usize = 32;

/// Serves in the process's one thread until it is told to stop.
///
/// # Errors
/// Those of recvmmsg(2) after which nothing more can be served.
pub fn batched<S: Both>(service: &S, endpoint: &Endpoint) -> io::Result<()> {
    let (fd, family) = (endpoint.listener.as_fd(), endpoint.url.family);
    stop::install(Some(fd), endpoint.options.grace)?;
    endpoint.options.counters.workers(1);
    endpoint.options.counters.enter(0);
    endpoint.ready();
    let (mut inbound, mut outbound) = (Inbound::new(BATCH, ROOM), Outbound::new(BATCH));
    let mut figures = Figures::default();
    let mut replies: Vec<Reply> = Vec::with_capacity(BATCH);
    loop {
        match inbound.recv(fd, family, Wait::Socket) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && stop::stopping() => break,
            Err(error) if is_none(&error) => continue,
            Err(error) => return Err(error),
        }
        counters::woken(true);
        replies.clear();
        for (received, message) in inbound.iter() {
            let answered = figures.note(&received);
            let answer = service.answer(if answered { message } else { &[] });
            if answered {
                work_here(answer.work);
            }
            replies.push(answer.reply);
        }
        let owed = inbound.iter().zip(&replies).filter(|((received, _), _)| !received.truncated);
        let answers = owed.map(|((received, message), reply)| -> (Route, [&[u8]; PIECES]) {
            (received.route, reply.pieces(message))
        });
        let mut lost = 0;
        let bytes = inbound.iter().zip(&replies).map(|((_, message), reply)| reply.len(message)).sum();
        let sent = inbound.iter().filter(|(received, _)| !received.truncated).count() as u64;
        outbound.send(fd, answers, Wait::No, |at, error| {
            let owed = inbound.iter().zip(&replies).filter(|((received, _), _)| !received.truncated).nth(at);
            let again = owed.filter(|_| error.kind() == io::ErrorKind::WouldBlock);
            let sent =
                again.is_some_and(|((to, message), reply)| send(fd, reply, message, &to.route).is_ok());
            lost += u64::from(!sent);
            Ok(())
        })?;
        figures.unsendable += lost;
        figures.answered += sent - lost;
        counters::sent(bytes);
        (0..sent).for_each(|n| counters::ended(if n < lost { Why::Unsent } else { Why::Service }));
    }
    figures.report(0);
    Ok(())
}

/// True where nothing was received, and nothing is wrong.
fn is_none(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused
    )
}

/// Serves UDP with receive and send offload (UDP_GRO, UDP_SEGMENT) in the process's one thread until it is told to stop.
///
/// What the kernel has put together is answered together where all answers but the last have one length; else, and where the route
/// cannot segment (EIO, EINVAL), one by one.
///
/// # Errors
/// Those of setsockopt(2) for an old kernel, and of recvmsg(2) after which nothing more can be served.
pub fn segmented<S: Both>(service: &S, endpoint: &Endpoint) -> io::Result<()> {
    let fd = endpoint.listener.as_fd();
    datagram::take_segments(fd)?;
    stop::install(Some(fd), endpoint.options.grace)?;
    endpoint.options.counters.workers(1);
    endpoint.options.counters.enter(0);
    endpoint.ready();
    let mut desk = Segments { figures: Figures::default(), out: Vec::with_capacity(ROOM), offload: true };
    let mut buffer = vec![0; ROOM];
    loop {
        match datagram::recv(fd, Family::Udp, &mut buffer, Wait::Socket) {
            Ok(received) => desk.answer(service, fd, &received, &buffer[..received.len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && stop::stopping() => break,
            Err(error) if is_none(&error) => {}
            Err(error) => return Err(error),
        }
    }
    desk.figures.report(0);
    Ok(())
}

struct Segments {
    figures: Figures,
    /// The answers to what came together, one behind the other.
    out: Vec<u8>,
    /// The kernel segments; false once it has refused.
    offload: bool,
}

impl Segments {
    fn answer<S: Both>(&mut self, service: &S, fd: BorrowedFd<'_>, received: &Received, bytes: &[u8]) {
        let Some(segment) = received.segment.map(usize::from).filter(|size| *size < bytes.len()) else {
            if self.figures.note(received) {
                let answer = service.answer(bytes);
                work_here(answer.work);
                self.figures.sent(&send(fd, &answer.reply, bytes, &received.route));
            }
            return;
        };
        let messages: Vec<&[u8]> = bytes.chunks(segment).take(BUDGET * 8).collect();
        for _ in &messages {
            self.figures.note(received);
        }
        if received.truncated {
            return;
        }
        for group in messages.chunks(SEGMENTS) {
            if !(self.offload && self.together(service, fd, received, group)) {
                self.one_by_one(service, fd, received, group);
            }
        }
    }

    fn one_by_one<S: Both>(&mut self, service: &S, fd: BorrowedFd<'_>, received: &Received, group: &[&[u8]]) {
        for message in group {
            let answer = service.answer(message);
            work_here(answer.work);
            self.figures.sent(&send(fd, &answer.reply, message, &received.route));
        }
    }

    /// Sends the answers to `group` as one; false where that cannot be, and none was sent.
    fn together<S: Both>(
        &mut self,
        service: &S,
        fd: BorrowedFd<'_>,
        received: &Received,
        group: &[&[u8]],
    ) -> bool {
        self.out.clear();
        let mut size = None;
        for (n, message) in group.iter().enumerate() {
            let answer = service.answer(message);
            let length = answer.reply.len(message);
            let first = *size.get_or_insert(length);
            let last = n + 1 == group.len();
            let fits = length > 0 && (length == first || (last && length < first));
            if answer.work.is_some() || !fits || self.out.len() + length > service::datagram::MAX_DATAGRAM {
                return false;
            }
            for piece in answer.reply.pieces(message) {
                self.out.extend_from_slice(piece);
            }
        }
        let Some(segment) = size.and_then(|size| u16::try_from(size).ok()) else { return false };
        match datagram::send_segments(fd, &[IoSlice::new(&self.out)], &received.route, segment, Wait::No) {
            Ok(()) => {
                self.figures.answered += group.len() as u64;
                counters::sent(self.out.len());
                group.iter().for_each(|_| counters::ended(Why::Service));
                true
            }
            // The device cannot, and will not next time (EIO); or a segment is larger than its MTU, and one by one IP fragments (EINVAL).
            Err(error) => {
                self.offload &= error.raw_os_error() != Some(sys::errno::EIO);
                false
            }
        }
    }
}
