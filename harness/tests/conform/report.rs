//! Runs tests and prints as libtest does; `--report-time` adds how long each took. Not here: the tests.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A test: a name, and what is wrong if something is.
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) run: Box<dyn FnOnce() -> Result<(), String> + Send>,
}

impl Test {
    pub(crate) fn new(
        name: impl Into<String>,
        run: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// Tests at a time: they wait more than they work.
const AT_A_TIME: usize = 6;

pub(crate) fn run(args: &[String], tests: Vec<Test>) -> ExitCode {
    let (flags, words): (Vec<&String>, Vec<&String>) = args.iter().partition(|a| a.starts_with('-'));
    let all = tests.len();
    let chosen: Vec<Test> = tests
        .into_iter()
        .filter(|t| words.is_empty() || words.iter().any(|w| t.name.contains(w.as_str())))
        .collect();
    if flags.iter().any(|f| *f == "--list") {
        for test in &chosen {
            println!("{}: test", test.name);
        }
        return ExitCode::SUCCESS;
    }
    let timed = flags.iter().any(|f| *f == "--report-time");
    let (count, start) = (chosen.len(), Instant::now());
    println!("\nrunning {count} tests");
    let queue = Mutex::new(VecDeque::from(chosen));
    let failures: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(Test { name, run }) = next else { break };
                    let begun = Instant::now();
                    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
                    match caught.unwrap_or_else(|_| Err("the test panicked".to_owned())) {
                        Ok(()) if timed => {
                            println!("test {name} ... ok <{:.3}s>", begun.elapsed().as_secs_f64())
                        }
                        Ok(()) => println!("test {name} ... ok"),
                        Err(text) => {
                            println!("test {name} ... FAILED");
                            failures.lock().unwrap_or_else(PoisonError::into_inner).push((name, text));
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !failures.is_empty() {
        println!("\nfailures:\n");
        for (name, text) in &failures {
            println!("---- {name} ----\n{text}\n");
        }
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failures.is_empty() { "ok" } else { "FAILED" },
        count - failures.len(),
        failures.len(),
        all - count,
        start.elapsed().as_secs_f64()
    );
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}
