//! Where a subject that is started will listen: a free port, a fresh path. Not here: starting it.

use super::fault::Fault;
use crate::spawn::sockets;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use sys::{Address, Family, Url};
use tempfile::TempDir;

/// The path for which a fresh one is filled in.
const ANY_PATH: &str = "{path}";

/// The places of one subject. Its paths lie in a folder of its own, which goes with it.
#[derive(Debug, Default)]
pub(super) struct Places {
    folder: OnceLock<TempDir>,
    next: AtomicU64,
}

impl Places {
    /// Anywhere in `family`, as one of our servers is told.
    ///
    /// # Errors
    /// The harness's own: no folder.
    pub(super) fn any(&self, family: Family) -> Result<Url, Fault> {
        let text = match family {
            Family::Tcp => "tcp://127.0.0.1:0".to_owned(),
            Family::Udp => "udp://127.0.0.1:0".to_owned(),
            Family::Unix | Family::Unixgram => format!("{family}:{}", self.path()?),
        };
        text.parse().map_err(Fault::harness)
    }

    /// `at`, or what `wanted` leaves open made definite: port 0 a free one, `{path}` a fresh path.
    ///
    /// # Errors
    /// The harness's own: no port, no folder.
    pub(super) fn choose(&self, at: Option<&Url>, wanted: &Url) -> Result<Url, Fault> {
        match (at, &wanted.address) {
            (Some(at), _) => Ok(at.clone()),
            (None, Address::Ip(ip)) if ip.port() == 0 => Ok(wanted.at(free_port(wanted.family, *ip)?)),
            (None, Address::Path(path)) if path == ANY_PATH => {
                format!("{}:{}", wanted.family, self.path()?).parse().map_err(Fault::harness)
            }
            _ => Ok(wanted.clone()),
        }
    }

    /// True for a place of which each instance gets its own.
    pub(super) fn is_open(wanted: &Url) -> bool {
        match &wanted.address {
            Address::Ip(ip) => ip.port() == 0,
            Address::Path(path) => path == ANY_PATH,
        }
    }

    /// True where a port that was chosen as free is a connection's by now.
    pub(super) fn was_taken(wanted: &Url, chosen: &Url) -> bool {
        let taken = |port| !sockets::rows_at(port, None).is_empty();
        Self::is_open(wanted) && chosen.ip().is_some_and(|ip| taken(ip.port()))
    }

    fn path(&self) -> Result<String, Fault> {
        let folder = match self.folder.get() {
            Some(folder) => folder,
            None => {
                let made = tempfile::Builder::new().prefix("conform-").tempdir().map_err(Fault::harness)?;
                self.folder.get_or_init(|| made)
            }
        };
        let number = self.next.fetch_add(1, Relaxed);
        Ok(folder.path().join(format!("{number}.sock")).display().to_string())
    }
}

/// Fills in `{port}` and `{path}`.
pub(super) fn fill(text: &str, url: &Url) -> String {
    match &url.address {
        Address::Ip(ip) => text.replace("{port}", &ip.port().to_string()),
        Address::Path(path) => text.replace(ANY_PATH, path),
    }
}

/// A port that is free now. The kernel chooses it; between here and the subject's bind somebody could take it, which then shows as a
/// subject that does not start.
fn free_port(family: Family, ip: SocketAddr) -> Result<SocketAddr, Fault> {
    let found = match family {
        Family::Udp => UdpSocket::bind(ip).and_then(|socket| socket.local_addr()),
        _ => TcpListener::bind(ip).and_then(|listener| listener.local_addr()),
    };
    found.map_err(Fault::harness)
}
