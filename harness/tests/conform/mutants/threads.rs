//! A thread a connection, non-blocking sockets: most of the flaws live here.

use super::Flaw;
use rustix::event::{PollFd, PollFlags};
use service::{Kind, Output, Protocol, Service as _, Step, echo, greeting, http, sized};
use std::fs::File;
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use sys::epoll::Epoll;
use sys::signal::{Received, Signals};
use sys::socket;
use sys::{Interest, Poller as _};

/// Connections that exist, and those that still have something to send.
static OPEN: AtomicUsize = AtomicUsize::new(0);
static SENDING: AtomicUsize = AtomicUsize::new(0);
static STOPPING: AtomicBool = AtomicBool::new(false);
/// A client has reset its connection.
static RESET: AtomicBool = AtomicBool::new(false);

/// How long it takes to get to a connection, where it is slow.
const SLOW: Duration = Duration::from_millis(120);
/// What is in flight may take this long after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

pub(super) fn serve(listener: OwnedFd, kind: Kind, flaw: Flaw, ready: impl Fn()) -> io::Result<()> {
    if flaw != Flaw::CutsAtTerm {
        let signals = Signals::new(false)?;
        std::thread::spawn(move || stop(&signals, flaw));
    }
    let listener = TcpListener::from(listener);
    let mut forgotten = Vec::new();
    ready();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                if flaw == Flaw::NeedsConnection && STOPPING.load(SeqCst) {
                    return Ok(());
                }
                if flaw == Flaw::HoldsListener && STOPPING.load(SeqCst) {
                    forgotten.push(stream);
                    continue;
                }
                if flaw == Flaw::DeadPeerIsFatal && stream.peer_addr().is_err() {
                    return Err(io::Error::other("no peer"));
                }
                if flaw == Flaw::Above1023 && stream.as_raw_fd() >= 1024 {
                    std::process::abort();
                }
                if flaw == Flaw::Starve && OPEN.load(SeqCst) >= 3 {
                    forgotten.push(stream);
                    continue;
                }
                if flaw == Flaw::FixedTable && OPEN.load(SeqCst) >= 100 {
                    std::process::abort();
                }
                begin(stream, kind, flaw);
                while flaw == Flaw::StopsAfterReset && RESET.load(SeqCst) {
                    sys::clock::pause(Duration::from_secs(3_600));
                }
            }
            Err(error) if flaw == Flaw::EmfileIsFatal => return Err(error),
            Err(_) if flaw == Flaw::SpinOnEmfile => {}
            Err(_) => sys::clock::pause(Duration::from_millis(50)),
        }
    }
}

/// Serves a connection in a thread of its own.
fn begin(stream: TcpStream, kind: Kind, flaw: Flaw) {
    match flaw {
        Flaw::SmallBacklog => sys::clock::pause(Duration::from_micros(200)),
        Flaw::LogsEach => eprintln!("a client"),
        Flaw::LogsToClient if has_no_log() => {
            let _ = sys::spawn::onto_stdio(stream.as_fd());
            println!("a client");
        }
        _ => {}
    }
    OPEN.fetch_add(1, SeqCst);
    let run = move || {
        connection(stream, kind, flaw);
        if flaw == Flaw::LeaksMemory {
            std::mem::forget(vec![1_u8; 8_192]);
        }
        if flaw == Flaw::KeepsThreads {
            sys::clock::pause(Duration::from_secs(3_600));
        }
        OPEN.fetch_sub(1, SeqCst);
    };
    let made = std::thread::Builder::new().spawn(run);
    if made.is_err() {
        // The connection went with the closure.
        OPEN.fetch_sub(1, SeqCst);
        assert!(flaw != Flaw::SpawnIsFatal, "no thread can be made");
    }
}

/// True when the standard library has found descriptor 1 closed and has put /dev/null there, or a connection has come since.
fn has_no_log() -> bool {
    std::fs::read_link("/proc/self/fd/1").is_ok_and(|to| !to.to_string_lossy().starts_with("pipe:"))
}

/// Waits for SIGTERM, then ends the process as the flaw has it.
fn stop(signals: &Signals, flaw: Flaw) {
    loop {
        let _ = socket::wait_readable(&[signals.as_fd()], None);
        if let Ok(Some(Received::Stop)) = signals.next() {
            break;
        }
    }
    STOPPING.store(true, SeqCst);
    let end = Instant::now() + GRACE;
    match flaw {
        Flaw::NeedsConnection => return,
        Flaw::DrainsQueue => sys::clock::pause(Duration::from_millis(300)),
        Flaw::PanicsAtExit => {
            let _ = std::panic::catch_unwind(|| panic!("asked to end"));
        }
        Flaw::WaitsForAll => {
            while OPEN.load(SeqCst) > 0 {
                sys::clock::pause(Duration::from_millis(1));
            }
        }
        _ => {
            while SENDING.load(SeqCst) > 0 && Instant::now() < end {
                sys::clock::pause(Duration::from_millis(1));
            }
        }
    }
    std::process::exit(0);
}

fn connection(stream: TcpStream, kind: Kind, flaw: Flaw) {
    if flaw == Flaw::Slow {
        sys::clock::pause(SLOW);
    }
    match kind {
        Kind::Greeting => drive(stream, greeting::Greeting::default().open(), flaw),
        Kind::Echo => drive(stream, echo::Echo::default().open(), flaw),
        Kind::Sized => drive(stream, sized::SizedService::default().open(), flaw),
        Kind::Http => drive(stream, http::Http::default().open(), flaw),
    }
}

struct Conn<P> {
    protocol: P,
    input: Vec<u8>,
    out: Output,
    /// The peer has said its last word.
    over: bool,
    /// To be closed when everything is sent.
    closing: bool,
    /// Input is left because the output was full.
    more: bool,
    /// Close only when the peer has: it may still send, and RST would take the answer from it.
    linger: bool,
    sending: bool,
    flaw: Flaw,
}

fn drive(stream: TcpStream, protocol: impl Protocol, flaw: Flaw) {
    let (input, out) = (Vec::new(), Output::new());
    let mut conn = Conn {
        protocol,
        input,
        out,
        over: false,
        closing: false,
        more: false,
        linger: false,
        sending: false,
        flaw,
    };
    let result = conn.run(&stream);
    conn.mark(false);
    match result {
        Ok(()) if flaw == Flaw::KeepsAfterFin => std::mem::forget(stream),
        Err(_) if flaw == Flaw::LeakOnReset => std::mem::forget(stream),
        _ => {}
    }
}

/// Sends FIN and drops what still comes, for a while.
fn linger(stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(std::net::Shutdown::Write)?;
    let end = Instant::now() + Duration::from_secs(2);
    let mut buffer = [0; 16_384];
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        socket::wait_readable(&[stream.as_fd()], Some(left))?;
        match socket::recv(stream.as_fd(), &mut buffer) {
            Ok(0) => break,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

impl<P: Protocol> Conn<P> {
    fn run(&mut self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        rustix::net::sockopt::set_socket_keepalive(stream, self.flaw == Flaw::KeepAlive)?;
        stream.set_nodelay(self.flaw != Flaw::TwoSmallWrites)?;
        let file = File::from(stream.as_fd().try_clone_to_owned()?);
        let mut epoll = Epoll::new()?;
        let mut interest = Interest::READ;
        epoll.add(stream.as_fd(), 0, interest)?;
        let (mut events, opened) = (Vec::new(), Instant::now());
        let step = self.protocol.on_open(&mut self.out);
        self.obey(step);
        loop {
            self.think();
            self.write(&file, stream)?;
            if std::mem::take(&mut self.more) && self.out.is_empty() {
                continue;
            }
            if self.closing && self.out.is_empty() {
                return if self.linger { linger(stream) } else { Ok(()) };
            }
            let was_over = self.over;
            let got = if self.wants_input() { self.read(stream)? } else { 0 };
            if self.over && matches!(self.flaw, Flaw::DropOnFin | Flaw::DropPending) {
                return Ok(());
            }
            if got > 0 || self.over != was_over {
                continue;
            }
            let read = self.wants_input() || (self.over && self.flaw == Flaw::SpinOnHalfClose);
            let wanted = Interest { read, write: !self.out.is_empty() };
            if wanted != interest {
                interest = wanted;
                epoll.modify(stream.as_fd(), 0, interest)?;
            }
            let patience = match self.flaw {
                Flaw::IdleOut => Some(Duration::from_millis(300)),
                Flaw::HeaderOut => Some(Duration::from_millis(50)),
                _ => None,
            };
            epoll.wait(&mut events, patience)?;
            let begun = !self.input.is_empty() && opened.elapsed() > Duration::from_millis(400);
            if (self.flaw == Flaw::IdleOut && events.is_empty()) || (self.flaw == Flaw::HeaderOut && begun) {
                return Ok(());
            }
        }
    }

    fn wants_input(&self) -> bool {
        if self.flaw == Flaw::UnboundedBuffer {
            return !self.over;
        }
        let eager = matches!(self.flaw, Flaw::DropOnFin | Flaw::SpinOnHalfClose);
        !self.over && (!self.out.is_full() || eager) && self.input.len() < (16 << 20)
    }

    fn mark(&mut self, sending: bool) {
        if sending != self.sending {
            self.sending = sending;
            if sending {
                SENDING.fetch_add(1, SeqCst)
            } else {
                SENDING.fetch_sub(1, SeqCst)
            };
        }
    }

    fn obey(&mut self, mut step: Step) {
        while let Step::Work(work) = step {
            sys::clock::pause(work.duration());
            step = self.protocol.on_work_done(&mut self.out);
        }
        match self.flaw {
            Flaw::IgnoresClose if !self.over => return,
            Flaw::SilentRefusal if step == Step::Linger => {
                self.out = Output::new();
                return;
            }
            _ => {}
        }
        self.closing |= matches!(step, Step::Close | Step::Linger | Step::Abort);
        self.linger |= step == Step::Linger && self.flaw != Flaw::NoLinger;
    }

    fn think(&mut self) {
        loop {
            self.more = !self.closing && self.out.is_full() && self.flaw != Flaw::UnboundedBuffer;
            if self.closing || self.more {
                break;
            }
            let (used, step) = self.protocol.on_input(&self.input, &mut self.out);
            self.out.detach(&self.input);
            self.input.drain(..used);
            if used > 0 && self.flaw == Flaw::OneAnswerARead {
                self.input.clear();
            }
            self.obey(step);
            if used == 0 {
                break;
            }
        }
        if self.flaw == Flaw::OneReadOneRequest && !self.input.is_empty() && !self.closing {
            self.closing = true;
        }
        if self.over && !self.closing && !self.out.is_full() {
            let step = self.protocol.on_eof(&self.input, &mut self.out);
            self.obey(step);
        }
        self.mark(!self.out.is_empty());
    }

    fn write(&mut self, file: &File, stream: &TcpStream) -> io::Result<()> {
        let mut begin = true;
        while !self.out.is_empty() {
            let mut first = self.out.first(&[]);
            if self.flaw == Flaw::TwoSmallWrites && std::mem::take(&mut begin) {
                first = &first[..1];
            }
            let sent = if self.flaw == Flaw::SigpipeDies {
                // write(2): std's own socket writes are send(2) with MSG_NOSIGNAL.
                (&*file).write(first)
            } else {
                socket::send(stream.as_fd(), first)
            };
            match sent {
                Ok(_) if self.flaw == Flaw::ShortWrite => {
                    let all = first.len();
                    self.out.advance(all);
                }
                Ok(n) => self.out.advance(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.flaw == Flaw::ShortWrite {
                        self.out = Output::new();
                    }
                    return Ok(());
                }
                Err(_) if self.flaw == Flaw::WriteErrorIsFatal => std::process::exit(1),
                Err(error) => {
                    RESET.store(true, SeqCst);
                    return Err(error);
                }
            }
        }
        self.mark(false);
        Ok(())
    }

    fn read(&mut self, stream: &TcpStream) -> io::Result<usize> {
        if self.flaw == Flaw::UrgentHangsUp {
            let mut polled = [PollFd::new(stream, PollFlags::PRI)];
            rustix::event::poll(&mut polled, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }))?;
            if polled[0].revents().contains(PollFlags::PRI) {
                return Err(io::Error::other("urgent data"));
            }
        }
        let mut buffer = [0; 4096];
        match socket::recv(stream.as_fd(), &mut buffer) {
            Ok(0) => {
                self.over = true;
                Ok(0)
            }
            Ok(n) => {
                if self.flaw == Flaw::NulTerminates {
                    buffer[n.min(4095)] = 0;
                }
                if self.flaw == Flaw::PanicsOnText {
                    std::str::from_utf8(&buffer[..n]).expect("a request is text");
                }
                self.input.extend_from_slice(&buffer[..n]);
                super::web::misread(self.flaw, &mut self.input);
                Ok(n)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(_) if self.flaw == Flaw::ResetIsFatal => std::process::exit(1),
            Err(error) => {
                RESET.store(true, SeqCst);
                Err(error)
            }
        }
    }
}
