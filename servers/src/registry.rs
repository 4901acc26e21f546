//! The one registry of models: a line here adds a model to the command line, the harness, the conformance suite and the benches.
//! Not here: the models.

use crate::axes::{Axes, Capacity, Support};
use crate::endpoint::{Endpoint, Listeners};
use crate::models;
use service::{Kind, Work};
use std::io;
use sys::Family;

/// A model of the zoo.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// Name on the command line and in ids.
    pub name: &'static str,
    /// Why it exists, in one line.
    pub summary: &'static str,
    /// The text or system it comes from.
    pub origin: &'static str,
    /// The point that it is.
    pub axes: Axes,
    /// How many connections it can hold by nature.
    pub capacity: Capacity,
    /// Which families it serves.
    pub supports: fn(Family) -> Support,
}

impl Model {
    /// Whether it serves `family`; [`supports`](Self::supports) says why not.
    #[must_use]
    pub fn serves(&self, family: Family) -> bool {
        (self.supports)(family) == Support::Yes
    }
}

/// A model with its four monomorphised servers.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What it is.
    pub model: &'static Model,
    /// How many listeners it is given.
    pub listeners: Listeners,
    /// Runs it over streams until it is told to stop.
    pub run: Run,
    /// The same over datagrams, where the model serves them.
    pub datagrams: Option<Run>,
    /// Whether it can run on this machine, found out by trying; else why not. Most can anywhere.
    pub probe: fn() -> Result<(), String>,
}

/// Runs a model with a service and its handler work.
pub type Run = fn(Kind, Option<Work>, Endpoint) -> io::Result<()>;

impl Entry {
    const fn and(self, datagrams: Run) -> Self {
        Self { datagrams: Some(datagrams), ..self }
    }

    /// How it runs at `endpoint`, by its family.
    ///
    /// # Errors
    /// Unsupported, which [`Model::supports`] has told of before.
    pub fn run_at(&self, kind: Kind, work: Option<Work>, endpoint: Endpoint) -> io::Result<()> {
        match (endpoint.url.family, self.datagrams) {
            (Family::Tcp | Family::Unix, _) => (self.run)(kind, work, endpoint),
            (Family::Udp | Family::Unixgram, Some(run)) => run(kind, work, endpoint),
            (Family::Udp | Family::Unixgram, None) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// How a model runs over datagrams, monomorphised for each service that they carry.
macro_rules! grams {
    ($name:ident) => {
        |kind, work, endpoint| match kind {
            Kind::Greeting => models::$name::serve_datagrams(service::greeting::Greeting { work }, endpoint),
            Kind::Echo => models::$name::serve_datagrams(service::echo::Echo { work }, endpoint),
            Kind::Sized => models::$name::serve_datagrams(service::sized::SizedService { work }, endpoint),
            Kind::Http => Err(io::ErrorKind::Unsupported.into()),
        }
    };
}

/// A model for datagrams alone.
macro_rules! only_datagrams {
    ($name:ident) => {
        Entry {
            model: &models::$name::MODEL,
            listeners: Listeners::One,
            run: |_, _, _| Err(io::ErrorKind::Unsupported.into()),
            datagrams: Some(grams!($name)),
            probe: || Ok(()),
        }
    };
}

macro_rules! entry {
    ($name:ident) => {
        entry!($name, listeners: One, probe: || Ok(()))
    };
    ($name:ident, listeners: $listeners:ident) => {
        entry!($name, listeners: $listeners, probe: || Ok(()))
    };
    ($name:ident, probe: $probe:expr) => {
        entry!($name, listeners: One, probe: $probe)
    };
    ($name:ident, listeners: $listeners:ident, probe: $probe:expr) => {
        Entry {
            model: &models::$name::MODEL,
            listeners: Listeners::$listeners,
            run: |kind, work, endpoint| match kind {
                Kind::Greeting => models::$name::serve(service::greeting::Greeting { work }, endpoint),
                Kind::Echo => models::$name::serve(service::echo::Echo { work }, endpoint),
                Kind::Sized => models::$name::serve(service::sized::SizedService { work }, endpoint),
                Kind::Http => models::$name::serve(service::http::Http { work }, endpoint),
            },
            datagrams: None,
            probe: $probe,
        }
    };
}

/// Every model, in the order in which they are listed.
pub static MODELS: [Entry; 37] = [
    entry!(iterative).and(grams!(iterative)),
    entry!(fork).and(grams!(fork)),
    entry!(inetd).and(grams!(inetd)),
    entry!(prefork).and(grams!(prefork)),
    entry!(prefork_flock).and(grams!(prefork_flock)),
    entry!(prefork_mutex).and(grams!(prefork_mutex)),
    entry!(prefork_fdpass),
    entry!(prefork_reuseport, listeners: EachWorker).and(grams!(prefork_reuseport)),
    entry!(thread).and(grams!(thread)),
    entry!(prethread).and(grams!(prethread)),
    entry!(prethread_mutex).and(grams!(prethread_mutex)),
    entry!(thread_pool).and(grams!(thread_pool)),
    entry!(leader_follower).and(grams!(leader_follower)),
    entry!(rayon_pool).and(grams!(rayon_pool)),
    entry!(select).and(grams!(select)),
    entry!(poll).and(grams!(poll)),
    entry!(sigio).and(grams!(sigio)),
    entry!(epoll).and(grams!(epoll)),
    entry!(epoll_edge).and(grams!(epoll_edge)),
    entry!(epoll_oneshot).and(grams!(epoll_oneshot)),
    entry!(epoll_reactors).and(grams!(epoll_reactors)),
    entry!(epoll_shared).and(grams!(epoll_shared)),
    entry!(epoll_exclusive).and(grams!(epoll_exclusive)),
    entry!(epoll_reuseport, listeners: EachWorker).and(grams!(epoll_reuseport)),
    entry!(epoll_offload).and(grams!(epoll_offload)),
    entry!(coroutine),
    entry!(tasks).and(grams!(tasks)),
    entry!(async_current).and(grams!(async_current)),
    entry!(async_per_core).and(grams!(async_per_core)),
    entry!(smol).and(grams!(smol)),
    entry!(uring, probe: sys::uring::probe).and(grams!(uring)),
    entry!(uring_multishot, probe: sys::uring::probe).and(grams!(uring_multishot)),
    entry!(uring_reuseport, listeners: EachWorker, probe: sys::uring::probe).and(grams!(uring_reuseport)),
    entry!(compio, probe: models::compio::probe).and(grams!(compio)),
    only_datagrams!(dgram_batched),
    only_datagrams!(dgram_gso),
    only_datagrams!(dgram_connected),
];

/// The model of that name.
#[must_use]
pub fn model(name: &str) -> Option<&'static Entry> {
    MODELS.iter().find(|entry| entry.model.name == name)
}

/// Why the model of that name cannot run on this machine, if so.
#[must_use]
pub fn unsupported(name: &str) -> Option<String> {
    model(name).and_then(|entry| (entry.probe)().err())
}

/// The names of all models, for messages.
#[must_use]
pub fn names() -> String {
    MODELS.iter().map(|entry| entry.model.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for entry in &MODELS {
            assert_eq!(MODELS.iter().filter(|e| e.model.name == entry.model.name).count(), 1);
            assert_eq!(model(entry.model.name).unwrap().model.name, entry.model.name);
        }
        assert!(model("nonesuch").is_none());
    }
}
