//! The flags about slow and mute clients. Not here: what they mean (see `misfit`).

use crate::Config;
use crate::misfit::{Family, Misfit};

/// Shares of the connections that are slow or mute.
#[derive(Debug, clap::Args)]
pub(crate) struct MisfitFlags {
    /// Share of the connections that take a large reply at BYTES a second [1000]
    #[arg(long, hide_short_help = true, value_name = "SHARE[:BYTES]", help_heading = "Misbehaviour", value_parser = slow_read)]
    slow_read: Option<Misfit>,
    /// Share that send their requests at BYTES a second [1000]
    #[arg(long, hide_short_help = true, value_name = "SHARE[:BYTES]", help_heading = "Misbehaviour", value_parser = slow_write)]
    slow_write: Option<Misfit>,
    /// Share that send their requests a byte at a time, TIME apart [100ms]
    #[arg(long, hide_short_help = true, value_name = "SHARE[:TIME]", help_heading = "Misbehaviour", value_parser = trickle)]
    trickle: Option<Misfit>,
    /// Share that send half of a request and then wait for ever
    #[arg(long, hide_short_help = true, value_name = "SHARE", help_heading = "Misbehaviour", value_parser = partial)]
    partial: Option<Misfit>,
}

fn slow_read(text: &str) -> Result<Misfit, String> {
    Misfit::parse(Family::SlowRead, text)
}

fn slow_write(text: &str) -> Result<Misfit, String> {
    Misfit::parse(Family::SlowWrite, text)
}

fn trickle(text: &str) -> Result<Misfit, String> {
    Misfit::parse(Family::Trickle, text)
}

fn partial(text: &str) -> Result<Misfit, String> {
    Misfit::parse(Family::Partial, text)
}

impl MisfitFlags {
    pub(crate) fn apply(&self, config: &mut Config) {
        let all = [self.slow_read, self.slow_write, self.trickle, self.partial];
        config.misfits = all.into_iter().flatten().collect();
    }
}
