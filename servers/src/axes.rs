//! What a model is: five axes, what it can hold, which families it serves. Not here: any model.

use sys::Family;

/// The five axes of which a named model is one point.
#[derive(Clone, Copy, Debug)]
pub struct Axes {
    /// Who accepts, and how a connection gets to whoever serves it.
    pub accept: &'static str,
    /// What separates one connection from another.
    pub isolation: &'static str,
    /// How long a worker lives.
    pub lifetime: &'static str,
    /// How one worker serves several connections.
    pub multiplexing: &'static str,
    /// Where handler work runs.
    pub work: &'static str,
}

/// How many connections can be open and served at the same time, by the model's nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// One at a time; the next is served when it has closed.
    One,
    /// As many as there are descriptors below this number.
    Descriptors(u32),
    /// As many as it has workers, of which this is the number when none is asked for; the next is served when one has closed.
    Workers(u16),
    /// One a worker, and the kernel's hash chooses the worker: any two can meet at one while others are free.
    Hashed(u16),
    /// As many as the system lets it have.
    System,
}

/// Workers of a blocking pool when no number is asked for. A worker waits most of its time, so the number is that of the
/// connections to be held, not of the processors; UNP's pools have 15.
pub const POOL: u16 = 16;

impl Capacity {
    /// Workers when no number is asked for; `None` where the number of processors is right.
    #[must_use]
    pub fn workers(self) -> Option<u16> {
        match self {
            Self::Workers(workers) | Self::Hashed(workers) => Some(workers),
            Self::One | Self::Descriptors(_) | Self::System => None,
        }
    }

    /// Why `connections` that stay open at the same time cannot be held, if so.
    #[must_use]
    pub fn refuses(self, connections: u64) -> Option<String> {
        match self {
            Self::One if connections > 1 => {
                Some("serves one connection at a time; the others would wait until it closes".to_owned())
            }
            // A few descriptors are taken: standard streams, listener, signals.
            Self::Descriptors(limit) if connections + 8 > u64::from(limit) => {
                Some(format!("cannot watch descriptors from {limit} on"))
            }
            Self::Workers(workers) if connections > u64::from(workers) => Some(format!(
                "{workers} workers serve a connection each; the others would wait until one closes"
            )),
            Self::Hashed(_) if connections > 1 => Some(
                "the kernel's hash may give one worker two connections, of which the second waits".to_owned(),
            ),
            _ => None,
        }
    }
}

/// Whether a model serves a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Yes,
    /// It does not, and why.
    No(&'static str),
}

/// Every family.
#[must_use]
pub fn everything(_: Family) -> Support {
    Support::Yes
}

/// The families of a model that hands connections over, which datagrams do not have.
#[must_use]
pub fn streams(family: Family) -> Support {
    match family {
        Family::Tcp | Family::Unix => Support::Yes,
        Family::Udp | Family::Unixgram => {
            Support::No("what it hands over is a connection, and datagrams have none")
        }
    }
}

/// The families of a model for datagrams.
#[must_use]
pub fn datagrams(family: Family) -> Support {
    match family {
        Family::Tcp | Family::Unix => Support::No("it is about datagrams: a stream has no messages to batch"),
        Family::Udp | Family::Unixgram => Support::Yes,
    }
}

/// The families of a model that is about UDP itself.
#[must_use]
pub fn udp_only(family: Family) -> Support {
    match family {
        Family::Unixgram => Support::No("Unix datagrams have neither segments nor ports of their own"),
        other => datagrams(other),
    }
}

/// The families of a model with several listeners on one port.
#[must_use]
pub fn tcp_by_port(family: Family) -> Support {
    match family {
        Family::Unix | Family::Unixgram => {
            Support::No("a Unix socket has one listener: SO_REUSEPORT is refused (EOPNOTSUPP)")
        }
        Family::Tcp | Family::Udp => Support::Yes,
    }
}
