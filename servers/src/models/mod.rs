//! One model a file. A model states its axes and joins a way of accepting to a driver; a line in the registry makes it known.

pub mod async_current;
pub mod async_per_core;
pub mod compio;
pub mod epoll;
pub mod fork;
pub mod inetd;
pub mod iterative;
pub mod rayon_pool;
pub mod select;
pub mod smol;
pub mod tasks;
pub mod thread;
