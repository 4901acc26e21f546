//! One model a file. A model states its axes and joins a way of accepting to a driver; a line in the registry makes it known.

pub mod epoll;
pub mod epoll_edge;
pub mod epoll_exclusive;
pub mod epoll_offload;
pub mod epoll_oneshot;
pub mod epoll_reactors;
pub mod epoll_reuseport;
pub mod epoll_shared;
pub mod fork;
pub mod iterative;
pub mod leader_follower;
pub mod poll;
pub mod prefork;
pub mod prefork_fdpass;
pub mod prefork_flock;
pub mod prefork_mutex;
pub mod prefork_reuseport;
pub mod prethread;
pub mod prethread_mutex;
pub mod select;
pub mod tasks;
pub mod thread;
pub mod thread_pool;
pub mod uring;
pub mod uring_multishot;
pub mod uring_reuseport;
