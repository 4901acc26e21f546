//! What hands know from other generators: flags that mean the same here, and a word where they do not. Not here: our own flags.

use crate::Error;
use crate::abort::Rule;
use clap::Args;
use std::ffi::OsString;
use std::num::NonZeroU64;

/// Flags of others that are taken and not shown.
#[derive(Debug, Default, Args)]
pub(crate) struct Habits {
    /// wrk, wrk2: percentiles are always shown, and both kinds of them, so that the two flags may stand together.
    #[arg(
        overrides_with = "_latency",
        short = 'L',
        long = "latency",
        alias = "u_latency",
        short_alias = 'U',
        hide = true
    )]
    _latency: bool,
    /// oha: there is no other screen than the view, which a pipe does not get.
    #[arg(long = "no-tui", hide = true)]
    _no_tui: bool,
    /// hey, oha: a connection for each request.
    #[arg(long, hide = true, conflicts_with = "requests_per_connection")]
    disable_keepalive: bool,
    /// httperf: every connection ends with an RST.
    #[arg(long, hide = true)]
    close_with_reset: bool,
}

impl Habits {
    pub(crate) fn per_connection(&self) -> Option<NonZeroU64> {
        self.disable_keepalive.then_some(NonZeroU64::MIN)
    }

    pub(crate) fn aborts(&self) -> Result<Vec<Rule>, Error> {
        if !self.close_with_reset {
            return Ok(Vec::new());
        }
        let rule = "idle:100%:rst".parse::<Rule>().map_err(|error| Error::Usage(error.to_string()))?;
        Ok(vec![rule])
    }
}

/// Flags that mean something else here, or are called otherwise: `(flag, what to write)`.
const OTHERS: [(&str, &str); 21] = [
    ("-q", "-q is --quiet here; a rate in total is -R"),
    ("-r", "a rate in total is -R"),
    ("-a", "a number of requests is -n"),
    ("-m", "a method is --method, the length of a message --size"),
    ("-s", "there are no scripts: see --service"),
    ("-w", "threads are -t, a warm-up is --warm-up"),
    ("-D", "a duration is -d, requests on a connection are --requests-per-connection"),
    ("-P", "connections are -c"),
    ("-F", "connections are -c"),
    ("-l", "a length is --size"),
    ("-j", "JSON is --json FILE, - for standard output"),
    ("-o", "results are --json FILE and --csv FILE, - for standard output"),
    ("--output-format", "JSON is --json -, CSV is --csv -"),
    ("--unix-socket", "write the socket as the target: unix:/PATH"),
    ("--workers", "threads are --threads"),
    ("--reconnectRate", "requests on a connection are --requests-per-connection"),
    ("--rate-limiting", "a rate in total is --rate"),
    ("--burst-rate", "bursts are --arrivals burst:ON/OFF at --rate"),
    ("--burst-delay", "bursts are --arrivals burst:ON/OFF at --rate"),
    ("--timing-script-file", "times to replay are --trace FILE"),
    ("--rate-period", "connections a second in total are --connect-rate"),
];

/// What may have been meant, where the command line was not understood.
pub(crate) fn hint(args: &[OsString]) -> Option<&'static str> {
    let mut words = args.iter().skip(1).filter_map(|word| word.to_str()).peekable();
    while let Some(word) = words.next() {
        // `-t 10s` is a time in hey, oha, fortio and iperf3; threads have no unit.
        let next = words.peek().copied().unwrap_or_default();
        if word == "-t" && next.ends_with(|c: char| c.is_ascii_alphabetic()) {
            return Some("-t is --threads here; a length of time is -d, an age is --timeout");
        }
        if word == "-d" && next.starts_with(['{', '[', '@']) {
            return Some("-d is --duration here; a body is --body");
        }
        let flag = word.split('=').next().unwrap_or(word);
        if let Some((_, text)) = OTHERS.iter().find(|(other, _)| *other == flag) {
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_our_flag_for_theirs() {
        let meant = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
            hint(&words)
        };
        assert!(meant("loadgen -q 100 http://x").unwrap().contains("-R"));
        assert!(meant("loadgen -t 10s http://x").unwrap().contains("--threads"));
        assert!(meant("loadgen --unix-socket=/x http://x").unwrap().contains("unix:/PATH"));
        assert_eq!(meant("loadgen -t 2 -c 5 http://x"), None);
    }
}
