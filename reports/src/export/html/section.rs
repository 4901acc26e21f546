//! One workload of the page: its plots and its two tables. Not here: the sentences, which the view makes.

use super::over_time::{OverTime, over_time};
use super::workers::{WORKERS, tells};
use super::{Badge, mark_of};
use crate::error::Result;
use crate::format::{NONE, bytes, count, duration, percent, range, rate, short};
use crate::plot::axis::{binary_step, decimal_step, tick_bytes, tick_duration};
use crate::plot::canvas::{Canvas, HUES};
use crate::plot::dots::{self, Quantity};
use crate::plot::percentiles::{self, NARROW, WIDE};
use crate::view::{Conduct, Measure, Model, Outcome, Row, Workload, state_word};

/// A workload as the template sees it.
pub(super) struct Section {
    pub(super) anchor: String,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) id: String,
    pub(super) loop_note: String,
    pub(super) findings: Vec<String>,
    /// The plot of percentiles for a wide page and for a phone.
    pub(super) percentiles: Option<(String, String)>,
    pub(super) figures: Vec<Figure>,
    pub(super) over_time: Vec<OverTime>,
    pub(super) tables: Vec<Sheet>,
}

/// A plot with its caption.
pub(super) struct Figure {
    pub(super) caption: &'static str,
    pub(super) note: &'static str,
    pub(super) svg: String,
}

/// A table.
pub(super) struct Sheet {
    pub(super) caption: &'static str,
    /// Whether the cases held are counted in a column; a failed model is marked in any case.
    pub(super) conformance: bool,
    pub(super) heads: Vec<(&'static str, &'static str)>,
    pub(super) rows: Vec<Line>,
}

/// A row of a table.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) hue: usize,
    pub(super) mark: &'static str,
    pub(super) badge: Badge,
    pub(super) failed: bool,
    pub(super) state: &'static str,
    pub(super) trials: String,
    pub(super) reasons: String,
    /// Why there are no numbers, in the place of the cells.
    pub(super) absent: Option<String>,
    pub(super) cells: Vec<Cell>,
}

/// A cell of a table.
pub(super) struct Cell {
    pub(super) text: String,
    /// Lesser text under it: the span of the trials.
    pub(super) under: String,
    /// What it is sorted by; empty sorts last.
    pub(super) sort: String,
    pub(super) bad: bool,
}

/// A column: its head, what it means, when a workload has it at all, and its cell.
pub(super) struct Column {
    pub(super) head: &'static str,
    pub(super) tip: &'static str,
    pub(super) when: fn(&Row<'_>) -> bool,
    pub(super) cell: fn(&Row<'_>) -> Cell,
}

/// A column that every workload has.
pub(super) const fn column(head: &'static str, tip: &'static str, cell: fn(&Row<'_>) -> Cell) -> Column {
    Column { head, tip, when: |_| true, cell }
}

const SPEED: &[Column] = &[
    column("Rank", "equal where trials overlap; needs 3 trials", |r| {
        Cell::new(r.rank.map(|v| v as f64), r.rank.map_or_else(String::new, |v| v.to_string()))
    }),
    column("Requests/s", "replies completed in a second: median, min–max of trials", |r| {
        spread(&r.throughput_per_s, rate)
    }),
    column("CPU/request", "server’s user + system time: median, min–max", |r| {
        spread(&r.cpu_ns, duration)
    }),
    column("p50", "merged over trials, from the intended send time", |r| time_cell(r.latency.p50)),
    column("p90", "merged over trials", |r| time_cell(r.latency.p90)),
    column("p99", "merged over trials", |r| time_cell(r.latency.p99)),
    column("p99.9", "merged over trials; withheld under 100 values above", |r| time_cell(r.latency.p99_9)),
    column("Max", "the single slowest request: an anecdote", |r| time_cell(r.latency.max)),
    column("Service p99", "from the actual send, without waiting for a connection", |r| {
        time_cell(r.service.p99)
    }),
];

const COST: &[Column] = &[
    Column {
        when: |r| r.loss.span.is_some(),
        ..column("Loss", "share of the datagrams that were never answered: median, min–max", |r| {
            spread(&r.loss, percent)
        })
    },
    column("Peak RSS", "of the process tree; shared pages counted in each process", |r| {
        spread(&r.rss_bytes, bytes)
    }),
    Column {
        when: |r| r.per_connection_bytes.span.is_some(),
        ..column("Per connection", "beyond the idle server, user memory only", |r| {
            spread(&r.per_connection_bytes, bytes)
        })
    },
    column("Switches/req", "context switches, both kinds", |r| spread(&r.switches, rate)),
    column("Threads", "most at a time", |r| whole(r.threads)),
    column("Processes", "most at a time", |r| whole(r.processes)),
    column("Lost", "requests that failed or were never answered, all trials", |r| {
        loss(r.counts.failed + r.counts.unanswered, &r.counts.errors)
    }),
    Column {
        when: |r| r.counts.aborts_planned > 0,
        ..column("Aborts", "closed abruptly by the client, as planned", |r| {
            Cell::new(Some(r.counts.aborts_done as f64), count(r.counts.aborts_done))
        })
    },
    Column {
        when: |r| r.counts.aborts_planned > 0 || r.counts.collateral > 0,
        ..column("Collateral", "errors on connections left in peace while others were aborted", |r| {
            loss(r.counts.collateral, &[])
        })
    },
    column("Turned away", "connections that the listener dropped, its queue being full", |r| {
        r.counts.listen_overflows.map_or_else(|| whole(None), |v| loss(v, &[]))
    }),
    column("Faults", "the server’s own", faults),
];

const RATE: Quantity = Quantity {
    name: "Requests per second",
    of: |r| &r.throughput_per_s,
    say: rate,
    tick: short,
    step: decimal_step,
};
const CPU: Quantity = Quantity {
    name: "CPU time per request",
    of: |r| &r.cpu_ns,
    say: duration,
    tick: tick_duration,
    step: decimal_step,
};
const RSS: Quantity = Quantity {
    name: "Peak resident memory",
    of: |r| &r.rss_bytes,
    say: bytes,
    tick: tick_bytes,
    step: binary_step,
};
const PER_CONNECTION: Quantity = Quantity {
    name: "Memory per connection",
    of: |r| &r.per_connection_bytes,
    say: bytes,
    tick: tick_bytes,
    step: binary_step,
};

/// The plots of quantities: caption, note, quantity.
const FIGURES: &[(&str, &str, &Quantity)] = &[
    ("Requests per second", "more is better", &RATE),
    ("Server CPU time per request", "less is better", &CPU),
    ("Peak resident memory", "less is better", &RSS),
    ("Memory per open connection", "less is better", &PER_CONNECTION),
];

impl Section {
    pub(super) fn new(number: usize, workload: &Workload<'_>, models: &[Model<'_>]) -> Result<Self> {
        let mut figures = Vec::new();
        for (caption, note, quantity) in FIGURES {
            if let Some(svg) = dots::draw(workload, models, quantity)? {
                let given = workload.offered_per_s.is_some() && quantity.name == RATE.name;
                let note = if given { "the rate is given: less means not kept up" } else { note };
                figures.push(Figure { caption, note, svg });
            }
        }
        Ok(Self {
            anchor: format!("w{number}"),
            name: workload.name.to_owned(),
            title: sentence(workload.title),
            id: workload.id.clone(),
            loop_note: loop_note(workload),
            findings: workload.findings.clone(),
            percentiles: both_widths(workload, models)?,
            figures,
            over_time: over_time(workload, models)?,
            tables: tables(workload, models),
        })
    }
}

fn sentence(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn loop_note(workload: &Workload<'_>) -> String {
    match workload.offered_per_s {
        Some(offered) => format!(
            "Open loop: {} requests a second are due whatever the server does, and latency counts from the moment each was due.",
            rate(offered)
        ),
        None if workload.closed => "Closed loop: a client sends again only after its reply, so a slow server is asked less often. Throughput is the result; latency here is mostly its inverse.".to_owned(),
        None => String::new(),
    }
}

fn both_widths(workload: &Workload<'_>, models: &[Model<'_>]) -> Result<Option<(String, String)>> {
    let label = format!("Latency by percentile, one line a model: {}", workload.title);
    let frames = [WIDE, NARROW].map(|f| f.with_labels(workload.measured().count()));
    let [mut wide, mut narrow] = frames.map(|f| Canvas::new(f.width, f.height));
    let drawn = percentiles::draw(workload, models, frames[0], &mut wide)?
        && percentiles::draw(workload, models, frames[1], &mut narrow)?;
    Ok(drawn.then(|| (wide.finish("wide", &label), narrow.finish("narrow", &label))))
}

fn tables(workload: &Workload<'_>, models: &[Model<'_>]) -> Vec<Sheet> {
    let mut tables = vec![
        sheet("Speed", SPEED, workload, models, |_| true),
        sheet("What it took, and what went wrong", COST, workload, models, |_| true),
    ];
    if workload.rows.iter().any(tells) {
        tables.push(sheet("What woke the workers, and how they shared", WORKERS, workload, models, tells));
    }
    tables
}

fn sheet(
    caption: &'static str,
    columns: &[Column],
    workload: &Workload<'_>,
    models: &[Model<'_>],
    which: fn(&Row<'_>) -> bool,
) -> Sheet {
    let rows = || workload.rows.iter().filter(|row| which(row));
    let columns: Vec<&Column> = columns.iter().filter(|c| rows().any(c.when)).collect();
    Sheet {
        caption,
        conformance: columns.iter().any(|c| c.head == "Rank"),
        heads: columns.iter().map(|c| (c.head, c.tip)).collect(),
        rows: rows().map(|r| line(r, &columns, models)).collect(),
    }
}

fn line(row: &Row<'_>, columns: &[&Column], models: &[Model<'_>]) -> Line {
    let tally = row.tally();
    let counted = tally.valid + tally.suspect;
    let planned = tally.total().max(row.planned as usize);
    let (state, trials, absent) = match &row.outcome {
        Outcome::Measured => (state_word(tally.state()), format!("{counted} of {planned}"), None),
        Outcome::CannotHold(lack, reason) => {
            ("n/a", String::new(), Some(format!("{}: {reason}", lack.word())))
        }
        Outcome::NotRun => ("not run", String::new(), Some("not run: the run ended before".to_owned())),
        Outcome::NoneCounts => ("invalid", format!("0 of {planned}"), None),
    };
    let model = models.get(row.model);
    let conduct = model.map_or(Conduct::Unchecked, |m| m.conduct(&row.scenario.service));
    Line {
        name: model.map_or_else(String::new, |m| m.name.to_owned()),
        hue: row.model % HUES,
        mark: mark_of(row.model),
        badge: Badge::short(&conduct),
        failed: matches!(conduct, Conduct::Failed(..)),
        state,
        trials,
        reasons: row.reasons().join("; "),
        absent,
        cells: columns.iter().map(|c| (c.cell)(row)).collect(),
    }
}

impl Cell {
    pub(super) fn new(sort: Option<f64>, text: String) -> Self {
        let text = if text.is_empty() { NONE.to_owned() } else { text };
        Self {
            text,
            under: String::new(),
            sort: sort.map_or_else(String::new, |v| v.to_string()),
            bad: false,
        }
    }
}

pub(super) fn spread(measure: &Measure, say: fn(f64) -> String) -> Cell {
    let mut cell = Cell::new(measure.median(), measure.median().map_or_else(String::new, say));
    if let Some(span) = measure.span.filter(|s| s.trials > 1) {
        cell.under = range(span.min, span.max, say);
    }
    cell
}

fn time_cell(value: Option<u64>) -> Cell {
    Cell::new(value.map(|v| v as f64), value.map_or_else(String::new, |v| duration(v as f64)))
}

fn whole(value: Option<u64>) -> Cell {
    Cell::new(value.map(|v| v as f64), value.map_or_else(String::new, count))
}

fn loss(value: u64, causes: &[(String, u64)]) -> Cell {
    let under: Vec<String> =
        causes.iter().take(3).map(|(cause, n)| format!("{cause} {}", count(*n))).collect();
    Cell { bad: value > 0, under: under.join(", "), ..Cell::new(Some(value as f64), count(value)) }
}

fn faults(row: &Row<'_>) -> Cell {
    let list = row.fault_list();
    Cell {
        bad: !list.is_empty(),
        ..Cell::new(
            Some(list.len() as f64),
            if list.is_empty() { "none".to_owned() } else { list.join("; ") },
        )
    }
}
