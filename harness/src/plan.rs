//! Plans: which workloads, on which models, how often. Not here: running them.
//!
//! A plan is TOML. Every key that is not known is an error, so that a misspelt one is not a silent default.

use record::Scenario;
use record::run::Lack;
use serde::{Deserialize, Serialize};
use servers::registry::Entry;
use servers::{MODELS, Model, Support};
use service::Kind;
use std::path::Path;
use std::time::Duration;
use sys::Family;

/// The plan that `harness run` uses without `--plan`.
pub const QUICK: &str = include_str!("../plans/quick.toml");

/// The plans that come with the program, by the name that `--plan` takes.
pub const SHIPPED: [(&str, &str); 3] = [
    ("quick", QUICK),
    ("families", include_str!("../plans/families.toml")),
    ("users", include_str!("../plans/users.toml")),
];

/// Longest time that a plan may give to one trial.
const LONGEST: Duration = Duration::from_secs(3600);

/// A plan cannot be used; one line that says why and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The file cannot be read.
    #[error("cannot read the plan `{path}`: {source}")]
    Read {
        /// Its path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not a plan.
    #[error("the plan is not valid: {0}")]
    Parse(String),
    /// A value makes no sense.
    #[error("the plan is not valid: {0}")]
    Value(String),
    /// Nothing is left to run.
    #[error("nothing to run: {0}")]
    Nothing(String),
}

/// A list of workloads and the models to run them on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Short name.
    pub name: String,
    /// In a sentence.
    #[serde(default)]
    pub title: String,
    /// Models by name; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Trials of each scenario, each with a server process of its own.
    #[serde(default = "three")]
    pub trials: u32,
    /// Length of the timed window, where the workload does not say.
    #[serde(default = "one_second")]
    pub duration: Time,
    /// Length of the warm-up, of which nothing is kept.
    #[serde(default = "quarter_second")]
    pub warm_up: Time,
    /// The workloads.
    #[serde(rename = "workload")]
    pub workloads: Vec<Workload>,
}

/// Who says what and when.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Last part of the scenario's id.
    pub name: String,
    /// In a sentence, for people.
    pub title: String,
    /// Socket family: `tcp`, `udp`, `unix` or `unixgram`; `tcp` when absent.
    #[serde(default = "tcp")]
    pub family: String,
    /// Service spoken.
    pub service: String,
    /// Connections.
    pub connections: u64,
    /// Requests out at a time on each connection; absent: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<u32>,
    /// Payload size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Requests on a connection before it is closed; absent: it stays open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_connection: Option<u64>,
    /// Requests per second in total (open loop); absent: closed loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// How requests are spread in the open loop, as `--arrivals` takes it: bursts too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<String>,
    /// Handler work carried in each request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<String>,
    /// Abort plans, as `loadgen --abort` takes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub abort: Vec<String>,
    /// Closed loop: rest of a connection between a reply and its next request, as `--think` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub think: Option<String>,
    /// Open loop whose rate moves over the window, as `--ramp` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<String>,
    /// Open loop at one rate after the other, as `--steps` takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<String>,
    /// Age at which a connection is closed, as `--lifetime` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<String>,
    /// What follows a connection that has ended, as `--reconnect` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconnect: Option<String>,
    /// Connects per second in total, as `--connect-rate` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_rate: Option<String>,
    /// Share of the connections that read slowly, as `--slow-read` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_read: Option<String>,
    /// Share that send slowly, as `--slow-write` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_write: Option<String>,
    /// Share that send a byte at a time, as `--trickle` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trickle: Option<String>,
    /// Share that send half of a request and wait, as `--partial` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
    /// Length of the timed window, where it differs from the plan's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Time>,
}

/// A time as people write it: `250ms`, `1.5s`, `2m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(pub Duration);

impl std::str::FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no time; write 250ms, 1.5s or 2m");
        let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(bad)?;
        let number: f64 = text[..at].parse().map_err(|_| bad())?;
        let seconds = match &text[at..] {
            "us" => number / 1e6,
            "ms" => number / 1e3,
            "s" => number,
            "m" => number * 60.0,
            _ => return Err(bad()),
        };
        if seconds > LONGEST.as_secs_f64() {
            return Err(format!("`{text}` is longer than an hour"));
        }
        Ok(Self(Duration::from_secs_f64(seconds)))
    }
}

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        format!("{}us", time.0.as_micros())
    }
}

fn tcp() -> String {
    Family::Tcp.name().to_owned()
}

fn three() -> u32 {
    3
}

fn one_second() -> Time {
    Time(Duration::from_secs(1))
}

fn quarter_second() -> Time {
    Time(Duration::from_millis(250))
}

/// One scenario with what is needed to run it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// As it stands in records.
    pub scenario: Scenario,
    /// The workload.
    pub workload: Workload,
    /// The service.
    pub kind: Kind,
    /// The family.
    pub family: Family,
}

impl Plan {
    /// Reads a plan from a file; a name of [`SHIPPED`] that is no file here is the plan that comes with the program.
    ///
    /// # Errors
    /// [`PlanError`], one line each.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let shipped = SHIPPED.iter().find(|(name, _)| path == Path::new(name));
        if let Some((_, text)) = shipped.filter(|_| !path.exists()) {
            return Self::parse(text);
        }
        let text = std::fs::read_to_string(path)
            .map_err(|source| PlanError::Read { path: path.display().to_string(), source })?;
        Self::parse(&text)
    }

    /// Reads a plan from text.
    ///
    /// # Errors
    /// [`PlanError`], one line each.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let plan: Self = toml::from_str(text).map_err(|e| PlanError::Parse(one_line(&e, text)))?;
        plan.check()?;
        Ok(plan)
    }

    /// The plan as TOML text.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // A plan that was parsed can be written; an empty text would only cost the report its appendix.
        toml::to_string_pretty(self).unwrap_or_default()
    }

    fn check(&self) -> Result<(), PlanError> {
        let bad = |text: String| Err(PlanError::Value(text));
        if self.trials == 0 || self.trials > 1000 {
            return bad(format!("trials = {} (1 to 1000)", self.trials));
        }
        if self.workloads.is_empty() {
            return bad("it has no [[workload]]".to_owned());
        }
        for (i, w) in self.workloads.iter().enumerate() {
            let same = |o: &Workload| (&o.family, &o.service, &o.name) == (&w.family, &w.service, &w.name);
            if self.workloads[..i].iter().any(same) {
                return bad(format!("two workloads are named `{}`", w.name));
            }
            w.family()?;
            if w.name.is_empty() || !w.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                return bad(format!("workload name `{}` (letters, digits and `-`)", w.name));
            }
            if let Err(error) = w.service.parse::<Kind>() {
                return bad(error.to_string());
            }
            w.check_datagrams()?;
            if w.connections == 0 || w.requests_per_connection == Some(0) {
                return bad(format!("workload `{}` has 0 connections or 0 requests per connection", w.name));
            }
            if w.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
                return bad(format!("workload `{}` has a rate that is not above 0", w.name));
            }
            let length = w.duration.unwrap_or(self.duration);
            if length.0.is_zero() {
                return bad(format!("workload `{}` has a duration of 0", w.name));
            }
            if let Some(refusal) = crate::asked::refusal(w, w.family()?, length.0) {
                return bad(format!("workload `{}`: {refusal}", w.name));
            }
        }
        self.chosen_models().map(|_| ())
    }

    fn chosen_models(&self) -> Result<Vec<&'static Model>, PlanError> {
        let Some(names) = &self.models else { return Ok(MODELS.iter().map(|entry| entry.model).collect()) };
        let known = |name: &String| model_named(name).map(|entry| entry.model).map_err(PlanError::Value);
        names.iter().map(known).collect()
    }

    /// Keeps the services named; an empty list keeps all.
    ///
    /// # Errors
    /// [`PlanError::Value`] for a service that does not exist, [`PlanError::Nothing`] when no workload is left.
    pub fn keep_services(&mut self, services: &[String]) -> Result<(), PlanError> {
        for name in services {
            name.parse::<Kind>().map_err(|e| PlanError::Value(e.to_string()))?;
        }
        if !services.is_empty() {
            self.workloads.retain(|w| services.contains(&w.service));
        }
        if self.workloads.is_empty() {
            return Err(PlanError::Nothing(format!(
                "no workload of the plan speaks {}",
                services.join(" or ")
            )));
        }
        Ok(())
    }

    /// Every scenario, workload by workload, the ones that a model cannot hold included.
    ///
    /// # Errors
    /// [`PlanError::Value`] for an unknown model or service.
    pub fn scenarios(&self) -> Result<Vec<Planned>, PlanError> {
        let models = self.chosen_models()?;
        let mut planned = Vec::new();
        for workload in &self.workloads {
            let kind: Kind = workload
                .service
                .parse()
                .map_err(|e: service::UnknownService| PlanError::Value(e.to_string()))?;
            let family = workload.family()?;
            for model in &models {
                planned.push(Planned {
                    scenario: scenario(model, family, workload),
                    workload: workload.clone(),
                    kind,
                    family,
                });
            }
        }
        Ok(planned)
    }
}

/// The model of that name.
///
/// # Errors
/// One line that names those there are.
pub fn model_named(name: &str) -> Result<&'static Entry, String> {
    servers::model(name)
        .ok_or_else(|| format!("unknown model `{name}`; the models are {}", servers::registry::names()))
}

impl Workload {
    /// What datagrams cannot do is found before the run, not by its generator in each trial.
    fn check_datagrams(&self) -> Result<(), PlanError> {
        let bad = |what: &str| Err(PlanError::Value(format!("workload `{}`: {what}", self.name)));
        if !matches!(self.family()?, Family::Udp | Family::Unixgram) {
            return Ok(());
        }
        if self.service.parse().is_ok_and(|kind: Kind| !kind.in_datagrams()) {
            return bad(&format!("{} needs a stream", self.service));
        }
        if self.abort.iter().any(|rule| !rule.starts_with("after-request:")) {
            return bad("over datagrams, the one abort is after-request:SHARE");
        }
        Ok(())
    }

    fn family(&self) -> Result<Family, PlanError> {
        let found = Family::ALL.into_iter().find(|family| family.name() == self.family);
        found.ok_or_else(|| {
            let names = Family::ALL.map(Family::name).join(", ");
            PlanError::Value(format!("unknown family `{}`; the families are {names}", self.family))
        })
    }
}

fn scenario(model: &Model, family: Family, workload: &Workload) -> Scenario {
    // A connection that is made for each request leaves room for the next: only those that stay open must be held together.
    let stays = workload.requests_per_connection.is_none();
    // Nor does a datagram keep anybody from being served.
    let stays = stays && matches!(family, Family::Tcp | Family::Unix);
    // A slow or mute client keeps its connection, whatever becomes of the others.
    let misfits = [&workload.slow_read, &workload.slow_write, &workload.trickle, &workload.partial];
    let stays = stays || misfits.into_iter().any(Option::is_some);
    let nature = || if stays { model.capacity.refuses(workload.connections) } else { None };
    let (unsupported, lack) = match (model.supports)(family) {
        Support::No(reason) => (Some(format!("does not serve {family}: {reason}")), Lack::Family),
        Support::Yes => match servers::unsupported(model.name) {
            Some(reason) => (Some(format!("on this machine: {reason}")), Lack::Machine),
            None => (nature(), Lack::Nature),
        },
    };
    Scenario {
        id: format!("{}/{family}/{}/{}", model.name, workload.service, workload.name),
        model: model.name.to_owned(),
        family: family.name().to_owned(),
        service: workload.service.clone(),
        workload: workload.name.clone(),
        title: workload.title.clone(),
        unsupported,
        lack,
    }
}

/// A TOML error in one line: where, and what.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let what = error.message().lines().next().unwrap_or_default();
    line.map_or_else(|| what.to_owned(), |line| format!("line {line}: {what}"))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
