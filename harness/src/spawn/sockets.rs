//! The kernel's table of TCP sockets, /proc/net/tcp and tcp6 (proc_net(5)). Not here: what a row means for a verdict.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// State of a row that listens.
pub const LISTEN: u8 = 10;
/// State of a row whose connection is over and waits for stray segments.
pub const TIME_WAIT: u8 = 6;
/// State of a row whose peer has closed and whose own side has not.
pub const CLOSE_WAIT: u8 = 8;

/// One socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its own address and port.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// State, as the kernel numbers it.
    pub state: u8,
    /// Bytes not yet acknowledged.
    pub send_queue: u64,
    /// Bytes not yet read; of a listener: connections not yet accepted.
    pub receive_queue: u64,
    /// Inode of the socket; 0 where it has none.
    pub inode: u64,
}

impl Row {
    /// True for a listener that takes connections to `ip`: there, or on every address.
    #[must_use]
    pub fn listens_on(&self, ip: SocketAddr) -> bool {
        let local = self.local.ip().to_canonical();
        self.state == LISTEN
            && self.local.port() == ip.port()
            && (self.local.ip().is_unspecified()
                || local == ip.ip().to_canonical()
                || ip.ip().is_unspecified())
    }
}

/// All TCP sockets of the network namespace of process `pid`, or of the caller's.
#[must_use]
pub fn rows(pid: Option<i32>) -> Vec<Row> {
    let of = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|name| std::fs::read_to_string(format!("/proc/{of}/net/{name}")).ok())
        .flat_map(|text| text.lines().skip(1).filter_map(row).collect::<Vec<_>>())
        .collect()
}

fn row(line: &str) -> Option<Row> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (send, receive) = words.get(4)?.split_once(':')?;
    Some(Row {
        local: address(words.get(1)?)?,
        remote: address(words.get(2)?)?,
        state: u8::from_str_radix(words.get(3)?, 16).ok()?,
        send_queue: u64::from_str_radix(send, 16).ok()?,
        receive_queue: u64::from_str_radix(receive, 16).ok()?,
        inode: words.get(9)?.parse().ok()?,
    })
}

/// The kernel prints the address as words of 32 bits in its own byte order.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |i: usize| Some(u32::from_str_radix(ip.get(i * 8..i * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for i in 0..4 {
                bytes[i * 4..i * 4 + 4].copy_from_slice(&word(i)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn shows_a_listener_of_this_process_and_its_queue() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ip = listener.local_addr().unwrap();
        let find = || rows(None).into_iter().find(|r| r.listens_on(ip)).unwrap();
        assert_eq!(find().receive_queue, 0);
        let _client = std::net::TcpStream::connect(ip).unwrap();
        assert_eq!(find().receive_queue, 1);
    }

    #[test]
    fn reads_both_address_forms() {
        assert_eq!(address("0100007F:1F90"), Some("127.0.0.1:8080".parse().unwrap()));
        assert_eq!(address("00000000000000000000000001000000:0050"), Some("[::1]:80".parse().unwrap()));
        assert_eq!(address("zz"), None);
    }
}
