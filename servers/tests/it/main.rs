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
mod inetd;
mod lifecycle;
mod limits;
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
            fn inetd() { super::$name("inetd"); }
            #[test]
            fn thread() { super::$name("thread"); }
            #[test]
            fn select() { super::$name("select"); }
            #[test]
            fn epoll() { super::$name("epoll"); }
            #[test]
            fn tasks() { super::$name("async"); }
            #[test]
            fn async_current() { super::$name("async-current"); }
            #[test]
            fn async_per_core() { super::$name("async-per-core"); }
            #[test]
            fn smol() { super::$name("smol"); }
            #[test]
            fn rayon_pool() { super::$name("rayon-pool"); }
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
            "inetd",
            "thread",
            "rayon-pool",
            "select",
            "epoll",
            "async",
            "async-current",
            "async-per-core",
            "smol"
        ],
        "add the new model to each_model!"
    );
}
