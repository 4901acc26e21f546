//! The flags about connections: how many requests they carry at a time. Not here: what is said on them.

use crate::config::Mechanism;
use crate::{Config, Error};

/// How connections are used.
#[derive(Debug, clap::Args)]
pub(crate) struct ConnectionFlags {
    /// Requests out at a time on each connection
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Requests")]
    pipeline: u32,
    /// How bytes come and go: epoll, uring
    #[arg(
        long,
        value_enum,
        hide_short_help = true,
        default_value = "epoll",
        hide_possible_values = true,
        value_name = "NAME",
        help_heading = "Load"
    )]
    engine: Mechanism,
}

impl ConnectionFlags {
    pub(crate) fn apply(&self, config: &mut Config) -> Result<(), Error> {
        config.pipeline = self.pipeline;
        config.engine = self.engine;
        Ok(())
    }
}
