//! The probing client of datagrams: one socket, every step of which has a deadline and an outcome of its own. Not here: verdicts.

use super::fault::{Fault, What};
use super::target::Target;
use super::wire::Act;
use service::client::{Ask, Mismatch};
use service::datagram::MAX_DATAGRAM;
use service::datagram::client::{DatagramClient, Seen};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use sys::{Address, Family};

/// Room for the largest Unix datagram that a default SO_SNDBUF lets through (212,992 bytes), and one byte to see that it was not larger.
const ROOM: usize = 256 * 1024;

/// One client socket.
#[derive(Debug)]
pub struct Datagrams {
    socket: Socket,
    target: Target,
    number: u32,
    sequence: u64,
    line: u64,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    /// Not connected: the kernel holds a server back from a full client only where the client is not connected to it.
    Unix(UnixDatagram, UnixAddress),
}

/// How the client's own end is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// By an address of its own, to which answers can go.
    Own,
    /// Not at all (unix(7)): an answer has nowhere to go. UDP has always one.
    None,
}

/// Makes the names of Unix sockets differ.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl Datagrams {
    /// A socket with a name of its own, which sends to the target (UDP: connected to it); `number` makes its messages its own.
    ///
    /// # Errors
    /// Nobody there, or the harness's own.
    pub fn open(target: &Target, number: u64) -> Result<Self, Fault> {
        Self::open_as(target, number, Name::Own)
    }

    /// As [`Self::open`], named as `name` says.
    ///
    /// # Errors
    /// Nobody there, or the harness's own.
    pub fn open_as(target: &Target, number: u64, name: Name) -> Result<Self, Fault> {
        let socket = match (&target.url.address, target.url.family) {
            (Address::Ip(ip), Family::Udp) => Socket::Udp(udp(*ip).map_err(|e| Fault::io(&e, 0))?),
            (Address::Path(path), Family::Unixgram) => {
                let socket = match name {
                    Name::None => UnixDatagram::unbound(),
                    Name::Own => UnixDatagram::bind_addr(&own_name().map_err(Fault::harness)?),
                };
                let socket = socket.map_err(Fault::harness)?;
                Socket::Unix(socket, unix_address(path).map_err(Fault::harness)?)
            }
            _ => return Err(Fault::harness("a stream has no datagrams")),
        };
        // Numbers of cases are far below 2^32; the canary's, the largest, is cut.
        let number = u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        let line = target.wire.connect();
        let made = Self { socket, target: target.clone(), number, sequence: 0, line };
        made.set_nonblocking()?;
        Ok(made)
    }

    fn set_nonblocking(&self) -> Result<(), Fault> {
        match &self.socket {
            Socket::Udp(socket) => socket.set_nonblocking(true),
            Socket::Unix(socket, _) => socket.set_nonblocking(true),
        }
        .map_err(Fault::harness)
    }

    /// The socket.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Udp(socket) => socket.as_fd(),
            Socket::Unix(socket, _) => socket.as_fd(),
        }
    }

    /// Waits longer, or shorter, from now on.
    pub fn patience(&mut self, reply: Duration) {
        self.target.reply = reply;
    }

    /// The client's side of a request of (`sized`: for) `bytes` bytes.
    #[must_use]
    pub fn client(&self, bytes: u64) -> Option<DatagramClient> {
        let ask = Ask {
            kind: self.target.kind,
            size: bytes,
            work: None,
            path: None,
            host: String::new(),
            close: false,
            seed: self.target.seed,
        };
        DatagramClient::new(&ask, self.number)
    }

    /// Sends a request of (`sized`: for) `bytes` bytes; returns its number.
    ///
    /// # Errors
    /// What the kernel says, and silence where it takes no more within the time.
    pub fn ask(&mut self, bytes: u64) -> Result<u64, Fault> {
        let client =
            self.client(bytes).ok_or_else(|| Fault::harness("the service is not said in datagrams"))?;
        let mut message = Vec::new();
        client.request(self.sequence, &mut message);
        self.sequence += 1;
        self.send(&message)?;
        Ok(self.sequence - 1)
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// What the kernel says, and silence where it takes no more within the time (a Unix socket whose receiver does not read).
    pub fn send(&self, message: &[u8]) -> Result<(), Fault> {
        let end = Instant::now() + self.target.reply;
        loop {
            match self.send_now(message) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(
                            Fault::from(What::Silent(self.target.reply.as_millis(), 0)).during("send")
                        );
                    }
                    // A full receiver does not make every socket unwritable: look again, too.
                    let slice = left.min(Duration::from_millis(5));
                    sys::socket::wait_writable(self.fd(), Some(slice)).map_err(Fault::harness)?;
                    sys::clock::pause(Duration::from_micros(200));
                }
                Err(error) => return Err(Fault::io(&error, 0).during("send")),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Sends one datagram if the kernel takes it at once.
    ///
    /// # Errors
    /// EAGAIN, ECONNREFUSED from an earlier one, EMSGSIZE.
    pub fn send_now(&self, message: &[u8]) -> io::Result<()> {
        let sent = match &self.socket {
            Socket::Udp(socket) => socket.send(message),
            Socket::Unix(socket, server) => socket.send_to_addr(message, server),
        };
        match sent {
            Ok(_) => {
                self.target.wire.sent(self.line, message);
                Ok(())
            }
            Err(error) => {
                self.target.wire.add(self.line, Act::Error(format!("send of {}: {error}", message.len())));
                Err(error)
            }
        }
    }

    /// Waits for one datagram from the target, at most the time of an answer.
    ///
    /// # Errors
    /// Silence; what the kernel says.
    pub fn receive(&self) -> Result<Vec<u8>, Fault> {
        let end = Instant::now() + self.target.reply;
        let mut buffer = vec![0; ROOM];
        loop {
            let received = match &self.socket {
                Socket::Udp(socket) => socket.recv(&mut buffer),
                Socket::Unix(socket, _) => socket.recv(&mut buffer),
            };
            match received {
                Ok(n) => {
                    self.target.wire.received(self.line, &buffer[..n]);
                    buffer.truncate(n);
                    return Ok(buffer);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(What::Silent(self.target.reply.as_millis(), 0).into());
                    }
                    sys::socket::wait_readable(&[self.fd()], Some(left)).map_err(Fault::harness)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::io(&error, 0)),
            }
        }
    }

    /// Asks for `bytes` bytes and checks the answer, byte by byte.
    ///
    /// # Errors
    /// What went wrong.
    pub fn exchange(&mut self, bytes: u64) -> Result<(), Fault> {
        let seq = self.ask(bytes)?;
        self.answer(bytes, seq)
    }

    /// Waits for the answer to request `seq` of `bytes` bytes, and checks it.
    ///
    /// # Errors
    /// What went wrong; an answer to another request is one that nobody asked for.
    pub fn answer(&mut self, bytes: u64, seq: u64) -> Result<(), Fault> {
        let client =
            self.client(bytes).ok_or_else(|| Fault::harness("the service is not said in datagrams"))?;
        let answer = self.receive()?;
        match client.check(seq, &answer)? {
            Seen::Answer(other) if other != seq => Err(Mismatch::Extra.into()),
            Seen::Answer(_) | Seen::Untagged => Ok(()),
        }
    }
}

/// An unconnected socket would take an answer from anybody; a connected one sees only what comes from where it sent to.
fn udp(ip: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match ip.ip() {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(ip)?;
    Ok(socket)
}

/// An abstract name that nobody has.
fn own_name() -> io::Result<UnixAddress> {
    let number = NEXT.fetch_add(1, Relaxed);
    UnixAddress::from_abstract_name(format!("conform-{}-{number}", std::process::id()))
}

/// A path, or an abstract name behind `@`.
fn unix_address(path: &str) -> io::Result<UnixAddress> {
    match path.strip_prefix('@') {
        Some(name) => UnixAddress::from_abstract_name(name),
        None => UnixAddress::from_pathname(path),
    }
}

/// The largest datagram of a family that an answer can be.
#[must_use]
pub fn largest(family: Family) -> u64 {
    match family {
        Family::Udp => MAX_DATAGRAM as u64,
        // SO_SNDBUF counts the kernel's own share too; this much goes through with the default.
        _ => 128 * 1024,
    }
}
