//! The columns about workers: who had how much, what woke them. Not here: the table.

use super::section::{Cell, Column, column, spread};
use crate::format::{NONE, count, rate};
use crate::view::{Evenness, Outcome, Row};

/// Those about sharing out are there where some model has several workers.
pub(super) const WORKERS: &[Column] = &[
    Column {
        when: |r| r.sharing.useful_per_request.span.is_some(),
        ..column(
            "Wake-ups/req",
            "waits of the server that ended with something to do: below 1, one brings several",
            |r| spread(&r.sharing.useful_per_request, rate),
        )
    },
    Column {
        when: |r| r.sharing.spurious_per_connection.median().is_some_and(|v| v > 0.0),
        ..column(
            "In vain/connection",
            "wake-ups that found the listener’s queue empty, per connection: the herd",
            |r| spread(&r.sharing.spurious_per_connection, rate),
        )
    },
    Column {
        when: has_several,
        ..column("Workers", "threads or processes that shared the work", |r| {
            Cell::new(r.sharing.workers.map(|n| n as f64), r.sharing.workers.map_or_else(String::new, count))
        })
    },
    Column {
        when: has_several,
        ..column(
            "Fairness, connections",
            "Jain’s index: 1 even, 1/n one had all; under it the least and the most",
            |r| evenness(&r.sharing.connections),
        )
    },
    Column {
        when: has_several,
        ..column("Fairness, bytes", "the same of the bytes, both ways", |r| evenness(&r.sharing.bytes))
    },
    Column {
        when: |r| !odd_ends(r).is_empty(),
        ..column(
            "Odd ends",
            "connections that ended otherwise than by their peer’s or the service’s last word, all trials",
            |r| {
                let odd = odd_ends(r);
                let all: u64 = odd.iter().map(|(_, n)| n).sum();
                let under: Vec<String> = odd.iter().map(|(why, n)| format!("{why} {}", count(*n))).collect();
                Cell { under: under.join(", "), ..Cell::new(Some(all as f64), count(all)) }
            },
        )
    },
];

/// Whether there is anything to say of a row.
pub(super) fn tells(row: &Row<'_>) -> bool {
    row.outcome == Outcome::Measured && WORKERS.iter().any(|c| (c.when)(row))
}

fn has_several(row: &Row<'_>) -> bool {
    row.sharing.workers.is_some()
}

fn odd_ends<'r>(row: &'r Row<'_>) -> Vec<&'r (String, u64)> {
    row.sharing.ended.iter().filter(|(why, _)| !["finished", "service"].contains(&why.as_str())).collect()
}

fn evenness(of: &Evenness) -> Cell {
    let index = of.index.median();
    let mut cell = Cell::new(index, index.map_or_else(String::new, |v| format!("{v:.3}")));
    if let (Some(least), Some(most)) = (of.least.median(), of.most.median()) {
        cell.under = format!("{}–{} %", percent(least), percent(most));
    }
    cell
}

/// A share as people say it: no more letters than tell.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if !percent.is_finite() {
        NONE.to_owned()
    } else if percent > 0.0 && percent < 9.95 {
        format!("{percent:.1}")
    } else {
        format!("{percent:.0}")
    }
}
