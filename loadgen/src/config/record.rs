//! A configuration as the record keeps it: all that decides whether two results can be compared. Not here: comparing them.

use super::{Config, Pacing, Shard, nanoseconds};
use crate::draw::Draw;
use crate::schedule::Profile;
use record::load::LoadConfig;
use service::Kind;
use std::num::NonZeroU64;

impl Config {
    /// The name of the arrivals in the record.
    fn arrivals_name(&self) -> String {
        match (self.pacing, &self.profile) {
            (Pacing::Closed, _) => "closed".to_owned(),
            (Pacing::Open { arrivals, .. }, Profile::Steady) => arrivals.name().to_owned(),
            (Pacing::Open { .. }, Profile::Trace(trace)) => trace.to_string(),
            (Pacing::Open { arrivals, .. }, profile) => format!("{} {profile}", arrivals.name()),
        }
    }

    /// What was asked for, as the record keeps it.
    #[must_use]
    pub fn describe(&self) -> LoadConfig {
        let rate_per_s = match self.pacing {
            Pacing::Closed => None,
            Pacing::Open { rate_per_s, .. } => Some(self.profile.mean_per_s(rate_per_s)),
        };
        LoadConfig {
            service: self.kind().map_or("raw", Kind::name).to_owned(),
            engine: self.engine.name().to_owned(),
            connections: u64::from(self.connections),
            threads: u64::from(self.threads),
            rate_per_s,
            arrivals: self.arrivals_name(),
            think: self.think.map(Draw::show_time),
            shard: (self.shard != Shard::WHOLE).then(|| self.shard.to_string()),
            requests_per_connection: self.requests_per_connection.map(NonZeroU64::get),
            requests_per_connection_to: self.life.requests_to.map(NonZeroU64::get),
            lifetime: self.life.lifetime.map(Draw::show_time),
            reconnect: Some(self.life.reconnect.name().to_owned()),
            connect_rate_per_s: self.life.connect_rate_per_s,
            pipeline: u64::from(self.pipeline),
            gso: self.gso,
            processes: u64::from(self.processes),
            idle: u64::from(self.idle),
            source: self.sources().map(|sources| sources.to_string()),
            request: self.words.clone(),
            size_bytes: self.ask.size,
            work: self.ask.work.map(|work| work.to_string()),
            aborts: self.aborts.rules().iter().map(ToString::to_string).collect(),
            misfits: self.misfits.iter().map(ToString::to_string).collect(),
            timeout_ns: nanoseconds(self.timeout),
            seed: self.ask.seed,
        }
    }
}
