//! Source ports, forecast before the run: how many there are, how many it will take. Not here: choosing them (the kernel does).
//!
//! A port serves one connection for each source address and destination, and where we close first it rests afterwards: 60 s in
//! TIME_WAIT (tcp(7)), 1 s where tcp_tw_reuse allows it.

use crate::config::{Config, Pacing, Stop};
use record::load::Ports;
use std::time::Duration;

/// TIME_WAIT of Linux, and how soon tcp_tw_reuse takes a port out of it.
const REST: Duration = Duration::from_secs(60);
const REUSED_AFTER: Duration = Duration::from_secs(1);

/// Share of the ports above which the kernel's search for a free one takes its time.
const TIGHT: f64 = 0.8;

/// Connects per second that a closed loop without think times may well reach: below it, a forecast without a rate warns.
const FAST: f64 = 10_000.0;

/// The forecast; nothing for a Unix socket, and where the kernel does not tell.
pub(crate) fn forecast(config: &Config) -> Option<Ports> {
    // A port of UDP is free again as soon as its socket is closed.
    let target = config.url.ip().filter(|_| !config.is_datagram())?;
    let per_source = local_ports()?;
    let sources = config.sources().map_or(1, |sources| sources.count());
    let rest = if reuses(target.ip().is_loopback()) { REUSED_AFTER } else { REST };
    let held = config.sockets_of_all();
    let per_s = connects_per_s(config);
    let span_s = rest.min(length(config)).as_secs_f64();
    let needed = per_s.map(|rate| held + (rate * span_s).ceil() as u64);
    let mut ports = Ports {
        per_source,
        sources,
        held,
        connects_per_s: per_s,
        rest_ns: crate::config::nanoseconds(rest),
        needed,
        warning: None,
    };
    ports.warning = warning(&ports, span_s, target.ip().is_loopback());
    Some(ports)
}

fn warning(ports: &Ports, span_s: f64, loopback: bool) -> Option<String> {
    let supply = ports.per_source.saturating_mul(ports.sources);
    let more = if loopback { "--source 127.0.0.0/8" } else { "--source with more addresses of this machine" };
    let there = format!("there are {supply} ({} for each source address)", ports.per_source);
    let rest_s = ports.rest_ns / 1_000_000_000;
    match ports.needed {
        None => {
            let most = supply.saturating_sub(ports.held) as f64 / span_s.max(1e-3);
            (most < FAST).then(|| {
                format!("more than {most:.0} connects/s will run out of source ports, which rest for {rest_s} s, and {there}: {more}")
            })
        }
        Some(needed) if needed > supply => Some(format!(
            "source ports will run out (EADDRNOTAVAIL): {needed} are needed, for {} connections and those that rest for {rest_s} s, and {there}: {more}",
            ports.held
        )),
        Some(needed) if needed as f64 > TIGHT * supply as f64 => {
            Some(format!("source ports are scarce: {needed} are needed, and {there}: {more}"))
        }
        Some(_) => None,
    }
}

/// Connects in a second after those before the run, where that can be told.
fn connects_per_s(config: &Config) -> Option<f64> {
    if config.is_datagram() {
        // There is no TIME_WAIT, and so nothing that rests.
        return Some(0.0);
    }
    let life = &config.life;
    let each = if config.persistent() {
        config
            .requests_per_connection
            .map(|least| f64::midpoint(least.get() as f64, life.requests_to.unwrap_or(least).get() as f64))
    } else {
        Some(1.0)
    };
    let aborted: f64 = config.aborts.rules().iter().map(|rule| rule.fraction).sum();
    let per_request = each.map_or(0.0, f64::recip) + aborted;
    let connections = f64::from(config.connections);
    let requests_per_s = match (config.pacing, config.think) {
        _ if per_request == 0.0 => Some(0.0),
        (Pacing::Open { rate_per_s, .. }, _) => Some(config.profile.mean_per_s(rate_per_s)),
        (Pacing::Closed, Some(think)) if think.mean() > 0.0 => Some(connections * 1e9 / think.mean()),
        (Pacing::Closed, _) => None,
    };
    let by_age = life.lifetime.map_or(0.0, |life| connections * 1e9 / life.mean().max(1.0));
    let wanted = requests_per_s.map(|rate| rate * per_request + by_age);
    match (wanted, life.connect_rate_per_s) {
        (Some(rate), Some(most)) => Some(rate.min(most)),
        (rate, most) => rate.or(most),
    }
}

/// How long the run will last, as far as that is known.
fn length(config: &Config) -> Duration {
    match (config.stop, config.pacing) {
        (Stop::After(time), _) => time.saturating_add(config.warm_up),
        (Stop::Requests(n), Pacing::Open { rate_per_s, .. }) => {
            let seconds = n as f64 / config.profile.mean_per_s(rate_per_s).max(1e-9);
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).saturating_add(config.warm_up)
        }
        (Stop::Requests(_), Pacing::Closed) => Duration::MAX,
    }
}

/// Ports that the kernel may choose, without those that are reserved (ip-sysctl: ip_local_port_range, ip_local_reserved_ports).
fn local_ports() -> Option<u64> {
    let range = read("ip_local_port_range")?;
    let (low, high) = range.trim().split_once(char::is_whitespace)?;
    let (low, high): (u64, u64) = (low.parse().ok()?, high.trim().parse().ok()?);
    let reserved = read("ip_local_reserved_ports").map_or(0, |text| reserved(&text, low, high));
    Some((high + 1).saturating_sub(low + reserved))
}

/// How many ports of `low` to `high` a list like `8080,9000-9100` names.
fn reserved(list: &str, low: u64, high: u64) -> u64 {
    let span = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (from.parse::<u64>().ok()?.max(low), to.parse::<u64>().ok()?.min(high));
        (from <= to).then(|| to - from + 1)
    };
    list.trim().split(',').filter_map(span).sum()
}

/// Whether ports in TIME_WAIT are used again (ip-sysctl, tcp_tw_reuse: 0 never, 1 always, 2 on loopback).
fn reuses(loopback: bool) -> bool {
    match read("tcp_tw_reuse").as_deref().map(str::trim) {
        Some("1") => true,
        Some("2") => loopback,
        _ => false,
    }
}

fn read(name: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU64;

    fn churning(rate_per_s: f64, seconds: u64) -> Config {
        let mut config = Config::new("tcp://192.0.2.1:80".parse().unwrap());
        config.requests_per_connection = NonZeroU64::new(2);
        config.pacing = Pacing::Open { rate_per_s, arrivals: crate::schedule::Arrivals::Constant };
        config.stop = Stop::After(Duration::from_secs(seconds));
        config
    }

    #[test]
    fn reserved_ports_count_where_they_lie_in_the_range() {
        assert_eq!(reserved("8080,32768-32777,60999-65000\n", 32768, 60999), 11);
        assert_eq!(reserved("\n", 32768, 60999), 0);
    }

    #[test]
    fn the_forecast_counts_those_that_rest() {
        let mut config = churning(1_000.0, 10);
        let ports = forecast(&config).unwrap();
        let rest_s = (ports.rest_ns / 1_000_000_000).min(10);
        assert_eq!((ports.connects_per_s, ports.sources, ports.held), (Some(500.0), 1, 10));
        assert_eq!(ports.needed, Some(10 + 500 * rest_s));
        assert_eq!(ports.warning, None);
        config = churning(ports.per_source as f64 * 4.0, 3_600);
        let warning = forecast(&config).unwrap().warning.unwrap();
        assert!(warning.contains("EADDRNOTAVAIL") && warning.contains("--source"), "{warning}");
        config.life.connect_rate_per_s = Some(10.0);
        assert_eq!(forecast(&config).unwrap().warning, None);
        config.life.connect_rate_per_s = None;
        config.sources = Some("10.0.0.0/16".parse().unwrap());
        assert_eq!(forecast(&config).unwrap().warning, None);
    }
}
