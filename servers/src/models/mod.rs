//! One model a file. A model states its axes and joins a way of accepting to a driver; a line in the registry makes it known.

pub mod epoll;
pub mod fork;
pub mod iterative;
pub mod prefork;
pub mod select;
pub mod tasks;
pub mod thread;
