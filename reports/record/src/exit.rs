//! Exit codes, the same for all four commands. Not here: deciding which one applies.

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: fine.
    Fine,
    /// 1: found something: a failed case, a regression, failed requests under `--fail-on`.
    Found,
    /// 2: wrong use, or nothing matched.
    Usage,
    /// 3: unfit: the target never became ready, or the machine or the generator spoiled the run.
    Unfit,
    /// 4: the tool itself broke.
    Broken,
}

impl Exit {
    /// The number that the process returns.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Found => 1,
            Self::Usage => 2,
            Self::Unfit => 3,
            Self::Broken => 4,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
