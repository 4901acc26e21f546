//! The terminal, as far as tables need it. Not here: colours, progress.

/// Columns of the terminal that standard output goes to; `None` where it is none.
#[must_use]
pub fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}
