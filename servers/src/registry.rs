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

/// A model with its four monomorphised servers.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What it is.
    pub model: &'static Model,
    /// How many listeners it is given.
    pub listeners: Listeners,
    /// Runs it until it is told to stop.
    pub run: fn(Kind, Option<Work>, Endpoint) -> io::Result<()>,
    /// Whether it can run on this machine, found out by trying; else why not. Most can anywhere.
    pub probe: fn() -> Result<(), String>,
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
            probe: $probe,
        }
    };
}

/// Every model, in the order in which they are listed.
pub static MODELS: [Entry; 33] = [
    entry!(iterative),
    entry!(fork),
    entry!(inetd),
    entry!(prefork),
    entry!(prefork_flock),
    entry!(prefork_mutex),
    entry!(prefork_fdpass),
    entry!(prefork_reuseport, listeners: EachWorker),
    entry!(thread),
    entry!(prethread),
    entry!(prethread_mutex),
    entry!(thread_pool),
    entry!(leader_follower),
    entry!(rayon_pool),
    entry!(select),
    entry!(poll),
    entry!(sigio),
    entry!(epoll),
    entry!(epoll_edge),
    entry!(epoll_oneshot),
    entry!(epoll_reactors),
    entry!(epoll_shared),
    entry!(epoll_exclusive),
    entry!(epoll_reuseport, listeners: EachWorker),
    entry!(epoll_offload),
    entry!(tasks),
    entry!(async_current),
    entry!(async_per_core),
    entry!(smol),
    entry!(uring, probe: sys::uring::probe),
    entry!(uring_multishot, probe: sys::uring::probe),
    entry!(uring_reuseport, listeners: EachWorker, probe: sys::uring::probe),
    entry!(compio, probe: models::compio::probe),
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
