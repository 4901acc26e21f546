//! What the user sees while a run goes on: a bar with the time left on a terminal, a line now and then elsewhere.
//! Not here: anything during a timed window; it is drawn between trials only.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Without a terminal a line is written at most this often.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// Progress of a run, on standard error.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    plain: Option<Instant>,
    total: u64,
}

impl Progress {
    /// For `total` steps.
    #[must_use]
    pub fn new(total: u64) -> Self {
        let terminal = io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg:40!}  left {eta}") {
            bar.set_style(style);
        }
        Self { bar, plain: (!terminal).then(Instant::now), total }
    }

    /// Says what comes next.
    pub fn next(&mut self, what: &str) {
        self.bar.set_message(what.to_owned());
        self.bar.tick();
        if let Some(last) = &mut self.plain
            && last.elapsed() >= LINE_EVERY
        {
            *last = Instant::now();
            let _ = writeln!(io::stderr(), "{}/{}  {what}", self.bar.position(), self.total);
        }
    }

    /// A step is done.
    pub fn done(&self) {
        self.bar.inc(1);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
