//! One thread, one epoll set, echo and sized: for flaws that hold up everybody.

use super::Flaw;
use rustix::event::epoll::{EventData, EventFlags};
use service::{Kind, Output, Protocol, Service as _, Step, echo, sized};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
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

struct Loop<P> {
    epoll: Epoll,
    conns: HashMap<u64, Conn<P>>,
    next: u64,
    /// Numbers of the descriptors that were closed in this turn.
    closed: Vec<RawFd>,
    forgotten: Vec<Conn<P>>,
    flaw: Flaw,
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
    let (closed, forgotten) = (Vec::new(), Vec::new());
    let mut this = Loop { epoll, conns: HashMap::new(), next: 2, closed, forgotten, flaw };
    let mut events = Vec::new();
    ready();
    loop {
        if flaw == Flaw::EintrIsFatal {
            let mut first = Vec::with_capacity(16);
            rustix::event::epoll::wait(&this.epoll, rustix::buffer::spare_capacity(&mut first), None)?;
        }
        this.epoll.wait(&mut events, (flaw == Flaw::SpinIdle).then_some(Duration::ZERO))?;
        for event in std::mem::take(&mut events) {
            match event.key {
                SIGNALS => {
                    if let Ok(Some(Received::Stop)) = signals.next() {
                        return Ok(());
                    }
                }
                LISTENER => match socket::accept(listener.as_fd(), flaw != Flaw::BlockingWrite) {
                    Accepted::Connection(fd) => this.begin(fd, open())?,
                    _ => sys::clock::pause(Duration::from_millis(20)),
                },
                key => this.event(key)?,
            }
        }
        for number in this.closed.drain(..).filter(|_| flaw == Flaw::ClosesTwice) {
            let _ = socket::shutdown_number(number, socket::Side::Both);
        }
    }
}

impl<P: Protocol> Loop<P> {
    fn begin(&mut self, fd: OwnedFd, protocol: P) -> io::Result<()> {
        if self.flaw == Flaw::OneReadAnEdge {
            let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
            rustix::event::epoll::add(&self.epoll, &fd, EventData::new_u64(self.next), flags)?;
        } else {
            self.epoll.add(fd.as_fd(), self.next, Interest::READ)?;
        }
        let (input, out) = (Vec::new(), Output::new());
        self.conns.insert(self.next, Conn { fd, protocol, input, out, over: false, closing: false });
        self.next += 1;
        Ok(())
    }

    fn event(&mut self, key: u64) -> io::Result<()> {
        let Some(conn) = self.conns.get_mut(&key) else { return Ok(()) };
        let mut result = conn.turn(self.flaw);
        while self.flaw == Flaw::UntilIdle && result.is_ok() && !conn.over && conn.comes() {
            result = conn.turn(self.flaw);
        }
        if result.is_err() || (conn.closing && conn.out.is_empty()) {
            if self.flaw == Flaw::LeaksRegistration {
                self.forgotten.extend(self.conns.remove(&key));
                return Ok(());
            }
            self.epoll.remove(conn.fd.as_fd())?;
            self.closed.push(conn.fd.as_raw_fd());
            self.conns.remove(&key);
        } else if self.flaw != Flaw::OneReadAnEdge {
            let wanted = Interest { read: !conn.over && !conn.out.is_full(), write: !conn.out.is_empty() };
            self.epoll.modify(conn.fd.as_fd(), key, wanted)?;
        }
        Ok(())
    }
}

impl<P: Protocol> Conn<P> {
    /// True when something comes, or can be sent, within 50 ms.
    fn comes(&self) -> bool {
        let wait = Some(Duration::from_millis(50));
        if self.out.is_empty() {
            socket::wait_readable(&[self.fd.as_fd()], wait).is_ok_and(|ready| ready == [true])
        } else {
            socket::wait_writable(self.fd.as_fd(), wait).unwrap_or(false)
        }
    }

    fn turn(&mut self, flaw: Flaw) -> io::Result<()> {
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
            if used == 0 && flaw == Flaw::ReadsWhole && !self.input.is_empty() && !self.over {
                let mut byte = [0];
                socket::wait_readable(&[self.fd.as_fd()], None)?;
                self.over = socket::recv_now(self.fd.as_fd(), &mut byte)? == 0;
                self.input.extend_from_slice(if self.over { &[] } else { &byte });
                continue;
            }
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
