//! One thread, one epoll set, echo and sized: for flaws that hold up everybody.

use super::Flaw;
use rustix::event::epoll::{EventData, EventFlags};
use service::{Kind, Output, Protocol, Service as _, Step, echo, sized};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::Duration;
use sys::epoll::Epoll;
use sys::signal::{Received, Signals};
use sys::socket::{self, Accepted};
use sys::{Interest, Poller as _};

const LISTENER: u64 = 0;
const SIGNALS: u64 = 1;

pub(super) fn serve(listener: &OwnedFd, kind: Kind, flaw: Flaw, ready: impl Fn()) -> io::Result<()> {
    match kind {
        Kind::Sized => run(listener, || sized::SizedService::default().open(), flaw, ready),
        _ => run(listener, || echo::Echo::default().open(), flaw, ready),
    }
}

struct Conn<P> {
    fd: OwnedFd,
    protocol: P,
    input: Vec<u8>,
    out: Output,
    over: bool,
    closing: bool,
}

fn run<P: Protocol>(
    listener: &OwnedFd,
    open: impl Fn() -> P,
    flaw: Flaw,
    ready: impl Fn(),
) -> io::Result<()> {
    let signals = Signals::new(false)?;
    let mut epoll = Epoll::new()?;
    if flaw != Flaw::BlockingListener {
        socket::set_nonblocking(listener.as_fd())?;
    }
    if flaw == Flaw::OneAcceptAnEdge {
        let (data, flags) = (EventData::new_u64(LISTENER), EventFlags::IN | EventFlags::ET);
        rustix::event::epoll::add(&epoll, listener, data, flags)?;
    } else {
        epoll.add(listener.as_fd(), LISTENER, Interest::READ)?;
    }
    epoll.add(signals.as_fd(), SIGNALS, Interest::READ)?;
    let mut conns: HashMap<u64, Conn<P>> = HashMap::new();
    let (mut next, mut events) = (2, Vec::new());
    ready();
    loop {
        if flaw == Flaw::EintrIsFatal {
            let mut ready = Vec::with_capacity(16);
            rustix::event::epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut ready), None)?;
        }
        let mut closed = Vec::new();
        epoll.wait(&mut events, (flaw == Flaw::SpinIdle).then_some(Duration::ZERO))?;
        for event in std::mem::take(&mut events) {
            match event.key {
                SIGNALS => {
                    if let Ok(Some(Received::Stop)) = signals.next() {
                        return Ok(());
                    }
                }
                LISTENER => match socket::accept(listener.as_fd(), flaw != Flaw::BlockingWrite) {
                    Accepted::Connection(fd) => {
                        if flaw == Flaw::OneReadAnEdge {
                            let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
                            rustix::event::epoll::add(&epoll, &fd, EventData::new_u64(next), flags)?;
                        } else {
                            epoll.add(fd.as_fd(), next, Interest::READ)?;
                        }
                        let (input, out) = (Vec::new(), Output::new());
                        conns.insert(
                            next,
                            Conn { fd, protocol: open(), input, out, over: false, closing: false },
                        );
                        next += 1;
                    }
                    _ => sys::clock::pause(Duration::from_millis(20)),
                },
                key => {
                    let Some(conn) = conns.get_mut(&key) else { continue };
                    if conn.turn().is_err() || (conn.closing && conn.out.is_empty()) {
                        epoll.remove(conn.fd.as_fd())?;
                        closed.push(conn.fd.as_raw_fd());
                        conns.remove(&key);
                    } else if flaw != Flaw::OneReadAnEdge {
                        let wanted =
                            Interest { read: !conn.over && !conn.out.is_full(), write: !conn.out.is_empty() };
                        epoll.modify(conn.fd.as_fd(), key, wanted)?;
                    }
                }
            }
        }
        if flaw == Flaw::ClosesTwice {
            for number in closed {
                let _ = socket::shutdown_number(number, socket::Side::Both);
            }
        }
    }
}

impl<P: Protocol> Conn<P> {
    fn turn(&mut self) -> io::Result<()> {
        self.flush()?;
        if !self.over && !self.out.is_full() {
            let mut buffer = [0; 16_384];
            match socket::recv_now(self.fd.as_fd(), &mut buffer) {
                Ok(0) => self.over = true,
                Ok(n) => self.input.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        while !self.closing && !self.out.is_full() {
            let (used, step) = self.protocol.on_input(&self.input, &mut self.out);
            self.out.detach(&self.input);
            self.input.drain(..used);
            self.closing |= step != Step::Read;
            self.flush()?;
            if used == 0 {
                self.closing |= self.over;
                break;
            }
        }
        Ok(())
    }

    /// On a blocking socket this waits for the peer, and everybody with it: the flaw.
    fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            match socket::send(self.fd.as_fd(), self.out.first(&[])) {
                Ok(n) => self.out.advance(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
