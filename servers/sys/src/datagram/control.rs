//! Control messages (cmsg(3)) as bytes: those that a datagram server reads and writes. Not here: descriptors on their way (see
//! `pass`); where they could come, no room for control messages is given, and the kernel closes them.

use super::{Local, Received, Route};
use libc::{SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The head of a control message: its length, head included, the level and the type.
const HEAD: usize = align(size_of::<libc::cmsghdr>());

/// Room for all that is asked for: packet information of either family, drops, segment size.
const ROOM: usize = 128;

const fn align(len: usize) -> usize {
    (len + size_of::<usize>() - 1) & !(size_of::<usize>() - 1)
}

/// A buffer for control messages.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Control {
    pub(crate) bytes: [u8; ROOM],
    /// How many of them are used.
    pub(crate) len: usize,
}

impl Control {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; ROOM], len: 0 }
    }

    /// Bytes that the kernel may write.
    pub(crate) const ROOM: usize = ROOM;

    /// What an answer along `route` needs, cut into datagrams of `segment` bytes where that is given.
    pub(crate) fn of(route: &Route, segment: Option<u16>) -> Self {
        let mut control = Self::new();
        match route.local {
            Local::Bound => {}
            Local::V4(ip) => {
                // struct in_pktinfo: interface (0: by the route), source, destination (ignored).
                let mut info = [0; 12];
                info[4..8].copy_from_slice(&ip.octets());
                control.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            Local::V6(ip, interface) => {
                let mut info = [0; 20];
                info[..16].copy_from_slice(&ip.octets());
                info[16..].copy_from_slice(&interface.to_ne_bytes());
                control.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
        }
        if let Some(bytes) = segment {
            control.push(libc::SOL_UDP, libc::UDP_SEGMENT, &bytes.to_ne_bytes());
        }
        control
    }

    fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        let len = HEAD + data.len();
        let Some(place) = self.bytes.get_mut(self.len..self.len + align(len)) else { return };
        place[..size_of::<usize>()].copy_from_slice(&len.to_ne_bytes());
        place[HEAD - 8..HEAD - 4].copy_from_slice(&level.to_ne_bytes());
        place[HEAD - 4..HEAD].copy_from_slice(&kind.to_ne_bytes());
        place[HEAD..len].copy_from_slice(data);
        self.len += align(len);
    }

    /// The length of the datagrams that came in one buffer, where several did; `header` is what the kernel made of the one with this room.
    pub(crate) fn segment(&self, header: &libc::msghdr) -> Option<u16> {
        let mut received = Received::default();
        Self::read(&self.bytes[..super::message::used(header)], &mut received);
        received.segment
    }

    /// Enters what the kernel has said into `received`; what is unknown or cut is passed over.
    pub(crate) fn read(bytes: &[u8], received: &mut Received) {
        let mut rest = bytes;
        while let Some(head) = rest.first_chunk::<HEAD>() {
            let len = head.first_chunk().map_or(0, |len| usize::from_ne_bytes(*len));
            let Some(data) = rest.get(HEAD..len) else { return };
            let number = |at: usize| head[at..].first_chunk().map_or(0, |n| i32::from_ne_bytes(*n));
            enter(number(HEAD - 8), number(HEAD - 4), data, received);
            rest = rest.get(align(len)..).unwrap_or_default();
        }
    }
}

fn enter(level: i32, kind: i32, data: &[u8], received: &mut Received) {
    let int = data.first_chunk().map(|n| u32::from_ne_bytes(*n));
    match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            // The second address is the local one; the third is the header's, which may be a broadcast's.
            if let Some(ip) = data.get(4..).and_then(<[u8]>::first_chunk::<4>) {
                received.route.local = Local::V4(Ipv4Addr::from(*ip));
            }
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            if let (Some(ip), Some(at)) =
                (data.first_chunk::<16>(), data.get(16..).and_then(<[u8]>::first_chunk))
            {
                let ip = Ipv6Addr::from(*ip);
                let interface = if ip.is_unicast_link_local() { u32::from_ne_bytes(*at) } else { 0 };
                received.route.local = Local::V6(ip, interface);
            }
        }
        (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => received.dropped = int.unwrap_or(0),
        (libc::SOL_UDP, libc::UDP_GRO) => {
            received.segment = int.and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0);
        }
        (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
            // struct sock_extended_err: the error number, and who found it. What the kernel itself refuses, the call has said.
            let icmp = data.get(4).is_some_and(|at| [SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6].contains(at));
            received.refused = int.and_then(|n| i32::try_from(n).ok()).filter(|_| icmp);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datagram::Peer;

    #[test]
    fn what_is_written_is_read_back() {
        for local in
            [Local::Bound, Local::V4(Ipv4Addr::new(127, 0, 0, 2)), Local::V6("fe80::1".parse().unwrap(), 7)]
        {
            let route = Route { peer: Peer::NONE, local };
            let control = Control::of(&route, None);
            let mut received = Received::default();
            Control::read(&control.bytes[..control.len], &mut received);
            assert_eq!(received.route.local, local);
        }
    }

    #[test]
    fn what_is_cut_or_nonsense_is_passed_over() {
        let control = Control::of(
            &Route { peer: Peer::NONE, local: Local::V4(Ipv4Addr::new(127, 0, 0, 2)) },
            Some(1200),
        );
        for cut in 0..control.len {
            Control::read(&control.bytes[..cut], &mut Received::default());
        }
        for byte in [0, 1, 0x7F, 0xFF] {
            Control::read(&[byte; ROOM], &mut Received::default());
        }
    }
}
