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
mod stream;
mod unix;

/// Runs a test body for every model and every stream family, as a test of its own each; `tcp:` or `unix:` in front, for one family.
#[macro_export]
macro_rules! each_model {
    (tcp: $($name:ident),* $(,)?) => { $( mod $name { $crate::each_model!(@ sys::Family::Tcp, super::$name); } )* };
    (unix: $($name:ident),* $(,)?) => { $( mod $name { $crate::each_model!(@ sys::Family::Unix, super::$name); } )* };
    (@ $family:expr, $body:path) => {
        #[test]
        fn iterative() { $crate::fixture::run_on("iterative", $family, $body); }
        #[test]
        fn fork() { $crate::fixture::run_on("fork", $family, $body); }
        #[test]
        fn thread() { $crate::fixture::run_on("thread", $family, $body); }
        #[test]
        fn select() { $crate::fixture::run_on("select", $family, $body); }
        #[test]
        fn epoll() { $crate::fixture::run_on("epoll", $family, $body); }
        #[test]
        fn tasks() { $crate::fixture::run_on("async", $family, $body); }
    };
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            mod tcp { $crate::each_model!(@ sys::Family::Tcp, super::super::$name); }
            mod unix { $crate::each_model!(@ sys::Family::Unix, super::super::$name); }
        }
    )* };
}

#[test]
fn the_suite_covers_the_registry() {
    let names: Vec<&str> = servers::MODELS.iter().map(|entry| entry.model.name).collect();
    assert_eq!(
        names,
        ["iterative", "fork", "thread", "select", "epoll", "async"],
        "add the new model to each_model!"
    );
}
