//! The names of the services: the one registry of them. Not here: what they say.

/// A service by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The server speaks first and closes.
    Greeting,
    /// What comes goes back (RFC 862).
    Echo,
    /// A line `N` is answered with N bytes (UNP chapter 30).
    Sized,
    /// HTTP/1.1, the part of it that a benchmark needs.
    Http,
}

impl Kind {
    /// Every service, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Greeting, Self::Echo, Self::Sized, Self::Http];

    /// The name on the command line, in ids and in plans.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Echo => "echo",
            Self::Sized => "sized",
            Self::Http => "http",
        }
    }

    /// Whether it can be said in datagrams; HTTP needs a stream (RFC 9110, 3.3 speaks of connections).
    #[must_use]
    pub const fn in_datagrams(self) -> bool {
        !matches!(self, Self::Http)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Kind {
    type Err = UnknownService;

    fn from_str(text: &str) -> Result<Self, UnknownService> {
        Self::ALL.into_iter().find(|k| k.name() == text).ok_or_else(|| UnknownService(text.to_owned()))
    }
}

/// No service has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownService(pub String);

impl std::fmt::Display for UnknownService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unknown service `{}`; the services are greeting, echo, sized, http", self.0)
    }
}

impl std::error::Error for UnknownService {}
