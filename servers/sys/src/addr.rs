//! Addresses as the command line writes them: `tcp://127.0.0.1:0`, `http://HOST:PORT/path`, `unix:/path`, `unix:@name` …
//! Not here: opening sockets.

use crate::path::MAX_PATH;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// Socket family, in the words of Go's net package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Stream over IP.
    Tcp,
    /// Datagrams over IP.
    Udp,
    /// Stream in the Unix domain.
    Unix,
    /// Datagrams in the Unix domain.
    Unixgram,
}

impl Family {
    /// All families, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Udp, Self::Unix, Self::Unixgram];

    /// The name used in URLs, ids and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::Unixgram => "unixgram",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An IP address and port (`tcp`, `udp`).
    Ip(SocketAddr),
    /// A path in the file system; one that begins with `@` is an abstract name (unix(7)).
    Path(String),
}

/// A parsed address: the family, where, and what the scheme adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Socket family.
    pub family: Family,
    /// Where.
    pub address: Address,
    /// True for `http://`: the service is HTTP over the family.
    pub http: bool,
    /// `http://`: what stands behind the port, at least `/`; `None` when nothing does.
    pub path: Option<String>,
    /// Host and port (or path) as written, for the Host header and for messages.
    pub authority: String,
}

/// The text is no address; says why and what one looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadUrl(String);

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadUrl {}

const FORMS: &str = "write tcp://HOST:PORT, http://HOST[:PORT][/PATH], udp://HOST:PORT, unix:/PATH, unix:@NAME or unixgram:/PATH";

impl From<SocketAddr> for Address {
    fn from(ip: SocketAddr) -> Self {
        Self::Ip(ip)
    }
}

impl FromStr for Url {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let bad = |why: &str| BadUrl(format!("bad address `{text}`: {why}; {FORMS}"));
        let (scheme, rest) = text.split_once(':').ok_or_else(|| bad("no scheme"))?;
        match scheme {
            "tcp" | "udp" => {
                let authority = rest.strip_prefix("//").ok_or_else(|| bad("`//` must follow the scheme"))?;
                let authority = authority.strip_suffix('/').unwrap_or(authority);
                if authority.contains('/') {
                    return Err(bad("a path has no meaning here"));
                }
                let family = if scheme == "tcp" { Family::Tcp } else { Family::Udp };
                let address = Address::Ip(resolve(authority, None).map_err(|why| bad(&why))?);
                Ok(Self { family, address, http: false, path: None, authority: authority.to_owned() })
            }
            "http" => {
                let rest = rest.strip_prefix("//").ok_or_else(|| bad("`//` must follow the scheme"))?;
                let (authority, path) = match rest.find('/') {
                    Some(at) => (&rest[..at], Some(rest[at..].to_owned())),
                    None => (rest, None),
                };
                if path.as_deref().is_some_and(|p| p.bytes().any(|b| b <= b' ' || b == 0x7f)) {
                    return Err(bad("the path holds a blank or control character"));
                }
                let address = Address::Ip(resolve(authority, Some(80)).map_err(|why| bad(&why))?);
                Ok(Self { family: Family::Tcp, address, http: true, path, authority: authority.to_owned() })
            }
            "unix" | "unixgram" => {
                if rest.is_empty() || rest == "@" || rest.contains('\0') {
                    return Err(bad("the path is empty or holds a NUL"));
                }
                let bytes = rest.strip_prefix('@').unwrap_or(rest).len();
                if bytes > MAX_PATH {
                    return Err(bad(&format!("the path has {bytes} bytes, the kernel takes {MAX_PATH}")));
                }
                let family = if scheme == "unix" { Family::Unix } else { Family::Unixgram };
                Ok(Self {
                    family,
                    address: Address::Path(rest.to_owned()),
                    http: false,
                    path: None,
                    authority: rest.to_owned(),
                })
            }
            "https" => Err(bad("TLS is not spoken here")),
            _ => Err(bad("unknown scheme")),
        }
    }
}

fn resolve(authority: &str, default_port: Option<u16>) -> Result<SocketAddr, String> {
    if authority.is_empty() {
        return Err("no host".to_owned());
    }
    let has_port =
        authority.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let full = match (has_port, default_port) {
        (true, _) => authority.to_owned(),
        (false, Some(port)) => format!("{authority}:{port}"),
        (false, None) => return Err("no port".to_owned()),
    };
    if let Ok(address) = full.parse() {
        return Ok(address);
    }
    let port = full.rsplit_once(':').map_or("", |(_, port)| port);
    if port.parse::<u16>().is_err() {
        return Err(format!("`{port}` is no port (0 to 65535)"));
    }
    let mut found = full.to_socket_addrs().map_err(|e| format!("the host cannot be resolved ({e})"))?;
    found.next().ok_or_else(|| "the host has no address".to_owned())
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.address, self.http) {
            (Address::Ip(ip), true) => write!(f, "http://{ip}{}", self.path.as_deref().unwrap_or("")),
            (Address::Ip(ip), false) => write!(f, "{}://{ip}", self.family),
            (Address::Path(path), _) => write!(f, "{}:{path}", self.family),
        }
    }
}

impl Url {
    /// The same URL at another IP address and port; the kernel's choice, told to the user.
    #[must_use]
    pub fn at(&self, ip: SocketAddr) -> Self {
        Self { address: Address::Ip(ip), authority: ip.to_string(), ..self.clone() }
    }

    /// The IP address and port, if the family has one.
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        match self.address {
            Address::Ip(ip) => Some(ip),
            Address::Path(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_and_writes_it_back() {
        for form in [
            "tcp://127.0.0.1:0",
            "udp://[::1]:53",
            "http://127.0.0.1:8080/a/b?c",
            "unix:/run/x.sock",
            "unix:@name",
            "unixgram:/x",
        ] {
            assert_eq!(form.parse::<Url>().unwrap().to_string(), form);
        }
        let url: Url = "http://127.0.0.1".parse().unwrap();
        assert_eq!((url.ip().unwrap().port(), url.path), (80, None));
        assert!("tcp://localhost:80".parse::<Url>().is_ok());
        assert!(format!("unix:/{}", "x".repeat(MAX_PATH - 1)).parse::<Url>().is_ok());
        assert!(format!("unix:@{}", "x".repeat(MAX_PATH)).parse::<Url>().is_ok());
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, why) in [
            ("127.0.0.1:80", "unknown scheme"),
            ("localhost", "no scheme"),
            ("tcp:127.0.0.1:80", "`//`"),
            ("tcp://127.0.0.1", "no port"),
            ("tcp://[::1]", "no port"),
            ("tcp://127.0.0.1:99999", "is no port"),
            ("tcp://127.0.0.1:1/x", "path"),
            ("tcp://:80", "resolved"),
            ("tcp://", "no host"),
            ("https://x", "TLS"),
            ("http://127.0.0.1/a b", "blank"),
            ("unix:", "empty"),
            ("unix:@", "empty"),
            (&format!("unix:/{}", "x".repeat(MAX_PATH)), "108 bytes"),
            (&format!("unixgram:@{}", "x".repeat(MAX_PATH + 1)), "108 bytes"),
        ] {
            let error = text.parse::<Url>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
