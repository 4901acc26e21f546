//! What is shown while a run goes: a block that is redrawn on a terminal, or a plain line now and then. Not here: the counting.

use super::{Counts, Sum};
use crate::units::show_ns;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

/// Shows the cursor again; what a terminal is owed at the end.
const RESTORE: &str = "\x1b[?25h";

const HIDE: &str = "\x1b[?25l";

/// True while a view hides the cursor.
static HIDDEN: AtomicBool = AtomicBool::new(false);

/// Gives the terminal back where a view has it; for a process that ends at once.
pub(crate) fn restore() {
    if HIDDEN.swap(false, SeqCst) {
        let _ = io::stderr().write_all(RESTORE.as_bytes());
    }
}

/// Bins of the small histogram, and columns of its longest bar.
const BINS: usize = 8;
const BAR: usize = 32;

/// How the run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// Redrawn in place; with colours or without.
    Block { colour: bool },
    /// A line each time.
    Line,
}

/// Shows a run on standard error while it goes. Dropped, it leaves the terminal as it was.
pub(crate) struct Screen {
    style: Style,
    every: Duration,
    threads: Vec<Arc<Counts>>,
    last: Sum,
    last_ns: u64,
    /// Lines of the block that stand on the terminal.
    drawn: usize,
}

impl Screen {
    /// A view that suits standard error: a block each second on a terminal, lines each `progress` where that was asked for.
    pub(crate) fn for_stderr(progress: Option<Duration>, quiet: bool) -> Option<Self> {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let style = match progress {
            Some(_) => Style::Line,
            None if quiet || dumb || !io::stderr().is_terminal() => return None,
            None => Style::Block { colour: !no_colour },
        };
        let every = progress.unwrap_or(Duration::from_secs(1));
        Some(Self { style, every, threads: Vec::new(), last: Sum::default(), last_ns: 0, drawn: 0 })
    }

    /// Counts for one more thread.
    pub(crate) fn counts(&mut self) -> Arc<Counts> {
        let counts = Counts::new();
        self.threads.push(Arc::clone(&counts));
        counts
    }

    pub(crate) fn every(&self) -> Duration {
        self.every
    }

    /// The window opened at `now`.
    pub(crate) fn start(&mut self, now: u64) {
        self.last = Sum::of(&self.threads);
        self.last_ns = now;
        if matches!(self.style, Style::Block { .. }) {
            HIDDEN.store(true, SeqCst);
            self.put(HIDE);
        }
    }

    /// Draws what happened since the last time; `into_ns` of the window have gone.
    pub(crate) fn draw(&mut self, now: u64, into_ns: u64) {
        let sum = Sum::of(&self.threads);
        let delta = sum.since(&self.last);
        let seconds = (now.saturating_sub(self.last_ns) as f64 / 1e9).max(1e-9);
        let text = match self.style {
            Style::Line => line(&delta, seconds, into_ns),
            Style::Block { colour } => {
                let block = block(&delta, &sum, seconds, into_ns, colour);
                let up = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
                self.drawn = block.lines().count();
                format!("{up}\x1b[J{block}")
            }
        };
        self.put(&text);
        (self.last, self.last_ns) = (sum, now);
    }

    fn put(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        // A terminal that is gone is nobody's loss.
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if matches!(self.style, Style::Block { .. }) {
            if self.drawn > 0 {
                self.put(&format!("\x1b[{}A\x1b[J", self.drawn));
            }
            restore();
        }
    }
}

fn line(delta: &Sum, seconds: f64, into_ns: u64) -> String {
    format!(
        "{:7.1} s {:9.0}/s  p50 {:>8}  p99 {:>8}  errors {}\n",
        into_ns as f64 / 1e9,
        delta.completed as f64 / seconds,
        shown(delta.percentile(50.0)),
        shown(delta.percentile(99.0)),
        delta.failed
    )
}

fn shown(ns: Option<u64>) -> String {
    ns.map_or("-".to_owned(), |ns| show_ns(ns as f64))
}

/// The block: the last interval in numbers, and its distribution in bars.
fn block(delta: &Sum, sum: &Sum, seconds: f64, into_ns: u64, colour: bool) -> String {
    let (bold, dim, red, off) =
        if colour { ("\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m") } else { ("", "", "", "") };
    let mut text = String::new();
    let failed = if sum.failed > 0 { red } else { dim };
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{bold}{:.0} s{off}  {bold}{:.0}/s{off}  {dim}{} replies{off}  {failed}{} errors ({} in all){off}",
        into_ns as f64 / 1e9,
        delta.completed as f64 / seconds,
        sum.completed,
        delta.failed,
        sum.failed
    );
    let percentiles =
        [50.0, 90.0, 99.0, 99.9].map(|p| format!("{dim}p{p}{off} {:>8}", shown(delta.percentile(p))));
    let _ = writeln!(text, "{}", percentiles.join("  "));
    let bins = delta.bins(BINS);
    let most = bins.iter().map(|b| b.1).max().unwrap_or(0);
    for (ns, count) in bins {
        let _ = writeln!(text, "{dim}{:>9}{off} {}", show_ns(ns as f64), bar(count, most));
    }
    text
}

/// A bar to an eighth of a column; whatever is there is seen.
fn bar(count: u64, most: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if count == 0 {
        return String::new();
    }
    let eighths = ((count as f64 / most.max(1) as f64 * (8 * BAR) as f64) as usize).max(1);
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum() -> Sum {
        let counts = Counts::new();
        (0..1_000).for_each(|i| counts.completed(10_000 + i * 100));
        counts.failed();
        Sum::of(&[counts])
    }

    #[test]
    fn the_block_has_rate_percentiles_errors_and_bars() {
        let sum = sum();
        let text = block(&sum, &sum, 0.5, 3_000_000_000, false);
        assert!(text.starts_with("3 s  2000/s  1000 replies  1 errors (1 in all)\n"), "{text}");
        assert!(text.contains("p99.9") && text.contains('█') && !text.contains('\x1b'), "{text}");
        assert!(text.lines().count() <= 2 + BINS, "{text}");
        assert!(block(&sum, &sum, 0.5, 1, true).contains("\x1b[31m"));
        // A second in which nothing came.
        let nothing = sum.since(&sum);
        assert!(block(&nothing, &sum, 1.0, 1, false).contains("p50        -"));
    }

    #[test]
    fn the_line_is_plain() {
        let text = line(&sum(), 1.0, 2_000_000_000);
        assert!(text.starts_with("    2.0 s      1000/s  p50") && text.ends_with("errors 1\n"), "{text}");
    }

    #[test]
    fn bars_are_in_proportion_and_never_vanish() {
        assert_eq!((bar(0, 9), bar(1, 100_000)), (String::new(), "▏".to_owned()));
        assert_eq!(bar(9, 9).chars().count(), BAR);
        assert_eq!(bar(1, 64), "▌");
    }
}
