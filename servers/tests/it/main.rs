//! One suite over all models, against real processes. Not here: the conformance cases, which know nothing of our models.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    missing_docs,
    reason = "a test says what went wrong by failing"
)]

mod bounds;
mod cli;
mod clients;
mod compio;
mod counters;
mod datagram;
mod datagram_life;
mod datagram_peers;
mod fixture;
mod inetd;
mod ipv6;
mod lifecycle;
mod limits;
mod pools;
mod sigio;
mod stream;
mod topology;
mod unix;
mod uring;

/// Runs a test body for every model and every stream family that it serves, as a test of its own each; `tcp:` or `unix:` in front, for
/// one family.
#[macro_export]
macro_rules! each_model {
    (tcp: $($name:ident),* $(,)?) => { $( mod $name { $crate::each_model!(@tcp super::$name); } )* };
    (unix: $($name:ident),* $(,)?) => { $( mod $name { $crate::each_model!(@streams sys::Family::Unix, super::$name); } )* };
    (@tcp $body:path) => {
        $crate::each_model!(@streams sys::Family::Tcp, $body);
        $crate::each_model!(@by_port sys::Family::Tcp, $body);
    };
    (@streams $family:expr, $body:path) => {
        #[test]
        fn iterative() { $crate::fixture::run_on("iterative", $family, $body); }
        #[test]
        fn fork() { $crate::fixture::run_on("fork", $family, $body); }
        #[test]
        fn prefork() { $crate::fixture::run_on("prefork", $family, $body); }
        #[test]
        fn prefork_flock() { $crate::fixture::run_on("prefork-flock", $family, $body); }
        #[test]
        fn prefork_mutex() { $crate::fixture::run_on("prefork-mutex", $family, $body); }
        #[test]
        fn prefork_fdpass() { $crate::fixture::run_on("prefork-fdpass", $family, $body); }
        #[test]
        fn thread() { $crate::fixture::run_on("thread", $family, $body); }
        #[test]
        fn prethread() { $crate::fixture::run_on("prethread", $family, $body); }
        #[test]
        fn prethread_mutex() { $crate::fixture::run_on("prethread-mutex", $family, $body); }
        #[test]
        fn thread_pool() { $crate::fixture::run_on("thread-pool", $family, $body); }
        #[test]
        fn leader_follower() { $crate::fixture::run_on("leader-follower", $family, $body); }
        #[test]
        fn rayon_pool() { $crate::fixture::run_on("rayon-pool", $family, $body); }
        #[test]
        fn select() { $crate::fixture::run_on("select", $family, $body); }
        #[test]
        fn poll() { $crate::fixture::run_on("poll", $family, $body); }
        #[test]
        fn sigio() { $crate::fixture::run_on("sigio", $family, $body); }
        #[test]
        fn epoll() { $crate::fixture::run_on("epoll", $family, $body); }
        #[test]
        fn epoll_edge() { $crate::fixture::run_on("epoll-et", $family, $body); }
        #[test]
        fn epoll_oneshot() { $crate::fixture::run_on("epoll-oneshot", $family, $body); }
        #[test]
        fn epoll_reactors() { $crate::fixture::run_on("epoll-reactors", $family, $body); }
        #[test]
        fn epoll_shared() { $crate::fixture::run_on("epoll-shared", $family, $body); }
        #[test]
        fn epoll_exclusive() { $crate::fixture::run_on("epoll-exclusive", $family, $body); }
        #[test]
        fn epoll_offload() { $crate::fixture::run_on("epoll-offload", $family, $body); }
        #[test]
        fn coroutine() { $crate::fixture::run_on("coroutine", $family, $body); }
        #[test]
        fn tasks() { $crate::fixture::run_on("async", $family, $body); }
        #[test]
        fn async_current() { $crate::fixture::run_on("async-current", $family, $body); }
        #[test]
        fn inetd() { $crate::fixture::run_on("inetd", $family, $body); }
        #[test]
        fn async_per_core() { $crate::fixture::run_on("async-per-core", $family, $body); }
        #[test]
        fn smol() { $crate::fixture::run_on("smol", $family, $body); }
        #[test]
        fn uring() { $crate::fixture::run_on("uring", $family, $body); }
        #[test]
        fn uring_multishot() { $crate::fixture::run_on("uring-multishot", $family, $body); }
        #[test]
        fn compio() { $crate::fixture::run_on("compio", $family, $body); }
    };
    (@by_port $family:expr, $body:path) => {
        #[test]
        fn prefork_reuseport() { $crate::fixture::run_on("prefork-reuseport", $family, $body); }
        #[test]
        fn epoll_reuseport() { $crate::fixture::run_on("epoll-reuseport", $family, $body); }
        #[test]
        fn uring_reuseport() { $crate::fixture::run_on("uring-reuseport", $family, $body); }
    };
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            mod tcp { $crate::each_model!(@tcp super::super::$name); }
            mod unix { $crate::each_model!(@streams sys::Family::Unix, super::super::$name); }
        }
    )* };
}

/// Runs a test of a model that does not run on every machine; where it does not, says so and why.
pub(crate) fn where_it_runs(model: &'static str, test: fn(&'static str)) {
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
            "sigio",
            "epoll",
            "epoll-et",
            "epoll-oneshot",
            "epoll-reactors",
            "epoll-shared",
            "epoll-exclusive",
            "epoll-reuseport",
            "epoll-offload",
            "coroutine",
            "async",
            "async-current",
            "async-per-core",
            "smol",
            "uring",
            "uring-multishot",
            "uring-reuseport",
            "compio",
            "dgram-batched",
            "dgram-gso",
            "dgram-connected"
        ],
        "add the new model to each_model!, or to each_datagram_model!"
    );
    let by_port: Vec<&str> = servers::MODELS
        .iter()
        .filter(|entry| entry.model.serves(sys::Family::Tcp))
        .filter(|entry| !entry.model.serves(sys::Family::Unix))
        .map(|entry| entry.model.name)
        .collect();
    assert_eq!(
        by_port,
        ["prefork-reuseport", "epoll-reuseport", "uring-reuseport"],
        "keep @streams and @by_port of each_model! in step"
    );
}
