//! The table for a terminal. Not here: deciding whether the output is one.

use crate::format::{NONE, bytes, count, duration, percent, plain, range, rate};
use crate::view::{Conduct, Measure, Outcome, Row, View, Workload};
use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use record::VerdictState;

/// A column: its head, what it says of a row, and how soon it is given up where the terminal is narrow: the least first. One that says
/// nothing of any row is left out.
struct Column {
    head: &'static str,
    worth: u8,
    text: fn(&Row<'_>) -> String,
}

/// The columns in their order. The model stands before them, its conformance and validity behind them, at every width.
const COLUMNS: &[Column] = &[
    Column { head: "req/s", worth: 10, text: |r| median(&r.throughput_per_s, rate) },
    Column { head: "min–max", worth: 3, text: |r| span(&r.throughput_per_s, rate) },
    Column { head: "CPU/req", worth: 7, text: |r| median(&r.cpu_ns, duration) },
    Column { head: "p50", worth: 8, text: |r| latency(r.latency.p50) },
    Column { head: "p99", worth: 9, text: |r| latency(r.latency.p99) },
    Column { head: "p99.9", worth: 5, text: |r| latency(r.latency.p99_9) },
    Column { head: "peak RSS", worth: 4, text: |r| median(&r.rss_bytes, bytes) },
    Column { head: "/conn", worth: 2, text: |r| median(&r.per_connection_bytes, bytes) },
    Column { head: "csw/req", worth: 1, text: |r| median(&r.switches, rate) },
    Column { head: "fair", worth: 0, text: |r| fairness(r) },
    Column { head: "loss", worth: 6, text: |r| median(&r.loss, percent) },
    Column { head: "errors", worth: 6, text: |r| count(r.counts.failed + r.counts.unanswered) },
];

/// Renders the view for `width` columns; ends with a newline.
#[must_use]
pub fn render(view: &View<'_>, width: usize, color: bool) -> String {
    let width = width.clamp(40, 400);
    let mut text = String::new();
    if view.run.cut_short {
        text.push_str("CUT SHORT: the run was interrupted; what was measured is shown.\n\n");
    }
    for workload in &view.workloads {
        wrap(&mut text, &format!("{}  ({})", plain(workload.title), plain(&workload.id)), width, "  ");
        text.push_str(&table(workload, view, width));
        text.push('\n');
        for row in &workload.rows {
            for note in notes(row) {
                wrap(
                    &mut text,
                    &format!("  {}: {}", plain(&row.scenario.model), plain(&note)),
                    width,
                    "    ",
                );
            }
        }
        text.push('\n');
    }
    for finding in &view.findings {
        wrap(&mut text, &plain(finding), width, "");
    }
    if color { paint(&text) } else { text }
}

/// The widest table that fits, or the one with the fewest columns.
fn table(workload: &Workload<'_>, view: &View<'_>, width: usize) -> String {
    let nobody = workload.measured().next().is_none();
    let said = |c: &Column| nobody || workload.measured().any(|row| (c.text)(row) != NONE);
    let mut columns: Vec<&Column> = COLUMNS.iter().filter(|c| said(c)).collect();
    loop {
        let lines = lines(workload, view, &columns);
        let fits = lines.iter().all(|l| l.chars().count() <= width);
        let least = columns.iter().map(|c| c.worth).min();
        if fits || columns.len() < 2 {
            return lines.join("\n");
        }
        columns.retain(|c| Some(c.worth) != least);
    }
}

fn lines(workload: &Workload<'_>, view: &View<'_>, columns: &[&Column]) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
    table.set_content_arrangement(ContentArrangement::Disabled);
    let heads = columns.iter().map(|c| right(c.head.to_owned()));
    table.set_header(
        std::iter::once(Cell::new("model")).chain(heads).chain(["conf.", "verdict"].map(Cell::new)),
    );
    for row in &workload.rows {
        let measured = row.outcome == Outcome::Measured;
        let cells = columns.iter().map(|c| right(if measured { (c.text)(row) } else { NONE.to_owned() }));
        table.add_row(
            std::iter::once(Cell::new(plain(&row.scenario.model)))
                .chain(cells)
                .chain([conformance(row, view), verdict(row)].map(Cell::new)),
        );
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|l| l.trim_end().to_owned()).collect()
}

fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// Validity, which must stand beside every speed: the trials that count, of those planned.
fn verdict(row: &Row<'_>) -> String {
    let tally = row.tally();
    let (counted, planned) = (tally.valid + tally.suspect, tally.total().max(row.planned as usize));
    match row.outcome {
        Outcome::CannotHold(lack, _) => lack.word().to_owned(),
        Outcome::NotRun => "not run".to_owned(),
        Outcome::NoneCounts => format!("INVALID 0/{planned}"),
        Outcome::Measured if tally.state() == VerdictState::Valid => format!("valid {counted}/{planned}"),
        Outcome::Measured => format!("SUSPECT {counted}/{planned}"),
    }
}

/// Conformance, which must stand there too: the cases held of those decided.
fn conformance(row: &Row<'_>, view: &View<'_>) -> String {
    let held = |badge: &str| badge.split(" · ").next().unwrap_or_default().to_owned();
    match view.models.get(row.model).map(|m| m.conduct(&row.scenario.service)) {
        Some(Conduct::Failed(badge, _)) => format!("FAILED {}", held(&badge)),
        Some(Conduct::Conformant(badge)) => held(&badge),
        _ => NONE.to_owned(),
    }
}

/// What stands under the table for a row.
fn notes(row: &Row<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Outcome::CannotHold(lack, reason) = &row.outcome {
        notes.push(format!("{}: {reason}", lack.word()));
    }
    notes.extend(row.reasons());
    notes.extend(row.fault_list());
    notes.extend(datagrams(row));
    if row.counts.collateral > 0 {
        notes.push(format!("{} collateral errors", count(row.counts.collateral)));
    }
    notes
}

/// What became of datagrams otherwise than one answer to each request, over all trials.
fn datagrams(row: &Row<'_>) -> Option<String> {
    let troubles = row.counts.datagrams.as_ref()?.troubles();
    let said: Vec<_> =
        troubles.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{} {what}", count(*n))).collect();
    (!said.is_empty()).then(|| format!("datagrams: {}", said.join(", ")))
}

/// Appends a paragraph in lines of `width` letters, those after the first one indented. A word is never cut.
fn wrap(text: &mut String, paragraph: &str, width: usize, indent: &str) {
    let lead = &paragraph[..paragraph.len() - paragraph.trim_start().len()];
    let mut line = lead.to_owned();
    for word in paragraph.split_whitespace() {
        let fresh = line.trim().is_empty();
        if !fresh && line.chars().count() + 1 + word.chars().count() > width {
            text.push_str(&line);
            text.push('\n');
            line = indent.to_owned();
        } else if !fresh {
            line.push(' ');
        }
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

fn median(measure: &Measure, say: fn(f64) -> String) -> String {
    measure.median().map_or_else(|| NONE.to_owned(), say)
}

fn span(measure: &Measure, say: fn(f64) -> String) -> String {
    measure.span.map_or_else(|| NONE.to_owned(), |s| range(s.min, s.max, say))
}

/// How evenly several workers shared the bytes: Jain's index.
fn fairness(row: &Row<'_>) -> String {
    median(&row.sharing.bytes.index, |v| format!("{v:.2}"))
}

fn latency(value: Option<u64>) -> String {
    value.map_or_else(|| NONE.to_owned(), |v| duration(v as f64))
}

/// Colours the words of judgement. After the layout, so that no escape sequence counts as width.
fn paint(text: &str) -> String {
    let mut painted = text.to_owned();
    for (word, code) in [
        ("INVALID", "31"),
        ("FAILED", "31"),
        ("CUT SHORT", "31"),
        ("SUSPECT", "33"),
        ("cannot hold", "2"),
        ("unsupported", "2"),
        ("not run", "2"),
    ] {
        painted = painted.replace(word, &format!("\u{1b}[{code}m{word}\u{1b}[0m"));
    }
    painted
}
