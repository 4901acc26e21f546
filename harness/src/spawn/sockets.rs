//! The kernel's tables of sockets: sock_diag(7) for TCP, or /proc/net/tcp, tcp6, udp, udp6 and unix (proc_net(5)). Not here: what a row
//! means for a verdict.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use sys::diag::ANY_STATE;
use sys::{Address, Family, Url};

pub use sys::diag::{CLOSE_WAIT, LISTEN, Row, TIME_WAIT};

/// All TCP sockets of the network namespace of process `pid`, or of the caller's.
#[must_use]
pub fn rows(pid: Option<i32>) -> Vec<Row> {
    chosen(None, ANY_STATE, pid)
}

/// Those whose own port is `port`.
#[must_use]
pub fn rows_at(port: u16, pid: Option<i32>) -> Vec<Row> {
    chosen(Some(port), ANY_STATE, pid)
}

/// Those that listen at `ip`, or on every address.
#[must_use]
pub fn listeners(ip: SocketAddr, pid: Option<i32>) -> Vec<Row> {
    let rows = chosen(Some(ip.port()), 1 << LISTEN, pid);
    rows.into_iter().filter(|row| row.listens_on(ip)).collect()
}

/// Asked for by netlink in the caller's namespace; read from /proc in another's, and where the kernel does not know that question.
fn chosen(port: Option<u16>, states: u32, pid: Option<i32>) -> Vec<Row> {
    if pid.is_none_or(is_here)
        && let Ok(rows) = sys::diag::tcp(port, states)
    {
        return rows;
    }
    let all = ["tcp", "tcp6"].iter().flat_map(|name| rows_in(name, pid));
    all.filter(|row| port.is_none_or(|port| row.local.port() == port) && states & 1 << row.state != 0)
        .collect()
}

/// True for a process in the caller's network namespace.
fn is_here(pid: i32) -> bool {
    let space = |of: String| std::fs::metadata(format!("/proc/{of}/ns/net")).ok().map(|m| (m.dev(), m.ino()));
    let (own, other) = (space("thread-self".to_owned()), space(pid.to_string()));
    own.is_some() && own == other
}

/// All UDP sockets of the network namespace of process `pid`, or of the caller's.
#[must_use]
pub fn udp_rows(pid: Option<i32>) -> Vec<Row> {
    ["udp", "udp6"].iter().flat_map(|name| rows_in(name, pid)).collect()
}

fn rows_in(name: &str, pid: Option<i32>) -> Vec<Row> {
    table(name, pid).lines().skip(1).filter_map(row).collect()
}

/// One of the kernel's tables; empty where it cannot be read.
fn table(name: &str, pid: Option<i32>) -> String {
    let of = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    std::fs::read_to_string(format!("/proc/{of}/net/{name}")).unwrap_or_default()
}

/// Inodes of the sockets that serve at `url`: its listeners, of datagrams the bound sockets, in the namespace of `pid` or the caller's.
#[must_use]
pub fn serving(url: &Url, pid: Option<i32>) -> Vec<u64> {
    match (&url.address, url.family) {
        (Address::Ip(ip), Family::Udp) => {
            udp_rows(pid).iter().filter(|row| row.is_bound_to(*ip)).map(|row| row.inode).collect()
        }
        (Address::Ip(ip), _) => listeners(*ip, pid).iter().map(|row| row.inode).collect(),
        (Address::Path(path), family) => {
            let text = table("unix", pid);
            text.lines().skip(1).filter_map(|line| unix_row(line, path, family)).collect()
        }
    }
}

/// The inode of a line of /proc/net/unix, where it is a socket that serves at `path`.
///
/// `Num RefCount Protocol Flags Type St Inode Path`; __SO_ACCEPTCON (0x10000) marks a listener, type 2 datagrams. Many rows of one path
/// are no contradiction: accepted connections have the listener's.
fn unix_row(line: &str, path: &str, family: Family) -> Option<u64> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (flags, kind) = (words.get(3)?, words.get(4)?);
    let listens = u32::from_str_radix(flags, 16).ok()? & 0x1_0000 != 0;
    let serves = match family {
        Family::Unixgram => *kind == "0002",
        _ => listens,
    };
    let here = words.get(7).is_some_and(|word| *word == path);
    (serves && here).then(|| words.get(6)?.parse().ok()).flatten()
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
    fn shows_who_serves_where_in_each_family() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let url = |text: String| text.parse::<Url>().unwrap();
        let (stream, datagrams) =
            (url(format!("unix:{}", path.display())), url(format!("unixgram:{}", path.display())));
        assert!(serving(&stream, None).is_empty() && serving(&datagrams, None).is_empty());
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let _client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        assert_eq!((serving(&stream, None).len(), serving(&datagrams, None).len()), (1, 0));
        drop(listener);
        std::fs::remove_file(&path).unwrap();
        let _socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert_eq!((serving(&stream, None).len(), serving(&datagrams, None).len()), (0, 1));
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(serving(&url(format!("udp://{}", udp.local_addr().unwrap())), None).len(), 1);
    }

    #[test]
    fn both_sources_say_the_same() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ip = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(ip).unwrap()).collect();
        let _accepted = listener.accept().unwrap();
        let ends: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
        // The port may be in TIME_WAIT from a connection of somebody else.
        let sorted = |mut rows: Vec<Row>| {
            rows.retain(|row| row.state == LISTEN || ends.contains(&row.remote));
            rows.sort_by_key(|row| row.remote);
            rows
        };
        let asked = sorted(rows_at(ip.port(), None));
        let read = || {
            let all = ["tcp", "tcp6"].iter().flat_map(|name| rows_in(name, None));
            sorted(all.filter(|row| row.local.port() == ip.port()).collect())
        };
        // /proc is read in pieces, between which sockets of other tests come and go: rows may then be missed.
        assert!((0..20).any(|_| read() == asked), "{asked:?}, and {:?}", read());
        assert_eq!(asked.len(), 1 + clients.len());
        assert_eq!(listeners(ip, Some(std::process::id().cast_signed())).len(), 1);
    }

    #[test]
    fn reads_both_address_forms() {
        assert_eq!(address("0100007F:1F90"), Some("127.0.0.1:8080".parse().unwrap()));
        assert_eq!(address("00000000000000000000000001000000:0050"), Some("[::1]:80".parse().unwrap()));
        assert_eq!(address("zz"), None);
    }
}
