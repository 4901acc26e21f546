//! One suite over all models, against real processes. Not here: the conformance cases, which know nothing of our models.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    missing_docs,
    reason = "a test says what went wrong by failing"
)]

mod cli;
mod compio;
mod fixture;
mod inetd;
mod lifecycle;
mod limits;
mod pools;
mod stream;
mod topology;
mod uring;

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
            fn inetd() { super::$name("inetd"); }
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
            fn poll() { super::$name("poll"); }
            #[test]
            fn epoll() { super::$name("epoll"); }
            #[test]
            fn epoll_edge() { super::$name("epoll-et"); }
            #[test]
            fn epoll_oneshot() { super::$name("epoll-oneshot"); }
            #[test]
            fn epoll_reactors() { super::$name("epoll-reactors"); }
            #[test]
            fn epoll_shared() { super::$name("epoll-shared"); }
            #[test]
            fn epoll_exclusive() { super::$name("epoll-exclusive"); }
            #[test]
            fn epoll_reuseport() { super::$name("epoll-reuseport"); }
            #[test]
            fn epoll_offload() { super::$name("epoll-offload"); }
            #[test]
            fn tasks() { super::$name("async"); }
            #[test]
            fn async_current() { super::$name("async-current"); }
            #[test]
            fn async_per_core() { super::$name("async-per-core"); }
            #[test]
            fn smol() { super::$name("smol"); }
            #[test]
            fn uring() { $crate::where_it_runs("uring", super::$name); }
            #[test]
            fn uring_multishot() { $crate::where_it_runs("uring-multishot", super::$name); }
            #[test]
            fn uring_reuseport() { $crate::where_it_runs("uring-reuseport", super::$name); }
            #[test]
            fn compio() { $crate::where_it_runs("compio", super::$name); }
            #[test]
            fn rayon_pool() { super::$name("rayon-pool"); }
        }
    )* };
}

/// Runs a test of a model that does not run on every machine; where it does not, says so and why.
pub(crate) fn where_it_runs(model: &str, test: fn(&str)) {
    match servers::unsupported(model) {
        None => test(model),
        Some(reason) => fixture::aloud(&format!("SKIPPED: {model}: {reason}")),
    }
}

#[test]
fn the_suite_covers_the_registry() {
    let names: Vec<&str> = servers::MODELS.iter().map(|entry| entry.model.name).collect();
    assert_eq!(
        names,
        [
            "iterative",
            "fork",
            "inetd",
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
            "rayon-pool",
            "select",
            "poll",
            "epoll",
            "epoll-et",
            "epoll-oneshot",
            "epoll-reactors",
            "epoll-shared",
            "epoll-exclusive",
            "epoll-reuseport",
            "epoll-offload",
            "async",
            "async-current",
            "async-per-core",
            "smol",
            "uring",
            "uring-multishot",
            "uring-reuseport",
            "compio"
        ],
        "add the new model to each_model!"
    );
}
