//! Ctrl-C: the first asks for an end that keeps what was done, the second ends at once. Not here: what is kept.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// True once the user has asked to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts to listen for SIGINT and SIGTERM.
    ///
    /// # Errors
    /// Those of sigaction(2).
    pub fn listen() -> io::Result<Self> {
        let asked = Self::default();
        let flag = asked.clone();
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for _ in signals.forever() {
                if flag.0.swap(true, SeqCst) {
                    // The children die with this process.
                    sys::process::exit_now(130);
                }
            }
        })?;
        Ok(asked)
    }

    /// Whether to end.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.0.load(SeqCst)
    }
}
