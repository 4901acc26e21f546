//! Numbers as people read them: three significant digits, the unit beside the number. Not here: deciding what is shown.

/// What stands where a number could not be had, or is withheld.
pub const NONE: &str = "–";

/// A duration from nanoseconds, in the unit that suits it: `845 ns`, `12.3 µs`, `1.23 ms`, `4.56 s`.
#[must_use]
pub fn duration(ns: f64) -> String {
    if !ns.is_finite() {
        return NONE.to_owned();
    }
    let (value, unit) = match ns.abs() {
        x if x < 999.5 => (ns, "ns"),
        x if x < 999.5e3 => (ns / 1e3, "µs"),
        x if x < 999.5e6 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    format!("{}\u{a0}{unit}", significant(value))
}

/// A duration in words for a sentence: `4 min 12 s`, `1 h 3 min`, else as [`duration`].
#[must_use]
pub fn span(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        0..60 => duration(ns as f64),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// Bytes with binary units: `812 B`, `3.4 KiB`, `12.1 MiB`.
#[must_use]
pub fn bytes(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let mut value = value;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value.abs() < 1023.5 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{}\u{a0}{unit}", significant(value))
}

/// A rate or count rounded to four significant digits, thousands apart: `48 210`, `980`, `12.3`.
#[must_use]
pub fn rate(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    if value.abs() < 1_000.0 {
        return significant(value);
    }
    let step = 10_f64.powi(value.abs().log10().floor() as i32 - 3);
    count(((value / step).round() * step).max(0.0) as u64)
}

/// A share of 0 to 1 in percent, to four significant digits.
#[must_use]
pub fn percent(share: f64) -> String {
    if share.is_finite() { format!("{}\u{a0}%", rate(share * 100.0)) } else { NONE.to_owned() }
}

/// A rate in few letters, for an axis: `48k`, `1.2M`.
#[must_use]
pub fn short(value: f64) -> String {
    match value.abs() {
        x if !x.is_finite() => NONE.to_owned(),
        x if x >= 999_500.0 => format!("{}M", trim(value / 1e6)),
        x if x >= 999.5 => format!("{}k", trim(value / 1e3)),
        _ => trim(value),
    }
}

/// A whole number, thousands apart by a narrow space that does not break.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 * 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Two values of one quantity as a range, the unit once where it is the same: `113–121 µs`.
#[must_use]
pub fn range(low: f64, high: f64, say: fn(f64) -> String) -> String {
    let (low, high) = (say(low), say(high));
    match (low.split_once('\u{a0}'), high.split_once('\u{a0}')) {
        (Some((number, unit)), Some((_, other))) if unit == other => format!("{number}–{high}"),
        _ => format!("{low}–{high}"),
    }
}

/// A list in words: `a`, `a and b`, `a, b and c`.
#[must_use]
pub fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// Text without control characters, so that what a server printed cannot steer a terminal.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Three significant digits; never an exponent.
fn significant(value: f64) -> String {
    match value.abs() {
        x if x >= 99.95 => format!("{value:.0}"),
        x if x >= 9.995 => format!("{value:.1}"),
        x if x >= 0.0005 => format!("{value:.2}"),
        _ => "0".to_owned(),
    }
}

/// Three digits, and at least one after the point, less the zeros there.
fn trim(value: f64) -> String {
    // A quarter is no 0.2, and 1.25 no 1.2.
    let digits = if value == 0.0 { 1.0 } else { (2.0 - value.abs().log10().floor()).clamp(1.0, 9.0) };
    let text = format!("{value:.0$}", digits as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_suits_the_number() {
        for (ns, text) in [
            (0.0, "0 ns"),
            (845.0, "845 ns"),
            (999.7, "1.00 µs"),
            (12_340.0, "12.3 µs"),
            (999_700.0, "1.00 ms"),
            (1_234_000.0, "1.23 ms"),
            (4.56e9, "4.56 s"),
            (f64::NAN, NONE),
            (f64::INFINITY, NONE),
        ] {
            assert_eq!(duration(ns).replace('\u{a0}', " "), text);
        }
        assert_eq!(bytes(1024.0 * 1024.0 * 12.1).replace('\u{a0}', " "), "12.1 MiB");
        assert_eq!(bytes(812.0).replace('\u{a0}', " "), "812 B");
        assert_eq!(span(252_000_000_000), "4 min 12 s");
    }

    #[test]
    fn large_numbers_claim_four_digits_only() {
        assert_eq!(rate(48_213.7).replace('\u{202f}', " "), "48 210");
        assert_eq!(rate(1_234_567.0).replace('\u{202f}', " "), "1 235 000");
        assert_eq!(rate(12.34), "12.3");
        assert_eq!(count(1_234_567).replace('\u{202f}', ","), "1,234,567");
        assert_eq!(
            (short(48_000.0), short(1_250_000.0), short(0.5)),
            ("48k".into(), "1.25M".into(), "0.5".into())
        );
        let ticks = [0.0, 0.25, 0.75, 1.25, 12.5, 100.0, 0.3 - 1e-17, 0.025].map(short);
        assert_eq!(ticks, ["0", "0.25", "0.75", "1.25", "12.5", "100", "0.3", "0.025"]);
    }

    #[test]
    fn words_read_well() {
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!(range(113e3, 121e3, duration), "113–121\u{a0}µs");
        assert_eq!(range(990.0, 1_010.0, duration), "990\u{a0}ns–1.01\u{a0}µs");
        assert_eq!(plain("a\u{1b}[31mb\n"), "a [31mb ");
    }
}
