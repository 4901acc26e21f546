//! Datagram servers broken on purpose, over UDP and Unix sockets, and one of each that is sound. Not here: streams.

use service::Kind;
use service::datagram::{DatagramService as _, MAX_DATAGRAM};
use service::{echo::Echo, greeting::Greeting, sized::SizedService};
use signal_hook::consts::SIGTERM;
use std::io::{self, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::time::{Duration, Instant};
use sys::{Address, Url};

/// What is wrong with a datagram server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing, but that a server on all addresses lets the kernel choose from which it answers.
    Sound,
    /// Answers each datagram twice.
    AnswersTwice,
    /// Takes an empty datagram for an end.
    ZeroEnds,
    /// Has room for 8 KiB and does not look whether that was all.
    CutsAt8k,
    /// Answers one datagram for each time that it is woken, and drops the rest.
    OneAWake,
    /// Connects to each peer, and ends when that one is gone.
    PeerGoneIsFatal,
    /// Once it has answered a large datagram, has an ear for that client only.
    Engaged,
    /// Ends when more come than it has foreseen.
    FloodIsFatal,
    /// Binds where something lies already, and gives up.
    NoUnlink,
    /// Removes whatever lies at its path before it binds.
    StealsPath,
    /// Leaves its path behind.
    LeavesPath,
    /// Cuts its path to what it thinks fits.
    CutsPath,
    /// Gives the kernel the whole of sun_path as its abstract name.
    PadsName,
    /// Ends when an answer cannot be sent.
    SendIsFatal,
    /// Waits for as long as a client does not read.
    WaitsForRoom,
}

/// Every datagram mutant by name.
pub(crate) const ALL: &[(&str, Flaw)] = &[
    ("gram-sound", Flaw::Sound),
    ("gram-answers-twice", Flaw::AnswersTwice),
    ("gram-zero-ends", Flaw::ZeroEnds),
    ("gram-cuts-at-8k", Flaw::CutsAt8k),
    ("gram-one-a-wake", Flaw::OneAWake),
    ("gram-peer-gone-is-fatal", Flaw::PeerGoneIsFatal),
    ("gram-engaged", Flaw::Engaged),
    ("gram-flood-is-fatal", Flaw::FloodIsFatal),
    ("gram-no-unlink", Flaw::NoUnlink),
    ("gram-steals-path", Flaw::StealsPath),
    ("gram-leaves-path", Flaw::LeavesPath),
    ("gram-cuts-path", Flaw::CutsPath),
    ("gram-pads-name", Flaw::PadsName),
    ("gram-send-is-fatal", Flaw::SendIsFatal),
    ("gram-waits-for-room", Flaw::WaitsForRoom),
];

/// Is the server until it is ended.
pub(crate) fn serve(url: &Url, kind: Kind, flaw: Flaw) -> io::Result<()> {
    let ready = |at: String| {
        let mut out = io::stdout();
        let _ = writeln!(out, "listening on {at}").and_then(|()| out.flush());
    };
    match &url.address {
        Address::Ip(ip) => {
            let mut socket = UdpSocket::bind(ip)?;
            if flaw == Flaw::PeerGoneIsFatal {
                // A port that the kernel chose is lost when a connected socket is let go; one that was asked for is kept.
                let at = socket.local_addr()?;
                drop(socket);
                socket = UdpSocket::bind(at)?;
            }
            end_on_term(None)?;
            ready(format!("udp://{}", socket.local_addr()?));
            answer(&Udp(socket), kind, flaw)
        }
        Address::Path(path) => {
            let socket = bind(path, flaw)?;
            end_on_term((flaw != Flaw::LeavesPath).then(|| path.clone()))?;
            ready(url.to_string());
            answer(&Unix(socket), kind, flaw)
        }
    }
}

fn bind(path: &str, flaw: Flaw) -> io::Result<UnixDatagram> {
    if let Some(name) = path.strip_prefix('@') {
        let mut name = name.as_bytes().to_vec();
        if flaw == Flaw::PadsName {
            name.resize(107, 0);
        }
        return UnixDatagram::bind_addr(&UnixAddress::from_abstract_name(name)?);
    }
    let path = if flaw == Flaw::CutsPath { &path[..path.len().min(90)] } else { path };
    match flaw {
        Flaw::NoUnlink => {}
        Flaw::StealsPath => {
            let _ = std::fs::remove_file(path);
        }
        _ => {
            // Taken over from the dead alone.
            let there = std::fs::symlink_metadata(path).is_ok();
            let probe = UnixDatagram::unbound()?;
            if there
                && probe.connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
                && std::os::unix::fs::FileTypeExt::is_socket(&std::fs::symlink_metadata(path)?.file_type())
            {
                std::fs::remove_file(path)?;
            }
        }
    }
    UnixDatagram::bind(path)
}

fn end_on_term(path: Option<String>) -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM])?;
    std::thread::Builder::new().spawn(move || {
        if signals.forever().next().is_some() {
            if let Some(path) = path {
                let _ = std::fs::remove_file(path);
            }
            std::process::exit(0);
        }
    })?;
    Ok(())
}

/// A socket of either family.
trait Socket {
    type Peer: Clone + PartialEq;

    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Self::Peer)>;
    fn send(&self, bytes: &[u8], peer: &Self::Peer) -> io::Result<()>;
    fn set_nonblocking(&self, on: bool) -> io::Result<()>;
    /// Answers by connecting to the peer, and lets it go.
    fn converse(&self, _bytes: &[u8], _peer: &Self::Peer) -> io::Result<()> {
        Ok(())
    }
}

struct Udp(UdpSocket);
struct Unix(UnixDatagram);

impl Socket for Udp {
    type Peer = SocketAddr;

    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.recv_from(buffer)
    }

    fn send(&self, bytes: &[u8], peer: &SocketAddr) -> io::Result<()> {
        self.0.send_to(bytes, peer).map(drop)
    }

    fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        self.0.set_nonblocking(on)
    }

    fn converse(&self, bytes: &[u8], peer: &SocketAddr) -> io::Result<()> {
        self.0.connect(peer)?;
        self.0.send(bytes)?;
        // The port that is closed has been told of by now: on loopback it is told within the send.
        let told = self.0.take_error()?;
        rustix::net::connect_unspec(self.0.as_fd())?;
        told.map_or(Ok(()), Err)
    }
}

/// The peer's name as the kernel has it; `None` for none.
impl Socket for Unix {
    type Peer = Option<Vec<u8>>;

    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Self::Peer)> {
        let (n, from) = self.0.recv_from(buffer)?;
        Ok((n, from.as_abstract_name().map(<[u8]>::to_vec)))
    }

    fn send(&self, bytes: &[u8], peer: &Self::Peer) -> io::Result<()> {
        let name = peer.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        self.0.send_to_addr(bytes, &UnixAddress::from_abstract_name(name)?).map(drop)
    }

    fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        self.0.set_nonblocking(on)
    }
}

fn reply(kind: Kind, message: &[u8]) -> Vec<u8> {
    let answer = match kind {
        Kind::Greeting => Greeting::default().answer(message),
        Kind::Sized => SizedService::default().answer(message),
        Kind::Echo | Kind::Http => Echo::default().answer(message),
    };
    answer.reply.pieces(message).concat()
}

fn answer<S: Socket>(socket: &S, kind: Kind, flaw: Flaw) -> io::Result<()> {
    let room = if flaw == Flaw::CutsAt8k { 8_192 } else { MAX_DATAGRAM * 4 };
    let mut buffer = vec![0; room];
    let mut engaged: Option<(S::Peer, Instant)> = None;
    let (mut taken, mut quiet_since) = (0_u32, Instant::now());
    loop {
        let (n, from) = socket.receive(&mut buffer)?;
        if n == 0 && flaw == Flaw::ZeroEnds {
            return Ok(());
        }
        if flaw == Flaw::FloodIsFatal {
            taken = if quiet_since.elapsed() > Duration::from_millis(20) { 0 } else { taken + 1 };
            quiet_since = Instant::now();
            if taken > 500 {
                return Err(io::Error::other("more datagrams than were foreseen"));
            }
        }
        if let Some((peer, since)) = &engaged
            && *peer != from
            && since.elapsed() < Duration::from_secs(30)
        {
            continue;
        }
        if flaw == Flaw::Engaged && n > 1_000 {
            engaged = Some((from.clone(), Instant::now()));
        }
        let bytes = reply(kind, &buffer[..n]);
        if flaw == Flaw::PeerGoneIsFatal {
            socket.converse(&bytes, &from)?;
            continue;
        }
        // Nobody is waited for, but by the mutant that does so.
        socket.set_nonblocking(flaw != Flaw::WaitsForRoom)?;
        let sent = socket.send(&bytes, &from);
        if flaw == Flaw::AnswersTwice {
            let _ = socket.send(&bytes, &from);
        }
        if flaw == Flaw::SendIsFatal {
            sent?;
        }
        if flaw == Flaw::OneAWake {
            while socket.receive(&mut buffer).is_ok() {}
        }
        socket.set_nonblocking(false)?;
    }
}
