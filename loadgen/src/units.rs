//! Numbers with units, as the command line writes them, and as the summary does. Not here: what they are used for.

use std::time::Duration;

/// Reads a time: `10s`, `500ms`, `50us`, `200ns`, `1m`, `2h`, `1.5s`; a bare number means seconds.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is no time: write 10s, 500ms, 50us or 1m");
    let (number, unit) = split(text);
    let per_unit = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(bad()),
    };
    let seconds = parse_number(number).ok_or_else(bad)? * per_unit;
    // A year: far beyond any run, far below what the clock can hold.
    if seconds > 31_536_000.0 {
        return Err(format!("`{text}` is longer than a year"));
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| bad())
}

/// Reads a time as [`parse_time`] does, in nanoseconds.
pub(crate) fn parse_offset(text: &str) -> Result<u64, String> {
    parse_time(text).map(crate::config::nanoseconds)
}

/// Reads a rate in requests per second: `500`, `1.5k`, `2M`.
pub(crate) fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = parse_scaled(text).ok_or_else(|| format!("`{text}` is no rate: write 500, 10k or 2M"))?;
    if rate > 0.0 {
        Ok(rate)
    } else {
        Err("a rate of 0 makes no load: leave the flag out for no schedule and no limit".to_owned())
    }
}

/// Reads a count: `500`, `10k`, `2M`.
pub(crate) fn parse_count(text: &str) -> Result<u64, String> {
    match parse_scaled(text) {
        Some(count) if count.fract() == 0.0 && count < 9e15 => Ok(count as u64),
        _ => Err(format!("`{text}` is no count: write 500, 10k or 2M")),
    }
}

/// Reads a share: `5%`, `0.1%`, `0.05`.
pub(crate) fn parse_share(text: &str) -> Result<f64, String> {
    let (number, unit) = split(text);
    let scale = match unit {
        "%" => 0.01,
        "" => 1.0,
        _ => return Err(format!("`{text}` is no share: write 5% or 0.05")),
    };
    match parse_number(number) {
        Some(share) if share * scale <= 1.0 => Ok(share * scale),
        _ => Err(format!("`{text}` is no share: write 5% or 0.05")),
    }
}

/// Reads a size in bytes: `64`, `4k` and `4KiB` (4096), `1M` and `1MiB`, `1MB` (1000000).
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is no size: write 64, 4k or 1MiB");
    let (number, unit) = split(text);
    let per_unit: u64 = match unit {
        "" | "B" => 1,
        "k" | "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    number.checked_mul(per_unit).filter(|size| *size <= 1 << 40).ok_or_else(bad)
}

fn parse_scaled(text: &str) -> Option<f64> {
    let (number, unit) = split(text);
    let per_unit = match unit {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        _ => return None,
    };
    Some(parse_number(number)? * per_unit)
}

/// The digits in front, and what follows them.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at(end)
}

/// Digits with at most one point; not the signs, exponents and names that `f64` reads too.
fn parse_number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// A time in three digits and the unit that suits it.
pub(crate) fn show_ns(ns: f64) -> String {
    // What rounds to a thousand of a unit is one of the next.
    let (value, unit) = match ns {
        _ if ns < 999.5 => return format!("{ns:.0} ns"),
        _ if ns < 999.5e3 => (ns / 1e3, "us"),
        _ if ns < 999.5e6 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// A time as [`parse_time`] reads it, in the largest unit that loses nothing.
pub(crate) fn show_span(ns: u64) -> String {
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];
    let (per_unit, unit) =
        units.into_iter().find(|(per_unit, _)| ns.is_multiple_of(*per_unit)).unwrap_or((1, "ns"));
    format!("{}{unit}", ns / per_unit)
}

/// A short name for much content: FNV-1a.
pub(crate) fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A number of bytes in three digits and the unit that suits it.
pub(crate) fn show_bytes(bytes: f64) -> String {
    let (value, unit) = match bytes {
        _ if bytes < 1024.0 => return format!("{bytes:.0} B"),
        _ if bytes < 1024.0 * 1024.0 => (bytes / 1024.0, "KiB"),
        _ if bytes < 1024.0 * 1024.0 * 1024.0 => (bytes / 1024.0 / 1024.0, "MiB"),
        _ => (bytes / 1024.0 / 1024.0 / 1024.0, "GiB"),
    };
    format!("{} {unit}", three_digits(value))
}

fn three_digits(value: f64) -> String {
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_help_promises() {
        assert_eq!(parse_time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("1m"), Ok(Duration::from_secs(60)));
        assert_eq!(parse_time("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_time("2"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_rate("10k"), Ok(10_000.0));
        assert_eq!(parse_rate("0.5"), Ok(0.5));
        assert_eq!(parse_count("2M"), Ok(2_000_000));
        assert_eq!(parse_size("4k"), Ok(4096));
        assert_eq!(parse_size("1MiB"), Ok(1 << 20));
        assert_eq!(parse_size("1MB"), Ok(1_000_000));
    }

    #[test]
    fn refuses_the_rest() {
        for bad in ["", "s", "1x", "-1s", "1e3s", "1..2s", "inf", "nan", "99999999h", "1 s"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
        for bad in ["", "0", "k", "-5", "1G", "nan"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
        for bad in ["", "1.5", "-1", "1e3", "99999999999999999999"] {
            assert!(parse_count(bad).is_err(), "{bad}");
        }
        for bad in ["", "k", "1.5k", "-1", "9999999G", "4q"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shows_three_digits() {
        let shown: Vec<_> = [999.0, 1_234.0, 99_949.0, 123_456_789.0, 2e9].map(show_ns).into();
        assert_eq!(shown, ["999 ns", "1.23 us", "99.9 us", "123 ms", "2.00 s"]);
        let shown: Vec<_> = [999.4, 999.6, 999_499.0, 999_600.0, 999_600_000.0].map(show_ns).into();
        assert_eq!(shown, ["999 ns", "1.00 us", "999 us", "1.00 ms", "1.00 s"]);
        assert_eq!(show_bytes(1536.0), "1.50 KiB");
    }
}
