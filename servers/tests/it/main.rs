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
            "thread",
            "rayon-pool",
            "select",
            "epoll",
            "async",
            "async-current",
            "async-per-core",
            "smol",
            "compio"
        ],
        "add the new model to each_model!"
    );
}
