//! The addresses that connections come from. Not here: their ports (see `ports`), binding.
//!
//! ```text
//! 10.0.0.5                  one
//! 10.0.0.0/24               its 254 host addresses
//! 127.0.0.0/8               loopback: 16 million, and no machine has to be told of them
//! 2001:db8::/120,::1        several, in turn
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// Addresses to connect from, at least one, all of one family, used in turn. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    text: Arc<str>,
    ranges: Arc<[Range]>,
    count: u128,
}

/// Addresses that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: IpAddr,
    count: u128,
}

impl Range {
    /// Reads an address, or a network as ADDRESS/PREFIX.
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().ok()?;
        let Some(prefix) = prefix else { return Some(Self { first, count: 1 }) };
        let bits = if first.is_ipv4() { 32 } else { 128 };
        let free = bits_below(bits, prefix)?;
        let number = number(first) & !mask(free);
        // The first address of a network is its name or its routers', the last of IPv4 a broadcast; two have neither (RFC 3021).
        let (skipped, edges) = match (first, free) {
            (_, 0 | 1) => (0, 0),
            (IpAddr::V4(_), _) => (1, 2),
            (IpAddr::V6(_), _) => (1, 1),
        };
        let count = mask(free).saturating_add(1) - edges;
        Some(Self { first: address_of(number + skipped, first.is_ipv4()), count })
    }

    fn nth(&self, n: u128) -> IpAddr {
        address_of(number(self.first) + n, self.first.is_ipv4())
    }
}

fn bits_below(bits: u32, prefix: u32) -> Option<u32> {
    bits.checked_sub(prefix)
}

/// A number of `bits` ones.
const fn mask(bits: u32) -> u128 {
    if bits >= 128 { u128::MAX } else { (1 << bits) - 1 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

fn address_of(number: u128, v4: bool) -> IpAddr {
    if v4 { Ipv4Addr::from(number as u32).into() } else { Ipv6Addr::from(number).into() }
}

impl Sources {
    /// The 200 loopback addresses from 127.0.1.1 on, for connections to this machine that carry few requests, or are many.
    ///
    /// An address has some 28,000 ports for one destination, and a port whose connection we closed rests for a second at the least
    /// (tcp(7), tcp_tw_reuse). At 50,000 connections a second one address runs out, and the kernel's search for a free port becomes
    /// what is measured: one machine showed 13,000 and 60,000 requests a second for the same server from trial to trial. All of
    /// 127.0.0.0/8 is this machine.
    #[must_use]
    pub fn loopback() -> Self {
        let first = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1));
        let ranges = [Range { first, count: 200 }];
        Self { text: "127.0.1.1 to 127.0.1.200".into(), ranges: ranges.into(), count: 200 }
    }

    /// The address of the connection with number `n`: in turn.
    #[must_use]
    pub fn nth(&self, n: u64) -> IpAddr {
        let mut n = u128::from(n) % self.count;
        for range in &*self.ranges {
            if n < range.count {
                return range.nth(n);
            }
            n -= range.count;
        }
        // Not reached: the counts add up.
        self.ranges[0].first
    }

    /// How many addresses there are; beyond 2^64, that.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::try_from(self.count).unwrap_or(u64::MAX)
    }

    /// One address of each part, to find out whether this machine has it.
    pub(crate) fn samples(&self) -> impl Iterator<Item = IpAddr> {
        self.ranges.iter().map(|range| range.first)
    }
}

impl FromStr for Sources {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            |part: &str| format!("`{part}` is no address: write 10.0.0.5, 127.0.0.0/8 or 2001:db8::/120");
        let parse = |part: &str| Range::parse(part).ok_or_else(|| bad(part));
        let ranges = text.split(',').map(parse).collect::<Result<Vec<_>, _>>()?;
        if ranges.iter().any(|range| range.first.is_ipv4() != ranges[0].first.is_ipv4()) {
            return Err(format!("`{text}` mixes IPv4 and IPv6: a target is one of them"));
        }
        let count = ranges.iter().fold(0_u128, |sum, range| sum.saturating_add(range.count));
        Ok(Self { text: text.into(), ranges: ranges.into(), count })
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn few(text: &str, n: u64) -> (u64, Vec<String>) {
        let sources: Sources = text.parse().unwrap();
        (sources.count(), (0..n).map(|i| sources.nth(i).to_string()).collect())
    }

    #[test]
    fn addresses_are_used_in_turn() {
        assert_eq!(few("10.0.0.5", 2), (1, vec!["10.0.0.5".into(), "10.0.0.5".into()]));
        assert_eq!(few("10.0.0.9/30", 3).1, ["10.0.0.9", "10.0.0.10", "10.0.0.9"]);
        assert_eq!(few("10.0.0.9/31", 2).1, ["10.0.0.8", "10.0.0.9"]);
        assert_eq!(few("127.0.0.0/8", 1), ((1 << 24) - 2, vec!["127.0.0.1".into()]));
        assert_eq!(
            few("2001:db8::/126,::1", 5).1,
            ["2001:db8::1", "2001:db8::2", "2001:db8::3", "::1", "2001:db8::1"]
        );
        assert_eq!(few("::/0", 1).0, u64::MAX);
        assert_eq!(Sources::loopback().nth(200), Sources::loopback().nth(0));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in ["", "localhost", "10.0.0.0/33", "10.0.0.0/x", "::/129", "10.0.0.1,::1", "10.0.0.1,"] {
            assert!(bad.parse::<Sources>().is_err(), "{bad}");
        }
    }
}
