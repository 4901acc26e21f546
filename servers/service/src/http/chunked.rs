//! The chunked transfer coding, read (RFC 9112, 7.1): for requests and replies alike. Not here: writing it, and what the content means.

use super::fields::is_field_line;

/// Longest size line of a chunk, in bytes, with its extensions and CRLF.
const MAX_SIZE_LINE: usize = 256;

/// Longest trailer section, in bytes.
const MAX_TRAILERS: usize = 4096;

/// Where a chunked body stands.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// Bytes of content that may still be declared.
    allowance: u64,
    /// Bytes of trailers that may still come.
    trailers: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
}

/// What [`Chunked::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Content, never empty.
    Data(&'a [u8]),
    /// Nothing further without more input.
    More,
    /// The body is complete.
    End,
}

/// Why a chunked body cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadChunk {
    /// The framing does not parse.
    Malformed,
    /// More content is declared than allowed.
    TooLarge,
    /// The trailers exceed their bound.
    TrailersTooLong,
}

impl Chunked {
    /// A body of at most `allowance` bytes of content.
    pub(super) fn new(allowance: u64) -> Self {
        Self { state: State::Size, allowance, trailers: MAX_TRAILERS }
    }

    /// Reads up to the end of the next piece of content; returns how much of `input` was used for it, content included.
    pub(super) fn next<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Part<'a>), BadChunk> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self.state {
                State::Size => {
                    let Some(line) = whole_line(rest, MAX_SIZE_LINE, BadChunk::Malformed)? else { break };
                    let size = parse_size(line).ok_or(BadChunk::Malformed)?;
                    self.allowance = self.allowance.checked_sub(size).ok_or(BadChunk::TooLarge)?;
                    self.state = if size == 0 { State::Trailers } else { State::Data(size) };
                    used += line.len() + 2;
                }
                State::Data(left) => {
                    let take = left.min(rest.len() as u64) as usize;
                    if take == 0 {
                        break;
                    }
                    let left = left - take as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    return Ok((used + take, Part::Data(&rest[..take])));
                }
                State::DataEnd => match rest {
                    [] | [b'\r'] => break,
                    [b'\r', b'\n', ..] => {
                        self.state = State::Size;
                        used += 2;
                    }
                    _ => return Err(BadChunk::Malformed),
                },
                State::Trailers => {
                    let Some(line) = whole_line(rest, self.trailers, BadChunk::TrailersTooLong)? else {
                        break;
                    };
                    self.trailers -= line.len() + 2;
                    used += line.len() + 2;
                    if line.is_empty() {
                        return Ok((used, Part::End));
                    }
                    if !is_field_line(line) {
                        return Err(BadChunk::Malformed);
                    }
                }
            }
        }
        Ok((used, Part::More))
    }
}

/// The first line of `input` without its CRLF, or `None` while it is unfinished; `too_long` where it exceeds `max` bytes.
///
/// The search begins anew at each call: with these bounds that is cheaper than to remember where it stopped.
fn whole_line(input: &[u8], max: usize, too_long: BadChunk) -> Result<Option<&[u8]>, BadChunk> {
    let window = &input[..input.len().min(max)];
    match memchr::memchr(b'\n', window) {
        Some(end) => window[..end].strip_suffix(b"\r").map(Some).ok_or(BadChunk::Malformed),
        None if window.len() < max => Ok(None),
        None => Err(too_long),
    }
}

/// `chunk-size [ chunk-ext ]`: hexadecimal digits and nothing else in front of the extensions, whose content is ignored.
fn parse_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (number, extensions) = line.split_at(digits);
    let blank = extensions.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let ends_well = extensions.is_empty() || extensions.get(blank) == Some(&b';');
    // A CR here is a line that another recipient might end earlier than we do.
    if !ends_well || extensions.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(number).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content of a body shown in pieces of `step` bytes, and how much was left over behind it.
    fn decode(body: &[u8], step: usize, allowance: u64) -> Result<Option<(Vec<u8>, usize)>, BadChunk> {
        let mut chunked = Chunked::new(allowance);
        let (mut content, mut from, mut to) = (Vec::new(), 0, 0);
        loop {
            let (used, part) = chunked.next(&body[from..to])?;
            from += used;
            match part {
                Part::Data(data) => content.extend_from_slice(data),
                Part::End => return Ok(Some((content, body.len() - from))),
                Part::More if to == body.len() => return Ok(None),
                Part::More => to = (to + step).min(body.len()),
            }
        }
    }

    fn check(body: &str, want: &Result<Option<(&str, usize)>, BadChunk>) {
        for step in 1..=body.len().max(1) {
            let got = decode(body.as_bytes(), step, 1000);
            let want = want.map(|o| o.map(|(text, left)| (text.as_bytes().to_vec(), left)));
            assert_eq!(got, want, "{body:?} in pieces of {step}");
        }
    }

    #[test]
    fn reads_chunks_extensions_and_trailers() {
        check("5\r\nhello\r\n0\r\n\r\n", &Ok(Some(("hello", 0))));
        check("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\nGET", &Ok(Some(("hello!", 3))));
        check(
            "A;name=\"v;w\"\r\n0123456789\r\n000 ; x\r\nSum: 1\r\nOther:\r\n\r\n",
            &Ok(Some(("0123456789", 0))),
        );
        check("0\r\n\r\n", &Ok(Some(("", 0))));
        check("5\r\nhel", &Ok(None));
        check("5\r\nhello\r\n0\r\n", &Ok(None));
    }

    #[test]
    fn refuses_sizes_that_others_may_read_differently() {
        for size in
            ["", "0x1", "+1", "-1", "1_0", " 1", "1 ", "1\t", "g", "1 x", "1\r;x", "ffffffffffffffff1", ";x"]
        {
            check(&format!("{size}\r\na\r\n0\r\n\r\n"), &Err(BadChunk::Malformed));
        }
        check("1\na\n0\n\n", &Err(BadChunk::Malformed));
        check("1\r\nab\r\n0\r\n\r\n", &Err(BadChunk::Malformed));
        check("1\r\na\n\r0\r\n\r\n", &Err(BadChunk::Malformed));
        check("0\r\nno colon\r\n\r\n", &Err(BadChunk::Malformed));
        check(&format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(300)), &Err(BadChunk::Malformed));
    }

    #[test]
    fn keeps_its_bounds() {
        check("3e8\r\n", &Ok(None));
        check("3e9\r\n", &Err(BadChunk::TooLarge));
        let trailers = format!("0\r\n{}\r\n", "a: b\r\n".repeat(700));
        assert_eq!(decode(trailers.as_bytes(), 1000, 0), Err(BadChunk::TrailersTooLong));
        let line = format!("0\r\na: {}", "b".repeat(5000));
        assert_eq!(decode(line.as_bytes(), 1, 0), Err(BadChunk::TrailersTooLong));
    }
}
