//! What cannot be run, found before the run: options that contradict each other or ask for what cannot be. Not here: what the
//! machine allows (see `limits`).

use super::{Config, Mechanism, Pacing, Stop};
use crate::abort::{self, Phase, Rule};
use crate::life::Reconnect;
use crate::misfit;
use crate::schedule::{Arrivals, Profile};
use crate::{Error, limits};
use service::Kind;
use service::client::Ask;
use service::raw::Dialogue;
use std::time::Duration;
use sys::Family;

/// Most requests out at a time: each takes 48 bytes of this process, and its own place in the server's buffers.
const MOST_OUT: u64 = 10_000_000;

impl Config {
    /// Finds what cannot be run.
    ///
    /// # Errors
    /// [`Error::Usage`] with one sentence that says what to change, [`Error::NoUring`] where io_uring is asked for and cannot be had.
    pub fn check(&self) -> Result<(), Error> {
        self.check_values()?;
        if self.engine == Mechanism::Uring {
            sys::uring::probe().map_err(|reason| Error::NoUring { reason })?;
        }
        limits::check(self)
    }

    /// What holds on any machine.
    pub(crate) fn check_values(&self) -> Result<(), Error> {
        let problem = if self.url.ip().is_some_and(|ip| ip.port() == 0) {
            Some("port 0 is no target: name the port that the server printed".to_owned())
        } else if self.pipeline == 0 {
            Some("`--pipeline 0` lets no request out: give at least 1".to_owned())
        } else if self.connections == 0 {
            Some("`--connections 0` makes no load: give at least 1".to_owned())
        } else if self.threads == 0 || self.threads > self.connections {
            Some(format!(
                "{} threads cannot share {} connections: give each thread at least one",
                self.threads, self.connections
            ))
        } else {
            self.check_times().or_else(|| self.check_targets()).or_else(|| self.check_misfits())
        };
        problem.map_or(Ok(()), |problem| Err(Error::Usage(problem)))
    }

    /// Several targets are each checked by itself.
    fn check_targets(&self) -> Option<String> {
        crate::targets::problem(self)
            .or_else(|| crate::targets::split(self).iter().find_map(Self::check_service))
    }

    fn check_times(&self) -> Option<String> {
        if matches!(self.stop, Stop::After(Duration::ZERO) | Stop::Requests(0)) {
            return Some("a window of no length measures nothing".to_owned());
        }
        if self.timeout.is_zero() {
            return Some("`--timeout 0` would make every reply late".to_owned());
        }
        match self.pacing {
            Pacing::Open { rate_per_s, arrivals } => self.check_arrivals(rate_per_s, arrivals),
            Pacing::Closed if self.profile != Profile::Steady => {
                Some(format!("{} is for an open loop: give a rate", self.profile))
            }
            Pacing::Closed if self.think.is_some() && self.pipeline > 1 => Some(
                "who thinks between two requests has one out at a time: leave --pipeline or --think out"
                    .to_owned(),
            ),
            Pacing::Closed => None,
        }
    }

    fn check_arrivals(&self, rate_per_s: f64, arrivals: Arrivals) -> Option<String> {
        let fits = |rate: f64| (0.0..=1e9).contains(&rate);
        if !(rate_per_s > 0.0 && fits(rate_per_s) && self.profile.rates().into_iter().all(fits)) {
            return Some("the rate must lie above 0 and at most 1000M requests/s".to_owned());
        }
        if self.think.is_some() {
            return Some("`--think` is for a closed loop: in an open one the schedule says when".to_owned());
        }
        match &self.profile {
            Profile::Trace(_) if arrivals == Arrivals::Poisson => {
                Some("a trace says when each request is due: leave --arrivals out".to_owned())
            }
            Profile::Ramp { over_ns: 0, .. } | Profile::Steps { each_ns: 0, .. } => {
                Some("a ramp and steps need time: give a longer --duration".to_owned())
            }
            Profile::Burst { on_ns: 0, .. } => {
                Some("a burst of no length offers nothing: give it more than 0s".to_owned())
            }
            _ => None,
        }
    }

    fn check_service(&self) -> Option<String> {
        if self.pipeline > 1
            && let Some(problem) = self.check_pipeline()
        {
            return Some(problem);
        }
        if let Some(problem) = self.check_life() {
            return Some(problem);
        }
        if self.gso && self.url.family != Family::Udp {
            return Some("`--gso` is about UDP: leave it out, or write udp://".to_owned());
        }
        if self.is_datagram() {
            return crate::datagram::problem(self).or_else(|| self.check_size());
        }
        let Ask { kind, size, .. } = self.ask;
        if let Some(dialogue) = &self.raw {
            return self.check_dialogue(dialogue);
        }
        match kind {
            Kind::Sized | Kind::Http if size > service::MAX_REPLY => {
                Some(format!("a {kind} reply is at most {} bytes", service::MAX_REPLY))
            }
            Kind::Http if !self.url.http && !self.is_unix() => {
                Some("the http service needs an http:// target (or unix:)".to_owned())
            }
            _ if self.url.http && kind != Kind::Http => {
                Some(format!("an http:// target cannot serve {kind}: write tcp://"))
            }
            _ => self.check_size(),
        }
    }

    /// What holds for streams and datagrams alike.
    fn check_size(&self) -> Option<String> {
        let Ask { kind, size, .. } = self.ask;
        match kind {
            _ if self.raw.is_some() => None,
            Kind::Echo | Kind::Sized if size == 0 => {
                Some(format!("`--size 0` makes no {kind} request: give at least 1 byte"))
            }
            Kind::Greeting | Kind::Echo if self.ask.work.is_some() => {
                Some(format!("a {kind} request cannot carry handler work: set it on the server"))
            }
            _ => None,
        }
    }

    fn check_misfits(&self) -> Option<String> {
        if self.misfits.is_empty() {
            return None;
        }
        if !matches!(self.url.family, Family::Tcp | Family::Unix) {
            return Some(
                "slow and mute clients need a stream: a datagram comes whole or not at all".to_owned(),
            );
        }
        let (taken, all) =
            (misfit::counts(&self.misfits, self.connections).iter().sum::<u32>(), self.connections);
        (self.healthy() < self.threads).then(|| {
            format!(
                "{taken} of {all} connections would be slow or mute: leave at least one that is not for each thread"
            )
        })
    }

    fn check_life(&self) -> Option<String> {
        let speaks_first = match &self.raw {
            Some(dialogue) => dialogue.banner.is_some(),
            None => self.ask.kind == Kind::Greeting,
        };
        if self.life.reconnect == Reconnect::Eager && speaks_first && !self.persistent() {
            return Some("a greeting comes with the connect, so no connection can be had before it is needed: leave --reconnect eager out".to_owned());
        }
        if self.life.lifetime.is_some_and(|life| life.mean() < 1e3) {
            return Some("a `--lifetime` below 1 us lets no reply come: one connection for each request is --requests-per-connection 1".to_owned());
        }
        match self.life.connect_rate_per_s {
            Some(rate) if !(rate > 0.0 && rate <= 1e9) => {
                Some("the connect rate must lie above 0 and at most 1000M connects/s".to_owned())
            }
            _ => None,
        }
    }

    fn check_pipeline(&self) -> Option<String> {
        if !self.aborts.is_empty() {
            Some(
                "an abort would take the requests beside it along: leave --pipeline or --abort out"
                    .to_owned(),
            )
        } else if self.raw.as_ref().is_some_and(|dialogue| !dialogue.can_pipeline()) {
            Some("only a raw service of one --send and one --expect, without --banner and eof, can be pipelined".to_owned())
        } else if !self.persistent() {
            Some("`--pipeline` wants connections that outlive a request".to_owned())
        } else if u64::from(self.pipeline) * u64::from(self.connections) > MOST_OUT {
            Some(format!("`--pipeline` times `--connections` is at most {MOST_OUT} requests out at a time"))
        } else {
            None
        }
    }

    fn check_dialogue(&self, dialogue: &Dialogue) -> Option<String> {
        let early = |rule: &Rule| !matches!(rule.phase, Phase::Connect | Phase::Idle);
        let half = |rule: &Rule| rule.kind == abort::Kind::Half && early(rule);
        if dialogue.turns.len() > 1 && self.aborts.rules().iter().any(half) {
            return Some("a half-closed client has no second turn: with more than one `--send`, `half` goes with the phases connect and idle".to_owned());
        }
        if dialogue.turns.is_empty() {
            Some("the raw service wants `--send` and `--expect`".to_owned())
        } else if dialogue.banner.is_some() && self.aborts.rules().iter().any(early) {
            Some("with `--banner`, aborts are possible in the phases connect and idle only".to_owned())
        } else if self.url.http {
            Some("an http:// target cannot serve raw: write tcp://".to_owned())
        } else {
            None
        }
    }
}
