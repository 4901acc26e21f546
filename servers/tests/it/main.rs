//! One suite over all models, against real processes. Not here: the conformance cases, which know nothing of our models.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    missing_docs,
    reason = "a test says what went wrong by failing"
)]

mod cli;
mod fixture;
mod lifecycle;
mod limits;
mod pools;
mod stream;

/// Runs a test body for every model, as a test of its own each.
#[macro_export]
macro_rules! each_model {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            #[test]
            fn iterative() { super::$name("iterative"); }
            #[test]
            fn fork() { super::$name("fork"); }
            #[test]
            fn prefork() { super::$name("prefork"); }
            #[test]
            fn prefork_flock() { super::$name("prefork-flock"); }
            #[test]
            fn prefork_mutex() { super::$name("prefork-mutex"); }
            #[test]
            fn prefork_fdpass() { super::$name("prefork-fdpass"); }
            #[test]
            fn prefork_reuseport() { super::$name("prefork-reuseport"); }
            #[test]
            fn thread() { super::$name("thread"); }
            #[test]
            fn prethread() { super::$name("prethread"); }
            #[test]
            fn prethread_mutex() { super::$name("prethread-mutex"); }
            #[test]
            fn thread_pool() { super::$name("thread-pool"); }
            #[test]
            fn leader_follower() { super::$name("leader-follower"); }
            #[test]
            fn select() { super::$name("select"); }
            #[test]
            fn epoll() { super::$name("epoll"); }
            #[test]
            fn tasks() { super::$name("async"); }
        }
    )* };
}

#[test]
fn the_suite_covers_the_registry() {
    let names: Vec<&str> = servers::MODELS.iter().map(|entry| entry.model.name).collect();
    assert_eq!(
        names,
        [
            "iterative",
            "fork",
            "prefork",
            "prefork-flock",
            "prefork-mutex",
            "prefork-fdpass",
            "prefork-reuseport",
            "thread",
            "prethread",
            "prethread-mutex",
            "thread-pool",
            "leader-follower",
            "select",
            "epoll",
            "async"
        ],
        "add the new model to each_model!"
    );
}
