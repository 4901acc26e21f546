//! One model a file. A model states its axes and joins a way of accepting to a driver; a line in the registry makes it known.

pub mod epoll;
pub mod fork;
pub mod iterative;
pub mod select;
pub mod tasks;
pub mod thread;
pub mod uring;
pub mod uring_multishot;
pub mod uring_reuseport;
