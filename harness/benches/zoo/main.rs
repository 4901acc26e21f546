//! The zoo beside others of its kind: twins without the sans-IO service, C programs, tokio's and liburing's examples, nginx. Processor time
//! per request and throughput, in one run and in turns, as ratios. Not here: absolute figures to rely on (another machine has others),
//! and what is shown of all models side by side (see `harness run`).
//!
//! `cargo bench --bench zoo -- [--quick] [--list] [--rounds N] [--window MS] [WORD…]`; a word chooses the rows whose name holds it.
#![allow(clippy::expect_used, reason = "a bench that cannot run says why by failing")]

mod measure;
mod rows;
mod sides;
mod table;

#[allow(dead_code, reason = "each bench uses a part of it")]
#[path = "../support/mod.rs"]
mod support;

use clap::Parser;
use rows::Row;
use std::io::Write as _;
use std::time::Duration;
use table::Pair;

/// Compares models with other servers of their kind.
#[derive(Debug, Parser)]
struct Options {
    /// Rows whose name holds one of these words [default: all]
    words: Vec<String>,
    /// Two short rounds: proof that it runs, no measurement
    #[arg(long)]
    quick: bool,
    /// Names the rows and ends
    #[arg(long)]
    list: bool,
    /// Pairs of observations a row
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Length of an observation in milliseconds, after a warm-up of a third
    #[arg(long, default_value_t = 300)]
    window: u64,
    /// What cargo passes
    #[arg(long, hide = true)]
    bench: bool,
    /// What `cargo test --benches` passes: a proof that it starts
    #[arg(long, hide = true)]
    test: bool,
}

fn main() {
    if support::twins::serve_if_asked() {
        return;
    }
    let options = Options::parse();
    let chosen = |row: &Row| {
        let name = row.name();
        options.words.is_empty() || options.words.iter().any(|word| name.contains(word.as_str()))
    };
    let rows: Vec<Row> = rows::all().into_iter().filter(chosen).collect();
    if options.list {
        let mut out = std::io::stdout().lock();
        rows.iter().for_each(|row| drop(writeln!(out, "{}", row.name())));
    }
    if options.list || options.test {
        return;
    }
    let (rounds, window) = if options.quick { (2, 100) } else { (options.rounds.max(1), options.window) };
    run(&rows, rounds, Duration::from_millis(window));
}

/// All rows in each round, the two sides of a row one after the other, who is first in turn.
fn run(rows: &[Row], rounds: usize, window: Duration) {
    let workshop = sides::Workshop::open(rows);
    let mut err = std::io::stderr();
    let mut results: Vec<Vec<Pair>> = rows.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for (row, pairs) in rows.iter().zip(&mut results) {
            if workshop.misses(row).is_some() {
                continue;
            }
            let observe = |side| measure::observe(&workshop, side, &row.load, window);
            let pair = if round % 2 == 0 {
                let ours = observe(&row.ours);
                (ours, observe(&row.other))
            } else {
                let other = observe(&row.other);
                (observe(&row.ours), other)
            };
            match pair {
                (Ok(ours), Ok(other)) => pairs.push(Pair { ours, other }),
                (Err(why), _) | (_, Err(why)) => {
                    let _ = writeln!(err, "LOST: {}, round {}: {why}", row.name(), round + 1);
                }
            }
        }
        let _ = writeln!(err, "round {} of {rounds} is done", round + 1);
    }
    for row in rows {
        if let Some(why) = workshop.misses(row) {
            let _ = writeln!(err, "SKIPPED: {}: {why}", row.name());
        }
    }
    let _ = write!(std::io::stdout().lock(), "{}", table::markdown(rows, &results));
}
