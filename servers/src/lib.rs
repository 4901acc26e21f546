//! The zoo: interchangeable servers, one concurrency model a file in [`models`], over the shared connection drivers in [`drive`].
//! Not here: what is said (crate `service`), system calls (crate `sys`), measuring (crate `harness`).

pub mod axes;
pub mod cli;
pub mod counters;
pub mod drive;
pub mod endpoint;
pub mod models;
pub mod registry;

pub use axes::{Axes, Capacity, Support};
pub use cli::main;
pub use endpoint::{Endpoint, Handler, Listeners, Options};
pub use registry::{MODELS, Model, model, unsupported};
