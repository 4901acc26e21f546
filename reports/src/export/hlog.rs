//! HdrHistogram interval logs, one a scenario, one line a trial; for HistogramLogAnalyzer, HdrHistogram's plotters and their like.
//! Not here: decoding, since a record holds the text form already.
//!
//! Format 1.3 of HdrHistogram's `HistogramLogWriter`: nanosecond values, times in seconds, and the maximum divided by a million
//! (milliseconds), as Java tools expect. Tags are `trial-1`, and `trial-2-invalid` where the trial does not count.

use super::File;
use crate::error::Result;
use crate::view::{Row, Trial, View, state_word};
use record::VerdictState;

/// The legend that the format wants before the first interval.
const LEGEND: &str = r#""StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram""#;

pub(super) fn make(view: &View<'_>) -> Result<Vec<File>> {
    let rows = view.workloads.iter().flat_map(|w| &w.rows);
    Ok(rows.filter_map(|row| log(row, &view.run.started_at)).collect())
}

/// The log of a row, or none where no trial left a distribution.
fn log(row: &Row<'_>, started: &str) -> Option<File> {
    let mut lines: Vec<(u64, String)> = row.trials.iter().filter_map(line).collect();
    lines.sort_by_key(|l| l.0);
    let first = lines.first()?.0;
    let mut text = String::from("#[Histogram log format version 1.3]\n");
    text.push_str(&format!("#[Scenario: {}]\n", one_line(&row.scenario.id)));
    text.push_str("#[Values: latency in nanoseconds from the intended send time; maximum in milliseconds]\n");
    text.push_str(&format!(
        "#[StartTime: {} (seconds since epoch), run of {}]\n",
        seconds(first),
        one_line(started)
    ));
    text.push_str(LEGEND);
    text.push('\n');
    for (_, line) in lines {
        text.push_str(&line);
        text.push('\n');
    }
    Some(File { name: format!("hlog/{}.hlog", file_stem(&row.scenario.id)), bytes: text.into_bytes() })
}

fn line(trial: &Trial<'_>) -> Option<(u64, String)> {
    let load = trial.record.load.as_ref()?;
    let text = &load.histograms.latency;
    let readable = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    let mut tag = format!("trial-{}", trial.record.trial);
    if trial.state != VerdictState::Valid {
        tag.push_str(&format!("-{}", state_word(trial.state)));
    }
    let max_ms = load.latency_ns.max.unwrap_or(0) as f64 / 1e6;
    let line =
        format!("Tag={tag},{},{},{max_ms:.3},{text}", seconds(load.started_at_ns), seconds(load.elapsed_ns));
    readable.then_some((load.started_at_ns, line))
}

fn seconds(ns: u64) -> String {
    let ms = ns / 1_000_000;
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// A scenario's id as a file name: every separator and everything odd becomes `-`; it cannot leave the folder.
fn file_stem(id: &str) -> String {
    let name: String =
        id.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    name.trim_start_matches('.').to_owned()
}

fn one_line(text: &str) -> String {
    crate::format::plain(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_cannot_write_outside_its_folder() {
        assert_eq!(file_stem("epoll/tcp/echo/c64"), "epoll-tcp-echo-c64");
        assert_eq!(file_stem("../../etc/passwd"), "-..-etc-passwd");
        assert_eq!(file_stem("a\nb\0c"), "a-b-c");
    }

    #[test]
    fn seconds_have_three_places() {
        assert_eq!(
            (seconds(1_700_000_000_123_456_789), seconds(0)),
            ("1700000000.123".into(), "0.000".into())
        );
    }
}
