//! What the user sees while a run goes on: a bar with the time left on a terminal, a line now and then elsewhere.
//! Not here: anything during a timed window; it is drawn between trials only.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Without a terminal a line is written at most this often.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// Progress of a run, on standard error. Steps differ in length, so each is weighed by what it is expected to take.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    last_line: Option<Instant>,
    started: Instant,
    steps: (usize, usize),
    expected: Duration,
    done: Duration,
}

impl Progress {
    /// For `steps` steps that are expected to take `expected` in all.
    #[must_use]
    pub fn new(steps: usize, expected: Duration) -> Self {
        let terminal = io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(millis(expected)), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}") {
            bar.set_style(style);
        }
        let now = Instant::now();
        Self {
            bar,
            last_line: (!terminal).then_some(now),
            started: now,
            steps: (0, steps),
            expected,
            done: Duration::ZERO,
        }
    }

    /// Says what comes next.
    pub fn next(&mut self, what: &str) {
        let (done, all) = self.steps;
        let left = self.left().as_secs();
        let left = if left < 60 { format!("{left} s") } else { format!("{} min {} s", left / 60, left % 60) };
        let text = format!("{}/{all}  {what:<32}  about {left} left", done + 1);
        self.bar.set_message(text.clone());
        self.bar.tick();
        if let Some(last) = &mut self.last_line
            && last.elapsed() >= LINE_EVERY
        {
            *last = Instant::now();
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// A step is done that was expected to take `expected`.
    pub fn done(&mut self, expected: Duration) {
        self.steps.0 += 1;
        self.done += expected;
        self.bar.set_position(millis(self.done));
    }

    /// What is left of the expectation, as long as the past was against its own.
    fn left(&self) -> Duration {
        let past = self.done.as_secs_f64();
        let pace = if past > 0.0 { self.started.elapsed().as_secs_f64() / past } else { 1.0 };
        self.expected.saturating_sub(self.done).mul_f64(pace.clamp(0.1, 10.0))
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
