//! Addresses as the kernel gave them, kept as bytes so that an answer needs no conversion. Not here: parsing what users write (see
//! `addr`).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// sockaddr_un, the longest of the addresses here, rounded up to the alignment of the strictest.
const SIZE: usize = 112;

/// A sender's address: of an IP socket, of a path or abstract name, or of a Unix socket without a name, which cannot be answered.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub struct Peer {
    pub(crate) bytes: [u8; SIZE],
    pub(crate) len: u32,
}

impl Peer {
    /// No address.
    pub(crate) const NONE: Self = Self { bytes: [0; SIZE], len: 0 };

    /// Bytes that an address may have.
    pub(crate) const SIZE: u32 = SIZE as u32;

    fn used(&self) -> &[u8] {
        &self.bytes[..(self.len as usize).min(SIZE)]
    }

    fn family(&self) -> i32 {
        self.used().first_chunk::<2>().map_or(0, |family| i32::from(u16::from_ne_bytes(*family)))
    }

    /// False for a Unix socket that has neither path nor name: there is no way to answer it (unix(7)).
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.len > 2
    }

    /// The IP address and port, if it is one.
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        let at = |from: usize| self.bytes[from..].first_chunk::<4>().copied().unwrap_or_default();
        let port = u16::from_be_bytes([self.bytes[2], self.bytes[3]]);
        match self.family() {
            libc::AF_INET => Some(SocketAddrV4::new(Ipv4Addr::from(at(4)), port).into()),
            libc::AF_INET6 => {
                let ip = self.bytes[8..].first_chunk::<16>().copied().unwrap_or_default();
                let (flow, scope) = (u32::from_be_bytes(at(4)), u32::from_ne_bytes(at(24)));
                Some(SocketAddrV6::new(Ipv6Addr::from(ip), port, flow, scope).into())
            }
            _ => None,
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        let mut peer = Self::NONE;
        let mut put = |from: usize, bytes: &[u8]| peer.bytes[from..from + bytes.len()].copy_from_slice(bytes);
        put(2, &address.port().to_be_bytes());
        let (family, len) = match address {
            SocketAddr::V4(v4) => {
                put(4, &v4.ip().octets());
                (libc::AF_INET, size_of::<libc::sockaddr_in>())
            }
            SocketAddr::V6(v6) => {
                put(4, &v6.flowinfo().to_be_bytes());
                put(8, &v6.ip().octets());
                put(24, &v6.scope_id().to_ne_bytes());
                (libc::AF_INET6, size_of::<libc::sockaddr_in6>())
            }
        };
        put(0, &(family as libc::sa_family_t).to_ne_bytes());
        peer.len = len as u32;
        peer
    }
}

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        self.used() == other.used()
    }
}

impl Eq for Peer {}

impl Hash for Peer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.used().hash(state);
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip() {
            Some(ip) => write!(f, "{ip}"),
            None => write!(f, "{}", self.used().get(2..).unwrap_or_default().escape_ascii()),
        }
    }
}

/// The address at which a datagram arrived, where the socket is bound to all addresses; it is the source of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// The socket's own.
    Bound,
    /// Of a socket for IPv4.
    V4(Ipv4Addr),
    /// Of a socket for IPv6, with the interface where the address is one of its own only (link-local), else 0.
    V6(Ipv6Addr, u32),
}

impl Local {
    /// The address, if there is one to be named.
    #[must_use]
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Bound => None,
            Self::V4(ip) => Some(ip.into()),
            Self::V6(ip, _) => Some(ip.into()),
        }
    }
}

/// The way an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// To whom.
    pub peer: Peer,
    /// From which address.
    pub local: Local,
}

impl Route {
    /// To whoever the socket is connected to, from its own address.
    pub const CONNECTED: Self = Self { peer: Peer::NONE, local: Local::Bound };
}
