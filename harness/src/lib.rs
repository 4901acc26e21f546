//! Plans, processes, observation, conformance, experiments: the door to everything. Not here: the models, the load, the drawing.

pub mod asked;
pub mod cgroup;
pub mod cli;
pub mod conform;
pub mod counting;
pub mod cpus;
pub mod interrupt;
pub mod list;
pub mod machine;
pub mod observe;
pub mod order;
pub mod output;
pub mod plan;
pub mod progress;
pub mod run;
pub mod spawn;
pub mod trial;
