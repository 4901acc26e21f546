//! The flags of `--service raw`: what is said and expected. Not here: what the texts mean (see `service::raw`).

use crate::{Config, Error, units};
use service::Kind;
use service::raw::{Dialogue, Expect, Template, Turn};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

/// A service by name, ours or the user's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Ours(Kind),
    Raw,
}

impl FromStr for Spoken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "raw" {
            return Ok(Self::Raw);
        }
        text.parse().map(Self::Ours).map_err(|unknown: service::UnknownService| format!("{unknown}, raw"))
    }
}

/// What is said, and what is to come.
#[derive(Debug, clap::Args)]
pub(crate) struct RawFlags {
    /// raw: what is sent, TEXT with \r \n \xNN {seq} {conn}, or @FILE; repeatable, one for each --expect
    #[arg(
        long,
        hide_short_help = true,
        value_name = "TEXT",
        allow_hyphen_values = true,
        help_heading = "Requests"
    )]
    send: Vec<String>,
    /// raw: the reply: bytes:TEXT, file:PATH, delim:TEXT, length:u32be[@OFFSET][+ADD], count:N, regex:RE, eof
    #[arg(long, hide_short_help = true, value_name = "WHAT", help_heading = "Requests")]
    expect: Vec<String>,
    /// raw: what the server says first on a connection, as in --expect
    #[arg(long, hide_short_help = true, value_name = "WHAT", help_heading = "Requests")]
    banner: Option<String>,
}

impl RawFlags {
    pub(crate) fn is_given(&self) -> bool {
        !self.send.is_empty() || !self.expect.is_empty() || self.banner.is_some()
    }

    /// Makes the dialogue of the flags the run's.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<(), Error> {
        if self.send.is_empty() || self.send.len() != self.expect.len() {
            return Err(Error::Usage(format!(
                "the raw service wants one --expect for each --send, and there are {} and {}",
                self.expect.len(),
                self.send.len()
            )));
        }
        let turns = self.send.iter().zip(&self.expect).map(|(send, expect)| {
            Ok(Turn { send: template(send)?, expect: expectation("--expect", expect)? })
        });
        config.raw = Some(Arc::new(Dialogue {
            banner: self.banner.as_ref().map(|text| expectation("--banner", text)).transpose()?,
            turns: turns.collect::<Result<_, Error>>()?,
        }));
        config.words = words([
            ("send", self.send.as_slice()),
            ("expect", self.expect.as_slice()),
            ("banner", self.banner.as_slice()),
        ]);
        Ok(())
    }
}

/// Flags as they were given, for the record; a file that one names with its length and digest, since the name says little.
pub(super) fn words<'a>(
    flags: impl IntoIterator<Item = (&'a str, &'a [String])>,
) -> BTreeMap<String, Vec<String>> {
    let word = |text: &String| {
        let path = text.strip_prefix('@').or_else(|| text.strip_prefix("file:"));
        match path.map(std::fs::read) {
            Some(Ok(bytes)) => {
                let digest = units::fnv1a(bytes.iter().copied());
                format!("{text} ({} bytes, {digest:016x})", bytes.len())
            }
            _ => text.clone(),
        }
    };
    let given = flags.into_iter().filter(|(_, texts)| !texts.is_empty());
    given.map(|(flag, texts)| (flag.to_owned(), texts.iter().map(word).collect())).collect()
}

fn template(text: &str) -> Result<Template, Error> {
    match text.strip_prefix('@') {
        Some(path) => Ok(Template::fixed(read("--send", path)?)),
        None => Template::parse(text).map_err(|why| Error::Usage(format!("--send: {why}"))),
    }
}

fn expectation(flag: &str, text: &str) -> Result<Expect, Error> {
    let usage = |why: String| Error::Usage(format!("{flag}: {why}"));
    match text.strip_prefix("file:") {
        Some(path) => match read(flag, path)? {
            empty if empty.is_empty() => {
                Err(usage(format!("`{path}` is empty: a reply has at least 1 byte")))
            }
            bytes => Ok(Expect::Bytes(Template::fixed(bytes))),
        },
        None => Expect::parse(text).map_err(usage),
    }
}

/// The content of a file that a flag names.
pub(super) fn read(flag: &str, path: &str) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::Usage(format!("{flag}: cannot read `{path}`: {error}")))
}
