//! The flags about connections: what they carry, how long they live, what follows them. Not here: what is said on them.

use crate::config::Mechanism;
use crate::draw::Draw;
use crate::life::Reconnect;
use crate::sources::Sources;
use crate::{Config, Error, units};
use std::num::NonZeroU64;

/// How connections are used.
#[derive(Debug, clap::Args)]
pub(crate) struct ConnectionFlags {
    /// Requests out at a time
    ///
    /// On each connection.
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Requests")]
    pipeline: u32,
    /// UDP: datagrams of one length that are due together go through the kernel as one (UDP_SEGMENT), and come as one (UDP_GRO)
    #[arg(long, hide_short_help = true, help_heading = "Requests")]
    gso: bool,
    /// How bytes come and go: epoll, uring
    #[arg(
        long,
        value_enum,
        hide_short_help = true,
        default_value = "epoll",
        hide_possible_values = true,
        value_name = "NAME",
        help_heading = "Load"
    )]
    engine: Mechanism,
    /// Close behind N replies, or N..M
    ///
    /// A connection is closed behind so many replies; of a range, a number drawn for each.
    #[arg(long, aliases = ["max-requests-per-connection", "reconnect-interval"], value_name = "N", value_parser = Draw::parse_count, help_heading = "Requests")]
    requests_per_connection: Option<Draw>,
    /// Age at which a connection is closed, behind the reply that is out: 30s, 10s..60s, or exp:30s
    #[arg(long, alias = "channel-lifetime", value_name = "TIME", hide_short_help = true, value_parser = Draw::parse_time, help_heading = "Connections")]
    lifetime: Option<Draw>,
    /// What follows a connection that has ended: eager (another at once), lazy (one when a request needs it, which counts into its
    /// latency), never
    #[arg(long, value_name = "HOW", hide_short_help = true, default_value = "lazy", value_parser = parse_reconnect, help_heading = "Connections")]
    reconnect: Reconnect,
    /// Connects/s in total, those before the run included; a request that waits for one goes on counting
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = units::parse_rate, help_heading = "Connections")]
    connect_rate: Option<f64>,
    /// More connections, made before the run, which say nothing; counted apart, with those that the server closes and when
    #[arg(long, value_name = "N", hide_short_help = true, default_value = "0", value_parser = units::parse_count, help_heading = "Connections")]
    idle: u64,
    /// Addresses that connections come from in turn, ADDRESS or CIDR, ,-separated, as 127.0.0.0/8 [default: the kernel's choice; on
    /// this machine, for many connections or short ones, 127.0.1.1 to 127.0.1.200]
    #[arg(long, aliases = ["source-ip", "laddr", "local-ips", "bind-ip"], value_name = "ADDRESSES", hide_short_help = true, help_heading = "Connections")]
    source: Option<Sources>,
}

fn parse_reconnect(text: &str) -> Result<Reconnect, String> {
    let known = Reconnect::ALL.into_iter().find(|r| r.name() == text);
    known.ok_or_else(|| format!("`{text}`: write {}", Reconnect::ALL.map(Reconnect::name).join(", ")))
}

impl ConnectionFlags {
    pub(crate) fn apply(&self, config: &mut Config) -> Result<(), Error> {
        config.pipeline = self.pipeline;
        config.gso = self.gso;
        config.engine = self.engine;
        let (least, most) = match self.requests_per_connection {
            Some(Draw::Uniform(least, most)) => (Some(least), Some(most)),
            Some(draw) => (Some(draw.least()), None),
            None => (None, None),
        };
        config.requests_per_connection = least.and_then(NonZeroU64::new);
        config.life.requests_to = most.and_then(NonZeroU64::new);
        config.life.lifetime = self.lifetime;
        config.life.reconnect = self.reconnect;
        config.life.connect_rate_per_s = self.connect_rate;
        config.sources.clone_from(&self.source);
        config.idle = u32::try_from(self.idle).unwrap_or(u32::MAX);
        Ok(())
    }
}
