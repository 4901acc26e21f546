//! What a reply of `raw` must be, and how far one has come. Not here: dialogues.

use super::pattern::{Pattern, Place};
use super::{LONGEST, Template};
use crate::client::Mismatch;

/// Most bytes that a regular expression is looked for in.
const LONGEST_SEARCH: u64 = 64 * 1024;

/// What must come.
#[derive(Clone, Debug)]
pub enum Expect {
    /// These bytes.
    Bytes(Template),
    /// Everything up to these bytes, which are not empty, and with them.
    Delimiter(Vec<u8>),
    /// A length, and so many bytes behind it.
    Length(Length),
    /// So many bytes, at least 1.
    Count(u64),
    /// Bytes in which an expression matches.
    Regex(Pattern),
    /// Everything until the server closes.
    End,
}

/// A length within a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    width: usize,
    little: bool,
    offset: usize,
    add: i64,
}

impl Expect {
    /// Reads `KIND:…`, except for files.
    ///
    /// # Errors
    /// One sentence on what cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "eof" {
            return Ok(Self::End);
        }
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "bytes" => match Template::parse(rest)? {
                empty if empty.is_empty() => {
                    Err("`bytes:` expects nothing: a reply has at least 1 byte".to_owned())
                }
                template => Ok(Self::Bytes(template)),
            },
            "delim" => match Template::parse(rest)?.as_fixed() {
                Some(bytes) if !bytes.is_empty() => Ok(Self::Delimiter(bytes.to_vec())),
                _ => {
                    Err("`delim:` wants the bytes that end a reply, as in delim:\\r\\n, without placeholders"
                        .to_owned())
                }
            },
            "length" => Length::parse(rest).map(Self::Length),
            "count" => match rest.parse() {
                Ok(count @ 1..) => Ok(Self::Count(count)),
                _ => Err(format!("`{rest}` is no count of bytes above 0")),
            },
            "regex" => Pattern::new(rest).map(Self::Regex),
            _ => Err(format!(
                "no expectation `{kind}`: there are bytes, file, delim, length, count, regex and eof"
            )),
        }
    }
}

impl Length {
    fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no length: write TYPE[@OFFSET][+ADD], as in u32be@4+8");
        let end = text.find(['@', '+', '-']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let (width, little) = match name {
            "u8" => (1, false),
            "u16be" => (2, false),
            "u16le" => (2, true),
            "u32be" => (4, false),
            "u32le" => (4, true),
            "u64be" => (8, false),
            "u64le" => (8, true),
            _ => return Err(bad()),
        };
        let (offset, add) = match rest.strip_prefix('@') {
            Some(rest) => rest.split_at(rest.find(['+', '-']).unwrap_or(rest.len())),
            None => ("0", rest),
        };
        let offset = offset.parse().ok().filter(|offset| *offset <= 4096).ok_or_else(bad)?;
        let add: i64 = if add.is_empty() { 0 } else { add.parse().map_err(|_| bad())? };
        if add.unsigned_abs() > LONGEST {
            return Err(bad());
        }
        Ok(Self { width, little, offset, add })
    }

    /// Bytes behind the number, of a reply that begins with `head`.
    fn of(self, head: &[u8]) -> Result<u64, Mismatch> {
        let field = &head[self.offset..self.offset + self.width];
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let value = if self.little { field.iter().rev().fold(0, fold) } else { field.iter().fold(0, fold) };
        let more = i64::try_from(value).ok().and_then(|value| value.checked_add(self.add));
        match more.and_then(|more| u64::try_from(more).ok()) {
            Some(more) if more <= LONGEST => Ok(more),
            _ => Err(Mismatch::Malformed("the length in the reply is out of range")),
        }
    }
}

/// How far the reply to one expectation has come.
#[derive(Debug)]
pub(super) struct Course {
    /// Bytes of it eaten.
    pub(super) received: u64,
    /// `length`: bytes to come behind the number.
    left: Option<u64>,
    place: Option<Place>,
    /// `bytes`: what must come, with its placeholders filled in.
    text: Vec<u8>,
}

impl Course {
    pub(super) fn new() -> Self {
        Self { received: 0, left: None, place: None, text: Vec::new() }
    }

    /// Waits for what `expect` says, in request `seq` of connection `connection`.
    pub(super) fn begin(&mut self, expect: &Expect, seq: u64, connection: u64) {
        self.received = 0;
        self.left = None;
        self.place = None;
        match expect {
            Expect::Bytes(template) => {
                self.text.clear();
                template.append(seq, connection, &mut self.text);
            }
            Expect::Regex(pattern) => self.place = Some(pattern.start()),
            Expect::Count(count) => self.left = Some(*count),
            Expect::Delimiter(_) | Expect::Length(_) | Expect::End => {}
        }
    }

    /// Goes through `input`; how many bytes it took, and whether it is complete.
    pub(super) fn take(&mut self, expect: &Expect, input: &[u8]) -> Result<(usize, bool), Mismatch> {
        let (used, complete) = match expect {
            Expect::Bytes(_) => self.compare(input)?,
            Expect::Delimiter(end) => match memchr::memmem::find(input, end) {
                Some(at) => (at + end.len(), true),
                // The delimiter may have begun.
                None => (input.len().saturating_sub(end.len() - 1), false),
            },
            Expect::Length(length) => self.take_length(*length, input)?,
            Expect::Count(_) => self.take_left(input),
            Expect::Regex(pattern) => self.search(pattern, input)?,
            Expect::End => (input.len(), false),
        };
        self.received += used as u64;
        if self.received > LONGEST && !matches!(expect, Expect::End | Expect::Count(_)) {
            return Err(Mismatch::Malformed("the reply is longer than 1 GiB"));
        }
        Ok((used, complete))
    }

    fn compare(&self, input: &[u8]) -> Result<(usize, bool), Mismatch> {
        let want = &self.text[(self.received as usize).min(self.text.len())..];
        let common = want.iter().zip(input).take_while(|(a, b)| a == b).count();
        if common < want.len().min(input.len()) {
            return Err(Mismatch::Content { offset: self.received + common as u64 });
        }
        Ok((common, common == want.len()))
    }

    fn take_left(&mut self, input: &[u8]) -> (usize, bool) {
        let left = self.left.unwrap_or(0);
        let n = left.min(input.len() as u64);
        self.left = Some(left - n);
        (n as usize, left == n)
    }

    /// The head is eaten whole or not at all: it is shown again with what arrives.
    fn take_length(&mut self, length: Length, input: &[u8]) -> Result<(usize, bool), Mismatch> {
        let mut at = 0;
        if self.left.is_none() {
            at = length.offset + length.width;
            if input.len() < at {
                return Ok((0, false));
            }
            self.left = Some(length.of(input)?);
        }
        let (n, complete) = self.take_left(&input[at..]);
        Ok((at + n, complete))
    }

    fn search(&mut self, pattern: &Pattern, input: &[u8]) -> Result<(usize, bool), Mismatch> {
        let mut place = self.place.unwrap_or_else(|| pattern.start());
        let room = usize::try_from(LONGEST_SEARCH.saturating_sub(self.received)).unwrap_or(0);
        let window = &input[..input.len().min(room)];
        let found = pattern.find(&mut place, window);
        self.place = Some(place);
        match found {
            Some(n) => Ok((n, true)),
            None if window.len() == room => {
                Err(Mismatch::Malformed("the expression does not match in the first 64 KiB of the reply"))
            }
            None => Ok((window.len(), false)),
        }
    }
}
