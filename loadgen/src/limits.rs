//! What the machine allows, looked at before the run: descriptors, source addresses and ports. Not here: raising more than the soft limit.

use crate::abort::Kind;
use crate::{Config, Error, ports};

/// Descriptors that a process needs beside its connections: standard streams, one epoll a thread, output files, and some in hand.
const SPARE: u64 = 32;

/// Says before the run whether so many connections can be had, and raises the soft descriptor limit where that helps.
///
/// # Errors
/// [`Error::Usage`] with what to do about it.
pub(crate) fn check(config: &Config) -> Result<(), Error> {
    let wanted = config.sockets();
    let need = wanted + u64::from(config.threads) + SPARE;
    let (soft, hard) = sys::process::descriptor_limit();
    if need > soft {
        // The forecast below uses what holds then, whether raising worked or not.
        let _ = sys::process::raise_descriptor_limit();
    }
    let (soft, _) = sys::process::descriptor_limit();
    if need > soft {
        return Err(Error::Usage(format!(
            "{wanted} connections need {need} descriptors and the limit is {soft} (hard limit {hard}): \
             lower --connections, share them out (--processes), or raise the limit (ulimit -Hn, LimitNOFILE=)"
        )));
    }
    // Without it the run is slower to start.
    let _ = sys::process::make_room_for_descriptors(u32::try_from(need).unwrap_or(u32::MAX));
    check_ports(config)
}

/// Says whether there are source addresses and ports for the connections.
///
/// # Errors
/// [`Error::Usage`] with what to do about it.
pub(crate) fn check_ports(config: &Config) -> Result<(), Error> {
    check_sources(config)?;
    let wanted = config.sockets_of_all();
    let Some(ports) = ports::forecast(config) else { return Ok(()) };
    let there = ports.per_source.saturating_mul(ports.sources);
    if wanted > there {
        return Err(Error::Usage(format!(
            "{wanted} connections to one address need as many source ports and there are {there} ({} for each of {} source \
             addresses): give more addresses (--source, 127.0.0.0/8 for this machine), lower --connections, or widen \
             net.ipv4.ip_local_port_range",
            ports.per_source, ports.sources
        )));
    }
    Ok(())
}

/// Whether connections can come from where they are to come from.
fn check_sources(config: &Config) -> Result<(), Error> {
    let Some(sources) = &config.sources else { return Ok(()) };
    let Some(target) = config.url.ip().map(|ip| ip.ip()) else {
        return Err(Error::Usage("a Unix socket has no source addresses: leave --source out".to_owned()));
    };
    for source in sources.samples() {
        if source.is_ipv4() != target.is_ipv4() {
            return Err(Error::Usage(format!(
                "--source {source} cannot reach {target}: one is IPv4, the other IPv6"
            )));
        }
        if source.is_loopback() && !target.is_loopback() {
            return Err(Error::Usage(format!(
                "--source {source} is for targets on this machine, and {target} is none"
            )));
        }
        if let Err(error) = sys::socket::may_come_from(source) {
            return Err(Error::Usage(format!(
                "--source {source}: {error}: `ip address` lists the addresses of this machine"
            )));
        }
    }
    Ok(())
}

/// Most sockets of clients that vanished, over all threads: each takes a descriptor here and a connection of the server.
const MOST_VANISHED: u64 = 10_000;

/// Sockets that a thread may keep for clients that vanish; 0 where none is to.
pub(crate) fn room_for_the_vanished(config: &Config) -> usize {
    if !config.aborts.rules().iter().any(|rule| rule.kind == Kind::Vanish) {
        return 0;
    }
    // What cannot be raised is what there is.
    let _ = sys::process::raise_descriptor_limit();
    let (soft, _) = sys::process::descriptor_limit();
    let threads = u64::from(config.threads);
    let free = soft.saturating_sub(config.sockets() + threads + SPARE);
    (free.min(MOST_VANISHED) / threads) as usize
}

/// What is asked for where a reply must be more than buffers can hold.
pub(crate) fn large_request(config: &Config) -> u64 {
    match config.kind() {
        // It sends as much as it gets: more than a server reads at once, less than fills the buffers of both sides before the FIN of
        // an abort is through.
        Some(service::Kind::Echo) => 256 * 1024,
        _ => large_reply(),
    }
}

/// A reply of this many bytes cannot be taken whole by a server's send buffer and a client's receive buffer that nobody reads.
///
/// Twice the largest send buffer (tcp(7), tcp_wmem), at least 8 MiB, at most what the services can be asked for.
#[must_use]
fn large_reply() -> u64 {
    let largest = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_wmem")
        .ok()
        .and_then(|text| text.split_whitespace().nth(2)?.parse::<u64>().ok())
        .unwrap_or(4 << 20);
    (2 * largest).clamp(8 << 20, service::MAX_REPLY)
}
